//! When to refresh an access token, and how often a refresh may be forced: pure rules for whoever keeps the tokens.
//!
//! Source: official page "获取稳定版接口调用凭据": a token lives 7,200 s at most, WeChat rotates it 5 minutes before its end,
//! forced refreshes are limited to 20 a day and 30 s apart.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long before its end a token is refreshed.
pub const EARLY: Duration = Duration::from_secs(300);
/// Forced refreshes a day, at WeChat.
pub const FORCED_PER_DAY: u32 = 20;
/// The least time between forced refreshes, at WeChat.
pub const FORCED_APART: Duration = Duration::from_secs(30);
/// A clock may stand this far behind that of the node which fetched the token, in milliseconds.
const SKEW_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;
/// WeChat counts days in Asia/Shanghai, which has had no summer time since 1991.
const SHANGHAI_MS: i64 = 8 * 3_600_000;

/// Tells whether a token has to be refreshed now: from [`EARLY`] before its end on.
///
/// `obtained_at_ms` and `now_ms` are Unix milliseconds of the same clock. A token that was given for no longer than
/// [`EARLY`] is refreshed at half of its life (it would have to be refreshed all the time otherwise). A clock that was
/// set back by more than a minute means refresh, because the age is not known then.
pub fn needs_refresh(obtained_at_ms: i64, expires_in: Duration, now_ms: i64) -> bool {
    let age = now_ms.saturating_sub(obtained_at_ms);
    let life = if expires_in > EARLY { expires_in - EARLY } else { expires_in / 2 };
    let life = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
    age < -SKEW_MS || age >= life
}

/// The ration of forced refreshes of one mini program. Keep it durably: WeChat counts across restarts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForcedRefreshes {
    /// The day that `used` belongs to, in days since 1970 in Asia/Shanghai.
    pub day: i64,
    /// Forced refreshes of that day.
    pub used: u32,
    /// The last one, in Unix milliseconds.
    pub last_ms: Option<i64>,
}

/// A forced refresh is not allowed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no forced refresh is allowed before {until_ms} (Unix milliseconds)")]
pub struct NotYet {
    /// When the next one is allowed, in Unix milliseconds.
    pub until_ms: i64,
}

impl ForcedRefreshes {
    /// Takes one from the ration. Store the result before the call is made.
    ///
    /// # Errors
    /// [`NotYet`] if the last one is less than [`FORCED_APART`] ago, or [`FORCED_PER_DAY`] are used up.
    pub fn take(self, now_ms: i64) -> Result<Self, NotYet> {
        let day = now_ms.saturating_add(SHANGHAI_MS).div_euclid(DAY_MS);
        // A clock that was set back does not open a new day.
        let (day, used) = if day > self.day { (day, 0) } else { (self.day, self.used) };
        if used >= FORCED_PER_DAY {
            let next_day = day.saturating_add(1).saturating_mul(DAY_MS).saturating_sub(SHANGHAI_MS);
            return Err(NotYet { until_ms: next_day });
        }
        let apart = i64::try_from(FORCED_APART.as_millis()).unwrap_or(i64::MAX);
        match self.last_ms.map(|last| last.saturating_add(apart)) {
            Some(until_ms) if now_ms < until_ms => Err(NotYet { until_ms }),
            _ => Ok(Self { day, used: used + 1, last_ms: Some(now_ms) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOURS: Duration = Duration::from_secs(7200);
    /// 2023-11-15 00:00 in Asia/Shanghai.
    const MIDNIGHT: i64 = 1_699_977_600_000;

    #[test]
    fn a_token_is_refreshed_five_minutes_early() {
        assert!(!needs_refresh(0, HOURS, 0));
        assert!(!needs_refresh(0, HOURS, 6_899_999));
        assert!(needs_refresh(0, HOURS, 6_900_000));
        assert!(!needs_refresh(1_000, Duration::from_secs(345), 45_999));
        assert!(needs_refresh(1_000, Duration::from_secs(345), 46_000));
    }

    #[test]
    fn a_short_token_lives_half_its_life() {
        assert!(!needs_refresh(0, Duration::from_secs(10), 4_999));
        assert!(needs_refresh(0, Duration::from_secs(10), 5_000));
        assert!(needs_refresh(0, Duration::ZERO, 0));
    }

    #[test]
    fn a_clock_set_back_means_refresh() {
        assert!(!needs_refresh(100_000, HOURS, 40_000));
        assert!(needs_refresh(100_000, HOURS, 39_999));
        assert!(needs_refresh(i64::MAX, HOURS, i64::MIN));
    }

    #[test]
    fn forced_refreshes_are_thirty_seconds_apart() {
        let first = ForcedRefreshes::default().take(MIDNIGHT).unwrap();
        assert_eq!(first.take(MIDNIGHT + 29_999), Err(NotYet { until_ms: MIDNIGHT + 30_000 }));
        assert_eq!(first.take(MIDNIGHT + 30_000).unwrap().used, 2);
    }

    #[test]
    fn forced_refreshes_are_twenty_a_day_of_shanghai() {
        let mut ration = ForcedRefreshes::default();
        let mut now = MIDNIGHT;
        for _ in 0..FORCED_PER_DAY {
            ration = ration.take(now).unwrap();
            now += 30_000;
        }
        let next = MIDNIGHT + DAY_MS;
        assert_eq!(ration.take(now), Err(NotYet { until_ms: next }));
        assert_eq!(ration.take(next - 1), Err(NotYet { until_ms: next }));
        assert_eq!(ration.take(next).unwrap().used, 1);
        // Set back to the day before: still used up.
        assert_eq!(ration.take(MIDNIGHT - 1), Err(NotYet { until_ms: next }));
    }

    #[test]
    fn the_ration_survives_being_stored() {
        let taken = ForcedRefreshes::default().take(MIDNIGHT).unwrap();
        let stored = serde_json::to_string(&taken).unwrap();
        assert_eq!(serde_json::from_str::<ForcedRefreshes>(&stored).unwrap(), taken);
    }

    #[test]
    fn no_time_panics() {
        for now in [i64::MIN, -1, 0, i64::MAX] {
            let _ = ForcedRefreshes { day: i64::MAX, used: 20, last_ms: Some(i64::MAX) }.take(now);
            let _ = ForcedRefreshes::default().take(now);
            let _ = needs_refresh(now, Duration::MAX, 0);
        }
    }
}
