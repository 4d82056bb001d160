//! How a sheet is to be read: columns, and the operator's answers to what was doubtful.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::problem::{Kind, Problem};

/// How a sheet is to be read; what is not given is found, or asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UploadRequest {
    /// The template that it is for: its fields are matched with columns, and each cell is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_id: Option<String>,
    /// Which sheet; the first that is not empty unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// The row with the names of the columns; 0 where there is none. Looked for unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_row: Option<u32>,
    /// Which columns are what.
    pub mapping: Mapping,
    /// Rows with errors: `leave_out` lists them as not sent. Without it the file waits to be mended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Choice>,
    /// Rows that a filter hides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_rows: Option<Choice>,
    /// Rows that add up others (合计).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_rows: Option<Choice>,
    /// Keys that several people have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub several: Option<Several>,
    /// Keys that are known only with (or without) zeros in front: `mend` takes them as meant so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_zeros: Option<Choice>,
    /// Keys with full-width signs: `mend` reads them narrow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_width: Option<Choice>,
    /// People who were sent the same today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_today: Option<Choice>,
}

/// Which columns are what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mapping {
    /// The column that says who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyColumn>,
    /// Fields of the template by their key: a column, with a format where one is wanted (`金额|money`).
    pub fields: BTreeMap<String, String>,
}

/// The column that says who.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyColumn {
    /// Its name.
    pub column: String,
    /// `openid`, `external_id`, or the name of a key attribute.
    pub by: String,
}

/// What is done with rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// They are not sent.
    LeaveOut,
    /// They are taken as they are.
    Keep,
    /// They are taken as they were meant.
    Mend,
}

/// Who is meant where several people have a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Several {
    /// Everybody.
    All,
    /// Whoever subscribed last.
    MostRecent,
    /// Nobody.
    LeaveOut,
}

impl UploadRequest {
    /// Reads what is asked.
    ///
    /// # Errors
    /// `invalid_body`.
    pub fn parse(asked: Value) -> Result<Self, Problem> {
        serde_json::from_value(asked).map_err(|error| {
            Problem::new(
                Kind::Invalid,
                "invalid_body",
                format!("上传参数的格式有误：{error}"),
                format!("The parameters of the upload are not of the right form: {error}"),
            )
        })
    }
}

pub(super) fn not_an_object() -> Problem {
    Problem::new(
        Kind::Invalid,
        "invalid_body",
        "请求内容应是一个 JSON 对象。",
        "The request is one JSON object.",
    )
}
