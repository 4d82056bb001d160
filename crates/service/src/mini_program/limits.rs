//! How often a person, or an address, may call `/mp`: counted by the minute, in memory. An address may be that of a mobile
//! network with many people behind it, so its limits are wide.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use domain::Millis;
use domain::clock::MINUTE;

use crate::problem::{Kind, Problem};

/// What is counted, and how often it may be in a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Counted {
    AskOfUser,
    ReportOfUser,
    CallOfAddress,
    LoginOfAddress,
}

impl Counted {
    fn most(self) -> u32 {
        match self {
            Self::AskOfUser => 60,
            Self::ReportOfUser => 30,
            Self::CallOfAddress => 1_200,
            Self::LoginOfAddress => 120,
        }
    }
}

/// Beyond this many, minutes that are over are cleared away.
const MANY: usize = 50_000;

/// What, of which app, by whom.
type Key = (Counted, i64, String);

/// Calls of the running minute.
#[derive(Debug, Default)]
pub struct Limits(Mutex<HashMap<Key, (Millis, u32)>>);

impl Limits {
    /// Counts one more.
    pub(crate) fn count(&self, what: Counted, app: i64, who: &str, now: Millis) -> Result<(), Problem> {
        let minute = now / MINUTE;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MANY {
            all.retain(|_, (of, _)| *of == minute);
        }
        let (of, count) = all.entry((what, app, who.to_owned())).or_insert((minute, 0));
        if *of != minute {
            (*of, *count) = (minute, 0);
        }
        *count += 1;
        if *count <= what.most() {
            return Ok(());
        }
        Err(Problem::new(
            Kind::TooMany,
            "too_many_calls",
            "调用过于频繁，请一分钟后再试。",
            "Too many calls; try again in a minute.",
        )
        .after(60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_calls_too_often_waits_and_nobody_else() {
        let limits = Limits::default();
        for at in 0..30 {
            limits.count(Counted::ReportOfUser, 1, "o1", at).unwrap();
        }
        assert!(limits.count(Counted::ReportOfUser, 1, "o1", 31).is_err());
        limits.count(Counted::ReportOfUser, 1, "o2", 31).unwrap();
        limits.count(Counted::ReportOfUser, 2, "o1", 31).unwrap();
        limits.count(Counted::AskOfUser, 1, "o1", 31).unwrap();
        limits.count(Counted::ReportOfUser, 1, "o1", MINUTE).unwrap();
    }
}
