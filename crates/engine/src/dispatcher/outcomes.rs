//! Writes what the calls brought, many at a time, and tells the dispatcher only what is durable. An outcome that
//! the database did not take is kept and given again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::message::Outcome;
use store::hot::settle::{Settled, Settlement};
use tokio::sync::mpsc;

use super::Landed;
use super::call::Finished;
use crate::Shared;

const BATCH: usize = 1_024;
/// So many armed and in flight are a stream, not a few single messages: then it pays to wait for more outcomes.
const STREAM: usize = 64;
/// Of a stream a quarter is written together, at most so many, and so long at most is waited for them: as much again is armed
/// meanwhile, so that no slot stands empty where WeChat is 50 ms away.
const FULL: usize = 256;
const LINGER: Duration = Duration::from_millis(20);
const AGAIN: Duration = Duration::from_millis(200);

pub(super) async fn run(
    shared: Shared,
    mut finished: mpsc::UnboundedReceiver<Finished>,
    durable: mpsc::UnboundedSender<Landed>,
    outstanding: Arc<AtomicUsize>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while finished.recv_many(&mut batch, BATCH).await > 0 {
        linger(&mut batch, &mut finished, &outstanding).await;
        let mut settlements: Vec<Settlement> =
            batch.iter().map(|finished| finished.settlement.clone()).collect();
        settlements.sort_unstable_by_key(|settlement| (settlement.lane, settlement.id));
        let counted = keep(&shared, &settlements).await;
        // An attempt that somebody else has settled meanwhile, since this node lost its lane: what WeChat answered is
        // evidence all the same, for this attempt and nothing else.
        let late: Vec<Settlement> = settlements
            .into_iter()
            .zip(counted)
            .filter(|(_, counted)| !counted)
            .filter_map(|(settlement, _)| match settlement.result {
                Settled::Outcome(outcome) if outcome != Outcome::Unknown => {
                    Some(Settlement { result: Settled::Late(outcome), ..settlement })
                }
                _ => None,
            })
            .collect();
        if !late.is_empty() {
            keep(&shared, &late).await;
        }
        for finished in &batch {
            count(&finished.settlement.result);
        }
        // A dispatcher that has stopped does not need to know.
        let _ = durable.send(Landed::Settled(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))));
    }
}

/// Gives outcomes to the database until it takes them; tells which counted.
async fn keep(shared: &Shared, settlements: &[Settlement]) -> Vec<bool> {
    loop {
        match shared.service.store().settle(settlements.to_vec()).await {
            Ok(counted) => return counted,
            Err(error) => {
                tracing::error!(%error, count = settlements.len(), "outcomes could not be kept; trying again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// One row costs a third where many are written together, and their calls have let go of their slots already.
async fn linger(
    batch: &mut Vec<Finished>,
    finished: &mut mpsc::UnboundedReceiver<Finished>,
    outstanding: &AtomicUsize,
) {
    let deadline = tokio::time::Instant::now() + LINGER;
    loop {
        let under_way = outstanding.load(Ordering::Relaxed);
        if under_way < STREAM || batch.len() >= FULL.min(under_way / 4) {
            return;
        }
        let more = finished.recv_many(batch, BATCH - batch.len());
        if !matches!(tokio::time::timeout_at(deadline, more).await, Ok(more) if more > 0) {
            return;
        }
    }
}

fn count(result: &Settled) {
    let state = match result {
        Settled::Outcome(Outcome::Accepted { .. }) | Settled::Late(Outcome::Accepted { .. }) => "accepted",
        Settled::Outcome(Outcome::Refused) | Settled::Late(Outcome::Refused) => "refused",
        Settled::Outcome(Outcome::Failed) | Settled::Late(Outcome::Failed) => "failed",
        Settled::Outcome(Outcome::Unknown) | Settled::Late(Outcome::Unknown) | Settled::OwnerLost => {
            "unknown"
        }
        Settled::Again { .. } => "retried",
        Settled::GivenBack { .. } => "given_back",
    };
    metrics::counter!("hongyan_messages_total", "state" => state).increment(1);
}
