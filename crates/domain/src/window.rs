//! Sending windows: the hours of the day in which a campaign may send, by a wall clock of its choice. The
//! dispatcher's gates ask [`Window::is_open`] before each call and sleep until [`Window::next_open`].
//!
//! A window is open exactly while the wall clock shows a time in it. So a day whose clock is put forward over it
//! has less of it (or none), and one whose clock is put back may open it twice.

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};

/// Hours of the day, in a time zone. From `from` (included) to `to` (excluded); where `to` is the earlier of the two
/// the window runs over midnight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    from: Time,
    to: Time,
    zone: TimeZone,
}

/// Why a window was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Not a time of day such as `08:00`.
    #[error("“{0}” is not a time of day such as 08:00")]
    Time(String),
    /// No time zone of the IANA database.
    #[error("“{0}” is not a time zone such as Asia/Shanghai")]
    TimeZone(String),
    /// Begin and end are the same: never open, or always?
    #[error("the window begins and ends at the same time")]
    Empty,
}

impl Window {
    /// Makes a window of two times of day (`HH:MM`; `to` may be `24:00`) and the IANA name of a time zone. The zones are
    /// those built into the program, the same on every machine.
    ///
    /// # Errors
    /// [`WindowError`] says which of the three is wrong.
    pub fn new(from: &str, to: &str, time_zone: &str) -> Result<Self, WindowError> {
        let (from, to) =
            (time_of_day(from)?, if to == "24:00" { Time::midnight() } else { time_of_day(to)? });
        if from == to {
            return Err(WindowError::Empty);
        }
        let zone = TimeZoneDatabase::bundled()
            .get(time_zone)
            .map_err(|_| WindowError::TimeZone(time_zone.to_owned()))?;
        Ok(Window { from, to, zone })
    }

    /// Whether the window is open at `now_ms` (milliseconds UTC).
    pub fn is_open(&self, now_ms: i64) -> bool {
        self.covers(instant(now_ms))
    }

    /// The first moment (milliseconds UTC) from `now_ms` on at which the window is open: `now_ms` itself while it is.
    pub fn next_open(&self, now_ms: i64) -> i64 {
        let now = instant(now_ms);
        if self.covers(now) {
            return now_ms;
        }
        // It opens when the clock shows `from`, or when the clock is set and so jumps into the window. A day may
        // lose its whole window to such a jump, and zones have skipped whole dates: a week is enough for both.
        let today = self.zone.to_datetime(now).date();
        let end = now.saturating_add((7 * 24).hours()).unwrap_or(Timestamp::MAX);
        let begins = (-1_i64..=7).filter_map(|day| today.checked_add(day.days()).ok());
        let begins = begins.flat_map(|date| self.begins(date));
        let jumps = self.zone.following(now).map(|jump| jump.timestamp()).take_while(|&at| at <= end);
        begins
            .chain(jumps)
            .filter(|&at| at > now && self.covers(at))
            .min()
            // Only at the end of representable time.
            .map_or(now_ms, Timestamp::as_millisecond)
    }

    /// When it begins, as `HH:MM`.
    pub fn from(&self) -> String {
        self.from.strftime("%H:%M").to_string()
    }

    /// When it ends, as `HH:MM`.
    pub fn to(&self) -> String {
        self.to.strftime("%H:%M").to_string()
    }

    /// The IANA name of its time zone.
    pub fn time_zone(&self) -> &str {
        self.zone.iana_name().unwrap_or_default()
    }

    fn covers(&self, at: Timestamp) -> bool {
        let time = self.zone.to_datetime(at).time();
        if self.from < self.to {
            self.from <= time && time < self.to
        } else {
            self.from <= time || time < self.to
        }
    }

    /// The moments at which the clock shows `from` on that date: usually one; two where the clock is put back over it.
    /// Where it is put forward over it these are neighbours of the jump, which `next_open` tries by itself.
    fn begins(&self, date: Date) -> impl Iterator<Item = Timestamp> + use<> {
        let begin = self.zone.to_ambiguous_timestamp(DateTime::from_parts(date, self.from));
        [begin.earlier(), begin.later()].into_iter().flatten()
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}–{} {}", self.from(), self.to(), self.time_zone())
    }
}

fn time_of_day(text: &str) -> Result<Time, WindowError> {
    // jiff takes `8:00` and trailing seconds too; what is stored and shown has one form.
    let well_formed = text.len() == 5 && text.as_bytes().get(2) == Some(&b':');
    well_formed
        .then(|| Time::strptime("%H:%M", text).ok())
        .flatten()
        .ok_or_else(|| WindowError::Time(text.to_owned()))
}

