//! What the demo plays on: a simulator and a service, each on its own address, and a client that talks to both as a
//! team's back end would.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use domain::entropy::random_bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use service::Scope;
use service::operators::{Role as OperatorRole, Roles};
use store::Role;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::narrator::Narrator;
use crate::cli::Demo;
use crate::commands::serve::{self, Running};
use crate::commands::simulator::{self as simulator_command, MiniProgram};
use crate::config::{Config, LISTEN};
use crate::http::{Http, Reply};
use crate::locale::say;
use crate::open;

/// How long something may take to be seen.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(super) struct Stage {
    pub(super) simulator_url: String,
    pub(super) service_url: String,
    key: SecretString,
    password: SecretString,
    http: Http,
    running: Running,
    simulator: JoinHandle<std::io::Result<()>>,
    stop: CancellationToken,
    directory: PathBuf,
    mini_program: MiniProgram,
    /// Whether others on the network reach it.
    pub(super) lan: bool,
}

impl Stage {
    /// Starts both.
    pub(super) async fn set(narrator: &mut Narrator, arguments: &Demo) -> anyhow::Result<Self> {
        let mini_program = MiniProgram::parse(arguments.mini_program.as_deref())?;
        // Where both listen, and by which address they are reached.
        let (here, reached): (IpAddr, IpAddr) = match arguments.lan {
            true => (Ipv4Addr::UNSPECIFIED.into(), address_in_the_network()?),
            false => (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()),
        };
        let listener = bind((here, 8701).into()).await?;
        let simulator_url = format!("http://{}", SocketAddr::new(reached, listener.local_addr()?.port()));
        let sim = simulator_command::new(&simulator_url, &mini_program)?;
        let stop = CancellationToken::new();
        let simulator = tokio::spawn(simulator::serve(listener, sim, stop.clone().cancelled_owned()));
        narrator.seen("模拟微信已启动", "WeChat's simulator is up");
        narrator.detail(&format!("{simulator_url}/  {}", say("（手机页面）", "(the phone)")));

        let directory = throw_away_directory()?;
        let listener = bind((here, LISTEN.1).into()).await?;
        let config = Config {
            webhooks_allow_private: true,
            database_url: format!("sqlite:{}", directory.join("hongyan.db").display()),
            data_dir: directory.clone(),
            listen: listener.local_addr()?,
            public_listen: None,
            master_key_file: None,
            public_url: None,
            trusted_proxies: Vec::new(),
            database_connections: store::OpenOptions::CONNECTIONS,
            node_name: "demo".to_owned(),
            lease: store::OpenOptions::LEASE,
            retention: store::retention::Periods::default(),
        };
        let service = open::service(&config, Role::Worker).await?;
        let scopes = [Scope::Send, Scope::Read, Scope::Manage, Scope::Token];
        let (_, key) = service.create_key("demo", None, &scopes).await?;
        let password = SecretString::from(format!("try-{}", hex_of(random_bytes::<5>(&**service.entropy()))));
        service.add_operator("demo", &password, &Roles::everywhere(OperatorRole::Admin), "demo").await?;
        let running = serve::start(
            service,
            api::install_metrics(),
            listener,
            None,
            &config,
            crate::cli::NodeRole::All,
            vec![simulator_url.clone()],
        )
        .await?;
        let service_url = format!("http://{}", SocketAddr::new(reached, running.address.port()));
        let stage = Self {
            simulator_url,
            service_url,
            key,
            password,
            http: Http::new(),
            running,
            simulator,
            stop,
            directory,
            mini_program,
            lan: arguments.lan,
        };
        stage.expect(200, "GET", &format!("{}/readyz", stage.service_url), None).await?;
        narrator
            .seen("鸿雁服务已启动，使用内嵌 SQLite 数据库", "Hongyan is up on an embedded SQLite database");
        narrator.detail(&format!("{}  {}", stage.service_url, stage.directory.display()));
        Ok(stage)
    }

    /// Stops both and throws the directory away.
    pub(super) async fn strike(self) {
        self.stop.cancel();
        self.running.stop().await;
        if tokio::time::timeout(Duration::from_secs(5), self.simulator).await.is_err() {
            tracing::warn!("the simulator did not stop in time");
        }
        open::close_all().await;
        if let Err(error) = std::fs::remove_dir_all(&self.directory) {
            tracing::warn!(%error, directory = %self.directory.display(), "the demo's directory could not be removed");
        }
    }

