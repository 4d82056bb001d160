//! Answers to pushes: used where WeChat wants more than `success`, and by simulators that read such answers.
//!
//! Source: official page "消息推送" (message-push.html) for the encrypted form; "转发消息" (客服消息) for
//! `transfer_customer_service`. Subscribe events are answered with [`SUCCESS`], in every mode unencrypted.

mod read;

use secrecy::ExposeSecret;
use serde_json::json;

use super::setting::{Format, Keys};
use super::signature;

pub use read::{Reply, read};

/// The body that tells WeChat that a push was taken; never encrypted, also in safe mode.
///
/// Source: official page "消息推送".
pub const SUCCESS: &str = "success";

/// What an encrypted reply needs besides its content.
#[derive(Debug, Clone, Copy)]
pub struct Encryption<'k> {
    /// The keys that opened the push.
    pub keys: &'k Keys,
    /// Sixteen fresh random bytes.
    pub random: [u8; 16],
    /// Now, in Unix seconds.
    pub timestamp: i64,
    /// The nonce: WeChat asks for that of the push's query.
    pub nonce: &'k str,
}

/// The keys hold no EncodingAESKey, so nothing can be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no EncodingAESKey is configured, the reply cannot be encrypted")]
pub struct NoKey;

/// Whom a customer-service message came from, and when it is answered.
#[derive(Debug, Clone, Copy)]
pub struct Parties<'p> {
    /// `FromUserName` of the push: the user's openid.
    pub user: &'p str,
    /// `ToUserName` of the push: the mini program's original id.
    pub mini_program: &'p str,
    /// Now, in Unix seconds.
    pub create_time: i64,
}

/// Makes the answer that passes a customer-service message on to WeChat's own customer-service tool.
///
/// With message push switched on, a bare `success` swallows the user's chat. With `encryption` the answer is encrypted,
/// as WeChat demands of every content in safe mode. Source: official page "转发消息"; it shows XML only, so the JSON form
/// (the same names) is believed, not confirmed.
///
/// # Errors
/// [`NoKey`] if encryption is asked for and the keys hold no EncodingAESKey.
pub fn transfer_customer_service(
    format: Format,
    parties: &Parties<'_>,
    encryption: Option<&Encryption<'_>>,
) -> Result<String, NoKey> {
    let plain = match format {
        Format::Json => json!({
            "ToUserName": parties.user,
            "FromUserName": parties.mini_program,
            "CreateTime": parties.create_time,
            "MsgType": "transfer_customer_service",
        })
        .to_string(),
        Format::Xml => format!(
            "<xml><ToUserName>{}</ToUserName><FromUserName>{}</FromUserName><CreateTime>{}</CreateTime>\
             <MsgType><![CDATA[transfer_customer_service]]></MsgType></xml>",
            cdata(parties.user),
            cdata(parties.mini_program),
            parties.create_time
        ),
    };
    match encryption {
        None => Ok(plain),
        Some(encryption) => encrypt(format, encryption, plain.as_bytes()),
    }
}

/// Encrypts any reply: `Encrypt`, `MsgSignature`, `TimeStamp`, `Nonce` in the given format.
///
/// Source: official page "消息推送", with its worked example.
///
/// # Errors
/// [`NoKey`] if the keys hold no EncodingAESKey.
pub fn encrypt(format: Format, encryption: &Encryption<'_>, content: &[u8]) -> Result<String, NoKey> {
    let Encryption { keys, random, timestamp, nonce } = *encryption;
    let aes_key = keys.aes_key.as_ref().ok_or(NoKey)?;
    let encrypted = aes_key.encrypt(random, content, &keys.app_id);
    let signed = signature::sign(&[keys.token.expose_secret(), &timestamp.to_string(), nonce, &encrypted]);
    Ok(match format {
        Format::Json => json!({
            "Encrypt": encrypted,
            "MsgSignature": signed,
            "TimeStamp": timestamp,
            "Nonce": nonce,
        })
        .to_string(),
        Format::Xml => format!(
            "<xml><Encrypt>{}</Encrypt><MsgSignature>{}</MsgSignature><TimeStamp>{timestamp}</TimeStamp>\
             <Nonce>{}</Nonce></xml>",
            cdata(&encrypted),
            cdata(&signed),
            cdata(nonce)
        ),
    })
}

/// Wraps a text so that it can stand in XML, whatever it holds.
fn cdata(text: &str) -> String {
    format!("<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>"))
}
