//! How a mini program's message push is set up in WeChat's console: used wherever pushes are opened or replies are made.
//!
//! Source: official page "消息推送" (message-push.html): 消息加解密方式 (明文, 兼容, 安全) and 数据格式 (XML, JSON).

use std::fmt;
use std::str::FromStr;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::crypto::EncodingAesKey;

/// The encryption mode (消息加解密方式). Ordered from weak to strong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// 明文模式: plain fields, `signature` in the query. The signature does not cover the body.
    Plain,
    /// 兼容模式: plain fields and `Encrypt`. Only the encrypted text can be trusted.
    Compat,
    /// 安全模式: `Encrypt` only; the mode that WeChat recommends.
    Safe,
}

/// The format of pushes (数据格式).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JSON.
    Json,
    /// XML.
    Xml,
}

/// A word that names no [`Mode`] or [`Format`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of: {expected}")]
pub struct UnknownWord {
    /// The words that would have been understood.
    pub expected: &'static str,
}

impl Mode {
    /// The word for settings and commands: `plain`, `compat` or `safe`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Compat => "compat",
            Self::Safe => "safe",
        }
    }
}

impl Format {
    /// The word for settings and commands: `json` or `xml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Xml => "xml",
        }
    }

    /// The `Content-Type` of a reply in this format.
    ///
    /// Source: a WeChat product manager's answer in the developer community asks for `application/json` on encrypted
    /// JSON replies; for XML, `text/xml` is what WeChat itself sends (as SDKs observe).
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml => "text/xml",
        }
    }

    /// Tells the format of a body by its first non-blank byte, `{` or `<` (a byte order mark is skipped).
    pub fn detect(body: &[u8]) -> Option<Self> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => Some(Self::Json),
            Some(b'<') => Some(Self::Xml),
            _ => None,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "plain" => Ok(Self::Plain),
            "compat" => Ok(Self::Compat),
            "safe" => Ok(Self::Safe),
            _ => Err(UnknownWord { expected: "plain, compat, safe" }),
        }
    }
}

impl FromStr for Format {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "json" => Ok(Self::Json),
            "xml" => Ok(Self::Xml),
            _ => Err(UnknownWord { expected: "json, xml" }),
        }
    }
}

/// One set of push settings. While settings change there are two of them: the current and the previous one.
#[derive(Clone)]
pub struct Keys {
    /// The AppID that stands at the end of encrypted texts: the mini program's own, or the component's for pushes to a
    /// third-party platform.
    pub app_id: String,
    /// The Token (令牌) of the signatures.
    pub token: SecretString,
    /// The EncodingAESKey, if one is known. Without it, encrypted pushes cannot be read.
    pub aes_key: Option<EncodingAesKey>,
    /// The mode that is set in WeChat's console.
    pub mode: Mode,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("app_id", &self.app_id)
            .field("token", &"[redacted]")
            .field("aes_key", &self.aes_key)
            .field("mode", &self.mode)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for mode in [Mode::Plain, Mode::Compat, Mode::Safe] {
            assert_eq!(mode.to_string().parse::<Mode>().unwrap(), mode);
            assert_eq!(serde_json::to_string(&mode).unwrap(), format!("\"{mode}\""));
        }
        for format in [Format::Json, Format::Xml] {
            assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
            assert_eq!(serde_json::to_string(&format).unwrap(), format!("\"{format}\""));
        }
        assert!("Safe".parse::<Mode>().is_err());
        assert!("yaml".parse::<Format>().is_err());
    }

    #[test]
    fn strength_is_ordered() {
        assert!(Mode::Plain < Mode::Compat && Mode::Compat < Mode::Safe);
    }

    #[test]
    fn debug_shows_no_secret() {
        let keys = Keys {
            app_id: "wx1".into(),
            token: "geheim".into(),
            aes_key: EncodingAesKey::parse(&"k".repeat(43)).ok(),
            mode: Mode::Safe,
        };
        let shown = format!("{keys:?}");
        assert!(!shown.contains("geheim") && !shown.contains("kkkk"), "{shown}");
    }
}
