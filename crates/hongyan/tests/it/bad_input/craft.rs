//! Callbacks in every broken form: signed and encrypted as asked for, wrong where the case wants it.

use serde_json::json;
use wechat::callback::crypto::EncodingAesKey;
use wechat::callback::signature;

use crate::world::{AES_KEY, TOKEN};

pub(crate) const SAFE_APP: &str = simulator::SAMPLE_APPID;
pub(crate) const PLAIN_APP: &str = "wx00000000000plain";
/// Stands in every plaintext, and may be seen nowhere but in the inbox.
pub(crate) const MARK: &str = "只有收件箱可见";

/// A request as it goes out.
pub(crate) struct Callback {
    pub(crate) app: &'static str,
    pub(crate) query: String,
    pub(crate) body: Vec<u8>,
}

/// What is wrong with the envelope; the default is nothing.
#[derive(Clone, Copy)]
pub(crate) struct Envelope {
    pub(crate) app_id: &'static str,
    pub(crate) key: &'static str,
    pub(crate) token: &'static str,
    pub(crate) timestamp: i64,
    pub(crate) xml: bool,
}

impl Envelope {
    pub(crate) fn at(timestamp: i64) -> Self {
        Self { app_id: SAFE_APP, key: AES_KEY, token: TOKEN, timestamp, xml: false }
    }

    fn encrypt(&self, plaintext: &[u8]) -> String {
        EncodingAesKey::parse(self.key).unwrap().encrypt(*b"0123456789abcdef", plaintext, self.app_id)
    }

    /// The plaintext in safe mode.
    pub(crate) fn seal(&self, plaintext: impl AsRef<[u8]>) -> Callback {
        self.around(&self.encrypt(plaintext.as_ref()))
    }

    /// This as `Encrypt`, rightly signed.
    pub(crate) fn around(&self, encrypt: &str) -> Callback {
        let body = if self.xml {
            format!("<xml><ToUserName>gh_1</ToUserName><Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>")
        } else {
            json!({ "ToUserName": "gh_1", "Encrypt": encrypt }).to_string()
        };
        self.signed(encrypt, body)
    }

    /// This body, with the signatures that go with `encrypt`.
    pub(crate) fn signed(&self, encrypt: &str, body: impl Into<Vec<u8>>) -> Callback {
        let (timestamp, nonce) = (self.timestamp.to_string(), "1514711492");
        let plain = signature::sign(&[self.token, &timestamp, nonce]);
        let message = signature::sign(&[self.token, &timestamp, nonce, encrypt]);
        let query = format!(
            "signature={plain}&timestamp={timestamp}&nonce={nonce}&encrypt_type=aes&msg_signature={message}"
        );
        Callback { app: SAFE_APP, query, body: body.into() }
    }

    /// This body in plaintext mode, to the app that takes it.
    pub(crate) fn plain(&self, body: impl Into<Vec<u8>>) -> Callback {
        Callback { app: PLAIN_APP, ..self.signed("", body) }
    }

    /// A plaintext whose first 48 bytes are exactly these (16 random ones, the length, 28 of the message), cut off there:
    /// what the receiver decrypts ends in the middle, so the message's own bytes stand where padding should.
    pub(crate) fn cut_after(&self, message: &[u8; 28]) -> Callback {
        let whole = self.encrypt(&[message.as_slice(), MARK.as_bytes()].concat());
        // 48 bytes of ciphertext are 64 characters of base64, without padding.
        self.around(&whole[..64])
    }
}

/// An accept of `template` by `openid`, as JSON.
pub(crate) fn accept(openid: &str, template: &str, at: i64) -> String {
    json!({ "ToUserName": "gh_1", "FromUserName": openid, "CreateTime": at, "MsgType": "event",
        "Event": "subscribe_msg_popup_event", "Note": MARK,
        "List": { "PopupScene": "0", "SubscribeStatusString": "accept", "TemplateId": template } })
    .to_string()
}

/// Accepts in one event, as short as can be.
pub(crate) fn many(openid: &str, count: usize, at: i64) -> String {
    let item = r#"{"TemplateId":"T","ErrorCode":0}"#;
    let list = vec![item; count].join(",");
    format!(
        r#"{{"FromUserName":"{openid}","CreateTime":{at},"MsgType":"event","Event":"subscribe_msg_sent_event","Note":"{MARK}","List":[{list}]}}"#
    )
}

/// XML this deep.
pub(crate) fn deep(levels: usize) -> String {
    format!("<xml>{}{MARK}{}</xml>", "<a>".repeat(levels), "</a>".repeat(levels))
}

/// An event with a document type whose entity would be read, or a well-known file.
pub(crate) fn entities(openid: &str, at: i64) -> String {
    format!(
        "<!DOCTYPE xml [<!ENTITY a \"{MARK}\"><!ENTITY b SYSTEM \"file:///etc/hostname\">]><xml><FromUserName>{openid}</FromUserName>\
         <CreateTime>{at}</CreateTime><MsgType>event</MsgType><Event>subscribe_msg_popup_event</Event>\
         <SubscribeMsgPopupEvent><List><TemplateId>&b;</TemplateId><SubscribeStatusString>accept</SubscribeStatusString>\
         </List></SubscribeMsgPopupEvent></xml>"
    )
}
