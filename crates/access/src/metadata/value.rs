//! The values of fields: what is allowed, and its normal form. A refusal is a
//! half sentence that says what is allowed; who told it adds where.
//!
//! Normal forms: words in lower case, numbers without leading zeros, money in
//! nano-dollars, tags in the order of their keys.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::{Field, Settings, VERSIONS, Version};

/// Longest text, bytes.
pub const TEXT_BYTES_MAX: usize = 256;
/// Most tags.
pub const TAGS_MAX: usize = 16;
/// Longest list of tags, bytes.
const TAGS_BYTES_MAX: usize = 512;
/// Longest key of a tag, bytes.
const TAG_KEY_BYTES_MAX: usize = 64;
/// Longest part of a value that a message repeats, characters.
const ECHO_CHARS_MAX: usize = 64;
/// Highest cap on output tokens that can be meant.
const TOKENS_MAX: u64 = u32::MAX as u64;
/// Longest latency that can be meant: a day.
const LATENCY_MS_MAX: u64 = 86_400_000;
/// Highest cost that can be meant: a million dollars.
const COST_NANOS_MAX: u128 = 1_000_000 * NANOS;
const NANOS: u128 = 1_000_000_000;
/// Digits of a nano-dollar behind the point.
const NANO_DIGITS: i32 = 9;

/// Qualities, best first.
pub const QUALITIES: [&str; 3] = ["high", "standard", "cheap"];
/// What may be kept of the content, strictest first: nothing, its digest, or
/// what policy allows.
pub const RETENTIONS: [&str; 3] = ["none", "digest", "full"];
/// What becomes of personal data, strictest first: the call is refused, or
/// the data is masked, hashed, replaced until the answer, or passed.
pub const PII_MODES: [&str; 5] = ["block", "mask", "hash", "replace", "allow"];
/// Data classes that may be told unless configured, least sensitive first.
pub const DATA_CLASSES: [&str; 4] = ["public", "internal", "confidential", "restricted"];

/// What the values of a field look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Any text.
    Text,
    /// One of these words.
    Words(&'static [&'static str]),
    /// One of the configured data classes.
    DataClass,
    /// A whole number from 1 to this one.
    Whole(u64),
    /// An amount of US dollars.
    Dollars,
    /// The date of a version.
    Date,
    /// `key=value`, separated by commas.
    Tags,
}

impl Field {
    /// What its values look like.
    pub fn shape(self) -> Shape {
        match self {
            Self::User
            | Self::Channel
            | Self::UseCase
            | Self::Session
            | Self::Family
            | Self::Region
            | Self::Redaction => Shape::Text,
            Self::DataClass => Shape::DataClass,
            Self::Quality => Shape::Words(&QUALITIES),
            Self::Retention => Shape::Words(&RETENTIONS),
            Self::PiiMode => Shape::Words(&PII_MODES),
            Self::MaxTokens => Shape::Whole(TOKENS_MAX),
            Self::MaxCost => Shape::Dollars,
            Self::MaxLatencyMs => Shape::Whole(LATENCY_MS_MAX),
            Self::Contract => Shape::Date,
            Self::Tags => Shape::Tags,
        }
    }

    /// Which of two values in normal form is the stricter one; `Less` is
    /// stricter. For fields of which none is, all are equal.
    pub(crate) fn strictness(self, one: &str, other: &str) -> Ordering {
        let rank = |value: &str| match self.shape() {
            Shape::Words(words) => words.iter().position(|word| *word == value).unwrap_or(0) as u64,
            Shape::Whole(_) | Shape::Dollars => value.parse().unwrap_or(0),
            Shape::Text | Shape::DataClass | Shape::Date | Shape::Tags => 0,
        };
        rank(one).cmp(&rank(other))
    }
}

/// The normal form of a value.
///
/// # Errors
/// What is wrong and what is allowed: the rest of a sentence whose subject is
/// the place that told it.
pub fn normal(
    field: Field,
    text: &str,
    version: &Version,
    settings: &Settings,
) -> Result<String, String> {
    let shape = field.shape();
    let bytes_max = match shape {
        Shape::Tags => TAGS_BYTES_MAX,
        Shape::Text
        | Shape::Words(_)
        | Shape::DataClass
        | Shape::Whole(_)
        | Shape::Dollars
        | Shape::Date => TEXT_BYTES_MAX,
    };
    let text = plain(text, bytes_max)?;
    let wrong = |allowed: &str| Err(format!("says `{}`, but {allowed}", echo(text)));
    match shape {
        Shape::Text => Ok(text.to_owned()),
        Shape::Words(words) => {
            let lower = text.to_ascii_lowercase();
            let meant = version.word(field, &lower);
            match meant.filter(|word| words.contains(word)) {
                Some(word) => Ok(word.to_owned()),
                None => wrong(&format!("it is {}", one_of(&said(field, words, version)))),
            }
        }
        Shape::DataClass => {
            let classes = &settings.data_classes;
            match classes
                .iter()
                .find(|class| class.eq_ignore_ascii_case(text))
            {
                Some(class) => Ok(class.to_string()),
                None => wrong(&format!("it is {}", one_of(classes))),
            }
        }
        Shape::Whole(max) => match whole(text).filter(|number| (1..=max).contains(number)) {
            Some(number) => Ok(number.to_string()),
            None => wrong(&format!("it is a whole number from 1 to {max}")),
        },
        Shape::Dollars => match nanos(text).filter(|nanos| (1..=COST_NANOS_MAX).contains(nanos)) {
            Some(nanos) => Ok(nanos.to_string()),
            None => wrong(
                "it is an amount of US dollars such as `0.05`, from 0.000000001 to 1000000, with \
                 at most nine decimals",
            ),
        },
        Shape::Date => match Version::dated(text) {
            Some(version) => Ok(version.date.to_owned()),
            None => {
                let known = VERSIONS.map(|version| version.date);
                wrong(&format!(
                    "the versions of the contract are {}",
                    list(&known)
                ))
            }
        },
        Shape::Tags => tags(text),
    }
}

