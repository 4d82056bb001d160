//! The forms of time and date values: used by [`check_value`](super::check_value) only.
//!
//! Source: official page "发送订阅消息": 24-hour times (`15:01`), dates with 年月日 or separators, ranges joined by `~`.
//! Seconds, and dates without a year, occur in requests that passed.

/// A time of day, with or without a date before it; in a range, both ends.
pub(super) fn is_time(value: &str) -> bool {
    ends(value, |part| split_date(part).is_some_and(|(_, time)| is_clock(time)))
}

/// A date, with or without a time after it; the end of a range may be a time alone.
pub(super) fn is_date(value: &str) -> bool {
    let mut first = true;
    ends(value, |part| {
        let begins = std::mem::replace(&mut first, false);
        match split_date(part) {
            Some((true, time)) => time.is_empty() || is_clock(time),
            Some((false, time)) => !begins && is_clock(time),
            None => false,
        }
    })
}

/// Applies `fits` to the one part, or to both parts of a range.
fn ends(value: &str, mut fits: impl FnMut(&str) -> bool) -> bool {
    match value.split_once('~') {
        Some((from, to)) => fits(from.trim()) && fits(to.trim()),
        None => fits(value.trim()),
    }
}

/// Takes a date off the front: whether there was one, and what follows it. None if it is neither.
fn split_date(part: &str) -> Option<(bool, &str)> {
    if let Some(at) = part.rfind(['年', '月', '日']) {
        let width = part.get(at..)?.chars().next()?.len_utf8();
        let (date, time) = part.split_at_checked(at + width)?;
        return is_chinese_date(date).then(|| (true, time.trim_start()));
    }
    match part.split_once(' ') {
        Some((date, time)) if is_separated_date(date) => Some((true, time.trim_start())),
        Some(_) => None,
        None if is_separated_date(part) => Some((true, "")),
        None => Some((false, part)),
    }
}

/// `2019年10月1日`, `2019年10月`, `10月1日`.
fn is_chinese_date(date: &str) -> bool {
    let (year, rest) = match date.split_once('年') {
        Some((year, rest)) => (Some(year), rest),
        None => (None, date),
    };
    let Some((month, rest)) = rest.split_once('月') else { return false };
    let day = rest.strip_suffix('日');
    let shape = match day {
        Some(day) => in_range(day, 1, 31),
        None => rest.is_empty() && year.is_some(),
    };
    shape && year.is_none_or(is_year) && in_range(month, 1, 12)
}

/// `2018-01-01`, `2018-01`, `01-01`, with `-`, `/` or `.`.
fn is_separated_date(date: &str) -> bool {
    ['-', '/', '.'].into_iter().any(|separator| {
        let parts: Vec<&str> = date.splitn(4, separator).collect();
        match parts.as_slice() {
            [year, month, day] => is_year(year) && in_range(month, 1, 12) && in_range(day, 1, 31),
            [a, b] => (is_year(a) && in_range(b, 1, 12)) || (in_range(a, 1, 12) && in_range(b, 1, 31)),
            _ => false,
        }
    })
}

/// `15:01` or `15:01:30`; 24:00 as the end of a day.
fn is_clock(time: &str) -> bool {
    let parts: Vec<&str> = time.splitn(4, ':').collect();
    let minutes = |text: &str| text.len() == 2 && in_range(text, 0, 59);
    match parts.as_slice() {
        ["24", "00"] | ["24", "00", "00"] => true,
        [hour, minute] => in_range(hour, 0, 23) && minutes(minute),
        [hour, minute, second] => in_range(hour, 0, 23) && minutes(minute) && minutes(second),
        _ => false,
    }
}

fn is_year(text: &str) -> bool {
    text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// One or two digits between the bounds.
fn in_range(text: &str, least: u8, greatest: u8) -> bool {
    matches!(text.len(), 1 | 2)
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u8>().is_ok_and(|number| (least..=greatest).contains(&number))
}
