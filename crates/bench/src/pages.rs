//! The console's pages as the real `hongyan serve` gives them, in a database with as many messages as subscribers: how long each
//! takes, and what a first visit loads.

use std::time::Instant;

use anyhow::{Context, anyhow, ensure};
use serde_json::json;

use crate::campaign::{NOTICE, scale};
use crate::load::report::{Figure, note, print};
use crate::load::served::Served;
use crate::load::serving::{Serving, runtime};
use crate::load::world::{APP, World, audience};
use crate::sends::wechat;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Messages, and subscribers.
    #[arg(long, default_value_t = 1_000_000)]
    messages: usize,
    /// How often each page is asked for.
    #[arg(long, default_value_t = 20)]
    times: usize,
    /// One JSON object per figure instead of the table.
    #[arg(long)]
    json: bool,
}

const PASSWORD: &str = "many pages, one clock";
/// Pages below an app's, and of the installation.
const PAGES: [&str; 16] = [
    "",
    "compose",
    "uploads",
    "campaigns",
    "messages",
    "messages?state=accepted",
    "messages?state=failed",
    "subscribers",
    "subscribers?show=known",
    "templates",
    "analytics?days=90",
    "ask-again",
    "callbacks",
    "settings",
    "/apps",
    "/audit",
];

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (servers, wechats) = (runtime("service", 2)?, runtime("simulator", 2)?);
    let sim = wechat()?;
    let serving = wechats.block_on(Serving::start(sim.router()))?;
    let world = servers.block_on(World::make(arguments.messages, &format!("http://{}", serving.address)))?;
    for part in world.openids.chunks(50_000) {
        let seed = serde_json::from_value(json!({ "openids": part, "grants": { NOTICE: 1 } }))?;
        sim.seed(APP, &seed).map_err(|refusal| anyhow!("{refusal}"))?;
    }
    let figures = servers.block_on(async {
        let copy = world.copy()?;
        audience(&copy, &world, NOTICE, arguments.messages).await?;
        let served = Served::start(&world, &copy).await?;
        note(&format!("sending {} messages", arguments.messages));
        scale::send(&served, arguments.messages).await?;
        measure(&served, arguments.times).await
    })?;
    print("pages", &figures, arguments.json);
    wechats.block_on(serving.stop());
    Ok(())
}

async fn measure(served: &Served, times: usize) -> anyhow::Result<Vec<Figure>> {
    let operator = json!({ "name": "bench", "password": PASSWORD, "roles": { "*": "admin" } });
    served.call("POST", "/api/v1/operators", Some(operator)).await?;
    let form = format!("name=bench&password={}", PASSWORD.replace(' ', "+").replace(',', "%2C"));
    let cookie = served.form("/login", form).await?.1.context("no session")?;
    let campaigns = served.call("GET", &format!("/api/v1/apps/{APP}/campaigns"), None).await?;
    let campaign = format!("campaigns/{}", campaigns["items"][0]["id"].as_str().context("no campaign")?);
    let messages = served.call("GET", &format!("/api/v1/apps/{APP}/messages?limit=1"), None).await?;
    let message = &messages["items"][0];
    let one = format!("messages/{}", message["id"].as_str().context("no message")?);
    let person = format!("subscribers/{}", message["to"].as_str().context("nobody")?);
    let mut paths: Vec<String> = PAGES.iter().map(|page| (*page).to_owned()).collect();
    paths.extend([
        campaign.clone(),
        format!("messages?campaign_id={}&state=failed", &campaign[10..]),
        one,
        person,
    ]);
    let mut figures = Vec::new();
    for page in paths {
        let path = if page.starts_with('/') { page.clone() } else { format!("/apps/{APP}/{page}") };
        let mut took = Vec::with_capacity(times);
        for _ in 0..times {
            let started = Instant::now();
            served.page(&path, &cookie).await?;
            took.push(started.elapsed().as_secs_f64() * 1e3);
        }
        took.sort_by(f64::total_cmp);
        let called = page.split_once("campaigns/").map_or(page.as_str(), |_| "one campaign");
        let called = if called.starts_with("messages/") { "one message" } else { called };
        let called = if called.starts_with("subscribers/") { "one subscriber" } else { called };
        let called = if called.is_empty() { "overview" } else { called };
        let mut figure = Figure::new(format!("{called}: ms, median (slowest {:.1})", took[times - 1]), None);
        figure.runs.push(took[times / 2]);
        figures.push(figure);
    }
    let (first, _) = served.page(&format!("/apps/{APP}/"), &cookie).await?;
    let mut bytes = first.len();
    let text = String::from_utf8_lossy(&first).into_owned();
    for part in text.split(['"']).filter(|part| part.starts_with("assets/")) {
        bytes += served.page(&format!("/{part}"), &cookie).await?.0.len();
    }
    ensure!(text.matches("assets/").count() >= 4, "the page loads its assets");
    let mut figure = Figure::new("a first visit loads: kB", None);
    figure.runs.push(bytes as f64 / 1e3);
    figures.push(figure);
    Ok(figures)
}
