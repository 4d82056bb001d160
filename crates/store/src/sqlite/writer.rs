//! The one writer of an SQLite file: a commit costs one sync however many callers share it; urgent work goes before bulk;
//! the task is never cancelled in the middle of a transaction, since it belongs to nobody's request.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::batch::run_calls;
use crate::db::{self, Db};
use crate::error::StoreError;
use crate::writing::work::Kind;
use crate::writing::{Batch, Call, Cold, Context, Finish, Hand, Job, Urgency, Writer, stopped};

/// Rows that one commit takes at most: keeps a writer's transaction near 20 ms.
const ROWS_PER_COMMIT: usize = 2_048;
const QUEUE: usize = 4_096;
/// Pages of 4 KiB up to which a file is rewritten when somebody was erased: 128 MiB, which takes about a second.
const SMALL: i64 = 32_768;
/// How often an idle writer looks whether another process wrote.
const FOREIGN_POLL: Duration = Duration::from_millis(100);

/// Where jobs are handed in.
#[derive(Clone)]
pub(crate) struct Queues {
    urgent: mpsc::Sender<Job>,
    bulk: mpsc::Sender<Job>,
}

/// Starts the task; it ends when the last handle is dropped.
///
/// `seen` is the connection's `data_version` at opening.
pub(crate) fn start(db: Db, context: Arc<Context>, seen: i64, worker: bool) -> Writer {
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
    Writer { hand: Hand::Sqlite(Queues { urgent, bulk }), foreign, context }
}

impl Queues {
    pub(crate) async fn rare<T, F>(&self, work: F, urgency: Urgency) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Db, &'c Context) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
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

    /// Ends the task once everything handed in before is kept, folds the WAL back and closes the connection.
    pub(crate) async fn close(&self) {
        let (reply, done) = oneshot::channel();
        if self.submit(Job::Close(reply), Urgency::Urgent).await.is_ok() {
            let _ = done.await;
        }
    }

    pub(crate) async fn submit(&self, job: Job, urgency: Urgency) -> Result<(), StoreError> {
        let queue = match urgency {
            Urgency::Urgent => &self.urgent,
            Urgency::Bulk => &self.bulk,
        };
        queue.send(job).await.map_err(|_| stopped())
    }
}

async fn savepoint<T, F>(db: &mut Db, context: &Context, work: F) -> Result<T, StoreError>
where
    F: for<'c> FnOnce(&'c mut Db, &'c Context) -> BoxFuture<'c, Result<T, StoreError>>,
{
    db::query("savepoint cold").execute(&mut *db).await?;
    let outcome = work(db, context).await;
    if outcome.is_err() {
        context.forget();
        db::query("rollback to cold").execute(&mut *db).await?;
    }
    db::query("release cold").execute(&mut *db).await?;
    outcome
}

struct Task {
    db: Db,
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
            let _ = db::query("pragma busy_timeout = 1000").execute(&mut db).await;
            if let Err(error) = db::query("pragma wal_checkpoint(truncate)").execute(&mut db).await {
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
        if let Err(error) = db::query("pragma wal_checkpoint(passive)").execute(&mut self.db).await {
            tracing::warn!(%error, "the WAL could not be folded back; trying again");
        }
    }

    /// Rewrites a small file and empties the WAL; where a reader or the checkpointer holds it, at one of the next looks.
    async fn scrub(&mut self) {
        if !self.context.scrub.swap(false, Ordering::Relaxed) {
            return;
        }
        // Nobody's commit waits for a reader.
        let _ = db::query("pragma busy_timeout = 0").execute(&mut self.db).await;
        if !self.rewritten().await.unwrap_or(false) {
            self.context.scrub.store(true, Ordering::Relaxed);
        }
        let _ = db::query("pragma busy_timeout = 10000").execute(&mut self.db).await;
    }

    /// `secure_delete` overwrites deleted rows, not the copies that stay behind in a page when SQLite moves rows to another
    /// one: those go only with the file's rewriting. In a large file that would stop everybody for too long.
    async fn rewritten(&mut self) -> Result<bool, sqlx::Error> {
        let db = &mut self.db;
        let pages: i64 = db::query_scalar("pragma page_count").fetch_one(&mut *db).await?;
        if pages <= SMALL {
            db::query("vacuum").execute(&mut *db).await?;
        }
        let busy: i64 = db::query_scalar("pragma wal_checkpoint(truncate)").fetch_one(db).await?;
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
        if let Ok(version) = db::query_scalar::<i64>("pragma data_version").fetch_one(&mut self.db).await
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
                let _ = db::query("rollback").execute(&mut self.db).await;
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
        db::query("begin immediate").execute(&mut *db).await?;
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
        db::query("commit").execute(db).await?;
        context.work.add(Kind::Commit, 1, begun + started.elapsed());
        Ok(())
    }
}

async fn measured<B: Batch + 'static>(
    kind: Kind,
    db: &mut Db,
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
