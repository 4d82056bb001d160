//! Arming: the attempt is durable before the call starts (I5). A row that is no longer there (cancelled,
//! expired, already armed) or a lane that is no longer ours (I7) is not armed.

use std::collections::HashSet;

use domain::message::State;
use domain::{Lane, MessageId, Millis};
use uuid::Uuid;

use super::enqueue::Queue;
use super::tally::Tally;
use super::{hex, json, uuid, values};
use crate::db::{self, Db};
use crate::error::StoreError;
use crate::writing::Batch;
use crate::writing::Context;

/// A message about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Arm {
    /// The lane and the epoch under which it is owned.
    pub lane: Lane,
    /// The owner's epoch: an older one arms nothing.
    pub epoch: i64,
    /// Where it waits.
    pub queue: Queue,
    /// Since when it is due.
    pub due_at: Millis,
    /// Which.
    pub id: MessageId,
    /// `scheduled` or `queued`, as it was claimed.
    pub before: State,
    /// The number of this attempt, from 1.
    pub attempt: i64,
    /// Now.
    pub at: Millis,
    /// It was asked for before, and nobody knows whether that was kept: then what is armed under this attempt and epoch is
    /// this. Only for whoever knows that no call of it was started.
    pub doubtful: bool,
}

/// How many of these wait and may still go out.
const WAITING: &str = "
select count(*) from [$1: lane int2, epoch int8, queue int8, due_at int8, id id] b
join ready r on r.lane = b.lane and r.queue = b.queue and r.due_at = b.due_at and r.id = b.id and r.expire_at > $2{r}";
const TAKE: &str = "
delete from ready where (lane, queue, due_at, id) in
    (select b.lane, b.queue, b.due_at, b.id from [$1: lane int2, epoch int8, queue int8, due_at int8, id id] b)
    and expire_at > $2{ready}";
const AND_TELL: &str = " returning queue, due_at, id";
const KEPT: &str = "
select f.id from [$1: lane int2, id id, attempt int8, epoch int8] b
join in_flight f on f.lane = b.lane and f.id = b.id and f.attempt = b.attempt and f.epoch = b.epoch{f}";
const FLY: &str = "insert into in_flight (lane, id, attempt, epoch)";
const MARK: &str = "
update message_state set state = $2, attempts = b.attempt, attempt_at = b.at
from [$1: lane int2, epoch int8, queue int8, due_at int8, id id, attempt int8, at int8] b
where message_state.id = b.id{message_state.id}";

type Columns = (u16, i64, i64, i64, String, i64, i64);

/// The columns of a row, as they stand in the batch.
fn columns(arm: &Arm) -> Columns {
    (arm.lane.0, arm.epoch, arm.queue.0, arm.due_at, hex(arm.id.0), arm.attempt, arm.at)
}

pub(crate) struct Arming;

impl Batch for Arming {
    type Item = Arm;
    type Outcome = bool;
    const OWNED: bool = true;

    fn lane(item: &Arm) -> u16 {
        item.lane.0
    }

    async fn run(db: &mut Db, items: &[Arm], _context: &Context) -> Result<Vec<bool>, StoreError> {
        let now = items.iter().map(|arm| arm.at).max().unwrap_or(0);
        let epochs = super::epochs(db, items.iter().map(|arm| arm.lane.0)).await?;
        let ours = |arm: &Arm| epochs.get(&arm.lane.0) == Some(&arm.epoch);
        let mut asked: Vec<_> = items.iter().filter(|arm| ours(arm)).map(columns).collect();
        asked.sort_unstable_by(|a, b| a.4.cmp(&b.4));
        let mut taken = take(db, &asked, now).await?;
        let found = kept(db, items.iter().filter(|arm| arm.doubtful && ours(arm))).await?;
        let again = items.iter().filter(|arm| found.contains(&arm.id));
        taken.extend(again.map(|arm| (arm.queue.0, arm.due_at, arm.id.0)));
        // A message that two callers of one commit ask for is armed once: the row is taken out of the set.
        let armed: Vec<bool> =
            items.iter().map(|arm| ours(arm) && taken.remove(&(arm.queue.0, arm.due_at, arm.id.0))).collect();
        let fresh = |arm: &&Arm| !found.contains(&arm.id);
        let mut rows: Vec<&Arm> =
            items.iter().zip(&armed).filter(|(_, armed)| **armed).map(|(arm, _)| arm).filter(fresh).collect();
        rows.sort_unstable_by_key(|arm| (arm.lane, arm.id));
        for part in rows.chunks(values::MOST) {
            values::insert(db.engine(), FLY, part, "", |query, arm| {
                query.bind(arm.lane.0).bind(arm.id.0.as_bytes().as_slice()).bind(arm.attempt).bind(arm.epoch)
            })
            .execute(&mut *db)
            .await?;
        }
        if !rows.is_empty() {
            let mut tally = Tally::default();
            for arm in &rows {
                tally.moved(arm.id, arm.queue.campaign(), arm.lane.0, arm.before, State::Sending);
            }
            tally.write(db).await?;
            let mut rows: Vec<_> = rows.into_iter().map(columns).collect();
            rows.sort_unstable_by(|a, b| a.4.cmp(&b.4));
            db::query(MARK).bind(json(&rows)?).bind(State::Sending.code()).execute(db).await?;
        }
        Ok(armed)
    }

    /// Nobody was told that it is armed, so no call of it was started.
    async fn run_again(db: &mut Db, items: &[Arm], context: &Context) -> Result<Vec<bool>, StoreError> {
        let items: Vec<Arm> = items.iter().map(|arm| Arm { doubtful: true, ..*arm }).collect();
        Self::run(db, &items, context).await
    }
}

/// Takes messages out of their queues; gives which of them were there.
async fn take(db: &mut Db, asked: &[Columns], now: Millis) -> Result<HashSet<(i64, i64, Uuid)>, StoreError> {
    let batch = json(asked)?;
    let all: Result<HashSet<_>, StoreError> = asked
        .iter()
        .map(|row| Ok((row.2, row.3, Uuid::try_parse(&row.4).map_err(|_| StoreError::Corrupt("an id"))?)))
        .collect();
    let all = all?;
    let waiting: i64 = db::query_scalar(WAITING).bind(&batch).bind(now).fetch_one(&mut *db).await?;
    // Nearly always all of them: then they need not be told one by one.
    if usize::try_from(waiting).ok() == Some(all.len()) {
        db::query(TAKE).bind(&batch).bind(now).execute(db).await?;
        return Ok(all);
    }
    db::query(format!("{TAKE}{AND_TELL}"))
        .bind(&batch)
        .bind(now)
        .fetch_all(db)
        .await?
        .into_iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, uuid(row.try_get(2)?)?)))
        .collect()
}

/// Those that are armed already.
async fn kept(db: &mut Db, doubtful: impl Iterator<Item = &Arm>) -> Result<HashSet<MessageId>, StoreError> {
    let rows: Vec<_> = doubtful.map(|arm| (arm.lane.0, hex(arm.id.0), arm.attempt, arm.epoch)).collect();
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    db::query(KEPT)
        .bind(json(&rows)?)
        .fetch_all(db)
        .await?
        .iter()
        .map(|row| Ok(MessageId(uuid(row.try_get(0)?)?)))
        .collect()
}