/// The words of a field, as a version says them.
fn said(field: Field, words: &'static [&'static str], version: &Version) -> Vec<&'static str> {
    match version.own_words(field) {
        Some(own) => own.iter().map(|(told, _)| *told).collect(),
        None => words.to_vec(),
    }
}

/// A text that is safe to keep and to show.
pub(crate) fn plain(text: &str, bytes_max: usize) -> Result<&str, String> {
    let text = text.trim_matches([' ', '\t']);
    if text.is_empty() {
        return Err("is empty, but it holds a value where it is sent at all".to_owned());
    }
    if text.len() > bytes_max {
        return Err(format!(
            "has {} bytes, but it has at most {bytes_max}",
            text.len()
        ));
    }
    if text.chars().any(is_unsafe) {
        return Err(
            "holds a line break or another control character, but it is text in one line"
                .to_owned(),
        );
    }
    Ok(text)
}

/// Characters that could forge a line of a log, or turn its direction.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A value as a message repeats it.
fn echo(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(ECHO_CHARS_MAX) {
        Some((end, _)) => format!("{}..", &text[..end]).into(),
        None => text.into(),
    }
}

/// `` `a`, `b` or `c` ``.
fn one_of<T: AsRef<str>>(words: &[T]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [only] => format!("`{}`", only.as_ref()),
        [head @ .., last] => format!("{} or `{}`", list(head), last.as_ref()),
    }
}

/// `` `a`, `b` ``.
fn list<T: AsRef<str>>(words: &[T]) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("`{}`", word.as_ref()))
        .collect();
    words.join(", ")
}

fn whole(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Nano-dollars of a decimal number, exactly. An exponent is taken, because
/// encoders of JSON write one for small numbers.
fn nanos(text: &str) -> Option<u128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let exponent: i32 = exponent.parse().ok()?;
            (mantissa, exponent)
        }
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !has_digits(whole) || !has_digits(fraction) {
        return None;
    }
    if mantissa.contains('.') && fraction.is_empty() {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{}{fraction}", whole.trim_start_matches('0'));
    if digits.is_empty() {
        return Some(0);
    }
    let places = i32::try_from(fraction.len()).ok()?;
    let shift = exponent.checked_sub(places)?.checked_add(NANO_DIGITS)?;
    let number: u128 = digits.parse().ok()?;
    if shift >= 0 {
        number.checked_mul(10_u128.checked_pow(shift.unsigned_abs())?)
    } else {
        let unit = 10_u128.checked_pow(shift.unsigned_abs())?;
        number.is_multiple_of(unit).then(|| number / unit)
    }
}

fn tags(text: &str) -> Result<String, String> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    for pair in text.split(',') {
        let (key, value) = pair
            .split_once('=')
            .ok_or("is not written as `key=value,key=value`")?;
        let (key, value) = (key.trim(), value.trim());
        if !is_tag_key(key) {
            return Err(format!(
                "holds the key `{}`, but a key has 1 to {TAG_KEY_BYTES_MAX} letters, digits, `_`, \
                 `-` or `.`",
                echo(key)
            ));
        }
        if value.is_empty() {
            return Err(format!("gives the tag `{key}` no value"));
        }
        match found.iter().find(|(known, _)| *known == key) {
            Some((_, told)) if *told != value => {
                return Err(format!("gives the tag `{key}` two values"));
            }
            Some(_) => {}
            None => found.push((key, value)),
        }
    }
    if found.len() > TAGS_MAX {
        return Err(format!(
            "holds {} tags, but it holds at most {TAGS_MAX}",
            found.len()
        ));
    }
    found.sort_unstable();
    let pairs: Vec<String> = found
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    Ok(pairs.join(","))
}

fn is_tag_key(key: &str) -> bool {
    (1..=TAG_KEY_BYTES_MAX).contains(&key.len())
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}
