//! `hongyan serve`: the service. Also what the demo starts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use api::Api;
use axum::Router;
use axum::serve::ListenerExt;
use engine::Engine;
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::ExposeSecret;
use service::Service;
use store::Role;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::asked_to_stop;
use crate::cli::{Global, NodeRole, Serve};
use crate::config::Config;
use crate::locale::say;
use crate::open;
use crate::output;
use crate::try_out::TryOut;

/// How long a stop waits for requests under way.
const GRACE: Duration = Duration::from_secs(10);

/// A running service.
pub(crate) struct Running {
    engine: Engine,
    servers: TaskTracker,
    stop: CancellationToken,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// Starts the service on open listeners.
pub(crate) async fn start(
    service: Service,
    metrics: PrometheusHandle,
    main: TcpListener,
    public: Option<TcpListener>,
    config: &Config,
    role: NodeRole,
    phones: Vec<String>,
) -> anyhow::Result<Running> {
    let address = main.local_addr()?;
    if let Some(url) = &config.public_url {
        service.set_public_url(url.clone());
    }
    let private_webhooks = config.webhooks_allow_private;
    let node = engine::NodeOptions {
        name: config.node_name.clone(),
        works: role != NodeRole::Web,
        serves: role != NodeRole::Worker,
        lease: config.lease,
        call: open::call_time(config.lease),
    };
    let engine = Engine::start(
        service.clone(),
        engine::Options { private_webhooks, node, retention: config.retention, ..engine::Options::default() },
    )
    .await?;
    let (servers, stop) = (TaskTracker::new(), CancellationToken::new());
    servers.spawn(stop.clone().run_until_cancelled_owned(api::keep_metrics(metrics.clone())));
    let phones: console::Phones = Arc::new(phones.into());
    let try_out = TryOut::new(service.clone(), address, &config.data_dir, Arc::clone(&phones), stop.clone());
    let console = console::router(
        service.clone(),
        console::Options {
            public_url: config.public_url.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            try_out: Some(try_out.hook()),
            phones,
        },
    );
    let api = Api::new(service, metrics).behind(&config.trusted_proxies);
    let serve = |listener: TcpListener, router: Router| {
        let stopping = stop.clone().cancelled_owned();
        // Small answers must not wait for the other side's acknowledgement.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        async move {
            let router = router.into_make_service_with_connect_info::<SocketAddr>();
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopping).await {
                tracing::error!(%error, "the server ended");
            }
        }
    };
    if role == NodeRole::Worker {
        servers.spawn(serve(main, api.worker_router()));
    } else {
        servers.spawn(serve(main, api.router(console)));
    }
    if let Some(public) = public.filter(|_| role != NodeRole::Worker) {
        servers.spawn(serve(public, api.public_router()));
    }
    servers.spawn(async move { try_out.resume().await });
    servers.close();
    Ok(Running { engine, servers, stop, address })
}

impl Running {
    /// Stops gracefully: requests under way are answered, calls to WeChat end and are kept.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(GRACE, self.servers.wait()).await.is_err() {
            tracing::warn!("some requests were cut off");
        }
        self.engine.stop().await;
    }
}

pub(crate) async fn run(global: &Global, serve: Serve) -> anyhow::Result<()> {
    let config = Config::load(global, serve.listens.listen, serve.listens.public_listen)?;
    if serve.role != NodeRole::All && !store::store::is_postgres(&config.database_url) {
        bail!(say(
            "--role 只用于多个节点共用一个 PostgreSQL；当前的 database_url 是单个文件，请去掉 --role。",
            "--role is for several nodes over one PostgreSQL; this database_url is a file: leave --role out."
        ));
    }
    let service = open::service(&config, Role::Worker).await?;
    // From the first answer on, a signal to stop is heeded: asked once, it listens for them.
    let mut stop = std::pin::pin!(asked_to_stop());
    let _ = futures::poll!(stop.as_mut());
    let main = bind(config.listen).await?;
    let public = match config.public_listen {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let public_address = public.as_ref().and_then(|listener| listener.local_addr().ok());
    let running =
        start(service.clone(), api::install_metrics(), main, public, &config, serve.role, Vec::new()).await?;
    tracing::info!(address = %running.address, database = store::store::shown_url(&config.database_url), "hongyan is ready");
    if let Some(address) = public_address {
        tracing::info!(%address, "the public address is ready");
    }
    if let Some(code) = service.setup_code().await? {
        // Once, for whoever sits here; it is no secret any more when somebody has used it.
        output::remark(&format!(
            "{} http://{}/setup  {} {}",
            say("创建管理员：", "Create the administrator:"),
            running.address,
            say("安装码", "setup code"),
            code.expose_secret()
        ));
    }
    tell_systemd(true);
    stop.await;
    tracing::info!("stopping");
    tell_systemd(false);
    running.stop().await;
    Ok(())
}

/// Tells systemd, where it asked to be told (`Type=notify`), that the service is ready, or that it stops.
fn tell_systemd(ready: bool) {
    #[cfg(unix)]
    {
        let state = if ready { sd_notify::NotifyState::Ready } else { sd_notify::NotifyState::Stopping };
        if let Err(error) = sd_notify::notify(&[state]) {
            tracing::warn!(%error, "systemd could not be told");
        }
    }
    #[cfg(not(unix))]
    let _ = ready;
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{address} cannot be listened on; choose another with --listen / 无法监听 {address}，请用 --listen 换一个地址")
    })
}
