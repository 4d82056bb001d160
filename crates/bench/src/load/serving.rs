//! The service as `hongyan serve` runs it, and the bare servers that stand beside it, each on threads of its own name.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use engine::Engine;
use service::Service;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use super::world::{Copy, World};

/// A runtime whose threads can be told apart.
pub(crate) fn runtime(name: &'static str, threads: usize) -> anyhow::Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(threads).thread_name(name).enable_all().build()?)
}

/// A listening router.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    done: tokio::task::JoinHandle<()>,
}

impl Serving {
    pub(crate) async fn start(router: Router) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let stopping = stop.clone().cancelled_owned();
        let done = tokio::spawn(async move {
            let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
            let _ = axum::serve(listener, router).with_graceful_shutdown(stopping).await;
        });
        Ok(Self { address, stop, done })
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(5), self.done).await;
    }
}

/// The service on a copy of the database.
pub(crate) struct Hongyan {
    pub(crate) service: Service,
    pub(crate) serving: Serving,
    engine: Engine,
    copy: Copy,
}

impl Hongyan {
    /// Starts it; every commit takes `delay` longer than it would.
    pub(crate) async fn start(world: &World, copy: Copy, delay: Duration) -> anyhow::Result<Self> {
        let service = world.service(&copy.url).await?;
        service.store().delay_commits(delay);
        let engine = Engine::start(service.clone(), engine::Options::default())
            .await
            .map_err(|problem| anyhow::anyhow!("{problem}"))?;
        let api = api::Api::new(service.clone(), api::install_metrics());
        let serving =
            Serving::start(api.router(console::router(service.clone(), console::Options::default()))).await?;
        if service.store().is_shared() {
            // A node takes its lanes by and by.
            while service.cluster().await.map_err(|problem| anyhow::anyhow!("{problem}"))?.free_lanes > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(Self { service, serving, engine, copy })
    }

    /// One number out of the database, read beside the service.
    pub(crate) async fn count(&self, query: &'static str) -> anyhow::Result<i64> {
        if self.service.store().is_shared() {
            let mut db = sqlx::PgConnection::connect(&self.copy.url).await?;
            return Ok(sqlx::query_scalar(query).fetch_one(&mut db).await?);
        }
        let mut db: SqliteConnection =
            SqliteConnectOptions::new().filename(&self.copy.path).read_only(true).connect().await?;
        Ok(sqlx::query_scalar(query).fetch_one(&mut db).await?)
    }

    pub(crate) async fn stop(self) {
        self.serving.stop().await;
        self.engine.stop().await;
        if self.service.store().is_shared() {
            self.service.store().close().await;
        }
    }
}
