//! Who writes on PostgreSQL: for each lane one task for what anybody may append and one for what its owner does, so that an
//! append never waits for an owner; rare writes each in a task of their own. What gathers while a commit is under way is
//! the next one. No caller can cut a transaction off by going away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use domain::Lanes as LaneCount;
use futures::future::{BoxFuture, join_all};
use sqlx::PgPool;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::transaction;
use crate::db::Db;
use crate::error::StoreError;
use crate::hints::{Hints, Told};
use crate::writing::work::Kind;
use crate::writing::{Batch, Call, Context, Job, after_commit, stopped};

/// Rows that one commit takes at most.
const ROWS_PER_COMMIT: usize = 1_024;
const QUEUE: usize = 1_024;
/// WeChat waits five seconds: whoever appends is told well before that.
const APPENDING: Duration = Duration::from_secs(3);
const OWNING: Duration = Duration::from_secs(8);
const RARE: Duration = Duration::from_secs(60);
/// How many lanes' appends are under way at once: while these commit, what else comes in gathers, so that the more there is the
/// larger the commits become, and not the more.
const APPENDS: usize = 8;
/// How long a write is tried again where the database is away for a moment.
const AGAIN: Duration = Duration::from_millis(1_500);
const PAUSE: Duration = Duration::from_millis(50);

/// The tasks of all lanes.
pub(crate) struct Lanes {
    open: Vec<mpsc::Sender<Job>>,
    owned: Vec<mpsc::Sender<Job>>,
    pool: PgPool,
    context: Arc<Context>,
    hints: Weak<Hints>,
    rare: TaskTracker,
    closed: AtomicBool,
}

impl Lanes {
    pub(crate) fn start(pool: &PgPool, lanes: LaneCount, context: &Arc<Context>, hints: &Arc<Hints>) -> Self {
        let tasks = |patience: Duration, at_once: usize| -> Vec<mpsc::Sender<Job>> {
            let turns = Arc::new(Semaphore::new(at_once));
            lanes
                .iter()
                .map(|lane| {
                    let (jobs, handed_in) = mpsc::channel(QUEUE);
                    let (pool, context, turns) = (pool.clone(), Arc::clone(context), Arc::clone(&turns));
                    let task = Task { lane: lane.0, pool, context, patience, turns };
                    tokio::spawn(task.run(handed_in));
                    jobs
                })
                .collect()
        };
        Self {
            open: tasks(APPENDING, APPENDS),
            owned: tasks(OWNING, Semaphore::MAX_PERMITS),
            pool: pool.clone(),
            context: Arc::clone(context),
            hints: Arc::downgrade(hints),
            rare: TaskTracker::new(),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) async fn call<B: Batch>(
        &self,
        wrap: fn(Call<B>) -> Job,
        items: Vec<B::Item>,
    ) -> Result<Vec<B::Outcome>, StoreError> {
        let Some(first) = items.first().map(B::lane) else { return Ok(Vec::new()) };
        if items.iter().all(|item| B::lane(item) == first) {
            return self.hand_in(wrap, first, items).await;
        }
        // Each row with the place that its answer goes to.
        let count = items.len();
        let mut by_lane: std::collections::BTreeMap<u16, (Vec<usize>, Vec<B::Item>)> = Default::default();
        for (at, item) in items.into_iter().enumerate() {
            let (places, rows) = by_lane.entry(B::lane(&item)).or_default();
            places.push(at);
            rows.push(item);
        }
        let parts = by_lane.into_iter().map(|(lane, (places, rows))| async move {
            self.hand_in(wrap, lane, rows).await.map(|outcomes| (places, outcomes))
        });
        let mut all: Vec<Option<B::Outcome>> = std::iter::repeat_with(|| None).take(count).collect();
        for part in join_all(parts).await {
            let (places, outcomes) = part?;
            for (place, outcome) in places.into_iter().zip(outcomes) {
                if let Some(slot) = all.get_mut(place) {
                    *slot = Some(outcome);
                }
            }
        }
        all.into_iter().collect::<Option<Vec<_>>>().ok_or_else(stopped)
    }

    async fn hand_in<B: Batch>(
        &self,
        wrap: fn(Call<B>) -> Job,
        lane: u16,
        items: Vec<B::Item>,
    ) -> Result<Vec<B::Outcome>, StoreError> {
        let tasks = if B::OWNED { &self.owned } else { &self.open };
        let task = tasks.get(usize::from(lane)).ok_or(StoreError::Corrupt("a lane"))?;
        if self.closed.load(Ordering::SeqCst) {
            return Err(stopped());
        }
        let (reply, answer) = oneshot::channel();
        task.send(wrap(Call { items, reply })).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// The other nodes are told to look, unless it is `quiet`.
    pub(crate) async fn rare<T, F>(&self, work: F, quiet: bool) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Db, &'c Context) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        if self.closed.load(Ordering::SeqCst) {
            return Err(stopped());
        }
        let (pool, context) = (self.pool.clone(), Arc::clone(&self.context));
        let task = self.rare.spawn(async move {
            let started = Instant::now();
            let done = transaction::within(&pool, None, RARE, async |db| work(db, &context).await).await;
            if done.is_err() {
                context.forget();
            }
            context.work.add(Kind::Cold, 1, started.elapsed());
            done
        });
        let done = task.await.map_err(|_| stopped())?;
        if let Some(hints) = self.hints.upgrade().filter(|_| done.is_ok() && !quiet) {
            hints.others(Told::Everywhere);
        }
        done
    }

