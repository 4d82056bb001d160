//! What spreadsheets, and the people who fill them, do to data. Each is named, so that the operator decides; nothing is
//! mended silently (I13).

use crate::book::SheetRow;
use crate::cell::{Cell, Value};

/// Digits that a spreadsheet keeps of a number.
const KEPT: usize = 15;
/// A day count that is more likely a date than an amount: 2000-01-01 to 2099-12-31.
const DAYS: std::ops::Range<f64> = 36_526.0..73_051.0;
/// Rows among which the names of the columns are looked for.
const HEADER_WITHIN: usize = 30;
const TOTALS: [&str; 8] = ["合计", "总计", "小计", "共计", "总和", "total", "subtotal", "sum"];

/// Something that was done to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Habit {
    /// Shortened to powers of ten: 1.38E+10. Its last digits are gone.
    Scientific,
    /// A number of more than 15 digits, whose last ones became zeros.
    CutDigits,
    /// Full-width digits or letters; how it reads otherwise.
    FullWidth(String),
    /// A date as the number of its day; which.
    DateSerial(String),
    /// What a formula gave up with.
    Fault,
}

/// What was done to a value that people are looked up by.
pub fn of_key(cell: &Cell) -> Option<Habit> {
    match cell.value {
        Value::Fault => Some(Habit::Fault),
        Value::Number(number) if number.abs() >= 1e15 => Some(Habit::CutDigits),
        Value::Text if is_scientific(&cell.text) => Some(Habit::Scientific),
        Value::Text if is_cut(&cell.text) => Some(Habit::CutDigits),
        Value::Text => full_width(&cell.text).map(Habit::FullWidth),
        _ => None,
    }
}

/// What was done to a value that goes onto a card; `as_moment` where a date or time belongs there.
pub fn of_value(cell: &Cell, as_moment: bool) -> Option<Habit> {
    match cell.value {
        Value::Fault => Some(Habit::Fault),
        Value::Number(number) if number.abs() >= 1e15 => Some(Habit::CutDigits),
        Value::Number(number) if as_moment && DAYS.contains(&number) => {
            Some(Habit::DateSerial(crate::xlsx::styles::shown(number, "yyyy-mm-dd", false).text))
        }
        Value::Text if is_scientific(&cell.text) => Some(Habit::Scientific),
        _ => None,
    }
}

/// 1.38E+10
fn is_scientific(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['E', 'e']) else { return false };
    let number = mantissa.trim_start_matches('-');
    let digits = exponent.strip_prefix('+').unwrap_or(exponent);
    let mut parts = number.splitn(2, '.');
    let whole = parts.next().unwrap_or_default();
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    whole.len() == 1
        && all_digits(whole)
        && parts.next().is_none_or(all_digits)
        // Two digits, as spreadsheets write them: a flat called 3E1 is none.
        && digits.len() >= 2
        && exponent.starts_with('+')
        && all_digits(digits)
}

/// Sixteen digits or more, with nothing but zeros behind the fifteenth.
fn is_cut(text: &str) -> bool {
    text.len() > KEPT
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.bytes().skip(KEPT).all(|byte| byte == b'0')
}

/// How a text with full-width signs reads in narrow ones; none where it has no such sign.
pub fn full_width(text: &str) -> Option<String> {
    let narrow: String = text.chars().map(narrow).collect();
    (narrow != text).then_some(narrow)
}

fn narrow(sign: char) -> char {
    match sign {
        // Digits, letters and what stands between them in numbers of flats and phones.
        '０'..='９' | 'Ａ'..='Ｚ' | 'ａ'..='ｚ' | '－' | '＿' | '．' | '＃' | '＋' => {
            char::from_u32(u32::from(sign) - 0xfee0).unwrap_or(sign)
        }
        _ => sign,
    }
}

