//! Callbacks as they came, and what goes with them: identities a day later (I2), what was passed on.

use domain::Millis;
use domain::clock::DAY;

use super::{COMMIT, Step, page, read};
use crate::Store;
use crate::db;
use crate::error::StoreError;
use crate::hot::{hex, json};
use crate::messages::first_id_of;

// A shared database drops the partitions; what no partition was made for lies in the default one.
const APPLIED: &str = page!(
    "verdict is not null",
    "select id, verdict from <<inbox|inbox_default>> where <<|lane = $4 and >>id > $1 and id < $2"
);
const GO: &str = "
delete from <<inbox|inbox_default>> where <<|lane = $2 and >>id in (select b.id from [$1 each: id id] b) and verdict is not null";
const PASSED_ON: &str = page!(
    "state <> 1",
    "select inbox as id, state from relay where <<|lane = $4 and >>inbox > $1 and inbox < $2"
);
const FORGET: &str = "delete from relay where <<|lane = $2 and >>inbox in (select b.id from [$1 each: id id] b) and state <> 1";
const IDENTITIES: &str = "
delete from identity where (event_at, lane, digest) in
    (select event_at, lane, digest from identity where <<|lane = $4 and >>event_at < $1 and inbox < $2
     order by event_at, lane, digest limit $3)<<| and lane = $4>>";

/// An event is known for at least so long, whatever was configured: longer than any that WeChat pushes is accepted (I2).
const KNOWN: Millis = 8 * DAY;
/// Partitions of a shared database go as a whole: a row of one may be so much older than its period.
const WIDTH: Millis = 28 * DAY;

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
        self.clear_by_id(APPLIED, GO, lane, after, before).await
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
        self.clear_by_id(PASSED_ON, FORGET, lane, after, before).await
    }

    async fn clear_by_id(
        &self,
        page: &'static str,
        go: &'static str,
        lane: u16,
        after: Option<Vec<u8>>,
        before: Millis,
    ) -> Result<Step, StoreError> {
        let found = read(&self.readers, page, lane, after, first_id_of(before)).await?;
        let mut done = 0;
        for part in found.ids.chunks(COMMIT) {
            let batch = json(&part.iter().map(|id| hex(*id)).collect::<Vec<_>>())?;
            done += self
                .writer
                .cold_bulk(move |db, _| {
                    Box::pin(async move {
                        Ok(db::query(go).bind(batch).bind(lane).execute(db).await?.rows_affected())
                    })
                })
                .await?;
        }
        Ok(Step { done, next: found.next })
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
