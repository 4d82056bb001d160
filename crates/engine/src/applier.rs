//! Applies the inbox: reads what waits in each lane, says what it means, and lets the store write the effects.

use std::collections::BTreeSet;

use domain::Lane;
use domain::clock::SECOND;
use store::StoreError;
use store::hot::append::Verdict;
use store::hot::apply::{Act, ActKind, Application, Pending, ToApply};
use tokio_util::task::TaskTracker;
use wechat::callback::event::{self, Decision, Kind};

use crate::told::Handle;
use crate::{Shared, TICK};

/// Rows read of one lane at a time, and rows applied in one commit.
const READ: i64 = 256;
const COMMIT: usize = 1_024;
/// Ticks between looks at all lanes.
const LOOK_EVERY: u32 = 10;

pub(crate) struct Applier {
    shared: Shared,
    handle: Handle<Lane>,
    /// Lanes with a receipt that waits for an answer.
    waiting: BTreeSet<Lane>,
}

impl Applier {
    pub(crate) fn start(shared: Shared, tasks: &TaskTracker) -> Handle<Lane> {
        let handle = Handle::default();
        let applier = Self { shared, handle: handle.clone(), waiting: BTreeSet::new() };
        tasks.spawn(applier.run());
        handle
    }

    async fn run(mut self) {
        let mut ticks = 0u32;
        let mut everywhere = true;
        loop {
            let told = self.handle.take();
            let mut lanes: BTreeSet<Lane> = told.places.into_iter().collect();
            lanes.append(&mut self.waiting);
            if let Err(error) = self.pass(lanes, everywhere || told.everywhere).await {
                tracing::error!(%error, "the inbox could not be applied; trying again");
                metrics::counter!("hongyan_apply_failures_total").increment(1);
                tokio::time::sleep(TICK).await;
                everywhere = true;
                continue;
            }
            tokio::select! {
                () = self.shared.stop.cancelled() => return,
                () = self.handle.woken() => everywhere = false,
                () = tokio::time::sleep(TICK) => {
                    ticks = ticks.wrapping_add(1);
                    everywhere = ticks.is_multiple_of(LOOK_EVERY);
                }
            }
        }
    }

    async fn pass(&mut self, mut lanes: BTreeSet<Lane>, everywhere: bool) -> Result<(), StoreError> {
        let store = self.shared.service.store().clone();
        if everywhere {
            lanes.extend(store.lanes_with_pending().await?);
            let age = store.oldest_pending().await?.map_or(0, |since| self.shared.service.now() - since);
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            metrics::gauge!("hongyan_inbox_oldest_unapplied_seconds").set(age as f64 / SECOND as f64);
        }
        let mut batch = Vec::new();
        for lane in lanes {
            let mut after = None;
            loop {
                let rows = store.pending(lane, after, READ).await?;
                after = rows.last().map(|row| row.id);
                let full = i64::try_from(rows.len()).unwrap_or(0) == READ;
                batch.extend(rows.iter().map(|row| self.read(row)));
                if batch.len() >= COMMIT {
                    self.apply(std::mem::take(&mut batch)).await?;
                }
                if !full {
                    break;
                }
            }
        }
        self.apply(batch).await
    }

    async fn apply(&mut self, batch: Vec<ToApply>) -> Result<(), StoreError> {
        let lanes: Vec<Lane> = batch.iter().map(|row| row.id.lane()).collect();
        let outcomes = self.shared.service.store().apply(batch).await?;
        for (lane, outcome) in lanes.into_iter().zip(outcomes) {
            match outcome {
                Application::Done => metrics::counter!("hongyan_callbacks_applied_total").increment(1),
                Application::Waits => drop(self.waiting.insert(lane)),
                Application::NotOurs => {}
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
