//! What a database says of itself, written once and compared ever after: its number of lanes and the id of its master key.

use domain::lane::DEFAULT_LANES;
use domain::{Lanes, Millis};

use crate::MasterKey;
use crate::db::{self, Db};
use crate::error::{OpenError, StoreError};

/// The id of the key that seals.
pub(crate) const MASTER_KEY: &str = "master_key";
/// The id of the key that is to be the next, while it is being changed.
pub(crate) const NEXT_MASTER_KEY: &str = "master_key_next";

/// The lanes of the database and the id of its master key: written once, compared ever after.
pub(crate) async fn settle(db: &mut Db, master: &MasterKey, now: Millis) -> Result<Lanes, OpenError> {
    let read = "select value from meta where key = $1";
    let present = master.former().unwrap_or(master);
    let first =
        [("lanes", DEFAULT_LANES.to_string()), (MASTER_KEY, present.id()), ("created_at", now.to_string())];
    for (key, value) in first {
        // Only the first time: a command beside a busy server should not queue for the writer's lock in vain.
        if db::query_scalar::<String>(read).bind(key).fetch_optional(&mut *db).await?.is_some() {
            continue;
        }
        db::query("insert into meta (key, value) values ($1, $2) on conflict do nothing")
            .bind(key)
            .bind(value)
            .execute(&mut *db)
            .await?;
    }
    check_key(db, master).await?;
    let lanes: String = db::query_scalar(read).bind("lanes").fetch_one(db).await?;
    lanes.parse().map(Lanes::new).map_err(|_| StoreError::Corrupt("meta.lanes").into())
}

/// The key that sealed this database opens it, but not while it is being changed: then only who changes it, to the same key.
async fn check_key(db: &mut Db, master: &MasterKey) -> Result<(), OpenError> {
    let read = "select value from meta where key = $1";
    let expected: String = db::query_scalar(read).bind(MASTER_KEY).fetch_one(&mut *db).await?;
    let next: Option<String> = db::query_scalar(read).bind(NEXT_MASTER_KEY).fetch_optional(&mut *db).await?;
    let Some(former) = master.former() else {
        return match next {
            Some(next) => Err(OpenError::ChangingMasterKey { next }),
            None if expected == master.id() => Ok(()),
            None => Err(OpenError::WrongMasterKey { expected, given: master.id() }),
        };
    };
    match next {
        Some(next) if next != master.id() => Err(OpenError::ChangingMasterKey { next }),
        _ if expected == former.id() || expected == master.id() => Ok(()),
        _ => Err(OpenError::WrongMasterKey { expected, given: former.id() }),
    }
}

/// Whose copy a database is, as long as it is not a whole one.
pub(crate) const COPY_FROM: &str = "copy_from";
/// Set when it is.
pub(crate) const COPY_DONE: &str = "copy_done";

/// Whether a copy into this database was begun and not ended.
pub(crate) async fn is_copying(db: &mut Db) -> Result<bool, StoreError> {
    let query = db::query_scalar::<i64>("select count(*) from meta where key in ($1, $2)");
    let count = query.bind(COPY_FROM).bind(COPY_DONE).fetch_one(&mut *db).await?;
    Ok(count == 1)
}
