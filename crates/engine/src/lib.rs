#![doc = include_str!("../README.md")]

mod applier;
mod campaigns;
mod certificate;
mod dispatcher;
mod eraser;
mod lanes;
mod measure;
mod relay;
mod retention;
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
use store::nodes::Node;
use store::retention::Periods;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use told::Handle;

use crate::lanes::{Keeper, Lanes};

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
    /// How the node appears in a cluster.
    pub node: NodeOptions,
    /// How long things are kept.
    pub retention: Periods,
}

/// A node of a cluster.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// What an operator calls it.
    pub name: String,
    /// Whether it holds lanes, or only serves pages and calls.
    pub works: bool,
    /// Whether it serves pages and calls, for others to see.
    pub serves: bool,
    /// How long its lanes stay its own after it was last heard of.
    pub lease: Duration,
    /// How long a call to WeChat takes at most: no call starts that might outlast the lease.
    pub call: Duration,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            name: "hongyan".to_owned(),
            works: true,
            serves: true,
            lease: Duration::from_secs(12),
            call: Duration::from_secs(5),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            slots: 256,
            private_webhooks: false,
            patience: Duration::from_secs(8),
            node: NodeOptions::default(),
            retention: Periods::default(),
        }
    }
}

/// The running engine.
#[derive(Debug)]
pub struct Engine {
    stop: CancellationToken,
    tasks: TaskTracker,
    /// On a shared database: who keeps the lanes, and its end.
    keeper: Option<(JoinHandle<()>, CancellationToken)>,
}

/// What every part of the engine needs.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) service: Service,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) options: Options,
    pub(crate) stop: CancellationToken,
}

impl Engine {
    /// Takes the lanes (on a shared database this node's share of them, by and by) and starts working.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn start(service: Service, options: Options) -> Result<Self, Problem> {
        let store = service.store().clone();
        let id = format!("{:016x}", u64::from_le_bytes(random_bytes(&**service.entropy())));
        let lanes = Arc::new(Lanes::new(store.lanes().count(), options.node.call));
        let node = node(&id, &options.node, service.now());
        service.refresh().await;
        let keeper = if store.is_shared() {
            let mut keeper = Keeper {
                service: service.clone(),
                lanes: Arc::clone(&lanes),
                node,
                lease: options.node.lease,
                works: options.node.works,
            };
            keeper.arrive().await?;
            let end = CancellationToken::new();
            Some((tokio::spawn(keeper.keep(end.clone())), end))
        } else {
            // The embedded database's lease is its lock file; the rows say who it is.
            let epochs = store.take_all_lanes(id, service.now() + 36_500 * DAY).await?;
            for holding in epochs.iter() {
                sweeper::settle_orphans(&service, holding).await?;
                lanes.hold(holding, None);
            }
            store.forget_nodes(None, i64::MAX).await?;
            store.seen(&node, false).await?;
            None
        };
        let works = options.node.works;
        let shared = Shared { service, lanes, options, stop: CancellationToken::new() };
        let tasks = TaskTracker::new();
        if works {
            Self::work(&shared, &tasks)
        } else {
            Self::watch(&shared, &tasks)
        }
        tasks.close();
        Ok(Self { stop: shared.stop, tasks, keeper })
    }

    fn work(shared: &Shared, tasks: &TaskTracker) {
        let applier = applier::Applier::start(shared.clone(), tasks);
        let unknown = unknown::start(shared.clone(), tasks);
        let dispatcher = dispatcher::Dispatcher::start(shared.clone(), tasks, unknown);
        tasks.spawn(sweeper::run(shared.clone()));
        tasks.spawn(relay::run(shared.clone()));
        tasks.spawn(upkeep::run(shared.clone()));
        tasks.spawn(measure::run(shared.clone()));
        tasks.spawn(certificate::run(shared.clone()));
        tasks.spawn(eraser::run(shared.clone()));
        tasks.spawn(retention::run(shared.clone()));
        tasks.spawn(schedules::run(shared.clone()));
        tasks.spawn(webhooks::run(shared.clone()));
        tasks.spawn(campaigns::run(shared.clone(), tasks.clone()));
        tasks.spawn(route_hints(shared.clone(), Some((applier, dispatcher))));
    }

    /// A node that holds no lanes: it reads anew what others write, and tells them of what it appended.
    fn watch(shared: &Shared, tasks: &TaskTracker) {
        tasks.spawn(route_hints(shared.clone(), None));
        tasks.spawn(certificate::run(shared.clone()));
        tasks.spawn(applier::pass_on(shared.clone()));
    }

    /// Stops gracefully: no new call starts, calls under way end and are kept, armed ones go back; then the lanes.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
        if let Some((keeper, end)) = self.keeper {
            end.cancel();
            let _ = keeper.await;
        }
    }
}

fn node(id: &str, options: &NodeOptions, now: domain::Millis) -> Node {
    let role = match (options.works, options.serves) {
        (true, true) => "all",
        (true, false) => "worker",
        (false, _) => "web",
    };
    Node {
        id: id.to_owned(),
        name: options.name.clone(),
        role: role.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: now,
        seen_at: now,
        leaving: false,
    }
}

/// The applier's bell and the dispatcher's ear.
type Workers = (Arc<Notify>, Handle<(domain::Lane, Queue)>);

/// Passes the store's hints on to whoever works on them.
async fn route_hints(shared: Shared, workers: Option<Workers>) {
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
        let Some((applier, dispatcher)) = &workers else { continue };
        if news.inbox || news.everywhere {
            applier.notify_one();
        }
        dispatcher.tell(news.queues, news.everywhere);
    }
}
