//! Sending windows: named days, and any window at any moment looked at minute by minute.

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
    assert_eq!(window.next_open(ms("2026-03-01T09:00:00.123+08:00")), ms("2026-03-01T09:00:00.123+08:00"));
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
    assert_eq!(next(("08:00", "09:00", "Pacific/Apia"), "2011-12-29T22:00:00-10:00"), "2011-12-30T18:00:00Z");
}

#[test]
fn what_is_refused() {
    for (from, to) in [("8:00", "21:00"), ("08:00", "25:00"), ("24:00", "08:00"), ("08:00:00", "9"), ("", "")]
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
    let zones =
        ["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"];
    (0..1440_u32, 1..1440_u32, proptest::sample::select(zones.to_vec())).prop_map(|(from, length, zone)| {
        let clock = |minute: u32| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
        Window::new(&clock(from), &clock(from + length), zone).unwrap()
    })
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
