//! Messages that stayed `unknown`, and what their app's policy does about them. Each leaves a row in `ready`, in a queue of
//! its own, when it becomes unknown: so they are found in time order without an index on states. Used by the engine.

use domain::message::{Event, State, transition};
use domain::{Lane, MessageId, Millis};
use sqlx::{Row, SqliteConnection};

use crate::Store;
use crate::changes::{change, write_position};
use crate::error::StoreError;
use crate::hot::enqueue::Queue;
use crate::hot::{epochs, hex, json, receipts, settle, uuid};

/// The queue that nothing is sent from.
pub(crate) const WATCH: Queue = Queue(-1);

/// A message that became `unknown` some time ago.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Which.
    pub id: MessageId,
    /// The app.
    pub app: i64,
    /// Since when.
    pub since: Millis,
    /// Not sent after this.
    pub expire_at: Millis,
    /// Attempts made so far.
    pub attempts: i64,
    /// Whether somebody cancelled it meanwhile.
    pub cancel_requested: bool,
}

/// What is done about one.
#[derive(Debug, Clone)]
pub struct Decided {
    /// Which.
    pub watched: Watched,
    /// The epoch under which its lane is owned.
    pub epoch: i64,
    /// `Resend`, `GiveUp`, or nothing: then it waits for evidence, and is not watched any more.
    pub event: Option<Event>,
}

const DUE: &str = "
select r.id, m.app, r.due_at, m.expire_at, s.attempts, s.cancel_requested
from lane l join ready r on r.lane = l.id and r.queue = $1 and r.due_at <= $2
join message m on m.id = r.id join message_state s on s.id = r.id
limit $3";

impl Store {
    /// Messages that became `unknown` at `before` or earlier and are still watched (resolved ones may be among them).
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn watched(&self, before: Millis, limit: i64) -> Result<Vec<Watched>, StoreError> {
        sqlx::query(DUE)
            .bind(WATCH.0)
            .bind(before)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(|row| {
                Ok(Watched {
                    id: MessageId(uuid(row.try_get(0)?)?),
                    app: row.try_get(1)?,
                    since: row.try_get(2)?,
                    expire_at: row.try_get(3)?,
                    attempts: row.try_get(4)?,
                    cancel_requested: row.try_get(5)?,
                })
            })
            .collect()
    }

    /// Carries out what was decided, of those that are still `unknown`; gives how many changed.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn decide_unknowns(&self, decided: Vec<Decided>, now: Millis) -> Result<u64, StoreError> {
        let queues: Vec<Lane> = decided
            .iter()
            .filter(|one| one.event == Some(Event::Resend))
            .map(|one| one.watched.id.lane())
            .collect();
        let changed = self
            .writer
            .cold(move |db, _| {
                Box::pin(async move {
                    let owned = epochs(db, decided.iter().map(|one| one.watched.id.lane().0)).await?;
                    let mut changed = 0;
                    for one in decided {
                        if owned.get(&one.watched.id.lane().0) == Some(&one.epoch) {
                            changed += u64::from(decide(db, &one, now).await?);
                        }
                    }
                    Ok(changed)
                })
            })
            .await?;
        if !queues.is_empty() {
            self.hints.look_everywhere();
        }
        self.hints.something_settled();
        Ok(changed)
    }
}

async fn decide(db: &mut SqliteConnection, one: &Decided, now: Millis) -> Result<bool, StoreError> {
    let id = one.watched.id;
    let gone = sqlx::query("delete from ready where lane = $1 and queue = $2 and due_at = $3 and id = $4")
        .bind(i64::from(id.lane().0))
        .bind(WATCH.0)
        .bind(one.watched.since)
        .bind(id.0.as_bytes().as_slice())
        .execute(&mut *db)
        .await?;
    let Some(event) = one.event.filter(|_| gone.rows_affected() > 0) else { return Ok(false) };
    let row = sqlx::query(
        "select s.state, s.outcome, s.receipt, s.cancel_requested, s.attempts, m.template, m.openid
         from message_state s join message m on m.id = s.id where s.id = $1",
    )
    .bind(id.0.as_bytes().as_slice())
    .fetch_one(&mut *db)
    .await?;
    let before = receipts::position(&row, 0)?;
    // Another attempt has a row of its own.
    if before.state != State::Unknown || row.try_get::<i64, _>(4)? != one.watched.attempts {
        return Ok(false);
    }
    if event == Event::Resend {
        let resent = change(db, one.watched.app, id, event, Some((now, one.watched.expire_at))).await?;
        return Ok(resent.is_some_and(|(before, after)| before != after));
    }
    let Ok(after) = transition(&before, &event) else { return Ok(false) };
    write_position(db, id, &after, None).await?;
    if !after.state.is_open() {
        let reserved = [(id.lane().0, row.try_get::<i64, _>(5)?, row.try_get::<String, _>(6)?, hex(id.0))];
        sqlx::query(settle::RELEASE).bind(json(&reserved)?).execute(db).await?;
    }
    Ok(true)
}
