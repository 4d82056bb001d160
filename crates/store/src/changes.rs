//! What people and time do to a message that is stored: cancel, resend, expire; and waiting for what becomes of one.
//! Used by the service and the engine's sweeps.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::message::{Event, Position, State, transition};
use domain::{Lane, MessageId, Millis};

use crate::Store;
use crate::db::{self, Db};
use crate::error::StoreError;
use crate::hot::enqueue::Queue;
use crate::hot::tally::Tally;
use crate::hot::{hex, json, receipts, settle, unknown, uuid};
use crate::messages::StoredMessage;

/// A place in the ready table.
pub type ReadyKey = (i64, i64, i64, Vec<u8>);

/// Messages that are ended in one turn of a lane: each takes several statements, and whoever else writes there waits.
const PER_TURN: usize = 128;

/// The fields of a message whose contents are gone.
pub(crate) const CLEARED: &str = "{}";

/// 4: the outcome `unknown`.
const KEEP_ATTEMPT: &str = "
insert into attempt (lane, message, number, at, errcode, errmsg, ambiguous)
select lane, id, attempts, attempt_at, errcode, errmsg, coalesce(outcome = 4, false) from message_state
where id = $1{message_state} and attempts > 0 and attempt_at is not null on conflict do nothing";
const FORGET_RECEIPT: &str = "
update message_state set msgid = null, receipt_at = null, receipt_code = null, receipt_status = null where id = $1{message_state}";

/// Where a page of the queues ends.
const NEXT: &str = "
select lane, queue, due_at, id from ready
where <<(lane, queue, due_at, id) > ($1, $2, $3, $4) and lane <= $5|lane = $1 and (queue, due_at, id) > ($2, $3, $4)>>
order by lane, queue, due_at, id limit 1 offset $6";
const OVER: &str = "
select queue, id from ready
where <<(lane, queue, due_at, id) > ($1, $2, $3, $4) and (lane, queue, due_at, id) <= ($5, $6, $7, $8)|
    lane = $1 and (queue, due_at, id) > ($2, $3, $4) and (queue, due_at, id) <= ($6, $7, $8)>> and expire_at <= $9";

