//! The steps of a task: announced, timed, summed up at the end. Used by `test` and `lint`.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::say;

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Passed,
    Failed(String),
    Skipped(String),
}

impl End {
    /// A step that passed or failed with nothing more to say: its program has said it.
    pub(crate) fn of(passed: bool) -> Self {
        if passed { Self::Passed } else { Self::Failed(String::new()) }
    }
}

/// What was done so far.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration, End)>,
}

impl Steps {
    /// Runs a step; an error in it fails the step, not the task, so that the summary is always reached.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> Result<End>) -> bool {
        say::line(&format!("\n==> {name}"));
        let started = Instant::now();
        let end = step().unwrap_or_else(|error| End::Failed(format!("{error:#}")));
        if let End::Failed(why) | End::Skipped(why) = &end
            && !why.is_empty()
        {
            say::line(why);
        }
        let passed = !matches!(end, End::Failed(_));
        self.done.push((name.to_owned(), started.elapsed(), end));
        passed
    }

    pub(crate) fn failed(&self) -> u64 {
        self.done.iter().map(|(_, _, end)| u64::from(matches!(end, End::Failed(_)))).sum()
    }

    /// A line for each step: how it ended, its seconds, its name, and in short why.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::from("\nSummary\n");
        for (name, took, end) in &self.done {
            let (word, why) = match end {
                End::Passed => ("ok", ""),
                End::Failed(why) => ("FAILED", why.as_str()),
                End::Skipped(why) => ("skipped", why.as_str()),
            };
            let why = why.lines().next().unwrap_or_default();
            let colon = if why.is_empty() { "" } else { ": " };
            text.push_str(&format!("  {word:<8}{:>7.1} s  {name}{colon}{why}\n", took.as_secs_f64()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_stands_in_the_summary_and_failures_are_counted() {
        let mut steps = Steps::default();
        assert!(steps.run("first", || Ok(End::Passed)));
        assert!(!steps.run("second", || anyhow::bail!("broken\nin detail")));
        assert!(steps.run("third", || Ok(End::Skipped("not here".to_owned()))));
        assert_eq!(steps.failed(), 1);
        let summary = steps.summary();
        let lines: Vec<&str> = summary.lines().skip(2).collect();
        assert!(lines[0].starts_with("  ok") && lines[0].ends_with(" s  first"), "{summary}");
        assert!(lines[1].starts_with("  FAILED") && lines[1].ends_with("second: broken"), "{summary}");
        assert!(lines[2].starts_with("  skipped") && lines[2].ends_with("third: not here"), "{summary}");
    }
}
