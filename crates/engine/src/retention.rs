//! Lets go what was kept long enough (docs/DATA.md): step by step, one node at a time, resting after each step so many times as long
//! as it took.

use std::collections::HashMap;
use std::time::Duration;

use domain::Millis;
use domain::clock::{DAY, HOUR};
use store::StoreError;
use store::retention::{KeyPlace, Periods};

use crate::{Shared, TICK};

/// Between two rounds over everything.
const PAUSE: Duration = Duration::from_secs(5);
/// The same on a shared database, where a round asks each lane.
const PAUSE_SHARED: Duration = Duration::from_secs(60);
/// A step rests so many times as long as it took.
const REST: u32 = 10;
/// How often old partitions are looked for.
const PARTITIONS: Millis = HOUR;
/// How often the walk over contents begins anew: for what was under way when it came by.
const ANEW: Millis = 7 * DAY;

pub(crate) async fn run(shared: Shared) {
    let mut places = Places::default();
    let pause = if shared.service.store().is_shared() { PAUSE_SHARED } else { PAUSE };
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        if !on_duty(&shared) {
            continue;
        }
        if let Err(error) = round(&shared, &mut places).await {
            tracing::error!(%error, "what was kept long enough could not be removed; trying again");
        }
    }
}

fn on_duty(shared: &Shared) -> bool {
    !shared.stop.is_cancelled() && shared.lanes.on_duty(&shared.service, "retention")
}

/// Where the walks stand that need not begin at the beginning each time.
#[derive(Default)]
struct Places {
    /// Contents, by lane: what lies before is silent already.
    contents: HashMap<u16, Vec<u8>>,
    anew_at: Millis,
    keys: Option<KeyPlace>,
    partitions_at: Millis,
}

/// A table that is walked lane by lane.
#[derive(Clone, Copy)]
enum Walk {
    Callbacks,
    Relays,
    Contents,
    Messages,
}

async fn round(shared: &Shared, places: &mut Places) -> Result<(), StoreError> {
    let (store, periods) = (shared.service.store(), shared.options.retention);
    let now = shared.service.now();
    let before = |period: Option<Millis>| period.map(|period| now - period);
    if now >= places.partitions_at {
        let dropped = store.drop_partitions(before(periods.callbacks), before(periods.messages)).await?;
        if !dropped.is_empty() {
            tracing::info!(?dropped, "old partitions were dropped");
        }
        places.partitions_at = now + PARTITIONS;
    }
    if now >= places.anew_at {
        places.contents.clear();
        places.anew_at = now + ANEW;
    }
    for (walk, what, before) in [
        (Walk::Callbacks, "callbacks", before(periods.callbacks)),
        (Walk::Relays, "relays", before(periods.callbacks)),
        (Walk::Contents, "contents", before(periods.contents)),
        (Walk::Messages, "messages", before(periods.messages)),
    ] {
        let Some(before) = before else { continue };
        for lane in store.walked_lanes() {
            lane_of(shared, places, (walk, what), lane, before).await?;
        }
    }
    small(shared, places, &periods, now).await
}

/// Walks to the end of what is old in a lane.
async fn lane_of(
    shared: &Shared,
    places: &mut Places,
    (walk, what): (Walk, &'static str),
    lane: u16,
    before: Millis,
) -> Result<(), StoreError> {
    let store = shared.service.store();
    let mut after = match walk {
        Walk::Contents => places.contents.get(&lane).cloned(),
        _ => None,
    };
    while on_duty(shared) {
        let started = tokio::time::Instant::now();
        let step = match walk {
            Walk::Callbacks => store.clear_callbacks(lane, after, before).await?,
            Walk::Relays => store.clear_relays(lane, after, before).await?,
            Walk::Contents => store.clear_contents(lane, after, before).await?,
            Walk::Messages => store.clear_messages(lane, after, before).await?,
        };
        count(what, step.done);
        let Some(next) = step.next else { break };
        if matches!(walk, Walk::Contents) {
            places.contents.insert(lane, next.clone());
        }
        after = Some(next);
        rest(started).await;
    }
    Ok(())
}

async fn small(
    shared: &Shared,
    places: &mut Places,
    periods: &Periods,
    now: Millis,
) -> Result<(), StoreError> {
    let store = shared.service.store();
    if let Some(callbacks) = periods.callbacks {
        for lane in store.walked_lanes() {
            while on_duty(shared) {
                let started = tokio::time::Instant::now();
                let gone = store.clear_identities(lane, now, callbacks).await?;
                count("identities", gone);
                if gone == 0 {
                    break;
                }
                rest(started).await;
            }
        }
    }
    while on_duty(shared) {
        let started = tokio::time::Instant::now();
        let (gone, next) = store.clear_keys(places.keys.take(), now).await?;
        count("idempotency_keys", gone);
        places.keys = next;
        if places.keys.is_none() {
            break;
        }
        rest(started).await;
    }
    if let Some(contents) = periods.contents {
        while on_duty(shared) {
            let started = tokio::time::Instant::now();
            let gone = store.clear_lists(now - contents).await?;
            count("lists", gone);
            if gone == 0 {
                break;
            }
            rest(started).await;
        }
    }
    if let Some(statistics) = periods.statistics {
        for app in shared.service.apps().all().iter() {
            count("statistics", store.clear_counts(app.number, now - statistics).await?);
        }
    }
    Ok(())
}

async fn rest(started: tokio::time::Instant) {
    tokio::time::sleep((started.elapsed() * REST).min(TICK * 50)).await;
}

fn count(what: &'static str, rows: u64) {
    if rows > 0 {
        metrics::counter!("hongyan_retention_total", "what" => what).increment(rows);
        tracing::debug!(what, rows, "kept long enough");
    }
}
