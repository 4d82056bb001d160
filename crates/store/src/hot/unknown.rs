//! Messages that stayed `unknown`, and what their app's policy does about them. Each has a place of its own kind in
//! `ready`, due when its grace is over, so that nobody searches the states for them. A place that its message has left
//! behind (a receipt came, a person sent it again) stays until it is due, and is dropped then.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::message::{Event, Position, State, transition};
use domain::retry::UNKNOWN_GRACE;
use domain::{Lane, MessageId, Millis};
use uuid::Uuid;

use super::enqueue::Queue;
use super::tally::Tally;
use super::{hex, json, receipts, uuid};
use crate::Store;
use crate::db::{self, Db, Readers};
use crate::error::StoreError;

/// A message whose grace is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its place: the lane.
    pub lane: Lane,
    /// Its place: the queue.
    pub queue: Queue,
    /// Its place: when it was due.
    pub due_at: Millis,
    /// Which.
    pub id: MessageId,
    /// Its last attempt.
    pub attempt: i64,
    /// WeChat's errcode to that attempt, where it answered.
    pub errcode: Option<i64>,
    /// Whether somebody cancelled it.
    pub cancel_requested: bool,
    /// Not sent after this.
    pub expire_at: Millis,
    /// Whether it is still `unknown` by the attempt that made this place.
    pub unresolved: bool,
}

/// What is to become of it.
#[derive(Debug, Clone)]
pub struct FollowUp {
    /// As it was read.
    pub due: Due,
    /// The epoch under which the lane is owned.
    pub epoch: i64,
    /// [`Event::Resend`], [`Event::GiveUp`], or nothing: then only the place goes.
    pub event: Option<Event>,
    /// Now.
    pub at: Millis,
}

const WATCH: &str = "
insert into ready (lane, queue, due_at, id, expire_at)
select m.lane, m.app * 4 + 3, b.due_at, m.id, m.expire_at
from [$1: id id, due_at int8] b join message m on m.id = b.id{m.id} where true on conflict do nothing";
const DUE: &str = "
select r.due_at, r.id, s.state, s.attempts, s.attempt_at, s.errcode, s.cancel_requested, m.expire_at
from (select due_at, id from ready where lane = $1 and queue = $2 and due_at <= $3 order by due_at, id limit $4) r
join message_state s on s.id = r.id and s.lane = $1 join message m on m.id = r.id and m.lane = $1
order by r.due_at, r.id";
const TAKE: &str = "
delete from ready where (lane, queue, due_at, id) in
    (select b.lane, b.queue, b.due_at, b.id from [$1: lane int2, queue int8, due_at int8, id id] b){ready}
returning due_at, id";
const POSITIONS: &str = "
select s.id, s.state, s.outcome, s.receipt, s.cancel_requested, s.attempts from [$1 each: id id] b
join message_state s on s.id = b.id{s.id}";
/// 4: the outcome `unknown`.
const KEEP_ATTEMPTS: &str = "
insert into attempt (lane, message, number, at, errcode, errmsg, ambiguous)
select lane, id, attempts, attempt_at, errcode, errmsg, coalesce(outcome = 4, false) from message_state
where {message_state.id in $1} and attempts > 0 and attempt_at is not null on conflict do nothing";
const WRITE: &str = "
update message_state as s set state = b.state, cancel_requested = b.cancel, due_at = coalesce(b.due_at, s.due_at)
from [$1: id id, state int2, cancel boolean, due_at int8] b where s.id = b.id{s.id}";
const REQUEUE: &str = "
insert into ready (lane, queue, due_at, id, expire_at)
select m.lane, m.queue, s.due_at, m.id, m.expire_at
from [$1 each: id id] b join message m on m.id = b.id{m.id} join message_state s on s.id = m.id{s.id}
where true on conflict do nothing";
const RELEASE: &str = "
delete from reserved where (lane, template, openid, id) in
    (select m.lane, m.template, m.openid, m.id from [$1 each: id id] b join message m on m.id = b.id{m.id}){reserved}";

/// Gives messages that have just become `unknown` (id in hex, since when) their place.
pub(crate) async fn watch(db: &mut Db, unresolved: &[(String, Millis)]) -> Result<(), StoreError> {
    if unresolved.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> =
        unresolved.iter().map(|(id, since)| (id, since.saturating_add(UNKNOWN_GRACE))).collect();
    db::query(WATCH).bind(json(&rows)?).execute(db).await?;
    Ok(())
}

impl Store {
    /// The messages of a queue of unknown ones whose grace is over.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn unknown_due(
        &self,
        lane: Lane,
        queue: Queue,
        now: Millis,
        limit: i64,
    ) -> Result<Vec<Due>, StoreError> {
        read(&self.readers, lane, queue, now, limit).await
    }

    /// Does what the policy says; tells which of them counted. One that was resolved, sent again or cancelled since it
    /// was read only loses its place; another owner's lane is left alone (I7).
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn follow_up(&self, all: Vec<FollowUp>) -> Result<Vec<bool>, StoreError> {
        if all.is_empty() {
            return Ok(Vec::new());
        }
        // On a shared database a transaction is of one lane.
        let mut parts: BTreeMap<Option<Lane>, (Vec<usize>, Vec<FollowUp>)> = BTreeMap::new();
        let mut counted = vec![false; all.len()];
        for (place, item) in all.into_iter().enumerate() {
            let part = parts.entry(self.is_shared().then_some(item.due.lane)).or_default();
            part.0.push(place);
            part.1.push(item);
        }
        for (places, part) in parts.into_values() {
            let work =
                self.writer.cold_bulk(move |db, _| Box::pin(async move { follow_up(db, &part).await }));
            let (some, queued) = work.await?;
            self.hints.queued(queued.into_iter());
            for (place, one) in places.into_iter().zip(some) {
                counted[place] = one;
            }
        }
        self.hints.something_settled();
        Ok(counted)
    }
}

