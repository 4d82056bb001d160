//! Texts with placeholders: `欠费 {{fee|money}} 元，{{due|date}} 前`. A campaign's fields are parsed once and filled for each
//! recipient. Nothing is shortened or guessed: a value that is missing or does not fit its format is an error of that
//! recipient (I13).

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime, Time};

/// A text with placeholders, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Plain(String),
    Value { name: String, format: Format, default: Option<String> },
}

/// How a value is written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Format {
    /// As it is.
    AsIs,
    /// Two decimals, behind this.
    Money(String),
    /// By a pattern of strftime.
    Moment(String),
}

/// Why a text was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// `{{` without `}}`.
    #[error("a {{{{ is not closed")]
    Open,
    /// `{{}}`, or a name with signs that no column has.
    #[error("“{0}” is no name of a column or attribute")]
    Name(String),
    /// Not one of the formats.
    #[error("“{0}” is no format: money, date, time, datetime, default")]
    Format(String),
}

/// Why a text could not be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// There is no such value, or it is empty.
    #[error("there is no value for “{0}”")]
    Missing(String),
    /// Not an amount.
    #[error("“{value}” ({name}) is no amount of money")]
    Money {
        /// Which placeholder.
        name: String,
        /// What stood there.
        value: String,
    },
    /// Not a date or time.
    #[error("“{value}” ({name}) is no date or time")]
    Moment {
        /// Which placeholder.
        name: String,
        /// What stood there.
        value: String,
    },
}

const DATE: &str = "%Y年%-m月%-d日";
const TIME: &str = "%H:%M";
const DATETIME: &str = "%Y年%-m月%-d日 %H:%M";
/// What a pattern may ask for; anything else would be a surprise on somebody's card.
const DIRECTIVES: &str = "YmdHMSyejDFTRAaBb%";

impl Text {
    /// Parses a text.
    ///
    /// # Errors
    /// [`TextError`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("{{") {
            let (before, from) = rest.split_at(at);
            if !before.is_empty() {
                parts.push(Part::Plain(before.to_owned()));
            }
            let inside = &from[2..];
            let end = inside.find("}}").ok_or(TextError::Open)?;
            parts.push(value(&inside[..end])?);
            rest = &inside[end + 2..];
        }
        if !rest.is_empty() {
            parts.push(Part::Plain(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// The names of its placeholders.
    pub fn names(&self) -> BTreeSet<&str> {
        self.0
            .iter()
            .filter_map(|part| match part {
                Part::Plain(_) => None,
                Part::Value { name, .. } => Some(name.as_str()),
            })
            .collect()
    }

    /// Whether it is the same for everybody.
    pub fn is_plain(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Plain(_)))
    }

    /// Fills in the values.
    ///
    /// # Errors
    /// [`FillError`] for the first value that is missing or does not fit.
    pub fn fill<'v>(&self, value: impl Fn(&str) -> Option<&'v str>) -> Result<String, FillError> {
        self.fill_with(value, |text| text.to_owned())
    }

    /// Fills in the values for a page's address: what they hold is URL-encoded.
    ///
    /// # Errors
    /// As [`Text::fill`].
    pub fn fill_url<'v>(&self, value: impl Fn(&str) -> Option<&'v str>) -> Result<String, FillError> {
        self.fill_with(value, url_encoded)
    }

    fn fill_with<'v>(
        &self,
        value: impl Fn(&str) -> Option<&'v str>,
        written: impl Fn(&str) -> String,
    ) -> Result<String, FillError> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Plain(plain) => text.push_str(plain),
                Part::Value { name, format, default } => {
                    match value(name).map(str::trim).filter(|value| !value.is_empty()) {
                        Some(value) => text.push_str(&written(&format.write(name, value)?)),
                        None => match default {
                            Some(default) => text.push_str(&written(default)),
                            None => return Err(FillError::Missing(name.clone())),
                        },
                    }
                }
            }
        }
        Ok(text)
    }
}

