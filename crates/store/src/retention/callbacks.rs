//! Callbacks as they came, and what goes with them: identities a day later (I2), what was passed on.

use domain::Millis;
use domain::clock::DAY;
use futures::future::BoxFuture;

use super::{COMMIT, Step, page};
use crate::Store;
use crate::db::{self, Db};
use crate::error::StoreError;
use crate::messages::first_id_of;
use crate::postgres::partitions::WIDTH;

// A shared database drops the partitions; what no partition was made for lies in the default one.
const APPLIED: &str = page!(
    "verdict is not null",
    "select id, verdict from <<inbox|inbox_default>> where <<|lane = $4 and >>id > $1 and id < $2"
);
const GO: &str = "delete from <<inbox|inbox_default>> as i where {i.id in $1} and i.verdict is not null";
const PASSED_ON: &str = page!(
    "state <> 1",
    "select inbox as id, state from relay where <<|lane = $4 and >>inbox > $1 and inbox < $2"
);
const FORGET: &str = "delete from relay where {relay.inbox in $1} and state <> 1";
const IDENTITIES: &str = "
delete from identity where (event_at, lane, digest) in
    (select event_at, lane, digest from identity where <<|lane = $4 and >>event_at < $1 and inbox < $2
     order by event_at, lane, digest limit $3)<<| and lane = $4>>";

/// An event is known for at least so long, whatever was configured: longer than any that WeChat pushes is accepted (I2).
const KNOWN: Millis = 8 * DAY;

fn delete<'c>(
    statement: &'static str,
    db: &'c mut Db,
    batch: String,
) -> BoxFuture<'c, Result<u64, StoreError>> {
    Box::pin(async move { Ok(db::query(statement).bind(batch).execute(db).await?.rows_affected()) })
}

impl Store {
    /// Removes callbacks of before a moment that have a verdict: a page of a lane.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn clear_callbacks(
        &self,
        lane: u16,
        after: Option<Vec<u8>>,
        before: Millis,
    ) -> Result<Step, StoreError> {
        self.page_by_page((APPLIED, lane, after), before, |db, batch| delete(GO, db, batch)).await
    }

    /// Removes what was passed on, or given up, of before a moment: a page of a lane.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn clear_relays(
        &self,
        lane: u16,
        after: Option<Vec<u8>>,
        before: Millis,
    ) -> Result<Step, StoreError> {
        self.page_by_page((PASSED_ON, lane, after), before, |db, batch| delete(FORGET, db, batch)).await
    }

    /// Forgets identities of events whose rows are gone: they stay a day longer than any row that could be replayed, and at least
    /// eight days (I2). Gives how many; there may be more.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn clear_identities(
        &self,
        lane: u16,
        now: Millis,
        callbacks: Millis,
    ) -> Result<u64, StoreError> {
        // Partitions of a shared database go as a whole: a row of one may be so much older than its period.
        let rows = callbacks + if self.is_shared() { WIDTH } else { 0 };
        let before = now - KNOWN.max(rows + DAY);
        self.writer
            .cold_bulk(move |db, _| {
                Box::pin(async move {
                    let most = i64::try_from(COMMIT).unwrap_or(i64::MAX);
                    let query =
                        db::query(IDENTITIES).bind(before).bind(first_id_of(before)).bind(most).bind(lane);
                    Ok(query.execute(db).await?.rows_affected())
                })
            })
            .await
    }
}
