//! What was found in a sheet.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::uploads::StoredUpload;
use wechat::Lang;

use super::asked::{Choice, Mapping, Several};
use crate::view::time;

/// Errors, and rows of one kind, that are told; all of them are counted.
pub(super) const TOLD: usize = 1_000;
pub(super) const ROWS: usize = 20;
/// Rows that are shown whole, and how much of a cell.
const WHOLE: usize = 50;
const CELL: usize = 60;

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Column {
    /// The letters above it.
    pub column: String,
    /// What stands in the header.
    pub header: String,
    /// Its name in placeholders.
    pub name: String,
    /// The first values.
    pub samples: Vec<String>,
}

/// Something wrong with a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CellError {
    /// The number of the row as the sheet shows it.
    pub row: u32,
    /// The column's header.
    pub column: String,
    /// In a word.
    pub code: String,
    /// What is wrong, with the remedy.
    #[schema(value_type = String)]
    pub detail: Words,
}

/// A row with something wrong in it, as it stands in the sheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WrongRow {
    /// The number of the row as the sheet shows it.
    pub row: u32,
    /// Its cells, one for each column; long ones are cut.
    pub cells: Vec<String>,
}

/// A text in both languages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// In Chinese.
    pub zh: String,
    /// In English.
    pub en: String,
}

/// How many rows, and which are the first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Counted {
    /// How many.
    pub count: u64,
    /// The first ones.
    pub rows: Vec<u32>,
}

/// Something that the operator decides, or mends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Question {
    /// In a word: the parameter that answers it, where one does.
    pub code: String,
    /// How many rows.
    pub count: u64,
    /// The first ones.
    pub rows: Vec<u32>,
    /// The answers; none where the sheet has to be mended.
    pub choices: Vec<String>,
    /// What was chosen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chosen: Option<String>,
    /// What it is about.
    #[schema(value_type = String)]
    pub detail: Words,
}

/// What was found in a sheet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Report {
    /// xlsx, xls, html, text.
    pub format: String,
    /// Of text: its encoding.
    pub encoding: Option<String>,
    /// Of text: what stands between cells.
    pub delimiter: Option<String>,
    /// The sheets of the file.
    pub sheets: Vec<String>,
    /// The one that was read.
    pub sheet: String,
    /// The row with the names of the columns.
    pub header_row: Option<u32>,
    /// The columns.
    pub columns: Vec<Column>,
    /// Which columns are what.
    pub mapping: Mapping,
    /// Rows with recipients.
    pub rows: u64,
    /// Those of them that can be sent.
    pub valid: u64,
    /// Messages that would be made of them: a row may stand for several people.
    pub messages: u64,
    /// What is wrong with cells; the first 1,000.
    pub errors: Vec<CellError>,
    /// How many there are.
    pub error_count: u64,
    /// The first rows that have one, whole.
    #[serde(default)]
    pub wrong_rows: Vec<WrongRow>,
    /// Rows with the same person and the same text as one before.
    pub duplicates: u64,
    /// The first of them.
    pub duplicate_rows: Vec<u32>,
    /// Rows whose key nobody has: they will be listed as not sent.
    pub unknown_recipients: Counted,
    /// What is to be decided or mended.
    pub questions: Vec<Question>,
    /// Whether a campaign can be made of it.
    pub ready: bool,
}

/// An upload.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct UploadView {
    /// Its id.
    pub upload_id: String,
    /// The file's name.
    pub name: String,
    /// When it came.
    pub created_at: String,
    /// How long the file is kept.
    pub expire_at: String,
    /// What was found.
    #[serde(flatten)]
    pub report: Report,
}

impl UploadView {
    pub(super) fn of(upload: &StoredUpload, report: Report) -> Self {
        Self {
            upload_id: upload.id.to_string(),
            name: upload.name.clone(),
            created_at: time(upload.created_at),
            expire_at: time(upload.created_at + super::KEPT),
            report,
        }
    }
}

impl UploadView {
    /// The upload as JSON, its words in one language.
    pub fn told(&self, lang: Lang) -> Value {
        let mut told = serde_json::to_value(self).unwrap_or_default();
        let word = if lang == Lang::Zh { "zh" } else { "en" };
        for part in ["errors", "questions"] {
            for one in told[part].as_array_mut().into_iter().flatten() {
                one["detail"] = one["detail"][word].take();
            }
        }
        told
    }
}

impl Words {
    pub(super) fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { zh: zh.into(), en: en.into() }
    }
}

impl Counted {
    /// One more row.
    pub(super) fn add(&mut self, row: u32) {
        self.count += 1;
        if self.rows.len() < ROWS && self.rows.last() != Some(&row) {
            self.rows.push(row);
        }
    }
}

impl Choice {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::LeaveOut => "leave_out",
            Self::Keep => "keep",
            Self::Mend => "mend",
        }
    }
}

impl Several {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::MostRecent => "most_recent",
            Self::LeaveOut => "leave_out",
        }
    }
}

impl Report {
    /// Notes an error.
    pub(super) fn error(&mut self, row: u32, column: &str, code: &str, detail: Words) {
        self.error_count += 1;
        if self.errors.len() < TOLD {
            self.errors.push(CellError { row, column: column.to_owned(), code: code.to_owned(), detail });
        }
    }

    /// Keeps a row with something wrong in it, to be shown.
    pub(super) fn show<'c>(&mut self, row: u32, cells: impl Iterator<Item = &'c str>) {
        if self.wrong_rows.len() < WHOLE {
            let cells = cells.map(|text| text.chars().take(CELL).collect()).collect();
            self.wrong_rows.push(WrongRow { row, cells });
        }
    }

    /// What is wrong with a cell of a row that is shown, by the column's header.
    pub fn wrong(&self, row: &WrongRow, header: &str) -> Option<&CellError> {
        let row = row.row;
        let start = self.errors.partition_point(|error| error.row < row);
        self.errors[start..].iter().take_while(|error| error.row == row).find(|error| error.column == header)
    }

    /// What still is to be done, in words.
    pub(super) fn open(&self) -> (String, String) {
        let open: Vec<&Question> =
            self.questions.iter().filter(|question| question.chosen.is_none()).collect();
        let (mut zh, mut en) =
            (String::from("上传的表还有未处理的问题："), String::from("Something is open in the upload: "));
        for question in &open {
            zh.push_str(&question.detail.zh);
            en.push_str(&question.detail.en);
            en.push(' ');
        }
        if open.is_empty() {
            zh.push_str("没有可发送的行。");
            en.push_str("no row can be sent.");
        }
        (zh, en.trim_end().to_owned())
    }
}
