//! What an operator of the box does: add apps, read records and counters, take tokens away.

use std::sync::Arc;

use serde_json::json;

use super::{App, Refusal, Simulator, lock, read, write};
use crate::api::{AppList, AppSpec, CallbackAttempt, Counters, GrantChange, SendView, Verification};

impl Simulator {
    /// Adds an app, or replaces its settings: users, grants, tokens and records stay.
    pub fn put_app(&self, appid: &str, spec: AppSpec) -> Result<(), Refusal> {
        if appid.is_empty() || !appid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Refusal::Invalid(format!("{appid:?} is not an AppID")));
        }
        let mut apps = write(&self.0.apps);
        match apps.get(appid) {
            Some(app) => app.change(spec)?,
            None => {
                let app = App::new(appid, spec, &self.0.config)?;
                apps.insert(appid.to_owned(), Arc::new(app));
            }
        }
        drop(apps);
        self.0.live.tell("app", appid, None, || json!({}));
        Ok(())
    }

    /// Which pages the phone shows for this app: an H5 build, or its own.
    pub fn set_mini_program(&self, appid: &str, url: Option<String>) -> Result<(), Refusal> {
        let fits = |url: &str| {
            url == crate::MINI_PROGRAM || url.starts_with("http://") || url.starts_with("https://")
        };
        if let Some(url) = url.as_deref().filter(|url| !fits(url)) {
            return Err(Refusal::Invalid(format!("{url:?} is no http address")));
        }
        let app = self.app(appid)?;
        let spec = AppSpec { mini_program: url, ..app.settings().spec.clone() };
        app.change(spec)?;
        self.0.live.tell("app", appid, None, || json!({}));
        Ok(())
    }

    pub fn apps(&self) -> AppList {
        let items = read(&self.0.apps).values().map(|app| app.view()).collect();
        AppList { items, base_url: self.0.config.public_base_url.clone() }
    }

    /// Newest first, of one user or of all.
    pub fn sends(&self, appid: &str, openid: Option<&str>, limit: usize) -> Result<Vec<SendView>, Refusal> {
        let wanted = |record: &Arc<super::sending::SendRecord>| {
            openid.is_none_or(|openid| record.openid.as_deref() == Some(openid))
        };
        let records = self.app(appid)?.sends.newest(limit, wanted);
        Ok(records.iter().map(|record| record.view()).collect())
    }

    pub fn callbacks(
        &self,
        appid: &str,
        openid: Option<&str>,
        limit: usize,
    ) -> Result<Vec<CallbackAttempt>, Refusal> {
        let records = self
            .app(appid)?
            .callbacks
            .newest(limit, |entry| openid.is_none_or(|openid| &*entry.openid == openid));
        Ok(records.iter().map(|entry| entry.view()).collect())
    }

    pub fn grants(
        &self,
        appid: &str,
        openid: Option<&str>,
        limit: usize,
    ) -> Result<Vec<GrantChange>, Refusal> {
        let app = self.app(appid)?;
        let settings = app.settings();
        let records = app.grants.newest(limit, |entry| openid.is_none_or(|openid| &*entry.openid == openid));
        Ok(records.iter().map(|entry| entry.view(&settings)).collect())
    }

    pub fn counters(&self, appid: &str) -> Result<Counters, Refusal> {
        let app = self.app(appid)?;
        let mut counters = Counters {
            receipts_waiting: lock(&app.receipts.waiting).len() as u64,
            quota_used_today: app.quota.used(self.now()),
            ..app.counters.view()
        };
        app.faults.count(&mut counters);
        Ok(counters)
    }

    /// Makes every access token of the app invalid (40001); answers how many there were.
    pub fn revoke_tokens(&self, appid: &str) -> Result<usize, Refusal> {
        Ok(self.0.tokens.revoke(&self.app(appid)?))
    }

    /// The GET verification of the app's push URL.
    pub async fn verify(&self, appid: &str) -> Result<Verification, Refusal> {
        let settings = self.app(appid)?.settings();
        let envelope = settings.envelope.as_ref().ok_or(Refusal::NoCallback)?;
        Ok(crate::push::verify(self, envelope).await)
    }
}
