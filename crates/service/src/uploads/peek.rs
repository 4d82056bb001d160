//! The first look at a file: which sheet, where the header stands, what the sheet says of its rows.

use std::collections::HashMap;

use sheets::{Book, Facts, Limits, SheetError, SheetRow, Source};

use super::asked::UploadRequest;
use crate::problem::{FieldError, Kind, Problem};

/// Rows that tell header and columns.
const FIRST: usize = 50;

/// What the first look shows.
pub(super) struct Peek {
    pub(super) source: Source,
    pub(super) sheets: Vec<String>,
    pub(super) sheet: usize,
    /// The first rows that hold something.
    pub(super) first: Vec<SheetRow>,
    pub(super) header: Option<SheetRow>,
    pub(super) covered: Covered,
}

/// Cells that a merge takes the text of: by row, from and to which column.
#[derive(Debug, Default)]
pub(super) struct Covered(HashMap<u32, Vec<(u32, u32)>>);

impl Covered {
    fn of(facts: &Facts) -> Self {
        let mut rows: HashMap<u32, Vec<(u32, u32)>> = HashMap::new();
        // A merge of a whole column says nothing of any cell.
        for merge in facts.merges.iter().filter(|merge| merge.rows.1 - merge.rows.0 < 100_000) {
            for row in merge.rows.0..=merge.rows.1 {
                let from = if row == merge.rows.0 { merge.columns.0 + 1 } else { merge.columns.0 };
                if from <= merge.columns.1 {
                    rows.entry(row).or_default().push((from, merge.columns.1));
                }
            }
        }
        Self(rows)
    }

    /// Whether a cell shows what another one holds.
    pub(super) fn has(&self, row: u32, column: usize) -> bool {
        let Ok(column) = u32::try_from(column) else { return false };
        self.0.get(&row).is_some_and(|spans| spans.iter().any(|(from, to)| (*from..=*to).contains(&column)))
    }
}

/// Opens a file and looks at the sheet that is asked for, or at the first that holds anything.
pub(super) fn peek(file: &[u8], asked: &UploadRequest) -> Result<Peek, Problem> {
    let mut book = Book::open(file, Limits::default()).map_err(|error| unreadable(&error))?;
    let sheets: Vec<String> = book.sheets().iter().map(|sheet| sheet.name.clone()).collect();
    let candidates: Vec<usize> = match &asked.sheet {
        Some(name) => match sheets.iter().position(|sheet| sheet == name) {
            Some(at) => vec![at],
            None => return Err(no_sheet(name, &sheets).into()),
        },
        None => (0..sheets.len()).filter(|at| !book.sheets()[*at].hidden).collect(),
    };
    for sheet in candidates {
        let mut first: Vec<SheetRow> = Vec::new();
        let facts = book
            .read(sheet, &mut |row| {
                if first.len() < FIRST {
                    first.push(row);
                }
                true
            })
            .map_err(|error| unreadable(&error))?;
        if first.is_empty() {
            continue;
        }
        let number = asked.header_row.or_else(|| sheets::habits::header(&first));
        let header = match number {
            None | Some(0) => None,
            Some(number) => match first.iter().find(|row| row.number == number) {
                Some(row) => Some(row.clone()),
                None => return Err(no_header(number).into()),
            },
        };
        let source = book.source().clone();
        return Ok(Peek { source, sheets, sheet, first, header, covered: Covered::of(&facts) });
    }
    Err(unreadable(&SheetError::Empty))
}

fn no_sheet(name: &str, sheets: &[String]) -> FieldError {
    FieldError::new(
        "/sheet",
        "unknown_sheet",
        format!("文件里没有工作表“{name}”。现有：{}。", sheets.join("、")),
        format!("The file has no sheet “{name}”. It has: {}.", sheets.join(", ")),
    )
}

fn no_header(number: u32) -> FieldError {
    FieldError::new(
        "/header_row",
        "unknown_row",
        format!("第 {number} 行是空行，或不在前 {FIRST} 行内，不能作表头。没有表头请填 0。"),
        format!(
            "Row {number} is blank or not among the first {FIRST}; it cannot be the header. Give 0 where there is none."
        ),
    )
}

/// Why a file cannot be read, and what helps.
pub(super) fn unreadable(error: &SheetError) -> Problem {
    let (code, zh, en) = match error {
        SheetError::Empty => ("empty_file", "文件里没有任何内容。".to_owned(), "There is nothing in the file.".to_owned()),
        SheetError::Unsupported(what) => (
            "unsupported_file",
            format!("这是 {what} 文件，无法读取。请另存为 XLSX 或 CSV 再上传。"),
            format!("This is {what}, which is not read. Save it as XLSX or CSV."),
        ),
        SheetError::Encrypted => (
            "encrypted_file",
            "文件设了打开密码。请在 Excel 中取消密码（文件 → 信息 → 保护工作簿）再上传。".to_owned(),
            "The file has a password. Take it away in Excel (File, Info, Protect Workbook) and upload it again.".to_owned(),
        ),
        SheetError::Damaged(why) => (
            "damaged_file",
            format!("文件已损坏，或内容与格式不符（{why}）。请用 Excel 或 WPS 打开后另存为 XLSX 再上传。"),
            format!("The file is damaged or not what it seems ({why}). Open it in Excel or WPS and save it as XLSX."),
        ),
        SheetError::TooLarge(limit) => (
            "file_too_large",
            format!("文件解压后超过 {} MiB，请拆分后上传。", limit >> 20),
            format!("The file unpacks to more than {} MiB; split it.", limit >> 20),
        ),
        SheetError::TooMany { what, limit } => (
            "sheet_too_large",
            format!("工作表超过 {limit} {}，请拆分后上传。", if *what == "rows" { "行" } else { "列" }),
            format!("The sheet has more than {limit} {what}; split it."),
        ),
        SheetError::Encoding { row } => (
            "unknown_encoding",
            format!("第 {row} 行的文字既不是 UTF-8，也不是 GB18030 或 UTF-16。请另存为“CSV UTF-8”或 XLSX。"),
            format!("Row {row} is neither UTF-8 nor GB18030 nor UTF-16. Save the file as “CSV UTF-8” or XLSX."),
        ),
        SheetError::NoSheet(name) => ("unknown_sheet", format!("没有工作表 {name}。"), format!("There is no sheet {name}.")),
    };
    Problem::new(Kind::Invalid, code, zh, en)
}
