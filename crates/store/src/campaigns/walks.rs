//! Walks over the messages of a campaign: a cancel takes out of the queue what waits there; resend-failed puts back what
//! was not sent. A chunk per commit, by the lane's owner.

use domain::message::{Event, OutcomeKind, Position, State, transition};
use domain::{Lane, MessageId, Millis};

use crate::Store;
use crate::db::{self, Db, Row};
use crate::error::StoreError;
use crate::hot::enqueue::Queue;
use crate::hot::tally::Tally;
use crate::hot::{epochs, hex, json, receipts, settle, unknown, uuid};

/// Why a cancelled campaign's messages were not sent.
const CANCELLED: &str = "campaign_cancelled";

const WAITING: &str = "
select s.id, s.state, s.outcome, s.receipt, s.cancel_requested, m.template, m.openid, s.attempt_at, r.due_at
from (select id, due_at from ready where lane = $1 and queue = $2 order by due_at, id limit $3) r
join message_state s on s.id = r.id and s.lane = $1 join message m on m.id = r.id and m.lane = $1";
const UNQUEUE: &str = "
delete from ready where lane = $1 and queue = $2 and (due_at, id) in
    (select b.due_at, b.id from [$3: due_at int8, id id] b)";
const WRITE: &str = "
update message_state as s set state = b.state, outcome = b.outcome, receipt = b.receipt, cancel_requested = b.wish, reason = b.reason
from [$1: id id, state int2, outcome int2, receipt int2, wish boolean, reason text] b where s.id = b.id{s.id}";

const STANDS: &str = "
select l.resent_to, l.first_id, l.last_id, c.resend from campaign_lane l join campaign c on c.number = l.campaign
where l.campaign = $1 and l.lane = $2 and l.resent_to is not null";
const NOT_SENT: &str = "
select s.id, s.state, s.outcome, s.receipt, s.cancel_requested, m.template, m.openid, s.reason, m.queue = $3 and m.lane = $4, m.data = '{}'
from (select id, queue, lane, template, openid, data from message where id > $1 and id <= $2<<| and lane = $4>> order by id limit $5) m
join message_state s on s.id = m.id and s.lane = m.lane order by s.id";
const KEEP_ATTEMPTS: &str = "
insert into attempt (lane, message, number, at, errcode, errmsg, ambiguous)
select lane, id, attempts, attempt_at, errcode, errmsg, coalesce(outcome = 4, false) from message_state
where id in (select b.id from [$1: id id] b) and attempts > 0 and attempt_at is not null{message_state}
on conflict do nothing";
const AGAIN: &str = "
update message_state as s set state = b.state, outcome = b.outcome, receipt = null, cancel_requested = false, reason = null, due_at = $2,
    errcode = null, errmsg = null, msgid = null, receipt_at = null, receipt_code = null, receipt_status = null
from [$1: id id, state int2, outcome int2] b where s.id = b.id{s.id}";
const LIVES: &str = "
update message set expire_at = $2 where id in (select b.id from [$1: id id] b){message}";
const REQUEUE: &str = "
insert into ready (lane, queue, due_at, id, expire_at)
select $2, $3, $4, b.id, $5 from [$1: id id] b where true on conflict do nothing";
const RESERVE: &str = "
insert into reserved (lane, template, openid, id)
select $2, b.template, b.openid, b.id from [$1: id id, state int2, outcome int2, template int8, openid text] b where true
on conflict do nothing";
const STAND: &str = "update campaign_lane set resent_to = $3 where campaign = $1 and lane = $2";

/// Skipped for these reasons, a message cannot be sent whatever is done.
const HOPELESS: [&str; 3] = ["invalid", "unknown_recipient", "duplicate"];

impl Store {
    /// Takes up to `limit` of a cancelled campaign's waiting messages out of a lane's queue; gives how many there were.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn sweep_campaign(
        &self,
        number: i64,
        lane: Lane,
        epoch: i64,
        limit: i64,
    ) -> Result<usize, StoreError> {
        let swept = self
            .writer
            .cold_bulk(move |db, _| Box::pin(sweep(db, Queue::of_campaign(number), lane, epoch, limit)))
            .await?;
        if swept > 0 {
            self.hints.something_settled();
        }
        Ok(swept)
    }

    /// Puts the next of a campaign's messages that were not sent back into a lane's queue, looking at up to `examined`;
    /// gives whether the lane is done.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn resend_campaign(
        &self,
        number: i64,
        lane: Lane,
        epoch: i64,
        (now, expire_at): (Millis, Millis),
        examined: i64,
    ) -> Result<bool, StoreError> {
        let done = self
            .writer
            .cold_bulk(move |db, _| Box::pin(resend(db, number, lane, epoch, (now, expire_at), examined)))
            .await?;
        self.hints.queued(std::iter::once((lane, Queue::of_campaign(number))));
        Ok(done)
    }
}

/// State, outcome, receipt and wish of a message, as they are written.
fn columns(id: &str, at: &Position) -> (String, i16, Option<i16>, Option<i16>, bool) {
    let outcome = at.outcome.map(OutcomeKind::code);
    (
        id.to_owned(),
        at.state.code(),
        outcome,
        at.receipt.map(domain::message::Receipt::code),
        at.cancel_requested,
    )
}

fn id(row: &Row) -> Result<MessageId, StoreError> {
    Ok(MessageId(uuid(row.try_get(0)?)?))
}

