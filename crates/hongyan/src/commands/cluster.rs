//! `hongyan cluster status`: the nodes that serve one database, their lanes, and how far these are behind.

use service::cluster::Cluster;
use store::Role;

use crate::cli::{self, Global};
use crate::config::Config;
use crate::locale::say;
use crate::{open, output};

pub(crate) async fn run(global: &Global, command: cli::Cluster) -> anyhow::Result<()> {
    let cli::Cluster::Status = command;
    let config = Config::load(global, None, None)?;
    let service = open::service(&config, Role::Guest).await?;
    let cluster = service.cluster().await?;
    if global.json {
        output::json(&serde_json::to_value(&cluster)?);
    } else {
        print(&cluster);
    }
    Ok(())
}

fn print(cluster: &Cluster) {
    let headings = [
        say("节点", "NODE"),
        say("编号", "ID"),
        say("角色", "ROLE"),
        say("版本", "VERSION"),
        say("状态", "STATE"),
        say("分片", "LANES"),
        say("启动时间", "STARTED"),
        say("最近一次", "SEEN"),
    ];
    let rows: Vec<Vec<String>> = cluster
        .nodes
        .iter()
        .map(|node| {
            vec![
                node.name.clone(),
                node.id.clone(),
                node.role.clone(),
                node.version.clone(),
                state(node.state).to_owned(),
                node.lanes.to_string(),
                node.started_at.clone(),
                node.seen_at.clone(),
            ]
        })
        .collect();
    output::table(&headings, &rows);
    output::line(&format!(
        "{} {}  {} {}  {} {} ms  {} {} ms",
        say("分片", "lanes"),
        cluster.lanes.len(),
        say("无主", "free"),
        cluster.free_lanes,
        say("推送积压", "inbox lag"),
        cluster.inbox_lag_ms,
        say("发送积压", "queue lag"),
        cluster.queue_lag_ms,
    ));
}

fn state(word: &str) -> &str {
    match word {
        "alive" => say("正常", "alive"),
        "leaving" => say("正在退出", "leaving"),
        "gone" => say("失联", "gone"),
        other => other,
    }
}
