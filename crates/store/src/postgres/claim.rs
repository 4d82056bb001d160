//! Claiming is a read of one queue's head; a paused queue is never asked for.

use domain::message::{OutcomeKind, State};
use domain::{Lane, MessageId, Millis};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::PgHot;
use crate::error::StoreError;
use crate::hot::claim::{Claimed, Waiting};
use crate::hot::enqueue::Queue;
use crate::hot::uuid;

pub(super) const CLAIM: &str = "
select r.lane, r.queue, r.due_at, r.id, r.expire_at, m.template, m.openid, m.data, m.page, m.version, m.lang,
    s.attempts, s.outcome, s.state
from (select lane, queue, due_at, id, expire_at from ready
      where lane = $1::smallint and queue = $2::bigint and due_at <= $3::bigint order by due_at, id limit $4::bigint) r
join message m on m.lane = r.lane and m.id = r.id
join message_state s on s.lane = r.lane and s.id = r.id
order by r.due_at, r.id";

/// Each (lane, queue) that holds something, by jumping from one to the next; with the time of its first row.
pub(super) const WAITING: &str = "
with recursive next (lane, queue, due_at) as (
    (select lane, queue, due_at from ready order by lane, queue, due_at limit 1)
    union all
    select f.lane, f.queue, f.due_at from next n cross join lateral
        (select r.lane, r.queue, r.due_at from ready r where (r.lane, r.queue) > (n.lane, n.queue)
         order by r.lane, r.queue, r.due_at, r.id limit 1) f
)
select lane, queue, due_at from next";

impl PgHot {
    /// The head of a queue: messages that are due, in order.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn claim(
        &self,
        lane: Lane,
        queue: Queue,
        now: Millis,
        limit: i64,
    ) -> Result<Vec<Claimed>, StoreError> {
        let mut db = self.inner.acquire().await?;
        sqlx::query(CLAIM)
            .bind(super::lane(lane.0))
            .bind(queue.0)
            .bind(now)
            .bind(limit)
            .fetch_all(&mut *db)
            .await?
            .iter()
            .map(claimed)
            .collect()
    }

    /// Every queue that holds something.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        let mut db = self.inner.acquire().await?;
        sqlx::query(WAITING)
            .fetch_all(&mut *db)
            .await?
            .iter()
            .map(|row| {
                Ok(Waiting { lane: lane(row)?, queue: Queue(row.try_get(1)?), due_at: row.try_get(2)? })
            })
            .collect()
    }
}

fn lane(row: &PgRow) -> Result<Lane, StoreError> {
    u16::try_from(row.try_get::<i16, _>(0)?).map(Lane).map_err(|_| StoreError::Corrupt("a lane"))
}

fn claimed(row: &PgRow) -> Result<Claimed, StoreError> {
    Ok(Claimed {
        lane: lane(row)?,
        queue: Queue(row.try_get(1)?),
        due_at: row.try_get(2)?,
        id: MessageId(uuid(row.try_get(3)?)?),
        expire_at: row.try_get(4)?,
        template: row.try_get(5)?,
        openid: row.try_get(6)?,
        data: row.try_get(7)?,
        page: row.try_get(8)?,
        version: row.try_get(9)?,
        lang: row.try_get(10)?,
        state: State::try_from(row.try_get::<i16, _>(13)?)
            .map_err(|_| StoreError::Corrupt("message_state"))?,
        attempts: row.try_get(11)?,
        ambiguous: row.try_get::<Option<i16>, _>(12)? == Some(OutcomeKind::Unknown.code()),
    })
}
