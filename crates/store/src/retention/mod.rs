//! How long things are kept, and their going: page by page, a few hundred rows a commit, never what is still under way. `messages`
//! and `callbacks` walk the large tables, `small` the others; a shared database drops whole partitions besides
//! (`postgres::partitions`). docs/DATA.md says what is kept and why. Run by the engine, by one node at a time.
//!
//! What proves a balance, the ledger, is not among it: it is kept as long as its person.

mod callbacks;
mod messages;
mod small;

use domain::Millis;
use domain::clock::DAY;
use futures::future::BoxFuture;
use uuid::Uuid;

use crate::Store;
use crate::db::{self, Db, Readers};
use crate::error::StoreError;
use crate::hot::{hex, json};
use crate::messages::first_id_of;

pub use small::KeyPlace;

/// How long each kind is kept, in milliseconds; `None`: until somebody removes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Periods {
    /// Callbacks as they came, and what was passed on of them.
    pub callbacks: Option<Millis>,
    /// What messages say, and the lists that campaigns were made of.
    pub contents: Option<Millis>,
    /// Messages that are over: to whom, and what became of them.
    pub messages: Option<Millis>,
    /// The operation log.
    pub audit: Option<Millis>,
    /// Events for webhooks, and their deliveries.
    pub webhooks: Option<Millis>,
    /// Counts by the hour.
    pub statistics: Option<Millis>,
}

impl Default for Periods {
    fn default() -> Self {
        Self {
            callbacks: Some(30 * DAY),
            contents: Some(180 * DAY),
            messages: Some(730 * DAY),
            // Six months have 184 days at most.
            audit: Some(184 * DAY),
            webhooks: Some(7 * DAY),
            statistics: Some(730 * DAY),
        }
    }
}

/// Rows that one reading looks at.
const PAGE: i64 = 2_000;
/// Rows that one commit changes: whoever else writes in the lane waits no longer than for a batch of theirs.
const COMMIT: usize = 256;

/// What one step did, and where the next one begins; `None` at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// Rows that went, or lost their contents.
    pub done: u64,
    /// Where to go on.
    pub next: Option<Vec<u8>>,
}

/// A page of ids: those that there is something to do about, the last one, how many were looked at. `$1` after, `$2` before, `$3` at
/// most, `$4` the lane, by which only PostgreSQL's keys are led.
macro_rules! page {
    ($todo:literal, $rows:literal) => {
        concat!(
            "select <<json_group_array(hex(id))|json_agg(encode(id, 'hex'))>> filter (where ",
            $todo,
            ")<<|::text>>, <<max(id)|decode(max(encode(id, 'hex') collate \"C\"), 'hex')>>, count(*) from (",
            $rows,
            " order by id limit $3) page"
        )
    };
}
pub(crate) use page;

/// What a page found.
struct Found {
    ids: Vec<Uuid>,
    next: Option<Vec<u8>>,
}

async fn read(
    readers: &Readers,
    statement: &'static str,
    lane: u16,
    after: Option<Vec<u8>>,
    before: Vec<u8>,
) -> Result<Found, StoreError> {
    let query = db::query(statement).bind(after.unwrap_or_default()).bind(before).bind(PAGE).bind(lane);
    let row = query.fetch_one(readers).await?;
    let ids = match row.try_get::<Option<&str>>(0)? {
        Some(ids) => serde_json::from_str(ids).map_err(|_| StoreError::Corrupt("a batch"))?,
        None => Vec::new(),
    };
    let (last, count): (Option<Vec<u8>>, i64) = (row.try_get(1)?, row.try_get(2)?);
    Ok(Found { ids, next: last.filter(|_| count == PAGE) })
}

impl Store {
    /// Does what there is to do about a page of a lane, part by part, each in a commit of its own.
    async fn page_by_page(
        &self,
        (page, lane, after): (&'static str, u16, Option<Vec<u8>>),
        before: Millis,
        work: impl for<'c> Fn(&'c mut Db, String) -> BoxFuture<'c, Result<u64, StoreError>>
        + Clone
        + Send
        + Sync
        + 'static,
    ) -> Result<Step, StoreError> {
        let found = read(&self.readers, page, lane, after, first_id_of(before)).await?;
        let mut done = 0;
        for part in found.ids.chunks(COMMIT) {
            let (batch, work) = (json(&part.iter().map(|id| hex(*id)).collect::<Vec<_>>())?, work.clone());
            done += self
                .writer
                .cold_bulk(move |db, _| Box::pin(async move { work(db.in_lane(lane), batch).await }))
                .await?;
        }
        Ok(Step { done, next: found.next })
    }

    /// The lanes that a walk goes through one after the other: one for all where the keys are not led by them.
    pub fn walked_lanes(&self) -> Vec<u16> {
        if self.is_shared() { self.lanes().iter().map(|lane| lane.0).collect() } else { vec![0] }
    }
}
