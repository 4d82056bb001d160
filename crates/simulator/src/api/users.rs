//! People and what they decide: the bodies of `/_sim/apps/{appid}/users…`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::TemplateKind;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Made up when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Created {
    pub openid: String,
}

/// Many users at once, with grants that no popup gave: for benches and tests, pushes nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    pub openids: Vec<String>,
    #[serde(default)]
    pub grants: BTreeMap<String, u32>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seeded {
    pub users: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Accept,
    Reject,
}

impl Decision {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
        }
    }
}

/// The request popup, answered: one `subscribe_msg_popup_event` with all its templates.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Popup {
    pub decisions: BTreeMap<String, Decision>,
    /// 总是保持以上选择，不再询问
    #[serde(default)]
    pub always_keep: bool,
}

/// The settings page: `{"TEMPLATE": "reject", "main_switch": true}`. A change to reject takes all grants and
/// pushes `subscribe_msg_change_event`; a change to accept pushes nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SettingsChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main_switch: Option<bool>,
    #[serde(flatten)]
    pub templates: BTreeMap<String, Decision>,
}

/// What `wx.login` gives: for jscode2session, once, within five minutes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoginCode {
    pub code: String,
}

/// A word to customer service.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chat {
    pub text: String,
}

/// A word to customer service, and whether it got there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChatView {
    pub at: i64,
    pub openid: String,
    pub text: String,
    pub outcome: ChatOutcome,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ChatFault>,
    /// The error or the answer's beginning, where that tells more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How often it was pushed.
    pub attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatOutcome {
    /// Answered with `transfer_customer_service`: customer service sees it.
    Transferred,
    /// Answered `success` or with nothing: nobody will ever see it.
    Swallowed,
    /// No answer, or one that WeChat cannot use: the phone says 该小程序客服暂时无法提供服务.
    Failed,
    /// The app has no message push: it goes to customer service by itself.
    Direct,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatFault {
    /// Nothing came, or another status than 200, in every try.
    NoAnswer,
    /// Neither `success` nor JSON or XML as the push was.
    WrongFormat,
    /// In safe mode the answer must be encrypted.
    NotEncrypted,
    /// In plain mode it must not.
    Encrypted,
    BadSignature,
    NotDecrypted,
    WrongAppid,
    /// ToUserName must be the person, FromUserName the mini program.
    WrongParties,
    /// Not `transfer_customer_service`: other answers are for official accounts.
    OtherReply,
}

/// What a person does in the settings with what was allowed to the mini program.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
pub enum Authorization {
    /// 取消授权, pushed as `user_authorization_revoke`. `info` is WeChat's RevokeInfo, numbers with commas.
    Revoke { info: String },
    /// 注销, pushed as `user_authorization_cancellation`; the person is no user of the app any more.
    Cancel,
}

/// Any event, as WeChat may invent it tomorrow.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherEvent {
    pub event: String,
    /// At top level, beside the usual ones.
    #[serde(default)]
    pub fields: serde_json::Map<String, serde_json::Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserList {
    pub items: Vec<UserSummary>,
    /// Of the whole app; the list is cut at 200.
    pub total: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserSummary {
    pub openid: String,
    pub nickname: String,
}

/// `GET /_sim/apps/{appid}/users/{openid}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserView {
    pub openid: String,
    pub nickname: String,
    pub main_switch: bool,
    pub subscriptions: Vec<SubscriptionView>,
    /// Newest first.
    pub cards: Vec<CardView>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubscriptionView {
    pub template_id: String,
    pub title: String,
    #[serde(rename = "type")]
    pub kind: TemplateKind,
    /// Sends still allowed; 0 for a long-term template, whose status decides.
    pub grants: u32,
    /// The last decision, if there was one.
    pub status: Option<Decision>,
    /// 拒收: refused in the settings or on a card.
    pub refused: bool,
    /// The choice that is kept, so that the popup stays away.
    pub always_keep: Option<Decision>,
}

/// A card in 服务通知.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CardView {
    pub template_id: String,
    pub title: String,
    pub fields: Vec<CardField>,
    pub page: String,
    pub at: i64,
    /// As text: it lies above 2^53.
    pub msgid: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardField {
    pub key: String,
    pub label: String,
    pub value: String,
}
