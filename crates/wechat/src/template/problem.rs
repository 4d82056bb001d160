//! What is wrong with the data of a message, with texts for people: given by [`check`](super::check()).
//!
//! A text says where, what, and what to do.

use serde::{Deserialize, Serialize};

use super::{Field, FieldKind};
use crate::Lang;

/// What is wrong, as a stable word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The template has this field, the data do not. WeChat answers 47003.
    Missing,
    /// The value is empty. WeChat answers 47003 ("… is empty").
    Empty,
    /// The value is too long. WeChat refuses it, it does not cut.
    TooLong,
    /// The value does not have the form of the field's kind.
    WrongKind,
    /// The value holds a line break or another control character.
    ControlCharacter,
    /// The template has no such field.
    UnknownField,
    /// The value is not one of the listed values.
    NotInEnum,
}

/// One thing that is wrong with the data of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldProblem {
    /// The key in the data (or the missing one).
    pub key: String,
    /// What is wrong.
    pub code: ProblemCode,
    /// The field of the template; none for an unknown key.
    pub field: Option<Field>,
    /// The limit that is exceeded (in UTF-16 units; for an amount in digits).
    pub limit: Option<u32>,
    /// What the value has, in the unit of `limit`.
    pub length: Option<u32>,
    /// For an unknown key: the key that was probably meant.
    pub suggestion: Option<String>,
}

impl ProblemCode {
    /// The stable word: `missing`, `empty`, `too_long`, `wrong_kind`, `control_character`, `unknown_field`, `not_in_enum`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::WrongKind => "wrong_kind",
            Self::ControlCharacter => "control_character",
            Self::UnknownField => "unknown_field",
            Self::NotInEnum => "not_in_enum",
        }
    }
}

impl FieldProblem {
    /// Says where, what, and what to do. Never holds the value.
    pub fn detail(&self, lang: Lang) -> String {
        match lang {
            Lang::Zh => self.zh(),
            Lang::En => self.en(),
        }
    }

    fn name(&self, lang: Lang) -> String {
        match &self.field {
            Some(field) if !field.label.is_empty() => format!("{} {}", field.label, self.key),
            _ => lang.pick(format!("字段 {}", self.key), self.key.clone()),
        }
    }

    fn excess(&self) -> u32 {
        self.length.unwrap_or(0).saturating_sub(self.limit.unwrap_or(0))
    }

    fn kind(&self) -> FieldKind {
        self.field.as_ref().map_or_else(|| FieldKind::from_key(&self.key).0, |field| field.kind.clone())
    }

    fn values(&self) -> &[String] {
        self.field.as_ref().map_or(&[], |field| &field.enum_values)
    }

    fn zh(&self) -> String {
        let (name, kind) = (self.name(Lang::Zh), self.kind());
        let (limit, length) = (self.limit.unwrap_or(0), self.length.unwrap_or(0));
        let (word, rule) = (kind.zh(), kind.rule(Lang::Zh));
        match self.code {
            ProblemCode::Missing => format!("{name}：模板有这个字段，但没有填。请填写（{word}：{rule}）。"),
            ProblemCode::Empty => format!("{name}：内容为空，微信不接受空值。请填写（{word}：{rule}）。"),
            ProblemCode::TooLong => format!(
                "{name}：{word}最多 {limit} 个字符，现在有 {length} 个。请删去 {} 个。",
                self.excess()
            ),
            ProblemCode::WrongKind => format!("{name}：内容不符合“{word}”的格式。请改为：{rule}。"),
            ProblemCode::ControlCharacter => {
                format!("{name}：内容里有换行或其他控制字符，微信不接受。请删去。")
            }
            ProblemCode::NotInEnum => {
                format!("{name}：内容不在枚举值之内。请改为其中之一：{}。", self.values().join("、"))
            }
            ProblemCode::UnknownField => match &self.suggestion {
                Some(right) => format!("字段 {}：模板没有这个字段。请改为 {right}。", self.key),
                None => format!("字段 {}：模板没有这个字段。请删去。", self.key),
            },
        }
    }

    fn en(&self) -> String {
        let (name, kind) = (self.name(Lang::En), self.kind());
        let (limit, length) = (self.limit.unwrap_or(0), self.length.unwrap_or(0));
        let (word, rule) = (kind.en(), kind.rule(Lang::En));
        match self.code {
            ProblemCode::Missing => {
                format!(
                    "{name}: the template has this field, but it has no value. Give one ({word}: {rule})."
                )
            }
            ProblemCode::Empty => {
                format!("{name}: the value is empty, which WeChat refuses. Give one ({word}: {rule}).")
            }
            ProblemCode::TooLong => format!(
                "{name}: at most {limit} characters fit ({word}), the value has {length}. Take {} away.",
                self.excess()
            ),
            ProblemCode::WrongKind => format!("{name}: the value is no {word}. It has to be: {rule}."),
            ProblemCode::ControlCharacter => format!(
                "{name}: the value holds a line break or another control character, which WeChat refuses. Take it away."
            ),
            ProblemCode::NotInEnum => {
                format!("{name}: the value is not in the list. Use one of: {}.", self.values().join(", "))
            }
            ProblemCode::UnknownField => match &self.suggestion {
                Some(right) => format!("{}: the template has no such field. Use {right}.", self.key),
                None => format!("{}: the template has no such field. Take it away.", self.key),
            },
        }
    }
}
