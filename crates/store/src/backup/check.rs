//! Whether a file is a whole database of ours: SQLite's own checks, the version, and the accounts (I8, I9), read as they are
//! stored.

use std::path::Path;

use domain::Millis;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::{BACKUP_AT, BackupError, number, raw, shown, with};
use crate::sqlite::open;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holds {
    /// Bytes of the file.
    pub bytes: u64,
    /// From when it is; none where it is a plain copy of a file.
    pub backup_at: Option<Millis>,
    /// The last migration that ran on it.
    pub version: i64,
    /// The id of the master key that its secrets are sealed with.
    pub master_key: String,
    /// Rows by table, of what a person would name.
    pub rows: Vec<(&'static str, i64)>,
    /// Balances whose entries were added up.
    pub accounts: i64,
    /// Messages that are not over: scheduled, queued, being sent, unknown.
    pub open: i64,
}

const COUNTED: [(&str, &str); 7] = [
    ("apps", "select count(*) from app"),
    ("subscribers", "select count(*) from subscriber"),
    ("subscriptions", "select count(*) from subscription"),
    ("ledger_entries", "select count(*) from ledger"),
    ("messages", "select count(*) from message"),
    ("campaigns", "select count(*) from campaign"),
    ("callbacks", "select count(*) from inbox"),
];
/// I8: every balance is the sum of its entries, and none is negative.
const BALANCES: &str = "
select count(*) from subscription s
left join (select lane, template, openid, sum(delta) as d from ledger group by lane, template, openid) l
    on l.lane = s.lane and l.template = s.template and l.openid = s.openid
where s.balance <> coalesce(l.d, 0) or s.balance < 0";
/// I8: the newest entry says the balance too.
const HEADS: &str = "
select count(*) from subscription s join ledger l on l.id = s.last_entry where l.balance <> s.balance";
/// I9.
const CAMPAIGNS: &str = "
select count(*) from campaign_lane where recipients <> todo + scheduled + queued + sending + accepted + delivered + undelivered
    + refused + failed + unknown + expired + cancelled + skipped";
/// A message without its state, or the other way round.
const HALVES: &str = "
select (select count(*) from message where id not in (select id from message_state))
    + (select count(*) from message_state where id not in (select id from message))";

/// Checks a file that nobody writes to; gives what it holds.
///
/// # Errors
/// See [`BackupError`].
pub async fn check(file: &Path) -> Result<Holds, BackupError> {
    if !file.exists() {
        return Err(BackupError::Missing(shown(file)));
    }
    if std::fs::metadata(with(file, "-wal")).is_ok_and(|log| log.len() > 0) {
        return Err(BackupError::Live(shown(file)));
    }
    // Nobody writes to it: nothing is locked, and nothing made beside it.
    let mut db = raw(file).read_only(true).immutable(true).connect().await?;
    let held = look(&mut db, file).await;
    let _ = db.close().await;
    match held {
        // A page that cannot be read is damage, not a busy database.
        Err(BackupError::Sqlite(error)) => {
            Err(BackupError::Damaged { file: shown(file), found: error.to_string() })
        }
        held => held,
    }
}

async fn look(db: &mut SqliteConnection, file: &Path) -> Result<Holds, BackupError> {
    let version = version(db, file).await?;
    let damaged = |found: String| BackupError::Damaged { file: shown(file), found };
    let said: Vec<String> = sqlx::query_scalar("pragma integrity_check(5)").fetch_all(&mut *db).await?;
    if said != ["ok"] {
        return Err(damaged(said.join("; ")));
    }
    if !sqlx::query("pragma foreign_key_check").fetch_all(&mut *db).await?.is_empty() {
        return Err(damaged("foreign keys".to_owned()));
    }
    for (what, sql) in [
        ("balances that are not the sum of their entries", BALANCES),
        ("balances that their newest entry contradicts", HEADS),
        ("campaign accounts that do not close", CAMPAIGNS),
        ("halves of messages", HALVES),
    ] {
        let wrong = number(db, sql).await?;
        if wrong > 0 {
            return Err(damaged(format!("{wrong} {what}")));
        }
    }
    let mut rows = Vec::with_capacity(COUNTED.len());
    for (what, sql) in COUNTED {
        rows.push((what, number(db, sql).await?));
    }
    let meta = async |db: &mut SqliteConnection, key: &'static str| {
        let query = sqlx::query_scalar::<_, String>("select value from meta where key = $1");
        query.bind(key).fetch_optional(db).await
    };
    Ok(Holds {
        bytes: std::fs::metadata(file).map_err(|source| BackupError::file(file, source))?.len(),
        backup_at: meta(&mut *db, BACKUP_AT).await?.and_then(|at| at.parse().ok()),
        version,
        master_key: meta(&mut *db, "master_key").await?.unwrap_or_default(),
        accounts: number(db, "select count(*) from subscription").await?,
        open: number(db, "select count(*) from reserved").await?,
        rows,
    })
}

/// The last migration; refused where it is none of ours, or unknown here.
async fn version(db: &mut SqliteConnection, file: &Path) -> Result<i64, BackupError> {
    let known = open::last_migration();
    let newest: Result<Option<i64>, sqlx::Error> =
        sqlx::query_scalar("select max(version) from _sqlx_migrations").fetch_one(&mut *db).await;
    match newest {
        Ok(Some(version)) if version > known => Err(BackupError::Newer { file: shown(file), version, known }),
        Ok(Some(version)) => Ok(version),
        Ok(None) => Err(BackupError::NotOurs(shown(file), "no migrations".to_owned())),
        Err(error) => Err(BackupError::NotOurs(shown(file), error.to_string())),
    }
}
