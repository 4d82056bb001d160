//! The lanes that this node holds, and keeping them. On a file the one worker holds them all for good. On a shared database a
//! node holds its share by leases: it renews them, gives back what is too much for it once nothing of it is in flight, and
//! takes what is nobody's. A lease is counted on the local monotonic clock from before its renewal was asked, so that it
//! ends here before it ends for others (docs/adr/0009-clusters.md).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use domain::{Lane, Millis};
use service::{Problem, Service};
use store::StoreError;
use store::lanes::Holding;
use store::nodes::Node;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the leases are renewed, in parts of one.
const RENEWALS: u32 = 4;
/// How often nodes and lanes are looked at though nobody told of a change.
const LOOK: Duration = Duration::from_secs(1);
/// A node that nobody has seen for so many leases is forgotten.
const FORGOTTEN: Millis = 100;

/// What is held.
#[derive(Debug, Clone, Copy)]
struct Held {
    epoch: i64,
    /// None: for good.
    until: Option<Instant>,
    /// It is given back once nothing of it is in flight.
    leaving: bool,
}

impl Held {
    fn lasts(&self, longer: Duration) -> bool {
        self.until.is_none_or(|until| Instant::now() + longer < until)
    }
}

/// The lanes of this node.
#[derive(Debug)]
pub(crate) struct Lanes {
    held: RwLock<BTreeMap<Lane, Held>>,
    /// Messages that are armed or in flight, by lane.
    busy: Mutex<HashMap<Lane, usize>>,
    all: u16,
    /// How long a call takes at most.
    call: Duration,
}

impl Lanes {
    pub(crate) fn new(all: u16, call: Duration) -> Self {
        Self { held: RwLock::default(), busy: Mutex::default(), all, call }
    }

    fn read<T>(&self, look: impl FnOnce(&BTreeMap<Lane, Held>) -> T) -> T {
        look(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut BTreeMap<Lane, Held>) -> T) -> T {
        change(&mut self.held.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The epoch under which a lane is held; 0, which the store knows for nobody's, where it is not.
    pub(crate) fn epoch(&self, lane: Lane) -> i64 {
        self.read(|held| {
            held.get(&lane).filter(|held| held.lasts(Duration::ZERO)).map_or(0, |held| held.epoch)
        })
    }

    /// Whether new work of a lane may be begun.
    pub(crate) fn owns(&self, lane: Lane) -> bool {
        self.read(|held| held.get(&lane).is_some_and(|held| !held.leaving && held.lasts(Duration::ZERO)))
    }

    /// Those of which new work may be begun.
    pub(crate) fn list(&self) -> Vec<Lane> {
        self.read(|held| {
            held.iter()
                .filter(|(_, held)| !held.leaving && held.lasts(Duration::ZERO))
                .map(|(lane, _)| *lane)
                .collect()
        })
    }

    /// Whether a call of an attempt that was armed under `epoch` may start: its lease outlasts it.
    pub(crate) fn may_call(&self, lane: Lane, epoch: i64) -> bool {
        self.read(|held| held.get(&lane).is_some_and(|held| held.epoch == epoch && held.lasts(self.call)))
    }

    /// This node's share of what an app may do in a second.
    pub(crate) fn share_of(&self, rate: u32) -> u32 {
        let held = u64::try_from(self.read(BTreeMap::len)).unwrap_or(0);
        if rate == 0 || held >= u64::from(self.all) {
            return rate;
        }
        let share = (u64::from(rate) * held).div_ceil(u64::from(self.all).max(1));
        u32::try_from(share).unwrap_or(u32::MAX).max(1)
    }

    /// A message of a lane is armed, or about to be.
    pub(crate) fn begins(&self, lane: Lane) {
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner).entry(lane).or_default() += 1;
    }

    /// Its outcome is kept.
    pub(crate) fn ends(&self, lane: Lane) {
        if let Some(count) = self.busy.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&lane) {
            *count = count.saturating_sub(1);
        }
    }

    fn is_busy(&self, lane: Lane) -> bool {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).get(&lane).is_some_and(|count| *count > 0)
    }

    pub(crate) fn hold(&self, holding: Holding, until: Option<Instant>) {
        self.write(|held| held.insert(holding.lane, Held { epoch: holding.epoch, until, leaving: false }));
    }

    /// Whether this node does what is nobody's in particular: the owner of the lane of its name.
    pub(crate) fn on_duty(&self, service: &Service, what: &str) -> bool {
        self.owns(service.store().lanes().of_key(0, what))
    }
}

/// Who this node is, and how it holds lanes.
pub(crate) struct Keeper {
    pub(crate) service: Service,
    pub(crate) lanes: std::sync::Arc<Lanes>,
    pub(crate) node: Node,
    pub(crate) lease: Duration,
    /// Whether it takes any.
    pub(crate) works: bool,
}

