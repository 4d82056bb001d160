//! Putting a backup in the database's place. Everything happens on a copy beside it; the last step is a rename.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::{Clock, Entropy};
use sqlx::{ConnectOptions, Connection};

use super::{BESIDE, BackupError, Holds, Part, check, file_of, raw, shown, with};
use crate::restored::Restored;
use crate::sqlite::open;
use crate::{MasterKey, OpenOptions, Role, Store};

/// What was put back.
#[derive(Debug, Clone)]
pub struct Restoring {
    /// What the backup held.
    pub held: Holds,
    /// What was done to it so that nothing is sent twice.
    pub restored: Restored,
    /// Where the database that stood there before is now.
    pub aside: Option<PathBuf>,
}

/// Puts a backup in the place of the database that `url` names. A database that stands there already is refused, or with `force` kept
/// aside under another name. The copy is brought to this version, and holds all sending ([`Store::mark_restored`]).
///
/// # Errors
/// See [`BackupError`]; the database that stood there is as before then.
pub async fn restore(
    file: &Path,
    url: &str,
    master: MasterKey,
    force: bool,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Restoring, BackupError> {
    let target = file_of(url)?;
    if super::same(file, &target) {
        return Err(BackupError::Itself(shown(file)));
    }
    let held = check(file).await?;
    if let Some(directory) = target.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).map_err(|source| BackupError::file(directory, source))?;
    }
    // Whoever serves it is refused, and nobody begins to meanwhile.
    let lock = open::lock_patiently(&target).await?;
    if target.exists() && !force {
        return Err(BackupError::Exists(shown(&target)));
    }
    let part = Part::beside(&target)?;
    std::fs::copy(file, &part.0).map_err(|source| BackupError::file(&part.0, source))?;
    migrate(&part.0).await?;
    let now = clock.now();
    let restored = {
        let options = OpenOptions::new(format!("sqlite:{}", part.text()?), master, Role::Worker);
        let store = Store::open(options, clock, entropy).await?;
        let marked = store.mark_restored(held.backup_at.unwrap_or(now), now, "restore").await;
        store.close().await;
        marked?
    };
    check(&part.0).await?;
    let aside = set_aside(&target, now)?;
    part.take_place_of(&target)?;
    drop(lock);
    Ok(Restoring { held, restored, aside })
}

/// Without the copy that opening would keep: the backup is that copy.
async fn migrate(file: &Path) -> Result<(), BackupError> {
    let mut db = raw(file).connect().await?;
    let done = open::MIGRATIONS.run(&mut db).await;
    db.close().await?;
    Ok(done.map_err(crate::OpenError::from)?)
}

/// Gives what stands there another name, with its log: without it, the newest commits would be missing, and beside another
/// database it would destroy that.
fn set_aside(target: &Path, now: domain::Millis) -> Result<Option<PathBuf>, BackupError> {
    let aside = with(target, &format!(".before-restore-{now}"));
    let mut moved = None;
    for suffix in std::iter::once("").chain(BESIDE) {
        let (from, to) = (with(target, suffix), with(&aside, suffix));
        if from.exists() {
            std::fs::rename(&from, &to).map_err(|source| BackupError::file(&from, source))?;
            if suffix.is_empty() {
                moved = Some(aside.clone());
            }
        }
    }
    Ok(moved)
}
