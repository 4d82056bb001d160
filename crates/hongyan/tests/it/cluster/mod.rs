//! Several nodes as processes over one PostgreSQL, each behind a proxy of its own.

mod breaking;
mod copying;
mod spreading;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use domain::SystemEntropy;
use secrecy::ExposeSecret;
use serde_json::Value;
use store::MasterKey;
use store::testing::Proxy;

use crate::http::try_call;
use crate::program::{Server, free_address, hongyan};

/// A node: its directory, its address, its link to the database.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) address: String,
    pub(crate) proxy: Proxy,
    pub(crate) server: Option<Server>,
    /// Of its wall clock, as libfaketime takes it.
    pub(crate) clock: Option<&'static str>,
}

/// What all nodes share.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    pub(crate) bearer: String,
    master: String,
    lease: Duration,
}

impl Cluster {
    /// So many nodes, not started yet.
    pub(crate) async fn new(database: SocketAddr, count: usize, lease: Duration) -> Self {
        let (_, master) = MasterKey::generate(&SystemEntropy::new().unwrap());
        let mut nodes = Vec::new();
        for number in 1..=count {
            nodes.push(Node {
                name: format!("node-{number}"),
                directory: tempfile::tempdir().unwrap(),
                address: free_address(),
                proxy: Proxy::start(database).await.unwrap(),
                server: None,
                clock: None,
            });
        }
        Self { nodes, bearer: String::new(), master: master.expose_secret().to_owned(), lease }
    }

    /// A command on a node.
    pub(crate) fn command(&self, number: usize) -> Command {
        let node = &self.nodes[number];
        let mut command = hongyan(node.directory.path());
        command
            .env("HONGYAN_DATABASE_URL", format!("postgres://hongyan@{}/postgres", node.proxy.address()))
            .env("HONGYAN_MASTER_KEY", &self.master)
            .env("HONGYAN_NODE_NAME", &node.name)
            .env("HONGYAN_LEASE_SECONDS", self.lease.as_secs().to_string())
            .env("HONGYAN_DATABASE_CONNECTIONS", "20");
        if let (Some(clock), Some(library)) = (node.clock, faketime()) {
            command.env("LD_PRELOAD", library).env("FAKETIME", clock);
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        }
        command
    }

    /// Runs a command to its end; gives its standard output.
    pub(crate) fn run(&self, number: usize, arguments: &[&str]) -> String {
        let output = self.command(number).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts a node; it is not waited for.
    pub(crate) fn start(&mut self, number: usize) {
        let command = self.command(number);
        let node = &mut self.nodes[number];
        node.server = Some(Server::of(command, node.directory.path(), &node.address));
    }

    /// kill -9.
    pub(crate) fn kill(&mut self, number: usize) {
        if let Some(mut server) = self.nodes[number].server.take() {
            server.kill();
        }
    }

    /// As an operator stops it.
    pub(crate) fn stop(&mut self, number: usize) {
        if let Some(mut server) = self.nodes[number].server.take() {
            assert!(server.stop(), "it ended well");
        }
    }

    /// What `GET /cluster` says at a node; nothing where it does not answer.
    pub(crate) async fn look(&self, number: usize) -> Option<Value> {
        let url = format!("http://{}/api/v1/cluster", self.nodes[number].address);
        let reply = try_call("GET", &url, &[("authorization", &self.bearer)], "").await.ok()?;
        (reply.status == 200).then(|| reply.json())
    }

    /// Lanes by the name of the node that holds them.
    pub(crate) async fn held(&self, number: usize) -> Option<BTreeMap<String, usize>> {
        let view = self.look(number).await?;
        let mut held = BTreeMap::new();
        for node in view["nodes"].as_array()?.iter().filter(|node| node["state"] == "alive") {
            // A node that was killed and started again stands there twice until the first is forgotten.
            let lanes = usize::try_from(node["lanes"].as_u64()?).ok()?;
            *held.entry(node["name"].as_str()?.to_owned()).or_default() += lanes;
        }
        Some(held)
    }
}

/// Where libfaketime is, on a machine that has it.
pub(crate) fn faketime() -> Option<&'static str> {
    [
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
        "/usr/lib64/faketime/libfaketime.so.1",
        "/usr/lib/faketime/libfaketime.so.1",
    ]
    .into_iter()
    .find(|path| Path::new(path).exists())
}
