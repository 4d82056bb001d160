//! The send call: used by the dispatcher, which must know of every call whether it happened.
//!
//! Source: official page "发送订阅消息" (POST /cgi-bin/message/subscribe/send).

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use super::Client;
use super::error::{Fault, NoAnswer, NotSent};
use super::http::{UnderWay, address};
use super::json::{Id, Text, Whole, errmsg, object};
use crate::callback::UnknownWord;

const PATH: &str = "/cgi-bin/message/subscribe/send";
const LIMIT: usize = 64 * 1024;

/// Which version of the mini program a tap on the card opens (跳转小程序类型).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MiniProgramState {
    /// 开发版.
    Developer,
    /// 体验版.
    Trial,
    /// 正式版, WeChat's default.
    #[default]
    Formal,
}

/// The language of the card's fixed words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum CardLang {
    /// 简体中文, WeChat's default.
    #[default]
    #[serde(rename = "zh_CN")]
    ZhCn,
    /// English.
    #[serde(rename = "en_US")]
    EnUs,
    /// 繁體中文（香港）.
    #[serde(rename = "zh_HK")]
    ZhHk,
    /// 繁體中文（台灣）.
    #[serde(rename = "zh_TW")]
    ZhTw,
}

/// One message to one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendRequest {
    /// The openid of the user in this mini program.
    pub to_user: String,
    /// The template.
    pub template_id: String,
    /// The page that a tap opens, with a query if wanted; leading slashes are stripped. Without it the card does not jump.
    pub page: Option<String>,
    /// The values by key (`thing8`).
    pub data: BTreeMap<String, String>,
    /// The version of the mini program to open. Always sent: the 2026 page calls it required.
    pub miniprogram_state: MiniProgramState,
    /// The language. Always sent: the 2026 page calls it required.
    pub lang: CardLang,
}

/// What became of a send call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendAnswer {
    /// WeChat answered. What a code means: [`errcode::class`](crate::errcode::class()).
    Answered {
        /// 0 = accepted.
        errcode: i64,
        /// WeChat's text, with its rid.
        errmsg: String,
        /// The id by which the sent event speaks of this message; WeChat does not always give one.
        msgid: Option<u64>,
    },
    /// Provably no byte of the request was written: it can be sent again.
    NotSent(NotSent),
    /// No usable answer: the message may have been sent.
    NoAnswer(NoAnswer),
}

impl MiniProgramState {
    /// WeChat's word: `developer`, `trial` or `formal`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Developer => "developer",
            Self::Trial => "trial",
            Self::Formal => "formal",
        }
    }
}

impl FromStr for MiniProgramState {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let all = [Self::Developer, Self::Trial, Self::Formal];
        let found = all.into_iter().find(|state| state.as_str() == word);
        found.ok_or(UnknownWord { expected: "developer, trial, formal" })
    }
}

impl CardLang {
    /// WeChat's word: `zh_CN`, `en_US`, `zh_HK` or `zh_TW`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ZhCn => "zh_CN",
            Self::EnUs => "en_US",
            Self::ZhHk => "zh_HK",
            Self::ZhTw => "zh_TW",
        }
    }
}

impl FromStr for CardLang {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let all = [Self::ZhCn, Self::EnUs, Self::ZhHk, Self::ZhTw];
        let found = all.into_iter().find(|lang| lang.as_str() == word);
        found.ok_or(UnknownWord { expected: "zh_CN, en_US, zh_HK, zh_TW" })
    }
}

/// The body of the call.
#[derive(Serialize)]
struct Wire<'r> {
    touser: &'r str,
    template_id: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<&'r str>,
    #[serde(serialize_with = "values")]
    data: &'r BTreeMap<String, String>,
    miniprogram_state: MiniProgramState,
    lang: CardLang,
}

/// Writes `{"thing8": {"value": "…"}}`.
fn values<S: Serializer>(data: &BTreeMap<String, String>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Value<'v> {
        value: &'v str,
    }
    serializer.collect_map(data.iter().map(|(key, value)| (key, Value { value })))
}

