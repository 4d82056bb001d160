//! Campaigns of growing size, sent by the real `hongyan serve` in a process of its own: what a message costs, and how much
//! memory the process ever took.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{NOTICE, request};
use crate::load::report::{Figure, note, print};
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

type Http = Client<HttpConnector, Full<Bytes>>;

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

/// A running `hongyan serve`; ends with this.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One campaign; gives microseconds a message, and the megabytes that the process took at most.
async fn one(world: &World, size: usize) -> anyhow::Result<(f64, u64)> {
    let copy = world.copy()?;
    audience(&copy, world, NOTICE, size).await?;
    let address = {
        let free = std::net::TcpListener::bind("127.0.0.1:0")?;
        free.local_addr()?
    };
    let program = program()?;
    let served = Served(
        Command::new(program)
            .args(["serve", "--listen", &address.to_string(), "--data-dir"])
            .arg(copy.path.parent().context("a directory")?)
            .arg("--database-url")
            .arg(format!("sqlite:{}", copy.path.display()))
            .env("HONGYAN_MASTER_KEY", world.master_text.expose_secret())
            .env("RUST_LOG", "error")
            .stdout(Stdio::null())
            .spawn()?,
    );
    let client: Http = Client::builder(TokioExecutor::new()).build_http();
    let base = format!("http://{address}");
    let deadline = Instant::now() + Duration::from_secs(30);
    while call(&client, world, "GET", &format!("{base}/healthz"), None).await.is_err() {
        ensure!(Instant::now() < deadline, "hongyan serve does not answer");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let campaigns = format!("{base}/api/v1/apps/{APP}/campaigns");
    let drafted = call(&client, world, "POST", &campaigns, Some(request())).await?;
    let path = format!("{campaigns}/{}", drafted["id"].as_str().context("no id")?);
    let started = Instant::now();
    call(&client, world, "POST", &format!("{path}/start"), None).await?;
    loop {
        let view = call(&client, world, "GET", &path, None).await?;
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
    let micros = started.elapsed().as_secs_f64() * 1e6 / size as f64;
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.0.id()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kilobytes: u64 = peak.split_whitespace().next().unwrap_or_default().parse()?;
    Ok((micros, kilobytes >> 10))
}

/// The program that stands beside this one.
fn program() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("hongyan");
    ensure!(program.exists(), "{} is missing: cargo build --release -p hongyan makes it", program.display());
    Ok(program)
}

async fn call(
    client: &Http,
    world: &World,
    method: &str,
    url: &str,
    body: Option<Value>,
) -> anyhow::Result<Value> {
    let request = http::Request::builder()
        .method(method)
        .uri(url)
        .header("authorization", format!("Bearer {}", world.key.expose_secret()))
        .header("content-type", "application/json")
        .body(Full::from(body.map(|body| body.to_string()).unwrap_or_default()))?;
    let answer = client.request(request).await?;
    let status = answer.status();
    let bytes = answer.into_body().collect().await?.to_bytes();
    ensure!(status.is_success(), "{url}: {status} {}", String::from_utf8_lossy(&bytes));
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}