impl Store {
    /// Cancels a message that waits; forbids another attempt of one that is being sent or `unknown`.
    ///
    /// Gives the position after; unchanged where it was too late.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn cancel(&self, app: i64, id: MessageId) -> Result<Option<(Position, Position)>, StoreError> {
        let changed =
            self.writer.cold(move |db, _| Box::pin(change(db, app, id, Event::Cancel, None))).await?;
        if changed.is_some_and(|(_, after)| after.state == State::Sending && after.cancel_requested) {
            self.hints.forbid(id);
        }
        self.hints.something_settled();
        Ok(changed)
    }

    /// Puts a message that ended without being accepted back into its queue: the same message, a new attempt.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn resend(
        &self,
        app: i64,
        id: MessageId,
        now: Millis,
        expire_at: Millis,
    ) -> Result<Option<(Position, Position)>, StoreError> {
        let changed = self
            .writer
            .cold(move |db, _| Box::pin(change(db, app, id, Event::Resend, Some((now, expire_at)))))
            .await?;
        if changed.is_some_and(|(before, after)| before != after)
            && let Some(message) = self.message(app, id).await?
        {
            self.hints.queued(std::iter::once((id.lane(), message.queue)));
        }
        Ok(changed)
    }

    /// Ends the messages of a page of these lanes' queues whose time is over; gives how many, and where to go on.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn expire(
        &self,
        lanes: &[Lane],
        now: Millis,
        after: Option<ReadyKey>,
        examined: i64,
    ) -> Result<(u64, Option<ReadyKey>), StoreError> {
        let begin = (-1, 0, 0, Vec::new());
        let mut after = after.unwrap_or(begin);
        // Of a shared database a page is of one lane, the next of ours.
        let last = if self.is_shared() {
            let ours = lanes.iter().map(|lane| i64::from(lane.0)).find(|lane| *lane >= after.0);
            let Some(lane) = ours else { return Ok((0, None)) };
            if lane != after.0 {
                after = (lane, i64::MIN, i64::MIN, Vec::new());
            }
            lane
        } else {
            i64::from(i32::MAX)
        };
        // The database looks at the page itself: rows handed out one by one would cost a fifth of a processor beside a waiting million.
        let next: Option<ReadyKey> = db::query_as(NEXT)
            .bind(after.0)
            .bind(after.1)
            .bind(after.2)
            .bind(&after.3)
            .bind(last)
            .bind(examined - 1)
            .fetch_optional(&self.readers)
            .await?;
        let to = next.clone().unwrap_or((last, i64::MAX, i64::MAX, vec![0xff; 17]));
        let expired: Vec<(i64, Vec<u8>)> = db::query_as(OVER)
            .bind(after.0)
            .bind(after.1)
            .bind(after.2)
            .bind(&after.3)
            .bind(to.0)
            .bind(to.1)
            .bind(to.2)
            .bind(to.3)
            .bind(now)
            .fetch_all(&self.readers)
            .await?;
        let next = next.or_else(|| self.is_shared().then(|| (last + 1, i64::MIN, i64::MIN, Vec::new())));
        let over = expired
            .into_iter()
            .filter(|(queue, _)| !Queue(*queue).is_unknown())
            .map(|(_, id)| uuid(&id).map(MessageId))
            .collect::<Result<Vec<_>, _>>()?;
        let mut ended = 0;
        for part in self.parts(over) {
            ended += self
                .writer
                .cold_bulk(move |db, _| {
                    Box::pin(async move {
                        let mut ended = 0;
                        take_turn(db, &part).await?;
                        for id in part {
                            ended += u64::from(leave(db, id, Event::Expire).await?.is_some());
                        }
                        Ok(ended)
                    })
                })
                .await?;
        }
        if ended > 0 {
            self.hints.something_settled();
        }
        Ok((ended, next))
    }

    /// Ends messages that wait and are not to be tried, with the reason why; gives how many.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn skip(&self, ids: Vec<MessageId>, reason: &'static str) -> Result<u64, StoreError> {
        let mut skipped = 0;
        for part in self.parts(ids) {
            skipped += self
                .writer
                .cold_bulk(move |db, _| {
                    Box::pin(async move {
                        let mut skipped = 0;
                        take_turn(db, &part).await?;
                        for id in part {
                            if leave(db, id, Event::Skip)
                                .await?
                                .is_some_and(|after| after.state == State::Skipped)
                            {
                                skipped += 1;
                                db::query(
                                    "update message_state set reason = $2 where id = $1{message_state}",
                                )
                                .bind(id.0.as_bytes().as_slice())
                                .bind(reason)
                                .execute(&mut *db)
                                .await?;
                            }
                        }
                        Ok(skipped)
                    })
                })
                .await?;
        }
        self.hints.something_settled();
        Ok(skipped)
    }

    /// Messages to be changed in one transaction each: all on a file, some of one lane on a shared database.
    fn parts(&self, ids: Vec<MessageId>) -> Vec<Vec<MessageId>> {
        if ids.is_empty() {
            return Vec::new();
        }
        if !self.is_shared() {
            return vec![ids];
        }
        let mut parts: BTreeMap<Lane, Vec<MessageId>> = BTreeMap::new();
        for id in ids {
            parts.entry(id.lane()).or_default().push(id);
        }
        parts.values().flat_map(|part| part.chunks(PER_TURN)).map(<[_]>::to_vec).collect()
    }

    /// Waits until a message has left `queued` and `sending`, or the time is over; gives what it is then.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn wait_settled(
        &self,
        app: i64,
        id: MessageId,
        patience: Duration,
    ) -> Result<Option<StoredMessage>, StoreError> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let changed = self.hints.settled();
            let message = self.message(app, id).await?;
            let over = message.as_ref().is_none_or(|m| m.position.state.list().is_some());
            if over || tokio::time::Instant::now() >= deadline {
                return Ok(message);
            }
            // Another process may be the one that sends: then only looking again tells.
            let look_again = tokio::time::sleep(Duration::from_millis(100));
            tokio::select! {
                () = changed => {}
                () = look_again => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }
}

/// The turn of the lane that all of these are of, on an engine that has turns.
async fn take_turn(db: &mut Db, ids: &[MessageId]) -> Result<(), StoreError> {
    let Some(lane) = ids.first().map(|id| id.lane().0) else { return Ok(()) };
    crate::hot::turn(db.in_lane(lane), lane).await
}

