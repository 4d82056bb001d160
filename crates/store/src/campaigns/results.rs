//! What became of each recipient, lane by lane, for the closing lists.

use domain::message::{List, State};
use domain::{Lane, MessageId, Millis};
use uuid::Uuid;

use crate::Store;
use crate::db::{self, Row};
use crate::error::StoreError;
use crate::hot::enqueue::Queue;
use crate::hot::uuid;

/// A recipient and what became of the message.
#[derive(Debug, Clone)]
pub struct ResultRow {
    /// The message.
    pub id: MessageId,
    /// The line of the list, where there is one.
    pub row: Option<i64>,
    /// To whom; empty where nobody was found or the person is erased.
    pub openid: String,
    /// How the list names the recipient, where there is one.
    pub given: Option<(String, String)>,
    /// The columns of the list, as a JSON object.
    pub vars: Option<String>,
    /// Where the message stands.
    pub state: State,
    /// Why it was not tried.
    pub reason: Option<String>,
    /// WeChat's errcode.
    pub errcode: Option<i64>,
    /// WeChat's errmsg, or why there was no answer; the word of the receipt where that says it.
    pub errmsg: Option<String>,
    /// The latest that happened.
    pub at: Millis,
}

/// Which recipients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultFilter {
    /// Everybody.
    All,
    /// Those of one closing list.
    List(List),
}

const PAGE: &str = "
select s.id, coalesce(r.sheet_row, m.row), m.openid, r.kind, r.given, r.vars, s.state, s.reason, s.errcode, coalesce(s.receipt_status, s.errmsg),
    coalesce(s.receipt_at, s.attempt_at, s.due_at), m.queue = $3 and m.lane = $4
from (select id, queue, lane, openid, row from message where id > $1 and id <= $2<<| and lane = $4>> order by id limit $5) m
join message_state s on s.id = m.id and s.lane = m.lane left join recipient r on r.list = $6 and r.row = m.row
order by m.id";

impl ResultFilter {
    fn takes(self, state: State) -> bool {
        match self {
            Self::All => true,
            Self::List(list) => state.list() == Some(list),
        }
    }
}

impl Store {
    /// The next recipients of a campaign in a lane whose messages lie between two ids; looks at up to `examined` rows. Gives
    /// also where the next page begins, `None` at the end.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn campaign_results(
        &self,
        (number, list): (i64, Option<Uuid>),
        lane: Lane,
        (after, last): (Uuid, Uuid),
        filter: ResultFilter,
        examined: i64,
    ) -> Result<(Vec<ResultRow>, Option<Uuid>), StoreError> {
        let rows = db::query(PAGE)
            .bind(after.as_bytes().to_vec())
            .bind(last.as_bytes().to_vec())
            .bind(Queue::of_campaign(number).0)
            .bind(lane.0)
            .bind(examined)
            .bind(list.map(|list| list.as_bytes().to_vec()))
            .fetch_all(&self.readers)
            .await?;
        let mut found = Vec::new();
        for row in &rows {
            if row.try_get::<bool>(11)? {
                let row = result(row)?;
                if filter.takes(row.state) {
                    found.push(row);
                }
            }
        }
        let more = i64::try_from(rows.len()).unwrap_or(0) == examined;
        let next = rows.last().filter(|_| more).map(|row| row.try_get::<Vec<u8>>(0)).transpose()?;
        Ok((found, next.map(|id| uuid(&id)).transpose()?))
    }
}

const TEXTS: &str = "
select id, openid, data, queue = $3 and lane = $4 from message where id > $1 and id <= $2<<| and lane = $4>> order by id limit $5";

/// Whom a campaign's messages go to and what they say, and where the next page begins.
type Texts = (Vec<(String, String)>, Option<Uuid>);

impl Store {
    /// Whom the messages of a campaign in a lane go to, and what they say.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn campaign_texts(
        &self,
        number: i64,
        lane: Lane,
        (after, last): (Uuid, Uuid),
        examined: i64,
    ) -> Result<Texts, StoreError> {
        let rows = db::query(TEXTS)
            .bind(after.as_bytes().to_vec())
            .bind(last.as_bytes().to_vec())
            .bind(Queue::of_campaign(number).0)
            .bind(lane.0)
            .bind(examined)
            .fetch_all(&self.readers)
            .await?;
        let mut found = Vec::new();
        for row in &rows {
            if row.try_get::<bool>(3)? {
                found.push((row.try_get(1)?, row.try_get(2)?));
            }
        }
        let more = i64::try_from(rows.len()).unwrap_or(0) == examined;
        let next = rows.last().filter(|_| more).map(|row| row.try_get::<Vec<u8>>(0)).transpose()?;
        Ok((found, next.map(|id| uuid(&id)).transpose()?))
    }
}

fn result(row: &Row) -> Result<ResultRow, StoreError> {
    let kind: Option<String> = row.try_get(3)?;
    Ok(ResultRow {
        id: MessageId(uuid(row.try_get(0)?)?),
        row: row.try_get(1)?,
        openid: row.try_get(2)?,
        given: kind.zip(row.try_get(4)?),
        vars: row.try_get(5)?,
        state: State::try_from(row.try_get::<i16>(6)?).map_err(|_| StoreError::Corrupt("message_state"))?,
        reason: row.try_get(7)?,
        errcode: row.try_get(8)?,
        errmsg: row.try_get(9)?,
        at: row.try_get(10)?,
    })
}
