//! The rows of one sheet.

use quick_xml::events::{BytesStart, Event};

use super::strings::Strings;
use super::styles::Styles;
use super::{Xml, attribute, is_true, next, push};
use crate::book::{Facts, Merge, SheetRow};
use crate::cell::{Cell, Value};
use crate::error::SheetError;

/// Columns that a sheet of Excel can have.
const COLUMNS: usize = 16_384;

/// A cell that is being read.
struct Open {
    column: usize,
    kind: Option<String>,
    style: usize,
    text: String,
}

pub(super) fn read(
    xml: &mut Xml<'_>,
    strings: &Strings,
    styles: &Styles,
    each: &mut dyn FnMut(SheetRow) -> bool,
) -> Result<Facts, SheetError> {
    let (mut facts, mut buffer) = (Facts::default(), Vec::new());
    let mut row: Option<SheetRow> = None;
    let (mut last_row, mut cell, mut inside, mut more) = (0, None::<Open>, false, true);
    while let Some(event) = next(xml, &mut buffer)? {
        match &event {
            Event::Start(start) => match start.local_name().as_ref() {
                "row" => {
                    let opened = open_row(start, last_row);
                    last_row = opened.number;
                    row = Some(opened);
                }
                "c" => {
                    let before = row.as_ref().map_or(0, |row| row.cells.len());
                    cell = Some(open_cell(start, before)?);
                }
                "v" | "t" => inside = cell.is_some(),
                // The reading above Japanese words is no text of the cell.
                "rPh" => inside = false,
                "autoFilter" => facts.filtered = true,
                name => note(name, start, &mut facts),
            },
            Event::Empty(start) => match start.local_name().as_ref() {
                "row" => last_row = open_row(start, last_row).number,
                "c" => {
                    if let Some(row) = &mut row {
                        let opened = open_cell(start, row.cells.len())?;
                        place(row, opened.column, Cell::EMPTY);
                    }
                }
                "autoFilter" => facts.filtered = true,
                name => note(name, start, &mut facts),
            },
            Event::End(end) => match end.local_name().as_ref() {
                "v" | "t" => inside = false,
                "c" => {
                    if let (Some(row), Some(open)) = (&mut row, cell.take()) {
                        let column = open.column;
                        place(row, column, closed(&open, strings, styles));
                    }
                }
                "row" => {
                    if let Some(row) = row.take()
                        && more
                    {
                        more = each(row);
                        if !more {
                            return Ok(facts);
                        }
                    }
                }
                _ => {}
            },
            event if inside => {
                if let Some(cell) = &mut cell {
                    push(&mut cell.text, event)?;
                }
            }
            _ => {}
        }
    }
    Ok(facts)
}

fn note(name: &str, start: &BytesStart<'_>, facts: &mut Facts) {
    if name == "mergeCell"
        && let Some(area) = attribute(start, "ref")
        && let Some((from, to)) = area.split_once(':')
        && let (Some(from), Some(to)) = (reference(from), reference(to))
    {
        facts.merges.push(Merge { rows: (from.1, to.1), columns: (from.0, to.0) });
    }
}

fn open_row(start: &BytesStart<'_>, last: u32) -> SheetRow {
    let number = attribute(start, "r").and_then(|number| number.parse().ok()).unwrap_or(last + 1);
    SheetRow { number, hidden: is_true(attribute(start, "hidden").as_deref()), cells: Vec::new() }
}

fn open_cell(start: &BytesStart<'_>, before: usize) -> Result<Open, SheetError> {
    let column = attribute(start, "r")
        .and_then(|name| reference(&name))
        .and_then(|(column, _)| usize::try_from(column).ok())
        .unwrap_or(before);
    if column >= COLUMNS {
        return Err(SheetError::TooMany { what: "columns", limit: COLUMNS });
    }
    let style = attribute(start, "s").and_then(|style| style.parse().ok()).unwrap_or(0);
    Ok(Open { column, kind: attribute(start, "t"), style, text: String::new() })
}

/// Cells may be left out, and stand in no order.
fn place(row: &mut SheetRow, column: usize, cell: Cell) {
    if row.cells.len() <= column {
        row.cells.resize(column + 1, Cell::EMPTY);
    }
    row.cells[column] = cell;
}

fn closed(open: &Open, strings: &Strings, styles: &Styles) -> Cell {
    let text = open.text.as_str();
    match open.kind.as_deref() {
        Some("s") => Cell::text(text.trim().parse().ok().and_then(|at| strings.get(at)).unwrap_or_default()),
        Some("str" | "inlineStr" | "d") => Cell::text(text),
        Some("b") => Cell {
            text: if text.trim() == "1" { "TRUE" } else { "FALSE" }.to_owned(),
            value: Value::Truth(text.trim() == "1"),
        },
        Some("e") => Cell { text: text.trim().to_owned(), value: Value::Fault },
        _ => match text.trim().parse::<f64>() {
            Ok(number) => styles.shown(number, open.style),
            Err(_) => Cell::text(text),
        },
    }
}

/// `AB12` as column 27 and row 12.
fn reference(name: &str) -> Option<(u32, u32)> {
    let name = name.replace('$', "");
    let split = name.find(|c: char| c.is_ascii_digit())?;
    let (letters, digits) = name.split_at(split);
    let column = letters.bytes().try_fold(0u32, |sum, letter| {
        letter
            .is_ascii_alphabetic()
            .then(|| sum.checked_mul(26)?.checked_add(u32::from(letter.to_ascii_uppercase() - b'A') + 1))
            .flatten()
    })?;
    Some((column.checked_sub(1)?, digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        assert_eq!(reference("A1"), Some((0, 1)));
        assert_eq!(reference("$AB$12"), Some((27, 12)));
        for wrong in ["", "1", "A", "?1", "ZZZZZZZZ1"] {
            assert_eq!(reference(wrong), None, "{wrong}");
        }
    }
}
