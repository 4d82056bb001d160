//! Reads what `cargo test` prints: the counts of each test program, and the names of the tests that failed.

/// The sum over all test programs so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Results {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) ignored: u64,
    pub(super) failures: Vec<String>,
}

impl Results {
    /// Takes one line of the output; lines that say nothing about results are passed over.
    pub(super) fn read(&mut self, line: &str) {
        let line = line.trim();
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
            self.ignored += count(counts, "ignored");
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failures.push(name.to_owned());
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
failures:
    callback::crypto::pads

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s

running 41 tests
test result: ok. 40 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 3.41s
";
        let mut results = Results::default();
        output.lines().for_each(|line| results.read(line));
        let failures = vec!["callback::crypto::pads - should panic".to_owned()];
        assert_eq!(results, Results { passed: 41, failed: 1, ignored: 1, failures });
    }

    #[test]
    fn a_result_of_newer_toolchains_is_read_by_its_words() {
        let mut results = Results::default();
        results.read("test result: ok. 2 flaky; 7 passed; 1 failed; 12 filtered out; finished in 0.00s\r\n");
        assert_eq!((results.passed, results.failed, results.ignored), (7, 1, 0));
    }
}
