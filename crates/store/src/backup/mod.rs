//! Backups of the embedded database: taken beside a running server, checked before they get their name (`check`), and put back
//! (`restore`). A shared database has PostgreSQL's own means. Used by `hongyan backup` and `hongyan restore`.

mod check;
mod error;
mod restore;

use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::Millis;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

pub use self::check::{Holds, check};
pub use self::error::BackupError;
pub use self::restore::{Restoring, restore};
use crate::sqlite::open;
use crate::store::{is_postgres, sqlite_path};

/// In a backup's `meta`: from when it is.
pub(crate) const BACKUP_AT: &str = "backup_at";
/// How long a file may be held by somebody else.
const BUSY: Duration = Duration::from_secs(10);

/// Copies the database that `url` names into `file`, whoever serves it meanwhile; gives what the copy holds.
///
/// The copy is one transaction's view (SQLite's VACUUM INTO): it holds every commit until it began, and nothing of a row that was
/// deleted before. It is written under another name, checked, brought to the disk, and then named. The master key is no part of it.
///
/// # Errors
/// See [`BackupError`]; nothing is left behind then.
pub async fn backup(url: &str, file: &Path, now: Millis, force: bool) -> Result<Holds, BackupError> {
    let source = file_of(url)?;
    if !source.exists() {
        return Err(BackupError::Missing(shown(&source)));
    }
    if same(&source, file) || open::is_served(file) {
        return Err(BackupError::Itself(shown(file)));
    }
    if file.exists() && !force {
        return Err(BackupError::Exists(shown(file)));
    }
    let part = Part::beside(file)?;
    {
        let mut db = raw(&source).connect().await?;
        let copied = sqlx::query("vacuum into $1").bind(part.text()?).execute(&mut db).await;
        let _ = db.close().await;
        copied?;
    }
    note(&part.0, now).await?;
    let holds = check(&part.0).await?;
    part.take_place_of(file)?;
    Ok(holds)
}

async fn note(file: &Path, now: Millis) -> Result<(), BackupError> {
    let mut db = raw(file).connect().await?;
    let noted = sqlx::query("insert into meta (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value")
        .bind(BACKUP_AT)
        .bind(now.to_string())
        .execute(&mut db)
        .await;
    db.close().await?;
    Ok(noted.map(drop)?)
}

fn file_of(url: &str) -> Result<PathBuf, BackupError> {
    if is_postgres(url) {
        return Err(BackupError::Postgres);
    }
    Ok(sqlite_path(url)?)
}

/// A file as it is, without any of what a store would do to it.
fn raw(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(BUSY)
        // A copy of gigabytes is no slow statement.
        .disable_statement_logging()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// The name of a file that SQLite keeps beside another, or of ours.
fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// What SQLite keeps beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A file on its way: it goes with the value, unless it took its place.
struct Part(PathBuf);

impl Part {
    /// An empty one that only its owner may read, beside what it is to become.
    fn beside(file: &Path) -> Result<Self, BackupError> {
        // Of this process: two that write the same backup at once must not meet.
        let path = with(file, &format!(".{}.part", std::process::id()));
        remove(&path);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&path).map_err(|source| BackupError::file(&path, source))?;
        Ok(Self(path))
    }

    fn text(&self) -> Result<String, BackupError> {
        self.0.to_str().map(str::to_owned).ok_or_else(|| BackupError::Name(shown(&self.0)))
    }

    fn take_place_of(self, file: &Path) -> Result<(), BackupError> {
        let synced = std::fs::OpenOptions::new().write(true).open(&self.0).and_then(|part| part.sync_all());
        synced.map_err(|source| BackupError::file(&self.0, source))?;
        std::fs::rename(&self.0, file).map_err(|source| BackupError::file(file, source))?;
        sync_directory(file).map_err(|source| BackupError::file(file, source))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// A database with all that may stand beside it, where it is there.
fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
    for suffix in BESIDE.into_iter().chain([".lock"]) {
        let _ = std::fs::remove_file(with(path, suffix));
    }
}

/// A name is durable when its directory is.
fn sync_directory(file: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
        std::fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// One number.
async fn number(db: &mut SqliteConnection, sql: &'static str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(sql).fetch_one(db).await
}
