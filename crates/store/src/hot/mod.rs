//! The hot statements: each takes a batch as one JSON array and is one set-based pass. How they were chosen is
//! in docs/adr/0001-the-shape-of-the-store.md, what they cost in docs/BENCHMARKS.md.

pub mod accounts;
pub mod append;
pub mod apply;
pub mod arm;
pub mod claim;
pub mod enqueue;
pub mod pending;
pub mod receipts;
pub(crate) mod recent;
pub mod settle;
pub(crate) mod tally;
pub mod unknown;
pub(crate) mod values;

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::db::{self, Db, Engine};
use crate::error::StoreError;
pub(crate) use crate::postgres::transaction::turn;
use crate::postgres::transaction::turn_and_epoch;
use crate::writing::{Batch, Context};

/// A batch as the JSON text that `json_each` unfolds.
pub(crate) fn json<T: serde::Serialize>(rows: &[T]) -> Result<String, StoreError> {
    serde_json::to_string(rows).map_err(|_| StoreError::Corrupt("a batch"))
}

/// The present epochs of the lanes that a batch names: the fence of everything that only an owner may do (I7). On PostgreSQL
/// this waits for the lanes' turns, and the transaction stands on these epochs.
pub(crate) async fn epochs(
    db: &mut Db,
    lanes: impl Iterator<Item = u16>,
) -> Result<HashMap<u16, i64>, StoreError> {
    let lanes: std::collections::BTreeSet<u16> = lanes.collect();
    let mut epochs = HashMap::with_capacity(lanes.len());
    if db.engine() == Engine::Postgres {
        for lane in lanes {
            epochs.extend(turn_and_epoch(db, lane).await?.map(|epoch| (lane, epoch)));
        }
        return Ok(epochs);
    }
    if lanes.is_empty() {
        return Ok(epochs);
    }
    let lanes: Vec<u16> = lanes.into_iter().collect();
    db::query("select id, epoch from lane where id in (select n from [$1 each: n int2] b)")
        .bind(json(&lanes)?)
        .fetch_all(db)
        .await?
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// Runs the items that are not there yet; of those that `statement` finds by their ids, `outcome` is what had become.
pub(crate) async fn run_missing<B: Batch<Item: Clone, Outcome: Copy>>(
    db: &mut Db,
    items: &[B::Item],
    context: &Context,
    (statement, id): (&'static str, fn(&B::Item) -> Uuid),
    outcome: B::Outcome,
) -> Result<Vec<B::Outcome>, StoreError> {
    let ids: Vec<String> = items.iter().map(|item| hex(id(item))).collect();
    let rows = db::query(statement).bind(json(&ids)?).fetch_all(&mut *db).await?;
    let kept: HashSet<Uuid> =
        rows.iter().map(|row| uuid(&row.try_get::<Vec<u8>>(0)?)).collect::<Result<_, StoreError>>()?;
    let missing: Vec<B::Item> = items.iter().filter(|item| !kept.contains(&id(item))).cloned().collect();
    let mut run = B::run(db, &missing, context).await?.into_iter();
    let of = |item| if kept.contains(&id(item)) { Some(outcome) } else { run.next() };
    Ok(items.iter().filter_map(of).collect())
}

/// An id as it travels inside a JSON batch.
pub(crate) fn hex(id: Uuid) -> String {
    id.simple().to_string()
}

/// A stored 16-byte id.
pub(crate) fn uuid(bytes: &[u8]) -> Result<Uuid, StoreError> {
    Uuid::from_slice(bytes).map_err(|_| StoreError::Corrupt("an id"))
}

/// WeChat's number of a message as the database keeps it: the same 64 bits, signed.
pub(crate) fn stored_msgid(msgid: u64) -> i64 {
    msgid.cast_signed()
}
