//! Reads what a server answered to a push: used by simulators that play WeChat, and by tests of one's own server.

use super::super::open::{OpenError, open};
use super::super::query::Query;
use super::super::setting::{Format, Keys, Mode};
use super::super::tree::Node;
use super::SUCCESS;

/// A server's answer to a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `success`, or nothing at all: taken, and there is no more to it. Source: official page "消息推送".
    Taken,
    /// Something that WeChat is to act on, as `transfer_customer_service`.
    Content {
        /// The content, decrypted where it was encrypted; for [`event::parse`](super::super::event::parse).
        plaintext: Vec<u8>,
        /// Its format.
        format: Format,
        /// Whether it came encrypted.
        encrypted: bool,
    },
}

/// Reads an answer as WeChat has to: whatever is not `success` or empty is content, which in safe mode has to be encrypted
/// and signed over its own `TimeStamp` and `Nonce`.
///
/// Source: official page "消息推送". The names of the fields are read in any case of their letters, as SDKs differ in it.
///
/// # Errors
/// [`OpenError`] as for a push; `WeakerMode` for content in plain where `keys` are set to safe mode.
pub fn read(keys: &Keys, body: &[u8]) -> Result<Reply, OpenError> {
    if body.is_empty() || body == SUCCESS.as_bytes() {
        return Ok(Reply::Taken);
    }
    let (format, tree) = Node::read(body)?;
    if !tree.has("Encrypt") {
        return match keys.mode {
            Mode::Safe => Err(OpenError::WeakerMode),
            _ => Ok(Reply::Content { plaintext: body.to_vec(), format, encrypted: false }),
        };
    }
    let text = |name: &str| tree.text(name).map(str::to_owned);
    let query = Query {
        msg_signature: text("MsgSignature"),
        timestamp: text("TimeStamp"),
        nonce: text("Nonce"),
        ..Query::default()
    };
    let opened = open(std::slice::from_ref(keys), &query, body)?;
    Ok(Reply::Content { plaintext: opened.plaintext, format, encrypted: true })
}
