//! The simulated WeChat that the console starts for whoever wants to try: it listens beside the service, is told of the sample app,
//! and comes up again with the service as long as the marker stands in the data directory.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use secrecy::ExposeSecret;
use serde_json::json;
use service::apps::AppChange;
use service::{Kind, Problem, Service};
use simulator::SAMPLE_APPID;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::commands::{MiniProgram, simulator_new};

/// The usual place, and the file that remembers it.
const PORT: u16 = 8701;
const MARKER: &str = "simulator.address";

/// Starts the simulated WeChat, once.
pub(crate) struct TryOut {
    service: Service,
    /// Where callbacks reach us.
    address: SocketAddr,
    marker: PathBuf,
    phones: console::Phones,
    stop: CancellationToken,
    running: Mutex<bool>,
}

impl TryOut {
    pub(crate) fn new(
        service: Service,
        address: SocketAddr,
        data_dir: &Path,
        phones: console::Phones,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let marker = data_dir.join(MARKER);
        Arc::new(Self { service, address, marker, phones, stop, running: Mutex::new(false) })
    }

    /// As the console asks for it.
    pub(crate) fn hook(self: &Arc<Self>) -> console::TryOut {
        let this = Arc::clone(self);
        Arc::new(move || {
            let this = Arc::clone(&this);
            Box::pin(async move { this.start(None).await })
        })
    }

    /// Where one ran before the service was stopped, it comes up again at the same address.
    pub(crate) async fn resume(self: &Arc<Self>) {
        let Ok(text) = std::fs::read_to_string(&self.marker) else { return };
        let Ok(address) = text.trim().parse() else { return };
        if let Err(problem) = self.start(Some(address)).await {
            tracing::warn!(%problem, "the simulated WeChat of before could not be started again");
        }
    }

    async fn start(&self, at: Option<SocketAddr>) -> Result<String, Problem> {
        let mut running = self.running.lock().await;
        if *running {
            return Ok(SAMPLE_APPID.to_owned());
        }
        let host =
            if self.address.ip().is_unspecified() { IpAddr::from([127, 0, 0, 1]) } else { self.address.ip() };
        let usual = at.unwrap_or_else(|| SocketAddr::new(host, PORT));
        let listener = match TcpListener::bind(usual).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind(SocketAddr::new(host, 0)).await.map_err(failed)?,
        };
        let address = listener.local_addr().map_err(failed)?;
        let url = format!("http://{address}");
        let sim = simulator_new(&url, &MiniProgram::default()).map_err(failed)?;
        let (token, aes_key) = (self.service.new_callback_token(), self.service.new_aes_key());
        let sample = simulator::sample_app();
        let change = AppChange {
            name: Some(sample.name.clone()),
            secret: Some(sample.secret.clone().into()),
            callback_token: Some(token.clone()),
            aes_key: Some(aes_key.clone()),
            api_base_url: Some(url.clone()),
            ..AppChange::default()
        };
        let known = self.service.apps().get(SAMPLE_APPID).await?.is_some();
        let app = if known {
            self.service.set_app(SAMPLE_APPID, change).await?
        } else {
            self.service.add_app(SAMPLE_APPID, change).await?
        };
        let ours = SocketAddr::new(host, self.address.port());
        let mut spec = serde_json::to_value(&sample).unwrap_or_default();
        spec["callback"] = json!({ "url": format!("http://{ours}/callback/{SAMPLE_APPID}"), "token": token.expose_secret(),
            "aes_key": aes_key.expose_secret(), "mode": "safe", "format": "json" });
        let spec = serde_json::from_value(spec).map_err(failed)?;
        sim.put_app(SAMPLE_APPID, spec).map_err(failed)?;
        tokio::spawn(simulator::serve(listener, sim, self.stop.clone().cancelled_owned()));
        self.phones.write().unwrap_or_else(PoisonError::into_inner).push(url);
        if let Err(error) = std::fs::write(&self.marker, format!("{address}\n")) {
            tracing::warn!(%error, "the simulated WeChat will not come up again after a restart");
        }
        self.service.sync_templates(&app).await?;
        *running = true;
        Ok(SAMPLE_APPID.to_owned())
    }
}

fn failed(error: impl std::fmt::Display) -> Problem {
    Problem::new(
        Kind::Unavailable,
        "simulator_not_started",
        format!("微信模拟器没有启动：{error}"),
        format!("The simulated WeChat could not be started: {error}"),
    )
}
