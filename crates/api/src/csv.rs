//! Tables for spreadsheets, streamed page by page: a reader that stalls holds neither memory nor the database.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::TryStream;
use service::campaigns::{Line, ListColumn};

/// Excel takes a file for UTF-8 only with it.
const BOM: &str = "\u{feff}";

/// What XLSX is called.
pub(crate) const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// Whether the caller asks for CSV.
pub(crate) fn wanted(headers: &HeaderMap) -> bool {
    accepts(headers, "text/csv")
}

/// Whether the caller asks for XLSX.
pub(crate) fn workbook_wanted(headers: &HeaderMap) -> bool {
    accepts(headers, XLSX)
}

fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| {
        accept.split(',').any(|part| part.split(';').next().is_some_and(|kind| kind.trim() == wanted))
    })
}

/// The first bytes of a table: the mark and its heads.
pub fn head(names: &[&str]) -> Bytes {
    let mut table = BOM.as_bytes().to_vec();
    table.extend(rows([names]));
    table.into()
}

/// Lines of a campaign's closing list, with these columns of the given list.
pub fn results(columns: &[ListColumn], lines: &[Line]) -> Vec<u8> {
    rows(lines.iter().map(|line| line.cells(columns)))
}

/// Rows of a given table by the names of their columns; a mark at the beginning is passed over.
///
/// # Errors
/// Not UTF-8, or not the same number of cells in every row.
pub fn table(bytes: &[u8]) -> Result<Vec<std::collections::BTreeMap<String, String>>, csv::Error> {
    let bytes = bytes.strip_prefix(BOM.as_bytes()).unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(bytes);
    let head = reader.headers()?.clone();
    reader
        .into_records()
        .map(|row| Ok(head.iter().map(str::to_owned).zip(row?.iter().map(str::to_owned)).collect()))
        .collect()
}

/// Rows of a table. A cell that a spreadsheet would take for a formula gets an apostrophe in front.
pub(crate) fn rows<R, C>(rows: impl IntoIterator<Item = R>) -> Vec<u8>
where
    R: IntoIterator<Item = C>,
    C: AsRef<str>,
{
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        let cells = row.into_iter().map(|cell| neutral(cell.as_ref()));
        // Writing to memory does not fail.
        let _ = writer.write_record(cells);
    }
    writer.into_inner().unwrap_or_default()
}

fn neutral(cell: &str) -> String {
    let dangerous = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    // A number is no formula.
    if dangerous && cell.parse::<f64>().is_err() { format!("'{cell}") } else { cell.to_owned() }
}

/// The answer.
pub(crate) fn response<S>(name: &str, parts: S) -> Response
where
    S: TryStream + Send + 'static,
    S::Ok: Into<Bytes>,
    S::Error: Into<axum::BoxError>,
{
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")),
    ];
    (headers, Body::from_stream(parts)).into_response()
}

#[cfg(test)]
mod tests {
    #[test]
    fn formulas_are_neutralised_and_numbers_are_not() {
        let text = String::from_utf8(super::rows([["=1+1", "-1", "@x", "a,\"b\"", "+86 1"]])).unwrap();
        assert_eq!(text, "'=1+1,-1,'@x,\"a,\"\"b\"\"\",'+86 1\r\n");
    }
}
