//! Whether the database can be worked with at this moment: read, and written to. Asked by `/readyz` and by the diagnosis.
//!
//! Only a write that became durable tells: a full disk, a server that has become a standby, a standby that has to confirm
//! and does not, a file that somebody else has locked all answer readings well. So one row of its own is written, once a
//! second at most however often it is asked.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Store;
use crate::db::{self, Readers};
use crate::error::StoreError;
use crate::store::migrations;

/// An answer is good for so long.
const FRESH: Duration = Duration::from_secs(1);
/// How long reading and writing may take together.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long is asked for the reason, where PostgreSQL's pool only says that there is no connection.
const REASON: Duration = Duration::from_secs(1);

const PROBE: &str = "
insert into duty (name, holder, until) values ('probe', '', $1) on conflict (name) do update set until = excluded.until";
const MIGRATED: &str = "select count(*) from _sqlx_migrations where success";

/// Why the database cannot be worked with. The texts hold what the database said, and no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// It does not answer.
    #[error("the database is away: {0}")]
    Away(String),
    /// It answers, and takes no writes: a standby, a read-only server or file.
    #[error("the database takes no writes (read-only, or a standby in recovery): {0}")]
    ReadOnly(String),
    /// The disk has no room.
    #[error("the disk of the database is full: {0}")]
    NoSpace(String),
    /// It did not become durable in time: a lock, a standby that does not confirm, a disk that hangs.
    #[error("a write did not become durable within {} seconds: another process holds the database, a standby does not confirm, or the disk hangs", PATIENCE.as_secs())]
    Slow,
    /// This process writes no more: it has to be started anew.
    #[error("the writer of this process has ended")]
    WriterGone,
    /// It is older than this program: it was restored or replaced under it.
    #[error("{0} migrations have not run in the database")]
    Pending(usize),
    /// Another reason.
    #[error("the database cannot be written: {0}")]
    Failing(String),
}

impl NotReady {
    /// The reason in one word, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Away(_) => "database_away",
            Self::ReadOnly(_) => "database_read_only",
            Self::NoSpace(_) => "disk_full",
            Self::Slow => "database_slow",
            Self::WriterGone => "writer_gone",
            Self::Pending(_) => "migrations_pending",
            Self::Failing(_) => "database_failing",
        }
    }
}

/// The last answer, and when it was given.
#[derive(Debug, Default)]
pub(crate) struct Probed(Mutex<Option<(Instant, Result<(), NotReady>)>>);

impl Store {
    /// Whether the database can be read and written.
    ///
    /// # Errors
    /// [`NotReady`], with the reason.
    pub async fn ready(&self) -> Result<(), NotReady> {
        // Whoever asks meanwhile waits for the answer under way.
        let mut probed = self.probed.0.lock().await;
        if let Some((at, answer)) = &*probed
            && at.elapsed() < FRESH
        {
            return answer.clone();
        }
        let answer = match tokio::time::timeout(PATIENCE, self.probe()).await {
            Ok(answer) => answer,
            Err(_) => Err(NotReady::Slow),
        };
        let answer = match answer {
            Err(NotReady::Away(_) | NotReady::Slow) => Err(self.reason(answer).await),
            answer => answer,
        };
        *probed = Some((Instant::now(), answer.clone()));
        answer
    }

    async fn probe(&self) -> Result<(), NotReady> {
        let migrated: i64 = db::query_scalar(MIGRATED)
            .fetch_one(&self.readers)
            .await
            .map_err(|error| told(&StoreError::from(error)))?;
        let missing = migrations().saturating_sub(usize::try_from(migrated).unwrap_or(0));
        if missing > 0 {
            return Err(NotReady::Pending(missing));
        }
        let now = self.clock.now();
        let written = self.writer.probe(move |db, _| {
            Box::pin(async move {
                db::query(PROBE).bind(now).execute(db).await?;
                Ok(())
            })
        });
        written.await.map_err(|error| told(&error))
    }

    /// A pool that has no connection only says so: a connection of its own says why.
    async fn reason(&self, answer: Result<(), NotReady>) -> NotReady {
        let fallback = answer.err().unwrap_or(NotReady::Slow);
        let Readers::Postgres(pool) = &self.readers else { return fallback };
        let options = pool.connect_options();
        let ask = async {
            use sqlx::{ConnectOptions, Connection};
            let mut db = options.connect().await?;
            let standby: bool = sqlx::query_scalar("select pg_is_in_recovery()").fetch_one(&mut db).await?;
            let _ = db.close().await;
            Ok::<bool, sqlx::Error>(standby)
        };
        match tokio::time::timeout(REASON, ask).await {
            Ok(Ok(true)) => NotReady::ReadOnly("the server is a standby".to_owned()),
            Ok(Ok(false)) | Err(_) => fallback,
            Ok(Err(error)) => told(&error.into()),
        }
    }
}

/// What an error says of the whole database.
fn told(error: &StoreError) -> NotReady {
    let StoreError::Unavailable(error) = error else { return NotReady::Failing(error.to_string()) };
    match &**error {
        sqlx::Error::WorkerCrashed => NotReady::WriterGone,
        sqlx::Error::Database(said) => {
            let (code, message) = (said.code().unwrap_or_default(), said.message().to_owned());
            if said.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
                return match &*code {
                    "25006" => NotReady::ReadOnly(message),
                    "53100" => NotReady::NoSpace(message),
                    "53300" => NotReady::Away(message),
                    code if code.starts_with("57P") || code.starts_with("08") => NotReady::Away(message),
                    _ => NotReady::Failing(message),
                };
            }
            // SQLite's extended codes carry the plain one in their low byte.
            match code.parse::<u32>().map(|code| code & 0xff) {
                Ok(8) => NotReady::ReadOnly(message),
                Ok(13) => NotReady::NoSpace(message),
                Ok(5 | 6) => NotReady::Slow,
                Ok(14) => NotReady::Away(message),
                _ => NotReady::Failing(message),
            }
        }
        other => NotReady::Away(other.to_string()),
    }
}
