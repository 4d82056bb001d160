//! Reading messages, and the few things that people do to one: cancel, resend. Used by the service.

use std::time::Duration;

use domain::message::{Event, Position, State, transition};
use domain::{MessageId, Millis};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use crate::Store;
use crate::error::StoreError;
use crate::hot::enqueue::{Enqueued, NewMessage, Queue};
use crate::hot::{hex, json, receipts, settle, uuid};
use crate::sqlite::writer::Job;

/// An earlier or the present attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: Millis,
    /// WeChat's errcode, where it answered.
    pub errcode: Option<i64>,
    /// WeChat's errmsg, or why there was no answer.
    pub errmsg: Option<String>,
    /// Whether it may have been sent all the same.
    pub ambiguous: bool,
}

/// What the sent event said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReceipt {
    /// When it came.
    pub at: Millis,
    /// 0 where it arrived.
    pub error_code: i64,
    /// WeChat's word.
    pub error_status: String,
}

/// A message with all that is known of it.
#[derive(Debug, Clone)]
pub struct StoredMessage {
    /// Which.
    pub id: MessageId,
    /// The app.
    pub app: i64,
    /// WeChat's template id.
    pub template_id: String,
    /// To whom.
    pub openid: String,
    /// Where it waited or waits.
    pub queue: Queue,
    /// The fields and their values as a JSON object.
    pub data: String,
    /// The page that the card opens.
    pub page: Option<String>,
    /// developer, trial or formal.
    pub version: String,
    /// The card's language.
    pub lang: String,
    /// When it was or is due.
    pub due_at: Millis,
    /// Not after this.
    pub expire_at: Millis,
    /// State, outcome, receipt, cancel.
    pub position: Position,
    /// Every attempt, oldest first.
    pub attempts: Vec<Attempt>,
    /// WeChat's number of the message.
    pub msgid: Option<i64>,
    /// Last errcode.
    pub errcode: Option<i64>,
    /// Last errmsg.
    pub errmsg: Option<String>,
    /// The sent event.
    pub receipt: Option<StoredReceipt>,
}

/// What a list is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct MessageFilter {
    /// Only these states.
    pub state: Option<State>,
    /// Only to this openid.
    pub openid: Option<String>,
    /// Only this template (by number).
    pub template: Option<i64>,
    /// Not older than this.
    pub since: Option<Millis>,
    /// Older than this.
    pub until: Option<Millis>,
}

/// A page of a list, newest first.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<MessageId>,
}

/// Rows that a filtered page looks at before it gives a cursor instead.
const EXAMINED: i64 = 10_000;

const COLUMNS: &str = "m.id, m.app, t.template_id, m.openid, m.queue, m.data, m.page, m.version, m.lang, s.due_at, \
    m.expire_at, s.state, s.outcome, s.receipt, s.cancel_requested, s.attempts, s.attempt_at, s.errcode, s.errmsg, \
    s.msgid, s.receipt_at, s.receipt_code, s.receipt_status \
    from message m join message_state s on s.id = m.id join template t on t.id = m.template";
const ONE: &str = "where m.id = $1 and m.app = $2";
/// A page looks at no more than so many rows, whatever the filter lets through.
const LIST: &str = "
where m.id in (select id from message where app = $1 and id < $2 order by id desc limit $3)
    and ($4 is null or s.state = $4) and ($5 is null or m.openid = $5) and ($6 is null or m.template = $6)
    and ($7 is null or m.id >= $7)
order by m.id desc limit $8";
const EARLIER: &str = "select at, errcode, errmsg, ambiguous from attempt where message = $1 order by number";

impl Store {
    /// Keeps messages to be sent; the verdicts stand in the same order.
    ///
    /// # Errors
    /// Where the database is away: then nothing is kept.
    pub async fn enqueue(&self, messages: Vec<NewMessage>) -> Result<Vec<Enqueued>, StoreError> {
        let hints: Vec<_> = messages.iter().map(|m| (m.id.lane(), m.queue)).collect();
        let verdicts = self.writer.call(Job::Enqueue, messages).await?;
        self.hints.queued(
            hints.into_iter().zip(&verdicts).filter(|(_, v)| **v == Enqueued::Accepted).map(|(hint, _)| hint),
        );
        Ok(verdicts)
    }

