//! Lanes are dealt out evenly within seconds of a node's coming or going; a stopped one hands over at once, a killed one after
//! its lease; `cluster status` shows it.

use std::time::{Duration, Instant};

use store::testing::{FAST, TempPostgres};

use super::Cluster;
use crate::chaos::ready;
use crate::world::until;

const LEASE: Duration = Duration::from_secs(6);

/// Waits until these nodes, and no others, hold all lanes in equal parts; gives how long it took.
async fn even(cluster: &Cluster, ask: usize, names: &[&str]) -> Duration {
    let started = Instant::now();
    until(&format!("the lanes dealt out to {names:?}"), || async {
        let held = cluster.held(ask).await?;
        let mut parts: Vec<usize> = names.iter().map(|name| held.get(*name).copied().unwrap_or(0)).collect();
        parts.sort_unstable();
        let spread = parts.last()? - parts.first()?;
        (parts.iter().sum::<usize>() == 64 && spread <= 1).then_some(())
    })
    .await;
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_are_dealt_out_as_nodes_come_and_go() {
    let Some(_) = TempPostgres::shared("lanes_are_dealt_out_as_nodes_come_and_go") else { return };
    let database = TempPostgres::start_tcp(&FAST).unwrap();
    let mut cluster = Cluster::new(database.address(), 3, LEASE).await;
    // All at once: the migrations run on one of them.
    for number in 0..3 {
        cluster.start(number);
    }
    for number in 0..3 {
        until("a node", || ready(&cluster.nodes[number].address)).await;
    }
    let key = cluster.run(0, &["key", "create", "--name", "x", "--all-apps", "--scope", "send,read,manage"]);
    cluster.bearer = format!("Bearer {}", key.trim());
    even(&cluster, 0, &["node-1", "node-2", "node-3"]).await;

    cluster.stop(1);
    let stopped = even(&cluster, 0, &["node-1", "node-3"]).await;
    cluster.start(1);
    until("the node again", || ready(&cluster.nodes[1].address)).await;
    let joined = even(&cluster, 2, &["node-1", "node-2", "node-3"]).await;
    cluster.kill(2);
    let killed = even(&cluster, 0, &["node-1", "node-2"]).await;
    println!("with a lease of {LEASE:?}: stopped {stopped:.1?}, joined {joined:.1?}, killed {killed:.1?}");
    assert!(stopped < Duration::from_secs(4), "a stopped node hands over at once: {stopped:?}");
    assert!(joined < Duration::from_secs(5), "a new one gets its share: {joined:?}");
    assert!(killed < LEASE + Duration::from_secs(5), "a killed one is replaced after its lease: {killed:?}");

    let status = cluster.run(0, &["cluster", "status"]);
    assert!(status.contains("node-1") && status.contains("node-2") && status.contains("alive"), "{status}");
    let view = cluster.look(0).await.unwrap();
    assert_eq!(
        (view["engine"].as_str(), view["lanes"].as_array().map(Vec::len)),
        (Some("postgres"), Some(64))
    );

    // A web node serves and holds nothing.
    let mut web = cluster.command(2);
    web.env("HONGYAN_ROLE", "web");
    let node = &mut cluster.nodes[2];
    node.server = Some(crate::program::Server::of(web, node.directory.path(), &node.address));
    until("the web node", || ready(&cluster.nodes[2].address)).await;
    until("the web node shown", || async {
        let view = cluster.look(2).await?;
        let web = view["nodes"].as_array()?.iter().find(|node| node["role"] == "web")?;
        (web["lanes"] == 0 && web["state"] == "alive").then_some(())
    })
    .await;
    for number in 0..3 {
        cluster.stop(number);
    }
}
