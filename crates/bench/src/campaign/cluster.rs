//! The same campaign by one, two and four nodes over one PostgreSQL, with WeChat as far away as it is in life: what more nodes
//! are for is more calls under way.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use engine::{Engine, NodeOptions, Options};
use serde_json::json;
use service::Service;
use sqlx::Connection;

use super::whole::set;
use super::{NOTICE, app, finish, start};
use crate::load::report::{Figure, note, print};
use crate::load::serving::{Serving, runtime};
use crate::load::world::{APP, Engine as Database, World, audience};
use crate::sends::wechat;

const FAR: Duration = Duration::from_millis(50);
const NODES: [usize; 3] = [1, 2, 4];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Subscribers in the database.
    #[arg(long, default_value_t = 100_000)]
    rows: usize,
    /// Recipients for each node: so many seconds of work for it.
    #[arg(long, default_value_t = 15_000)]
    recipients: usize,
    /// Calls under way in each node.
    #[arg(long, default_value_t = 64)]
    in_flight: u32,
    /// Runs of each number of nodes.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// One JSON object per figure instead of the table.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (servers, wechats) = (runtime("service", 2)?, runtime("simulator", 2)?);
    let sim = wechat()?;
    let serving = wechats.block_on(Serving::start(sim.router()))?;
    let base = format!("http://{}", serving.address);
    let world = servers.block_on(World::make_on(Database::Postgres, arguments.rows, &base))?;
    for part in world.openids.chunks(50_000) {
        let grants = json!({ NOTICE: 1_000 });
        let seed = serde_json::from_value(json!({ "openids": part, "grants": grants }))?;
        sim.seed(APP, &seed).map_err(|refusal| anyhow!("{refusal}"))?;
    }
    set(&sim, None, Some(FAR))?;
    let mut figures: Vec<Figure> = Vec::new();
    for nodes in NODES {
        let goal = (nodes > 1).then_some(0.9);
        figures.push(Figure::new(
            match nodes {
                1 => "1 node, messages a second, beside what its calls allow",
                2 => "2 nodes, messages a second, beside twice one node's",
                _ => "4 nodes, messages a second, beside four times one node's",
            },
            goal,
        ));
    }
    for number in 1..=arguments.runs {
        let mut alone = f64::from(arguments.in_flight) / FAR.as_secs_f64();
        for (at, nodes) in NODES.into_iter().enumerate() {
            let rate = servers.block_on(one(arguments, &world, nodes))?;
            note(&format!("run {number}: {nodes} nodes, {rate:.0}/s"));
            figures[at].add(rate, alone * if nodes == 1 { 1.0 } else { nodes as f64 });
            if nodes == 1 {
                alone = rate;
            }
        }
    }
    print("cluster", &figures, arguments.json);
    wechats.block_on(serving.stop());
    Ok(())
}

/// What a row takes on the disk, its indexes included: what SCALING.md reckons with.
async fn sizes(url: &str) -> anyhow::Result<()> {
    let mut db = sqlx::PgConnection::connect(url).await?;
    for table in ["subscription", "message", "message_state", "ledger"] {
        let count = format!("select count(*) from {table}");
        let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(&mut db).await?;
        let size = format!(
            "select cast(sum(pg_total_relation_size(relid)) as bigint) from pg_partition_tree('{table}')
             union all select pg_total_relation_size('{table}') order by 1 desc nulls last limit 1"
        );
        let bytes: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(size)).fetch_one(&mut db).await?;
        note(&format!("  {table}: {rows} rows, {} bytes a row", bytes / rows.max(1)));
    }
    Ok(db.close().await?)
}

/// One campaign by so many nodes; gives its rate.
async fn one(arguments: &Arguments, world: &World, nodes: usize) -> anyhow::Result<f64> {
    let copy = world.copy()?;
    let recipients = arguments.recipients * nodes;
    audience(&copy, world, NOTICE, recipients).await?;
    let mut running: Vec<(Service, Engine)> = Vec::new();
    for number in 0..nodes {
        let service = world.service(&copy.url).await?;
        let node = NodeOptions { name: format!("node-{number}"), ..NodeOptions::default() };
        let engine = Engine::start(service.clone(), Options { node, ..Options::default() })
            .await
            .map_err(|problem| anyhow!("{problem}"))?;
        running.push((service, engine));
    }
    let service = running[0].0.clone();
    let change = service::apps::AppChange {
        settings: vec![("concurrency".into(), arguments.in_flight.to_string())],
        ..Default::default()
    };
    service.set_app(APP, change).await.map_err(|problem| anyhow!("{problem}"))?;
    loop {
        let cluster = service.cluster().await.map_err(|problem| anyhow!("{problem}"))?;
        let held: Vec<usize> =
            cluster.nodes.iter().map(|node| node.lanes).filter(|lanes| *lanes > 0).collect();
        if held.len() == nodes
            && held.iter().sum::<usize>() == 64
            && held.iter().all(|lanes| *lanes <= 64 / nodes + 1)
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Every node has read the app's settings by then.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let app = app(&service).await?;
    let started = Instant::now();
    let id = start(&service, &app).await?;
    finish(&service, &app, id, recipients).await?;
    let took = started.elapsed().as_secs_f64();
    if nodes == 1 {
        sizes(&copy.url).await?;
    }
    for (what, work) in service.store().writer_work() {
        note(&format!(
            "  writer of one node: {what}: {} rows, {:.1} µs a row",
            work.rows,
            work.micros_a_row()
        ));
    }
    for (service, engine) in running {
        engine.stop().await;
        service.store().close().await;
    }
    Ok(recipients as f64 / took)
}
