//! The arithmetic of grants: what one subscriber × template has left, and why.
//!
//! The inbox's applier and the dispatcher hand each act to an [`Account`] as a [`Change`]; the store writes the
//! [`Subscription`] and the [`Entry`]s it gives back in one transaction. Times are milliseconds UTC.
//!
//! What holds after every step: the balance is the sum of the entries' deltas and never negative; WeChat's word wins;
//! every correction is an entry (`found`, `zeroed`), so that drift can be counted.

mod account;
mod change;
mod entry;
mod live;
mod past;
mod subscription;

pub use account::Account;
pub use change::{Change, LedgerError};
pub use entry::{Entry, EntryKind, Reason};
pub use subscription::{Standing, Status, Subscription, TemplateKind, available};

#[cfg(test)]
mod tests;
