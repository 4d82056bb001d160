//! How the database itself is: version, safety of a commit, room, replication, upkeep. Read for the diagnosis and the metrics.

use domain::Millis;
use sqlx::PgPool;

use crate::Store;
use crate::db::{self, Readers};
use crate::error::StoreError;
use crate::postgres::{NOW, partitions};

/// Bytes up to which a file is read whole to see whether it is sound: a second or two.
pub const QUICK: u64 = 128 << 20;

/// What the database says of itself.
#[derive(Debug, Clone)]
pub enum Vitals {
    /// A file.
    Sqlite(SqliteVitals),
    /// A server.
    Postgres(Box<PostgresVitals>),
}

/// An SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteVitals {
    /// The library's version.
    pub version: String,
    /// `wal`, as it should be.
    pub journal_mode: String,
    /// 2 is FULL, as it should be: what the writer's connection has.
    pub synchronous: i64,
    /// Bytes of the file.
    pub size: u64,
    /// Bytes of the log beside it.
    pub wal: u64,
    /// Bytes that the disk has left; none where the system does not say.
    pub free: Option<u64>,
    /// What `quick_check` found wrong, nothing where the file is sound; none where it was too large to be read whole.
    pub damage: Option<Vec<String>>,
}

/// A PostgreSQL server.
#[derive(Debug, Clone, Default)]
pub struct PostgresVitals {
    /// Its version.
    pub version: String,
    /// Whether it is a standby.
    pub in_recovery: bool,
    /// Whether transactions are read-only unless they say otherwise.
    pub read_only: bool,
    /// As it is in our sessions.
    pub synchronous_commit: String,
    /// Whether what is committed is on the disk.
    pub fsync: bool,
    /// Whether a torn page is mended after a crash.
    pub full_page_writes: bool,
    /// Who must confirm a commit; empty: nobody.
    pub synchronous_standby_names: String,
    /// Those that are connected.
    pub standbys: Vec<Standby>,
    /// Connections that the server takes from anybody.
    pub max_connections: i64,
    /// Those that are taken.
    pub connections: i64,
    /// Whether the server cleans up by itself.
    pub autovacuum: bool,
    /// Partitions of this stretch of time and the next that are not there.
    pub missing_partitions: Vec<String>,
    /// Default partitions that hold rows: these can be dropped by nobody.
    pub filled_defaults: Vec<String>,
    /// Tables of which more rows are dead than alive, and not few.
    pub bloated: Vec<String>,
    /// Transactions until which the database was frozen: above 2,000,000,000 it stops.
    pub frozen_age: i64,
    /// Bytes.
    pub size: i64,
    /// The server's clock.
    pub now: Millis,
}

/// A server that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standby {
    /// Its application_name.
    pub name: String,
    /// `streaming`, as it should be.
    pub state: String,
    /// `sync`, `quorum`, `potential` or `async`.
    pub sync_state: String,
    /// Bytes that it is behind; none where we may not know.
    pub behind: Option<i64>,
    /// Milliseconds that it is behind; none where nothing was written lately.
    pub lag: Option<i64>,
}

/// Connections of this process's pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// Open ones.
    pub open: u32,
    /// Those of them that nobody uses.
    pub idle: u32,
    /// The most that it opens.
    pub most: u32,
}

const SERVER: &str = "
select current_setting('server_version') as version, pg_is_in_recovery() as in_recovery,
    current_setting('default_transaction_read_only') as read_only, current_setting('synchronous_commit') as synchronous_commit,
    current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
    current_setting('synchronous_standby_names') as standby_names,
    cast(current_setting('max_connections') as bigint) - cast(current_setting('superuser_reserved_connections') as bigint) as most,
    (select cast(coalesce(sum(numbackends), 0) as bigint) from pg_stat_database) as taken,
    current_setting('autovacuum') as autovacuum, current_setting('track_counts') as track_counts,
    (select cast(age(datfrozenxid) as bigint) from pg_database where datname = current_database()) as frozen,
    pg_database_size(current_database()) as size";
