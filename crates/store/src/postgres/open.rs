//! Connecting: how each session is set up, what the server must be, migrations.

use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgPool};

use crate::error::OpenError;
use crate::{OpenOptions, Role};

/// How long a caller waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(3);
/// The oldest server that everything was tried on.
const OLDEST: u32 = 140_000;
/// How long opening waits for a server that is starting, or being replaced.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(500);

/// Every join leads from a batch to a primary key, so nested loops over indexes are always right; before a table's first
/// ANALYZE the planner thinks otherwise. Plans are made per execution: one that was kept from when a table was nearly
/// empty walks its whole index for each batch, and kept plans measured no faster. Compiling plans costs more than it saves.
/// A client that stops inside a transaction is cut off within half a lane's lease.
const SESSION: [(&str, &str); 8] = [
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("plan_cache_mode", "force_custom_plan"),
    ("jit", "off"),
    ("synchronous_commit", "on"),
    ("tcp_user_timeout", "10s"),
    ("timezone", "UTC"),
];

/// `ignore_missing`: a node of the version before must start beside one that has migrated already.
pub(crate) static MIGRATIONS: Migrator = {
    let mut migrator = sqlx::migrate!("migrations/postgres");
    migrator.ignore_missing = true;
    migrator
};

pub(crate) fn options(url: &str, lease: Duration) -> Result<PgConnectOptions, OpenError> {
    let options: PgConnectOptions = url.parse()?;
    let idle = (lease / 2).as_millis().to_string();
    Ok(options
        .options(SESSION)
        .options([("idle_in_transaction_session_timeout", idle)])
        .application_name("hongyan")
        .statement_cache_capacity(512)
        .log_statements(tracing::log::LevelFilter::Trace)
        .log_slow_statements(tracing::log::LevelFilter::Warn, Duration::from_secs(2)))
}

/// Migrates the database and gives a pool of connections to it.
pub(crate) async fn connect(asked: &OpenOptions) -> Result<PgPool, OpenError> {
    let options = options(&asked.url, asked.lease)?;
    // Whoever serves waits for a server that is starting; whoever asks wants to be told.
    let patience = if asked.role == Role::Worker { PATIENCE } else { Duration::ZERO };
    let mut db = patiently(&options, patience).await?;
    check_version(&mut db).await?;
    MIGRATIONS.run(&mut db).await?;
    let _ = db.close().await;
    Ok(PgPoolOptions::new()
        .max_connections(asked.connections)
        .acquire_timeout(ACQUIRE)
        // A ping per call costs as much as a small statement; a dead connection shows itself by its error.
        .test_before_acquire(false)
        .idle_timeout(Duration::from_secs(600))
        // A standby answers too, and only then says that it does not write.
        .after_connect(|db, _| {
            Box::pin(async move {
                let standby: bool = sqlx::query_scalar("select pg_is_in_recovery()").fetch_one(db).await?;
                if standby {
                    let why = std::io::Error::other("the server is a standby (in recovery)");
                    return Err(sqlx::Error::Io(why));
                }
                Ok(())
            })
        })
        .connect_with(options)
        .await?)
}

/// The migrations that have not run.
pub(crate) async fn pending_migrations(url: &str) -> Result<Vec<String>, OpenError> {
    let mut db = options(url, OpenOptions::LEASE)?.connect().await?;
    // Without the table none has run.
    let done: Vec<i64> = sqlx::query_scalar("select version from _sqlx_migrations")
        .fetch_all(&mut db)
        .await
        .unwrap_or_default();
    let _ = db.close().await;
    Ok(MIGRATIONS
        .iter()
        .filter(|step| !done.contains(&step.version))
        .map(|step| format!("{:04} {}", step.version, step.description))
        .collect())
}

async fn patiently(options: &PgConnectOptions, patience: Duration) -> Result<PgConnection, OpenError> {
    let started = std::time::Instant::now();
    loop {
        match options.connect().await {
            Ok(db) => return Ok(db),
            Err(error) if super::fault::is_transient(&error) && started.elapsed() < patience => {
                tracing::warn!(%error, "PostgreSQL does not answer yet");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn check_version(db: &mut PgConnection) -> Result<(), OpenError> {
    let version: String =
        sqlx::query_scalar("select current_setting('server_version_num')").fetch_one(db).await?;
    match version.parse::<u32>() {
        Ok(number) if number < OLDEST => Err(OpenError::OldPostgres(number / 10_000)),
        _ => Ok(()),
    }
}
