//! Claiming is a read: the owner of a lane keeps the heads of its queues in memory. A paused queue is never
//! asked for, so the million behind it costs nothing.

use domain::message::{OutcomeKind, State};
use domain::{Lane, MessageId, Millis};

use super::enqueue::Queue;
use super::uuid;
use crate::db::{self, Readers, Row};
use crate::error::StoreError;

/// A message at the head of its queue, with all that its call needs.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Its lane.
    pub lane: Lane,
    /// Its queue.
    pub queue: Queue,
    /// Since when it is due.
    pub due_at: Millis,
    /// Which.
    pub id: MessageId,
    /// Not after this.
    pub expire_at: Millis,
    /// The template's number.
    pub template: i64,
    /// To whom.
    pub openid: String,
    /// The fields and their values as a JSON object.
    pub data: String,
    /// The page that the card opens.
    pub page: Option<String>,
    /// developer, trial or formal.
    pub version: String,
    /// The card's language.
    pub lang: String,
    /// `scheduled` or `queued`.
    pub state: State,
    /// Attempts made before.
    pub attempts: i64,
    /// Whether one of them may have been sent.
    pub ambiguous: bool,
}

pub(crate) const CLAIM: &str = "
select r.lane, r.queue, r.due_at, r.id, r.expire_at, m.template, m.openid, m.data, m.page, m.version, m.lang,
    s.attempts, s.outcome, s.state
from (select lane, queue, due_at, id, expire_at from ready
      where lane = $1 and queue = $2 and due_at <= $3 order by due_at, id limit $4) r
join message m on m.id = r.id and m.lane = $1
join message_state s on s.id = r.id and s.lane = $1
order by r.due_at, r.id";

/// Each (lane, queue) that holds something, by jumping from one to the next; with the time of its first row.
pub(crate) const QUEUES: &str = "
with recursive next (lane, queue, due_at) as (
    select * from (select lane, queue, due_at from ready order by lane, queue, due_at limit 1)
    union all
    select f.lane, f.queue, f.due_at from next n join ready f on (f.lane, f.queue, f.due_at, f.id) =
        (select r.lane, r.queue, r.due_at, r.id from ready r where (r.lane, r.queue) > (n.lane, n.queue)
         order by r.lane, r.queue, r.due_at, r.id limit 1)
)
select lane, queue, due_at from next";
/// The same of one lane.
pub(crate) const QUEUES_OF: &str = "
with recursive next (queue) as (
    select (select r.queue from ready r where r.lane = $1 order by r.queue limit 1)
    union all
    select (select r.queue from ready r where r.lane = $1 and r.queue > n.queue order by r.queue limit 1)
    from next n where n.queue is not null
)
select $1, n.queue, (select r.due_at from ready r where r.lane = $1 and r.queue = n.queue order by r.due_at limit 1)
from next n where n.queue is not null";

pub(crate) async fn claim(
    readers: &Readers,
    lane: Lane,
    queue: Queue,
    now: Millis,
    limit: i64,
) -> Result<Vec<Claimed>, StoreError> {
    db::query(CLAIM)
        .bind(lane.0)
        .bind(queue.0)
        .bind(now)
        .bind(limit)
        .fetch_all(readers)
        .await?
        .iter()
        .map(claimed)
        .collect()
}

fn claimed(row: &Row) -> Result<Claimed, StoreError> {
    Ok(Claimed {
        lane: Lane(row.try_get(0)?),
        queue: Queue(row.try_get(1)?),
        due_at: row.try_get(2)?,
        id: MessageId(uuid(&row.try_get::<Vec<u8>>(3)?)?),
        expire_at: row.try_get(4)?,
        template: row.try_get(5)?,
        openid: row.try_get(6)?,
        data: row.try_get(7)?,
        page: row.try_get(8)?,
        version: row.try_get(9)?,
        lang: row.try_get(10)?,
        state: State::try_from(row.try_get::<i16>(13)?).map_err(|_| StoreError::Corrupt("message_state"))?,
        attempts: row.try_get(11)?,
        // An unresolved earlier attempt is kept as the outcome `unknown` (domain::message::Position).
        ambiguous: row.try_get::<Option<i16>>(12)? == Some(OutcomeKind::Unknown.code()),
    })
}

/// A queue that holds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// In which lane.
    pub lane: Lane,
    /// Which.
    pub queue: Queue,
    /// When its first message is due.
    pub due_at: Millis,
}

/// Of one lane, or (on SQLite) of all. A queue that was emptied between two steps of the reading is left out.
pub(crate) async fn queues(readers: &Readers, lane: Option<Lane>) -> Result<Vec<Waiting>, StoreError> {
    let query = match lane {
        Some(lane) => db::query(QUEUES_OF).bind(lane.0),
        None => db::query(QUEUES),
    };
    let mut all = Vec::new();
    for row in query.fetch_all(readers).await? {
        let Some(due_at) = row.try_get::<Option<Millis>>(2)? else { continue };
        all.push(Waiting { lane: Lane(row.try_get(0)?), queue: Queue(row.try_get(1)?), due_at });
    }
    Ok(all)
}
