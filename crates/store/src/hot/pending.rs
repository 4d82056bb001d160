//! The inbox rows that wait to be applied: what an owner reads before it applies them.

use domain::{InboxId, Lane, Millis};
use sqlx::{Row, SqlitePool};

use super::uuid;
use crate::error::StoreError;

/// A row that waits to be applied.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Which.
    pub id: InboxId,
    /// The app.
    pub app: i64,
    /// When it came.
    pub received_at: Millis,
    /// The verified plaintext.
    pub body: String,
}

pub(crate) const PENDING: &str = "select id, app, received_at, body from inbox where verdict is null and lane = $1 and id > $2 order by id limit $3";
pub(crate) const PENDING_LANES: &str = "
with recursive next (lane) as (
    select * from (select lane from inbox where verdict is null order by lane limit 1)
    union all
    select (select lane from inbox where verdict is null and lane > next.lane order by lane limit 1) from next where lane is not null
)
select lane from next where lane is not null";

pub(crate) async fn pending(
    readers: &SqlitePool,
    lane: Lane,
    after: Option<InboxId>,
    limit: i64,
) -> Result<Vec<Pending>, StoreError> {
    sqlx::query(PENDING)
        .bind(i64::from(lane.0))
        .bind(after.map_or_else(Vec::new, |id| id.0.as_bytes().to_vec()))
        .bind(limit)
        .fetch_all(readers)
        .await?
        .iter()
        .map(|row| {
            Ok(Pending {
                id: InboxId(uuid(&row.try_get::<Vec<u8>, _>(0)?)?),
                app: row.try_get(1)?,
                received_at: row.try_get(2)?,
                body: row.try_get(3)?,
            })
        })
        .collect()
}
