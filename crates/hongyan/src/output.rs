//! What commands print: tables for people, JSON for programs, results on standard output, everything else on
//! standard error.

use std::process::ExitCode;

use serde_json::Value;
use service::Problem;

use crate::locale::lang;

/// Prints a line of the result.
#[expect(clippy::print_stdout, reason = "a command's result belongs there")]
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// Prints a remark that is not the result.
#[expect(clippy::print_stderr, reason = "a remark must not disturb who reads the result")]
pub(crate) fn remark(text: &str) {
    eprintln!("{text}");
}

/// Prints JSON.
pub(crate) fn json(value: &Value) {
    line(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Prints rows under their headings, aligned by what a terminal shows (Chinese characters are two wide).
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = headings.iter().map(|heading| width(heading)).collect();
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            if let Some(wide) = widths.get_mut(at) {
                *wide = (*wide).max(width(cell));
            }
        }
    }
    let print = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (cell, wide) in cells.zip(&widths) {
            text.push_str(cell);
            text.push_str(&" ".repeat(wide.saturating_sub(width(cell)) + 2));
        }
        line(text.trim_end());
    };
    print(&mut headings.iter().copied());
    for row in rows {
        print(&mut row.iter().map(String::as_str));
    }
}

fn width(text: &str) -> usize {
    text.chars().map(|c| if c > '\u{2e7f}' { 2 } else { 1 }).sum()
}

/// Says what failed; a problem with each of its fields, in the terminal's language.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    match error.downcast_ref::<Problem>() {
        Some(problem) => {
            remark(problem.detail(lang()));
            if problem.errors.len() > 1 {
                for field in &problem.errors {
                    remark(&format!("  {}  {}", field.pointer, field.detail(lang())));
                }
            }
        }
        None => remark(&format!("{error:#}")),
    }
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    #[test]
    fn chinese_is_two_columns_wide() {
        assert_eq!(super::width("小程序 wx1"), 10);
    }
}
