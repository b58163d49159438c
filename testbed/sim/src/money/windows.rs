//! Windows of time, computed a second time and in another way than in
//! `meter`: over days since 1970, without a library of time zones.

use meter::{CalendarUnit, Pace, Window};

const SECOND_US: i128 = 1_000_000;
const DAY_US: i128 = 86_400 * SECOND_US;

/// Zones of the scenarios with their distance from UTC, in seconds. None of
/// them changes its clocks.
pub(super) const ZONES: [(&str, i128); 3] = [
    ("UTC", 0),
    ("Asia/Kolkata", 19_800),
    ("America/Phoenix", -25_200),
];

/// Begin and end of the window of a moment, in microseconds; `None` where
/// there is no such window: cells, permits, sliding ones.
pub(super) fn of(pace: &Pace, now_us: u64) -> Option<(u64, u64)> {
    let now = i128::from(now_us);
    let (from, until) = match pace {
        Pace::Window(Window::Fixed { length_s, anchor_s }) => {
            let length = i128::from(*length_s) * SECOND_US;
            let anchor = i128::from(*anchor_s) * SECOND_US;
            let nth = (now - anchor).div_euclid(length);
            (anchor + nth * length, anchor + (nth + 1) * length)
        }
        Pace::Window(Window::Calendar { unit, zone }) => {
            let name = zone.iana_name().unwrap_or_default();
            let known = ZONES.iter().find(|(known, _)| *known == name);
            let beyond = known.map_or(0, |(_, beyond)| beyond * SECOND_US);
            let day = (now + beyond).div_euclid(DAY_US);
            let (first, last) = days(*unit, day);
            (first * DAY_US - beyond, last * DAY_US - beyond)
        }
        Pace::Window(Window::Forever) => return Some((0, u64::MAX)),
        Pace::Window(Window::Sliding { .. }) | Pace::Gcra { .. } | Pace::Permits => return None,
    };
    Some((u64::try_from(from).ok()?, u64::try_from(until).ok()?))
}

/// First day of the stretch that holds a day, and first day of the next one.
fn days(unit: CalendarUnit, day: i128) -> (i128, i128) {
    match unit {
        CalendarUnit::Day => (day, day + 1),
        CalendarUnit::Week => {
            // 1970 began on a Thursday.
            let monday = day - (day + 3).rem_euclid(7);
            (monday, monday + 7)
        }
        CalendarUnit::Month => {
            let mut first = 0;
            for year in 1970.. {
                for month in 1..=12 {
                    let next = first + length(year, month);
                    if next > day {
                        return (first, next);
                    }
                    first = next;
                }
            }
            (day, day + 1)
        }
    }
}

fn length(year: i128, month: u32) -> i128 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known moments, by hand.
    #[test]
    fn windows_of_known_moments() {
        // 2023-11-30T23:59:59Z.
        let now = 1_701_388_799 * 1_000_000;
        let calendar = |unit, zone| {
            let zone = meter::window::zone(zone).expect("a zone");
            of(&Pace::Window(Window::Calendar { unit, zone }), now).expect("a window")
        };
        let seconds = |(from, until): (u64, u64)| (from / 1_000_000, until / 1_000_000);
        assert_eq!(
            seconds(calendar(CalendarUnit::Day, "UTC")),
            (1_701_302_400, 1_701_388_800)
        );
        // In India it is December already.
        assert_eq!(
            seconds(calendar(CalendarUnit::Month, "Asia/Kolkata")),
            (1_701_369_000, 1_704_047_400)
        );
        assert_eq!(
            seconds(calendar(CalendarUnit::Week, "UTC")),
            (1_701_043_200, 1_701_648_000)
        );
    }
}
