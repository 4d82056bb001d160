//! Who owns the lanes. On the embedded engine the one worker takes them all; each take-over raises the epoch, so
//! that what an earlier owner left in flight is told from one's own.

use domain::{Lane, MessageId, Millis};
use sqlx::Row;

use crate::Store;
use crate::error::StoreError;
use crate::hot::settle::{Settled, Settlement};
use crate::hot::uuid;

/// The epoch under which each lane is owned, by lane number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epochs(Vec<i64>);

impl Epochs {
    /// The epoch of a lane.
    pub fn of(&self, lane: Lane) -> i64 {
        self.0.get(usize::from(lane.0)).copied().unwrap_or(0)
    }
}

const TAKE: &str = "
insert into lane (id, owner, epoch, lease_until) select value, $2, 1, $3 from json_each($1) where true
on conflict (id) do update set owner = excluded.owner, epoch = lane.epoch + 1, lease_until = excluded.lease_until
returning id, epoch";

const ORPHANS: &str = "
select f.lane, f.id, f.attempt, f.epoch, m.template, m.openid, s.attempt_at
from in_flight f join lane l on l.id = f.lane and l.epoch > f.epoch
join message m on m.id = f.id join message_state s on s.id = f.id
order by f.lane, f.id limit $1";

impl Store {
    /// Takes every lane for `owner` (a name that is random per start).
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn take_all_lanes(&self, owner: String, lease_until: Millis) -> Result<Epochs, StoreError> {
        let lanes: Vec<u16> = self.lanes().iter().map(|lane| lane.0).collect();
        let count = lanes.len();
        let lanes = crate::hot::json(&lanes)?;
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    let mut epochs = vec![0; count];
                    for row in
                        sqlx::query(TAKE).bind(lanes).bind(owner).bind(lease_until).fetch_all(db).await?
                    {
                        if let Some(epoch) = epochs.get_mut(usize::from(row.try_get::<u16, _>(0)?)) {
                            *epoch = row.try_get(1)?;
                        }
                    }
                    Ok(Epochs(epochs))
                })
            })
            .await
    }

    /// Attempts that an earlier owner left without an answer, ready to be settled as such (I5).
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn orphans(&self, now: Millis, limit: i64) -> Result<Vec<Settlement>, StoreError> {
        sqlx::query(ORPHANS)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(|row| {
                Ok(Settlement {
                    lane: Lane(row.try_get(0)?),
                    id: MessageId(uuid(&row.try_get::<Vec<u8>, _>(1)?)?),
                    attempt: row.try_get(2)?,
                    epoch: row.try_get(3)?,
                    template: row.try_get(4)?,
                    openid: row.try_get(5)?,
                    attempt_at: row.try_get::<Option<i64>, _>(6)?.unwrap_or(0),
                    at: now,
                    result: Settled::OwnerLost,
                    errcode: None,
                    errmsg: None,
                })
            })
            .collect()
    }
}