    /// Ends once everything handed in before is kept.
    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.rare.close();
        self.rare.wait().await;
        let ends = self.open.iter().chain(&self.owned).map(|task| async move {
            let (reply, done) = oneshot::channel();
            if task.send(Job::Close(reply)).await.is_ok() {
                let _ = done.await;
            }
        });
        join_all(ends).await;
        self.pool.close().await;
    }
}

struct Task {
    lane: u16,
    pool: PgPool,
    context: Arc<Context>,
    patience: Duration,
    turns: Arc<Semaphore>,
}

impl Task {
    async fn run(self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.recv().await {
            // It is never closed.
            let _turn = self.turns.acquire().await;
            let mut pass = Pass::default();
            let (mut rows, mut next, mut end) = (0, Some(first), None);
            while let Some(job) = next {
                rows += job.rows();
                end = pass.take(job);
                next = (rows < ROWS_PER_COMMIT && end.is_none()).then(|| jobs.try_recv().ok()).flatten();
            }
            self.commit(pass).await;
            if let Some(reply) = end {
                let _ = reply.send(());
                return;
            }
        }
    }

    /// The whole pass in one transaction; where that fails for another reason than the database's being away, each caller's
    /// rows alone.
    async fn commit(&self, pass: Pass) {
        let mut parts = pass.parts();
        if parts.is_empty() {
            return;
        }
        let failed = self.patiently(&mut parts).await.err();
        match failed {
            Some(error)
                if !error.is_transient() && parts.iter().map(|part| part.callers()).sum::<usize>() > 1 =>
            {
                for part in parts {
                    for single in part.split() {
                        let mut alone = vec![single];
                        let failed = self.patiently(&mut alone).await.err();
                        answer(alone, failed.as_ref());
                    }
                }
            }
            failed => {
                if let Some(error) = &failed {
                    tracing::warn!(lane = self.lane, %error, "a write failed");
                }
                answer(parts, failed.as_ref());
            }
        }
    }

