//! A campaign from its start to its last outcome, durable: as fast as WeChat answers, with receipts, and with WeChat as far
//! away as it is in life.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use serde_json::json;
use simulator::Simulator;

use super::{NOTICE, app, crowd, finish, start};
use crate::load::budget::Budget;
use crate::load::report::{Figure, median, note, print};
use crate::load::serving::{Hongyan, Serving, runtime};
use crate::load::world::{APP, Engine, TOKEN, World, audience};
use crate::sends::{FAST_ENOUGH, bare, wechat};

/// Calls at the same time.
const IN_FLIGHT: usize = 256;
/// How far away WeChat is.
const FAR: Duration = Duration::from_millis(50);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Subscribers in the database.
    #[arg(long, default_value_t = 1_000_000)]
    rows: usize,
    /// Recipients of the campaign.
    #[arg(long, default_value_t = 200_000)]
    recipients: usize,
    /// Runs of each kind.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Which kinds: plain, receipts, far, crowded. What goes on beside the crowd is compared with plain.
    #[arg(long, value_delimiter = ',', default_value = "plain,receipts,far,crowded")]
    kinds: Vec<String>,
    /// What is served from.
    #[arg(long, value_enum, default_value_t = Engine::Sqlite)]
    engine: Engine,
    /// One JSON object per figure instead of the table.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (clients, servers) = (runtime("client", 1)?, runtime("service", 2)?);
    let wechats = runtime("simulator", 2)?;
    let sim = wechat()?;
    let serving = wechats.block_on(Serving::start(sim.router()))?;
    let base = format!("http://{}", serving.address);
    let world = servers.block_on(World::make_on(arguments.engine, arguments.rows, &base))?;
    for part in world.openids.chunks(50_000) {
        let grants = json!({ NOTICE: 1_000, crate::load::world::TEMPLATE: 1_000 });
        let seed = serde_json::from_value(json!({ "openids": part, "grants": grants }))?;
        sim.seed(APP, &seed).map_err(|refusal| anyhow!("{refusal}"))?;
    }
    let mut plain = Figure::new(
        "start to last outcome, a second",
        Some(if arguments.engine == Engine::Sqlite { 0.45 } else { 0.3 }),
    );
    let mut receipts = Figure::new("the same with receipts, a second", None);
    let mut crowded =
        Figure::new("beside as many paused and as many ahead as there are subscribers, a second", Some(0.9));
    let mut far = Figure::new("WeChat 50 ms away, 256 in flight, a second", Some(0.9));
    let reachable = IN_FLIGHT as f64 / FAR.as_secs_f64();
    for number in 1..=arguments.runs {
        let beside = clients.block_on(bare(&base, &world, 64, Duration::from_secs(10)))?;
        note(&format!("run {number}: bare hyper loop {beside:.0}/s"));
        let asked = |kind: &str| arguments.kinds.iter().any(|asked| asked == kind);
        for (kind, figure, with_receipts, delay) in [
            ("plain", &mut plain, false, None),
            ("receipts", &mut receipts, true, None),
            ("far", &mut far, false, Some(FAR)),
        ] {
            if !asked(kind) {
                continue;
            }
            set(&sim, None, delay)?;
            let rate = servers.block_on(one(arguments, &world, &sim, (with_receipts, false)))?;
            figure.add(rate, if delay.is_some() { reachable } else { beside });
            set(&sim, None, None)?;
        }
        if !asked("crowded") {
            continue;
        }
        let alone = plain.runs.last().copied().unwrap_or(f64::NAN);
        crowded.add(servers.block_on(one(arguments, &world, &sim, (false, true)))?, alone);
    }
    if median(&plain.beside) < FAST_ENOUGH {
        note(&format!("VOID: the bare loop reached fewer than {FAST_ENOUGH} a second"));
    }
    let figures: Vec<Figure> =
        [plain, receipts, far, crowded].into_iter().filter(|figure| !figure.runs.is_empty()).collect();
    print("campaign", &figures, arguments.json);
    wechats.block_on(serving.stop());
    Ok(())
}

/// How the simulated WeChat is.
pub(super) fn set(sim: &Simulator, callback: Option<&str>, delay: Option<Duration>) -> anyhow::Result<()> {
    let mut spec = serde_json::to_value(simulator::sample_app())?;
    spec["receipts"] = callback.is_some().into();
    spec["receipt_delay_ms"] = 0.into();
    if let Some(url) = callback {
        spec["callback"] = json!({ "url": url, "token": TOKEN, "mode": "plain", "format": "json" });
    }
    sim.put_app(APP, serde_json::from_value(spec)?).map_err(|refusal| anyhow!("{refusal}"))?;
    let rules =
        delay.map(|delay| json!({ "on": "send", "fault": "latency", "delay_ms": delay.as_millis() as u64 }));
    let script = serde_json::from_value(json!({ "rules": rules.into_iter().collect::<Vec<_>>() }))?;
    sim.set_faults(APP, script).map_err(|refusal| anyhow!("{refusal}"))?;
    Ok(())
}

/// One campaign; gives its rate.
async fn one(
    arguments: &Arguments,
    world: &World,
    sim: &Simulator,
    (receipts, crowded): (bool, bool),
) -> anyhow::Result<f64> {
    let copy = world.copy()?;
    audience(&copy, world, NOTICE, arguments.recipients).await?;
    let hongyan = Hongyan::start(world, copy, Duration::ZERO).await?;
    if receipts {
        set(sim, Some(&format!("http://{}/callback/{APP}", hongyan.serving.address)), None)?;
    }
    let app = app(&hongyan.service).await?;
    if crowded {
        crowd(&hongyan.service, &app, arguments.rows).await?;
        note("everybody waits twice");
    }
    let (before, started) = (Budget::now(), Instant::now());
    let id = start(&hongyan.service, &app).await?;
    finish(&hongyan.service, &app, id, arguments.recipients).await?;
    let took = started.elapsed().as_secs_f64();
    let count = arguments.recipients as f64;
    let spent: Vec<String> = Budget::now()
        .since(&before)
        .iter()
        .map(|(name, seconds)| format!("{name} {:.1}", seconds * 1e6 / count))
        .collect();
    note(&format!("{:.0}/s; processor µs a message: {}", count / took, spent.join(", ")));
    for (what, work) in hongyan.service.store().writer_work() {
        note(&format!("  writer: {what}: {} rows, {:.1} µs a row", work.rows, work.micros_a_row()));
    }
    hongyan.stop().await;
    Ok(count / took)
}