impl SendRequest {
    /// Gives the body of the call, to be made beforehand and sent with [`Client::send_bytes`].
    pub fn to_bytes(&self) -> Bytes {
        let page = self.page.as_deref().map(|page| page.trim_start_matches('/'));
        let wire = Wire {
            touser: &self.to_user,
            template_id: &self.template_id,
            page: page.filter(|page| !page.is_empty()),
            data: &self.data,
            miniprogram_state: self.miniprogram_state,
            lang: self.lang,
        };
        // Texts and enums always serialise.
        serde_json::to_vec(&wire).unwrap_or_default().into()
    }
}

impl Client {
    /// Sends one message. `base` is the address of WeChat's server, as [`WECHAT`](super::WECHAT).
    ///
    /// There is no idempotency key at WeChat and no retry here: each call can deliver once.
    pub async fn send(&self, base: &str, token: &SecretString, request: &SendRequest) -> SendAnswer {
        self.send_bytes(base, token, request.to_bytes()).await
    }

    /// As [`send`](Self::send), with a body that was made beforehand.
    pub async fn send_bytes(&self, base: &str, token: &SecretString, body: Bytes) -> SendAnswer {
        let token = token.expose_secret();
        let target = address(base, PATH, &[("access_token", token)]);
        told(self.exchange(target, Some(body), LIMIT).await, token)
    }

    /// As [`send`](Self::send); where the time for the call runs out ([`NoAnswer::Timeout`]) the call comes back too, still
    /// under way, for whoever wants to hear a late answer.
    pub async fn send_patiently(
        &self,
        base: &str,
        token: &SecretString,
        request: &SendRequest,
    ) -> (SendAnswer, Option<Overdue>) {
        let target = address(base, PATH, &[("access_token", token.expose_secret())]);
        match self.patient_exchange(target, Some(request.to_bytes()), LIMIT).await {
            Ok(answer) => (told(answer, token.expose_secret()), None),
            Err(call) => {
                let overdue = Overdue { call, token: token.clone() };
                (SendAnswer::NoAnswer(NoAnswer::Timeout), Some(overdue))
            }
        }
    }
}

/// A send call that has not been answered in time and is still under way. Dropping it closes its connection.
pub struct Overdue {
    call: UnderWay,
    token: SecretString,
}

impl Overdue {
    /// Waits for the answer so much longer; [`NoAnswer::Timeout`] where it does not come.
    pub async fn answer(self, patience: Duration) -> SendAnswer {
        match tokio::time::timeout(patience, self.call).await {
            Ok(answer) => told(answer, self.token.expose_secret()),
            Err(_) => SendAnswer::NoAnswer(NoAnswer::Timeout),
        }
    }
}

impl std::fmt::Debug for Overdue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overdue").finish_non_exhaustive()
    }
}

fn told(answer: Result<Bytes, Fault>, token: &str) -> SendAnswer {
    match answer {
        Ok(answer) => read(&answer, token),
        Err(Fault::NotSent(why)) => SendAnswer::NotSent(why),
        Err(Fault::NoAnswer(why)) => SendAnswer::NoAnswer(why),
    }
}

/// Reads the answer. An object with none of `errcode`, `errmsg` and `msgid` is not WeChat's, and promises nothing; nor
/// does an `errmsg` alone that says anything but `ok`: a proxy's trouble must not pass for an accepted message.
fn read(answer: &[u8], token: &str) -> SendAnswer {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        errcode: Option<Whole>,
        #[serde(default)]
        errmsg: Option<Text>,
        #[serde(default)]
        msgid: Option<Id>,
    }
    match object::<Answer>(answer) {
        None => SendAnswer::NoAnswer(NoAnswer::NotJson),
        Some(Answer { errcode: None, errmsg, msgid: None })
            if errmsg.as_ref().is_none_or(|said| !said.0.trim().eq_ignore_ascii_case("ok")) =>
        {
            SendAnswer::NoAnswer(NoAnswer::NotJson)
        }
        Some(answer) => SendAnswer::Answered {
            errcode: answer.errcode.map_or(0, |code| code.0),
            errmsg: errmsg(answer.errmsg, &[token]),
            msgid: answer.msgid.unwrap_or_default().0,
        },
    }
}
