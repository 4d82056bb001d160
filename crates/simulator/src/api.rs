//! The JSON of the control API under `/_sim`. Used by its handlers, by the phone page, and typed by the
//! demo, tests and benches.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::Value;

mod faults;
mod records;
mod users;

pub use faults::*;
pub use records::*;
pub use users::*;

/// `PUT /_sim/apps/{appid}`: a mini program as WeChat's console would describe it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppSpec {
    pub name: String,
    pub secret: String,
    /// `gh_…`, the `ToUserName` of callbacks.
    pub original_id: String,
    #[serde(default)]
    pub callback: Option<CallbackSpec>,
    #[serde(default)]
    pub templates: Vec<TemplateSpec>,
    /// Send calls a day (Asia/Shanghai); none: without end.
    #[serde(default)]
    pub daily_quota: Option<u64>,
    /// Whether a send's answer names the msgid, as WeChat's sometimes does and sometimes does not.
    #[serde(default = "yes")]
    pub answer_msgid: bool,
    /// How long a send call takes. Its effect comes first, so a caller that gives up leaves it done.
    #[serde(default)]
    pub latency_ms: u64,
    /// How long after the answer `subscribe_msg_sent_event` comes.
    #[serde(default = "receipt_delay")]
    pub receipt_delay_ms: u64,
    /// Whether it comes at all.
    #[serde(default = "yes")]
    pub receipts: bool,
    /// The least time between two forced refreshes of the token (45011 otherwise); 0: not looked at.
    #[serde(default)]
    pub forced_refresh_gap_ms: u64,
    /// Keeps every accepted send, without end, for the proof that none was accepted twice. For tests.
    #[serde(default)]
    pub keep_accepted: bool,
    /// The address of an H5 build that the phone shows in place of its own page: absolute, or below the simulator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mini_program: Option<String>,
}

fn yes() -> bool {
    true
}

fn receipt_delay() -> u64 {
    100
}

impl AppSpec {
    /// An app without callback and templates, everything else as WeChat has it.
    pub fn new(name: &str, secret: &str, original_id: &str) -> Self {
        Self {
            name: name.to_owned(),
            secret: secret.to_owned(),
            original_id: original_id.to_owned(),
            callback: None,
            templates: Vec::new(),
            daily_quota: None,
            answer_msgid: true,
            latency_ms: 0,
            receipt_delay_ms: receipt_delay(),
            receipts: true,
            forced_refresh_gap_ms: 0,
            keep_accepted: false,
            mini_program: None,
        }
    }
}

/// Without the secret.
impl fmt::Debug for AppSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppSpec")
            .field("name", &self.name)
            .field("original_id", &self.original_id)
            .field("callback", &self.callback)
            .field("templates", &self.templates)
            .finish_non_exhaustive()
    }
}

/// Where and how WeChat pushes: the five fields of its form.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallbackSpec {
    pub url: String,
    pub token: String,
    /// EncodingAESKey, 43 characters; not needed in plaintext mode.
    #[serde(default)]
    pub aes_key: String,
    pub mode: CallbackMode,
    pub format: CallbackFormat,
}

/// Without token and key.
impl fmt::Debug for CallbackSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackSpec")
            .field("url", &self.url)
            .field("mode", &self.mode)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// 消息加解密方式 and 数据格式.
pub use wechat::callback::{Format as CallbackFormat, Mode as CallbackMode};

/// A template of the app (我的模板).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateSpec {
    pub id: String,
    pub title: String,
    #[serde(rename = "type")]
    pub kind: TemplateKind,
    /// Lines `标签:{{thing1.DATA}}`.
    pub content: String,
    #[serde(default)]
    pub example: String,
    /// What the fields of kind enum may hold, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub enums: BTreeMap<String, Vec<String>>,
}

/// 一次性订阅, 长期订阅.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateKind {
    OneTime,
    LongTerm,
}

/// An app as `GET /_sim/apps` shows it: no secrets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AppView {
    pub appid: String,
    pub name: String,
    pub original_id: String,
    pub callback: Option<CallbackView>,
    pub templates: Vec<TemplateView>,
    pub mini_program: Option<String>,
    pub users: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallbackView {
    pub url: String,
    pub mode: CallbackMode,
    pub format: CallbackFormat,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TemplateView {
    pub id: String,
    pub title: String,
    #[serde(rename = "type")]
    pub kind: TemplateKind,
    pub fields: Vec<FieldView>,
    pub example: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FieldView {
    pub key: String,
    pub label: String,
}

/// `PUT /_sim/apps/{appid}/mini-program`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MiniProgram {
    /// None: the phone's own page.
    pub url: Option<String>,
}

/// `GET /_sim/apps`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AppList {
    pub items: Vec<AppView>,
    pub base_url: Option<String>,
}

/// What a refused control call answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Problem {
    pub error: String,
}

/// One thing that happened, as `GET /_sim/events` streams it (the SSE event name is `kind`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LiveEvent {
    pub kind: String,
    pub appid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openid: Option<String>,
    pub data: Value,
}
