//! Reading WeChat's answers leniently, and the common way of every call but `send`: used inside of the client only.
//!
//! Source: official page "服务端能力": `errcode` may be absent on success; SDKs met `errcode` as a text.

use std::fmt;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::Client;
use super::error::CallError;
use super::http::address;

/// Bound of answers in bytes, unless a call says otherwise.
pub(super) const LIMIT: usize = 256 * 1024;
/// Longest text of WeChat's that is kept, in characters.
const MAX_ERRMSG: usize = 1000;

/// What every answer can carry.
#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    errcode: Option<Whole>,
    #[serde(default)]
    errmsg: Option<Text>,
}

/// A call: where it goes, what it carries, and what must not show in an error text.
pub(super) struct Call<'c> {
    pub(super) base: &'c str,
    pub(super) path: &'c str,
    pub(super) query: &'c [(&'c str, &'c str)],
    pub(super) body: Option<Bytes>,
    pub(super) secrets: &'c [&'c str],
    pub(super) limit: usize,
}

impl Client {
    /// Makes a call and reads its answer as `T`, if it is no error.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, CallError> {
        let target = address(call.base, call.path, call.query);
        let body = self.exchange(target, call.body, call.limit).await?;
        let status: Status = object(&body).ok_or(CallError::Malformed)?;
        let errcode = status.errcode.map_or(0, |code| code.0);
        if errcode != 0 {
            let errmsg = errmsg(status.errmsg, call.secrets);
            return Err(CallError::WeChat { errcode, errmsg });
        }
        object(&body).ok_or(CallError::Malformed)
    }

    /// A POST with an access token and a JSON body, as most calls are.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        base: &str,
        path: &str,
        token: &SecretString,
        ask: &impl Serialize,
    ) -> Result<T, CallError> {
        let token = token.expose_secret();
        let (query, secrets) = ([("access_token", token)], [token]);
        self.call(Call { base, path, query: &query, body: body(ask), secrets: &secrets, limit: LIMIT }).await
    }
}

/// Reads a JSON object; none if it is anything else (serde would take an array for a structure).
pub(super) fn object<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace())?;
    if *first == b'{' { serde_json::from_slice(body).ok() } else { None }
}

/// The body of a POST. Plain structures of texts and numbers always serialise.
pub(super) fn body(value: &impl Serialize) -> Option<Bytes> {
    Some(serde_json::to_vec(value).unwrap_or_default().into())
}

/// WeChat's text, cut to a bound and without the secrets of the call, should a server echo them.
pub(super) fn errmsg(text: Option<Text>, secrets: &[&str]) -> String {
    let mut text: String = text.unwrap_or_default().0;
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "[redacted]");
    }
    if let Some((end, _)) = text.char_indices().nth(MAX_ERRMSG) {
        text.truncate(end);
    }
    text
}

/// A whole number, written as a number or as a text. Anything else is an error.
#[derive(Clone, Copy)]
pub(super) struct Whole(pub(super) i64);

/// A text, written as a text or as a number; null is empty.
#[derive(Default, Clone)]
pub(super) struct Text(pub(super) String);

/// A 64-bit id, written as a number or as a text; zero and anything else is none. Never passes through a float.
#[derive(Default, Clone, Copy)]
pub(super) struct Id(pub(super) Option<u64>);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Scalar::deserialize(deserializer)? {
            Scalar::Text(text) => text.trim().parse().map(Self).map_err(D::Error::custom),
            Scalar::Other => Err(D::Error::custom("not a whole number")),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Scalar::deserialize(deserializer)? {
            Scalar::Text(text) => Self(text),
            Scalar::Other => Self::default(),
        })
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Scalar::deserialize(deserializer)? {
            Scalar::Text(text) => Self(text.trim().parse().ok().filter(|id| *id != 0)),
            Scalar::Other => Self(None),
        })
    }
}

/// A text or whole number as text; everything else is told apart only as such.
enum Scalar {
    Text(String),
    Other,
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Text(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Text(number.to_string()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Scalar, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}