    pub(super) fn phone(&self) -> String {
        format!("{}/", self.simulator_url)
    }

    /// What the phone shows in place of its own page.
    pub(super) fn mini_program(&self) -> Option<&str> {
        self.mini_program.address.as_deref()
    }

    /// Who signs in to the console, and with what.
    pub(super) fn sign_in(&self) -> String {
        format!("demo / {}", self.password.expose_secret())
    }

    pub(super) fn sample_call(&self) -> String {
        format!(
            "  curl -X POST {}/api/v1/apps/{}/messages \\\n    -H 'Authorization: Bearer {}' -H 'Prefer: wait=5' \\\n    \
             -H 'Content-Type: application/json' \\\n    -d '{{\"to\":\"{}\",\"template_id\":\"{}\",\"data\":{{\"thing8\":\"物业费\",\"thing5\":\"请及时缴纳\"}}}}'",
            self.service_url,
            simulator::SAMPLE_APPID,
            self.key.expose_secret(),
            simulator::SAMPLE_OPENID,
            super::story::FEE_NOTICE,
        )
    }

    /// A call of the REST interface (`path` under `/api/v1/apps/{appid}`) that must be answered with `status`.
    pub(super) async fn api(
        &self,
        status: u16,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let url = format!("{}/api/v1/apps/{}{path}", self.service_url, simulator::SAMPLE_APPID);
        self.expect(status, method, &url, body).await
    }

    /// A call of the simulator's control interface (`path` under `/_sim/apps/{appid}`), which must succeed.
    pub(super) async fn wechat(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let url = format!("{}/_sim/apps/{}{path}", self.simulator_url, simulator::SAMPLE_APPID);
        let reply = self.send(method, &url, body).await.with_context(|| format!("{method} {url}"))?;
        if !(200..300).contains(&reply.status) {
            bail!("{method} {url}: {}: {}", reply.status, reply.body);
        }
        Ok(reply.body)
    }

    async fn expect(
        &self,
        status: u16,
        method: &str,
        url: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let reply = self.send(method, url, body).await.with_context(|| format!("{method} {url}"))?;
        if reply.status != status {
            bail!("{method} {url}: {} instead of {status}: {}", reply.status, reply.body);
        }
        Ok(reply.body)
    }

    async fn send(&self, method: &str, url: &str, body: Option<&Value>) -> anyhow::Result<Reply> {
        let authorization = format!("Bearer {}", self.key.expose_secret());
        let language = say("zh-CN", "en");
        let mut headers = vec![("accept-language", language), ("prefer", "wait=10")];
        if url.starts_with(&self.service_url) {
            headers.push(("authorization", &authorization));
        }
        self.http.call(method, url, &headers, body).await
    }

    /// Looks until `found` finds what it wants in what `look` gives.
    pub(super) async fn until<T, F>(
        &self,
        what: &str,
        look: impl Fn() -> F,
        found: impl Fn(&Value) -> Option<T>,
    ) -> anyhow::Result<T>
    where
        F: Future<Output = anyhow::Result<Value>>,
    {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let seen = look().await?;
            if let Some(found) = found(&seen) {
                return Ok(found);
            }
            if tokio::time::Instant::now() >= deadline {
                bail!("{what}: not seen within {} s; last seen: {seen}", PATIENCE.as_secs());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// The address by which this machine reaches others. Nothing is sent: connecting a datagram socket only chooses the way.
fn address_in_the_network() -> anyhow::Result<IpAddr> {
    let chosen = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).map(|()| socket))
        .and_then(|socket| socket.local_addr());
    chosen.map(|address| address.ip()).context(say(
        "找不到局域网地址：请先连接网络，或去掉 --lan",
        "this machine has no address in a network: connect it, or leave --lan out",
    ))
}

/// The usual port, or any free one where it is taken.
async fn bind(usual: SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(usual).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(SocketAddr::new(usual.ip(), 0)).await.context("no address to listen on"),
    }
}

fn hex_of(bytes: [u8; 5]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn throw_away_directory() -> anyhow::Result<PathBuf> {
    let entropy = domain::SystemEntropy::new()?;
    let name = u64::from_le_bytes(random_bytes(&entropy));
    let directory = std::env::temp_dir().join(format!("hongyan-demo-{name:016x}"));
    std::fs::create_dir(&directory).with_context(|| directory.display().to_string())?;
    Ok(directory)
}