async fn read(
    readers: &Readers,
    lane: Lane,
    queue: Queue,
    now: Millis,
    limit: i64,
) -> Result<Vec<Due>, StoreError> {
    let query = db::query(DUE).bind(lane.0).bind(queue.0).bind(now).bind(limit);
    let rows = query.fetch_all(readers).await?;
    rows.iter()
        .map(|row| {
            let due_at: Millis = row.try_get(0)?;
            let attempt_at: Option<Millis> = row.try_get(4)?;
            let state =
                State::try_from(row.try_get::<i16>(2)?).map_err(|_| StoreError::Corrupt("message_state"))?;
            Ok(Due {
                lane,
                queue,
                due_at,
                id: MessageId(uuid(&row.try_get::<Vec<u8>>(1)?)?),
                attempt: row.try_get(3)?,
                errcode: row.try_get(5)?,
                cancel_requested: row.try_get(6)?,
                expire_at: row.try_get(7)?,
                // A later attempt has a place of its own.
                unresolved: state == State::Unknown
                    && attempt_at.is_none_or(|at| at.saturating_add(UNKNOWN_GRACE) <= due_at),
            })
        })
        .collect()
}

/// What [`follow_up`] gives: which counted, and the queues that got messages.
type Followed = (Vec<bool>, Vec<(Lane, Queue)>);

async fn follow_up(db: &mut Db, all: &[FollowUp]) -> Result<Followed, StoreError> {
    let Some(lane) = all.first().map(|item| item.due.lane.0) else { return Ok((Vec::new(), Vec::new())) };
    db.in_lane(lane);
    let epochs = super::epochs(db, all.iter().map(|item| item.due.lane.0)).await?;
    let ours = |item: &FollowUp| epochs.get(&item.due.lane.0) == Some(&item.epoch);
    let mut taken = take(db, all.iter().filter(|item| ours(item))).await?;
    let positions = positions(db, all).await?;
    let mut counted = Vec::with_capacity(all.len());
    let (mut states, mut resent, mut released) = (Vec::new(), Vec::new(), Vec::new());
    let mut moves = Vec::new();
    for item in all {
        // Whoever takes the place decides; one that stands twice in a batch is taken once.
        let ours = ours(item) && taken.remove(&(item.due.due_at, item.due.id.0));
        let found = positions.get(&item.due.id.0).filter(|(_, attempt)| *attempt == item.due.attempt);
        let after = match (found, item.event) {
            (Some((before, _)), Some(event))
                if ours
                    && before.state == State::Unknown
                    // A cancel that came since it was read forbids the policy's resend.
                    && !(event == Event::Resend && before.cancel_requested) =>
            {
                transition(before, &event).ok()
            }
            _ => None,
        };
        counted.push(after.is_some());
        let Some(after) = after else { continue };
        let id = hex(item.due.id.0);
        moves.push((id.clone(), State::Unknown.code(), after.state.code()));
        let queued = after.state == State::Queued;
        states.push((id.clone(), after.state.code(), after.cancel_requested, queued.then_some(item.at)));
        if queued {
            resent.push(id);
        } else if !after.state.is_open() {
            released.push(id);
        }
    }
    if states.is_empty() {
        return Ok((counted, Vec::new()));
    }
    let resent = json(&resent)?;
    // The last attempt leaves the row for the next one.
    db::query(KEEP_ATTEMPTS).bind(&resent).execute(&mut *db).await?;
    db::query(WRITE).bind(json(&states)?).execute(&mut *db).await?;
    let mut tally = Tally::counting(all.iter().map(|item| item.at).max().unwrap_or(0));
    tally.moved_all(db, &moves).await?;
    tally.write(db).await?;
    db::query(REQUEUE).bind(&resent).execute(&mut *db).await?;
    db::query(RELEASE).bind(json(&released)?).execute(&mut *db).await?;
    let rows = db::query(
        "select distinct m.lane, m.queue from [$1 each: id id] b join message m on m.id = b.id{m.id}",
    )
    .bind(&resent)
    .fetch_all(db)
    .await?;
    let queued = rows
        .iter()
        .map(|row| Ok((Lane(row.try_get(0)?), Queue(row.try_get(1)?))))
        .collect::<Result<_, StoreError>>()?;
    Ok((counted, queued))
}

/// Takes places; gives those that were still there.
async fn take(
    db: &mut Db,
    all: impl Iterator<Item = &FollowUp>,
) -> Result<HashSet<(Millis, Uuid)>, StoreError> {
    let rows: Vec<_> =
        all.map(|FollowUp { due, .. }| (due.lane.0, due.queue.0, due.due_at, hex(due.id.0))).collect();
    db::query(TAKE)
        .bind(json(&rows)?)
        .fetch_all(db)
        .await?
        .iter()
        .map(|row| Ok((row.try_get(0)?, uuid(&row.try_get::<Vec<u8>>(1)?)?)))
        .collect()
}

async fn positions(db: &mut Db, all: &[FollowUp]) -> Result<HashMap<Uuid, (Position, i64)>, StoreError> {
    let ids: Vec<_> = all.iter().filter(|item| item.event.is_some()).map(|item| hex(item.due.id.0)).collect();
    db::query(POSITIONS)
        .bind(json(&ids)?)
        .fetch_all(db)
        .await?
        .iter()
        .map(|row| {
            let id = uuid(&row.try_get::<Vec<u8>>(0)?)?;
            Ok((id, (receipts::position(row, 1)?, row.try_get(5)?)))
        })
        .collect()
}
