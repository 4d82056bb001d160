//! The one writer of an SQLite file: callers hand in rows and wait for the commit that they were part of. A
//! commit costs one sync however many callers share it; urgent work goes before bulk; the task is never
//! cancelled in the middle of a transaction, since it belongs to nobody's request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::LedgerIds;
use futures::future::BoxFuture;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::batch::{Batch, Call, Finish, run_calls};
use super::work::{Kind, Meter};
use crate::error::StoreError;
use crate::hot::recent::Recent;
use crate::hot::{append, apply, arm, enqueue, settle};
use crate::templates::TemplateIds;

/// Rows that one commit takes at most: keeps a writer's transaction near 20 ms.
const ROWS_PER_COMMIT: usize = 2_048;
const QUEUE: usize = 4_096;
/// Pages of 4 KiB up to which a file is rewritten when somebody was erased: 128 MiB, which takes about a second.
const SMALL: i64 = 32_768;
/// How often an idle writer looks whether another process wrote.
const FOREIGN_POLL: Duration = Duration::from_millis(100);

/// What the batches need beside the connection.
pub(crate) struct Context {
    pub(crate) ledger_ids: LedgerIds,
    pub(crate) templates: TemplateIds,
    pub(crate) recent: Recent,
    pub(crate) work: Meter,
    /// Set where the WAL has grown long enough to begin anew.
    pub(crate) fold: AtomicBool,
    /// Set where nothing of what was deleted may stay in the files.
    pub(crate) scrub: AtomicBool,
    /// Microseconds that every commit waits before it syncs: how benches see a slower disk.
    #[cfg(feature = "testing")]
    pub(crate) delay: std::sync::atomic::AtomicU64,
}

impl Context {
    /// What is remembered of a write that was rolled back is wrong.
    pub(crate) fn forget(&self) {
        self.templates.forget();
        self.recent.forget();
    }
}

pub(crate) type Cold =
    Box<dyn for<'c> FnOnce(&'c mut SqliteConnection, &'c Context) -> BoxFuture<'c, Finish> + Send>;

pub(crate) enum Job {
    Append(Call<append::Append>),
    Enqueue(Call<enqueue::Enqueue>),
    Arm(Call<arm::Arming>),
    Settle(Call<settle::Settle>),
    Apply(Call<apply::Apply>),
    Cold(Cold),
    /// The last one: whatever was handed in before it is kept, nothing after it.
    Close(oneshot::Sender<()>),
}

impl Job {
    fn rows(&self) -> usize {
        match self {
            Self::Append(call) => call.items.len(),
            Self::Enqueue(call) => call.items.len(),
            Self::Arm(call) => call.items.len(),
            Self::Settle(call) => call.items.len(),
            Self::Apply(call) => call.items.len(),
            Self::Cold(_) | Self::Close(_) => 1,
        }
    }
}

/// How soon a write wants to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Somebody waits: callbacks, single messages, arming, outcomes.
    Urgent,
    /// Lists, expansion, what a campaign's end changes.
    Bulk,
}

/// A handle to the writer task.
#[derive(Clone)]
pub(crate) struct Writer {
    urgent: mpsc::Sender<Job>,
    bulk: mpsc::Sender<Job>,
    /// Wakes whoever watches for the commits of other processes.
    pub(crate) foreign: Arc<Notify>,
    pub(crate) context: Arc<Context>,
}

impl Writer {
    /// Starts the task; it ends when the last handle is dropped.
    ///
    /// `seen` is the connection's `data_version` at opening.
    pub(crate) fn start(db: SqliteConnection, context: Arc<Context>, seen: i64, worker: bool) -> Self {
        let (urgent, urgent_jobs) = mpsc::channel(QUEUE);
        let (bulk, bulk_jobs) = mpsc::channel(QUEUE);
        let foreign = Arc::new(Notify::new());
        let task = Task {
            db,
            context: Arc::clone(&context),
            urgent: urgent_jobs,
            bulk: bulk_jobs,
            foreign: Arc::clone(&foreign),
            seen,
            looked: Instant::now(),
            worker,
        };
        tokio::spawn(task.run());
        Self { urgent, bulk, foreign, context }
    }

