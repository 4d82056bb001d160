//! How often somebody may try to sign in: by name, so that a password is not guessed, and by address, so that names are not.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use domain::Millis;
use domain::clock::MINUTE;

use crate::problem::{Kind, Problem};

const WITHIN: Millis = 15 * MINUTE;
const PER_NAME: usize = 10;
const PER_ADDRESS: usize = 50;
/// Beyond this, what is over is cleared away.
const MANY: usize = 10_000;

/// Failed attempts of the last minutes.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<(bool, String), Vec<Millis>>>);

impl Attempts {
    /// Whether one more may be made.
    pub(crate) fn allow(&self, name: &str, from: &str, now: Millis) -> Result<(), Problem> {
        let failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |key: (bool, String)| {
            failed.get(&key).map_or(0, |times| times.iter().filter(|at| **at > now - WITHIN).count())
        };
        let blocked = (!name.is_empty() && recent((true, name.to_owned())) >= PER_NAME)
            || recent((false, from.to_owned())) >= PER_ADDRESS;
        if !blocked {
            return Ok(());
        }
        Err(Problem::new(
            Kind::TooMany,
            "too_many_attempts",
            "尝试次数过多，请 15 分钟后再试。",
            "Too many attempts; try again in 15 minutes.",
        ))
    }

    /// One did not succeed.
    pub(crate) fn failed(&self, name: &str, from: &str, now: Millis) {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() > MANY {
            failed.retain(|_, times| times.iter().any(|at| *at > now - WITHIN));
        }
        for key in [(true, name.to_owned()), (false, from.to_owned())] {
            let times = failed.entry(key).or_default();
            times.retain(|at| *at > now - WITHIN);
            times.push(now);
        }
    }

    /// The right person came.
    pub(crate) fn succeeded(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(true, name.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_wrong_passwords_are_enough_for_a_while() {
        let attempts = Attempts::default();
        for at in 0..10 {
            attempts.allow("王", "10.0.0.1", at).unwrap();
            attempts.failed("王", "10.0.0.1", at);
        }
        assert!(attempts.allow("王", "10.0.0.2", 10).is_err(), "from wherever");
        attempts.allow("李", "10.0.0.1", 10).unwrap();
        attempts.allow("王", "10.0.0.1", WITHIN + 10).unwrap();
        for at in 0..50 {
            attempts.failed(&format!("n{at}"), "10.0.0.9", 20);
        }
        assert!(attempts.allow("李", "10.0.0.9", 20).is_err(), "who tries many names");
    }
}
