//! Arming: the attempt is durable before the call starts (I5). A row that is no longer there (cancelled,
//! expired, already armed) or a lane that is no longer ours (I7) is not armed.

use std::collections::HashSet;

use domain::message::State;
use domain::{Lane, MessageId, Millis};
use sqlx::{Row, SqliteConnection};

use super::enqueue::Queue;
use super::{hex, json};
use crate::error::StoreError;
use crate::sqlite::batch::Batch;
use crate::sqlite::writer::Context;

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
    /// The number of this attempt, from 1.
    pub attempt: i64,
    /// Now.
    pub at: Millis,
}

pub(crate) const TAKE: &str = "
delete from ready where (lane, queue, due_at, id) in
    (select v->>0, v->>2, v->>3, unhex(v->>4) from (select value v from json_each($1)))
    and expire_at > $2
returning queue, due_at, id";
pub(crate) const FLY: &str = "
insert into in_flight (lane, id, attempt, epoch)
select v->>0, unhex(v->>4), v->>5, v->>1 from (select value v from json_each($1))";
pub(crate) const MARK: &str = "
update message_state set state = $2, attempts = v->>5, attempt_at = v->>6
from (select value v from json_each($1)) b where message_state.id = unhex(v->>4)";

/// The columns of a row, as they stand in the batch.
pub(crate) fn columns(arm: &Arm) -> (u16, i64, i64, i64, String, i64, i64) {
    (arm.lane.0, arm.epoch, arm.queue.0, arm.due_at, hex(arm.id.0), arm.attempt, arm.at)
}

pub(crate) struct Arming;

impl Batch for Arming {
    type Item = Arm;
    type Outcome = bool;

    async fn run(
        db: &mut SqliteConnection,
        items: &[Arm],
        _context: &Context,
    ) -> Result<Vec<bool>, StoreError> {
        let now = items.iter().map(|arm| arm.at).max().unwrap_or(0);
        let epochs = super::epochs(db, items.iter().map(|arm| arm.lane.0)).await?;
        let ours = |arm: &Arm| epochs.get(&arm.lane.0) == Some(&arm.epoch);
        let mut asked: Vec<_> = items.iter().filter(|arm| ours(arm)).map(columns).collect();
        asked.sort_unstable_by(|a, b| a.4.cmp(&b.4));
        let mut taken: HashSet<(i64, i64, Vec<u8>)> = sqlx::query(TAKE)
            .bind(json(&asked)?)
            .bind(now)
            .fetch_all(&mut *db)
            .await?
            .into_iter()
            .map(|row| Ok::<_, sqlx::Error>((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
            .collect::<Result<_, _>>()?;
        // A message that two callers of one commit ask for is armed once: the row is taken out of the set.
        let armed: Vec<bool> = items
            .iter()
            .map(|arm| ours(arm) && taken.remove(&(arm.queue.0, arm.due_at, arm.id.0.as_bytes().to_vec())))
            .collect();
        let mut rows: Vec<_> =
            items.iter().zip(&armed).filter(|(_, armed)| **armed).map(|(arm, _)| columns(arm)).collect();
        rows.sort_unstable_by(|a, b| a.4.cmp(&b.4));
        if !rows.is_empty() {
            let rows = json(&rows)?;
            sqlx::query(FLY).bind(&rows).execute(&mut *db).await?;
            sqlx::query(MARK).bind(&rows).bind(State::Sending.code()).execute(db).await?;
        }
        Ok(armed)
    }
}