async fn sweep(db: &mut Db, queue: Queue, lane: Lane, epoch: i64, limit: i64) -> Result<usize, StoreError> {
    db.in_lane(lane.0);
    if epochs(db, std::iter::once(lane.0)).await?.get(&lane.0) != Some(&epoch) {
        return Ok(0);
    }
    let query = db::query(WAITING).bind(lane.0).bind(queue.0).bind(limit);
    let rows = query.fetch_all(&mut *db).await?;
    let (mut places, mut states, mut released, mut unresolved) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut tally = Tally::default();
    for row in &rows {
        let text = hex(id(row)?.0);
        places.push((row.try_get::<i64>(8)?, text.clone()));
        let before = receipts::position(row, 1)?;
        let Ok(after) = transition(&before, &Event::Cancel) else { continue };
        tally.moved(id(row)?, queue.campaign(), lane.0, before.state, after.state);
        let (state, outcome, receipt, wish) = {
            let columns = columns(&text, &after);
            (columns.1, columns.2, columns.3, columns.4)
        };
        let reason = (after.state == State::Cancelled).then_some(CANCELLED);
        states.push((text.clone(), state, outcome, receipt, wish, reason));
        if after.state == State::Unknown {
            unresolved.push((text, row.try_get::<Option<i64>>(7)?.unwrap_or(0)));
        } else if !after.state.is_open() {
            released.push((lane.0, row.try_get::<i64>(5)?, row.try_get::<String>(6)?, text));
        }
    }
    if rows.is_empty() {
        return Ok(0);
    }
    released.sort_unstable();
    let query = db::query(UNQUEUE).bind(lane.0).bind(queue.0);
    query.bind(json(&places)?).execute(&mut *db).await?;
    db::query(WRITE).bind(json(&states)?).execute(&mut *db).await?;
    db::query(settle::RELEASE).bind(json(&released)?).execute(&mut *db).await?;
    tally.write(db).await?;
    unknown::watch(db, &unresolved).await?;
    Ok(rows.len())
}

async fn resend(
    db: &mut Db,
    number: i64,
    lane: Lane,
    epoch: i64,
    (now, expire_at): (Millis, Millis),
    examined: i64,
) -> Result<bool, StoreError> {
    db.in_lane(lane.0);
    if epochs(db, std::iter::once(lane.0)).await?.get(&lane.0) != Some(&epoch) {
        return Ok(true);
    }
    let queue = Queue::of_campaign(number);
    let stands = db::query(STANDS).bind(number).bind(lane.0).fetch_optional(&mut *db).await?;
    let Some(stands) = stands else { return Ok(true) };
    let from: Vec<u8> = stands.try_get(0)?;
    let last: Option<Vec<u8>> = stands.try_get(2)?;
    let wanted: Vec<i16> = stands
        .try_get::<Option<String>>(3)?
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    // One id before the first.
    let from = match (from.is_empty(), stands.try_get::<Option<Vec<u8>>>(1)?) {
        (true, Some(first)) => uuid::Uuid::from_u128(
            uuid::Uuid::from_slice(&first).map_err(|_| StoreError::Corrupt("an id"))?.as_u128() - 1,
        )
        .as_bytes()
        .to_vec(),
        _ => from,
    };
    let rows = match &last {
        Some(last) => {
            let query = db::query(NOT_SENT).bind(from).bind(last).bind(queue.0).bind(lane.0);
            query.bind(examined).fetch_all(&mut *db).await?
        }
        None => Vec::new(),
    };
    let mut tally = Tally::default();
    let mut again = Vec::new();
    for row in &rows {
        let (openid, reason): (String, Option<String>) = (row.try_get(6)?, row.try_get(7)?);
        let before = receipts::position(row, 1)?;
        // What it said may be gone by now (`retention`).
        let hopeless =
            reason.is_some_and(|reason| HOPELESS.contains(&reason.as_str())) || row.try_get::<bool>(9)?;
        if !row.try_get::<bool>(8)? || !wanted.contains(&before.state.code()) || openid.is_empty() || hopeless
        {
            continue;
        }
        let Ok(after) = transition(&before, &Event::Resend) else { continue };
        tally.moved(id(row)?, Some(number), lane.0, before.state, after.state);
        let outcome = after.outcome.map(OutcomeKind::code);
        again.push((hex(id(row)?.0), after.state.code(), outcome, row.try_get::<i64>(5)?, openid));
    }
    let done = i64::try_from(rows.len()).unwrap_or(0) < examined;
    let stand = if done { None } else { rows.last().map(|row| row.try_get::<Vec<u8>>(0)).transpose()? };
    let query = db::query(STAND).bind(number).bind(lane.0).bind(stand);
    query.execute(&mut *db).await?;
    if again.is_empty() {
        return Ok(done);
    }
    let batch = json(&again)?;
    let lane = lane.0;
    db::query(KEEP_ATTEMPTS).bind(&batch).execute(&mut *db).await?;
    db::query(AGAIN).bind(&batch).bind(now).execute(&mut *db).await?;
    db::query(LIVES).bind(&batch).bind(expire_at).execute(&mut *db).await?;
    let query = db::query(REQUEUE).bind(&batch).bind(lane).bind(queue.0).bind(now).bind(expire_at);
    query.execute(&mut *db).await?;
    db::query(RESERVE).bind(&batch).bind(lane).execute(&mut *db).await?;
    tally.write(db).await?;
    Ok(done)
}
