//! Campaigns of growing size, sent by the real `hongyan serve` in a process of its own: what a message costs, and how much
//! memory the process ever took.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use serde_json::json;

use super::{NOTICE, request};
use crate::load::report::{Figure, note, print};
use crate::load::served::Served;
use crate::load::serving::{Serving, runtime};
use crate::load::world::{APP, World, audience};
use crate::sends::wechat;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Sizes of the campaigns; the largest is also the size of the database.
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    sizes: Vec<usize>,
    /// One JSON object per figure instead of the table.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let servers = runtime("service", 2)?;
    let wechats = runtime("simulator", 2)?;
    let sim = wechat()?;
    let serving = wechats.block_on(Serving::start(sim.router()))?;
    let rows = arguments.sizes.iter().copied().max().unwrap_or(0);
    let world = servers.block_on(World::make(rows, &format!("http://{}", serving.address)))?;
    for part in world.openids.chunks(50_000) {
        let seed = serde_json::from_value(json!({ "openids": part, "grants": { NOTICE: 100 } }))?;
        sim.seed(APP, &seed).map_err(|refusal| anyhow!("{refusal}"))?;
    }
    let mut figures = Vec::new();
    let mut first = None;
    for size in &arguments.sizes {
        let (micros, memory) = servers.block_on(one(&world, *size))?;
        note(&format!("{size} recipients: {micros:.1} µs a message, {memory} MB at most"));
        let mut cost = Figure::new(format!("{size} recipients: µs a message"), None);
        let smallest = *first.get_or_insert(micros);
        cost.add(micros, smallest);
        let mut peak = Figure::new(format!("{size} recipients: peak memory, MB (below 200)"), None);
        peak.runs.push(memory as f64);
        figures.extend([cost, peak]);
    }
    print("scale", &figures, arguments.json);
    wechats.block_on(serving.stop());
    Ok(())
}

/// One campaign; gives microseconds a message, and the megabytes that the process took at most.
async fn one(world: &World, size: usize) -> anyhow::Result<(f64, u64)> {
    let copy = world.copy()?;
    audience(&copy, world, NOTICE, size).await?;
    let served = Served::start(world, &copy).await?;
    let micros = send(&served, size).await?;
    Ok((micros, served.peak()?))
}

/// A campaign to everybody with a grant, until its last outcome; gives microseconds a message.
pub(crate) async fn send(served: &Served, size: usize) -> anyhow::Result<f64> {
    let campaigns = format!("/api/v1/apps/{APP}/campaigns");
    let drafted = served.call("POST", &campaigns, Some(request())).await?;
    let path = format!("{campaigns}/{}", drafted["id"].as_str().context("no id")?);
    let started = Instant::now();
    served.call("POST", &format!("{path}/start"), None).await?;
    loop {
        let view = served.call("GET", &path, None).await?;
        match view["state"].as_str() {
            Some("finished") => {
                let sent = view["counts"]["accepted"].as_u64().unwrap_or(0);
                ensure!(sent == size as u64, "{view}");
                break;
            }
            Some("running") => tokio::time::sleep(Duration::from_millis(20)).await,
            _ => bail!("{view}"),
        }
    }
    Ok(started.elapsed().as_secs_f64() * 1e6 / size as f64)
}
