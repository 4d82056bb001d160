//! Reads what a push says: used after [`open`](super::open()) by whoever keeps grants and receipts.
//!
//! Source: official page "订阅消息" (developers.weixin.qq.com/miniprogram/dev/framework/open-ability/subscribe-message.html)
//! for the three subscribe events; "接收消息和事件" for the common fields. The pages and real captures disagree on the
//! shape: `List` is an object for one item and an array for several; it stands at top level in JSON, inside
//! `SubscribeMsg…Event` in XML and in older JSON samples; numbers come as numbers or as text. All of these are read.

mod items;

use super::tree::{Node, TreeError};

/// What is common to every push, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// `ToUserName`: the mini program's original id (`gh_…`). Empty for pushes to a third-party platform.
    pub to_user: String,
    /// `FromUserName`: the user's openid; for some system events a name of the platform's own.
    pub from_user: String,
    /// `CreateTime` in Unix seconds; 0 where a push other than the three subscribe events has none.
    pub create_time: i64,
    /// `MsgType`: `event` or the kind of a customer-service message. Empty for pushes to a third-party platform.
    pub msg_type: String,
    /// `Event`, or `InfoType` for pushes to a third-party platform.
    pub event: Option<String>,
    /// `MsgId` of customer-service messages (64 bits).
    pub msg_id: Option<u64>,
    /// `OpenID`: whom `user_info_modified`, `user_authorization_revoke` and `user_authorization_cancellation` are about.
    /// `FromUserName` of these is a name of the platform's own. Source: official pages under "事件通知".
    pub open_id: Option<String>,
    /// `RevokeInfo` of `user_authorization_revoke`: the code of what the user took back, as WeChat writes it.
    pub revoke_info: Option<String>,
    /// What it is about.
    pub kind: Kind,
}

/// What a push is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `subscribe_msg_popup_event`: the user answered the subscribe popup.
    Popup(Vec<PopupItem>),
    /// `subscribe_msg_change_event`: the user changed a template's switch (WeChat pushes refusals only).
    Change(Vec<ChangeItem>),
    /// `subscribe_msg_sent_event`: what became of sent messages.
    Sent(Vec<SentItem>),
    /// Any other event, by its name: answer `success`.
    OtherEvent(String),
    /// Not an event but a customer-service message (MsgType text, image …), which `success` would swallow.
    CustomerService,
    /// Neither an event with a name nor a message: answer `success`.
    Unknown,
}

/// One template of a popup event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PopupItem {
    /// The template.
    pub template_id: String,
    /// What the user chose.
    pub decision: Decision,
    /// `PopupScene`: `0` = inside a page of the mini program. Other values are not documented for mini programs.
    pub scene: Option<String>,
}

/// One template of a change event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeItem {
    /// The template.
    pub template_id: String,
    /// What the user chose; only refusals are documented.
    pub decision: Decision,
}

/// The meaning of `SubscribeStatusString`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// `accept`, or any other word that begins so (`acceptWithAudio`, `acceptWithAlert` occur in the client's results).
    Accept,
    /// `reject`.
    Reject,
    /// Any other word: no decision.
    Other(String),
}

/// One sent message of a sent event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentItem {
    /// The template.
    pub template_id: String,
    /// `MsgID`, the `msgid` of the send call's answer (where that gave one).
    pub msg_id: Option<u64>,
    /// `ErrorCode`: 0 = delivered. Non-zero means that WeChat's own delivery failed; the list of values is not published.
    pub error_code: i64,
    /// `ErrorStatus`: `success`, or a text.
    pub error_status: String,
}

/// Why a plain body is no push that can be read. Never holds parts of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not JSON or XML, or beyond the bounds.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// This field is missing or empty.
    #[error("the field {0} is missing")]
    Missing(&'static str),
    /// This field is not the number that it has to be.
    #[error("the field {0} is not a number")]
    NotANumber(&'static str),
    /// More items than [`MAX_ITEMS`](super::MAX_ITEMS).
    #[error("the event has too many items")]
    TooManyItems,
}

impl Decision {
    /// Reads `SubscribeStatusString` (or a client-side result).
    pub fn read(word: &str) -> Self {
        if word.starts_with("accept") {
            Self::Accept
        } else if word == "reject" {
            Self::Reject
        } else {
            Self::Other(word.to_owned())
        }
    }

    /// The word: `accept`, `reject`, or the other one.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Other(word) => word,
        }
    }
}

/// Reads a verified, decrypted body.
///
/// Customer-service messages, unknown events and pushes to a third-party platform are read as far as their common
/// fields. The three subscribe events must be complete.
///
/// # Errors
/// [`ParseError`] for what is not JSON or XML, lacks `MsgType` (and `InfoType`), or is a subscribe event without
/// `FromUserName`, `CreateTime` or a readable list.
pub fn parse(plaintext: &[u8]) -> Result<Push, ParseError> {
    let (_, tree) = Node::read(plaintext)?;
    let text = |name: &str| tree.text(name).map(str::trim).filter(|text| !text.is_empty());
    let info_type = text("InfoType");
    let msg_type = match (text("MsgType"), info_type) {
        (Some(word), _) => word.to_owned(),
        (None, Some(_)) => String::new(),
        (None, None) => return Err(ParseError::Missing("MsgType")),
    };
    let is_event = msg_type.eq_ignore_ascii_case("event") || msg_type.is_empty();
    let event = text("Event").or(info_type);
    let kind = match event {
        _ if !is_event => Kind::CustomerService,
        None => Kind::Unknown,
        Some("subscribe_msg_popup_event") => Kind::Popup(items::popup(&tree)?),
        Some("subscribe_msg_change_event") => Kind::Change(items::change(&tree)?),
        Some("subscribe_msg_sent_event") => Kind::Sent(items::sent(&tree)?),
        Some(other) => Kind::OtherEvent(other.to_owned()),
    };
    let strict = matches!(kind, Kind::Popup(_) | Kind::Change(_) | Kind::Sent(_));
    let from_user = text("FromUserName");
    let create_time = match text("CreateTime") {
        Some(digits) => digits.parse().map_err(|_| ParseError::NotANumber("CreateTime")),
        None => Err(ParseError::Missing("CreateTime")),
    };
    if strict && from_user.is_none() {
        return Err(ParseError::Missing("FromUserName"));
    }
    Ok(Push {
        to_user: text("ToUserName").unwrap_or_default().to_owned(),
        from_user: from_user.unwrap_or_default().to_owned(),
        create_time: if strict { create_time? } else { create_time.unwrap_or(0) },
        msg_type,
        event: event.map(str::to_owned),
        msg_id: text("MsgId").and_then(|digits| digits.parse().ok()),
        open_id: text("OpenID").map(str::to_owned),
        revoke_info: text("RevokeInfo").map(str::to_owned),
        kind,
    })
}
