//! A file of whatever format, behind one way of reading it.

use crate::cell::Cell;
use crate::error::SheetError;
use crate::{html, text, xls, xlsx};

/// What is read at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes after unpacking; what a sheet of a kilobyte can blow up to is otherwise without end.
    pub unpacked: u64,
    /// Rows of a sheet.
    pub rows: usize,
    /// Columns of a sheet.
    pub columns: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { unpacked: 512 << 20, rows: 1_000_000, columns: 256 }
    }
}

/// A sheet of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheetName {
    /// Its name; of a file without sheets an empty one.
    pub name: String,
    /// Whether its reader does not see it.
    pub hidden: bool,
}

/// What a file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Excel since 2007.
    Xlsx,
    /// Excel before.
    Xls,
    /// A table in HTML.
    Html {
        /// UTF-8, GB18030, UTF-16.
        encoding: &'static str,
    },
    /// Text with separators.
    Text {
        /// UTF-8, GB18030, UTF-16.
        encoding: &'static str,
        /// What stands between the cells.
        delimiter: char,
    },
}

/// A row as its reader sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct SheetRow {
    /// The number beside it, from 1.
    pub number: u32,
    /// Whether a filter hides it, or somebody did.
    pub hidden: bool,
    /// Its cells from column A on; none behind the last that holds something.
    pub cells: Vec<Cell>,
}

impl SheetRow {
    /// Whether nothing stands in it.
    pub fn is_blank(&self) -> bool {
        self.cells.iter().all(Cell::is_empty)
    }
}

/// Cells that are shown as one: only the first of them holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge {
    /// Rows from and to, as numbered.
    pub rows: (u32, u32),
    /// Columns from and to, from 0.
    pub columns: (u32, u32),
}

/// What is known of a sheet once it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Merged cells.
    pub merges: Vec<Merge>,
    /// Whether its rows can be filtered.
    pub filtered: bool,
}

/// An opened file.
#[derive(Debug)]
pub struct Book<'f> {
    inner: Inner<'f>,
    limits: Limits,
    source: Source,
    sheets: Vec<SheetName>,
}

#[derive(Debug)]
enum Inner<'f> {
    Xlsx(Box<xlsx::Workbook<'f>>),
    Xls(Box<xls::Workbook<'f>>),
    Html(String),
    Text(String, u8),
}

/// A file of OLE2: XLS, or an XLSX behind a password.
const OLE: &[u8] = &[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];

impl<'f> Book<'f> {
    /// Tells what a file is, and its sheets.
    ///
    /// # Errors
    /// [`SheetError`] says why it cannot be read.
    pub fn open(bytes: &'f [u8], limits: Limits) -> Result<Self, SheetError> {
        let (inner, source, sheets) = if bytes.is_empty() {
            return Err(SheetError::Empty);
        } else if bytes.starts_with(b"PK") {
            let book = xlsx::Workbook::open(bytes, limits)?;
            let sheets = book.sheets();
            (Inner::Xlsx(Box::new(book)), Source::Xlsx, sheets)
        } else if bytes.starts_with(OLE) {
            let book = xls::Workbook::open(bytes)?;
            let sheets = book.sheets();
            (Inner::Xls(Box::new(book)), Source::Xls, sheets)
        } else if bytes.starts_with(b"%PDF") {
            return Err(SheetError::Unsupported("PDF"));
        } else {
            let (decoded, encoding) = text::decode(bytes)?;
            let sheets = vec![SheetName { name: String::new(), hidden: false }];
            if html::is_html(&decoded) {
                (Inner::Html(decoded), Source::Html { encoding }, sheets)
            } else if decoded.trim_start().starts_with("<?xml") {
                return Err(SheetError::Unsupported("XML"));
            } else if decoded.trim().is_empty() {
                return Err(SheetError::Empty);
            } else {
                let delimiter = text::delimiter(&decoded);
                let source = Source::Text { encoding, delimiter: char::from(delimiter) };
                (Inner::Text(decoded, delimiter), source, sheets)
            }
        };
        Ok(Self { inner, limits, source, sheets })
    }

    /// What the file turned out to be.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Its sheets, in their order.
    pub fn sheets(&self) -> &[SheetName] {
        &self.sheets
    }

    /// Reads a sheet row by row, blank rows left out; `each` says whether it wants more.
    ///
    /// # Errors
    /// `NoSheet`; [`SheetError`] for what cannot be read.
    pub fn read(
        &mut self,
        sheet: usize,
        each: &mut dyn FnMut(SheetRow) -> bool,
    ) -> Result<Facts, SheetError> {
        let Some(name) = self.sheets.get(sheet) else { return Err(SheetError::NoSheet(sheet.to_string())) };
        let limits = self.limits;
        let mut count = 0;
        let mut wrong = None;
        let mut checked = |mut row: SheetRow| {
            while row.cells.last().is_some_and(Cell::is_empty) {
                row.cells.pop();
            }
            if row.cells.is_empty() {
                return true;
            }
            count += 1;
            if count > limits.rows {
                wrong = Some(SheetError::TooMany { what: "rows", limit: limits.rows });
                return false;
            }
            if row.cells.len() > limits.columns {
                wrong = Some(SheetError::TooMany { what: "columns", limit: limits.columns });
                return false;
            }
            each(row)
        };
        let facts = match &mut self.inner {
            Inner::Xlsx(book) => book.read(sheet, &mut checked)?,
            Inner::Xls(book) => book.read(&name.name, &mut checked)?,
            Inner::Html(page) => html::read(page, &mut checked),
            Inner::Text(text, delimiter) => text::read(text, *delimiter, &mut checked)?,
        };
        wrong.map_or(Ok(facts), Err)
    }
}
