//! The hot statements: each takes a batch as one JSON array and is one set-based pass. How they were chosen is
//! in docs/adr/0001-the-shape-of-the-store.md, what they cost in docs/BENCHMARKS.md.

pub mod accounts;
pub mod append;
pub mod apply;
pub mod arm;
pub mod claim;
pub mod enqueue;
pub mod receipts;
pub mod settle;

use uuid::Uuid;

use crate::error::StoreError;

/// A batch as the JSON text that `json_each` unfolds.
pub(crate) fn json<T: serde::Serialize>(rows: &[T]) -> Result<String, StoreError> {
    serde_json::to_string(rows).map_err(|_| StoreError::Corrupt("a batch"))
}

/// An id as it travels inside a JSON batch.
pub(crate) fn hex(id: Uuid) -> String {
    id.simple().to_string()
}

/// A stored 16-byte id.
pub(crate) fn uuid(bytes: &[u8]) -> Result<Uuid, StoreError> {
    Uuid::from_slice(bytes).map_err(|_| StoreError::Corrupt("an id"))
}
