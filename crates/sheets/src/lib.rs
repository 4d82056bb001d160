//! Reads the tables that operators have, row by row and in bounded memory, and writes those that they get. Used by `service`
//! (uploads, closing lists) and `api`; it knows nothing of apps or people.
//!
//! - [`Book::open`] tells by the bytes, not by the name, what a file is: XLSX, XLS, HTML that was named .xls, or text (CSV) in
//!   UTF-8, GB18030 or UTF-16 with comma, tab or semicolon.
//! - [`Book::read`] hands out rows as they come: the number that the reader of the sheet sees, whether a filter hides the row,
//!   and each cell as it is shown, with what it really holds beside it.
//! - [`habits`] names what spreadsheets do to data: numbers cut after 15 digits, dates as serial numbers, full-width digits,
//!   total rows.
//! - [`mod@write`] makes XLSX with numbers that stay text.

mod book;
mod cell;
mod error;
pub mod habits;
mod html;
mod text;
pub mod write;
mod xls;
mod xlsx;

pub use book::{Book, Facts, Limits, Merge, SheetName, SheetRow, Source};
pub use cell::{Cell, Value, column_name};
pub use error::SheetError;
