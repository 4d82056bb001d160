//! Whom a message goes to: an openid, or a way to find one.

use serde::Deserialize;

use crate::campaigns::text;
use crate::problem::{FieldError, Problem};
use crate::{App, Service, checks};

/// `to` of a request: an openid, or a way to find one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Recipient {
    /// The openid itself.
    Openid(String),
    /// `{"external_id": …}` or `{"attribute": {name: value}}`.
    Found(serde_json::Map<String, serde_json::Value>),
}

/// By what somebody is to be found.
fn found_by(by: &serde_json::Map<String, serde_json::Value>) -> Option<(String, String)> {
    let mut entries = by.iter();
    let (name, value) = entries.next()?;
    if entries.next().is_some() {
        return None;
    }
    if name == store::people::EXTERNAL_ID {
        return Some((name.clone(), text(value)?));
    }
    let attribute = value.as_object().filter(|attribute| name == "attribute" && attribute.len() == 1)?;
    let (name, value) = attribute.iter().next()?;
    Some((name.clone(), text(value)?))
}

impl Service {
    /// Everybody whom `to` means: one person, or several where an attribute fits them all.
    ///
    /// # Errors
    /// `invalid_openid`, `invalid_recipient`, `no_key_attribute`, `unknown_recipient`.
    pub(crate) async fn meant(&self, app: &App, to: &Recipient) -> Result<Vec<String>, Problem> {
        let by = match to {
            Recipient::Openid(openid) if checks::openid(openid) => return Ok(vec![openid.clone()]),
            Recipient::Openid(_) => {
                return Err(FieldError::new(
                    "/to",
                    "invalid_openid",
                    "to 应是用户在该小程序下的 openid（例如 oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s），不是手机号、微信号或 unionid。",
                    "`to` is the user's openid in this mini program (such as oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s), not a phone number, a WeChat id or a unionid.",
                )
                .into());
            }
            Recipient::Found(by) => by,
        };
        let Some((name, value)) = found_by(by) else {
            return Err(FieldError::new(
                "/to",
                "invalid_recipient",
                "to 应是 openid，或 {\"external_id\": \"…\"}，或 {\"attribute\": {\"名称\": \"值\"}}。",
                "`to` is an openid, {\"external_id\": \"…\"} or {\"attribute\": {\"name\": \"value\"}}.",
            )
            .into());
        };
        let found = self.found_people(app, &name, std::slice::from_ref(&value)).await?;
        let mut people = found.into_values().next().unwrap_or_default();
        people.sort_unstable();
        if people.is_empty() {
            return Err(FieldError::new(
                "/to",
                "unknown_recipient",
                format!("没有 {name} 为 {value} 的用户。请先登记（PUT …/subscribers），或直接用 openid。"),
                format!("Nobody has the {name} {value}. Register the person first (PUT …/subscribers), or name the openid."),
            )
            .into());
        }
        Ok(people)
    }

    /// The one person whom `to` means.
    ///
    /// # Errors
    /// As [`Service::meant`]; `ambiguous_recipient` where there are several.
    pub(crate) async fn meant_one(&self, app: &App, to: &Recipient) -> Result<String, Problem> {
        let mut people = self.meant(app, to).await?;
        let count = people.len();
        match people.pop() {
            Some(one) if count == 1 => Ok(one),
            _ => Err(FieldError::new(
                "/to",
                "ambiguous_recipient",
                format!("有 {count} 位用户符合；要发给每一位请加 \"fan_out\": true。"),
                format!("{count} people fit; add \"fan_out\": true to send to each of them."),
            )
            .into()),
        }
    }
}
