//! What the writer's time goes to: rows and time of each kind of work, for metrics and benches.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The kinds of work, in the order of a commit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Append,
    Settle,
    Apply,
    Enqueue,
    Arm,
    Cold,
    /// Begin, sync, commit: counted by commits.
    Commit,
}

const KINDS: [(Kind, &str); 7] = [
    (Kind::Append, "append"),
    (Kind::Settle, "settle"),
    (Kind::Apply, "apply"),
    (Kind::Enqueue, "enqueue"),
    (Kind::Arm, "arm"),
    (Kind::Cold, "cold"),
    (Kind::Commit, "commit"),
];

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Meter([(AtomicU64, AtomicU64); KINDS.len()]);

/// What one kind of work has cost since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Rows written (commits, for `commit`).
    pub rows: u64,
    /// The writer's time.
    pub took: Duration,
}

impl Work {
    /// Microseconds a row.
    pub fn micros_a_row(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let rows = self.rows.max(1) as f64;
        self.took.as_secs_f64() * 1e6 / rows
    }
}

impl Meter {
    pub(crate) fn add(&self, kind: Kind, rows: usize, took: Duration) {
        let (count, nanos) = &self.0[kind as usize];
        count.fetch_add(rows as u64, Ordering::Relaxed);
        nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if matches!(kind, Kind::Commit) {
            metrics::histogram!("hongyan_database_commit_seconds").record(took.as_secs_f64());
        }
    }

    pub(crate) fn rows(&self, kind: Kind) -> u64 {
        self.0[kind as usize].0.load(Ordering::Relaxed)
    }

    pub(crate) fn read(&self) -> Vec<(&'static str, Work)> {
        KINDS
            .iter()
            .map(|(kind, name)| {
                let (rows, nanos) = &self.0[*kind as usize];
                let took = Duration::from_nanos(nanos.load(Ordering::Relaxed));
                (*name, Work { rows: rows.load(Ordering::Relaxed), took })
            })
            .collect()
    }
}
