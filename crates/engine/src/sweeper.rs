//! Looks after what nobody asks for: messages whose time is over while their queue stands still, attempts that an
//! earlier owner left without an answer, and messages that stayed unknown (I4, I5).

use domain::Millis;
use domain::clock::SECOND;
use domain::message::Event;
use domain::retry::RetryPolicy;
use service::Problem;
use store::StoreError;
use store::unknowns::Decided;

use crate::{Shared, TICK};

/// Rows of the ready table that one step looks at: a paused million is walked in the background, a page at a time.
const PAGE: i64 = 10_000;
const ORPHANS: i64 = 1_000;
/// Ticks between two walks over an idle table.
const PAUSE: u32 = 10;

/// Turns what an earlier owner left in `sending` into `unknown`.
pub(crate) async fn settle_orphans(shared: &Shared) -> Result<(), Problem> {
    loop {
        let orphans = shared.service.store().orphans(shared.service.now(), ORPHANS).await?;
        if orphans.is_empty() {
            return Ok(());
        }
        tracing::warn!(
            count = orphans.len(),
            "attempts without an answer were found after a restart: they are unknown now"
        );
        shared.service.store().settle(orphans).await?;
    }
}

pub(crate) async fn run(shared: Shared) {
    let mut after = None;
    loop {
        let pause = if after.is_some() { TICK } else { TICK * PAUSE };
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        if let Err(error) = decide_unknowns(&shared).await {
            tracing::error!(%error, "unknown messages could not be looked at; trying again");
        }
        after = expire(&shared, after).await.unwrap_or_else(|error| {
            tracing::error!(%error, "expired messages could not be ended; trying again");
            None
        });
    }
}

/// How long evidence is waited for before an app's policy decides: receipts come within seconds.
const GRACE: Millis = 60 * SECOND;
const UNKNOWNS: i64 = 500;

/// Does with messages that stayed `unknown` what their app's setting `on_unknown` says.
async fn decide_unknowns(shared: &Shared) -> Result<(), StoreError> {
    let (service, now) = (&shared.service, shared.service.now());
    let watched = service.store().watched(now - GRACE, UNKNOWNS).await?;
    if watched.is_empty() {
        return Ok(());
    }
    let decided = watched
        .into_iter()
        .map(|watched| {
            let policy = service.apps().by_number(watched.app).map(|app| app.settings.on_unknown);
            let attempts = u32::try_from(watched.attempts).unwrap_or(u32::MAX);
            let event = policy
                .and_then(|policy| policy.event(attempts, watched.cancel_requested, &RetryPolicy::default()))
                // What may no longer be sent waits for evidence.
                .filter(|event| *event != Event::Resend || watched.expire_at > now);
            Decided { epoch: shared.epochs.of(watched.id.lane()), watched, event }
        })
        .collect();
    let changed = service.store().decide_unknowns(decided, now).await?;
    metrics::counter!("hongyan_unknowns_decided_total").increment(changed);
    Ok(())
}

async fn expire(
    shared: &Shared,
    after: Option<store::changes::ReadyKey>,
) -> Result<Option<store::changes::ReadyKey>, StoreError> {
    let (ended, next) = shared.service.store().expire(shared.service.now(), after, PAGE).await?;
    if ended > 0 {
        metrics::counter!("hongyan_messages_total", "state" => "expired").increment(ended);
    }
    Ok(next)
}
