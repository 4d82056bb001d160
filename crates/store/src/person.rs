//! Everything kept of one person that is not read elsewhere: callbacks, lines of lists, deeds of the operation log. No index leads
//! to a person's rows in the large tables; they are walked, page by page. Used by the service's export.

use domain::{InboxId, Millis};
use uuid::Uuid;

use crate::Store;
use crate::callbacks::StoredCallback;
use crate::db;
use crate::error::StoreError;
use crate::retention::page;

const PAGE: i64 = 10_000;

/// Above every id. `$5` the app, `$6` the person.
const LAST: [u8; 17] = [0xff; 17];
const CALLBACKS: &str = page!(
    "app = $5 and openid = $6",
    "select id, app, openid from inbox where <<|lane = $4 and >>id > $1 and id < $2"
);
const LINES: &str = "
select c.name, coalesce(r.sheet_row, r.row), r.vars from campaign c join recipient r on r.list = c.list
where c.app = $1 and c.list is not null and r.kind = 'openid' and r.given = $2 order by c.number, r.row";
const DEEDS: &str = "select at, principal, act from audit where app = $1 and target = $2 order by number";
const GUEST: &str = "select note, created_at from guest where app = $1 and openid = $2";

/// A line of a campaign's list: the campaign's name, the row, the columns as JSON.
pub type Line = (String, i64, String);

impl Store {
    /// The callbacks that were a person's, the oldest first.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn callbacks_of(&self, app: i64, openid: &str) -> Result<Vec<StoredCallback>, StoreError> {
        let lane = self.lanes().of_openid(openid).0;
        let (mut all, mut after) = (Vec::new(), Some(Vec::new()));
        while let Some(from) = after {
            let query = db::query(CALLBACKS).bind(from).bind(LAST.as_slice()).bind(PAGE).bind(lane);
            let row = query.bind(app).bind(openid).fetch_one(&self.readers).await?;
            let ids: Vec<Uuid> = match row.try_get::<Option<&str>>(0)? {
                Some(ids) => serde_json::from_str(ids).map_err(|_| StoreError::Corrupt("a batch"))?,
                None => Vec::new(),
            };
            for id in ids {
                all.extend(self.callback(app, InboxId(id)).await?);
            }
            let (last, count): (Option<Vec<u8>>, i64) = (row.try_get(1)?, row.try_get(2)?);
            after = last.filter(|_| count == PAGE);
        }
        all.sort_by_key(|callback| callback.id);
        Ok(all)
    }

    /// The lines of campaigns' lists that name a person by openid.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn lines_of(&self, app: i64, openid: &str) -> Result<Vec<Line>, StoreError> {
        Ok(db::query_as(LINES).bind(app).bind(openid).fetch_all(&self.readers).await?)
    }

    /// What was done to a person, by the operation log: when, by whom, what.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn deeds_about(
        &self,
        app: i64,
        openid: &str,
    ) -> Result<Vec<(Millis, String, String)>, StoreError> {
        Ok(db::query_as(DEEDS).bind(app).bind(openid).fetch_all(&self.readers).await?)
    }

    /// Whether a person is a guest: the note, and since when.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn guest_of(
        &self,
        app: i64,
        openid: &str,
    ) -> Result<Option<(Option<String>, Millis)>, StoreError> {
        Ok(db::query_as(GUEST).bind(app).bind(openid).fetch_optional(&self.readers).await?)
    }
}
