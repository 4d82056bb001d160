//! Callbacks: how many a second are acknowledged, each of them durable, and how many a second have had all their
//! effects; beside a bare axum handler that reads the body and answers `success`, under the same load.

use std::time::{Duration, Instant};

use anyhow::ensure;
use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use domain::clock::SECOND;
use domain::{Clock, SystemClock};
use wechat::callback::Mode;

use crate::load::budget::Budget;
use crate::load::client::{self, Load, Requests};
use crate::load::report::{Figure, note, print};
use crate::load::serving::{Hongyan, Serving, runtime};
use crate::load::world::{Engine, World};

const OK: &str = "HTTP/1.1 200";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Subscribers in the database.
    #[arg(long, default_value_t = 1_000_000)]
    rows: usize,
    /// Seconds of load in each run.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Runs of each kind.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Connections.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// What is served from.
    #[arg(long, value_enum, default_value_t = Engine::Sqlite)]
    engine: Engine,
    /// One JSON object per figure instead of the table.
    #[arg(long)]
    json: bool,
}

/// A run of the service.
struct Run {
    load: Load,
    /// Events a second, from the first request until all effects are applied.
    applied: f64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (clients, servers) = (runtime("client", 1)?, runtime("service", 2)?);
    let wechat = servers.block_on(crate::sends::simulator())?;
    let world = servers.block_on(World::make_on(
        arguments.engine,
        arguments.rows,
        &format!("http://{}", wechat.address),
    ))?;
    let time = Duration::from_secs(arguments.seconds);
    let now = SystemClock.now() / SECOND;
    let count = usize::try_from(arguments.seconds)? * 150_000;
    let plain = Requests::new(world.callbacks(Mode::Plain, count, now)?);
    let safe = Requests::new(world.callbacks(Mode::Safe, count, now)?);
    note(&format!("{count} callbacks of each mode are ready"));

    let bare = |requests: &Requests| -> anyhow::Result<f64> {
        let handler = |body: Bytes| async move {
            std::hint::black_box(body);
            "success"
        };
        let serving = servers.block_on(async {
            Serving::start(Router::new().route("/callback/{app}", post(handler))).await
        })?;
        let load = clients.block_on(client::run(
            serving.address,
            arguments.connections,
            time,
            &requests.again(),
            OK,
        ))?;
        servers.block_on(serving.stop());
        Ok(load.per_second())
    };
    let serve = |requests: &Requests, delay: Duration| -> anyhow::Result<Run> {
        let hongyan = servers.block_on(Hongyan::start(&world, world.copy()?, delay))?;
        let (before, started) = (Budget::now(), Instant::now());
        let load = clients.block_on(client::run(
            hongyan.serving.address,
            arguments.connections,
            time,
            &requests.again(),
            OK,
        ))?;
        servers.block_on(async {
            // The row of the queue that is asked for is found through the index of what is pending.
            while hongyan
                .count("select count(*) from (select 1 from inbox where verdict is null limit 1) x")
                .await?
                == 1
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            anyhow::Ok(())
        })?;
        let applied = load.answered as f64 / started.elapsed().as_secs_f64();
        let after = Budget::now();
        let counted = servers.block_on(hongyan.count("select count(*) from inbox where verdict = 1"))?;
        ensure!(
            usize::try_from(counted)? == load.answered,
            "{} acknowledged, {counted} applied",
            load.answered
        );
        let spent: Vec<String> = after
            .since(&before)
            .iter()
            .map(|(name, seconds)| format!("{name} {:.1}", seconds * 1e6 / load.answered as f64))
            .collect();
        note(&format!(
            "{:.0}/s acknowledged, {applied:.0}/s applied, p99 {:.1} ms; processor µs a callback: {}",
            load.per_second(),
            load.percentile(0.99),
            spent.join(", ")
        ));
        for (what, work) in hongyan.service.store().writer_work() {
            note(&format!("  writer: {what}: {} rows, {:.1} µs a row", work.rows, work.micros_a_row()));
        }
        servers.block_on(hongyan.stop());
        Ok(Run { load, applied })
    };

    let goal = |sqlite, postgres| if arguments.engine == Engine::Sqlite { sqlite } else { postgres };
    let mut acknowledged = Figure::new("acknowledged a second, plain", Some(goal(0.45, 0.35)));
    let mut applied = Figure::new("until applied, a second, plain", Some(goal(0.25, 0.2)));
    let mut encrypted = Figure::new("acknowledged a second, safe", Some(0.4));
    let mut slow = Figure::new("acknowledged a second, 2 ms more a commit", None);
    let mut slow_applied = Figure::new("until applied, a second, 2 ms more a commit", None);
    let mut p99 = Figure::new("p99 plain, ms (below 50)", None);
    let mut p99_safe = Figure::new("p99 safe, ms (below 50)", None);
    let mut p99_slow = Figure::new("p99, 2 ms more a commit, ms", None);
    for number in 1..=arguments.runs {
        let beside = bare(&plain)?;
        note(&format!("run {number}: bare axum {beside:.0}/s"));
        let run = serve(&plain, Duration::ZERO)?;
        acknowledged.add(run.load.per_second(), beside);
        applied.add(run.applied, beside);
        p99.runs.push(run.load.percentile(0.99));
        let run = serve(&safe, Duration::ZERO)?;
        encrypted.add(run.load.per_second(), bare(&safe)?);
        p99_safe.runs.push(run.load.percentile(0.99));
        let run = serve(&plain, Duration::from_millis(2))?;
        slow.add(run.load.per_second(), beside);
        slow_applied.add(run.applied, beside);
        p99_slow.runs.push(run.load.percentile(0.99));
    }
    print(
        "callbacks",
        &[acknowledged, applied, encrypted, slow, slow_applied, p99, p99_safe, p99_slow],
        arguments.json,
    );
    servers.block_on(wechat.stop());
    Ok(())
}
