//! Logins that WeChat does not answer, or answers with "too often", are not asked for again for a while: each costs some of the
//! app's login quota, which the team's own server may need.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use domain::Millis;
use domain::clock::SECOND;

/// So many failures in a row, and for how long nothing is asked then.
const FAILURES: u32 = 5;
const REST: Millis = 30 * SECOND;
/// After WeChat said that it was too often.
const TOO_OFTEN: Millis = 60 * SECOND;

/// How a login went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Went {
    /// WeChat answered, whatever it said of the code.
    Answered,
    /// No answer.
    Failed,
    /// WeChat limits the calls, or the app's keys are wrong: every further call is in vain.
    InVain,
}

/// One for each app.
#[derive(Debug, Default)]
pub struct Breakers(Mutex<HashMap<i64, (u32, Millis)>>);

impl Breakers {
    /// Whether logins are asked for now; else in how many milliseconds.
    pub(crate) fn closed_for(&self, app: i64, now: Millis) -> Result<(), Millis> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get(&app) {
            Some((_, until)) if *until > now => Err(until - now),
            _ => Ok(()),
        }
    }

    /// Notes how one went.
    pub(crate) fn note(&self, app: i64, went: Went, now: Millis) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (failures, until) = all.entry(app).or_default();
        match went {
            Went::Answered => (*failures, *until) = (0, 0),
            Went::InVain => *until = now + TOO_OFTEN,
            Went::Failed => {
                *failures += 1;
                if *failures >= FAILURES {
                    *until = now + REST;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_try_later() {
        let breakers = Breakers::default();
        for _ in 0..FAILURES {
            breakers.closed_for(1, 0).unwrap();
            breakers.note(1, Went::Failed, 0);
        }
        assert_eq!(breakers.closed_for(1, 10), Err(REST - 10));
        breakers.closed_for(2, 10).unwrap();
        breakers.closed_for(1, REST).unwrap();
        breakers.note(1, Went::Failed, REST);
        assert!(breakers.closed_for(1, REST + 1).is_err(), "still failing: again at once");
        breakers.note(1, Went::Answered, REST + 2);
        breakers.closed_for(1, REST + 3).unwrap();
        breakers.note(1, Went::InVain, 0);
        assert!(breakers.closed_for(1, TOO_OFTEN - 1).is_err());
    }
}
