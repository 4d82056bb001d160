#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod callback;
pub mod client;
pub mod errcode;
mod lang;
pub mod template;
pub mod token;

pub use lang::Lang;
