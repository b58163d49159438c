//! Answers of the services that lend credentials: JSON, XML and times.
//!
//! Deliberately not here: a general reader of XML. STS answers a flat element
//! without attributes, and so it is read.

use contract::Secret;
use dialects::json::{Json, Rules, Tape};
use http::HeaderValue;

use crate::lending::{Lent, SigningKeys};

/// Most characters of a service's own words that are shown.
const SAID_CHARS_MAX: usize = 300;

/// The names under which an answer gives credentials.
pub(super) struct Names {
    pub(super) token: &'static str,
    pub(super) expiration: &'static str,
}

/// Credentials of a JSON object.
pub(super) fn credentials(body: &[u8], names: &Names) -> Result<Lent, String> {
    object(body, |object| {
        let end = object.get(names.expiration).and_then(|end| end.str());
        let expires_us = match end.as_deref() {
            Some(text) => Some(time(text).ok_or_else(|| format!("`{text}` is no time"))?),
            None => None,
        };
        lent(
            |name| object.get(name)?.str().map(String::from),
            names.token,
            expires_us,
        )
    })
}

/// Keys by their names, which are the same everywhere but for case.
pub(super) fn lent(
    field: impl Fn(&str) -> Option<String>,
    token: &str,
    expires_us: Option<u64>,
) -> Result<Lent, String> {
    let pascal = token.starts_with(char::is_uppercase);
    let (id, secret) = match pascal {
        true => ("AccessKeyId", "SecretAccessKey"),
        false => ("accessKeyId", "secretAccessKey"),
    };
    let get = |name: &str| field(name).filter(|text| !text.is_empty());
    let need = |name: &str| get(name).ok_or_else(|| format!("the answer has no `{name}`"));
    Ok(Lent {
        keys: SigningKeys {
            access_key_id: need(id)?,
            secret_access_key: Secret::new(need(secret)?),
            session_token: get(token).map(Secret::new),
        },
        expires_us,
    })
}

/// Reads a JSON object.
pub(super) fn object<T>(
    body: &[u8],
    read: impl FnOnce(Json<'_>) -> Result<T, String>,
) -> Result<T, String> {
    let tape = Tape::scan(body, &Rules::ANSWER).map_err(|_| "the answer is no JSON".to_owned())?;
    let root = tape.root(body);
    match root.raw().starts_with('{') {
        true => read(root),
        false => Err("the answer is no JSON object".to_owned()),
    }
}

/// The words of a refusal in JSON, if it has any.
pub(super) fn refusal(status: u16, body: &[u8]) -> String {
    let said = object(body, |object| {
        let words: Vec<String> = ["code", "Code", "message", "Message"]
            .iter()
            .filter_map(|name| object.get(name)?.str().map(String::from))
            .collect();
        Ok(words.join(": "))
    });
    said_with(status, &said.unwrap_or_default())
}

/// A status and a service's own words, bounded and on one line.
pub(super) fn said_with(status: u16, words: &str) -> String {
    let words: String = words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SAID_CHARS_MAX)
        .collect();
    match words.is_empty() {
        true => format!("it answered {status}"),
        false => format!("it answered {status}: {words}"),
    }
}

/// The text of the first element of this name.
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = text.trim();
    if text.contains('<') {
        return None;
    }
    let plain = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&");
    Some(plain)
}

/// A time as AWS writes it, in microseconds since the Unix epoch: RFC 3339
/// with `Z` or an offset, or with the `UTC` of old files of the CLI.
pub(super) fn time(text: &str) -> Option<u64> {
    let text = text.trim();
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let separators = [(4, "-"), (7, "-"), (13, ":"), (16, ":")];
    if separators
        .iter()
        .any(|(at, mark)| text.get(*at..at + 1) != Some(*mark))
        || !matches!(text.get(10..11), Some("T" | "t" | " "))
    {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let in_range = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !in_range {
        return None;
    }
    let rest = text.get(19..)?;
    let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match zone {
        "Z" | "z" | "UTC" => 0,
        _ => offset_s(zone)?,
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    u64::try_from(seconds).ok()?.checked_mul(1_000_000)
}

/// `+hh:mm` or `-hh:mm` in seconds.
fn offset_s(zone: &str) -> Option<i64> {
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    ((0..24).contains(&hours) && (0..60).contains(&minutes))
        .then_some(sign * (hours * 3_600 + minutes * 60))
}

/// Days since the Unix epoch, by the algorithm of Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms".
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Everything but RFC 3986's unreserved characters percent-encoded, as forms
/// and queries want it.
pub(super) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A token as the value of a header, never shown.
pub(super) fn header(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| "it holds a character that a header cannot carry".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
