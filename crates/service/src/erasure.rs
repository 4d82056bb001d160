//! Erasing a person (I17): what WeChat's events demand, and what the API is asked for. The engine does it.
//!
//! Source: official page "授权用户信息变更" (under 事件通知): when a user takes back what they gave, what was taken back is
//! to be deleted; when a user's account is closed, everything of theirs is.

use serde::{Deserialize, Serialize};
use wechat::callback::event::{Kind, Push};

/// What is to be erased of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", content = "kinds", rename_all = "snake_case")]
pub enum What {
    /// Everything.
    Person,
    /// The values of all fields of their messages.
    Values,
    /// The values of fields of these kinds (`name`, `phone_number`, `car_number`).
    Fields(Vec<String>),
}

/// What an event demands to be erased; `None` where it demands nothing, or does not say of whom.
pub fn demand(push: &Push) -> Option<What> {
    let Kind::OtherEvent(name) = &push.kind else { return None };
    push.open_id.as_ref()?;
    match name.as_str() {
        "user_authorization_cancellation" => Some(What::Person),
        "user_authorization_revoke" => taken_back(push.revoke_info.as_deref().unwrap_or_default()),
        _ => None,
    }
}

/// `RevokeInfo`: what of it can stand in a message's fields. Some of it has a kind of its own; an address, an invoice, a
/// mail address or a place may stand in any text; what a phone's devices gave (camera, microphone, pictures, files, steps)
/// cannot be here.
fn taken_back(code: &str) -> Option<What> {
    let fields = |kind: &str| Some(What::Fields(vec![kind.to_owned()]));
    match code.trim() {
        "1" => fields("car_number"),
        "6" | "19" => fields("name"),
        "8" => fields("phone_number"),
        "4" | "5" | "7" | "12" | "14" | "15" | "20" => None,
        // 2 address, 3 invoice, 13 and 18 place, 16 mail; 301 everything; and codes that are not known yet.
        _ => Some(What::Values),
    }
}
