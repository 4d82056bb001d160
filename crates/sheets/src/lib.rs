#![doc = include_str!("../README.md")]

mod book;
mod cell;
mod error;
pub mod habits;
mod html;
pub mod stream;
mod text;
pub mod write;
mod xls;
mod xlsx;

pub use book::{Book, Facts, Limits, Merge, SheetName, SheetRow, Source};
pub use cell::{Cell, Value, column_name};
pub use error::SheetError;
