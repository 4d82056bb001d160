//! The inbox rows that wait to be applied: what an owner reads before it applies them.

use domain::{InboxId, Lane, Millis};

use super::append::InboxKind;
use super::uuid;
use crate::db::{self, Readers};
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
    /// What it is.
    pub kind: InboxKind,
    /// Whom it is about.
    pub openid: String,
    /// The verified plaintext.
    pub body: String,
}

const PENDING: &str = "
select id, app, received_at, kind, openid, body from inbox where verdict is null and id > $1 order by id limit $2";
const PENDING_OF: &str = "
select id, app, received_at, kind, openid, body from inbox where lane = $3 and verdict is null and id > $1 order by id limit $2";

/// Of one lane, or (on SQLite, where they lie in time order) of all.
pub(crate) async fn pending(
    readers: &Readers,
    lane: Option<Lane>,
    after: Option<InboxId>,
    limit: i64,
) -> Result<Vec<Pending>, StoreError> {
    let after = after.map_or_else(Vec::new, |id| id.0.as_bytes().to_vec());
    let query = db::query(if lane.is_some() { PENDING_OF } else { PENDING }).bind(after).bind(limit);
    let query = match lane {
        Some(lane) => query.bind(lane.0),
        None => query,
    };
    query
        .fetch_all(readers)
        .await?
        .iter()
        .map(|row| {
            Ok(Pending {
                id: InboxId(uuid(row.try_get(0)?)?),
                app: row.try_get(1)?,
                received_at: row.try_get(2)?,
                kind: InboxKind::from_word(row.try_get(3)?),
                openid: row.try_get(4)?,
                body: row.try_get(5)?,
            })
        })
        .collect()
}
