//! When calls may be made.

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{patterns, words};
use crate::facts::Facts;
use crate::rule::{Finding, Kind, Rule, Streams, Wrong, schema_of, settings};

/// Most windows of one rule.
const WINDOWS_MAX: usize = 50;
/// Minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;
/// Seconds of a day.
const DAY_S: i64 = 24 * 60 * 60;
/// The first day of the Unix epoch, a Thursday, from Monday.
const FIRST_DAY: i64 = 3;

pub(super) static KIND: Kind = Kind {
    name: "time_window",
    doc: "When calls may be made: in any of `windows`, by the clock of `zone` (an IANA name such \
          as `Europe/Berlin`; default `UTC`). A window has `days` (default: all), `from` and `to` \
          (`HH:MM`; `to` is not part of it, `24:00` is the end of the day). One whose `to` is \
          before its `from` runs over midnight and belongs to the day that it begins on. The rules \
          of time zones are built in; a release may lag behind a change of law.",
    example: "{ zone: Europe/Berlin, windows: [{ days: [mon, tue, wed, thu, fri], from: \"07:00\", \
              to: \"19:30\" }, { days: [sat], from: \"22:00\", to: \"02:00\" }] }",
    streams: Streams::Before,
    schema: schema_of::<TimeWindowSettings>,
    compile: |value| {
        patterns::no_empty_list(value)?;
        let settings: TimeWindowSettings = settings(value)?;
        Ok(Box::new(settings.checked()?))
    },
};

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TimeWindowSettings {
    /// Time zone, by its IANA name. Default `UTC`.
    #[serde(default = "utc")]
    zone: String,
    /// When calls may be made.
    #[schemars(length(min = 1))]
    windows: Vec<WindowSettings>,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// A window of time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WindowSettings {
    /// Days that the window begins on. Default: all.
    #[serde(default)]
    days: Vec<Day>,
    /// When it begins, as `HH:MM`.
    from: String,
    /// When it is over, as `HH:MM`.
    to: String,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// The rule.
#[derive(Debug)]
struct TimeWindow {
    zone: TimeZone,
    windows: Vec<Window>,
    /// In words.
    told: String,
}

/// A window, in minutes of days that count from Monday.
#[derive(Debug)]
struct Window {
    days: [bool; 7],
    from: u16,
    to: u16,
}

impl Window {
    fn holds(&self, day: usize, minute: u16) -> bool {
        let yesterday = (day + 6) % 7;
        match self.from < self.to {
            true => self.days[day] && (self.from..self.to).contains(&minute),
            false => {
                (self.days[day] && minute >= self.from)
                    || (self.days[yesterday] && minute < self.to)
            }
        }
    }
}

impl TimeWindowSettings {
    fn checked(self) -> Result<TimeWindow, Wrong> {
        let zones = TimeZoneDatabase::bundled();
        let Ok(zone) = zones.get(&self.zone) else {
            let names: Vec<_> = zones.available().collect();
            let known = names.iter().map(|name| name.as_str());
            return Err(Wrong::new(
                "zone",
                format!("there is no time zone of the name `{}`", self.zone),
                words::did_you_mean(&self.zone, known, "write a name such as `Europe/Berlin`"),
            ));
        };
        if self.windows.len() > WINDOWS_MAX {
            return Err(Wrong::new(
                "windows",
                format!("{} windows are more than {WINDOWS_MAX}", self.windows.len()),
                "join windows with the same hours by listing their days",
            ));
        }
        let mut windows = Vec::with_capacity(self.windows.len());
        for (nth, window) in self.windows.iter().enumerate() {
            windows.push(window.checked(&format!("windows[{nth}]"))?);
        }
        let open = |day, minute| {
            windows
                .iter()
                .any(|window: &Window| window.holds(day, minute))
        };
        if (0..7).all(|day| (0..DAY_MINUTES).all(|minute| open(day, minute))) {
            return Err(Wrong::new(
                "windows",
                "these windows are always open, so this rule restricts nothing",
                "name the days and hours in which calls may be made",
            ));
        }
        let told: Vec<String> = self.windows.iter().map(WindowSettings::told).collect();
        let told = format!("only {} ({})", told.join(" or "), self.zone);
        Ok(TimeWindow {
            zone,
            windows,
            told,
        })
    }
}

impl WindowSettings {
    fn checked(&self, path: &str) -> Result<Window, Wrong> {
        let time = |name: &str, text: &str| {
            minutes(text).ok_or_else(|| {
                Wrong::new(
                    format!("{path}.{name}"),
                    format!("`{text}` is not a time of day"),
                    "write hours and minutes as `HH:MM`, from `00:00` to `24:00`",
                )
            })
        };
        let (from, to) = (time("from", &self.from)?, time("to", &self.to)?);
        if from % DAY_MINUTES == to % DAY_MINUTES && !(from == 0 && to == DAY_MINUTES) {
            return Err(Wrong::new(
                path,
                "this window begins when it is over",
                "write another `to`; the whole day is from `00:00` to `24:00`",
            ));
        }
        let mut days = [self.days.is_empty(); 7];
        for (nth, day) in self.days.iter().enumerate() {
            if self.days[..nth].contains(day) {
                return Err(Wrong::new(
                    format!("{path}.days[{nth}]"),
                    "this day stands in the list twice",
                    "leave one of them out",
                ));
            }
            days[*day as usize] = true;
        }
        Ok(Window { days, from, to })
    }

    fn told(&self) -> String {
        let days = match self.days.is_empty() {
            true => "every day".to_owned(),
            false => {
                let names = self
                    .days
                    .iter()
                    .map(|day| format!("{day:?}").to_lowercase());
                names.collect::<Vec<_>>().join(", ")
            }
        };
        format!("{days} {} to {}", self.from, self.to)
    }
}

/// Minutes since midnight of `HH:MM`.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| match text.len() == 2 && text.bytes().all(|it| it.is_ascii_digit()) {
        true => text.parse::<u16>().ok(),
        false => None,
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= DAY_MINUTES).then_some(all)
}

