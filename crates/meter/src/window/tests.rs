//! Cases of cutting time.

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> u64 {
    let moment: Timestamp = text.parse().expect("a moment");
    u64::try_from(moment.as_microsecond()).expect("after 1970")
}

fn calendar_in(unit: CalendarUnit, zone: &str) -> Window {
    Window::Calendar {
        unit,
        zone: TimeZone::get(zone).expect("a zone"),
    }
}

#[test]
fn a_day_is_that_of_its_zone() {
    let berlin = calendar_in(CalendarUnit::Day, "Europe/Berlin");
    let span = berlin.span(at("2026-11-21T23:30:00Z"));
    assert_eq!(span.from_us, at("2026-11-21T23:00:00Z"));
    assert_eq!(span.until_us, at("2026-11-22T23:00:00Z"));
    // The day on which the clocks go forward has 23 hours, the other one 25.
    let short = berlin.span(at("2026-03-29T12:00:00Z"));
    assert_eq!(short.until_us - short.from_us, 23 * 3_600 * 1_000_000);
    let long = berlin.span(at("2026-10-25T12:00:00Z"));
    assert_eq!(long.until_us - long.from_us, 25 * 3_600 * 1_000_000);
}

#[test]
fn weeks_begin_on_monday_and_months_on_the_first() {
    let week = calendar_in(CalendarUnit::Week, "UTC").span(at("2026-11-21T12:00:00Z"));
    assert_eq!(week.from_us, at("2026-11-16T00:00:00Z"));
    assert_eq!(week.until_us, at("2026-11-23T00:00:00Z"));
    let month = calendar_in(CalendarUnit::Month, "America/New_York");
    let span = month.span(at("2026-12-01T04:59:59Z"));
    assert_eq!(span.from_us, at("2026-11-01T04:00:00Z"));
    assert_eq!(span.until_us, at("2026-12-01T05:00:00Z"));
    let leap = calendar_in(CalendarUnit::Month, "UTC").span(at("2028-02-29T10:00:00Z"));
    assert_eq!(leap.until_us, at("2028-03-01T00:00:00Z"));
}

#[test]
fn fixed_windows_count_from_their_anchor() {
    let anchor_s = at("2026-01-15T00:00:00Z") / 1_000_000;
    let window = Window::Fixed {
        length_s: 30 * 86_400,
        anchor_s,
    };
    let span = window.span(at("2026-02-20T00:00:00Z"));
    assert_eq!(span.from_us, at("2026-02-14T00:00:00Z"));
    let before = window.span(at("2026-01-14T23:00:00Z"));
    assert_eq!(before.until_us, at("2026-01-15T00:00:00Z"));
}

proptest! {
    /// Every moment lies in exactly the window that it is given, and windows
    /// lie one behind another without gaps.
    #[test]
    fn windows_have_no_gaps(
        now in 0_u64..4_000_000_000_000_000,
        which in 0_usize..7,
    ) {
        let windows = [
            calendar_in(CalendarUnit::Day, "Europe/Berlin"),
            calendar_in(CalendarUnit::Week, "America/Sao_Paulo"),
            calendar_in(CalendarUnit::Month, "Asia/Kolkata"),
            Window::Fixed { length_s: 7_200, anchor_s: 12_345 },
            Window::Sliding { length_ms: 60_000 },
            calendar_in(CalendarUnit::Day, "Pacific/Apia"),
            Window::Forever,
        ];
        let window = &windows[which];
        let span = window.span(now);
        prop_assert!(span.holds(now));
        prop_assert_eq!(window.span(span.from_us), span);
        prop_assert_eq!(window.span(span.until_us - 1), span);
        if span.until_us != u64::MAX {
            prop_assert_eq!(window.span(span.until_us).from_us, span.until_us);
        }
    }
}
