//! What the benches over HTTP print: each figure is the median of its runs, beside the median of the reference's.

use serde_json::json;

/// The runs of one figure, and those of what stands beside it.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) runs: Vec<f64>,
    pub(crate) beside: Vec<f64>,
    /// The ratio that is asked for, where one is.
    pub(crate) goal: Option<f64>,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, goal: Option<f64>) -> Self {
        Self { name: name.into(), runs: Vec::new(), beside: Vec::new(), goal }
    }

    /// A run and its reference.
    pub(crate) fn add(&mut self, value: f64, beside: f64) {
        self.runs.push(value);
        self.beside.push(beside);
    }

    fn value(&self) -> f64 {
        median(&self.runs)
    }

    /// The median of the ratios, run by run: each run stands beside its own reference.
    fn ratio(&self) -> Option<f64> {
        if self.beside.is_empty() {
            return None;
        }
        let ratios: Vec<f64> = self.runs.iter().zip(&self.beside).map(|(own, other)| own / other).collect();
        Some(median(&ratios))
    }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::print_stderr, reason = "progress; the figures go to standard output")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
pub(crate) fn print(bench: &str, figures: &[Figure], as_json: bool) {
    let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
    if !as_json {
        println!("| {bench} | value | beside | ratio | goal |\n|---|---:|---:|---:|---:|");
    }
    for figure in figures {
        let beside = (!figure.beside.is_empty()).then(|| rounded(median(&figure.beside)));
        let (value, ratio) = (rounded(figure.value()), figure.ratio().map(rounded));
        if as_json {
            println!(
                "{}",
                json!({ "bench": bench, "figure": figure.name, "value": value, "beside": beside, "ratio": ratio })
            );
        } else {
            let shown = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
            println!(
                "| {} | {value} | {} | {} | {} |",
                figure.name,
                shown(beside),
                shown(ratio),
                shown(figure.goal)
            );
        }
    }
}
