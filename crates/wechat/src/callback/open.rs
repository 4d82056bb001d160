//! Verifies and decrypts a push (`POST`): used by the HTTP handler before anything else looks at the body.
//!
//! Source: official page "消息推送" (message-push.html). Plaintext mode is checked by `signature`; wherever there is
//! `Encrypt`, by `msg_signature` (explicitly not `signature`) and by the trailing AppID.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;

use super::crypto::CryptoError;
use super::query::Query;
use super::setting::{Format, Keys, Mode};
use super::signature;
use super::tree::{Node, TreeError};

/// A verified push. `Debug` shows the length of the text only: it may be somebody's chat.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// The plain body, for [`event::parse`](super::event::parse). In compatible mode this is the decrypted text; the
    /// plain fields beside it are dropped.
    pub plaintext: Vec<u8>,
    /// The format of the body as received.
    pub format: Format,
    /// The mode of the body as received.
    pub received_mode: Mode,
    /// Which of the given [`Keys`] opened it (0 = the first).
    pub key_index: usize,
    /// The body came in a stronger mode than those keys are configured for: accept it, but tell somebody.
    pub stronger_than_configured: bool,
    /// `timestamp` of the query in Unix seconds, if it is a number. It is covered by the signature; how old it may be is
    /// for the caller to decide (WeChat states no rule).
    pub timestamp: Option<i64>,
    /// The AppID that the push was made for (the component's, for a third-party platform).
    pub app_id: String,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("plaintext", &format_args!("[{} bytes]", self.plaintext.len()))
            .field("format", &self.format)
            .field("received_mode", &self.received_mode)
            .field("key_index", &self.key_index)
            .field("stronger_than_configured", &self.stronger_than_configured)
            .field("timestamp", &self.timestamp)
            .field("app_id", &self.app_id)
            .finish()
    }
}

/// Why a push is not opened. Holds neither secrets nor parts of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// This query parameter is missing or empty.
    #[error("the query parameter {0} is missing")]
    Missing(&'static str),
    /// No token gives this signature.
    #[error("the signature does not match")]
    BadSignature,
    /// Rightly signed, but made for another AppID.
    #[error("the encrypted text is made for another AppID")]
    WrongAppId,
    /// Rightly signed, but in a weaker mode than configured.
    #[error("the push came in a weaker mode than configured")]
    WeakerMode,
    /// Rightly signed and encrypted, but no EncodingAESKey is configured.
    #[error("the push is encrypted, but no EncodingAESKey is configured")]
    NoKey,
    /// The body cannot be read.
    #[error("the body is malformed: {0}")]
    Malformed(MalformedReason),
}

/// What is wrong with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedReason {
    /// Neither well-formed JSON nor well-formed XML, or beyond the bounds.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// There is an `Encrypt`, but it is no text.
    #[error("Encrypt is not a text")]
    EncryptNotText,
    /// `Encrypt` is garbage, or its inside is broken (possibly another EncodingAESKey).
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl OpenError {
    /// The HTTP status for this: 403 for what is forbidden (signature, AppID, mode, no key), 400 for what is broken
    /// (also when correctly signed) or missing. WeChat tries again on both.
    pub fn http_status(&self) -> u16 {
        match self {
            Self::BadSignature | Self::WrongAppId | Self::WeakerMode | Self::NoKey => 403,
            Self::Missing(_) | Self::Malformed(_) => 400,
        }
    }

    /// Which error to tell when several keys fail in different ways: the one that came furthest.
    fn rank(&self) -> u8 {
        match self {
            Self::Missing(_) | Self::BadSignature => 0,
            Self::NoKey => 1,
            Self::Malformed(_) => 2,
            Self::WrongAppId => 3,
            Self::WeakerMode => 4,
        }
    }
}

impl From<TreeError> for OpenError {
    fn from(error: TreeError) -> Self {
        Self::Malformed(error.into())
    }
}

