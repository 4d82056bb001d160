//! Tables for spreadsheets as CSV: written so that Excel reads them, and read.

use bytes::Bytes;
use futures::{Stream, StreamExt};

use crate::campaigns::{Line, ListColumn, TOLD};
use crate::problem::{Kind, Problem};

/// Excel takes a file for UTF-8 only with it.
const BOM: &str = "\u{feff}";

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

/// A campaign's closing list as a table, page by page: a reader that stalls holds neither memory nor the database.
pub fn list(
    columns: Vec<ListColumn>,
    lines: impl Stream<Item = Result<Vec<Line>, Problem>> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, Problem>> + Send + 'static {
    let mut names = vec!["row"];
    names.extend(columns.iter().map(|column| column.header.as_str()));
    names.extend(TOLD);
    let head = head(&names);
    let rows = lines.map(move |page| page.map(|lines| Bytes::from(results(&columns, &lines))));
    futures::stream::once(std::future::ready(Ok(head))).chain(rows)
}

/// Rows of a given table by the names of their columns; a mark at the beginning is passed over.
///
/// # Errors
/// `invalid_csv`: not UTF-8, or not the same number of cells in every row.
pub fn table(bytes: &[u8]) -> Result<Vec<std::collections::BTreeMap<String, String>>, Problem> {
    read(bytes).map_err(|error| {
        Problem::new(
            Kind::Malformed,
            "invalid_csv",
            format!("不是 UTF-8 编码、第一行为表头的 CSV：{error}"),
            format!("That is no CSV in UTF-8 with a head: {error}"),
        )
    })
}

fn read(bytes: &[u8]) -> Result<Vec<std::collections::BTreeMap<String, String>>, csv::Error> {
    let bytes = bytes.strip_prefix(BOM.as_bytes()).unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(bytes);
    let head = reader.headers()?.clone();
    reader
        .into_records()
        .map(|row| Ok(head.iter().map(str::to_owned).zip(row?.iter().map(str::to_owned)).collect()))
        .collect()
}

/// Rows of a table. A cell that a spreadsheet would take for a formula gets an apostrophe in front.
pub fn rows<R, C>(rows: impl IntoIterator<Item = R>) -> Vec<u8>
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

#[cfg(test)]
mod tests {
    #[test]
    fn formulas_are_neutralised_and_numbers_are_not() {
        let text = String::from_utf8(super::rows([["=1+1", "-1", "@x", "a,\"b\"", "+86 1"]])).unwrap();
        assert_eq!(text, "'=1+1,-1,'@x,\"a,\"\"b\"\"\",'+86 1\r\n");
    }
}
