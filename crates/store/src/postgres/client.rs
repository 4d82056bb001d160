//! The handle to a PostgreSQL: the pool of hot sessions, and the order of the calls that touch one lane.

use std::sync::Arc;
use std::time::Duration;

use domain::lane::MAX_LANES;
use domain::{Lane, LedgerIds, Millis};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgPool, Postgres, Row};
use tokio::sync::{Mutex, MutexGuard};

use super::fence::Fence;
use super::templates::TemplateNumbers;
use crate::error::{OpenError, StoreError};

const CONNECTIONS: u32 = 8;
/// Below these bits a ledger number is its time in milliseconds (`domain::LedgerIds`).
const LEDGER_COUNTER_BITS: u32 = 20;

/// Every join of a hot statement leads from a batch to a primary key, so nested loops over indexes are always
/// right; before a table's first ANALYZE the planner thinks otherwise. Plans are made per execution: one that was
/// kept from when a table was nearly empty walks its whole index for each batch, and kept plans measured no faster.
/// The time-out is half a lane's lease.
pub(crate) const SESSION: [(&str, &str); 6] = [
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("plan_cache_mode", "force_custom_plan"),
    ("synchronous_commit", "on"),
    ("idle_in_transaction_session_timeout", "6s"),
];

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

const TAKE: &str = "
insert into lane (id, owner, epoch, lease_until)
select id, $2, 1, $3 from unnest($1::smallint[]) id order by id
on conflict (id) do update set owner = excluded.owner, epoch = lane.epoch + 1, lease_until = excluded.lease_until
returning id, epoch";
const NEWEST_ENTRIES: &str = "
select max(newest) from (select (select max(id) from ledger where lane = l.id) newest from unnest($1::smallint[]) l (id)) n";

/// A handle to the hot statements of one PostgreSQL; cloning is cheap.
#[derive(Clone)]
pub struct PgHot {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pool: PgPool,
    pub(super) owner: String,
    pub(super) ids: LedgerIds,
    pub(super) templates: TemplateNumbers,
    lanes: Vec<Mutex<()>>,
}

impl std::fmt::Debug for PgHot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgHot").field("owner", &self.inner.owner).finish_non_exhaustive()
    }
}

impl PgHot {
    /// Connects as `owner` (a name that is random per start) and migrates the database.
    ///
    /// # Errors
    /// Where it cannot be reached or migrated.
    pub async fn connect(url: &str, owner: String) -> Result<Self, OpenError> {
        let options: PgConnectOptions = url.parse()?;
        MIGRATIONS.run(&mut options.connect().await?).await?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(Duration::from_secs(5))
            // A ping per call costs as much as a small statement; a dead connection shows itself as `Unavailable`.
            .test_before_acquire(false)
            // sqlx 0.9.0 leaves the transaction of a cancelled `begin` open.
            .after_release(|connection, _| {
                Box::pin(async move { sqlx::query("rollback").execute(connection).await.map(|_| true) })
            })
            .connect_with(options.options(SESSION))
            .await?;
        let inner = Inner {
            pool,
            owner,
            ids: LedgerIds::default(),
            templates: TemplateNumbers::default(),
            lanes: (0..MAX_LANES).map(|_| Mutex::default()).collect(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Takes lanes over and gives their epochs in the same order; every epoch rises, so what an earlier owner does
    /// afterwards is fenced off.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn take_lanes(&self, lanes: &[Lane], lease_until: Millis) -> Result<Vec<i64>, StoreError> {
        let numbers: Vec<i16> = lanes.iter().map(|lane| super::lane(lane.0)).collect();
        let mut db = self.inner.acquire().await?;
        let taken = sqlx::query(TAKE)
            .bind(&numbers)
            .bind(&self.inner.owner)
            .bind(lease_until)
            .fetch_all(&mut *db)
            .await?;
        let newest: Option<i64> =
            sqlx::query_scalar(NEWEST_ENTRIES).bind(&numbers).fetch_one(&mut *db).await?;
        // A number of the millisecond after the newest one lifts the maker above all that are stored.
        self.inner.ids.next((newest.unwrap_or(0) >> LEDGER_COUNTER_BITS) + 1);
        let mut epochs = vec![0; lanes.len()];
        for row in taken {
            let id: i16 = row.try_get(0)?;
            for (number, epoch) in numbers.iter().zip(&mut epochs) {
                if *number == id {
                    *epoch = row.try_get(1)?;
                }
            }
        }
        Ok(epochs)
    }

    /// Runs a write in a task of its own: a caller that goes away must not stop it half-way.
    pub(super) async fn detached<T, F>(
        &self,
        work: impl FnOnce(Arc<Inner>) -> F + Send,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let task = tokio::spawn(work(Arc::clone(&self.inner)));
        task.await.map_err(|_| StoreError::from(sqlx::Error::WorkerCrashed))?
    }
}

impl Inner {
    pub(super) async fn acquire(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        Ok(self.pool.acquire().await?)
    }

    /// Holds the lanes of a batch against other calls of this process, in order: accounts are read before they are
    /// written, and nobody may write them in between.
    pub(super) async fn hold(&self, fence: &Fence) -> Vec<MutexGuard<'_, ()>> {
        let mut held = Vec::new();
        for lane in fence.lanes() {
            if let Some(lane) = usize::try_from(lane).ok().and_then(|lane| self.lanes.get(lane)) {
                held.push(lane.lock().await);
            }
        }
        held
    }
}
