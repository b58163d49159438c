//! Days of the calendar and seconds since 1970, all in UTC.

/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// The first second of a day that is written `2026-11-21`; `None` for what is
/// no day, or lies before 1970.
pub fn day(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let is_form = bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !is_form {
        return None;
    }
    let year: u64 = text[..4].parse().ok()?;
    let month: u64 = text[5..7].parse().ok()?;
    let day: u64 = text[8..].parse().ok()?;
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let most = match month {
        2 => 28 + u64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1970 || day == 0 || day > most {
        return None;
    }
    // Years begin in March, so that the odd day is the last of one.
    let (years, months) = match month > 2 {
        true => (year, month - 3),
        false => (year - 1, month + 9),
    };
    let days = 365 * years + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day;
    // Days from the first of March of the year 0 to the start of 1970.
    const EPOCH: u64 = 719_469;
    Some((days - EPOCH) * DAY_S)
}

/// The day of a second since 1970, written `2026-11-21`.
pub fn date(at_s: u64) -> String {
    // Days since the first of March of the year 0; eras are of 400 years.
    let days = at_s / DAY_S + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let months = (5 * of_year + 2) / 153;
    let day = of_year - (153 * months + 2) / 5 + 1;
    let month = if months < 10 { months + 3 } else { months - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
