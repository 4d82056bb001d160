//! Passes callbacks on to a team's other server, from the durable queue: in order as far as that goes, each until the
//! other server answered 2xx, for a day at most. A server that fails is asked less and less often, with one callback at
//! a time, and delays nobody else.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::Millis;
use domain::clock::{HOUR, SECOND};
use futures::StreamExt;
use service::App;
use store::StoreError;
use store::relay::{DueRelay, RelayState, RelayTried};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::{Shared, TICK};

/// One try, answer included.
const TIME: Duration = Duration::from_secs(5);
/// Callbacks of one app that are under way at the same time, while its server answers.
const AT_ONCE: usize = 8;
/// Read at a time.
const READ: i64 = 64;
/// How long a callback is tried, from when it came.
const PATIENCE: Millis = 24 * HOUR;
/// The longest pause before a callback is tried again, and before a failing server is asked again.
const LONGEST_WAIT: Millis = 10 * 60 * SECOND;
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Ticks between two counts of what waits.
const COUNT_EVERY: u32 = 50;

/// What is known of an app's other server.
#[derive(Debug, Clone, Copy, Default)]
struct Server {
    /// Tries that failed since the last one that did not.
    failures: u32,
    /// Not asked before.
    rests_until: Option<Instant>,
}

pub(crate) async fn run(shared: Shared) {
    let tasks = TaskTracker::new();
    let mut servers: HashMap<i64, Server> = HashMap::new();
    let mut busy: HashMap<i64, tokio::task::JoinHandle<Server>> = HashMap::new();
    let mut ticks = 0u32;
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => break,
            () = tokio::time::sleep(TICK) => ticks = ticks.wrapping_add(1),
        }
        let done: Vec<i64> =
            busy.iter().filter(|(_, task)| task.is_finished()).map(|(app, _)| *app).collect();
        for app in done {
            if let Some(task) = busy.remove(&app) {
                servers.insert(app, task.await.unwrap_or_default());
            }
        }
        match shared.service.store().relay_apps().await {
            Ok(apps) => {
                for number in apps {
                    let server = servers.get(&number).copied().unwrap_or_default();
                    let rests = server.rests_until.is_some_and(|until| until > Instant::now());
                    let mine = shared.lanes.on_duty(&shared.service, &format!("relay {number}"));
                    if mine && !rests && !busy.contains_key(&number) {
                        busy.insert(number, tasks.spawn(empty(shared.clone(), number, server)));
                    }
                }
            }
            Err(error) => tracing::error!(%error, "what is to be passed on could not be read; trying again"),
        }
        if ticks.is_multiple_of(COUNT_EVERY) {
            look_around(&shared).await;
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// Works through what is due of one app, until nothing is or its server fails.
async fn empty(shared: Shared, number: i64, mut server: Server) -> Server {
    let store = shared.service.store();
    let app = shared.service.apps().by_number(number);
    let Some((app, url)) = app.and_then(|app| app.settings.relay_url.clone().map(|url| (app, url))) else {
        match store.relay_stopped(number).await {
            Ok(count) => {
                tracing::info!(app = number, count, "relay_url was removed: what waited is not passed on")
            }
            Err(error) => tracing::error!(%error, "what is not to be passed on could not be marked"),
        }
        return server;
    };
    loop {
        let limit = if server.failures == 0 { READ } else { 1 };
        let rows = match store.relay_due(number, shared.service.now(), limit).await {
            Ok(rows) if rows.is_empty() || shared.stop.is_cancelled() => return server,
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(%error, "what is to be passed on could not be read; trying again");
                return server;
            }
        };
        let Ok(all_delivered) = pass_on(&shared, &app, &url, rows).await else { return server };
        if !all_delivered {
            let pause = Duration::from_secs(1 << server.failures.min(5)).min(LONGEST_PAUSE);
            server.failures += 1;
            server.rests_until = Some(Instant::now() + pause);
            return server;
        }
        server = Server::default();
    }
}

