//! What may become of a message: its states, what happens to it, and the one table that says which leads where.
//!
//! The store writes a state only after [`transition`] allowed it; the dispatcher, the receipts and the service turn
//! what they see into an [`Event`]. The documents print [`table`], which is derived from the same code.
//!
//! A message has an **outcome** (what the send call answered) and a **receipt** (what WeChat's sent event said
//! later). They come in either order, so the state of an answered message is computed from both and never from the
//! order.

mod event;
mod state;
mod transition;

pub use event::{Event, Outcome, OutcomeKind, Receipt};
pub use state::{List, State};
pub use transition::{Position, Refusal, table, transition};

#[cfg(test)]
mod tests;
