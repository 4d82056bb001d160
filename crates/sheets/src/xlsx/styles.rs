//! How a number is shown: the formats of a file, and those that Excel has built in. Dates are written with the year first where
//! their own format would leave in doubt which number is the month.

use std::collections::HashMap;

use quick_xml::events::Event;

use super::{Xml, attribute, next};
use crate::cell::{Cell, Value};
use crate::error::SheetError;

#[derive(Default)]
pub(super) struct Styles {
    /// The format of each style that cells name by its place.
    formats: Vec<u32>,
    own: HashMap<u32, String>,
    /// Whether the file counts days from 1904.
    pub(super) since_1904: bool,
}

/// Days between the two ways of counting.
const FROM_1904: f64 = 1_462.0;
/// A day that no date of a notice lies behind: the year 9999.
const LAST_DAY: f64 = 2_958_466.0;

impl Styles {
    pub(super) fn read(xml: &mut Xml<'_>) -> Result<Self, SheetError> {
        let (mut styles, mut buffer, mut inside) = (Self::default(), Vec::new(), false);
        while let Some(event) = next(xml, &mut buffer)? {
            match &event {
                Event::Start(start) | Event::Empty(start) => match start.local_name().as_ref() {
                    "cellXfs" => inside = matches!(event, Event::Start(_)),
                    "numFmt" => {
                        let id = attribute(start, "numFmtId").and_then(|id| id.parse().ok());
                        if let (Some(id), Some(code)) = (id, attribute(start, "formatCode")) {
                            styles.own.insert(id, code);
                        }
                    }
                    "xf" if inside => {
                        let id = attribute(start, "numFmtId").and_then(|id| id.parse().ok());
                        styles.formats.push(id.unwrap_or(0));
                    }
                    _ => {}
                },
                Event::End(end) if end.local_name().as_ref() == "cellXfs" => inside = false,
                _ => {}
            }
        }
        Ok(styles)
    }

    /// A number as a cell of this style shows it.
    pub(super) fn shown(&self, number: f64, style: usize) -> Cell {
        let id = self.formats.get(style).copied().unwrap_or(0);
        let code = self.own.get(&id).map_or_else(|| built_in(id), String::as_str);
        shown(number, code, self.since_1904)
    }
}

/// The formats that files name by number alone (ECMA-376 part 1, 18.8.30, with the Chinese ones).
fn built_in(id: u32) -> &'static str {
    match id {
        1 => "0",
        2 => "0.00",
        3 | 37 | 38 => "#,##0",
        4 | 39 | 40 => "#,##0.00",
        9 => "0%",
        10 => "0.00%",
        11 => "0.00E+00",
        12 => "# ?/?",
        13 => "# ??/??",
        14 | 30 => "yyyy/m/d",
        15 => "d-mmm-yy",
        16 => "d-mmm",
        17 => "mmm-yy",
        18 => "h:mm AM/PM",
        19 => "h:mm:ss AM/PM",
        20 => "h:mm",
        21 => "h:mm:ss",
        22 => "yyyy/m/d h:mm",
        27 | 36 | 50 | 57 => "yyyy\"年\"m\"月\"",
        28 | 29 | 51 | 53 | 54 | 58 => "m\"月\"d\"日\"",
        31 => "yyyy\"年\"m\"月\"d\"日\"",
        32 => "h\"时\"mm\"分\"",
        33 => "h\"时\"mm\"分\"ss\"秒\"",
        34 | 55 => "h\"时\"mm\"分\"",
        35 | 56 => "h\"时\"mm\"分\"ss\"秒\"",
        45 => "mm:ss",
        46 => "[h]:mm:ss",
        47 => "mm:ss.0",
        48 => "##0.0E+0",
        49 => "@",
        _ => "General",
    }
}

/// A number as a format shows it.
pub(crate) fn shown(number: f64, code: &str, since_1904: bool) -> Cell {
    let marks = marks(code);
    if marks.is_empty() {
        return Cell { text: plain(number, code), value: Value::Number(number) };
    }
    let serial = if since_1904 && number >= 1.0 { number + FROM_1904 } else { number };
    if !(0.0..LAST_DAY).contains(&serial) {
        return Cell { text: plain(number, "General"), value: Value::Number(number) };
    }
    let code = in_order(code, &marks);
    let text = ssfmt::format_default(serial, &code).unwrap_or_default().trim().to_owned();
    let text = if text.is_empty() { plain(number, "General") } else { text };
    Cell { text, value: Value::Moment(serial) }
}