/// Tries some callbacks; tells whether all were delivered. Those that came back are kept while the others are under way;
/// after a failure, no more begin.
async fn pass_on(
    shared: &Shared,
    app: &Arc<App>,
    url: &str,
    rows: Vec<DueRelay>,
) -> Result<bool, StoreError> {
    let failed = AtomicBool::new(false);
    let tries = rows.into_iter().map(|row| {
        let failed = &failed;
        async move {
            if failed.load(Ordering::Relaxed) || shared.stop.is_cancelled() {
                return None;
            }
            let tried = attempt(shared, app, url, row).await;
            failed.fetch_or(tried.state == RelayState::Waiting, Ordering::Relaxed);
            Some(tried)
        }
    });
    let mut under_way = futures::stream::iter(tries).buffer_unordered(AT_ONCE).ready_chunks(AT_ONCE);
    while let Some(done) = under_way.next().await {
        let done: Vec<RelayTried> = done.into_iter().flatten().collect();
        if !done.is_empty() {
            keep(shared, &done).await?;
        }
    }
    drop(under_way);
    Ok(!failed.into_inner())
}

async fn attempt(shared: &Shared, app: &App, url: &str, row: DueRelay) -> RelayTried {
    let answered = match &row.pushed {
        Some(pushed) => shared.service.pass_on(url, pushed, TIME).await.map_err(|why| why.to_string()),
        None => Err("the stored content cannot be opened".to_owned()),
    };
    let at = shared.service.now();
    let (status, error) = match answered {
        Ok(answer) => (Some(answer.status), None),
        Err(error) => (None, Some(error)),
    };
    let (state, outcome) = match status {
        Some(200..=299) => (RelayState::Delivered, "delivered"),
        _ if row.pushed.is_none() => (RelayState::GivenUp, "given_up"),
        _ => (RelayState::Waiting, "failed"),
    };
    metrics::counter!("hongyan_relay_total", "outcome" => outcome).increment(1);
    if state != RelayState::Delivered {
        let attempts = row.attempts + 1;
        tracing::warn!(app = app.app_id, id = %row.id, status, error, attempts, "a callback could not be passed on");
    }
    RelayTried { id: row.id, at, status, error, state, due_at: at + wait(row.attempts) }
}

/// Before a callback that was tried so often before is tried again: 5 s, doubled up to 10 minutes. Longer than the pause
/// after a first failure, so that one callback that the other server cannot digest does not keep the rest from it.
fn wait(attempts: i64) -> Millis {
    ((5 * SECOND) << attempts.clamp(0, 20)).min(LONGEST_WAIT)
}

/// Keeps what came of tries; as long as the database is away, nothing more is passed on, or it would be twice.
async fn keep(shared: &Shared, done: &[RelayTried]) -> Result<(), StoreError> {
    loop {
        match shared.service.store().relay_tried(done).await {
            Ok(()) => return Ok(()),
            Err(error) if shared.stop.is_cancelled() => return Err(error),
            Err(error) => {
                tracing::error!(%error, "what was passed on could not be kept; trying again");
                tokio::time::sleep(TICK).await;
            }
        }
    }
}

/// Gives up what is too old, and counts what waits.
async fn look_around(shared: &Shared) {
    let store = shared.service.store();
    match store.relay_over(shared.service.now() - PATIENCE).await {
        Ok(0) => {}
        Ok(count) => {
            metrics::counter!("hongyan_relay_total", "outcome" => "given_up").increment(count);
            tracing::error!(count, "callbacks could not be passed on for a day: given up");
        }
        Err(error) => tracing::error!(%error, "what is too old to be passed on could not be given up"),
    }
    let Ok(waiting) = store.relay_backlog().await else { return };
    let of = |number: i64| waiting.iter().find(|(app, _)| *app == number).map_or(0, |(_, count)| *count);
    for app in shared.service.apps().all().iter().filter(|app| app.settings.relay_url.is_some()) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("hongyan_relay_backlog", "app" => app.app_id.clone()).set(of(app.number) as f64);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_wait_doubles_and_is_bounded() {
        let waits: Vec<_> = [0, 1, 2, 6, 7, 1_000_000].map(super::wait).into();
        assert_eq!(waits, [5_000, 10_000, 20_000, 320_000, 600_000, 600_000]);
    }
}
