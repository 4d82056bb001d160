#![doc = include_str!("../README.md")]

mod applier;
mod campaigns;
mod dispatcher;
mod eraser;
mod relay;
mod schedules;
mod sweeper;
mod told;
mod unknown;
mod upkeep;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use domain::clock::DAY;
use domain::entropy::random_bytes;
use service::{Problem, Service};
use store::hot::enqueue::Queue;
use store::lanes::Epochs;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use told::Handle;

/// How often the engine looks although nobody told it to.
const TICK: Duration = Duration::from_millis(100);

/// How the engine is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Calls to WeChat at the same time, of one app; all together twice as many.
    pub slots: usize,
    /// Whether webhooks may go to private networks.
    pub private_webhooks: bool,
    /// How long a stop waits for calls under way.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { slots: 256, private_webhooks: false, patience: Duration::from_secs(8) }
    }
}

/// The running engine.
#[derive(Debug)]
pub struct Engine {
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What every part of the engine needs.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) service: Service,
    pub(crate) epochs: Arc<Epochs>,
    pub(crate) options: Options,
    pub(crate) stop: CancellationToken,
}

impl Engine {
    /// Takes the lanes and starts working.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn start(service: Service, options: Options) -> Result<Self, Problem> {
        let node = u64::from_le_bytes(random_bytes(&**service.entropy()));
        // The embedded database's lease is its lock file; the row says who it is.
        let lease_until = service.now() + 36_500 * DAY;
        let epochs = service.store().take_all_lanes(format!("{node:016x}"), lease_until).await?;
        service.apps().reload().await?;
        service.reload_campaigns().await?;
        service.reload_guests().await?;
        let shared = Shared { service, epochs: Arc::new(epochs), options, stop: CancellationToken::new() };
        sweeper::settle_orphans(&shared).await?;
        let tasks = TaskTracker::new();
        let applier = applier::Applier::start(shared.clone(), &tasks);
        let unknown = unknown::start(shared.clone(), &tasks);
        let dispatcher = dispatcher::Dispatcher::start(shared.clone(), &tasks, unknown);
        tasks.spawn(sweeper::run(shared.clone()));
        tasks.spawn(relay::run(shared.clone()));
        tasks.spawn(upkeep::run(shared.clone()));
        tasks.spawn(eraser::run(shared.clone()));
        tasks.spawn(schedules::run(shared.clone()));
        tasks.spawn(webhooks::run(shared.clone()));
        tasks.spawn(campaigns::run(shared.clone(), tasks.clone()));
        tasks.spawn(route_hints(shared.clone(), applier, dispatcher));
        tasks.close();
        Ok(Self { stop: shared.stop, tasks })
    }

    /// Stops gracefully: no new call starts, calls under way end and are kept, armed ones go back.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

/// Passes the store's hints on to whoever works on them.
async fn route_hints(shared: Shared, applier: Arc<Notify>, dispatcher: Handle<(domain::Lane, Queue)>) {
    let hints = shared.service.store().hints();
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = hints.wait() => {}
        }
        let news = hints.take();
        if news.everywhere {
            shared.service.refresh().await;
        }
        if news.inbox || news.everywhere {
            applier.notify_one();
        }
        dispatcher.tell(news.queues, news.everywhere);
    }
}
