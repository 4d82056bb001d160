//! Excel before 2007, read by calamine: values, dates and merged cells; such files do not tell it which rows are hidden.

use std::io::Cursor;

use calamine::{Data, Reader, Xls};

use crate::book::{Facts, Merge, SheetName, SheetRow};
use crate::cell::{Cell, Value};
use crate::error::SheetError;
use crate::xlsx::styles;

pub(crate) struct Workbook<'f>(Xls<Cursor<&'f [u8]>>);

impl std::fmt::Debug for Workbook<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Workbook")
    }
}

impl<'f> Workbook<'f> {
    pub(crate) fn open(bytes: &'f [u8]) -> Result<Self, SheetError> {
        Xls::new(Cursor::new(bytes)).map(Self).map_err(|error| match error {
            calamine::XlsError::Password => SheetError::Encrypted,
            // An XLSX behind a password is a container of the same kind, with this stream in it.
            _ if contains(bytes, "EncryptedPackage") => SheetError::Encrypted,
            error => SheetError::damaged(&error),
        })
    }

    pub(crate) fn sheets(&self) -> Vec<SheetName> {
        self.0
            .sheets_metadata()
            .iter()
            .filter(|sheet| sheet.typ == calamine::SheetType::WorkSheet)
            .map(|sheet| SheetName {
                name: sheet.name.clone(),
                hidden: sheet.visible != calamine::SheetVisible::Visible,
            })
            .collect()
    }

    pub(crate) fn read(
        &mut self,
        name: &str,
        each: &mut dyn FnMut(SheetRow) -> bool,
    ) -> Result<Facts, SheetError> {
        let range = self.0.worksheet_range(name).map_err(|error| SheetError::damaged(&error))?;
        let (top, left) = range.start().unwrap_or_default();
        for (at, row) in range.rows().enumerate() {
            let mut cells = vec![Cell::EMPTY; left as usize];
            cells.extend(row.iter().map(cell));
            let number = top + u32::try_from(at).unwrap_or(u32::MAX) + 1;
            if !each(SheetRow { number, hidden: false, cells }) {
                break;
            }
        }
        let merges = self.0.merge_cells_by_sheet_name(name).unwrap_or_default();
        let merges = merges
            .iter()
            .map(|merge| Merge {
                rows: (merge.start.0 + 1, merge.end.0 + 1),
                columns: (merge.start.1, merge.end.1),
            })
            .collect();
        Ok(Facts { merges, filtered: false })
    }
}

fn contains(bytes: &[u8], stream: &str) -> bool {
    let wanted: Vec<u8> = stream.encode_utf16().flat_map(u16::to_le_bytes).collect();
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn cell(data: &Data) -> Cell {
    match data {
        Data::Empty => Cell::EMPTY,
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => Cell::text(text),
        Data::Float(number) => styles::shown(*number, "General", false),
        Data::Int(number) => styles::shown(*number as f64, "General", false),
        Data::Bool(truth) => Cell { text: truth.to_string(), value: Value::Truth(*truth) },
        Data::Error(fault) => Cell { text: fault.to_string(), value: Value::Fault },
        Data::DateTime(moment) => {
            let serial = moment.as_f64();
            let format = match (serial < 1.0, serial.fract() == 0.0) {
                (true, _) => "hh:mm",
                (_, true) => "yyyy-mm-dd",
                _ => "yyyy-mm-dd hh:mm",
            };
            styles::shown(serial, format, false)
        }
    }
}
