//! What people do: arrive, answer the popup, change the settings, write to customer service.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use serde_json::json;

use super::{App, Refusal, Simulator, Template, lock, users::User, views::counts};
use crate::{
    api::{Decision, GrantCause, NewUser, Popup, Seed, SettingsChange, UserList, UserSummary, UserView},
    push::Content,
};

/// A list of users is cut here.
const LIST: usize = 200;

impl Simulator {
    /// Adds a user; one that exists is left as it is (but for a new nickname).
    pub fn add_user(&self, appid: &str, new: &NewUser) -> Result<String, Refusal> {
        let app = self.app(appid)?;
        let openid = match &new.openid {
            Some(openid) if is_openid(openid) => openid.clone(),
            Some(openid) => return Err(Refusal::Invalid(format!("{openid:?} is not an openid"))),
            None => self.0.chance.openid(),
        };
        let now = self.now();
        let mut shard = lock(app.users.shard(&openid));
        match (shard.get_mut(&*openid), &new.nickname) {
            (Some(user), Some(nickname)) => user.nickname = nickname.as_str().into(),
            (Some(_), None) => {}
            (None, nickname) => {
                let user = User::new(nickname.as_deref().unwrap_or("微信用户"), now);
                shard.insert(openid.as_str().into(), user);
                app.users.count.fetch_add(1, Relaxed);
            }
        }
        drop(shard);
        self.0.live.tell("user", appid, Some(&openid), || json!({"nickname": new.nickname}));
        Ok(openid)
    }

    /// Many users with grants, without a popup and without events. Answers how many there are now.
    pub fn seed(&self, appid: &str, seed: &Seed) -> Result<u64, Refusal> {
        let app = self.app(appid)?;
        let settings = app.settings();
        let mut grants = Vec::with_capacity(seed.grants.len());
        for (id, count) in &seed.grants {
            let template = settings.template(id).ok_or_else(|| Refusal::UnknownTemplate(id.clone()))?;
            grants.push((template, *count));
        }
        if let Some(bad) = seed.openids.iter().find(|openid| !is_openid(openid)) {
            return Err(Refusal::Invalid(format!("{bad:?} is not an openid")));
        }
        let now = self.now();
        for openid in &seed.openids {
            let openid: Arc<str> = openid.as_str().into();
            let mut shard = lock(app.users.shard(&openid));
            let user = shard.entry(openid.clone()).or_insert_with(|| {
                app.users.count.fetch_add(1, Relaxed);
                User::new("微信用户", now)
            });
            for (template, count) in &grants {
                let subscription = user.subscription_mut(template.number);
                subscription.status = Some(Decision::Accept);
                subscription.refused = false;
                if counts(template.kind) {
                    subscription.left = subscription.left.saturating_add(*count);
                    let left = subscription.left;
                    self.note_grant(&app, &openid, template, i64::from(*count), left, GrantCause::Seeded);
                }
            }
        }
        Ok(app.users.count.load(Relaxed))
    }

    pub fn users(&self, appid: &str) -> Result<UserList, Refusal> {
        let app = self.app(appid)?;
        let mut items = Vec::new();
        app.users.each(|openid, user| {
            let summary = UserSummary { openid: openid.to_string(), nickname: user.nickname.to_string() };
            items.push((user.created_at, summary));
            items.len() < LIST
        });
        items.sort_by(|a, b| (a.0, &a.1.openid).cmp(&(b.0, &b.1.openid)));
        let total = app.users.count.load(Relaxed);
        Ok(UserList { items: items.into_iter().map(|(_, summary)| summary).collect(), total })
    }

    pub fn user(&self, appid: &str, openid: &str) -> Result<UserView, Refusal> {
        let app = self.app(appid)?;
        let settings = app.settings();
        let shard = lock(app.users.shard(openid));
        let user = shard.get(openid).ok_or_else(|| Refusal::UnknownUser(openid.to_owned()))?;
        Ok(user.view(openid, &settings))
    }

    /// The popup, answered: each accept of a one-time template adds one grant; one event tells the app.
    pub fn popup(&self, appid: &str, openid: &str, popup: &Popup) -> Result<(), Refusal> {
        let app = self.app(appid)?;
        let decisions = self.named(&app, &popup.decisions)?;
        if decisions.is_empty() {
            return Err(Refusal::Invalid("no decisions".to_owned()));
        }
        let openid = self.with_user(&app, openid, |openid, user| {
            for (template, decision) in &decisions {
                let subscription = user.subscription_mut(template.number);
                subscription.status = Some(*decision);
                if popup.always_keep {
                    subscription.always_keep = Some(*decision);
                }
                if *decision == Decision::Accept {
                    subscription.refused = false;
                    if counts(template.kind) {
                        subscription.left = subscription.left.saturating_add(1);
                        let left = subscription.left;
                        self.note_grant(&app, openid, template, 1, left, GrantCause::Accepted);
                    }
                }
            }
        })?;
        self.0.live.tell("user", appid, Some(&openid), || json!({}));
        let items = decisions.into_iter().map(|(template, decision)| (template.id.clone(), decision));
        self.push(&app, openid, Content::Popup(items.collect()));
        Ok(())
    }

    /// The settings page, and 拒收 on a card. Refusing takes every grant and is pushed; allowing again is not.
    pub fn change_settings(&self, appid: &str, openid: &str, change: &SettingsChange) -> Result<(), Refusal> {
        let app = self.app(appid)?;
        let decisions = self.named(&app, &change.templates)?;
        let mut pushed = Vec::new();
        let openid = self.with_user(&app, openid, |openid, user| {
            if let Some(main_switch) = change.main_switch {
                user.main_switch = main_switch;
            }
            for (template, decision) in &decisions {
                let subscription = user.subscription_mut(template.number);
                subscription.always_keep = Some(*decision);
                subscription.status = Some(*decision);
                let was_refused = subscription.refused;
                subscription.refused = *decision == Decision::Reject;
                if subscription.refused && !was_refused {
                    let taken = std::mem::take(&mut subscription.left);
                    if taken > 0 {
                        self.note_grant(&app, openid, template, -i64::from(taken), 0, GrantCause::Refused);
                    }
                    pushed.push(template.id.clone());
                }
            }
        })?;
        self.0.live.tell("user", appid, Some(&openid), || json!({}));
        if !pushed.is_empty() {
            self.push(&app, openid, Content::Change(pushed));
        }
        Ok(())
    }

    fn named(
        &self,
        app: &App,
        decisions: &std::collections::BTreeMap<String, Decision>,
    ) -> Result<Vec<(Arc<Template>, Decision)>, Refusal> {
        let settings = app.settings();
        decisions
            .iter()
            .map(|(id, decision)| match settings.template(id) {
                Some(template) => Ok((template.clone(), *decision)),
                None => Err(Refusal::UnknownTemplate(id.clone())),
            })
            .collect()
    }

    pub(crate) fn known_user(&self, app: &App, openid: &str) -> Result<Arc<str>, Refusal> {
        self.with_user(app, openid, |_, _| ())
    }

    fn with_user(
        &self,
        app: &App,
        openid: &str,
        act: impl FnOnce(&Arc<str>, &mut User),
    ) -> Result<Arc<str>, Refusal> {
        let mut shard = lock(app.users.shard(openid));
        let unknown = || Refusal::UnknownUser(openid.to_owned());
        let key = shard.get_key_value(openid).ok_or_else(unknown)?.0.clone();
        act(&key, shard.get_mut(openid).ok_or_else(unknown)?);
        Ok(key)
    }
}

fn is_openid(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}
