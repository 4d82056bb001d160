//! Applies the inbox: reads what waits in each lane, says what it means, and lets the store write the effects.

use std::sync::Arc;
use std::time::Duration;

use domain::InboxId;
use domain::clock::SECOND;
use store::StoreError;
use store::hot::append::Verdict;
use store::hot::apply::{Act, ActKind, Application, Pending, ToApply};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use wechat::callback::event::{self, Decision, Kind};

use crate::{Shared, TICK};

/// Rows of one commit. More would keep callbacks waiting longer, fewer touch the same pages more often.
const COMMIT: i64 = 512;
/// While callbacks come in, applying pauses so many times as long as it took: they are acknowledged first.
const DEFERENCE: u32 = 3;
/// A pause at most; and an age of the backlog (milliseconds) from which on it only waits as long as it took.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
const OLD: i64 = 5 * SECOND;
/// Ticks between measurements of the backlog's age.
const LOOK_EVERY: u32 = 10;

pub(crate) struct Applier {
    shared: Shared,
    told: Arc<Notify>,
    /// Whether a receipt waits for an answer.
    waiting: bool,
}

impl Applier {
    pub(crate) fn start(shared: Shared, tasks: &TaskTracker) -> Arc<Notify> {
        let told = Arc::new(Notify::new());
        let applier = Self { shared, told: Arc::clone(&told), waiting: false };
        tasks.spawn(applier.run());
        told
    }

    async fn run(mut self) {
        let mut ticks = 0u32;
        let mut look = true;
        loop {
            if look && let Err(error) = self.pass().await {
                tracing::error!(%error, "the inbox could not be applied; trying again");
                metrics::counter!("hongyan_apply_failures_total").increment(1);
                tokio::time::sleep(TICK).await;
                continue;
            }
            tokio::select! {
                () = self.shared.stop.cancelled() => return,
                () = self.told.notified() => look = true,
                () = tokio::time::sleep(TICK) => {
                    ticks = ticks.wrapping_add(1);
                    look = self.waiting || ticks.is_multiple_of(LOOK_EVERY);
                }
            }
        }
    }

    /// Applies what waits, oldest first, until nothing does.
    async fn pass(&mut self) -> Result<(), StoreError> {
        let store = self.shared.service.store().clone();
        let mut after: Option<InboxId> = None;
        self.waiting = false;
        while !self.shared.stop.is_cancelled() {
            let rows = store.pending(after, COMMIT).await?;
            let oldest = rows.first().map_or(0, |row| self.shared.service.now() - row.received_at);
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            metrics::gauge!("hongyan_inbox_oldest_unapplied_seconds").set(oldest as f64 / SECOND as f64);
            let Some(last) = rows.last() else { break };
            after = Some(last.id);
            let (started, appended) = (Instant::now(), store.appended());
            let more = i64::try_from(rows.len()).unwrap_or(0) == COMMIT;
            let outcomes = store.apply(rows.iter().map(|row| self.read(row)).collect()).await?;
            let done = outcomes.iter().filter(|outcome| **outcome == Application::Done).count();
            metrics::counter!("hongyan_callbacks_applied_total").increment(done as u64);
            self.waiting |= outcomes.contains(&Application::Waits);
            if store.appended() != appended {
                let times = if oldest < OLD { DEFERENCE } else { 1 };
                tokio::time::sleep((started.elapsed() * times).min(LONGEST_PAUSE)).await;
            } else if !more {
                break;
            }
        }
        Ok(())
    }

    /// Says what a row means.
    fn read(&self, row: &Pending) -> ToApply {
        let mut to_apply = ToApply {
            id: row.id,
            epoch: self.shared.epochs.of(row.id.lane()),
            app: row.app,
            openid: String::new(),
            at: self.shared.service.now(),
            acts: Vec::new(),
            set_aside: None,
        };
        match event::parse(row.body.as_bytes()) {
            Ok(push) => {
                let at = push.create_time.saturating_mul(SECOND);
                to_apply.acts = acts(push.kind, at, row.received_at);
                to_apply.openid = push.from_user;
                if to_apply.acts.is_empty() {
                    to_apply.set_aside = Some((Verdict::Ignored, "nothing_to_do".to_owned()));
                }
            }
            Err(error) => to_apply.set_aside = Some((Verdict::Quarantined, error.to_string())),
        }
        to_apply
    }
}

/// What an event says, template by template. Words that WeChat does not document decide nothing.
fn acts(kind: Kind, at: i64, received_at: i64) -> Vec<Act> {
    match kind {
        Kind::Popup(items) => items
            .into_iter()
            .filter_map(|item| {
                let kind = match item.decision {
                    Decision::Accept => ActKind::Grant { at },
                    Decision::Reject => ActKind::PopupReject { at },
                    Decision::Other(_) => return None,
                };
                Some(Act { template_id: item.template_id, kind })
            })
            .collect(),
        Kind::Change(items) => items
            .into_iter()
            .filter(|item| item.decision == Decision::Reject)
            .map(|item| Act { template_id: item.template_id, kind: ActKind::ChangeReject { at } })
            .collect(),
        Kind::Sent(items) => items
            .into_iter()
            .map(|item| Act {
                template_id: item.template_id,
                kind: ActKind::Receipt {
                    msgid: item.msg_id,
                    code: item.error_code,
                    status: item.error_status,
                    at: received_at,
                },
            })
            .collect(),
        Kind::OtherEvent(_) | Kind::CustomerService | Kind::Unknown => Vec::new(),
    }
}
