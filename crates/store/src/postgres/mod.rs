//! PostgreSQL: connecting, transactions, who writes, what goes wrong, and how nodes tell each other of news.
//!
//! What every write keeps to:
//! - A batch is of one lane, and each of its statements names it: the lane is what a sharded PostgreSQL distributes by.
//! - Whoever changes accounts or states takes the lane's *turn* first (a row lock in `lane_turn`): accounts are read, changed
//!   in memory by the rules of `domain`, and written, and nobody may write them in between.
//! - What only the owner may do is fenced when it commits: the epoch that the transaction stood on must still be the lane's.
//!   The check and the commit are one message, so that no client is ever waited for while it holds the lane's row (I7).

pub(crate) mod fault;
pub(crate) mod news;
pub(crate) mod open;
pub(crate) mod partitions;
pub(crate) mod transaction;
pub(crate) mod writer;

pub(crate) use open::connect;

/// The server's clock, in milliseconds.
pub(crate) const NOW: &str = "select cast(extract(epoch from clock_timestamp()) * 1000 as bigint)";
