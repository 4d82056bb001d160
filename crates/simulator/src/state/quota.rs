//! Calls a day, counted in Asia/Shanghai as WeChat counts. Used by send and by forced token refreshes.

use std::sync::Mutex;

use super::lock;

/// A counter that begins anew each day.
#[derive(Default)]
pub(crate) struct Daily(Mutex<(i64, u64)>);

impl Daily {
    /// Spends one of `limit`; false when the day's are gone.
    pub(crate) fn spend(&self, now_ms: i64, limit: Option<u64>) -> bool {
        let mut state = lock(&self.0);
        let today = day(now_ms);
        if state.0 != today {
            *state = (today, 0);
        }
        if limit.is_some_and(|limit| state.1 >= limit) {
            return false;
        }
        state.1 += 1;
        true
    }

    pub(crate) fn used(&self, now_ms: i64) -> u64 {
        let state = lock(&self.0);
        if state.0 == day(now_ms) { state.1 } else { 0 }
    }
}

/// The day's number in UTC+8.
fn day(now_ms: i64) -> i64 {
    (now_ms + 8 * 3_600_000).div_euclid(86_400_000)
}
