//! Arming: out of the queue, into flight, and the attempt on the message's state, in one fenced statement (I5, I7).

use std::collections::HashSet;

use domain::message::State;
use sqlx::Row;

use super::fence::{Fence, fence};
use super::{PgHot, column};
use crate::error::StoreError;
use crate::hot::arm::Arm;

pub(super) const ARM: &str = concat!(
    fence!(),
    ", taken as (
    delete from ready r
    using unnest($4::smallint[], $5::bigint[], $6::bigint[], $7::bytea[], $8::bigint[], $9::bigint[], $10::bigint[])
        b (lane, queue, due_at, id, attempt, epoch, at)
    where r.lane = b.lane and r.queue = b.queue and r.due_at = b.due_at and r.id = b.id
        and r.expire_at > $11 and b.lane = any (array(select id from g))
    returning b.lane, b.id, b.attempt, b.epoch, b.at
), flying as (
    insert into in_flight (lane, id, attempt, epoch) select lane, id, attempt, epoch from taken
)
update message_state s set state = $12, attempts = t.attempt, attempt_at = t.at
from taken t where s.lane = t.lane and s.id = t.id
returning s.id"
);

impl PgHot {
    /// Makes attempts durable; tells which of them may start.
    ///
    /// # Errors
    /// Where the database is away: then none may start.
    pub async fn arm(&self, attempts: Vec<Arm>) -> Result<Vec<bool>, StoreError> {
        self.detached(|inner| async move {
            let mut fence = Fence::default();
            for arm in &attempts {
                fence.add(arm.lane, Some(arm.epoch));
            }
            let mut batch: Vec<&Arm> =
                attempts.iter().filter(|arm| fence.allows(arm.lane, arm.epoch)).collect();
            batch.sort_unstable_by_key(|arm| (arm.lane, arm.id));
            if batch.is_empty() {
                return Ok(vec![false; attempts.len()]);
            }
            let now = attempts.iter().map(|arm| arm.at).max().unwrap_or(0);
            let _held = inner.hold(&fence).await;
            let mut db = inner.acquire().await?;
            let armed = fence
                .bind(sqlx::query(ARM), &inner.owner)
                .bind(column!(batch, |arm| super::lane(arm.lane.0)))
                .bind(column!(batch, |arm| arm.queue.0))
                .bind(column!(batch, |arm| arm.due_at))
                .bind(column!(batch, |arm| arm.id.0.as_bytes().as_slice()))
                .bind(column!(batch, |arm| arm.attempt))
                .bind(column!(batch, |arm| arm.epoch))
                .bind(column!(batch, |arm| arm.at))
                .bind(now)
                .bind(State::Sending.code())
                .fetch_all(&mut *db)
                .await?
                .iter()
                .map(|row| row.try_get(0))
                .collect::<Result<HashSet<Vec<u8>>, _>>()?;
            drop(batch);
            Ok(attempts.iter().map(|arm| armed.contains(arm.id.0.as_bytes().as_slice())).collect())
        })
        .await
    }
}