/// The day of the week, from Monday, and the minute of the day in a zone.
fn local(zone: &TimeZone, now_s: u64) -> Option<(usize, u16)> {
    let now = Timestamp::from_second(i64::try_from(now_s).ok()?).ok()?;
    // A whole date costs more than all the rest.
    let local_s = now.as_second() + i64::from(zone.to_offset(now).seconds());
    let day = (local_s.div_euclid(DAY_S) + FIRST_DAY).rem_euclid(7);
    let minute = local_s.rem_euclid(DAY_S) / 60;
    Some((usize::try_from(day).ok()?, u16::try_from(minute).ok()?))
}

impl Rule for TimeWindow {
    fn looks_at_places(&self) -> bool {
        false
    }

    fn request(&self, facts: &Facts<'_>) -> Finding {
        let now = local(&self.zone, facts.now_s);
        let open = now.is_some_and(|(day, minute)| {
            let mut windows = self.windows.iter();
            windows.any(|window| window.holds(day, minute))
        });
        match open {
            true => Finding::Pass,
            false => Finding::breach(
                "outside_time_window",
                format!("Calls may not be made at this time: {}.", self.told),
            ),
        }
    }

    fn told(&self) -> String {
        self.told.clone()
    }
}

#[cfg(test)]
mod tests {
    //! Cases: moments, as the library of time tells them.

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_moment_is_what_the_date_of_the_zone_says(
            now_s in 0u64..8_000_000_000, at in 0usize..6
        ) {
            let zones = [
                "UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia",
                "Africa/Monrovia",
            ];
            let zone = TimeZoneDatabase::bundled().get(zones[at]).unwrap();
            let now = zone.to_datetime(Timestamp::from_second(now_s as i64).unwrap());
            let day = now.weekday().to_monday_zero_offset() as usize;
            let minute = now.hour() as u16 * 60 + now.minute() as u16;
            prop_assert_eq!(local(&zone, now_s), Some((day, minute)));
        }
    }

    #[test]
    fn what_is_beyond_all_dates_is_no_moment() {
        assert_eq!(local(&TimeZone::UTC, u64::MAX), None);
    }
}
