//! Pushes as WeChat makes them, with whatever keys, in every mode and format.

use domain::Clock;
use serde_json::{Value, json};
use simulator::SAMPLE_APPID;
use wechat::callback::crypto::EncodingAesKey;
use wechat::callback::reply::{self, Reply as Answer};
use wechat::callback::{Format, Keys, Mode, signature};

use crate::http::Reply;
use crate::world::{AES_KEY, TOKEN, USER, World};

/// What a push is signed and encrypted with.
#[derive(Clone)]
pub(crate) struct Sealing {
    pub(crate) token: &'static str,
    pub(crate) aes_key: &'static str,
    /// What stands in the trailer.
    pub(crate) app_id: &'static str,
    pub(crate) mode: Mode,
    pub(crate) format: Format,
}

impl Sealing {
    /// As the world's app is registered.
    pub(crate) fn registered() -> Self {
        Self { token: TOKEN, aes_key: AES_KEY, app_id: SAMPLE_APPID, mode: Mode::Safe, format: Format::Json }
    }

    pub(crate) fn keys(&self) -> Keys {
        Keys {
            app_id: self.app_id.to_owned(),
            token: self.token.into(),
            aes_key: Some(EncodingAesKey::parse(self.aes_key).unwrap()),
            mode: self.mode,
        }
    }

    /// Query and body of a push of `fields` at the world's present moment.
    pub(crate) fn push(&self, world: &World, fields: &Value) -> (String, String) {
        let timestamp = (world.clock.now() / 1_000).to_string();
        let nonce = (world.chance() % 1_000_000_000).to_string();
        let plain = written(self.format, fields);
        let signed = signature::sign(&[self.token, &timestamp, &nonce]);
        let query = format!("signature={signed}&timestamp={timestamp}&nonce={nonce}&openid={USER}");
        if self.mode == Mode::Plain {
            return (query, plain);
        }
        let mut random = [0; 16];
        random[..8].copy_from_slice(&world.chance().to_be_bytes());
        let encrypted =
            EncodingAesKey::parse(self.aes_key).unwrap().encrypt(random, plain.as_bytes(), self.app_id);
        let signed = signature::sign(&[self.token, &timestamp, &nonce, &encrypted]);
        let mut outer = match self.mode {
            Mode::Compat => fields.clone(),
            _ => json!({ "ToUserName": "gh_ea84a199bf81" }),
        };
        outer["Encrypt"] = encrypted.into();
        (format!("{query}&encrypt_type=aes&msg_signature={signed}"), written(self.format, &outer))
    }

    /// Pushes, and gives the answer.
    pub(crate) async fn send(&self, world: &World, fields: &Value) -> Reply {
        let (query, body) = self.push(world, fields);
        world.post_callback(&query, body).await
    }

    /// The query of a verification with this token.
    pub(crate) fn verification(&self, world: &World) -> String {
        let timestamp = (world.clock.now() / 1_000).to_string();
        let signed = signature::sign(&[self.token, &timestamp, "77"]);
        format!("signature={signed}&timestamp={timestamp}&nonce=77&echostr=hello")
    }

    /// What an answer says to WeChat, opened with these keys.
    pub(crate) fn read(&self, answer: &Reply) -> Option<Value> {
        match reply::read(&self.keys(), answer.text.as_bytes()).unwrap() {
            Answer::Taken => None,
            Answer::Content { plaintext, .. } => Some(
                serde_json::from_slice(&plaintext)
                    .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&plaintext).into_owned())),
            ),
        }
    }
}

/// An accept in the popup, as the events' documents show it.
pub(crate) fn accept(world: &World, template: &str) -> Value {
    json!({ "ToUserName": "gh_ea84a199bf81", "FromUserName": USER, "CreateTime": world.clock.now() / 1_000,
        "MsgType": "event", "Event": "subscribe_msg_popup_event", "List": { "PopupScene": "0",
            "SubscribeStatusString": "accept", "TemplateId": template } })
}

/// What a user writes to customer service.
pub(crate) fn chat(world: &World, text: &str) -> Value {
    json!({ "ToUserName": "gh_ea84a199bf81", "FromUserName": USER, "CreateTime": world.clock.now() / 1_000,
        "MsgType": "text", "Content": text, "MsgId": world.chance() >> 2 })
}

fn written(format: Format, fields: &Value) -> String {
    match format {
        Format::Json => fields.to_string(),
        Format::Xml => {
            let mut fields = fields.clone();
            // XML nests the list in an element of the event's own.
            if let Some(list) = fields.as_object_mut().and_then(|fields| fields.remove("List")) {
                fields["SubscribeMsgPopupEvent"] = json!({ "List": list });
            }
            format!("<xml>{}</xml>", elements(&fields))
        }
    }
}

fn elements(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("<{name}>{}</{name}>", elements(value))).collect()
        }
        Value::String(text) => format!("<![CDATA[{text}]]>"),
        other => other.to_string(),
    }
}
