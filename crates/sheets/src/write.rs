//! XLSX for operators: every cell a text, so that a phone number stays one. Rows go to disk as they come.

use std::path::Path;

use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};

/// Rows that a sheet of Excel holds.
const ROWS: u32 = 1_048_576;
/// Signs that a cell of Excel holds.
const SIGNS: usize = 32_767;
const WIDTH: f64 = 18.0;

/// Writes one table, over several sheets where it is longer than one holds.
pub struct Writer {
    book: Workbook,
    name: String,
    columns: Vec<String>,
    next: u32,
    sheets: usize,
    head: Format,
    text: Format,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("columns", &self.columns)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// A table of this name and these columns; what does not fit into memory stands in `directory` until it is finished.
    ///
    /// # Errors
    /// Where the directory cannot be written.
    pub fn new(name: &str, columns: Vec<String>, directory: &Path) -> Result<Self, XlsxError> {
        let mut book = Workbook::new();
        book.set_tempdir(directory)?;
        let mut writer = Self {
            book,
            name: sheet_name(name),
            columns,
            next: 0,
            sheets: 0,
            head: Format::new().set_bold().set_num_format("@"),
            text: Format::new().set_num_format("@"),
        };
        writer.begin()?;
        Ok(writer)
    }

    fn begin(&mut self) -> Result<(), XlsxError> {
        self.sheets += 1;
        let name =
            if self.sheets == 1 { self.name.clone() } else { format!("{} {}", self.name, self.sheets) };
        let sheet = self.book.add_worksheet_with_constant_memory()?;
        sheet.set_name(name)?;
        sheet.set_freeze_panes(1, 0)?;
        for (column, title) in (0u16..).zip(&self.columns) {
            sheet.set_column_width(column, WIDTH)?;
            sheet.set_column_format(column, &self.text)?;
            sheet.write_string_with_format(0, column, title, &self.head)?;
        }
        self.next = 1;
        Ok(())
    }

    /// The next row.
    ///
    /// # Errors
    /// Where the disk is full.
    pub fn row<'c>(&mut self, cells: impl Iterator<Item = &'c str>) -> Result<(), XlsxError> {
        if self.next == ROWS {
            self.begin()?;
        }
        let (row, text) = (self.next, self.text.clone());
        let sheet: &mut Worksheet = self.book.worksheet_from_index(self.sheets - 1)?;
        for (column, cell) in (0u16..).zip(cells) {
            if !cell.is_empty() {
                let shortened: String;
                let cell = if cell.chars().count() > SIGNS {
                    shortened = cell.chars().take(SIGNS).collect();
                    &shortened
                } else {
                    cell
                };
                sheet.write_string_with_format(row, column, cell, &text)?;
            }
        }
        self.next += 1;
        Ok(())
    }

    /// The file.
    ///
    /// # Errors
    /// Where the disk is full.
    pub fn finish(mut self) -> Result<Vec<u8>, XlsxError> {
        self.book.save_to_buffer()
    }
}

/// What Excel takes as the name of a sheet.
fn sheet_name(name: &str) -> String {
    let fits: String =
        name.chars().filter(|c| !"[]:*?/\\'".contains(*c) && !c.is_control()).take(25).collect();
    if fits.trim().is_empty() { "Sheet1".to_owned() } else { fits.trim().to_owned() }
}
