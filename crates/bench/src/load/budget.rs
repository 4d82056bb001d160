//! Where the processor's time goes: every runtime of a bench names its threads, and Linux counts for each thread how
//! long it ran. Elsewhere there is no budget.

use std::collections::BTreeMap;

/// Processor seconds of each group of threads since the process began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Budget(BTreeMap<String, f64>);

/// The kernel counts in hundredths of a second (`USER_HZ` is part of its interface).
const TICKS: f64 = 100.0;

impl Budget {
    pub(crate) fn now() -> Self {
        let mut groups = BTreeMap::new();
        for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
            let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else { continue };
            let Some((name, seconds)) = parse(&stat) else { continue };
            *groups.entry(name).or_insert(0.0) += seconds;
        }
        Self(groups)
    }

    /// What was spent since `before`, the most first.
    pub(crate) fn since(&self, before: &Self) -> Vec<(String, f64)> {
        let mut spent: Vec<_> = self
            .0
            .iter()
            .map(|(name, seconds)| (name.clone(), seconds - before.0.get(name).copied().unwrap_or(0.0)))
            .filter(|(_, seconds)| *seconds > 0.05)
            .collect();
        spent.sort_by(|a, b| b.1.total_cmp(&a.1));
        spent
    }
}

/// A line of `stat`: the name in brackets without its number, user and system time.
fn parse(stat: &str) -> Option<(String, f64)> {
    let (from, to) = (stat.find('(')?, stat.rfind(')')?);
    let name = stat[from + 1..to].trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
    let mut fields = stat[to + 1..].split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((name.to_owned(), (user + system) / TICKS))
}
