//! Text with separators, in the encodings that Excel and its users here leave behind.

use encoding_rs::{Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};

use crate::book::{Facts, SheetRow};
use crate::cell::Cell;
use crate::error::SheetError;

/// Lines that tell the separator.
const LOOK: usize = 50;

/// The text of a file, and how it was encoded. A byte order mark decides; without one UTF-8 where every byte fits, UTF-16 where
/// half of the bytes are zero, GB18030 otherwise.
pub(crate) fn decode(bytes: &[u8]) -> Result<(String, &'static str), SheetError> {
    let encoding = match Encoding::for_bom(bytes) {
        Some((marked, _)) => marked,
        None => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => return Ok((text.to_owned(), UTF_8.name())),
            _ => unmarked(bytes),
        },
    };
    let (text, _, wrong) = encoding.decode(bytes);
    if wrong || text.contains('\0') {
        let before = text.split(['\u{fffd}', '\0']).next().unwrap_or_default();
        let row = u32::try_from(before.matches('\n').count()).unwrap_or(0) + 1;
        return Err(SheetError::Encoding { row });
    }
    let name = if encoding == UTF_16LE || encoding == UTF_16BE { "UTF-16" } else { encoding.name() };
    Ok((text.into_owned(), if name == "gb18030" { "GB18030" } else { name }))
}

fn unmarked(bytes: &[u8]) -> &'static Encoding {
    let start = &bytes[..bytes.len().min(4_096)];
    let zeros = |from: usize| start.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    // Separators, digits and line ends have a zero beside them even where all words are Chinese.
    let enough = (start.len() / 16).max(1);
    match (zeros(0), zeros(1)) {
        (even, odd) if even >= enough && even > odd => UTF_16BE,
        (even, odd) if odd >= enough && odd > even => UTF_16LE,
        _ => GB18030,
    }
}

/// What stands between the cells: the separator that divides the first lines most evenly.
pub(crate) fn delimiter(text: &str) -> u8 {
    let lines = head(text);
    let mut best = (b',', (0, 0));
    for candidate in [b'\t', b',', b';'] {
        let mut reader = reader(lines, candidate);
        let widths: Vec<usize> = reader.records().flatten().take(LOOK).map(|record| record.len()).collect();
        let Some(&first) =
            widths.iter().max_by_key(|width| (widths.iter().filter(|w| w == width).count(), **width))
        else {
            continue;
        };
        let even = widths.iter().filter(|width| **width == first).count();
        if first > 1 && (even, first) > best.1 {
            best = (candidate, (even, first));
        }
    }
    best.0
}

/// The first lines.
fn head(text: &str) -> &str {
    let end = text.match_indices('\n').nth(LOOK).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

fn reader(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes())
}

pub(crate) fn read(
    text: &str,
    delimiter: u8,
    each: &mut dyn FnMut(SheetRow) -> bool,
) -> Result<Facts, SheetError> {
    let text = text.trim_start_matches('\u{feff}');
    // Excel's own hint for its separator is no row of the data, though it is one of the file.
    let (text, mut number) = match text.split_once('\n') {
        Some((hint, rest)) if hint.trim().len() == 5 && hint.to_ascii_lowercase().starts_with("sep=") => {
            (rest, 1)
        }
        _ => (text, 0),
    };
    let mut reader = reader(text, delimiter);
    let mut record = csv::StringRecord::new();
    let mut line = 1;
    while reader.read_record(&mut record).map_err(|error| SheetError::damaged(&error))? {
        let end = reader.position().line();
        let inside: usize = record.iter().map(|cell| cell.matches('\n').count()).sum();
        // Blank lines are skipped by the reader; the row numbers of a sheet count them.
        let lines = end.saturating_sub(line).max(1).saturating_sub(inside as u64).max(1);
        line = end;
        number += u32::try_from(lines).unwrap_or(1);
        let cells = record.iter().map(Cell::text).collect();
        if !each(SheetRow { number, hidden: false, cells }) {
            break;
        }
    }
    Ok(Facts::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(bytes: &[u8]) -> (Vec<(u32, Vec<String>)>, &'static str, char) {
        let (text, encoding) = decode(bytes).unwrap();
        let delimiter = delimiter(&text);
        let mut rows = Vec::new();
        read(&text, delimiter, &mut |row| {
            rows.push((row.number, row.cells.into_iter().map(|cell| cell.text).collect()));
            true
        })
        .unwrap();
        (rows, encoding, char::from(delimiter))
    }

    #[test]
    fn encodings_and_separators() {
        let table = |separator: &str| {
            [
                ["房号", "费用"].join(separator),
                ["3-1201", "1,5元；滞纳金"].map(|cell| format!("\"{cell}\"")).join(separator),
            ]
            .join("\r\n")
        };
        let wanted = vec![
            (1, vec!["房号".to_owned(), "费用".to_owned()]),
            (2, vec!["3-1201".to_owned(), "1,5元；滞纳金".to_owned()]),
        ];
        for separator in [",", "\t", ";"] {
            let text = table(separator);
            let utf16 = |big: bool| -> Vec<u8> {
                text.encode_utf16()
                    .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
                    .collect()
            };
            let files: Vec<(Vec<u8>, &str)> = vec![
                (text.clone().into_bytes(), "UTF-8"),
                ([b"\xef\xbb\xbf".as_slice(), text.as_bytes()].concat(), "UTF-8"),
                (GB18030.encode(&text).0.into_owned(), "GB18030"),
                ([b"\xff\xfe".as_slice(), &utf16(false)].concat(), "UTF-16"),
                ([b"\xfe\xff".as_slice(), &utf16(true)].concat(), "UTF-16"),
                (utf16(false), "UTF-16"),
                (utf16(true), "UTF-16"),
            ];
            for (file, encoding) in files {
                let (found, how, delimiter) = rows(&file);
                assert_eq!(found, wanted, "{encoding} {separator:?}");
                assert_eq!((how, delimiter.to_string().as_str()), (encoding, separator));
            }
        }
    }

    #[test]
    fn rows_are_numbered_as_in_the_sheet() {
        let (found, ..) = rows("a,b\n\n\n1,\"two\nlines\"\n\n2,x\n".as_bytes());
        let numbers: Vec<u32> = found.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 4, 6]);
        let (found, ..) = rows("sep=;\na;b\n1;2".as_bytes());
        assert_eq!(found[0], (2, vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn bytes_of_no_encoding() {
        assert!(matches!(decode(b"a,b\nok,\xff\xff\xff"), Err(SheetError::Encoding { row: 2 })));
    }

    #[test]
    fn one_column() {
        let (found, _, delimiter) = rows("openid\noABC\noDEF\n".as_bytes());
        assert_eq!((found.len(), delimiter), (3, ','));
    }
}
