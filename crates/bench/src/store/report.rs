//! What the bench prints: the table on standard output, its progress on standard error.

use serde_json::json;

/// Microseconds a row, and those of what stands beside it.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) beside: f64,
}

/// The figures of one engine; the same statements in the same order for each.
pub(crate) struct Column {
    pub(crate) engine: &'static str,
    pub(crate) figures: Vec<Figure>,
}

#[expect(clippy::print_stderr, reason = "progress; the figures go to standard output")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
pub(crate) fn print(columns: &[Column], as_json: bool) {
    let rounded = |value: f64| (value * 100.0).round() / 100.0;
    if as_json {
        for column in columns {
            for figure in &column.figures {
                let name = format!("{} ({}), µs a row", figure.name, column.engine);
                let ratio = rounded(figure.value / figure.beside);
                let (value, beside) = (rounded(figure.value), rounded(figure.beside));
                let line = json!({ "bench": "store", "figure": name, "value": value, "beside": beside, "ratio": ratio });
                println!("{line}");
            }
        }
        return;
    }
    let (mut head, mut rule) = (String::from("| µs a row |"), String::from("|---|"));
    for column in columns {
        head.push_str(&format!(" {} | beside | ratio |", column.engine));
        rule.push_str("---:|---:|---:|");
    }
    println!("{head}\n{rule}");
    let statements = columns.iter().map(|column| column.figures.len()).max().unwrap_or(0);
    for at in 0..statements {
        let mut line = format!("| {} |", columns[0].figures[at].name);
        for column in columns {
            let Figure { value, beside, .. } = column.figures[at];
            line.push_str(&format!(" {value:.1} | {beside:.1} | {:.1} |", value / beside));
        }
        println!("{line}");
    }
}
