//! From a plaintext to the request WeChat makes: query with signatures, body by mode.

use serde_json::json;
use wechat::callback::{crypto::EncodingAesKey, signature::sign};

use super::content::text_tag;
use crate::{
    api::{CallbackFormat, CallbackMode, CallbackSpec},
    state::{Chance, Refusal},
};

/// The app's push settings, prepared.
pub(crate) struct Envelope {
    pub(super) appid: String,
    url: String,
    pub(super) token: String,
    pub(super) key: Option<EncodingAesKey>,
    pub(super) mode: CallbackMode,
    pub(crate) format: CallbackFormat,
}

/// One request, ready to go.
pub(crate) struct Letter {
    pub(crate) uri: String,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

impl Envelope {
    pub(crate) fn new(appid: &str, spec: &CallbackSpec) -> Result<Self, Refusal> {
        if !spec.url.starts_with("http://") {
            return Err(Refusal::Invalid("the callback URL must begin with http://".to_owned()));
        }
        if spec.url.parse::<http::Uri>().is_err() {
            return Err(Refusal::Invalid("the callback URL is malformed".to_owned()));
        }
        let key = match spec.mode {
            CallbackMode::Plain => None,
            CallbackMode::Compat | CallbackMode::Safe => {
                let key = EncodingAesKey::parse(&spec.aes_key);
                Some(key.map_err(|_| Refusal::Invalid("the EncodingAESKey is malformed".to_owned()))?)
            }
        };
        Ok(Self {
            appid: appid.to_owned(),
            url: spec.url.clone(),
            token: spec.token.clone(),
            key,
            mode: spec.mode,
            format: spec.format,
        })
    }

    /// `full` writes the plain fields with `Encrypt` beside them, for compatible mode.
    pub(crate) fn seal(
        &self,
        chance: &Chance,
        now_s: i64,
        openid: &str,
        original_id: &str,
        plaintext: &str,
        full: impl FnOnce(&str) -> String,
    ) -> Letter {
        let (timestamp, nonce) = (now_s.to_string(), chance.nonce());
        let mut query = self.query(&timestamp, &nonce);
        query.push_str("&openid=");
        query.push_str(openid);
        let body = match &self.key {
            None => plaintext.to_owned(),
            Some(key) => {
                let encrypt = key.encrypt(chance.prefix(), plaintext.as_bytes(), &self.appid);
                let msg_signature = sign(&[&self.token, &timestamp, &nonce, &encrypt]);
                query.push_str("&encrypt_type=aes&msg_signature=");
                query.push_str(&msg_signature);
                match (self.mode, self.format) {
                    (CallbackMode::Compat, _) => full(&encrypt),
                    (_, CallbackFormat::Json) => {
                        json!({"ToUserName": original_id, "Encrypt": encrypt}).to_string()
                    }
                    (_, CallbackFormat::Xml) => {
                        let mut xml = String::from("<xml>");
                        text_tag(&mut xml, "ToUserName", original_id);
                        text_tag(&mut xml, "Encrypt", &encrypt);
                        xml.push_str("</xml>");
                        xml
                    }
                }
            }
        };
        let content_type = match self.format {
            CallbackFormat::Json => "application/json",
            CallbackFormat::Xml => "text/xml",
        };
        Letter { uri: self.with(&query), content_type, body }
    }

    /// The address of the GET verification.
    pub(crate) fn verification(&self, now_s: i64, nonce: &str, echostr: &str) -> String {
        let query = self.query(&now_s.to_string(), nonce);
        self.with(&format!("{query}&echostr={echostr}"))
    }

    fn query(&self, timestamp: &str, nonce: &str) -> String {
        let signature = sign(&[&self.token, timestamp, nonce]);
        format!("signature={signature}&timestamp={timestamp}&nonce={nonce}")
    }

    fn with(&self, query: &str) -> String {
        let join = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{join}{query}", self.url)
    }
}
