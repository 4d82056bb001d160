//! Looks after what nobody asks for: messages whose time is over while their queue stands still, and attempts that
//! an earlier owner left without an answer (I4, I5).

use service::{Problem, Service};
use store::StoreError;
use store::lanes::Holding;

use crate::{Shared, TICK};

/// Rows of the ready table that one step looks at: a paused million is walked in the background, a page at a time.
const PAGE: i64 = 10_000;
const ORPHANS: i64 = 1_000;
/// Ticks between two walks over an idle table.
const PAUSE: u32 = 10;
/// A step rests so many times as long as it took: walking through millions takes a twentieth of a processor at most.
const REST: u32 = 20;

/// Turns what an earlier owner of a lane left in `sending` into `unknown`.
pub(crate) async fn settle_orphans(service: &Service, held: Holding) -> Result<(), Problem> {
    loop {
        let mut orphans = service.store().orphans(held, service.now(), ORPHANS).await?;
        if orphans.is_empty() {
            return Ok(());
        }
        tracing::warn!(
            count = orphans.len(),
            lane = held.lane.0,
            "attempts without an answer were found: they are unknown now"
        );
        for orphan in &mut orphans {
            orphan.errmsg = Some("the service ended during the call".to_owned());
        }
        service.store().settle(orphans).await?;
    }
}

pub(crate) async fn run(shared: Shared) {
    let (mut after, mut rest) = (None, TICK);
    loop {
        let pause = if after.is_some() { TICK.max(rest) } else { TICK * PAUSE };
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let started = tokio::time::Instant::now();
        after = expire(&shared, after).await.unwrap_or_else(|error| {
            tracing::error!(%error, "expired messages could not be ended; trying again");
            None
        });
        rest = started.elapsed() * REST;
    }
}

async fn expire(
    shared: &Shared,
    after: Option<store::changes::ReadyKey>,
) -> Result<Option<store::changes::ReadyKey>, StoreError> {
    let lanes = shared.lanes.list();
    let (ended, next) = shared.service.store().expire(&lanes, shared.service.now(), after, PAGE).await?;
    if ended > 0 {
        metrics::counter!("hongyan_messages_total", "state" => "expired").increment(ended);
    }
    Ok(next)
}