/// Moments beyond the years −9999 to 9999 are taken for the nearest within.
fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60_000;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn next(window: (&str, &str, &str), now: &str) -> String {
        let window = Window::new(window.0, window.1, window.2).unwrap();
        instant(window.next_open(ms(now))).to_string()
    }

    #[test]
    fn a_day_in_shanghai() {
        let window = Window::new("08:00", "21:00", "Asia/Shanghai").unwrap();
        assert!(!window.is_open(ms("2026-03-01T07:59:59.999+08:00")));
        assert!(window.is_open(ms("2026-03-01T08:00:00+08:00")));
        assert!(window.is_open(ms("2026-03-01T20:59:59.999+08:00")));
        assert!(!window.is_open(ms("2026-03-01T21:00:00+08:00")));
        assert_eq!(window.next_open(ms("2026-03-01T21:00:00+08:00")), ms("2026-03-02T08:00:00+08:00"));
        assert_eq!(
            window.next_open(ms("2026-03-01T09:00:00.123+08:00")),
            ms("2026-03-01T09:00:00.123+08:00")
        );
        assert_eq!(window.to_string(), "08:00–21:00 Asia/Shanghai");
    }

    #[test]
    fn over_midnight() {
        let night = ("22:00", "06:00", "Asia/Shanghai");
        assert_eq!(next(night, "2026-03-01T12:00:00+08:00"), "2026-03-01T14:00:00Z");
        assert_eq!(next(night, "2026-03-01T23:00:00+08:00"), "2026-03-01T15:00:00Z");
        assert_eq!(next(("08:00", "24:00", "UTC"), "2026-03-02T00:00:00Z"), "2026-03-02T08:00:00Z");
    }

    #[test]
    fn clocks_that_are_set() {
        // Berlin, 2026-03-29: 02:00 becomes 03:00. A window that begins in between opens at 03:00, one that lies in
        // between does not open on that day.
        assert_eq!(next(("02:30", "04:00", "Europe/Berlin"), "2026-03-29T00:30:00Z"), "2026-03-29T01:00:00Z");
        assert_eq!(next(("02:15", "02:45", "Europe/Berlin"), "2026-03-29T00:30:00Z"), "2026-03-30T00:15:00Z");
        // 2026-10-25: 03:00 becomes 02:00, so that 02:15 comes twice.
        assert_eq!(next(("02:15", "02:45", "Europe/Berlin"), "2026-10-24T23:00:00Z"), "2026-10-25T00:15:00Z");
        assert_eq!(next(("02:15", "02:45", "Europe/Berlin"), "2026-10-25T00:50:00Z"), "2026-10-25T01:15:00Z");
        // The jump itself leads back into the window.
        assert_eq!(next(("01:00", "02:30", "Europe/Berlin"), "2026-10-25T00:45:00Z"), "2026-10-25T01:00:00Z");
        // Samoa had no 2011-12-30.
        assert_eq!(
            next(("08:00", "09:00", "Pacific/Apia"), "2011-12-29T22:00:00-10:00"),
            "2011-12-30T18:00:00Z"
        );
    }

    #[test]
    fn what_is_refused() {
        for (from, to) in
            [("8:00", "21:00"), ("08:00", "25:00"), ("24:00", "08:00"), ("08:00:00", "9"), ("", "")]
        {
            assert!(matches!(Window::new(from, to, "UTC"), Err(WindowError::Time(_))), "{from} {to}");
        }
        assert_eq!(Window::new("08:00", "08:00", "UTC"), Err(WindowError::Empty));
        assert_eq!(Window::new("00:00", "24:00", "UTC"), Err(WindowError::Empty));
        assert_eq!(Window::new("08:00", "09:00", "Mars"), Err(WindowError::TimeZone("Mars".into())));
    }

    #[test]
    fn the_ends_of_time_do_no_harm() {
        let window = Window::new("08:00", "09:00", "Europe/Berlin").unwrap();
        for now in [i64::MIN, -1, 0, i64::MAX] {
            assert!(window.next_open(now) >= now);
        }
    }

    fn any_window() -> impl Strategy<Value = Window> {
        let zones = [
            "Asia/Shanghai",
            "Europe/Berlin",
            "America/New_York",
            "Australia/Lord_Howe",
            "Africa/Casablanca",
        ];
        (0..1440_u32, 1..1440_u32, proptest::sample::select(zones.to_vec())).prop_map(
            |(from, length, zone)| {
                let clock = |minute: u32| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
                Window::new(&clock(from), &clock(from + length), zone).unwrap()
            },
        )
    }

    /// Any moment of three years, or one within two days of a clock being set.
    fn any_moment() -> impl Strategy<Value = i64> {
        let set = [
            "2026-03-29T01:00:00Z",
            "2026-10-25T01:00:00Z",
            "2026-03-08T07:00:00Z",
            "2026-11-01T06:00:00Z",
            "2026-04-04T15:00:00Z",
            "2026-10-03T15:30:00Z",
        ];
        prop_oneof![
            ms("2025-01-01T00:00:00Z")..ms("2028-01-01T00:00:00Z"),
            (proptest::sample::select(set.to_vec()), -2880 * MINUTE..2880 * MINUTE)
                .prop_map(|(at, by)| ms(at) + by),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn next_open_is_open_and_the_first(window in any_window(), now in any_moment()) {
            let open = window.next_open(now);
            prop_assert!(open >= now && window.is_open(open), "{window}");
            // Nothing changes within a minute in these zones: looking at each minute finds each opening.
            prop_assert!(open == now || !window.is_open(now) && !window.is_open(open - 1));
            let mut minute = now - now.rem_euclid(MINUTE) + MINUTE;
            while minute < open {
                prop_assert!(!window.is_open(minute), "{window} was open at {}", instant(minute));
                minute += MINUTE;
            }
        }

        #[test]
        fn a_window_survives_being_written_down(window in any_window()) {
            prop_assert_eq!(Window::new(&window.from(), &window.to(), window.time_zone()), Ok(window));
        }
    }
}
