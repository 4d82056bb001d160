//! What happened: the answers of `/_sim/apps/{appid}/records`, `/counters`, `/verify`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::FaultKind;

/// One send call, newest first in lists.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SendView {
    pub at: i64,
    pub openid: String,
    pub template_id: String,
    pub page: String,
    pub data: Value,
    pub errcode: i32,
    pub errmsg: String,
    /// As text; none where nothing was sent.
    pub msgid: Option<String>,
    /// What went wrong on purpose: then the caller may have been told something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultKind>,
}

/// `GET …/accepted`: every send accepted since the app has `keep_accepted`, told apart by whom it was for, its
/// template, its page and its data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Accepted {
    pub accepted: u64,
    pub distinct: u64,
    /// Those accepted more than once; a proof holds where this is empty.
    pub twice: Vec<AcceptedTwice>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AcceptedTwice {
    pub openid: String,
    pub template_id: String,
    pub page: String,
    pub data: Value,
    /// One for each time.
    pub msgids: Vec<String>,
}

/// One attempt to push to the app.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallbackAttempt {
    pub at: i64,
    pub openid: String,
    /// The event's name, or `text`.
    pub event: String,
    /// From 1.
    pub attempt: u32,
    /// None: no HTTP answer came.
    pub status: Option<u16>,
    /// The first 2,048 bytes of the answer.
    pub body: String,
    pub latency_ms: u64,
    pub error: Option<String>,
    /// What was pushed, before encryption.
    pub plaintext: String,
}

/// One change of a balance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GrantChange {
    pub at: i64,
    pub openid: String,
    pub template_id: String,
    pub delta: i64,
    pub left: u32,
    pub cause: GrantCause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantCause {
    Accepted,
    Sent,
    Refused,
    Seeded,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Records<T> {
    pub items: Vec<T>,
}

/// Exact since the app was added, whatever the records still hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Send calls that named this app's token, by errcode as text; `"0"` were sent.
    pub sends: BTreeMap<String, u64>,
    pub send_calls: u64,
    pub callback_attempts: u64,
    pub callbacks_delivered: u64,
    /// Given up after the last try.
    pub callbacks_failed: u64,
    pub receipts_waiting: u64,
    pub grants_added: u64,
    pub grants_spent: u64,
    pub grants_taken: u64,
    pub tokens_issued: u64,
    pub forced_refreshes: u64,
    pub quota_used_today: u64,
    /// Faults that happened, by kind.
    #[serde(default)]
    pub faults: BTreeMap<String, u64>,
    /// Sends whose caller a fault left without knowing whether they took effect.
    #[serde(default)]
    pub ambiguous: u64,
    /// Those of them that did.
    #[serde(default)]
    pub ambiguous_with_effect: u64,
    /// Sends whose caller went away before the answer, with or without a fault.
    #[serde(default)]
    pub hung_up: u64,
}

/// The GET verification, as WeChat's console does it when the form is submitted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verification {
    pub ok: bool,
    pub status: Option<u16>,
    pub body: String,
    pub reason: Option<String>,
}
