//! What campaigns do by themselves: begin when their time has come, turn recipients into messages, take out of the queue what
//! is cancelled, put back what is to be tried again, end. One task per campaign under way; each step stands in the database,
//! so that a restart goes on where this one ended (docs/adr/0004-campaigns.md).

mod expanding;
mod walking;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::Millis;
use domain::campaign::{Act, CampaignState};
use domain::clock::{HOUR, MINUTE, SECOND};
use domain::message::State;
use service::campaigns::Live;
use service::{App, Problem};
use store::campaigns::Progress;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use self::expanding::Expanding;
use crate::Shared;

/// How often a campaign looks whether there is something to do.
const LOOK: Duration = Duration::from_millis(100);
/// How long messages live unless the campaign says otherwise: so that each one settles.
const LIFE: Millis = 72 * HOUR;

/// Watches over the campaigns: each under way has its task.
pub(crate) async fn run(shared: Shared, tasks: TaskTracker) {
    let mut running: HashMap<i64, JoinHandle<()>> = HashMap::new();
    loop {
        running.retain(|_, task| !task.is_finished());
        for live in shared.service.campaigns().under_way() {
            let number = live.stored.number;
            running.entry(number).or_insert_with(|| {
                let campaign = Campaign { shared: shared.clone(), number, expanding: None, measured: None };
                tasks.spawn(campaign.run())
            });
        }
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// How many minutes late a campaign is, where that is more than it may be.
fn too_late(live: &Live, now: Millis) -> Option<i64> {
    let late = (now - live.stored.asked.send_at?) / MINUTE;
    live.misfire.filter(|misfire| late > i64::from(misfire.late_minutes)).map(|_| late)
}

/// A campaign under way.
struct Campaign {
    shared: Shared,
    number: i64,
    expanding: Option<Expanding>,
    /// When the rate was last measured, and how many had an outcome then.
    measured: Option<(Millis, i64)>,
}

impl Campaign {
    async fn run(mut self) {
        while !self.shared.stop.is_cancelled() {
            let Some(live) = self.shared.service.campaigns().get(self.number) else { return };
            if !live.stored.state.is_under_way() {
                return;
            }
            // Of a removed app nothing is sent; its campaigns stand as they are.
            let more = match self.shared.service.apps().by_number(live.stored.asked.app) {
                Some(app) => self.step(&app, &live).await,
                None => Ok(false),
            };
            match more {
                Ok(true) => {}
                Ok(false) => tokio::time::sleep(LOOK).await,
                Err(problem) => {
                    tracing::error!(campaign = %live.stored.asked.id, %problem, "a campaign could not go on; trying again");
                    tokio::time::sleep(LOOK * 10).await;
                }
            }
        }
    }

    /// Does the next thing; tells whether there is more to do at once.
    async fn step(&mut self, app: &Arc<App>, live: &Arc<Live>) -> Result<bool, Problem> {
        let service = &self.shared.service.clone();
        let stored = &live.stored;
        let now = service.now();
        // Of a cluster's nodes each works in its own lanes; what is the campaign's as a whole, the owner of its home lane does.
        let home = self.shared.lanes.owns(service.home_lane(stored.number));
        if !home && stored.state == CampaignState::Scheduled {
            return Ok(false);
        }
        if stored.state == CampaignState::Scheduled && stored.asked.send_at.is_none_or(|at| at <= now) {
            if let Some(late) = too_late(live, now) {
                let because = format!("misfire: {late} minutes late");
                tracing::warn!(campaign = %stored.asked.id, late, "a campaign was due while nobody looked after it: it is paused");
                service.pause_campaign(app, stored.asked.id, &because).await?;
            } else {
                service.advance_campaign(stored, Act::Due).await?;
            }
            return Ok(true);
        }
        if !stored.expanded && stored.asked.list.is_some() && !home {
            return Ok(false);
        }
        if !stored.expanded {
            // What a cancel makes of those who come later is decided when they are made.
            let expanding = match &mut self.expanding {
                Some(expanding) if expanding.is_of(stored.state) => expanding,
                place => place.insert(Expanding::begin(&self.shared, app, stored).await?),
            };
            let more = expanding.step(&self.shared, app).await;
            if matches!(more, Ok(true)) {
                return Ok(true);
            }
            // Also after an error: what it remembers of a chunk that was not kept would make duplicates of the next try.
            self.expanding = None;
            more?;
            if home {
                service.store().close_expansion(stored.number).await?;
            }
            service.reload_campaigns().await?;
            let live = service.campaigns().get(stored.number);
            let done = live.is_none_or(|live| live.stored.expanded);
            if !done {
                // Others still expand theirs.
                tokio::time::sleep(LOOK * 2).await;
            }
            return Ok(done);
        }
        let progress = service.store().campaign_progress(stored.number).await?;
        self.measure(live, &progress, now);
        if stored.state == CampaignState::Cancelling
            && walking::sweep(&self.shared, stored.number, &progress).await?
        {
            return Ok(true);
        }
        if stored.state == CampaignState::Running {
            let life = stored.asked.expire_at.filter(|at| *at > now).unwrap_or(now + LIFE);
            if walking::resend(&self.shared, stored.number, &progress, (now, life)).await? {
                return Ok(true);
            }
        }
        if home && matches!(stored.state, CampaignState::Running | CampaignState::Cancelling) {
            // Read anew: what was taken out or put back just now is in it.
            let progress = service.store().campaign_progress(stored.number).await?;
            let walks = progress.lanes.iter().any(|lane| lane.resent_to.is_some());
            if progress.accounts.open() == 0 && !walks {
                self.audit(live, &progress).await?;
                service.advance_campaign(stored, Act::End).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Measures how many a second get an outcome.
    fn measure(&mut self, live: &Live, progress: &Progress, now: Millis) {
        let accounts = &progress.accounts;
        let over = accounts.recipients - accounts.open();
        match self.measured {
            Some((at, before)) if now - at >= SECOND => {
                #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
                let rate = (over - before) as f64 * 1000.0 / (now - at) as f64;
                live.measured(rate);
                self.measured = Some((now, over));
            }
            Some(_) => {}
            None => self.measured = Some((now, over)),
        }
    }

    /// I9: the accounts are compared with the messages themselves. Receipts may come in between, so a difference is looked at
    /// once more before it is an alarm.
    async fn audit(&self, live: &Live, progress: &Progress) -> Result<(), Problem> {
        let store = self.shared.service.store();
        let mut kept = progress.accounts;
        for _ in 0..3 {
            let counted = store.count_campaign(self.number).await?;
            if counted == kept && kept.check().is_ok() {
                return Ok(());
            }
            kept = store.campaign_progress(self.number).await?.accounts;
            if counted == kept && kept.check().is_ok() {
                return Ok(());
            }
        }
        let sent = kept.of(State::Accepted) + kept.of(State::Delivered);
        tracing::error!(campaign = %live.stored.asked.id, recipients = kept.recipients, sent, "the accounts of a campaign differ from its messages");
        metrics::counter!("hongyan_campaign_accounts_broken_total").increment(1);
        Ok(())
    }
}
