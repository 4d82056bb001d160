//! PostgreSQL: the hot statements, each write ONE fenced statement and never a transaction of several. The bench
//! measures them beside SQLite; nothing else of the store runs on PostgreSQL in this version.
//!
//! What every statement keeps to:
//! - The fence: a share lock on the lane's row, taken by the statement itself, under this owner and epoch. Whoever
//!   takes the lane over waits for the lock, and whoever lost the lane writes nothing (I7). A plain `exists` would
//!   not fence under READ COMMITTED: it reads the lane as it was when the statement began.
//! - Accounts and states are read first, changed in memory by the rules of `domain`, and written by the fenced
//!   statement. This is sound since a lane's owner is their only writer; inside the owner, one call at a time may
//!   touch a lane (`client`).
//! - A batch travels as one array per column (`unnest`), what is rare as JSON.

mod accounts;
mod append;
mod apply;
mod arm;
mod claim;
mod client;
mod enqueue;
mod fence;
mod settle;
mod templates;
#[cfg(test)]
mod tests;

pub use client::PgHot;

use crate::error::StoreError;

/// One column of a batch.
macro_rules! column {
    ($rows:expr, |$row:pat_param| $value:expr) => {
        $rows.iter().map(|$row| $value).collect::<Vec<_>>()
    };
}
pub(crate) use column;

/// A lane as it is stored. There are at most 4096.
fn lane(lane: u16) -> i16 {
    i16::try_from(lane).unwrap_or(i16::MAX)
}

/// An id that travelled as text.
fn bytes(hex: &str) -> Result<Vec<u8>, StoreError> {
    hex::decode(hex).map_err(|_| StoreError::Corrupt("an id"))
}
