//! What is neither message nor callback: idempotency keys, lists of finished campaigns, counts by the hour.

use domain::Millis;
use domain::clock::{DAY, HOUR};

use super::{COMMIT, PAGE};
use crate::Store;
use crate::db;
use crate::error::StoreError;
use crate::hot::json;

/// A key answers its message for 24 hours (I10).
const KEYS: Millis = 2 * DAY;

/// Where a walk over idempotency keys stands: lane, app, key.
pub type KeyPlace = (i64, i64, String);

const OLD_KEYS: &str = "
select i.lane, i.app, i.key, i.created_at < $4 from idempotency i where (i.lane, i.app, i.key) > ($1, $2, $3)
order by i.lane, i.app, i.key limit $5";
const FORGET_KEYS: &str = "
delete from idempotency where (lane, app, key) in
    (select b.lane, b.app, b.key from [$1: lane int2, app int8, key text] b) and created_at < $2";
/// 7, 8: cancelled, finished. A list goes with the last campaign that has it.
const LISTS: &str = "
select x.list from (select c.list, max(case when c.state in (7, 8) and coalesce(c.finished_at, c.updated_at) < $1 then 0 else 1 end) as used
    from campaign c where c.list is not null group by c.list) x
where x.used = 0 and exists (select 1 from recipient r where r.list = x.list) limit 1";
const LINES: &str = "
delete from recipient where list = $1 and row in (select r.row from recipient r where r.list = $1 order by r.row limit $2)";
const COUNTS: &str = "delete from happened where app = $1 and hour > 0 and hour < $2";

impl Store {
    /// Forgets idempotency keys whose time is over: a page. Gives how many, and where to go on.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn clear_keys(
        &self,
        after: Option<KeyPlace>,
        now: Millis,
    ) -> Result<(u64, Option<KeyPlace>), StoreError> {
        let before = now - KEYS;
        let after = after.unwrap_or((-1, 0, String::new()));
        let query = db::query(OLD_KEYS).bind(after.0).bind(after.1).bind(&after.2).bind(before).bind(PAGE);
        let rows = query.fetch_all(&self.readers).await?;
        let (mut old, mut last) = (Vec::new(), None);
        for row in &rows {
            let place: KeyPlace = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            if row.try_get::<bool>(3)? {
                old.push(place.clone());
            }
            last = Some(place);
        }
        let mut done = 0;
        for part in old.chunks(COMMIT) {
            let batch = json(part)?;
            done += self
                .writer
                .cold_bulk(move |db, _| {
                    Box::pin(async move {
                        Ok(db::query(FORGET_KEYS).bind(batch).bind(before).execute(db).await?.rows_affected())
                    })
                })
                .await?;
        }
        let full = i64::try_from(rows.len()).unwrap_or(0) == PAGE;
        Ok((done, last.filter(|_| full)))
    }

    /// Removes lines of a list whose campaigns all ended before a moment, and at its end the upload that it was; gives how many
    /// lines, 0 where there is no such list.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn clear_lists(&self, before: Millis) -> Result<u64, StoreError> {
        let list: Option<Vec<u8>> =
            db::query_scalar(LISTS).bind(before).fetch_optional(&self.readers).await?;
        let Some(list) = list else { return Ok(0) };
        self.writer
            .cold_bulk(move |db, _| {
                Box::pin(async move {
                    let most = i64::try_from(COMMIT).unwrap_or(i64::MAX);
                    let gone =
                        db::query(LINES).bind(&list).bind(most).execute(&mut *db).await?.rows_affected();
                    // What was found in the sheet may quote its cells.
                    db::query("delete from upload where list = $1").bind(list).execute(db).await?;
                    Ok(gone)
                })
            })
            .await
    }

    /// Forgets an app's counts of hours before a moment; gives how many rows.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn clear_counts(&self, app: i64, before: Millis) -> Result<u64, StoreError> {
        self.writer
            .cold_bulk(move |db, _| {
                Box::pin(async move {
                    let query = db::query(COUNTS).bind(app).bind(before / HOUR);
                    Ok(query.execute(db).await?.rows_affected())
                })
            })
            .await
    }
}
