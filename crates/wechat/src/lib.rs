#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod callback;
pub mod errcode;
mod lang;
pub mod template;

pub use lang::Lang;
