//! Messages that are over: what they say goes first, and long after it the message itself.

use domain::Millis;

use super::{Step, page};
use crate::Store;
use crate::db::{self, Db};
use crate::error::StoreError;
use crate::hot::{hex, json, turn};

// 1, 2, 3: scheduled, queued, sending; 9: unknown (a test compares). Unknown ones lose their contents too, and stay until somebody
// decides.
const SPEAKING: &str = page!(
    "filled and state > 3",
    "select m.id as id, s.state, m.data <> '{}' or m.page is not null as filled from message m
     join message_state s on s.lane = m.lane and s.id = m.id where <<|m.lane = $4 and >>m.id > $1 and m.id < $2"
);
const SILENCE: &str = "
update message set data = '{}', page = null where {message.id in $1}
    and exists (select 1 from message_state s where s.lane = message.lane and s.id = message.id and s.state > 3)";
const OVER: &str = page!(
    "past",
    "select s.id, s.state > 3 and s.state <> 9 as past from message_state s where <<|s.lane = $4 and >>s.id > $1 and s.id < $2"
);
const STILL_OVER: &str = "
select s.id from message_state s where {s.id in $1}
    and s.state > 3 and s.state <> 9 and s.due_at < $2 and coalesce(s.attempt_at, 0) < $2";
const GO: [&str; 3] = [
    "delete from attempt where {attempt.message in $1}",
    "delete from message where {message.id in $1}",
    "delete from message_state where {message_state.id in $1}",
];

impl Store {
    /// Takes fields and page out of messages of before a moment that are not under way: a page of a lane.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn clear_contents(
        &self,
        lane: u16,
        after: Option<Vec<u8>>,
        before: Millis,
    ) -> Result<Step, StoreError> {
        self.page_by_page((SPEAKING, lane, after), before, move |db, batch| {
            Box::pin(async move {
                turn(db, lane).await?;
                Ok(db::query(SILENCE).bind(batch).execute(db).await?.rows_affected())
            })
        })
        .await
    }

    /// Removes messages of before a moment that are over, with their attempts: a page of a lane.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn clear_messages(
        &self,
        lane: u16,
        after: Option<Vec<u8>>,
        before: Millis,
    ) -> Result<Step, StoreError> {
        self.page_by_page((OVER, lane, after), before, move |db, batch| Box::pin(go(db, lane, batch, before)))
            .await
    }
}

/// One that was put back into its queue since it was read, or was tried lately, stays.
async fn go(db: &mut Db, lane: u16, batch: String, before: Millis) -> Result<u64, StoreError> {
    turn(db, lane).await?;
    let rows = db::query(STILL_OVER).bind(batch).bind(before).fetch_all(&mut *db).await?;
    let ids = rows
        .iter()
        .map(|row| crate::hot::uuid(row.try_get(0)?).map(hex))
        .collect::<Result<Vec<_>, StoreError>>()?;
    if ids.is_empty() {
        return Ok(0);
    }
    let batch = json(&ids)?;
    let mut gone = 0;
    for statement in GO {
        gone = db::query(statement).bind(&batch).execute(&mut *db).await?.rows_affected();
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use domain::message::State;

    #[test]
    fn what_is_under_way_has_the_lowest_codes() {
        for state in State::ALL {
            let under_way = matches!(state, State::Scheduled | State::Queued | State::Sending);
            assert_eq!(under_way, state.code() <= 3, "{state}");
        }
        assert_eq!(State::Unknown.code(), 9);
    }
}
