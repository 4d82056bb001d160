//! 取消授权 and 注销 in the phone's settings, and any other event: pushed without a subscription's knowledge.

use std::sync::atomic::Ordering::Relaxed;

use serde_json::{Map, Value, json};

use super::{Refusal, Simulator, lock};
use crate::{
    api::{Authorization, OtherEvent},
    push::{Content, Other},
};

/// FromUserName of events that do not come from the person: 平台推送服务.
const PLATFORM: &str = "gh_platform";

/// Fields that every push has; an event cannot bring its own.
const USUAL: [&str; 6] = ["ToUserName", "FromUserName", "CreateTime", "MsgType", "Event", "Encrypt"];

impl Simulator {
    /// The person takes back what was allowed, or closes the account; the app is told.
    pub fn change_authorization(
        &self,
        appid: &str,
        openid: &str,
        act: &Authorization,
    ) -> Result<(), Refusal> {
        let app = self.app(appid)?;
        let openid = self.known_user(&app, openid)?;
        let (event, info) = match act {
            Authorization::Revoke { info } => {
                let numbers = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
                if !info.split(',').all(numbers) {
                    return Err(Refusal::Invalid("info is numbers with commas between them".to_owned()));
                }
                ("user_authorization_revoke", info.as_str())
            }
            Authorization::Cancel => ("user_authorization_cancellation", ""),
        };
        let fields =
            json!({"OpenID": &*openid, "AppID": appid, "RevokeInfo": info, "PluginID": "", "OpenPID": ""});
        if matches!(act, Authorization::Cancel) {
            lock(app.users.shard(&openid)).remove(&openid);
            app.users.count.fetch_sub(1, Relaxed);
            self.0.live.tell("user", appid, Some(&openid), || json!({"gone": true}));
        }
        let fields = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        let other = Other { event: event.to_owned(), from: Some(PLATFORM.to_owned()), fields };
        drop(self.push(&app, openid, Content::Other(other)));
        Ok(())
    }

    /// Pushes an event that the simulator itself knows nothing of.
    pub fn push_event(&self, appid: &str, openid: &str, event: OtherEvent) -> Result<(), Refusal> {
        let app = self.app(appid)?;
        let openid = self.known_user(&app, openid)?;
        if !is_name(&event.event) {
            return Err(Refusal::Invalid(format!("{:?} is not the name of an event", event.event)));
        }
        check(&event.fields)?;
        if let Some(usual) = USUAL.iter().find(|name| event.fields.contains_key(**name)) {
            return Err(Refusal::Invalid(format!("{usual} is set by the simulator")));
        }
        if app.settings().envelope.is_none() {
            return Err(Refusal::NoCallback);
        }
        let other = Other { event: event.event, from: None, fields: event.fields };
        drop(self.push(&app, openid, Content::Other(other)));
        Ok(())
    }
}

/// Every name can be a tag.
fn check(fields: &Map<String, Value>) -> Result<(), Refusal> {
    fields.iter().try_for_each(|(name, value)| {
        if !is_name(name) {
            return Err(Refusal::Invalid(format!("{name:?} cannot be the name of a field")));
        }
        inside(value)
    })
}

fn inside(value: &Value) -> Result<(), Refusal> {
    match value {
        Value::Object(fields) => check(fields),
        Value::Array(all) => all.iter().try_for_each(inside),
        _ => Ok(()),
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
