//! Reads what `cargo test` prints: the counts of each test program, and the names of the tests that failed with the first
//! that each had to say, so that the end of a long log tells what happened.

/// How much of what a failed test said is repeated at the end.
const LINES: usize = 4;
const LENGTH: usize = 400;

/// The sum over all test programs so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Results {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) ignored: u64,
    pub(super) failures: Vec<Failure>,
    /// The failed test whose words are being read, by its place.
    speaking: Option<usize>,
}

/// A test that failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) name: String,
    /// The first lines of its panic.
    pub(super) said: Vec<String>,
}

impl Results {
    /// Takes one line of the output; lines that say nothing about results are passed over.
    pub(super) fn read(&mut self, line: &str) {
        let line = line.trim();
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
            self.ignored += count(counts, "ignored");
            self.speaking = None;
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failures.push(Failure { name: name.to_owned(), said: Vec::new() });
        } else if let Some(name) =
            line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"))
        {
            self.speaking = self.failures.iter().rposition(|failure| failure.name.starts_with(name));
        } else if line == "failures:" || line.starts_with("stack backtrace:") || line.starts_with("note: ") {
            self.speaking = None;
        } else if let Some(failure) = self.speaking.and_then(|place| self.failures.get_mut(place)) {
            failure.hear(line);
        }
    }
}

impl Failure {
    /// Keeps a line from the panic on; what the test printed before it is not its reason.
    fn hear(&mut self, line: &str) {
        let begun = !self.said.is_empty();
        let panic = line.starts_with("thread ") && line.contains(" panicked at ");
        if !line.is_empty() && (begun || panic) && self.said.len() < LINES {
            self.said.push(line.chars().take(LENGTH).collect());
        }
    }
}

/// The number before `word` in `ok. 3 passed; 0 failed; 1 ignored; …`.
fn count(counts: &str, word: &str) -> u64 {
    counts
        .split([';', '.'])
        .filter_map(|part| part.trim().strip_suffix(word))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_all_programs_are_added() {
        let output = "\
running 2 tests
test callback::signature::sorts ... ok
test callback::crypto::pads - should panic ... FAILED

failures:

---- callback::crypto::pads stdout ----
test result: said a test is not counted twice, nor does it break the sum
---- callback::crypto::pads stdout ----
what it printed before
thread 'callback::crypto::pads' (7) panicked at crates/wechat/src/callback/crypto.rs:12:5:
not seen: the padding
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace

failures:
    callback::crypto::pads

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s

running 41 tests
test result: ok. 40 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 3.41s
";
        let mut results = Results::default();
        output.lines().for_each(|line| results.read(line));
        assert_eq!((results.passed, results.failed, results.ignored), (41, 1, 1));
        let failure = Failure {
            name: "callback::crypto::pads - should panic".to_owned(),
            said: vec![
                "thread 'callback::crypto::pads' (7) panicked at crates/wechat/src/callback/crypto.rs:12:5:"
                    .to_owned(),
                "not seen: the padding".to_owned(),
            ],
        };
        assert_eq!(results.failures, [failure]);
    }

    #[test]
    fn a_result_of_newer_toolchains_is_read_by_its_words() {
        let mut results = Results::default();
        results.read("test result: ok. 2 flaky; 7 passed; 1 failed; 12 filtered out; finished in 0.00s\r\n");
        assert_eq!((results.passed, results.failed, results.ignored), (7, 1, 0));
    }
}