impl Keeper {
    fn lease(&self) -> Millis {
        i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX)
    }

    /// Says that the node is there, for the first time.
    pub(crate) async fn arrive(&mut self) -> Result<(), StoreError> {
        let store = self.service.store();
        store.make_lanes().await?;
        self.node.seen_at = store.seen(&self.node, true).await?;
        Ok(())
    }

    /// Keeps the node's share of the lanes until the end, then gives all back.
    pub(crate) async fn keep(mut self, end: CancellationToken) {
        let mut renewed: Option<Instant> = None;
        loop {
            let due = renewed.is_none_or(|at| at.elapsed() >= self.lease / RENEWALS);
            if let Err(problem) = self.look(due, &mut renewed).await {
                tracing::error!(%problem, "the lanes could not be looked at; trying again");
            }
            let pause = LOOK.min(self.lease / RENEWALS / 2);
            let hints = self.service.store().hints();
            tokio::select! {
                () = end.cancelled() => break,
                () = hints.lanes_changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.leave().await;
    }

    async fn look(&mut self, due: bool, renewed: &mut Option<Instant>) -> Result<(), Problem> {
        let store = self.service.store().clone();
        if due {
            let asked = Instant::now();
            self.renew(asked).await?;
            let now = store.seen(&self.node, false).await?;
            *renewed = Some(asked);
            if self.lanes.on_duty(&self.service, "nodes") {
                store.forget_nodes(None, now - FORGOTTEN * self.lease()).await?;
            }
        }
        if self.works { self.rebalance().await } else { Ok(()) }
    }

    async fn renew(&self, asked: Instant) -> Result<(), StoreError> {
        let mine: Vec<Lane> = self.lanes.read(|held| held.keys().copied().collect());
        if mine.is_empty() {
            return Ok(());
        }
        let still = self.service.store().renew_lanes(&self.node.id, mine, self.lease()).await?;
        let still: HashMap<Lane, i64> = still.into_iter().map(|held| (held.lane, held.epoch)).collect();
        let until = Some(asked + self.lease);
        let lost = self.lanes.write(|held| {
            let before = held.len();
            held.retain(|lane, held| still.get(lane) == Some(&held.epoch));
            for held in held.values_mut() {
                held.until = until;
            }
            before - held.len()
        });
        if lost > 0 {
            tracing::warn!(
                lost,
                "lanes were taken over by other nodes: this one was away for longer than a lease"
            );
        }
        Ok(())
    }

    /// Gives back what is too much, takes what is nobody's.
    async fn rebalance(&self) -> Result<(), Problem> {
        let store = self.service.store();
        let now = store.now().await?;
        let nodes = store.nodes(now - self.lease()).await?;
        let mut workers: Vec<&str> = nodes
            .iter()
            .filter(|node| node.role != "web" && !node.leaving)
            .map(|node| node.id.as_str())
            .collect();
        workers.sort_unstable();
        let Some(rank) = workers.iter().position(|id| *id == self.node.id) else { return Ok(()) };
        let all = usize::from(self.lanes.all);
        let quota = all / workers.len() + usize::from(rank < all % workers.len());
        let mut held = self.lanes.read(|held| held.values().filter(|held| !held.leaving).count());
        if held > quota {
            self.mark(held - quota);
            held = quota;
        }
        self.give_back_idle().await?;
        if held < quota {
            self.take(quota - held, rank * all / workers.len(), now).await?;
        }
        Ok(())
    }

    /// Marks so many lanes to be given back, those first of which nothing is in flight.
    fn mark(&self, count: usize) {
        let mut mine = self.lanes.list();
        mine.sort_by_key(|lane| self.lanes.is_busy(*lane));
        self.lanes.write(|held| {
            for lane in mine.into_iter().take(count) {
                if let Some(held) = held.get_mut(&lane) {
                    held.leaving = true;
                }
            }
        });
    }

    async fn give_back_idle(&self) -> Result<(), StoreError> {
        let idle: Vec<Holding> = self.lanes.write(|held| {
            let idle: Vec<Holding> = held
                .iter()
                .filter(|(lane, held)| held.leaving && !self.lanes.is_busy(**lane))
                .map(|(lane, held)| Holding { lane: *lane, epoch: held.epoch })
                .collect();
            for holding in &idle {
                held.remove(&holding.lane);
            }
            idle
        });
        if idle.is_empty() {
            return Ok(());
        }
        tracing::info!(lanes = idle.len(), "lanes are given back");
        self.service.store().give_back_lanes(&self.node.id, idle).await
    }

    /// Takes up to `count` lanes that are nobody's, beginning at this node's corner: nodes that start together hardly meet.
    async fn take(&self, count: usize, from: usize, now: Millis) -> Result<(), Problem> {
        let store = self.service.store();
        let rows = store.lane_rows().await?;
        let all = rows.len().max(1);
        let mut free: Vec<Lane> = rows
            .iter()
            .filter(|row| row.owner.is_empty() || row.lease_until < now)
            .filter(|row| self.lanes.epoch(row.lane) == 0)
            .map(|row| row.lane)
            .collect();
        free.sort_unstable_by_key(|lane| (usize::from(lane.0) + all - from % all) % all);
        free.truncate(count);
        free.sort_unstable();
        if free.is_empty() {
            return Ok(());
        }
        let asked = Instant::now();
        let taken = store.take_lanes(&self.node.id, free, self.lease()).await?;
        for holding in &taken {
            // What the owner before left in flight is unknown before anything else of the lane is sent (I5).
            crate::sweeper::settle_orphans(&self.service, *holding).await?;
            self.lanes.hold(*holding, Some(asked + self.lease));
        }
        if !taken.is_empty() {
            tracing::info!(lanes = taken.len(), "lanes are taken");
            store.hints().look_everywhere();
        }
        Ok(())
    }

    /// Gives everything back: whoever waits for it need not wait for the leases' end.
    async fn leave(&mut self) {
        let mine: Vec<Holding> = self.lanes.write(|held| {
            std::mem::take(held).into_iter().map(|(lane, held)| Holding { lane, epoch: held.epoch }).collect()
        });
        let store = self.service.store();
        let done = async {
            if !mine.is_empty() {
                store.give_back_lanes(&self.node.id, mine).await?;
            }
            store.forget_nodes(Some(&self.node.id), 0).await
        };
        if let Err(error) = done.await {
            tracing::warn!(%error, "the lanes could not be given back; others take them when their leases end");
        }
    }
}
