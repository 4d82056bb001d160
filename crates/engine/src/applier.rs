//! Applies the inbox: takes what has just come in, or reads what waits, says what it means, and lets the store write
//! the effects.

use std::sync::Arc;
use std::time::Duration;

use domain::clock::SECOND;
use domain::{InboxId, Lane, Millis};
use service::erasure;
use service::fresh::{Fresh, Said};
use service::mini_program::Reported;
use store::StoreError;
use store::hot::append::{InboxKind, Verdict};
use store::hot::apply::{Act, ActKind, Application, Pending, ToApply};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use wechat::callback::event::{self, Decision, Kind, ParseError, Push};

use crate::{Shared, TICK};

/// Rows of one commit. More would keep callbacks waiting longer, fewer touch the same pages more often.
const COMMIT: usize = 512;
/// Rows that a shared database takes at once, each lane's in a commit of its own.
const COMMITS: usize = 8_192;
const PAGE: i64 = 512;
/// Lanes of a shared database that are caught up with together.
const LANES: usize = 8;
/// While callbacks come in, applying pauses so many times as long as it took: they are acknowledged first.
const DEFERENCE: u32 = 3;
/// A pause at most, on a file and on a shared database, where each lane must have gathered its own; and an age of the backlog
/// (milliseconds) from which on it only waits as long as it took.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE_SHARED: Duration = Duration::from_millis(250);
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
        // What an earlier start left.
        let mut look = true;
        loop {
            let fresh = self.shared.service.fresh().take();
            let done =
                if look || fresh.lost { self.catch_up().await } else { self.fresh(fresh.pushes).await };
            look = false;
            if let Err(error) = done {
                tracing::error!(%error, "the inbox could not be applied; trying again");
                metrics::counter!("hongyan_apply_failures_total").increment(1);
                tokio::time::sleep(TICK).await;
                look = true;
                continue;
            }
            tokio::select! {
                () = self.shared.stop.cancelled() => return,
                () = self.told.notified() => look = true,
                () = self.shared.service.fresh().told() => {}
                () = tokio::time::sleep(TICK) => {
                    ticks = ticks.wrapping_add(1);
                    look = self.waiting || ticks.is_multiple_of(LOOK_EVERY);
                }
            }
        }
    }

    /// Applies what has just come in.
    async fn fresh(&mut self, pushes: Vec<Fresh>) -> Result<(), StoreError> {
        let (mine, others): (Vec<Fresh>, Vec<Fresh>) =
            pushes.into_iter().partition(|fresh| self.shared.lanes.owns(fresh.id.lane()));
        if !others.is_empty() {
            self.shared.service.store().hints().appended_elsewhere();
        }
        let at_once = if self.shared.service.store().is_shared() { COMMITS } else { COMMIT };
        let mut pushes = mine.into_iter().peekable();
        while let Some(first) = pushes.peek()
            && !self.shared.stop.is_cancelled()
        {
            let oldest = first.received_at;
            let batch = pushes
                .by_ref()
                .take(at_once)
                .map(|fresh| match fresh.said {
                    Said::Pushed(push) => self.meaning(fresh.id, fresh.app, fresh.received_at, Ok(push)),
                    Said::Reported { openid, reported } => {
                        self.report(fresh.id, fresh.app, openid, Some(reported))
                    }
                })
                .collect();
            self.apply(batch, oldest).await?;
        }
        Ok(())
    }

    /// Applies what waits in the inbox, oldest first, until nothing does.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        let store = self.shared.service.store().clone();
        self.waiting = false;
        // A file's inbox lies in time order, whatever the lanes; elsewhere each lane is read by itself, some at a time.
        let lanes = self.shared.lanes.list();
        let at_a_time = if store.is_shared() { LANES } else { usize::MAX };
        for lanes in lanes.chunks(at_a_time.min(lanes.len().max(1))) {
            let lanes = if store.is_shared() { lanes } else { &lanes[..1] };
            let mut after: Vec<(Lane, Option<InboxId>)> = lanes.iter().map(|lane| (*lane, None)).collect();
            while !after.is_empty() && !self.shared.stop.is_cancelled() {
                let reads = after.iter().map(|(lane, after)| store.pending(*lane, *after, PAGE));
                let read = futures::future::try_join_all(reads).await?;
                after = after
                    .iter()
                    .zip(&read)
                    .filter(|(_, rows)| rows.len() == COMMIT)
                    .filter_map(|((lane, _), rows)| Some((*lane, Some(rows.last()?.id))))
                    .collect();
                let rows: Vec<Pending> = read.into_iter().flatten().collect();
                let Some(oldest) = rows.iter().map(|row| row.received_at).min() else { break };
                let batch = rows
                    .into_iter()
                    .map(|row| match row.kind {
                        InboxKind::Report => {
                            self.report(row.id, row.app, row.openid, serde_json::from_str(&row.body).ok())
                        }
                        _ => {
                            self.meaning(row.id, row.app, row.received_at, event::parse(row.body.as_bytes()))
                        }
                    })
                    .collect();
                self.apply(batch, oldest).await?;
            }
        }
        Ok(())
    }

    /// Applies one batch; then lets callbacks go first, where they are coming in.
    async fn apply(&mut self, batch: Vec<ToApply>, oldest: Millis) -> Result<(), StoreError> {
        let store = self.shared.service.store();
        let (started, appended) = (Instant::now(), store.appended());
        let age = self.shared.service.now() - oldest;
        let outcomes = store.apply(batch).await?;
        let done = outcomes.iter().filter(|outcome| **outcome == Application::Done).count();
        metrics::counter!("hongyan_callbacks_applied_total").increment(done as u64);
        self.waiting |= outcomes.contains(&Application::Waits);
        if store.appended() != appended {
            let times = if age < OLD { DEFERENCE } else { 1 };
            let longest = if store.is_shared() { LONGEST_PAUSE_SHARED } else { LONGEST_PAUSE };
            tokio::time::sleep((started.elapsed() * times).min(longest)).await;
        }
        Ok(())
    }

    fn nothing_yet(&self, id: InboxId, app: i64) -> ToApply {
        ToApply {
            id,
            epoch: self.shared.lanes.epoch(id.lane()),
            app,
            openid: String::new(),
            at: self.shared.service.now(),
            acts: Vec::new(),
            set_aside: None,
            erase: None,
        }
    }

    /// Says what a mini program's report means.
    fn report(&self, id: InboxId, app: i64, openid: String, reported: Option<Reported>) -> ToApply {
        let mut to_apply = ToApply { openid, ..self.nothing_yet(id, app) };
        let Some(reported) = reported else {
            to_apply.set_aside = Some((Verdict::Quarantined, "unreadable".to_owned()));
            return to_apply;
        };
        let at = reported.at;
        let act = |(template_id, accepted): (&str, bool)| Act {
            template_id: template_id.to_owned(),
            kind: if accepted { ActKind::Report { at } } else { ActKind::ReportedReject { at } },
        };
        to_apply.acts = reported.decisions().map(act).collect();
        to_apply
    }

    /// Says what a push means.
    fn meaning(&self, id: InboxId, app: i64, received_at: Millis, push: Result<Push, ParseError>) -> ToApply {
        let mut to_apply = self.nothing_yet(id, app);
        match push {
            Ok(push) if let Some(what) = erasure::demand(&push) => {
                let store = self.shared.service.store();
                to_apply.openid = push.open_id.unwrap_or_default();
                to_apply.erase = Some(store.new_erasure(id, what.to_stored(), &to_apply.openid));
            }
            Ok(push) => {
                let at = push.create_time.saturating_mul(SECOND);
                to_apply.acts = acts(push.kind, at, received_at);
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

/// A node that applies nothing tells the others what it appended.
pub(crate) async fn pass_on(shared: Shared) {
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = shared.service.fresh().told() => {}
        }
        let gathered = shared.service.fresh().take();
        if gathered.lost || !gathered.pushes.is_empty() {
            shared.service.store().hints().appended_elsewhere();
        }
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
