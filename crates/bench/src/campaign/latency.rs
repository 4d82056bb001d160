//! One urgent message from the REST call to WeChat's socket: while nothing else happens, and in the middle of a campaign.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use secrecy::ExposeSecret;
use serde_json::json;

use super::{NOTICE, app, start};
use crate::load::report::{Figure, note, print};
use crate::load::serving::{Hongyan, Serving, runtime};
use crate::load::world::{APP, TEMPLATE, World, audience};
use crate::sends::wechat;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Subscribers in the database.
    #[arg(long, default_value_t = 1_000_000)]
    rows: usize,
    /// Recipients of the campaign beside.
    #[arg(long, default_value_t = 200_000)]
    recipients: usize,
    /// Urgent messages.
    #[arg(long, default_value_t = 500)]
    messages: usize,
    /// One JSON object per figure instead of the table.
    #[arg(long)]
    json: bool,
}

/// When a message for somebody arrived at WeChat.
type Arrivals = Arc<Mutex<HashMap<String, Instant>>>;

async fn noted(State(arrivals): State<Arrivals>, request: Request, next: Next) -> Response {
    if !request.uri().path().ends_with("/subscribe/send") {
        return next.run(request).await;
    }
    let at = Instant::now();
    let (parts, body) = request.into_parts();
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let to = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| text.split_once("\"touser\":\""))
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(to, _)| to.to_owned());
    if let Some(to) = to {
        arrivals.lock().unwrap_or_else(PoisonError::into_inner).entry(to).or_insert(at);
    }
    next.run(Request::from_parts(parts, Body::from(bytes))).await
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (clients, servers) = (runtime("client", 1)?, runtime("service", 2)?);
    let wechats = runtime("simulator", 2)?;
    let (sim, arrivals) = (wechat()?, Arrivals::default());
    let router: Router = sim.router().layer(from_fn_with_state(Arc::clone(&arrivals), noted));
    let serving = wechats.block_on(Serving::start(router))?;
    let world = servers.block_on(World::make(arguments.rows, &format!("http://{}", serving.address)))?;
    for part in world.openids.chunks(50_000) {
        let seed =
            serde_json::from_value(json!({ "openids": part, "grants": { NOTICE: 10, TEMPLATE: 10 } }))?;
        sim.seed(APP, &seed).map_err(|refusal| anyhow!("{refusal}"))?;
    }
    let mut figures = Vec::new();
    for (name, busy) in [("idle", false), ("during a campaign", true)] {
        let copy = world.copy()?;
        servers.block_on(audience(&copy, &world, NOTICE, arguments.recipients))?;
        let hongyan = servers.block_on(Hongyan::start(&world, copy, Duration::ZERO))?;
        arrivals.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if busy {
            servers.block_on(async {
                let app = app(&hongyan.service).await?;
                start(&hongyan.service, &app).await?;
                // In full swing.
                tokio::time::sleep(Duration::from_secs(2)).await;
                anyhow::Ok(())
            })?;
        }
        let mut waits = clients.block_on(urgent(arguments, &world, &hongyan, &arrivals))?;
        waits.sort_by(f64::total_cmp);
        let at = |share: f64| waits[((waits.len() as f64 * share) as usize).min(waits.len() - 1)];
        note(&format!("{name}: p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms", at(0.5), at(0.99), at(1.0)));
        let goal = if busy { 100 } else { 10 };
        let mut p99 = Figure::new(format!("{name}: p99, ms (below {goal})"), None);
        p99.runs.push(at(0.99));
        let mut p50 = Figure::new(format!("{name}: p50, ms"), None);
        p50.runs.push(at(0.5));
        figures.extend([p50, p99]);
        servers.block_on(hongyan.stop());
    }
    print("latency", &figures, arguments.json);
    wechats.block_on(serving.stop());
    Ok(())
}

/// Sends urgent messages, one after the other, to people who are not in the campaign; gives milliseconds.
async fn urgent(
    arguments: &Arguments,
    world: &World,
    hongyan: &Hongyan,
    arrivals: &Arrivals,
) -> anyhow::Result<Vec<f64>> {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let url = format!("http://{}/api/v1/apps/{APP}/messages", hongyan.serving.address);
    let mut waits = Vec::with_capacity(arguments.messages);
    for openid in world.openids.iter().rev().take(arguments.messages) {
        let body = json!({ "to": openid, "template_id": TEMPLATE, "priority": "urgent",
            "data": { "thing8": "物业费", "thing5": "请于本月底前缴纳" } });
        let request = http::Request::post(&url)
            .header("authorization", format!("Bearer {}", world.key.expose_secret()))
            .header("content-type", "application/json")
            .body(Full::from(body.to_string()))?;
        let asked = Instant::now();
        let answer = client.request(request).await?;
        ensure!(answer.status() == 202, "{}", answer.status());
        let _ = answer.into_body().collect().await?;
        let arrived = arrival(arrivals, openid).await.context("a message did not arrive")?;
        waits.push(arrived.duration_since(asked).as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(waits)
}

async fn arrival(arrivals: &Arrivals, openid: &str) -> Option<Instant> {
    for _ in 0..10_000 {
        let found = arrivals.lock().unwrap_or_else(PoisonError::into_inner).get(openid).copied();
        if found.is_some() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    None
}
