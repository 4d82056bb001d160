//! An app's daily budget: calls are taken of the day's account in blocks, durable before they are made, so that a crash wastes a
//! block at most and never spends one twice.

use domain::Millis;

/// Calls that are taken at once.
const BLOCK: i64 = 1_000;

/// What the dispatcher has in hand of an app's budget.
#[derive(Debug, Default)]
pub(super) struct Budget {
    day: String,
    /// What was asked for: another budget is another account.
    daily: u32,
    left: i64,
    /// Nothing is left today.
    pub(super) out: bool,
    /// Somebody was told that little is left.
    warned: bool,
}

impl Budget {
    /// Begins a day, or another budget, anew.
    pub(super) fn on(&mut self, day: String, daily: u32) {
        if self.day != day || self.daily != daily {
            *self = Self { day, daily, ..Self::default() };
        }
    }

    /// How many of the wanted calls are in hand.
    pub(super) fn take(&mut self, wanted: usize) -> usize {
        let taken = usize::try_from(self.left).unwrap_or(0).min(wanted);
        self.left -= i64::try_from(taken).unwrap_or(0);
        taken
    }

    /// Calls that were not made.
    pub(super) fn give_back(&mut self, count: usize) {
        self.left += i64::try_from(count).unwrap_or(0);
    }

    /// How many to ask the day's account for, where so many are wanted.
    pub(super) fn short_of(&self, wanted: usize) -> Option<i64> {
        let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
        (!self.out && self.left < wanted)
            .then(|| BLOCK.min(i64::from(self.daily / 100).max(1)).max(wanted - self.left))
    }

    /// What the account gave.
    pub(super) fn got(&mut self, given: i64) {
        self.left += given;
        self.out = given == 0;
    }

    /// Whether it is time to tell that four fifths are taken: once a day.
    pub(super) fn warns(&mut self, taken: i64) -> bool {
        let low = !self.warned && taken * 5 >= i64::from(self.daily) * 4;
        self.warned |= low;
        low
    }

    pub(super) fn day(&self) -> &str {
        &self.day
    }
}

/// Outcomes of a campaign that failed for whatever reason: when half of fifty did, somebody has to look.
#[derive(Debug, Default)]
pub(super) struct Pile {
    outcomes: u32,
    failed: u32,
}

/// Outcomes that are looked at together.
const LOOKED_AT: u32 = 50;

impl Pile {
    /// One more outcome; tells whether too many failed.
    pub(super) fn add(&mut self, failed: bool) -> bool {
        self.outcomes += 1;
        self.failed += u32::from(failed);
        if self.outcomes < LOOKED_AT {
            return false;
        }
        // Where the latest one went well, the cause may be gone.
        let too_many = failed && self.failed * 2 >= self.outcomes;
        *self = Self::default();
        too_many
    }
}

/// The day's end, when a budget begins anew.
pub(super) fn end_of_day(now: Millis) -> Millis {
    super::gates::next_midnight(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_at_a_time() {
        let mut budget = Budget::default();
        budget.on("2026-11-23".into(), 5_000);
        assert_eq!(budget.take(10), 0);
        assert_eq!(budget.short_of(10), Some(50));
        budget.got(50);
        assert_eq!((budget.take(10), budget.short_of(10)), (10, None));
        budget.give_back(3);
        assert_eq!(budget.take(100), 43);
        budget.got(0);
        assert!(budget.out && budget.short_of(1).is_none());
        budget.on("2026-11-23".into(), 6_000);
        assert!(!budget.out, "somebody gave more");
        assert!(!budget.warns(4_799) && budget.warns(4_800) && !budget.warns(5_000));
    }

    #[test]
    fn half_of_fifty() {
        let mut pile = Pile::default();
        assert!((0..49).all(|at| !pile.add(at % 2 == 0)));
        assert!(pile.add(true));
        assert!((0..50).all(|at| !pile.add(at % 3 == 0)));
        assert!((0..50).all(|at| !pile.add(at < 40)), "it has got better");
    }
}
