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
mod tests;