const STANDBYS: &str = "
select coalesce(application_name, '') as name, coalesce(state, '') as state, coalesce(sync_state, '') as sync_state,
    cast(case when pg_is_in_recovery() then null else pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) end as bigint) as behind,
    cast(extract(epoch from replay_lag) * 1000 as bigint) as lag
from pg_stat_replication order by 1";
const BLOATED: &str = "
select cast(relname as text) as name from pg_stat_user_tables
where n_dead_tup > 200000 and n_dead_tup > n_live_tup order by n_dead_tup desc limit 5";

impl Store {
    /// What the database says of itself. A file up to [`QUICK`] is read whole to see whether it is sound; any file where `deep`.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn vitals(&self, deep: bool) -> Result<Vitals, StoreError> {
        match &self.readers {
            Readers::Sqlite(_) => self.sqlite_vitals(deep).await.map(Vitals::Sqlite),
            Readers::Postgres(pool) => {
                let read = postgres_vitals(&self.readers, pool, self.clock.now()).await?;
                Ok(Vitals::Postgres(Box::new(read)))
            }
        }
    }

    async fn sqlite_vitals(&self, deep: bool) -> Result<SqliteVitals, StoreError> {
        let (journal_mode, synchronous) = self.durability().await?;
        let version = db::query_scalar("select sqlite_version()").fetch_one(&self.readers).await?;
        let (size, wal, free) = self.room();
        let damage = if deep || size <= QUICK {
            let found: Vec<String> =
                db::query_scalar("pragma quick_check(5)").fetch_all(&self.readers).await?;
            Some(found.into_iter().filter(|line| line != "ok").collect())
        } else {
            None
        };
        Ok(SqliteVitals { version, journal_mode, synchronous, size, wal, free, damage })
    }

    /// Bytes of the file and of its log, and what the disk has left; zeroes and nothing on a server.
    pub fn room(&self) -> (u64, u64, Option<u64>) {
        if self.is_shared() {
            return (0, 0, None);
        }
        let length = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |file| file.len());
        let mut log = self.path().as_os_str().to_owned();
        log.push("-wal");
        (length(self.path()), length(log.as_ref()), fs4::available_space(self.directory()).ok())
    }

    /// Connections of this process.
    pub fn pool_use(&self) -> PoolUse {
        let of = |open: u32, idle: usize, most: u32| PoolUse {
            open,
            idle: u32::try_from(idle).unwrap_or(open).min(open),
            most,
        };
        match &self.readers {
            Readers::Sqlite(pool) => of(pool.size(), pool.num_idle(), pool.options().get_max_connections()),
            Readers::Postgres(pool) => of(pool.size(), pool.num_idle(), pool.options().get_max_connections()),
        }
    }
}

async fn postgres_vitals(
    readers: &Readers,
    pool: &PgPool,
    now: Millis,
) -> Result<PostgresVitals, StoreError> {
    let row = db::query(SERVER).fetch_one(readers).await?;
    let on = |name: &str| Ok::<_, StoreError>(row.try_get::<String>(name)? == "on");
    let (missing_partitions, filled_defaults) = partitions::state(pool, now).await?;
    let mut standbys = Vec::new();
    for row in db::query(STANDBYS).fetch_all(readers).await? {
        standbys.push(Standby {
            name: row.try_get("name")?,
            state: row.try_get("state")?,
            sync_state: row.try_get("sync_state")?,
            behind: row.try_get("behind")?,
            lag: row.try_get("lag")?,
        });
    }
    Ok(PostgresVitals {
        version: row.try_get("version")?,
        in_recovery: row.try_get("in_recovery")?,
        read_only: on("read_only")?,
        synchronous_commit: row.try_get("synchronous_commit")?,
        fsync: on("fsync")?,
        full_page_writes: on("full_page_writes")?,
        synchronous_standby_names: row.try_get("standby_names")?,
        standbys,
        max_connections: row.try_get("most")?,
        connections: row.try_get("taken")?,
        autovacuum: on("autovacuum")? && on("track_counts")?,
        missing_partitions,
        filled_defaults,
        bloated: db::query_scalar(BLOATED).fetch_all(readers).await?,
        frozen_age: row.try_get("frozen")?,
        size: row.try_get("size")?,
        now: db::query_scalar(NOW).fetch_one(readers).await?,
    })
}
