#![deny(missing_docs)]
//! Hongyan's rules without any I/O.

pub mod clock;
pub mod entropy;
pub mod id;
pub mod lane;

pub use clock::{Clock, ManualClock, Millis, SystemClock};
pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use id::{InboxId, LedgerIds, MessageId};
pub use lane::{Lane, Lanes};