    /// One message of an app.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn message(&self, app: i64, id: MessageId) -> Result<Option<StoredMessage>, StoreError> {
        let statement = format!("select {COLUMNS} {ONE}");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(id.0.as_bytes().as_slice())
            .bind(app)
            .fetch_optional(&self.readers)
            .await?;
        let Some(mut message) = row.as_ref().map(stored).transpose()? else { return Ok(None) };
        let mut attempts = Vec::new();
        for row in sqlx::query(EARLIER).bind(id.0.as_bytes().as_slice()).fetch_all(&self.readers).await? {
            attempts.push(Attempt {
                at: row.try_get(0)?,
                errcode: row.try_get(1)?,
                errmsg: row.try_get(2)?,
                ambiguous: row.try_get(3)?,
            });
        }
        attempts.append(&mut message.attempts);
        message.attempts = attempts;
        Ok(Some(message))
    }

    /// A page of an app's messages, newest first. Looks at no more than 10,000 rows, so a page may be short.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn messages(
        &self,
        app: i64,
        filter: MessageFilter,
        before: Option<MessageId>,
        limit: i64,
    ) -> Result<Page<StoredMessage>, StoreError> {
        let bound = |at: Millis| first_id_of(at);
        let before = match (before.map(|id| id.0.as_bytes().to_vec()), filter.until.map(bound)) {
            (Some(a), Some(b)) => a.min(b),
            (Some(a), None) | (None, Some(a)) => a,
            (None, None) => vec![0xff; 16],
        };
        let edge = sqlx::query_scalar::<_, Vec<u8>>(
            "select id from message where app = $1 and id < $2 order by id desc limit 1 offset $3",
        )
        .bind(app)
        .bind(&before)
        .bind(EXAMINED)
        .fetch_optional(&self.readers)
        .await?;
        let statement = format!("select {COLUMNS} {LIST}");
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(app)
            .bind(before)
            .bind(EXAMINED)
            .bind(filter.state.map(State::code))
            .bind(filter.openid)
            .bind(filter.template)
            .bind(filter.since.map(bound))
            .bind(limit + 1)
            .fetch_all(&self.readers)
            .await?;
        let mut items = rows.iter().map(stored).collect::<Result<Vec<_>, _>>()?;
        let limit = usize::try_from(limit).unwrap_or(1);
        let next = if items.len() > limit {
            items.truncate(limit);
            items.last().map(|message| message.id)
        } else {
            // The page ended because enough rows were looked at; further ones may follow.
            edge.map(|id| uuid(&id).map(MessageId)).transpose()?
        };
        Ok(Page { items, next })
    }

    /// Cancels a message that waits, or forbids the retry of one that is being sent.
    ///
    /// Gives the position after; unchanged where it was too late.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn cancel(&self, app: i64, id: MessageId) -> Result<Option<(Position, Position)>, StoreError> {
        self.writer.cold(move |db, _| Box::pin(change(db, app, id, Event::Cancel, None))).await
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
        if let Some(message) = self.message(app, id).await? {
            self.hints.queued(std::iter::once((id.lane(), message.queue)));
        }
        Ok(changed)
    }

    /// Ends the messages of a page of the queues whose time is over; gives how many, and where to go on.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn expire(
        &self,
        now: Millis,
        after: Option<ReadyKey>,
        examined: i64,
    ) -> Result<(u64, Option<ReadyKey>), StoreError> {
        let (lane, queue, due_at, id) = after.unwrap_or((-1, 0, 0, Vec::new()));
        let rows = sqlx::query(
            "select lane, queue, due_at, id, expire_at from ready where (lane, queue, due_at, id) > ($1, $2, $3, $4)
             order by lane, queue, due_at, id limit $5",
        )
        .bind(lane)
        .bind(queue)
        .bind(due_at)
        .bind(id)
        .bind(examined)
        .fetch_all(&self.readers)
        .await?;
        let mut over = Vec::new();
        let mut last = None;
        for row in &rows {
            let key: ReadyKey = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
            if row.try_get::<i64, _>(4)? <= now {
                over.push(MessageId(uuid(&key.3)?));
            }
            last = Some(key);
        }
        let next = if i64::try_from(rows.len()).unwrap_or(0) < examined { None } else { last };
        if over.is_empty() {
            return Ok((0, next));
        }
        let ended = self
            .writer
            .cold(move |db, _| {
                Box::pin(async move {
                    let mut ended = 0;
                    for id in over {
                        ended += u64::from(leave(db, id, Event::Expire).await?.is_some());
                    }
                    Ok(ended)
                })
            })
            .await?;
        Ok((ended, next))
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

/// A place in the ready table.
pub type ReadyKey = (i64, i64, i64, Vec<u8>);

fn first_id_of(at: Millis) -> Vec<u8> {
    let mut id = at.max(0).to_be_bytes()[2..].to_vec();
    id.resize(16, 0);
    id
}

/// Applies a person's event to one message under the rules of the transition table.
async fn change(
    db: &mut SqliteConnection,
    app: i64,
    id: MessageId,
    event: Event,
    requeue: Option<(Millis, Millis)>,
) -> Result<Option<(Position, Position)>, StoreError> {
    let row = sqlx::query(
        "select s.state, s.outcome, s.receipt, s.cancel_requested, m.queue, m.template, m.openid
         from message_state s join message m on m.id = s.id where s.id = $1 and m.app = $2",
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
        write_position(db, id, &after, Some(now)).await?;
        sqlx::query("update message set expire_at = $2 where id = $1")
            .bind(id.0.as_bytes().as_slice())
            .bind(expire_at)
            .execute(&mut *db)
            .await?;
        sqlx::query("insert into ready (lane, queue, due_at, id, expire_at) values ($1, $2, $3, $4, $5)")
            .bind(i64::from(lane))
            .bind(queue)
            .bind(now)
            .bind(id.0.as_bytes().as_slice())
            .bind(expire_at)
            .execute(&mut *db)
            .await?;
        sqlx::query("insert into reserved (lane, template, openid, id) values ($1, $2, $3, $4) on conflict do nothing")
            .bind(i64::from(lane)).bind(template).bind(openid).bind(id.0.as_bytes().as_slice())
            .execute(db)
            .await?;
    } else if before.state == State::Sending {
        write_position(db, id, &after, None).await?;
    } else if leave(db, id, event).await?.is_none() {
        return Ok(Some((before, before)));
    }
    Ok(Some((before, after)))
}

/// Takes a waiting message out of its queue for good.
async fn leave(
    db: &mut SqliteConnection,
    id: MessageId,
    event: Event,
) -> Result<Option<Position>, StoreError> {
    let row = sqlx::query(
        "select s.state, s.outcome, s.receipt, s.cancel_requested, m.queue, s.due_at, m.template, m.openid
         from message_state s join message m on m.id = s.id where s.id = $1",
    )
    .bind(id.0.as_bytes().as_slice())
    .fetch_one(&mut *db)
    .await?;
    let Ok(after) = transition(&receipts::position(&row, 0)?, &event) else { return Ok(None) };
    // Whoever deletes the row decides: an arming that was faster leaves nothing to delete.
    let gone = sqlx::query("delete from ready where lane = $1 and queue = $2 and due_at = $3 and id = $4")
        .bind(i64::from(id.lane().0))
        .bind(row.try_get::<i64, _>(4)?)
        .bind(row.try_get::<i64, _>(5)?)
        .bind(id.0.as_bytes().as_slice())
        .execute(&mut *db)
        .await?;
    if gone.rows_affected() == 0 {
        return Ok(None);
    }
    write_position(db, id, &after, None).await?;
    if !after.state.is_open() {
        let reserved = [(id.lane().0, row.try_get::<i64, _>(6)?, row.try_get::<String, _>(7)?, hex(id.0))];
        sqlx::query(settle::RELEASE).bind(json(&reserved)?).execute(db).await?;
    }
    Ok(Some(after))
}

async fn write_position(
    db: &mut SqliteConnection,
    id: MessageId,
    position: &Position,
    due_at: Option<Millis>,
) -> Result<(), StoreError> {
    sqlx::query(
        "update message_state set state = $2, outcome = $3, receipt = $4, cancel_requested = $5,
             due_at = coalesce($6, due_at) where id = $1",
    )
    .bind(id.0.as_bytes().as_slice())
    .bind(position.state.code())
    .bind(position.outcome.map(domain::message::OutcomeKind::code))
    .bind(position.receipt.map(domain::message::Receipt::code))
    .bind(position.cancel_requested)
    .bind(due_at)
    .execute(db)
    .await?;
    Ok(())
}

fn stored(row: &SqliteRow) -> Result<StoredMessage, StoreError> {
    let position = receipts::position(row, 11)?;
    let (errcode, errmsg): (Option<i64>, Option<String>) = (row.try_get(17)?, row.try_get(18)?);
    let attempt_at: Option<i64> = row.try_get(16)?;
    // A retried attempt was moved to its own table; the row keeps the one that is under way or was the last.
    let present = position.outcome.is_some() || position.state == State::Sending;
    let attempts = attempt_at
        .filter(|_| present && row.try_get::<i64, _>(15).is_ok_and(|attempts| attempts > 0))
        .map(|at| Attempt {
            at,
            errcode: errcode.filter(|_| position.outcome.is_some()),
            errmsg: errmsg.clone().filter(|_| position.outcome.is_some()),
            ambiguous: position.state == State::Unknown,
        });
    let receipt_at: Option<i64> = row.try_get(20)?;
    let receipt = receipt_at
        .map(|at| {
            Ok::<_, StoreError>(StoredReceipt {
                at,
                error_code: row.try_get::<Option<i64>, _>(21)?.unwrap_or(0),
                error_status: row.try_get::<Option<String>, _>(22)?.unwrap_or_default(),
            })
        })
        .transpose()?;
    Ok(StoredMessage {
        id: MessageId(uuid(&row.try_get::<Vec<u8>, _>(0)?)?),
        app: row.try_get(1)?,
        template_id: row.try_get(2)?,
        openid: row.try_get(3)?,
        queue: Queue(row.try_get(4)?),
        data: row.try_get(5)?,
        page: row.try_get(6)?,
        version: row.try_get(7)?,
        lang: row.try_get(8)?,
        due_at: row.try_get(9)?,
        expire_at: row.try_get(10)?,
        position,
        attempts: attempts.into_iter().collect(),
        msgid: row.try_get(19)?,
        errcode,
        errmsg,
        receipt,
    })
}
