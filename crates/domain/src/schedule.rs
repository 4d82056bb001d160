//! When something that recurs is due: a cron expression in a time zone. Used by the service (schedules) and the engine.
//!
//! Where clocks are put forward, a time that does not exist that day is due at the first moment after the gap; where they are put
//! back, a time that comes twice is due once. National holidays are the operator's business.

use croner::Cron;
use croner::parser::{CronParser, Seconds};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::Millis;

/// Occurrences that are counted at most when many were missed.
const COUNTED: u32 = 10_000;

/// A cron expression in a time zone.
#[derive(Debug, Clone)]
pub struct Recurring {
    cron: Cron,
    zone: TimeZone,
}

/// Why a schedule was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Not a cron expression of five fields.
    #[error("{0}")]
    Cron(String),
    /// Not a time zone of the tz database.
    #[error("there is no time zone “{0}”")]
    TimeZone(String),
    /// It never comes: 30 February.
    #[error("it never comes")]
    Never,
}

/// What was due up to a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The latest of them.
    pub at: Millis,
    /// How many came before it and were missed.
    pub missed: u32,
    /// The next one after the moment; none where there is none.
    pub next: Option<Millis>,
}

impl Recurring {
    /// Parses `分 时 日 月 周` (minute, hour, day of month, month, day of week), or `@daily` and its like.
    ///
    /// # Errors
    /// [`ScheduleError`] says what is wrong.
    pub fn parse(cron: &str, zone: &str) -> Result<Self, ScheduleError> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
        let cron = parser.parse(cron.trim()).map_err(|error| ScheduleError::Cron(error.to_string()))?;
        let zone = jiff::tz::db().get(zone).map_err(|_| ScheduleError::TimeZone(zone.to_owned()))?;
        let recurring = Self { cron, zone };
        recurring.after(0).map(|_| recurring).ok_or(ScheduleError::Never)
    }

    /// The first time after a moment.
    pub fn after(&self, moment: Millis) -> Option<Millis> {
        let from: Zoned = Timestamp::from_millisecond(moment).ok()?.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&from, false).ok()?;
        Some(next.timestamp().as_millisecond()).filter(|next| *next > moment)
    }

    /// What has become due up to a moment, where `first` is the first that was.
    pub fn due(&self, first: Millis, until: Millis) -> Due {
        let (mut at, mut missed) = (first, 0);
        let mut next = self.after(first);
        while let Some(later) = next.filter(|later| *later <= until) {
            if missed == COUNTED {
                // Down for years with a job a minute: the count stops, the time does not.
                at = until;
                next = self.after(until);
                break;
            }
            (at, missed) = (later, missed + 1);
            next = self.after(later);
        }
        Due { at, missed, next }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Millis {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn all(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let recurring = Recurring::parse(cron, zone).unwrap();
        let mut moment = at(from);
        (0..count)
            .map(|_| {
                moment = recurring.after(moment).unwrap();
                Timestamp::from_millisecond(moment).unwrap().to_string()
            })
            .collect()
    }

    #[test]
    fn by_the_clock_on_the_wall() {
        assert_eq!(
            all("0 9 25 * *", "Asia/Shanghai", "2026-11-23T00:00:00Z", 2),
            ["2026-11-25T01:00:00Z", "2026-12-25T01:00:00Z"]
        );
        assert_eq!(all("0 9 L * *", "Asia/Shanghai", "2026-11-23T00:00:00Z", 1), ["2026-11-30T01:00:00Z"]);
    }

    #[test]
    fn a_night_that_is_short_and_one_that_is_long() {
        // Berlin, 29 March 2026: 02:00 to 03:00 does not exist.
        assert_eq!(
            all("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
            ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
        );
        // 25 October 2026: 02:30 comes twice.
        assert_eq!(
            all("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
    }

    #[test]
    fn mistakes() {
        for cron in ["", "* * *", "61 * * * *", "0 0 9 * * *", "every day"] {
            assert!(matches!(Recurring::parse(cron, "Asia/Shanghai"), Err(ScheduleError::Cron(_))), "{cron}");
        }
        assert_eq!(
            Recurring::parse("0 9 * * *", "Mars/Base").unwrap_err(),
            ScheduleError::TimeZone("Mars/Base".into())
        );
        assert_eq!(Recurring::parse("0 9 30 2 *", "Asia/Shanghai").unwrap_err(), ScheduleError::Never);
    }

    #[test]
    fn what_was_missed() {
        let daily = Recurring::parse("0 9 * * *", "Asia/Shanghai").unwrap();
        let first = at("2026-11-23T01:00:00Z");
        assert_eq!(
            daily.due(first, first + 1),
            Due { at: first, missed: 0, next: Some(at("2026-11-24T01:00:00Z")) }
        );
        assert_eq!(
            daily.due(first, at("2026-11-26T00:00:00Z")),
            Due { at: at("2026-11-25T01:00:00Z"), missed: 2, next: Some(at("2026-11-26T01:00:00Z")) }
        );
    }

    proptest! {
        #[test]
        fn time_goes_on(minute in 0u8..60, hour in 0u8..24, from in 1_700_000_000_000i64..1_900_000_000_000) {
            for zone in ["Asia/Shanghai", "Europe/Berlin", "America/New_York"] {
                let recurring = Recurring::parse(&format!("{minute} {hour} * * *"), zone).unwrap();
                let next = recurring.after(from).unwrap();
                // A day has 23 to 25 hours.
                prop_assert!(next > from && next - from <= 25 * 3_600_000);
                let later = recurring.after(next).unwrap();
                prop_assert!((23 * 3_600_000..=25 * 3_600_000).contains(&(later - next)));
            }
        }
    }
}
