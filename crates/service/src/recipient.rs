//! Whom a message goes to.

use serde::Deserialize;

use crate::checks;
use crate::problem::FieldError;

/// `to` of a request: an openid, or a way to find one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Recipient {
    /// The openid itself.
    Openid(String),
    /// By the team's own number or an attribute.
    Found(serde_json::Map<String, serde_json::Value>),
}

impl Recipient {
    /// The openid, or what is wrong.
    pub(crate) fn openid(&self) -> Result<&str, FieldError> {
        match self {
            Self::Openid(openid) if checks::openid(openid) => Ok(openid),
            Self::Openid(_) => Err(FieldError::new(
                "/to",
                "invalid_openid",
                "to 应是用户在该小程序下的 openid（例如 oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s），不是手机号、微信号或 unionid。",
                "`to` is the user's openid in this mini program (such as oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s), not a phone number, a WeChat id or a unionid.",
            )),
            Self::Found(_) => Err(FieldError::new(
                "/to",
                "unknown_recipient",
                "还没有登记任何业务用户编号或用户属性，请直接用 openid 指定用户。",
                "No external ids or attributes are registered yet; name the user by openid.",
            )),
        }
    }
}