/// Numbers that a format would round to powers of ten are shown in full: nobody writes 1.38E+10 on a card, or looks for it.
fn plain(number: f64, code: &str) -> String {
    let general = code.eq_ignore_ascii_case("General")
        || code == "@"
        || ["E+", "E-", "e+", "e-"].iter().any(|power| code.contains(power))
        || code.contains("DBNum");
    if general {
        // Fifteen digits are what Excel keeps; more of them are the error of a sum.
        let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
        return format!("{rounded}");
    }
    // The part for the others (negative, zero, words) is not asked where it does not matter.
    let first = code.split(';').next().unwrap_or(code);
    let written = |number: f64, code: &str| {
        ssfmt::format_default(number, code)
            .ok()
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    };
    if number > 0.0 {
        written(number, first).unwrap_or_else(|| number.to_string())
    } else {
        written(number, code)
            .or_else(|| written(-number, first).filter(|_| number < 0.0).map(|text| format!("-{text}")))
            .unwrap_or_else(|| number.to_string())
    }
}

/// The letters of a date or time in a format, in their order; none where it shows a number.
fn marks(code: &str) -> Vec<char> {
    let (mut marks, mut signs) = (Vec::new(), code.chars());
    while let Some(sign) = signs.next() {
        match sign {
            '"' => {
                signs.by_ref().find(|end| *end == '"');
            }
            '\\' | '_' | '*' => {
                signs.next();
            }
            '[' => {
                let inside: String = signs.by_ref().take_while(|end| *end != ']').collect();
                // Hours, minutes, seconds that add up over days; all else in brackets is a colour, a country, a condition.
                if let Some(first @ ('h' | 'm' | 's')) = inside.to_ascii_lowercase().chars().next()
                    && inside.chars().all(|c| c.eq_ignore_ascii_case(&first))
                {
                    marks.push(first);
                }
            }
            ';' => break,
            'G' | 'g' if code.to_ascii_lowercase().contains("general") => return Vec::new(),
            'y' | 'Y' | 'm' | 'M' | 'd' | 'D' | 'h' | 'H' | 's' | 'S' => {
                marks.push(sign.to_ascii_lowercase())
            }
            _ => {}
        }
    }
    marks.dedup();
    marks
}

/// The format itself where year, month and day stand in this order in full, or do not all stand there; otherwise one that does.
fn in_order(code: &str, marks: &[char]) -> String {
    let has = |mark: char| marks.contains(&mark);
    if !(has('y') && has('m') && has('d')) {
        return code.to_owned();
    }
    let place = |mark: char| marks.iter().position(|found| *found == mark);
    let lower = code.to_ascii_lowercase();
    if place('y') < place('m')
        && place('m') < place('d')
        && lower.contains("yyyy")
        && !lower.contains("mmm")
        && !lower.contains("ddd")
    {
        return code.split(';').next().unwrap_or(code).to_owned();
    }
    if has('h') { "yyyy-mm-dd hh:mm".to_owned() } else { "yyyy-mm-dd".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_excel_shows_it() {
        for (number, code, text) in [
            (13_800_138_000.0, "General", "13800138000"),
            (13_800_138_000.0, "0.00E+00", "13800138000"),
            (0.1 + 0.2, "General", "0.3"),
            (301.0, "0000", "0301"),
            (1_234.5, "#,##0.00", "1,234.50"),
            (1_234.5, "\"¥\"#,##0.00", "¥1,234.50"),
            (1_234.5, "_ * #,##0.00_ ;_ * -#,##0.00_ ;_ * \"-\"??_ ;_ @_ ", "1,234.50"),
            (1_234.5, "[$¥-804]#,##0.00;[Red]-[$¥-804]#,##0.00", "¥1,234.50"),
            (0.25, "0%", "25%"),
            (46_356.0, "yyyy\"年\"m\"月\"d\"日\"", "2026年11月30日"),
            (46_356.0, "[$-804]yyyy\"年\"m\"月\"d\"日\";@", "2026年11月30日"),
            (46_356.0, "m/d/yy", "2026-11-30"),
            (46_356.0, "[$-F800]dddd\\,\\ mmmm\\ dd\\,\\ yyyy", "2026-11-30"),
            (46_356.0, "yyyy\"年\"m\"月\"", "2026年11月"),
            (46_356.583_333_3, "m/d/yy h:mm", "2026-11-30 14:00"),
            (0.583_333_33, "h:mm", "14:00"),
        ] {
            assert_eq!(shown(number, code, false).text, text, "{number} {code}");
        }
        assert_eq!(shown(44_894.0, "yyyy/m/d", true).text, "2026/11/30");
    }

    #[test]
    fn what_is_a_moment() {
        for (code, is) in [
            ("General", false),
            ("\"day\"0", false),
            ("[Red]0.00", false),
            ("yyyy", true),
            ("[h]:mm", true),
            ("0\\d", false),
            ("#,##0_m", false),
        ] {
            assert_eq!(!marks(code).is_empty(), is, "{code}");
        }
    }
}
