//! The real `hongyan serve` in a process of its own, called over HTTP.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::world::{Copy, World};

/// A running `hongyan serve`; ends with this.
pub(crate) struct Served {
    child: Child,
    client: Client<HttpConnector, Full<Bytes>>,
    key: String,
    /// Where it listens.
    pub(crate) base: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    /// Starts it on a copy of the database, and waits until it answers.
    pub(crate) async fn start(world: &World, copy: &Copy) -> anyhow::Result<Self> {
        let address = {
            let free = std::net::TcpListener::bind("127.0.0.1:0")?;
            free.local_addr()?
        };
        let child = Command::new(program()?)
            .args(["serve", "--listen", &address.to_string(), "--data-dir"])
            .arg(copy.path.parent().context("a directory")?)
            .arg("--database-url")
            .arg(format!("sqlite:{}", copy.path.display()))
            .env("HONGYAN_MASTER_KEY", world.master_text.expose_secret())
            .env("RUST_LOG", "error")
            .stdout(Stdio::null())
            .spawn()?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let key = world.key.expose_secret().to_owned();
        let served = Self { child, client, key, base: format!("http://{address}") };
        let deadline = Instant::now() + Duration::from_secs(30);
        while served.call("GET", "/healthz", None).await.is_err() {
            ensure!(Instant::now() < deadline, "hongyan serve does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(served)
    }

    /// One call with JSON.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.send(method, path, "application/json", body.into()).await
    }

    /// One call with whatever.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: Bytes,
    ) -> anyhow::Result<Value> {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", kind)
            .body(Full::from(body))?;
        let answer = self.client.request(request).await?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{path}: {status} {}", String::from_utf8_lossy(&bytes));
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// A page of the console as a browser with these cookies gets it: its bytes, packed ones where they are, and what it sets.
    pub(crate) async fn page(&self, path: &str, cookie: &str) -> anyhow::Result<(Bytes, Option<String>)> {
        let request = http::Request::get(format!("{}{path}", self.base))
            .header("cookie", cookie)
            .header("accept-encoding", "gzip")
            .body(Full::default())?;
        self.browse(request).await
    }

    /// A form that is sent before somebody is signed in.
    pub(crate) async fn form(&self, path: &str, body: String) -> anyhow::Result<(Bytes, Option<String>)> {
        let request = http::Request::post(format!("{}{path}", self.base))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::from(body))?;
        self.browse(request).await
    }

    async fn browse(&self, request: http::Request<Full<Bytes>>) -> anyhow::Result<(Bytes, Option<String>)> {
        let path = request.uri().to_string();
        let answer = self.client.request(request).await?;
        ensure!(answer.status().as_u16() < 400, "{path}: {}", answer.status());
        let cookie = answer.headers().get("set-cookie").and_then(|value| value.to_str().ok());
        let cookie = cookie.and_then(|cookie| cookie.split(';').next()).map(str::to_owned);
        Ok((answer.into_body().collect().await?.to_bytes(), cookie))
    }

    /// The megabytes that the process took at most.
    pub(crate) fn peak(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kilobytes: u64 = peak.split_whitespace().next().unwrap_or_default().parse()?;
        Ok(kilobytes >> 10)
    }
}

/// The program that stands beside this one.
pub(crate) fn program() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("hongyan");
    ensure!(program.exists(), "{} is missing: cargo build --release -p hongyan makes it", program.display());
    Ok(program)
}
