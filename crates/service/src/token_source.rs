//! Where an app's access token comes from: WeChat, or a URL of the team's own token server. Used by `apps` (what is
//! registered) and `tokens` (who asks).
//!
//! The URL is asked with `GET` and the header that was registered. It answers 200 with `{"access_token": "…",
//! "expires_in": 7200}` (WeChat's own shape) or with the bare token as text; without `expires_in` the token is kept for a
//! minute. Where WeChat rejected a token and the same one came again, it is asked with `Cache-Control: no-cache` and
//! `X-Rejected-Token-Sha256` (hexadecimal), so that the server can tell whether somebody replaced it already. The token
//! itself is never sent there.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use wechat::client::{Client, OutsideCall, TokenGrant, is_outside_url};

use crate::problem::FieldError;

const TIME: Duration = Duration::from_secs(5);
const LIMIT: usize = 64 * 1024;
/// How long a token is kept whose life is not told.
const UNTOLD: Duration = Duration::from_secs(60);
/// WeChat gives none for longer.
const LONGEST: u64 = 7_200;
/// WeChat advises room for 512 characters.
const MAX_TOKEN: usize = 2_048;

/// Where an app's access token comes from.
#[derive(Debug, Clone, Default)]
pub enum TokenSource {
    /// WeChat, by the AppSecret.
    #[default]
    Wechat,
    /// The team's own token server.
    Url(UrlSource),
}

/// A team's own token server. `Debug` shows neither header nor query.
#[derive(Clone)]
pub struct UrlSource {
    url: SecretString,
    header: Option<(String, SecretString)>,
}

/// The token server gave no token. Holds nothing of the address or the answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// It could not be reached.
    #[error("the token source cannot be reached: {0}")]
    Unreachable(String),
    /// It answered with another status than 200.
    #[error("the token source answered with HTTP status {0}")]
    Http(u16),
    /// It answered with WeChat's form of an error.
    #[error("the token source answered with errcode {0}")]
    Errcode(i64),
    /// It answered something else.
    #[error("the token source answered neither {{\"access_token\": …}} nor a bare token")]
    Malformed,
}

/// What a request gives.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenSourceInput {
    /// WeChat.
    Wechat,
    /// A URL.
    Url {
        /// `http://…` or `https://…`.
        #[serde(deserialize_with = "secret")]
        url: SecretString,
        /// `Name: value`.
        #[serde(default, deserialize_with = "some_secret")]
        header: Option<SecretString>,
    },
}

/// What is shown: no value of a query, no value of a header.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct TokenSourceView {
    /// `wechat` or `url`.
    pub kind: &'static str,
    /// The address, its query left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The header's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
}

/// As it is stored, sealed.
#[derive(Serialize, Deserialize)]
struct Stored {
    url: String,
    header: Option<(String, String)>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

fn some_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| text.map(SecretString::from))
}

impl TokenSource {
    /// Whether the AppSecret is not needed.
    pub fn is_url(&self) -> bool {
        matches!(self, Self::Url(_))
    }

    /// As it is shown.
    pub fn view(&self) -> TokenSourceView {
        match self {
            Self::Wechat => TokenSourceView { kind: "wechat", url: None, header: None },
            Self::Url(source) => TokenSourceView {
                kind: "url",
                url: Some(source.shown()),
                header: source.header.as_ref().map(|(name, _)| name.clone()),
            },
        }
    }

    /// Reads what is stored; `None` where it is unreadable.
    pub(crate) fn from_stored(stored: Option<&SecretString>) -> Option<Self> {
        let Some(stored) = stored else { return Some(Self::Wechat) };
        let Stored { url, header } = serde_json::from_str(stored.expose_secret()).ok()?;
        Some(Self::Url(UrlSource {
            url: url.into(),
            header: header.map(|(name, value)| (name, value.into())),
        }))
    }

    /// What to store; `None` for WeChat.
    pub(crate) fn to_stored(&self) -> Option<SecretString> {
        let Self::Url(source) = self else { return None };
        let stored = Stored {
            url: source.url.expose_secret().to_owned(),
            header: source
                .header
                .as_ref()
                .map(|(name, value)| (name.clone(), value.expose_secret().to_owned())),
        };
        serde_json::to_string(&stored).ok().map(SecretString::from)
    }
}

impl TokenSourceInput {
    /// Checks what was given.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<TokenSource, FieldError> {
        let Self::Url { url, header } = self else { return Ok(TokenSource::Wechat) };
        if !is_outside_url(url.expose_secret()) {
            return Err(FieldError::new(
                "/token_source/url",
                "invalid_url",
                "token_source 的 url 应以 https:// 或 http:// 开头，不含用户名、密码和 #。",
                "The URL of token_source begins with https:// or http://, without a user, a password or a #.",
            ));
        }
        let header = header.as_ref().map(|text| header_of(text.expose_secret())).transpose()?;
        Ok(TokenSource::Url(UrlSource { url: url.expose_secret().trim().to_owned().into(), header }))
    }
}

fn header_of(text: &str) -> Result<(String, SecretString), FieldError> {
    let token = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&b))
    };
    match text.split_once(':').map(|(name, value)| (name.trim(), value.trim())) {
        Some((name, value))
            if token(name) && !value.is_empty() && value.bytes().all(|b| (32..127).contains(&b)) =>
        {
            Ok((name.to_owned(), value.to_owned().into()))
        }
        _ => Err(FieldError::new(
            "/token_source/header",
            "invalid_header",
            "token_source 的 header 应形如 Authorization: Bearer …（名称、冒号、值）。",
            "The header of token_source looks like Authorization: Bearer … (name, colon, value).",
        )),
    }
}

