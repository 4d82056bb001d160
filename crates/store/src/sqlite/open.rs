//! Opening an SQLite database the one way it is opened: WAL with full sync, one writer, a pool that only reads,
//! a lock file that keeps a second worker out.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection, SqlitePool};

use crate::error::OpenError;

/// Earlier ones can corrupt a WAL that two connections use (SQLite's release notes of 3.51.3).
const OLDEST: (u32, u32, u32) = (3, 51, 3);
const READERS: u32 = 6;
/// Other commands write beside a running server: each waits this long for the file.
const BUSY: Duration = Duration::from_secs(10);

/// Between two looks at what another process holds for a moment.
const AGAIN: Duration = Duration::from_millis(100);

pub(crate) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// The newest migration that this program knows.
pub(crate) fn last_migration() -> i64 {
    MIGRATIONS.iter().map(|step| step.version).max().unwrap_or(0)
}

/// The connections of one opened file.
pub(crate) struct Opened {
    pub(crate) writer: SqliteConnection,
    pub(crate) readers: SqlitePool,
    /// Of the worker only: the connection that folds the WAL back.
    pub(crate) checkpointer: Option<SqliteConnection>,
    /// Held for as long as this process is the file's worker.
    pub(crate) lock: Option<File>,
}

/// Whether a migration is waiting, without touching the file.
pub(crate) async fn pending_migrations(path: &Path) -> Result<Vec<String>, OpenError> {
    let done: Vec<i64> = if path.exists() {
        // As it is, whatever its journal mode: a restored copy is not in WAL mode yet.
        let mut db = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(BUSY)
            .log_statements(tracing::log::LevelFilter::Trace)
            .connect()
            .await?;
        // Without the table none has run.
        sqlx::query_scalar("select version from _sqlx_migrations")
            .fetch_all(&mut db)
            .await
            .unwrap_or_default()
    } else {
        Vec::new()
    };
    Ok(MIGRATIONS
        .iter()
        .filter(|step| !done.contains(&step.version))
        .map(|step| format!("{:04} {}", step.version, step.description))
        .collect())
}

pub(crate) async fn open(path: &Path, worker: bool) -> Result<Opened, OpenError> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        crate::private::make_directory(directory).map_err(|source| file_error(directory, source))?;
    }
    let lock = if worker { Some(lock_patiently(path).await?) } else { None };
    one_name(path)?;
    let existed = path.exists();
    let mut writer = options(path).create_if_missing(true).connect().await?;
    check_version(&mut writer).await?;
    if existed && !pending_migrations(path).await?.is_empty() {
        back_up(&mut writer, path).await?;
    }
    migrate(&mut writer).await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(options(path).read_only(true).pragma("cache_size", READERS_CACHE));
    let checkpointer =
        if worker { Some(options(path).pragma("cache_size", READERS_CACHE).connect().await?) } else { None };
    Ok(Opened { writer, readers, checkpointer, lock })
}

/// The writer's pages in memory, 64 MiB, in SQLite's way of saying it.
const CACHE: &str = "-49152";
/// A reader's, 8 MiB: there are several, and behind them is the system's cache of the file.
const READERS_CACHE: &str = "-4096";

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .page_size(4096)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .pragma("journal_size_limit", "67108864")
        // The checkpointer's work; nobody's commit should wait for it.
        .pragma("wal_autocheckpoint", "0")
        // What is deleted is overwritten where that costs no further page; see `writer` for the rest (I17).
        .pragma("secure_delete", "fast")
        .pragma("cache_size", CACHE)
        .pragma("temp_store", "memory")
        .statement_cache_capacity(256)
        .log_statements(tracing::log::LevelFilter::Trace)
        .log_slow_statements(tracing::log::LevelFilter::Warn, Duration::from_secs(1))
}

/// Runs what is pending. Where another process does the same at this moment, its steps are seen the second time.
async fn migrate(db: &mut SqliteConnection) -> Result<(), OpenError> {
    for _ in 0..3 {
        if MIGRATIONS.run(&mut *db).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(AGAIN).await;
    }
    Ok(MIGRATIONS.run(db).await?)
}

/// A file with two names would have two logs, each of which knows nothing of the other (sqlite.org, "How To Corrupt"),
/// and two workers.
fn one_name(path: &Path) -> Result<(), OpenError> {
    #[cfg(unix)]
    if std::fs::metadata(path).is_ok_and(|file| std::os::unix::fs::MetadataExt::nlink(&file) > 1) {
        return Err(OpenError::HardLinked(path.display().to_string()));
    }
    Ok(())
}

/// Where a file really is, whatever links and relative paths lead there, also if it does not exist yet.
fn real(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // A link that leads nowhere yet: SQLite makes the file at its end. Longer chains are loops.
    for _ in 0..40 {
        if let Ok(real) = path.canonicalize() {
            return real;
        }
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let directory = directory.canonicalize().unwrap_or(directory);
        match path.read_link() {
            Ok(target) => path = directory.join(target),
            Err(_) => return path.file_name().map_or(path.clone(), |name| directory.join(name)),
        }
    }
    path
}

/// The path of the file that a worker holds a lock on.
fn lock_path(path: &Path) -> PathBuf {
    let mut name = real(path).into_os_string();
    name.push(".lock");
    PathBuf::from(name)
}

/// Whether a worker is serving the file right now.
pub(crate) fn is_served(path: &Path) -> bool {
    matches!(lock(path), Err(OpenError::InUse(_)))
}

/// A command that only asks whether a worker is there holds the lock for a moment: that is not one.
pub(crate) async fn lock_patiently(path: &Path) -> Result<File, OpenError> {
    for _ in 0..4 {
        match lock(path) {
            Err(OpenError::InUse(_)) => tokio::time::sleep(AGAIN).await,
            done => return done,
        }
    }
    lock(path)
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let lock_path = lock_path(path);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(|source| file_error(&lock_path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.display().to_string())),
        Err(TryLockError::Error(source)) => Err(file_error(&lock_path, source)),
    }
}

async fn check_version(db: &mut SqliteConnection) -> Result<(), OpenError> {
    let version: String = sqlx::query_scalar("select sqlite_version()").fetch_one(db).await?;
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let mut part = || parts.next().unwrap_or(0);
    if (part(), part(), part()) < OLDEST { Err(OpenError::OldSqlite(version)) } else { Ok(()) }
}

/// A file is copied before it is migrated, beside itself.
async fn back_up(db: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let tables: i64 = sqlx::query_scalar("select count(*) from sqlite_schema").fetch_one(&mut *db).await?;
    if tables == 0 {
        // Left by a start that ended before its first migration.
        return Ok(());
    }
    let version: i64 = sqlx::query_scalar("select coalesce(max(version), 0) from _sqlx_migrations")
        .fetch_one(&mut *db)
        .await
        .unwrap_or(0);
    let copy = path.with_extension(format!("before-{:04}.db", version + 1));
    if !copy.exists() {
        sqlx::query("vacuum into $1").bind(copy.display().to_string()).execute(db).await?;
    }
    Ok(())
}

fn file_error(path: &Path, source: std::io::Error) -> OpenError {
    OpenError::File { path: path.display().to_string(), source }
}
