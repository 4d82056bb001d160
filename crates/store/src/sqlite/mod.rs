//! The embedded engine: opening the file, the one writer with its group commit, read-only connections.

pub(crate) mod batch;
pub(crate) mod checkpoint;
pub(crate) mod open;
pub(crate) mod work;
pub(crate) mod writer;