    async fn patiently(&self, parts: &mut [Box<dyn Part>]) -> Result<(), StoreError> {
        let started = Instant::now();
        loop {
            let alone = matches!(&*parts, [part] if part.is_one_statement());
            let work = async |db: &mut Db| {
                for part in parts.iter_mut() {
                    let started = Instant::now();
                    part.run(db, &self.context).await?;
                    self.context.work.add(part.kind(), part.rows(), started.elapsed());
                }
                Ok(())
            };
            let (pool, lane) = (&self.pool, Some(self.lane));
            let done = if alone {
                transaction::alone(pool, lane, self.patience, work).await
            } else {
                transaction::within(pool, lane, self.patience, work).await
            };
            match done {
                Ok(()) => {
                    // Work and commit are not told apart here: the transaction with its wait for a connection.
                    self.context.work.add(Kind::Commit, 1, started.elapsed());
                    return Ok(());
                }
                Err(error) => {
                    self.context.forget();
                    if !error.is_transient() || started.elapsed() > AGAIN {
                        return Err(error);
                    }
                    // It may have been lost after the commit and before its answer.
                    parts.iter_mut().for_each(|part| part.doubt());
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

fn answer(parts: Vec<Box<dyn Part>>, failed: Option<&StoreError>) {
    for part in parts {
        part.answer(failed);
    }
}

/// The calls of one commit, by kind, in the order in which they are written.
#[derive(Default)]
struct Pass {
    append: Merged<crate::hot::append::Append>,
    settle: Merged<crate::hot::settle::Settle>,
    apply: Merged<crate::hot::apply::Apply>,
    enqueue: Merged<crate::hot::enqueue::Enqueue>,
    arm: Merged<crate::hot::arm::Arming>,
}

impl Pass {
    /// Gives whom to tell where it was the last job.
    fn take(&mut self, job: Job) -> Option<oneshot::Sender<()>> {
        match job {
            Job::Append(call) => self.append.add(call),
            Job::Settle(call) => self.settle.add(call),
            Job::Apply(call) => self.apply.add(call),
            Job::Enqueue(call) => self.enqueue.add(call),
            Job::Arm(call) => self.arm.add(call),
            // Rare writes do not come here.
            Job::Cold(_) => {}
            Job::Close(reply) => return Some(reply),
        }
        None
    }

    fn parts(self) -> Vec<Box<dyn Part>> {
        let all: [(Kind, Box<dyn Part>); 5] = [
            (Kind::Append, Box::new(self.append.of(Kind::Append))),
            (Kind::Settle, Box::new(self.settle.of(Kind::Settle))),
            (Kind::Apply, Box::new(self.apply.of(Kind::Apply))),
            (Kind::Enqueue, Box::new(self.enqueue.of(Kind::Enqueue))),
            (Kind::Arm, Box::new(self.arm.of(Kind::Arm))),
        ];
        all.into_iter().map(|(_, part)| part).filter(|part| part.rows() > 0).collect()
    }
}

/// One kind of work in a pass.
trait Part: Send {
    fn kind(&self) -> Kind;
    fn rows(&self) -> usize;
    fn callers(&self) -> usize;
    fn is_one_statement(&self) -> bool;
    /// From now on nobody knows whether its rows are written.
    fn doubt(&mut self);
    fn run<'a>(&'a mut self, db: &'a mut Db, context: &'a Context) -> BoxFuture<'a, Result<(), StoreError>>;
    fn answer(self: Box<Self>, failed: Option<&StoreError>);
    /// Each caller's rows by themselves.
    fn split(self: Box<Self>) -> Vec<Box<dyn Part>>;
}

type Reply<B> = oneshot::Sender<Result<Vec<<B as Batch>::Outcome>, StoreError>>;

/// The rows of several callers.
struct Merged<B: Batch> {
    kind: Kind,
    items: Vec<B::Item>,
    callers: Vec<(usize, Reply<B>)>,
    outcomes: Vec<B::Outcome>,
    doubtful: bool,
}

impl<B: Batch> Default for Merged<B> {
    fn default() -> Self {
        Self {
            kind: Kind::Cold,
            items: Vec::new(),
            callers: Vec::new(),
            outcomes: Vec::new(),
            doubtful: false,
        }
    }
}

impl<B: Batch> Merged<B> {
    fn of(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    fn add(&mut self, call: Call<B>) {
        self.callers.push((call.items.len(), call.reply));
        self.items.extend(call.items);
    }
}

impl<B: Batch + 'static> Part for Merged<B> {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn rows(&self) -> usize {
        self.items.len()
    }

    fn callers(&self) -> usize {
        self.callers.len()
    }

    fn is_one_statement(&self) -> bool {
        !self.doubtful && B::is_one_statement(&self.items)
    }

    fn doubt(&mut self) {
        self.doubtful = true;
    }

    fn run<'a>(&'a mut self, db: &'a mut Db, context: &'a Context) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.outcomes = if self.doubtful {
                B::run_again(db, &self.items, context).await?
            } else {
                B::run(db, &self.items, context).await?
            };
            Ok(())
        })
    }

    fn answer(mut self: Box<Self>, failed: Option<&StoreError>) {
        for (count, reply) in std::mem::take(&mut self.callers).into_iter().rev() {
            let own = self.outcomes.split_off(self.outcomes.len().saturating_sub(count));
            after_commit(reply, Ok(own))(failed.cloned());
        }
    }

    fn split(mut self: Box<Self>) -> Vec<Box<dyn Part>> {
        let (kind, doubtful) = (self.kind, self.doubtful);
        let mut single: Vec<Box<dyn Part>> = Vec::with_capacity(self.callers.len());
        for (count, reply) in std::mem::take(&mut self.callers).into_iter().rev() {
            let items = self.items.split_off(self.items.len().saturating_sub(count));
            let callers = vec![(count, reply)];
            single.push(Box::new(Self { kind, items, callers, outcomes: Vec::new(), doubtful }));
        }
        single.reverse();
        single
    }
}
