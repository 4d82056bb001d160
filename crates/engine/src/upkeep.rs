//! What has to be looked after now and then: the quarantine stays within its bound, callback keys end, files of uploads and old deeds go,
//! templates are compared with WeChat's, and quotas are looked at before they end.

use std::collections::HashMap;
use std::time::Duration;

use domain::Millis;
use domain::clock::{HOUR, MINUTE};
use service::App;

use store::StoreError;

use crate::Shared;

/// Quarantined callbacks that are kept of one app: the newest.
const QUARANTINE: i64 = 10_000;
/// Deeds of the operation log that go at a time.
const DEEDS: i64 = 1_000;
const EVERY: Duration = Duration::from_secs(5);
/// How often an app's templates are compared with WeChat's, and asked again after a failure.
const TEMPLATES: Millis = 6 * HOUR;
/// How often the quota of an app with a budget or a campaign under way is asked for.
const QUOTA: Millis = 30 * MINUTE;
const AGAIN: Millis = 10 * MINUTE;
/// Of a hundred calls that WeChat allows, so few left are told.
const LOW: i64 = 10;

pub(crate) async fn run(shared: Shared) {
    let mut asked = Asked::default();
    loop {
        if shared.lanes.on_duty(&shared.service, "upkeep") {
            if let Err(error) = look(&shared).await {
                tracing::error!(%error, "upkeep failed; trying again");
            }
            let apps = shared.service.apps().all();
            for app in apps.iter() {
                asked.templates(&shared, app).await;
                asked.quota(&shared, app).await;
            }
        }
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn look(shared: &Shared) -> Result<(), StoreError> {
    let (service, store) = (&shared.service, shared.service.store());
    store.prepare_ahead().await?;
    store.end_previous_keys(service.now()).await?;
    store.forget_uploads_before(service.now() - service::uploads::KEPT).await?;
    if let Some(audit) = shared.options.retention.audit {
        store.forget_deeds(service.now() - audit, DEEDS).await?;
    }
    for app in service.apps().all().iter() {
        let mut dropped = 0;
        loop {
            let some = store.trim_quarantine(app.number, QUARANTINE).await?;
            dropped += some;
            if some == 0 || shared.stop.is_cancelled() {
                break;
            }
        }
        if dropped > 0 {
            tracing::warn!(
                app = app.app_id,
                dropped,
                "more than {QUARANTINE} callbacks are quarantined: the oldest were dropped"
            );
            metrics::counter!("hongyan_quarantine_dropped_total").increment(dropped);
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("hongyan_quarantine", "app" => app.app_id.clone())
            .set(store.quarantined(app.number).await? as f64);
    }
    Ok(())
}

/// When WeChat may be asked next, by app.
#[derive(Default)]
struct Asked {
    templates: HashMap<i64, Millis>,
    quota: HashMap<i64, Millis>,
    /// The day on which somebody was told that little is left.
    told: HashMap<i64, String>,
    /// What was left at the last look.
    remain: HashMap<i64, i64>,
}

impl Asked {
    /// Compares an app's templates with WeChat's, once they were ever read.
    async fn templates(&mut self, shared: &Shared, app: &App) {
        let now = shared.service.now();
        if self.templates.get(&app.number).is_some_and(|next| *next > now) {
            return;
        }
        let last = match shared.service.templates(app).await {
            Ok(templates) => templates.iter().filter_map(|template| template.synced_at).max(),
            Err(_) => return,
        };
        // Whoever sends first reads them; an app that sends nothing need not.
        let next = match last {
            Some(last) if now - last >= TEMPLATES => match shared.service.sync_templates(app).await {
                Ok(_) => now + TEMPLATES,
                Err(problem) => {
                    tracing::warn!(app = app.app_id, %problem, "the templates could not be compared with WeChat's; trying again");
                    now + AGAIN
                }
            },
            Some(last) => last + TEMPLATES,
            None => now + AGAIN,
        };
        self.templates.insert(app.number, next);
    }

    /// Warns before WeChat's quota is spent (45009).
    async fn quota(&mut self, shared: &Shared, app: &App) {
        let now = shared.service.now();
        if let Some(remain) = self.remain.get(&app.number) {
            // Set again each time: a gauge that nobody sets vanishes.
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            metrics::gauge!("hongyan_quota_remain", "app" => app.app_id.clone()).set(*remain as f64);
        }
        let sends = app.settings.daily_budget.is_some()
            || shared.service.campaigns().under_way().iter().any(|live| live.stored.asked.app == app.number);
        if !sends || self.quota.get(&app.number).is_some_and(|next| *next > now) {
            return;
        }
        self.quota.insert(app.number, now + QUOTA);
        let quota = match shared.service.quota(app).await {
            Ok(quota) => quota,
            Err(problem) => {
                tracing::debug!(app = app.app_id, %problem, "the quota could not be asked for");
                return;
            }
        };
        self.remain.insert(app.number, quota.remain);
        let low = quota.remain * 100 <= quota.daily_limit * LOW;
        if low && self.told.get(&app.number) != Some(&quota.day) {
            tracing::warn!(
                app = app.app_id,
                remain = quota.remain,
                limit = quota.daily_limit,
                "little is left of WeChat's quota"
            );
            let body = serde_json::json!({ "quota": "wechat", "remain": quota.remain, "daily_limit": quota.daily_limit, "day": quota.day });
            match shared.service.store().tell(app.number, "alarm.budget", body.to_string()).await {
                Ok(()) => drop(self.told.insert(app.number, quota.day)),
                Err(error) => tracing::error!(%error, "an alarm could not be kept"),
            }
        }
    }
}