fn value(inside: &str) -> Result<Part, TextError> {
    let mut words = inside.split('|').map(str::trim);
    let name = words.next().unwrap_or_default();
    let fits = |c: char| c.is_alphanumeric() || "_-. #（）()/".contains(c);
    if name.is_empty() || name.chars().count() > 64 || !name.chars().all(fits) {
        return Err(TextError::Name(name.to_owned()));
    }
    let (mut format, mut default) = (Format::AsIs, None);
    for word in words {
        let (kind, how) = word.split_once(':').map_or((word, None), |(kind, how)| (kind.trim(), Some(how)));
        match (kind, how) {
            ("money", before) => format = Format::Money(before.unwrap_or_default().trim().to_owned()),
            ("date", None) => format = Format::Moment(DATE.to_owned()),
            ("time", None) => format = Format::Moment(TIME.to_owned()),
            ("datetime", None) => format = Format::Moment(DATETIME.to_owned()),
            ("date" | "time" | "datetime", Some(pattern)) if is_pattern(pattern) => {
                format = Format::Moment(pattern.trim().to_owned());
            }
            ("default", Some(text)) => default = Some(text.trim().to_owned()),
            _ => return Err(TextError::Format(word.to_owned())),
        }
    }
    Ok(Part::Value { name: name.to_owned(), format, default })
}

fn is_pattern(pattern: &str) -> bool {
    let mut signs = pattern.trim().chars();
    let mut asks = false;
    while let Some(sign) = signs.next() {
        if sign == '%' {
            let mut what = signs.next();
            if what == Some('-') {
                what = signs.next();
            }
            if !what.is_some_and(|what| DIRECTIVES.contains(what)) {
                return false;
            }
            asks = true;
        }
    }
    asks
}

impl Format {
    fn write(&self, name: &str, value: &str) -> Result<String, FillError> {
        match self {
            Self::AsIs => Ok(value.to_owned()),
            Self::Money(before) => money(value)
                .map(|amount| format!("{before}{amount}"))
                .ok_or_else(|| FillError::Money { name: name.to_owned(), value: value.to_owned() }),
            Self::Moment(pattern) => moment(value)
                .and_then(|moment| jiff::fmt::strtime::format(pattern, moment).ok())
                .ok_or_else(|| FillError::Moment { name: name.to_owned(), value: value.to_owned() }),
        }
    }
}

/// An amount with two decimals. Signs of money, commas and full-width digits are read; more than two decimals are not
/// rounded away.
fn money(text: &str) -> Option<String> {
    let plain: String = text
        .chars()
        .map(narrow)
        .filter(|c| !c.is_whitespace() && *c != ',')
        .collect::<String>()
        .trim_start_matches(['¥', '￥', '$'])
        .trim_end_matches('元')
        .to_owned();
    let (sign, digits) = plain.strip_prefix('-').map_or(("", plain.as_str()), |digits| ("-", digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let kept = part.trim_end_matches('0');
    if whole.is_empty() || !all_digits(whole) || !all_digits(part) || kept.len() > 2 || whole.len() > 15 {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    Some(format!("{sign}{}.{kept:0<2}", if whole.is_empty() { "0" } else { whole }))
}

/// Full-width digits, dots and signs as their narrow ones.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '。' => '.',
        _ => c,
    }
}

/// A date, a time, or both, as people and programs write them.
fn moment(text: &str) -> Option<DateTime> {
    let text: String = text.chars().map(narrow).collect();
    let text = text.trim();
    if let Ok(zoned) = text.parse::<jiff::Timestamp>() {
        return Some(zoned.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).datetime());
    }
    let (first, second) = match text.split_once([' ', 'T']) {
        Some((first, second)) => (first, Some(second.trim())),
        None => (text, None),
    };
    match (date(first), second) {
        (Some(day), None) => Some(day.to_datetime(Time::midnight())),
        (Some(day), Some(clock)) => Some(day.to_datetime(time(clock)?)),
        // A time alone: the day is not shown.
        (None, None) => Some(Date::new(2000, 1, 1).ok()?.to_datetime(time(first)?)),
        (None, Some(_)) => None,
    }
}

