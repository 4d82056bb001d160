#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod coded;
pub mod ledger;
pub mod message;

pub use coded::{UnknownCode, UnknownName};