/// Verifies a push against each of `keys`, in order (the current ones first, the previous ones after), and decrypts it.
///
/// The format is told by the first non-blank byte, and whether the body is encrypted by the presence of `Encrypt` (any
/// case), never by headers or by `encrypt_type`. A body in a stronger mode than configured is opened and marked; a
/// weaker one (plain or compatible where safe is configured, plain where compatible is) is refused.
///
/// # Errors
/// [`OpenError`]; with several keys, the failure that came furthest.
pub fn open(keys: &[Keys], query: &Query, body: &[u8]) -> Result<Opened, OpenError> {
    let (format, tree) = Node::read(body)?;
    let timestamp = Query::need(&query.timestamp, "timestamp").map_err(OpenError::Missing)?;
    let nonce = Query::need(&query.nonce, "nonce").map_err(OpenError::Missing)?;
    let push = Push { format, timestamp, nonce, body };
    if tree.has("Encrypt") {
        let encrypt = tree.text("Encrypt").ok_or(OpenError::Malformed(MalformedReason::EncryptNotText))?;
        let given = Query::need(&query.msg_signature, "msg_signature").map_err(OpenError::Missing)?;
        // What is garbage whoever signed it is malformed, not forbidden.
        let decoded = STANDARD.decode(encrypt).map_err(|_| malformed(CryptoError::NotBase64))?;
        if decoded.is_empty() || decoded.len() % 16 != 0 {
            return Err(malformed(CryptoError::Length));
        }
        let mode = if has_plain_fields(&tree) { Mode::Compat } else { Mode::Safe };
        first_that_opens(keys, |keys| push.open_encrypted(keys, encrypt, given, mode))
    } else {
        let given = Query::need(&query.signature, "signature").map_err(OpenError::Missing)?;
        first_that_opens(keys, |keys| push.open_plain(keys, given))
    }
}

/// Compatible mode repeats the message in plain beside `Encrypt`; safe mode has only `ToUserName` (or `AppId`) there.
fn has_plain_fields(tree: &Node) -> bool {
    ["MsgType", "FromUserName", "Event", "CreateTime", "InfoType"].iter().any(|name| tree.has(name))
}

fn malformed(error: CryptoError) -> OpenError {
    OpenError::Malformed(error.into())
}

fn first_that_opens(
    keys: &[Keys],
    mut attempt: impl FnMut(&Keys) -> Result<Opened, OpenError>,
) -> Result<Opened, OpenError> {
    let mut worst = OpenError::BadSignature;
    for (key_index, one) in keys.iter().enumerate() {
        match attempt(one) {
            Ok(opened) => return Ok(Opened { key_index, ..opened }),
            Err(error) if error.rank() > worst.rank() => worst = error,
            Err(_) => {}
        }
    }
    Err(worst)
}

/// What is the same for every key.
struct Push<'p> {
    format: Format,
    timestamp: &'p str,
    nonce: &'p str,
    body: &'p [u8],
}

impl Push<'_> {
    fn open_plain(&self, keys: &Keys, given: &str) -> Result<Opened, OpenError> {
        let token = keys.token.expose_secret();
        if !signature::matches(&[token, self.timestamp, self.nonce], given) {
            return Err(OpenError::BadSignature);
        }
        if keys.mode > Mode::Plain {
            return Err(OpenError::WeakerMode);
        }
        Ok(self.opened(keys, Mode::Plain, self.body.to_vec()))
    }

    fn open_encrypted(
        &self,
        keys: &Keys,
        encrypt: &str,
        given: &str,
        mode: Mode,
    ) -> Result<Opened, OpenError> {
        let token = keys.token.expose_secret();
        if !signature::matches(&[token, self.timestamp, self.nonce, encrypt], given) {
            return Err(OpenError::BadSignature);
        }
        let aes_key = keys.aes_key.as_ref().ok_or(OpenError::NoKey)?;
        let decrypted = aes_key.decrypt(encrypt).map_err(malformed)?;
        if decrypted.app_id != keys.app_id {
            return Err(OpenError::WrongAppId);
        }
        if mode < keys.mode {
            return Err(OpenError::WeakerMode);
        }
        Ok(self.opened(keys, mode, decrypted.message))
    }

    fn opened(&self, keys: &Keys, received_mode: Mode, plaintext: Vec<u8>) -> Opened {
        Opened {
            plaintext,
            format: self.format,
            received_mode,
            key_index: 0,
            stronger_than_configured: received_mode > keys.mode,
            timestamp: self.timestamp.trim().parse().ok(),
            app_id: keys.app_id.clone(),
        }
    }
}