fn date(text: &str) -> Option<Date> {
    let plain = text.replace(['年', '月', '/', '.'], "-").replace('日', "");
    let mut parts = plain.trim_end_matches('-').split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

fn time(text: &str) -> Option<Time> {
    let mut parts = text.trim().split(':');
    let (hour, minute) = (parts.next()?, parts.next()?);
    let second = parts.next().map_or(Some(0), |second| second.split('.').next()?.parse().ok())?;
    if parts.next().is_some() {
        return None;
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, second, 0).ok()
}

fn url_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(text: &str, values: &[(&str, &str)]) -> Result<String, FillError> {
        let find = |name: &str| values.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        Text::parse(text).unwrap().fill(find)
    }

    #[test]
    fn values_are_written_by_their_formats() {
        let cases = [
            ("{{fee}} 元", "fee", "85.5", "85.5 元"),
            ("{{fee|money}}元", "fee", "85.5", "85.50元"),
            ("{{fee|money:¥}}", "fee", "￥1,234", "¥1234.00"),
            ("{{fee|money}}", "fee", "１２．５０", "12.50"),
            ("{{d|date}}", "d", "2026-11-03", "2026年11月3日"),
            ("{{d|date:%Y-%m-%d}}", "d", "2026年1月3日", "2026-01-03"),
            ("{{d|date}}", "d", "2026/1/3", "2026年1月3日"),
            ("{{d|datetime}}", "d", "2026-11-03 09:05:00", "2026年11月3日 09:05"),
            ("{{d|time}}", "d", "9:05", "09:05"),
            ("{{d|datetime}}", "d", "2026-11-03T01:05:00Z", "2026年11月3日 09:05"),
            ("{{ 房号 }}的{{谁|default:业主}}", "房号", " 3-1201 ", "3-1201的业主"),
            ("没有占位符 } {", "x", "", "没有占位符 } {"),
        ];
        for (text, name, value, expected) in cases {
            assert_eq!(filled(text, &[(name, value)]).as_deref(), Ok(expected), "{text} {value}");
        }
    }

    #[test]
    fn what_does_not_fit_is_said_and_not_mended() {
        for (text, value) in [
            ("{{v|money}}", "1.38E+10"),
            ("{{v|money}}", "12.345"),
            ("{{v|money}}", "十二"),
            ("{{v|date}}", "45000"),
            ("{{v|date}}", "2026-02-30"),
            ("{{v|date}}", "26-2-3"),
            ("{{v|time}}", "25:00"),
            ("{{v}}", "  "),
        ] {
            assert!(filled(text, &[("v", value)]).is_err(), "{text} {value}");
        }
        for text in ["{{", "{{}}", "{{a|b}}", "{{a|date:%q}}", "{{a|date:x}}", "{{a\"}}", "{{a|}}"] {
            assert!(Text::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn pages_carry_values_encoded() {
        let text = Text::parse("pages/bill?room={{room}}&n=1").unwrap();
        let filled = text.fill_url(|_| Some("3 栋&x"));
        assert_eq!(filled.as_deref(), Ok("pages/bill?room=3%20%E6%A0%8B%26x&n=1"));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".{0,60}", value in ".{0,30}") {
            if let Ok(text) = Text::parse(&text) {
                let _ = text.fill(|_| Some(value.as_str()));
                let _ = text.fill_url(|_| Some(value.as_str()));
            }
        }

        #[test]
        fn money_keeps_its_worth(cents in 0u64..10_000_000_000) {
            let text = format!("{}.{:02}", cents / 100, cents % 100);
            prop_assert_eq!(money(&text), Some(text));
        }

        #[test]
        fn texts_without_braces_stay(text in "[^{}]{0,40}") {
            prop_assert_eq!(Text::parse(&text).unwrap().fill(|_| None), Ok(text));
        }
    }
}
