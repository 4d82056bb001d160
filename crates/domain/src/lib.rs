#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod asking;
pub mod campaign;
pub mod clock;
mod coded;
pub mod entropy;
pub mod happening;
pub mod id;
pub mod lane;
pub mod ledger;
pub mod message;
pub mod placeholder;
pub mod retry;
pub mod schedule;
pub mod segment;
pub mod window;

pub use clock::{Clock, FollowingClock, ManualClock, Millis, SystemClock};
pub use coded::{UnknownCode, UnknownName};
pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use id::{InboxId, LedgerIds, MessageId};
pub use lane::{Lane, Lanes};
