//! What a database says of itself, written once and compared ever after: its number of lanes and the id of its master key.

use domain::lane::DEFAULT_LANES;
use domain::{Lanes, Millis};

use crate::MasterKey;
use crate::db::{self, Db};
use crate::error::{OpenError, StoreError};

/// The lanes of the database and the id of its master key: written once, compared ever after.
pub(crate) async fn settle(db: &mut Db, master: &MasterKey, now: Millis) -> Result<Lanes, OpenError> {
    let read = "select value from meta where key = $1";
    let first =
        [("lanes", DEFAULT_LANES.to_string()), ("master_key", master.id()), ("created_at", now.to_string())];
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
    let expected: String = db::query_scalar(read).bind("master_key").fetch_one(&mut *db).await?;
    if expected != master.id() {
        return Err(OpenError::WrongMasterKey { expected, given: master.id() });
    }
    let lanes: String = db::query_scalar(read).bind("lanes").fetch_one(db).await?;
    lanes.parse().map(Lanes::new).map_err(|_| StoreError::Corrupt("meta.lanes").into())
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