impl UrlSource {
    /// Asks for a token; `rejected` is one that WeChat rejected and the server gave once more.
    pub(crate) async fn ask(
        &self,
        client: &Client,
        rejected: Option<&SecretString>,
    ) -> Result<TokenGrant, NoToken> {
        let digest = rejected.map(|token| hex::encode(Sha256::digest(token.expose_secret())));
        let mut headers = vec![("Accept", "application/json, text/plain")];
        headers.extend(self.header.as_ref().map(|(name, value)| (name.as_str(), value.expose_secret())));
        if let Some(digest) = &digest {
            headers.extend([("Cache-Control", "no-cache"), ("X-Rejected-Token-Sha256", digest.as_str())]);
        }
        let call = OutsideCall {
            post: None,
            url: self.url.expose_secret(),
            query: None,
            headers: &headers,
            time: TIME,
            limit: LIMIT,
        };
        let answer = client.outside(&call).await.map_err(|why| NoToken::Unreachable(why.to_string()))?;
        if answer.status != 200 {
            return Err(NoToken::Http(answer.status));
        }
        read(&answer.body)
    }

    /// The address without its query, which may hold a key.
    fn shown(&self) -> String {
        let url = self.url.expose_secret();
        match url.split_once('?') {
            Some((address, _)) => format!("{address}?…"),
            None => url.to_owned(),
        }
    }
}

impl std::fmt::Debug for UrlSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UrlSource({})", self.shown())
    }
}

/// Reads the answer: WeChat's shape, or a bare token.
fn read(body: &[u8]) -> Result<TokenGrant, NoToken> {
    /// A number, written as a number or as a text.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Whole {
        Number(i64),
        Text(String),
    }
    #[derive(Deserialize)]
    struct Answer {
        access_token: Option<String>,
        expires_in: Option<Whole>,
        errcode: Option<i64>,
    }
    let text = std::str::from_utf8(body).map_err(|_| NoToken::Malformed)?.trim();
    let (token, life) = if text.starts_with('{') {
        let answer: Answer = serde_json::from_str(text).map_err(|_| NoToken::Malformed)?;
        if let Some(errcode) = answer.errcode.filter(|code| *code != 0) {
            return Err(NoToken::Errcode(errcode));
        }
        let life = match answer.expires_in {
            None => None,
            Some(Whole::Number(seconds)) => Some(seconds),
            Some(Whole::Text(text)) => Some(text.trim().parse().map_err(|_| NoToken::Malformed)?),
        };
        (answer.access_token.ok_or(NoToken::Malformed)?, life)
    } else {
        (text.to_owned(), None)
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.~+/=".contains(&b);
    if token.is_empty() || token.len() > MAX_TOKEN || !token.bytes().all(fits) {
        return Err(NoToken::Malformed);
    }
    let expires_in = match life {
        None => UNTOLD,
        Some(seconds) => Duration::from_secs(u64::try_from(seconds).unwrap_or(0).clamp(1, LONGEST)),
    };
    Ok(TokenGrant { token: token.into(), expires_in })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_in_both_shapes() {
        let told =
            |body: &str| read(body.as_bytes()).map(|g| (g.token.expose_secret().to_owned(), g.expires_in));
        let seconds = Duration::from_secs;
        assert_eq!(told(r#"{"access_token":"ab_1","expires_in":345}"#), Ok(("ab_1".into(), seconds(345))));
        assert_eq!(told(r#"{"access_token":"a","expires_in":"7200"}"#), Ok(("a".into(), seconds(7200))));
        assert_eq!(told(r#"{"access_token":"a","expires_in":999999}"#), Ok(("a".into(), seconds(7200))));
        assert_eq!(told(r#"{"access_token":"a"}"#), Ok(("a".into(), UNTOLD)));
        assert_eq!(told("84_bareToken-_\n"), Ok(("84_bareToken-_".into(), UNTOLD)));
        assert_eq!(told(r#"{"errcode":40013,"errmsg":"invalid appid"}"#), Err(NoToken::Errcode(40013)));
        for bad in ["", "<html>no</html>", "two words", "{\"token\":\"a\"}", "{", "null\u{0}"] {
            assert_eq!(told(bad), Err(NoToken::Malformed), "{bad}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let input = TokenSourceInput::Url {
            url: "https://token.example/wx?key=hush".into(),
            header: Some("X-Key: hush2".into()),
        };
        let source = input.check().unwrap();
        let shown = format!("{source:?} {input:?} {}", serde_json::to_string(&source.view()).unwrap());
        assert!(!shown.contains("hush"), "{shown}");
        assert!(shown.contains("https://token.example/wx?…") && shown.contains("X-Key"), "{shown}");
        let stored = source.to_stored().unwrap();
        let TokenSource::Url(read) = TokenSource::from_stored(Some(&stored)).unwrap() else { panic!() };
        assert_eq!(read.url.expose_secret(), "https://token.example/wx?key=hush");
        let bad = TokenSourceInput::Url { url: "ftp://x".into(), header: None };
        assert_eq!(bad.check().unwrap_err().pointer, "/token_source/url");
        let bad = TokenSourceInput::Url { url: "http://x/".into(), header: Some("no colon".into()) };
        assert_eq!(bad.check().unwrap_err().pointer, "/token_source/header");
    }
}