    /// Hands rows of one kind to the writer and waits for the commit.
    pub(crate) async fn call<B: Batch>(
        &self,
        wrap: fn(Call<B>) -> Job,
        items: Vec<B::Item>,
    ) -> Result<Vec<B::Outcome>, StoreError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        self.submit(wrap(Call { items, reply }), Urgency::Urgent).await?;
        answer.await.map_err(|_| stopped())?
    }

    /// Runs a rare write in a savepoint of its own, inside the next commit.
    pub(crate) async fn cold<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection, &'c Context) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        self.rare(work, Urgency::Urgent).await
    }

    /// The same for what may wait.
    pub(crate) async fn cold_bulk<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection, &'c Context) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        self.rare(work, Urgency::Bulk).await
    }

    async fn rare<T, F>(&self, work: F, urgency: Urgency) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection, &'c Context) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Cold = Box::new(move |db, context| {
            Box::pin(async move {
                let outcome = savepoint(db, context, work).await;
                Box::new(move |failed: Option<StoreError>| {
                    let _ = reply.send(failed.map_or(outcome, Err));
                }) as Finish
            })
        });
        self.submit(Job::Cold(job), urgency).await?;
        answer.await.map_err(|_| stopped())?
    }

    /// Lets what was deleted vanish from the files too, as soon as no reader needs it.
    pub(crate) fn scrub(&self) {
        self.context.scrub.store(true, Ordering::Relaxed);
    }

    /// Ends the task once everything handed in before is kept, folds the WAL back and closes the connection. Later writes are refused.
    pub(crate) async fn close(&self) {
        let (reply, done) = oneshot::channel();
        if self.submit(Job::Close(reply), Urgency::Urgent).await.is_ok() {
            let _ = done.await;
        }
    }

    async fn submit(&self, job: Job, urgency: Urgency) -> Result<(), StoreError> {
        let queue = match urgency {
            Urgency::Urgent => &self.urgent,
            Urgency::Bulk => &self.bulk,
        };
        queue.send(job).await.map_err(|_| stopped())
    }
}

async fn savepoint<T, F>(db: &mut SqliteConnection, context: &Context, work: F) -> Result<T, StoreError>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection, &'c Context) -> BoxFuture<'c, Result<T, StoreError>>,
{
    sqlx::query("savepoint cold").execute(&mut *db).await?;
    let outcome = work(db, context).await;
    if outcome.is_err() {
        context.forget();
        sqlx::query("rollback to cold").execute(&mut *db).await?;
    }
    sqlx::query("release cold").execute(&mut *db).await?;
    outcome
}

fn stopped() -> StoreError {
    StoreError::from(sqlx::Error::WorkerCrashed)
}

struct Task {
    db: SqliteConnection,
    context: Arc<Context>,
    urgent: mpsc::Receiver<Job>,
    bulk: mpsc::Receiver<Job>,
    foreign: Arc<Notify>,
    seen: i64,
    looked: Instant,
    /// Only the worker folds the WAL back by force: a command beside it would stop its commits for that long.
    worker: bool,
}

impl Task {
    async fn run(mut self) {
        while let Some(first) = self.next().await {
            let (mut jobs, mut rows, mut closing) = (Vec::new(), 0, None);
            let mut next = Some(first);
            while let Some(job) = next {
                if let Job::Close(reply) = job {
                    closing = Some(reply);
                    break;
                }
                rows += job.rows();
                jobs.push(job);
                next = (rows < ROWS_PER_COMMIT)
                    .then(|| self.urgent.try_recv().or_else(|_| self.bulk.try_recv()).ok())
                    .flatten();
            }
            if !jobs.is_empty() {
                self.commit(jobs).await;
            }
            if let Some(reply) = closing {
                return self.close(Some(reply)).await;
            }
            if self.context.fold.swap(false, Ordering::Relaxed) {
                self.fold().await;
            }
            self.scrub().await;
            // Under load nobody is idle, and the commits of others are news all the same.
            if self.looked.elapsed() >= FOREIGN_POLL {
                self.look_for_foreign_commits().await;
            }
        }
        // The last handle is gone.
        self.close(None).await;
    }

    /// Folds the WAL back and closes the connection; the last connection of all leaves one file on the disk.
    async fn close(self, reply: Option<oneshot::Sender<()>>) {
        let Self { mut db, foreign, worker, .. } = self;
        if worker {
            // Another process that reads just now keeps its part of the log; it is not worth waiting for.
            let _ = sqlx::query("pragma busy_timeout = 1000").execute(&mut db).await;
            if let Err(error) = sqlx::query("pragma wal_checkpoint(truncate)").execute(&mut db).await {
                tracing::warn!(%error, "the WAL could not be folded back; the next start does it");
            }
        }
        let _ = db.close().await;
        if let Some(reply) = reply {
            let _ = reply.send(());
        }
        // Whoever watches learns that there is nothing left to watch.
        foreign.notify_one();
    }

    /// Nobody writes meanwhile, so every frame gets into the database, and the next commit begins the WAL anew (unless
    /// a reader still looks at it).
    async fn fold(&mut self) {
        if let Err(error) = sqlx::query("pragma wal_checkpoint(passive)").execute(&mut self.db).await {
            tracing::warn!(%error, "the WAL could not be folded back; trying again");
        }
    }

    /// Rewrites a small file and empties the WAL; where a reader or the checkpointer holds it, at one of the next looks.
    async fn scrub(&mut self) {
        if !self.context.scrub.swap(false, Ordering::Relaxed) {
            return;
        }
        // Nobody's commit waits for a reader.
        let _ = sqlx::query("pragma busy_timeout = 0").execute(&mut self.db).await;
        if !self.rewritten().await.unwrap_or(false) {
            self.context.scrub.store(true, Ordering::Relaxed);
        }
        let _ = sqlx::query("pragma busy_timeout = 10000").execute(&mut self.db).await;
    }

