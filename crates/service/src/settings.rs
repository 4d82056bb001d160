//! An app's settings besides its keys, with their defaults. Stored as JSON; unknown words are refused, so that a
//! typing error does not pass silently.

use std::collections::BTreeMap;

use domain::retry::OnUnknown;
use serde::{Deserialize, Serialize};
use wechat::client::is_outside_url;

use crate::people::AttributeKind;

/// Longer than any change of keys takes.
const LONGEST_PREVIOUS: u32 = 168;

/// The settings of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Messages a second at most; 0 = no limit.
    pub rate_per_second: u32,
    /// Calls to WeChat at the same time at most.
    pub concurrency: u32,
    /// What is done with a message that stayed `unknown` for a minute.
    pub on_unknown: OnUnknown,
    /// What is done with chats that users write to customer service.
    pub customer_service: CustomerService,
    /// How old a push may be, in seconds, before it is set aside.
    pub callback_tolerance: i64,
    /// Where every verified push is passed on to; nowhere unless given.
    pub relay_url: Option<String>,
    /// Campaigns with more recipients than this have to be approved by somebody else; none unless given.
    pub approval_above: Option<u32>,
    /// Send calls a day at most (a day in Asia/Shanghai, as WeChat counts); none unless given.
    pub daily_budget: Option<u32>,
    /// Which templates (by id or alias) the mini program asks for, and when again:
    /// `{"TEMPLATE_ID": {"priority": 1, "cool_down_hours": 24, "keep": 1}}`; all of them where none is named.
    pub ask: BTreeMap<String, AskRule>,
    /// What the mini program's own reports of decisions are worth.
    pub reports: Reports,
    /// Names for templates that are the same in several apps: `{"fee": "TEMPLATE_ID"}`; a send may name either.
    pub template_aliases: BTreeMap<String, String>,
    /// Only guests receive.
    pub trial: bool,
    /// Attributes of people that are more than a text: `{"room": {"key": true}, "phone": {"key": true, "sensitive": true}}`.
    pub attributes: BTreeMap<String, AttributeKind>,
    /// How many hours the callback keys of before stay valid after a change; 0 ends them at once.
    pub previous_keys_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rate_per_second: 300,
            concurrency: 64,
            on_unknown: OnUnknown::Hold,
            customer_service: CustomerService::Transfer,
            callback_tolerance: 3600,
            relay_url: None,
            approval_above: None,
            daily_budget: None,
            ask: BTreeMap::new(),
            reports: Reports::Count,
            template_aliases: BTreeMap::new(),
            trial: false,
            attributes: BTreeMap::new(),
            previous_keys_hours: 24,
        }
    }
}

/// When the mini program asks for a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AskRule {
    /// The higher goes first: at most five are asked for at once.
    pub priority: i32,
    /// Hours after a refusal in which it is not asked for again.
    pub cool_down_hours: u32,
    /// Grants that somebody should have in hand: below, they are asked.
    pub keep: u32,
}

impl Default for AskRule {
    fn default() -> Self {
        Self { priority: 0, cool_down_hours: 72, keep: 1 }
    }
}

/// What a report of the mini program is worth: whoever has taken it apart can report what they like, of themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reports {
    /// A grant, until WeChat's event of the same act takes its place.
    Count,
    /// Nothing: it is kept as evidence.
    Ignore,
}

/// What is done with customer-service chats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomerService {
    /// Handed on to WeChat's own customer-service tool: otherwise the chat would be swallowed.
    Transfer,
    /// Answered with a bare `success`.
    Silent,
    /// Passed on to `relay_url` at once, and answered with what that server answers.
    Relay,
}

impl Settings {
    /// The id of a template that is named by its id or its alias.
    pub fn template_id(&self, named: String) -> String {
        self.template_aliases.get(&named).cloned().unwrap_or(named)
    }

    /// Whether the mini program may ask for a template.
    pub(crate) fn may_ask(&self, template_id: &str) -> bool {
        self.ask.is_empty() || self.named_in_ask(template_id).is_some()
    }

    /// When it asks for it.
    pub(crate) fn ask_rule(&self, template_id: &str) -> AskRule {
        self.named_in_ask(template_id).unwrap_or_default()
    }

    fn named_in_ask(&self, template_id: &str) -> Option<AskRule> {
        let aliases = self
            .template_aliases
            .iter()
            .filter(|(_, id)| *id == template_id)
            .map(|(alias, _)| alias.as_str());
        std::iter::once(template_id).chain(aliases).find_map(|name| self.ask.get(name)).copied()
    }

