//! Writing: callers hand in rows and wait for the commit that they were part of. Behind the handle stand, on SQLite, one task
//! with the only connection that writes; on PostgreSQL, tasks for each lane and a pool of connections.

pub(crate) mod context;
pub(crate) mod work;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::BoxFuture;
use tokio::sync::{Notify, oneshot};

pub(crate) use self::context::Context;
use crate::db::Db;
use crate::error::StoreError;
use crate::hot::{append, apply, arm, enqueue, settle};
use crate::{postgres, sqlite};

/// One kind of hot write: a batch takes many callers' rows in one set-based pass.
pub(crate) trait Batch {
    /// A row of the caller's.
    type Item: Send + Sync + 'static;
    /// What the caller learns of each row, in the same order.
    type Outcome: Send + 'static;
    /// Whether only the lane's owner may do it; whoever may, may wait for it.
    const OWNED: bool;

    /// Whose lane a row belongs to.
    fn lane(item: &Self::Item) -> u16;

    /// Whether one statement writes what matters of them, and what else is written may be lost with the connection.
    fn is_one_statement(_items: &[Self::Item]) -> bool {
        false
    }

    /// Writes all `items` in one pass. On PostgreSQL all of them are of one lane, which `db` knows.
    fn run(
        db: &mut Db,
        items: &[Self::Item],
        context: &Context,
    ) -> impl Future<Output = Result<Vec<Self::Outcome>, StoreError>> + Send;

    /// The same where it was asked for a moment ago and the database was lost before it said whether that was kept. Whatever tells
    /// a row that was written from one that was not may leave this out.
    fn run_again(
        db: &mut Db,
        items: &[Self::Item],
        context: &Context,
    ) -> impl Future<Output = Result<Vec<Self::Outcome>, StoreError>> + Send {
        Self::run(db, items, context)
    }
}

/// The rows of one caller, and where the answer goes.
pub(crate) struct Call<B: Batch> {
    pub(crate) items: Vec<B::Item>,
    pub(crate) reply: oneshot::Sender<Result<Vec<B::Outcome>, StoreError>>,
}

/// Answers that may leave only after the commit.
pub(crate) type Finish = Box<dyn FnOnce(Option<StoreError>) + Send>;

pub(crate) type Cold = Box<dyn for<'c> FnOnce(&'c mut Db, &'c Context) -> BoxFuture<'c, Finish> + Send>;

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
    pub(crate) fn rows(&self) -> usize {
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

/// Who writes.
#[derive(Clone)]
pub(crate) enum Hand {
    Sqlite(sqlite::writer::Queues),
    Postgres(Arc<postgres::writer::Lanes>),
}

/// A handle to whoever writes.
#[derive(Clone)]
pub(crate) struct Writer {
    pub(crate) hand: Hand,
    /// Wakes whoever watches for the commits of other processes.
    pub(crate) foreign: Arc<Notify>,
    pub(crate) context: Arc<Context>,
}

impl Writer {
    /// Hands rows of one kind to the writer and waits for the commit.
    pub(crate) async fn call<B: Batch>(
        &self,
        wrap: fn(Call<B>) -> Job,
        items: Vec<B::Item>,
    ) -> Result<Vec<B::Outcome>, StoreError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        match &self.hand {
            Hand::Sqlite(queues) => {
                let (reply, answer) = oneshot::channel();
                queues.submit(wrap(Call { items, reply }), Urgency::Urgent).await?;
                answer.await.map_err(|_| stopped())?
            }
            Hand::Postgres(lanes) => lanes.call(wrap, items).await,
        }
    }

    /// Runs a rare write: on SQLite in a savepoint of its own inside the next commit, on PostgreSQL in a transaction.
    pub(crate) async fn cold<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Db, &'c Context) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        self.rare(work, Urgency::Urgent).await
    }

    /// The same for what may wait, and what no other node has to learn of.
    pub(crate) async fn cold_bulk<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Db, &'c Context) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        self.rare(work, Urgency::Bulk).await
    }

    /// A rare write that nobody has to learn of and somebody waits for: whether writing works at all.
    pub(crate) async fn probe<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Db, &'c Context) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        match &self.hand {
            Hand::Sqlite(queues) => queues.rare(work, Urgency::Urgent).await,
            Hand::Postgres(lanes) => lanes.rare(work, true).await,
        }
    }

    async fn rare<T, F>(&self, work: F, urgency: Urgency) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Db, &'c Context) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        match &self.hand {
            Hand::Sqlite(queues) => queues.rare(work, urgency).await,
            Hand::Postgres(lanes) => lanes.rare(work, urgency == Urgency::Bulk).await,
        }
    }

    /// Lets what was deleted vanish from the files too, as soon as no reader needs it. PostgreSQL's files are PostgreSQL's.
    pub(crate) fn scrub(&self) {
        self.context.scrub.store(true, Ordering::Relaxed);
    }

    /// Ends once everything handed in before is kept. Later writes are refused.
    pub(crate) async fn close(&self) {
        match &self.hand {
            Hand::Sqlite(queues) => queues.close().await,
            Hand::Postgres(lanes) => lanes.close().await,
        }
    }
}

pub(crate) fn stopped() -> StoreError {
    StoreError::from(sqlx::Error::WorkerCrashed)
}

/// The answers of one pass, each to its caller once the commit is known.
pub(crate) fn after_commit<T: Send + 'static>(
    reply: oneshot::Sender<Result<T, StoreError>>,
    outcome: Result<T, StoreError>,
) -> Finish {
    Box::new(move |failed| {
        // A caller that has gone away does not need its answer.
        let _ = reply.send(failed.map_or(outcome, Err));
    })
}
