//! SQLite: one writer with group commit, connections that only read, the lock file, folding the WAL back.

pub(crate) mod batch;
pub(crate) mod checkpoint;
pub(crate) mod open;
pub(crate) mod writer;
