//! How often somebody may try to sign in: by name, so that a password is not guessed, and by address, so that names are not. An
//! attempt counts before it is looked at, so that a hundred at the same moment are not let through together.

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

/// Attempts of the last minutes that did not succeed, or have not yet.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<(bool, String), Vec<Millis>>>);

impl Attempts {
    /// Makes one more, unless there were too many; [`Self::succeeded`] takes it back.
    pub(crate) fn make(&self, name: &str, from: &str, now: Millis) -> Result<(), Problem> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() > MANY {
            made.retain(|_, times| times.iter().any(|at| *at > now - WITHIN));
        }
        let mut recent = |key: (bool, String), most: usize| {
            let times = made.entry(key).or_default();
            times.retain(|at| *at > now - WITHIN);
            times.len() < most
        };
        let (by_name, by_address) = ((true, name.to_owned()), (false, from.to_owned()));
        if recent(by_name.clone(), if name.is_empty() { usize::MAX } else { PER_NAME })
            && recent(by_address.clone(), PER_ADDRESS)
        {
            for key in [by_name, by_address] {
                made.entry(key).or_default().push(now);
            }
            return Ok(());
        }
        tracing::warn!(from, "too many attempts to sign in");
        Err(Problem::new(
            Kind::TooMany,
            "too_many_attempts",
            "尝试次数过多，请 15 分钟后再试。",
            "Too many attempts; try again in 15 minutes.",
        ))
    }

    /// The right person came: what was tried under the name is forgotten, and this attempt of the address.
    pub(crate) fn succeeded(&self, name: &str, from: &str) {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.remove(&(true, name.to_owned()));
        if let Some(times) = made.get_mut(&(false, from.to_owned())) {
            times.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_wrong_passwords_are_enough_for_a_while() {
        let attempts = Attempts::default();
        for at in 0..10 {
            attempts.make("王", "10.0.0.1", at).unwrap();
        }
        assert!(attempts.make("王", "10.0.0.2", 10).is_err(), "from wherever");
        attempts.make("李", "10.0.0.1", 10).unwrap();
        attempts.make("王", "10.0.0.1", WITHIN + 10).unwrap();
        for at in 0..50 {
            attempts.make(&format!("n{at}"), "10.0.0.9", 20).unwrap();
        }
        assert!(attempts.make("李", "10.0.0.9", 20).is_err(), "who tries many names");
    }

    #[test]
    fn whoever_succeeds_is_not_counted() {
        let attempts = Attempts::default();
        for at in 0..200 {
            attempts.make("王", "10.0.0.1", at).unwrap();
            attempts.succeeded("王", "10.0.0.1");
        }
    }
}