/// Whether a row adds up those above it.
pub fn is_total(row: &SheetRow) -> bool {
    row.cells.iter().filter(|cell| !cell.is_empty()).take(3).any(|cell| {
        let word: String =
            cell.text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
        let word = word.trim_end_matches([':', '：']);
        TOTALS.contains(&word)
    })
}

/// The row with the names of the columns, by its number: the first that is as wide as the sheet and holds nothing but different
/// words. Titles above it are narrower, data below it repeat or hold numbers.
pub fn header(rows: &[SheetRow]) -> Option<u32> {
    let rows = &rows[..rows.len().min(HEADER_WITHIN)];
    let width = |row: &SheetRow| row.cells.iter().filter(|cell| !cell.is_empty()).count();
    let widest = rows.iter().map(width).max()?;
    let is_header = |row: &&SheetRow| {
        let words: Vec<&Cell> = row.cells.iter().filter(|cell| !cell.is_empty()).collect();
        let different: std::collections::HashSet<&str> =
            words.iter().map(|cell| cell.text.as_str()).collect();
        words.len() * 5 >= widest * 4
            && different.len() == words.len()
            && words.iter().all(|cell| cell.value == Value::Text && is_name(&cell.text))
    };
    rows.iter().find(is_header).map(|row| row.number)
}

/// Whether a text can be the name of a column: data of digits and openids are none.
fn is_name(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    text.chars().count() <= 40
        && digits * 2 < text.chars().count()
        && !(text.len() == 28 && text.starts_with('o'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u32, cells: &[&str]) -> SheetRow {
        let cell = |text: &&str| match text.parse::<f64>() {
            Ok(value) => Cell { text: (*text).to_owned(), value: Value::Number(value) },
            Err(_) => Cell::text(text),
        };
        SheetRow { number, hidden: false, cells: cells.iter().map(cell).collect() }
    }

    #[test]
    fn keys() {
        let text = |text: &str| of_key(&Cell::text(text));
        assert_eq!(text("1.38E+10"), Some(Habit::Scientific));
        assert_eq!(text("6.222E+18"), Some(Habit::Scientific));
        assert_eq!(text("6222020200112230000"), Some(Habit::CutDigits));
        assert_eq!(text("６－１２０１"), Some(Habit::FullWidth("6-1201".to_owned())));
        for fine in ["13800138000", "3E1", "1E10", "3-1201", "622202020011223", "6222020200112233441", "物业"]
        {
            assert_eq!(text(fine), None, "{fine}");
        }
        let number = |value: f64| of_key(&Cell { text: value.to_string(), value: Value::Number(value) });
        assert_eq!(number(6.222_020_200_112_23e18), Some(Habit::CutDigits));
        assert_eq!(number(13_800_138_000.0), None);
    }

    #[test]
    fn dates_that_lost_their_format() {
        let cell = Cell { text: "46356".to_owned(), value: Value::Number(46_356.0) };
        assert_eq!(of_value(&cell, true), Some(Habit::DateSerial("2026-11-30".to_owned())));
        assert_eq!(of_value(&cell, false), None);
    }

    #[test]
    fn headers_and_totals() {
        let sheet = [
            row(1, &["幸福物业 2026 年 11 月收费表"]),
            row(3, &["房号", "业主", "手机号", "金额"]),
            row(4, &["3-1201", "张三", "13800138000", "200"]),
            row(5, &["合 计：", "", "", "200"]),
        ];
        assert_eq!(header(&sheet), Some(3));
        assert_eq!(sheet.iter().map(is_total).collect::<Vec<_>>(), [false, false, false, true]);
        assert_eq!(header(&[row(1, &["oABCDEFGHIJKLMNOPQRSTUVWXY12"])]), None);
        assert_eq!(header(&[row(1, &["openid"]), row(2, &["oABCDEFGHIJKLMNOPQRSTUVWXY12"])]), Some(1));
        assert_eq!(header(&[row(1, &["3-1201", "200"]), row(2, &["3-1202", "210"])]), None);
    }
}