    /// `secure_delete` overwrites deleted rows, not the copies that stay behind in a page when SQLite moves rows to another
    /// one: those go only with the file's rewriting. In a large file that would stop everybody for too long.
    async fn rewritten(&mut self) -> Result<bool, sqlx::Error> {
        let db = &mut self.db;
        let pages: i64 = sqlx::query_scalar("pragma page_count").fetch_one(&mut *db).await?;
        if pages <= SMALL {
            sqlx::query("vacuum").execute(&mut *db).await?;
        }
        let busy: i64 = sqlx::query_scalar("pragma wal_checkpoint(truncate)").fetch_one(db).await?;
        Ok(busy == 0)
    }

    async fn next(&mut self) -> Option<Job> {
        loop {
            tokio::select! {
                biased;
                job = self.urgent.recv() => return job,
                Some(job) = self.bulk.recv() => return Some(job),
                () = tokio::time::sleep(FOREIGN_POLL) => {
                    self.look_for_foreign_commits().await;
                    self.scrub().await;
                }
            }
        }
    }

    /// `data_version` changes on this connection only when another one committed.
    async fn look_for_foreign_commits(&mut self) {
        self.looked = Instant::now();
        if let Ok(version) = sqlx::query_scalar::<_, i64>("pragma data_version").fetch_one(&mut self.db).await
            && version != self.seen
        {
            self.seen = version;
            // Another process may have synced the templates.
            self.context.templates.forget();
            // With a permit: a watcher that is busy at this moment must not miss it.
            self.foreign.notify_one();
        }
    }

    async fn commit(&mut self, jobs: Vec<Job>) {
        let mut finish = Vec::with_capacity(jobs.len());
        let failed = match self.transaction(jobs, &mut finish).await {
            Ok(()) => None,
            Err(error) => {
                tracing::error!(%error, "a group commit failed");
                let _ = sqlx::query("rollback").execute(&mut self.db).await;
                self.context.forget();
                Some(error)
            }
        };
        for answer in finish {
            answer(failed.clone());
        }
    }

    async fn transaction(&mut self, jobs: Vec<Job>, finish: &mut Vec<Finish>) -> Result<(), StoreError> {
        let (mut appends, mut enqueues, mut arms) = (Vec::new(), Vec::new(), Vec::new());
        let (mut settles, mut applies, mut colds) = (Vec::new(), Vec::new(), Vec::new());
        for job in jobs {
            match job {
                Job::Append(call) => appends.push(call),
                Job::Enqueue(call) => enqueues.push(call),
                Job::Arm(call) => arms.push(call),
                Job::Settle(call) => settles.push(call),
                Job::Apply(call) => applies.push(call),
                Job::Cold(work) => colds.push(work),
                // It ends the batch that it stands in, and is no part of it.
                Job::Close(_) => {}
            }
        }
        let (db, context) = (&mut self.db, &*self.context);
        let started = Instant::now();
        sqlx::query("begin immediate").execute(&mut *db).await?;
        let begun = started.elapsed();
        // Whatever comes first has nothing before it that could be lost with it.
        let mut first = true;
        measured(Kind::Append, db, appends, context, finish, &mut first).await?;
        measured(Kind::Settle, db, settles, context, finish, &mut first).await?;
        measured(Kind::Apply, db, applies, context, finish, &mut first).await?;
        measured(Kind::Enqueue, db, enqueues, context, finish, &mut first).await?;
        measured(Kind::Arm, db, arms, context, finish, &mut first).await?;
        if !colds.is_empty() {
            let (started, rows) = (Instant::now(), colds.len());
            for work in colds {
                finish.push(work(db, context).await);
            }
            context.work.add(Kind::Cold, rows, started.elapsed());
        }
        let started = Instant::now();
        #[cfg(feature = "testing")]
        match context.delay.load(Ordering::Relaxed) {
            0 => {}
            // The runtime's own timer is too coarse for this.
            micros => {
                let nap = move || std::thread::sleep(Duration::from_micros(micros));
                let _ = tokio::task::spawn_blocking(nap).await;
            }
        }
        sqlx::query("commit").execute(db).await?;
        context.work.add(Kind::Commit, 1, begun + started.elapsed());
        Ok(())
    }
}

async fn measured<B: Batch + 'static>(
    kind: Kind,
    db: &mut SqliteConnection,
    calls: Vec<Call<B>>,
    context: &Context,
    finish: &mut Vec<Finish>,
    first: &mut bool,
) -> Result<(), StoreError> {
    if calls.is_empty() {
        return Ok(());
    }
    let (started, rows) = (Instant::now(), calls.iter().map(|call| call.items.len()).sum());
    let done = run_calls(db, calls, context, finish, std::mem::take(first)).await;
    context.work.add(kind, rows, started.elapsed());
    done
}