/// Applies a person's event to one message under the rules of the transition table.
async fn change(
    db: &mut Db,
    app: i64,
    id: MessageId,
    event: Event,
    requeue: Option<(Millis, Millis)>,
) -> Result<Option<(Position, Position)>, StoreError> {
    take_turn(db, &[id]).await?;
    let row = db::query(
        "select s.state, s.outcome, s.receipt, s.cancel_requested, m.queue, m.template, m.openid, m.data
         from message_state s join message m on m.id = s.id{m} where s.id = $1{s} and m.app = $2",
    )
    .bind(id.0.as_bytes().as_slice())
    .bind(app)
    .fetch_optional(&mut *db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let before = receipts::position(&row, 0)?;
    let Ok(after) = transition(&before, &event) else { return Ok(Some((before, before))) };
    if let Some((now, expire_at)) = requeue {
        let (lane, queue, template): (u16, i64, i64) = (id.lane().0, row.try_get(4)?, row.try_get(5)?);
        let openid: String = row.try_get(6)?;
        if openid.is_empty() || row.try_get::<&str>(7)? == CLEARED {
            // The person is erased, or what it said is: there is nobody to send it to, or nothing to say.
            return Ok(Some((before, before)));
        }
        // The last attempt leaves the row for the next one; its msgid would catch receipts that are not of that one.
        db::query(KEEP_ATTEMPT).bind(id.0.as_bytes().as_slice()).execute(&mut *db).await?;
        write_position(db, id, &before, &after, Some(now)).await?;
        db::query(FORGET_RECEIPT).bind(id.0.as_bytes().as_slice()).execute(&mut *db).await?;
        db::query("update message set expire_at = $2 where id = $1{message}")
            .bind(id.0.as_bytes().as_slice())
            .bind(expire_at)
            .execute(&mut *db)
            .await?;
        db::query("insert into ready (lane, queue, due_at, id, expire_at) values ($1, $2, $3, $4, $5)")
            .bind(lane)
            .bind(queue)
            .bind(now)
            .bind(id.0.as_bytes().as_slice())
            .bind(expire_at)
            .execute(&mut *db)
            .await?;
        db::query("insert into reserved (lane, template, openid, id) values ($1, $2, $3, $4) on conflict do nothing")
            .bind(lane).bind(template).bind(openid).bind(id.0.as_bytes().as_slice())
            .execute(db)
            .await?;
    } else if matches!(before.state, State::Sending | State::Unknown) {
        write_position(db, id, &before, &after, None).await?;
    } else if leave(db, id, event).await?.is_none() {
        return Ok(Some((before, before)));
    }
    Ok(Some((before, after)))
}

/// Takes a waiting message out of its queue for good.
pub(crate) async fn leave(db: &mut Db, id: MessageId, event: Event) -> Result<Option<Position>, StoreError> {
    let row = db::query(
        "select s.state, s.outcome, s.receipt, s.cancel_requested, m.queue, s.due_at, m.template, m.openid, s.attempt_at
         from message_state s join message m on m.id = s.id{m} where s.id = $1{s}",
    )
    .bind(id.0.as_bytes().as_slice())
    .fetch_one(&mut *db)
    .await?;
    let before = receipts::position(&row, 0)?;
    let Ok(after) = transition(&before, &event) else { return Ok(None) };
    // Whoever deletes the row decides: an arming that was faster leaves nothing to delete.
    let gone = db::query("delete from ready where lane = $1 and queue = $2 and due_at = $3 and id = $4")
        .bind(id.lane().0)
        .bind(row.try_get::<i64>(4)?)
        .bind(row.try_get::<i64>(5)?)
        .bind(id.0.as_bytes().as_slice())
        .execute(&mut *db)
        .await?;
    if gone.rows_affected() == 0 {
        return Ok(None);
    }
    write_position(db, id, &before, &after, None).await?;
    if after.state == State::Unknown {
        let since = row.try_get::<Option<i64>>(8)?.unwrap_or(0);
        return unknown::watch(db, &[(hex(id.0), since)]).await.map(|()| Some(after));
    }
    if !after.state.is_open() {
        let reserved = [(id.lane().0, row.try_get::<i64>(6)?, row.try_get::<String>(7)?, hex(id.0))];
        db::query(settle::RELEASE).bind(json(&reserved)?).execute(db).await?;
    }
    Ok(Some(after))
}

pub(crate) async fn write_position(
    db: &mut Db,
    id: MessageId,
    before: &Position,
    position: &Position,
    due_at: Option<Millis>,
) -> Result<(), StoreError> {
    db::query(
        "update message_state set state = $2, outcome = $3, receipt = $4, cancel_requested = $5,
             due_at = coalesce($6, due_at) where id = $1{message_state}",
    )
    .bind(id.0.as_bytes().as_slice())
    .bind(position.state.code())
    .bind(position.outcome.map(domain::message::OutcomeKind::code))
    .bind(position.receipt.map(domain::message::Receipt::code))
    .bind(position.cancel_requested)
    .bind(due_at)
    .execute(&mut *db)
    .await?;
    let mut tally = Tally::default();
    tally.moved_all(db, &[(hex(id.0), before.state.code(), position.state.code())]).await?;
    tally.write(db).await
}
