//! Templates of subscribe messages (订阅消息模板): what fields they have and which values fit. Used before a send, by the
//! forms that people fill in, and after a template list was fetched.
//!
//! Sources: official pages "发送订阅消息" (section on parameter values) and "获取已有的模板列表" (gettemplate).

mod check;
mod content;
mod kind;
mod problem;
mod value;

use serde::{Deserialize, Serialize};

pub use check::check;
pub use content::parse_content;
pub use kind::FieldKind;
pub use problem::{FieldProblem, ProblemCode};
pub use value::{ValueProblem, check_value, units};

/// The greatest number of fields of one template that is read. WeChat's have 2 to 5 (official page "选用模板").
pub const MAX_FIELDS: usize = 100;
/// The greatest number of unknown keys that are told of in one message's data.
pub const MAX_UNKNOWN_KEYS: usize = 100;

/// One field of a template (关键词).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The key to send, as `thing8`.
    pub key: String,
    /// The kind of value, told by the key's letters.
    pub kind: FieldKind,
    /// The key's number; 0 if it has none.
    pub number: u32,
    /// The label that stands before the value on the card; empty if the template has none.
    pub label: String,
    /// The example of the template; empty if there is none.
    pub example: String,
    /// The values that an enum field takes; empty for other kinds, or if WeChat did not tell.
    #[serde(rename = "enum", default, skip_serializing_if = "Vec::is_empty")]
    pub enum_values: Vec<String>,
}

/// What one subscription allows.
///
/// Source: `type` of gettemplate, 2 and 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateType {
    /// 一次性订阅 (2): one message per subscription, without a time limit.
    OneTime,
    /// 长期订阅 (3): any number of messages; for some public lines of business only.
    LongTerm,
}

/// A template of the mini program (我的模板).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// `priTmplId`, the template_id of the send call.
    pub id: String,
    /// The title.
    pub title: String,
    /// What one subscription allows.
    #[serde(rename = "type")]
    pub kind: TemplateType,
    /// The content with its placeholders, one field per line.
    pub content: String,
    /// The example of the content.
    pub example: String,
    /// The fields, in the order of the content.
    pub fields: Vec<Field>,
}

impl TemplateType {
    /// Reads WeChat's number: 3 is long-term. Everything else, unknown numbers too, is taken as one-time, the kind that
    /// promises less.
    pub fn from_wechat(number: i64) -> Self {
        if number == 3 { Self::LongTerm } else { Self::OneTime }
    }

    /// The word for settings and interfaces: `one_time` or `long_term`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneTime => "one_time",
            Self::LongTerm => "long_term",
        }
    }
}
