//! Calls a day and a month, counted in Asia/Shanghai as WeChat counts. Used by send, by forced token refreshes
//! and by clear_quota.

use std::sync::Mutex;

use super::lock;

/// A counter that begins anew each day.
#[derive(Default)]
pub(crate) struct Daily(Mutex<(i64, u64)>);

/// A counter that begins anew each month.
#[derive(Default)]
pub(crate) struct Monthly(Mutex<(i64, u64)>);

impl Daily {
    /// Spends one of `limit`; false when the day's are gone.
    pub(crate) fn spend(&self, now_ms: i64, limit: Option<u64>) -> bool {
        spend(&self.0, day(now_ms), limit.unwrap_or(u64::MAX))
    }

    pub(crate) fn used(&self, now_ms: i64) -> u64 {
        let state = lock(&self.0);
        if state.0 == day(now_ms) { state.1 } else { 0 }
    }

    pub(crate) fn clear(&self) {
        lock(&self.0).1 = 0;
    }
}

impl Monthly {
    /// Spends one of `limit`; false when the month's are gone.
    pub(crate) fn spend(&self, now_ms: i64, limit: u64) -> bool {
        spend(&self.0, month(day(now_ms)), limit)
    }
}

fn spend(state: &Mutex<(i64, u64)>, period: i64, limit: u64) -> bool {
    let mut state = lock(state);
    if state.0 != period {
        *state = (period, 0);
    }
    if state.1 >= limit {
        return false;
    }
    state.1 += 1;
    true
}

/// The day's number in UTC+8.
fn day(now_ms: i64) -> i64 {
    (now_ms + 8 * 3_600_000).div_euclid(86_400_000)
}

/// The month's number: years of March to February, in eras of 400, make the leap days fall at an end.
fn month(day: i64) -> i64 {
    let day = day + 719_468;
    let (era, day_of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    (era * 400 + year) * 12 + (5 * day_of_year + 2) / 153
}

#[cfg(test)]
mod tests {
    use super::{Monthly, month};

    /// Noon in Shanghai on these days of 2026 and 2028.
    const OCTOBER_31: i64 = 1_793_419_200_000;
    const FEBRUARY_29: i64 = 1_835_409_600_000;
    const DAY: i64 = 86_400_000;

    #[test]
    fn months_change_where_they_should() {
        for last in [OCTOBER_31, FEBRUARY_29] {
            let number = |ms: i64| month(super::day(ms));
            assert_eq!(number(last) + 1, number(last + DAY));
            assert_eq!(number(last), number(last - 28 * DAY));
        }
    }

    #[test]
    fn ten_a_month() {
        let clears = Monthly::default();
        assert!((0..10).all(|_| clears.spend(OCTOBER_31, 10)));
        assert!(!clears.spend(OCTOBER_31, 10));
        assert!(clears.spend(OCTOBER_31 + DAY, 10));
    }
}
