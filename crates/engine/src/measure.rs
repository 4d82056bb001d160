//! Measures what no event tells of: how long things have waited, what is held, closed, kept. What is this node's is measured by each
//! node, what is the whole database's by the one that is on duty for it; gauges that nobody sets any more vanish from `/metrics`.

use std::time::Duration;

use domain::Millis;
use domain::clock::SECOND;
use store::StoreError;

use crate::Shared;

const EVERY: Duration = Duration::from_secs(5);
/// Rounds between two counts of what takes longer to count.
const RARELY: u32 = 6;

pub(crate) async fn run(shared: Shared) {
    let mut rounds = 0u32;
    loop {
        if let Err(error) = own(&shared).await {
            tracing::debug!(%error, "this node could not be measured");
        }
        if shared.lanes.on_duty(&shared.service, "measure") {
            if let Err(error) = shared_ones(&shared, rounds.is_multiple_of(RARELY)).await {
                tracing::debug!(%error, "the database could not be measured");
            }
            rounds = rounds.wrapping_add(1);
        } else {
            rounds = 0;
        }
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// What is this node's: its lanes, and how long things have waited in them.
async fn own(shared: &Shared) -> Result<(), StoreError> {
    let (service, store) = (&shared.service, shared.service.store());
    let lanes = shared.lanes.list();
    metrics::gauge!("hongyan_lanes_owned").set(count(lanes.len()));
    let now = service.now();
    let waited = |since: Option<Millis>| seconds(since.map_or(0, |since| (now - since).max(0)));
    let due = service.oldest_due(&lanes).await?;
    metrics::gauge!("hongyan_queue_oldest_due_seconds").set(waited(due));
    let mut oldest = None;
    if store.is_shared() {
        for lane in lanes {
            oldest = oldest.into_iter().chain(store.inbox_lag(lane).await?).min();
        }
    } else {
        oldest = store.oldest_pending().await?;
    }
    metrics::gauge!("hongyan_inbox_oldest_unapplied_seconds").set(waited(oldest));
    Ok(())
}

/// What is the whole database's.
async fn shared_ones(shared: &Shared, rarely: bool) -> Result<(), StoreError> {
    let (service, store) = (&shared.service, shared.service.store());
    let now = service.now();
    let rows = store.lane_rows().await?;
    let unowned = rows.iter().filter(|row| row.owner.is_empty() || row.lease_until < now).count();
    metrics::gauge!("hongyan_lanes_unowned").set(count(unowned));
    let gates = store.gates().await?;
    for app in service.apps().all().iter() {
        let closed = gates.iter().any(|gate| gate.app == app.number);
        metrics::gauge!("hongyan_gate_closed", "app" => app.app_id.clone()).set(f64::from(u8::from(closed)));
        if let Some(token) = store.token(app.number).await? {
            metrics::gauge!("hongyan_access_token_age_seconds", "app" => app.app_id.clone())
                .set(seconds(now - token.obtained_at));
            metrics::gauge!("hongyan_access_token_expires_in_seconds", "app" => app.app_id.clone())
                .set(seconds(token.expires_at - now));
        }
    }
    let running = service.campaigns().under_way().len();
    metrics::gauge!("hongyan_campaigns_under_way").set(count(running));
    if rarely {
        let waiting: i64 = store.delivery_backlog().await?.iter().map(|one| one.count).sum();
        metrics::gauge!("hongyan_webhook_backlog").set(number(waiting));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a gauge")]
fn count(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "a gauge")]
fn number(count: i64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "a gauge")]
fn seconds(millis: Millis) -> f64 {
    millis as f64 / SECOND as f64
}
