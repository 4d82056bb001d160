//! How long messages have waited that could leave. Used by the metrics and the diagnosis.

use std::collections::HashSet;

use domain::{Lane, Millis};
use store::StoreError;

use crate::Service;

impl Service {
    /// Since when the first message of these lanes is due that may be sent: what stands behind a closed gate, a pause or outside
    /// a window is not late.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn oldest_due(&self, lanes: &[Lane]) -> Result<Option<Millis>, StoreError> {
        let now = self.now();
        let waiting = self.store.waiting(lanes).await?;
        let shut: HashSet<i64> = self.store.gates().await?.into_iter().map(|gate| gate.app).collect();
        let mut oldest: Option<Millis> = None;
        for one in waiting.iter().filter(|one| one.due_at <= now && !one.queue.is_unknown()) {
            let open = match one.queue.campaign() {
                Some(number) => {
                    let live = match self.campaigns.get(number) {
                        Some(live) => Some(live),
                        None => self.live_campaign(number).await?,
                    };
                    live.is_some_and(|live| live.may_send(now) && !shut.contains(&live.stored.asked.app))
                }
                None => {
                    let (app, _) = one.queue.app_and_priority();
                    self.apps.by_number(app).is_some() && !shut.contains(&app)
                }
            };
            if open {
                oldest = Some(oldest.map_or(one.due_at, |before| before.min(one.due_at)));
            }
        }
        Ok(oldest)
    }
}
