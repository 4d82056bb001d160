//! Single messages: POSTed one by one to the REST interface, kept, sent, and their outcome kept; beside a bare hyper
//! loop that only calls the same simulator. Nothing else runs at WeChat: no receipts, no latency.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use bytes::Bytes;
use domain::{Clock, Entropy, SystemClock, SystemEntropy};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use simulator::{Simulator, SimulatorConfig};

use crate::load::budget::Budget;
use crate::load::client::{self, Requests};
use crate::load::report::{Figure, median, note, print};
use crate::load::serving::{Hongyan, Serving, runtime};
use crate::load::world::{APP, TEMPLATE, World};

/// Below this the simulator would be what is measured.
pub(crate) const FAST_ENOUGH: f64 = 50_000.0;

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
    /// One JSON object per figure instead of the table.
    #[arg(long)]
    json: bool,
}

/// A simulated WeChat with the sample app and nothing that costs time.
pub(crate) fn wechat() -> anyhow::Result<Simulator> {
    let entropy = SystemEntropy::new()?;
    let sim = Simulator::new(SimulatorConfig::new(
        Arc::new(|| SystemClock.now()),
        Arc::new(move |bytes: &mut [u8]| entropy.fill(bytes)),
    ));
    let mut app = simulator::sample_app();
    app.receipts = false;
    sim.put_app(APP, app).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    Ok(sim)
}

/// The same, listening.
pub(crate) async fn simulator() -> anyhow::Result<Serving> {
    Serving::start(wechat()?.router()).await
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (clients, servers) = (runtime("client", 1)?, runtime("service", 2)?);
    let wechats = runtime("simulator", 2)?;
    let sim = wechat()?;
    let serving = wechats.block_on(Serving::start(sim.router()))?;
    let base = format!("http://{}", serving.address);
    let world = servers.block_on(World::make(arguments.rows, &base))?;
    let time = Duration::from_secs(arguments.seconds);
    // Enough grants for everything that will be sent, in all runs.
    for part in world.openids.chunks(50_000) {
        let seed = serde_json::from_value(json!({ "openids": part, "grants": { TEMPLATE: 1_000 } }))?;
        sim.seed(APP, &seed).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    }
    let requests = Requests::new(world.sends(usize::try_from(arguments.seconds)? * 60_000));
    let mut accepted = Figure::new("to accepted, a second", Some(0.2));
    let mut taken = Figure::new("taken by the REST interface, a second", None);
    let mut p99 = Figure::new("p99 of the REST interface, ms", None);
    for number in 1..=arguments.runs {
        let beside = clients.block_on(bare(&base, &world, arguments.connections, time))?;
        note(&format!("run {number}: bare hyper loop {beside:.0}/s"));
        let hongyan = servers.block_on(Hongyan::start(&world, world.copy()?, Duration::ZERO))?;
        let before_sends = sent(&sim)?;
        let (before, started) = (Budget::now(), Instant::now());
        let load = clients.block_on(client::run(
            hongyan.serving.address,
            arguments.connections,
            time,
            &requests.again(),
            "HTTP/1.1 202",
        ))?;
        servers.block_on(async {
            let deadline = started + time * 20;
            while hongyan
                .count("select exists (select 1 from ready) or exists (select 1 from in_flight)")
                .await?
                == 1
            {
                if Instant::now() > deadline {
                    bail!("messages are still waiting");
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        })?;
        let per_second = load.answered as f64 / started.elapsed().as_secs_f64();
        let after = Budget::now();
        let counted =
            servers.block_on(hongyan.count("select count(*) from message_state where outcome = 1"))?;
        ensure!(usize::try_from(counted)? == load.answered, "{} taken, {counted} accepted", load.answered);
        ensure!(sent(&sim)? - before_sends == u64::try_from(counted)?, "the simulator counted otherwise");
        let spent: Vec<String> = after
            .since(&before)
            .iter()
            .map(|(name, seconds)| format!("{name} {:.1}", seconds * 1e6 / load.answered as f64))
            .collect();
        note(&format!(
            "{:.0}/s taken, {per_second:.0}/s to accepted; processor µs a message: {}",
            load.per_second(),
            spent.join(", ")
        ));
        for (what, work) in hongyan.service.store().writer_work() {
            note(&format!("  writer: {what}: {} rows, {:.1} µs a row", work.rows, work.micros_a_row()));
        }
        servers.block_on(hongyan.stop());
        accepted.add(per_second, beside);
        taken.add(load.per_second(), beside);
        p99.runs.push(load.percentile(0.99));
    }
    if median(&accepted.beside) < FAST_ENOUGH {
        note(&format!("VOID: the bare loop reached fewer than {FAST_ENOUGH} a second"));
    }
    print("sends", &[accepted, taken, p99], arguments.json);
    wechats.block_on(serving.stop());
    Ok(())
}

fn sent(sim: &Simulator) -> anyhow::Result<u64> {
    let counters = sim.counters(APP).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    Ok(counters.sends.get("0").copied().unwrap_or(0))
}

/// The loop that stands beside: so many tasks that call WeChat one after the other, and read the answer.
pub(crate) async fn bare(base: &str, world: &World, tasks: usize, time: Duration) -> anyhow::Result<f64> {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let sample = simulator::sample_app();
    let token = call(
        &client,
        &format!("{base}/cgi-bin/stable_token"),
        json!({ "grant_type": "client_credential", "appid": APP, "secret": sample.secret }).to_string(),
    )
    .await?;
    let token = token["access_token"].as_str().unwrap_or_default().to_owned();
    let url = format!("{base}/cgi-bin/message/subscribe/send?access_token={token}");
    let bodies: Arc<Vec<Bytes>> = Arc::new(
        world
            .openids
            .iter()
            .take(100_000)
            .map(|openid| {
                Bytes::from(
                    json!({ "touser": openid, "template_id": TEMPLATE, "miniprogram_state": "formal", "lang": "zh_CN",
                        "data": { "thing8": { "value": "物业费" }, "thing5": { "value": "请于本月底前缴纳" } } })
                    .to_string(),
                )
            })
            .collect(),
    );
    let started = Instant::now();
    let until = started + time;
    let mut running = tokio::task::JoinSet::new();
    for task in 0..tasks {
        let (client, url, bodies) = (client.clone(), url.clone(), Arc::clone(&bodies));
        running.spawn(async move {
            let mut count = 0u64;
            let mut at = task;
            while Instant::now() < until {
                let request = http::Request::post(&url)
                    .header("content-type", "application/json")
                    .body(Full::from(bodies[at % bodies.len()].clone()))?;
                let answer = client.request(request).await?.into_body().collect().await?.to_bytes();
                ensure!(answer.starts_with(b"{\"errcode\":0"), "{}", String::from_utf8_lossy(&answer));
                count += 1;
                at += tasks;
            }
            Ok(count)
        });
    }
    let mut count = 0;
    while let Some(done) = running.join_next().await {
        count += done??;
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

async fn call<C>(client: &Client<C, Full<Bytes>>, url: &str, body: String) -> anyhow::Result<Value>
where
    C: hyper_util::client::legacy::connect::Connect + Clone + Send + Sync + 'static,
{
    let request =
        http::Request::post(url).header("content-type", "application/json").body(Full::from(body))?;
    Ok(serde_json::from_slice(&client.request(request).await?.into_body().collect().await?.to_bytes())?)
}