    /// Changes one setting by its name.
    ///
    /// # Errors
    /// What is wrong, for people, in Chinese and English.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), (String, String)> {
        let mut all = serde_json::to_value(&*self).unwrap_or_default();
        // An empty word takes a setting back that need not be there.
        let value = if value.is_empty() { "null" } else { value };
        let parsed =
            serde_json::from_str(value).unwrap_or_else(|_| serde_json::Value::String(value.to_owned()));
        all[name] = parsed;
        let changed: Self = serde_json::from_value(all).map_err(|error| {
            (format!("设置 {name} 的值无效：{error}"), format!("{name} cannot be {value:?}: {error}"))
        })?;
        changed.check()?;
        *self = changed;
        Ok(())
    }

    /// Whether the numbers make sense together.
    ///
    /// # Errors
    /// What is wrong, for people, in Chinese and English.
    pub fn check(&self) -> Result<(), (String, String)> {
        // An event older than the identity's seven days could count twice (I2).
        const LONGEST: i64 = 6 * 24 * 3600;
        if !(60..=LONGEST).contains(&self.callback_tolerance) {
            return Err((
                format!("callback_tolerance 须在 60 到 {LONGEST} 秒之间。"),
                format!("callback_tolerance must lie between 60 and {LONGEST} seconds."),
            ));
        }
        if self.relay_url.as_deref().is_some_and(|url| !is_outside_url(url)) {
            return Err((
                "relay_url 应以 https:// 或 http:// 开头，不含用户名、密码和 #；留空表示不转发。".into(),
                "relay_url begins with https:// or http://, without a user, a password or a #; leave it empty to pass nothing on.".into(),
            ));
        }
        if self.previous_keys_hours > LONGEST_PREVIOUS {
            return Err((
                format!("previous_keys_hours 最大 {LONGEST_PREVIOUS}（7 天）。"),
                format!("previous_keys_hours may be {LONGEST_PREVIOUS} (7 days) at most."),
            ));
        }
        if self.ask.values().any(|rule| rule.cool_down_hours > 8760 || !(1..=20).contains(&rule.keep)) {
            return Err((
                "ask：cool_down_hours 最大 8760（一年），keep 须在 1 到 20 之间。".into(),
                "ask: cool_down_hours may be 8760 (a year) at most, and keep lies between 1 and 20.".into(),
            ));
        }
        if !(1..=1000).contains(&self.concurrency) {
            return Err((
                "concurrency 须在 1 到 1000 之间。".into(),
                "concurrency must lie between 1 and 1000.".into(),
            ));
        }
        Ok(())
    }

    /// Whether the settings fit each other, once all of a change are in.
    ///
    /// # Errors
    /// What is wrong, for people, in Chinese and English.
    pub fn check_together(&self) -> Result<(), (String, String)> {
        if self.customer_service == CustomerService::Relay && self.relay_url.is_none() {
            return Err((
                "customer_service = relay 需要先设置 relay_url（把客服消息转发到哪里）。".into(),
                "customer_service = relay needs a relay_url: where chats are passed on to.".into(),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_changed_by_name_and_refuse_nonsense() {
        let mut settings = Settings::default();
        settings.set("rate_per_second", "50").unwrap();
        settings.set("customer_service", "silent").unwrap();
        assert_eq!((settings.rate_per_second, settings.customer_service), (50, CustomerService::Silent));
        settings.set("on_unknown", "give_up").unwrap();
        assert_eq!(settings.on_unknown, OnUnknown::GiveUp);
        for (name, value) in [
            ("rate_per_second", "fast"),
            ("rate", "1"),
            ("callback_tolerance", "604800"),
            ("concurrency", "0"),
            ("relay_url", "old.example/wx"),
            ("relay_url", "https://user:pass@old.example/"),
            ("previous_keys_hours", "169"),
            ("on_unknown", "sometimes"),
        ] {
            assert!(settings.set(name, value).is_err(), "{name}={value}");
        }
        assert_eq!(settings.rate_per_second, 50);
        settings.set("customer_service", "relay").unwrap();
        assert!(settings.check_together().is_err());
        settings.set("relay_url", "https://old.example/wx?r=push").unwrap();
        settings.check_together().unwrap();
        settings.set("relay_url", "").unwrap();
        assert_eq!(settings.relay_url, None);
        settings.set("template_aliases", r#"{"fee":"4ondVRxk4L20ihrJ3iI15BDK72XatGPxE0MeCVwHasQ"}"#).unwrap();
        assert!(settings.template_id("fee".into()).starts_with("4ond"));
        assert_eq!(settings.template_id("other".into()), "other");
    }
}
