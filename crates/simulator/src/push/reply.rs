//! What the app's server answered to a customer-service message, read as WeChat reads it: passed on,
//! swallowed, or not to be used.

use serde_json::Value;
use wechat::callback::{event, signature};

use super::{Envelope, courier::Answer};
use crate::api::{CallbackFormat, CallbackMode, ChatFault as Fault, ChatOutcome};

/// What is shown of an answer that cannot be used.
const DETAIL: usize = 200;

type Because = (Fault, Option<String>);

/// Whether customer service gets it, or why the chat failed.
pub(crate) fn judge(
    envelope: &Envelope,
    original_id: &str,
    openid: &str,
    answer: Answer,
) -> Result<ChatOutcome, Because> {
    let body = match answer {
        Err(error) => return Err((Fault::NoAnswer, Some(error))),
        Ok((200, body)) => body,
        Ok((status, _)) => return Err((Fault::NoAnswer, Some(format!("HTTP {status}")))),
    };
    let text = String::from_utf8_lossy(&body);
    let shown = || Some(text.chars().take(DETAIL).collect::<String>());
    let text = text.trim();
    if text.is_empty() || text == "success" {
        return Ok(ChatOutcome::Swallowed);
    }
    let outer = Fields::read(envelope.format, text).ok_or_else(|| (Fault::WrongFormat, shown()))?;
    let plain = match (outer.get("Encrypt"), envelope.mode) {
        (None, CallbackMode::Safe) => return Err((Fault::NotEncrypted, None)),
        (Some(_), CallbackMode::Plain) => return Err((Fault::Encrypted, None)),
        (None, _) => text.as_bytes().to_vec(),
        (Some(encrypt), _) => opened(envelope, &outer, &encrypt).map_err(|fault| (fault, None))?,
    };
    let inner = std::str::from_utf8(&plain).ok().map(str::trim);
    let fits = inner.is_some_and(|inner| Fields::read(envelope.format, inner).is_some());
    let reply = event::parse(&plain).ok().filter(|_| fits).ok_or((Fault::WrongFormat, None))?;
    if reply.msg_type != "transfer_customer_service" {
        return Err((Fault::OtherReply, Some(reply.msg_type)));
    }
    if reply.to_user != openid || reply.from_user != original_id || reply.create_time <= 0 {
        return Err((Fault::WrongParties, None));
    }
    Ok(ChatOutcome::Transferred)
}

fn opened(envelope: &Envelope, outer: &Fields<'_>, encrypt: &str) -> Result<Vec<u8>, Fault> {
    let field = |name| outer.get(name).ok_or(Fault::BadSignature);
    let (given, timestamp, nonce) = (field("MsgSignature")?, field("TimeStamp")?, field("Nonce")?);
    if !signature::matches(&[&envelope.token, &timestamp, &nonce, encrypt], &given) {
        return Err(Fault::BadSignature);
    }
    let key = envelope.key.as_ref().ok_or(Fault::NotDecrypted)?;
    let decrypted = key.decrypt(encrypt).map_err(|_| Fault::NotDecrypted)?;
    if decrypted.app_id != envelope.appid {
        return Err(Fault::WrongAppid);
    }
    Ok(decrypted.message)
}

/// The fields of an answer, one level deep.
enum Fields<'a> {
    Json(serde_json::Map<String, Value>),
    Xml(&'a str),
}

impl<'a> Fields<'a> {
    /// None where the text is not of the format.
    fn read(format: CallbackFormat, text: &'a str) -> Option<Self> {
        match format {
            CallbackFormat::Json => serde_json::from_str(text).ok().map(Self::Json),
            CallbackFormat::Xml => {
                let inner = text.strip_prefix("<xml>")?.strip_suffix("</xml>")?;
                Some(Self::Xml(inner))
            }
        }
    }

    /// Texts and numbers.
    fn get(&self, name: &str) -> Option<String> {
        match self {
            Self::Json(fields) => match fields.get(name)? {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            },
            Self::Xml(text) => {
                let (_, rest) = text.split_once(&format!("<{name}>"))?;
                let (value, _) = rest.split_once(&format!("</{name}>"))?;
                let value = value.trim();
                let section = value.strip_prefix("<![CDATA[").and_then(|value| value.strip_suffix("]]>"));
                Some(section.unwrap_or(value).to_owned())
            }
        }
    }
}
