//! Whether one value fits its field's kind: used by [`check`](super::check()) and by forms that check while typing.
//!
//! Source: official page "发送订阅消息", the table of parameter types. Where the page leaves something open, the check
//! lets it pass: a value refused by WeChat (47003) costs nothing, a value refused here cannot be sent at all.

mod time;

use super::{FieldKind, ProblemCode};

/// What is wrong with one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueProblem {
    /// What is wrong.
    pub code: ProblemCode,
    /// The limit that is exceeded (in UTF-16 units; for an amount in digits).
    pub limit: Option<u32>,
    /// What the value has, in the unit of `limit`.
    pub length: Option<u32>,
}

/// The length of a text in UTF-16 units, as the checks count.
pub fn units(text: &str) -> u32 {
    u32::try_from(text.encode_utf16().count()).unwrap_or(u32::MAX)
}

/// Gives everything that is wrong with `value` for a field of this kind; nothing if it fits.
///
/// `enum_values` are the listed values; an empty list (WeChat did not tell) lets every value pass. The value is never
/// changed, not even trimmed.
pub fn check_value(kind: &FieldKind, value: &str, enum_values: &[String]) -> Vec<ValueProblem> {
    if value.is_empty() {
        return vec![plain(ProblemCode::Empty)];
    }
    let mut problems = Vec::new();
    // A control character is told as such, and the rest is judged without it.
    let clean: String = value.chars().filter(|c| !is_control(*c)).collect();
    if clean.len() != value.len() {
        problems.push(plain(ProblemCode::ControlCharacter));
    }
    if !clean.is_empty() && !has_form(kind, &clean, enum_values) {
        let code = if *kind == FieldKind::Enum { ProblemCode::NotInEnum } else { ProblemCode::WrongKind };
        problems.push(plain(code));
    }
    let (limit, length) = match kind {
        FieldKind::Amount => (Some(10), integer_digits(value)),
        FieldKind::Name if value.chars().any(is_han) => (Some(10), units(value)),
        _ => (kind.limit(), units(value)),
    };
    if let Some(limit) = limit.filter(|limit| length > *limit) {
        problems.push(ValueProblem { code: ProblemCode::TooLong, limit: Some(limit), length: Some(length) });
    }
    problems
}

fn plain(code: ProblemCode) -> ValueProblem {
    ValueProblem { code, limit: None, length: None }
}

fn has_form(kind: &FieldKind, value: &str, enum_values: &[String]) -> bool {
    match kind {
        FieldKind::Thing | FieldKind::Other(_) => true,
        FieldKind::Number => is_number(value.strip_prefix('-').unwrap_or(value)),
        FieldKind::Letter => value.bytes().all(|byte| byte.is_ascii_alphabetic()),
        FieldKind::Symbol => !value.chars().any(char::is_alphanumeric),
        FieldKind::CharacterString => !value.chars().any(is_han),
        FieldKind::Time => time::is_time(value),
        FieldKind::Date => time::is_date(value),
        FieldKind::Amount => is_amount(value),
        FieldKind::PhoneNumber => {
            value.chars().any(|c| c.is_ascii_digit())
                && value.chars().all(|c| c.is_ascii_digit() || !c.is_alphanumeric())
        }
        FieldKind::CarNumber => is_car_number(value),
        FieldKind::Name => !value.chars().any(|c| c.is_ascii_digit()),
        FieldKind::Phrase => value.chars().all(is_han),
        FieldKind::Enum => enum_values.is_empty() || enum_values.iter().any(|known| known == value),
    }
}

/// Line breaks and other control characters, and Unicode's own line and paragraph separators.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Chinese characters, extensions and compatibility forms included, with 々 and 〇.
pub(super) fn is_han(c: char) -> bool {
    matches!(c, '\u{3005}' | '\u{3007}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_number(text: &str) -> bool {
    match text.split_once('.') {
        Some((whole, part)) => is_digits(whole) && is_digits(part),
        None => is_digits(text),
    }
}

/// An amount without its currency symbol and its 元.
fn bare_amount(value: &str) -> &str {
    let symbol = |c: char| matches!(c, '$' | '¢'..='¥' | '\u{20a0}'..='\u{20cf}' | '￥' | '＄' | '￡' | '￠' | '￦' | '฿');
    let value = value.strip_prefix(symbol).unwrap_or(value);
    value.strip_suffix('元').unwrap_or(value)
}

fn is_amount(value: &str) -> bool {
    is_number(bare_amount(value))
}

fn integer_digits(value: &str) -> u32 {
    let bare = bare_amount(value);
    let whole = bare.split_once('.').map_or(bare, |(whole, _)| whole);
    u32::try_from(whole.bytes().filter(u8::is_ascii_digit).count()).unwrap_or(u32::MAX)
}

fn is_car_number(value: &str) -> bool {
    let last = value.chars().count().saturating_sub(1);
    value
        .chars()
        .enumerate()
        .all(|(at, c)| c.is_ascii_alphanumeric() || ((at == 0 || at == last) && is_han(c)))
}
