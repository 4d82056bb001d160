#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod coded;
pub mod ledger;
pub mod message;
pub mod retry;
pub mod window;

pub use coded::{UnknownCode, UnknownName};
