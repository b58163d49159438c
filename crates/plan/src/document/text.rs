//! Texts with a form: secrets, durations, sizes, and maps that keep their
//! order.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use contract::Secret;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::prices::{Day, Dollars, Multiplier};

/// What a masked secret looks like.
pub const MASK: &str = "***";
const VALUE: &str = "$secret";
const WRITTEN: &str = "$written";

/// What is wrong with a text, and what to write instead.
pub(super) type Wrong = (String, String);

/// A check of a text.
pub(crate) type Check = fn(&str) -> Result<(), Wrong>;

/// The check of a `format` of the schema.
pub(crate) fn format(name: &str) -> Option<Check> {
    match name {
        "duration-text" => Some(|text| Millis::parse(text).map(|_| ())),
        "size-text" => Some(|text| Bytes::parse(text).map(|_| ())),
        "url-text" => Some(without_login),
        "dollars-text" => Some(|text| Dollars::parse(text).map(|_| ())),
        "factor-text" => Some(|text| Multiplier::parse(text).map(|_| ())),
        "day-text" => Some(|text| Day::parse(text).map(|_| ())),
        _ => None,
    }
}

/// A base URL is shown, so it may not hold a secret.
pub(crate) fn without_login(url: &str) -> Result<(), Wrong> {
    match url.contains('@') {
        false => Ok(()),
        true => Err((
            "a base URL cannot hold a name or password".to_owned(),
            "write the key as `api_key: ${env:NAME}`".to_owned(),
        )),
    }
}

/// A secret text. It is shown as the references it was written with, or as
/// `***`; never as itself.
#[derive(Clone)]
pub struct SecretText {
    value: Secret<String>,
    written: Option<String>,
}

impl SecretText {
    /// A secret that was found at `written`, such as `${env:NAME}`.
    pub fn new(value: String, written: Option<String>) -> Self {
        Self {
            value: Secret::new(value),
            written,
        }
    }

    /// The secret itself.
    pub fn secret(&self) -> &Secret<String> {
        &self.value
    }

    /// How it may be shown.
    pub fn shown(&self) -> &str {
        self.written.as_deref().unwrap_or(MASK)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.shown())
    }
}

/// A secret on its way from the tree to the document.
pub(crate) fn secret_value(value: String, written: Option<String>) -> Value {
    let mut map = Map::new();
    map.insert(VALUE.to_owned(), Value::from(value));
    if let Some(written) = written {
        map.insert(WRITTEN.to_owned(), Value::from(written));
    }
    Value::Object(map)
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Carried {
            #[serde(rename = "$secret")]
            value: String,
            #[serde(rename = "$written")]
            written: Option<String>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Carried(Carried),
        }
        // The error of an untagged form never quotes what it found.
        Ok(match Form::deserialize(from)? {
            Form::Text(value) => Self::new(value, None),
            Form::Carried(Carried { value, written }) => Self::new(value, written),
        })
    }
}

impl JsonSchema for SecretText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "writeOnly": true })
    }
}

/// A length of time, in milliseconds; written `1500ms`, `10s`, `2m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

/// Units of time, largest first, in milliseconds.
const TIME_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Millis {
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        let wrong = || {
            (
                format!("`{text}` is not a length of time"),
                "write a whole number and its unit: `1500ms`, `10s`, `2m`, `1h` or `1d`".to_owned(),
            )
        };
        if text == "0" {
            return Ok(Self(0));
        }
        number_and_unit(text, &TIME_UNITS)
            .map(Self)
            .ok_or_else(wrong)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_in_units(f, self.0, &TIME_UNITS, "0s")
    }
}

/// A number of bytes; written `512`, `64KiB`, `32MiB`, `1GiB`, or decimal
/// `10MB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// Units of size that are written, largest first.
const SIZE_UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("", 1),
];
/// Units of size that are read besides.
const OTHER_SIZE_UNITS: [(&str, u64); 4] = [
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

impl Bytes {
    fn parse(text: &str) -> Result<Self, Wrong> {
        number_and_unit(text, &SIZE_UNITS)
            .or_else(|| number_and_unit(text, &OTHER_SIZE_UNITS))
            .map(Self)
            .ok_or_else(|| {
                (
                    format!("`{text}` is not a size"),
                    "write a whole number and its unit: `64KiB`, `32MiB` or `1GiB`".to_owned(),
                )
            })
    }

    /// As the machine counts.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_in_units(f, self.0, &SIZE_UNITS, "0")
    }
}

fn number_and_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, size) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*size)
}

fn write_in_units(
    f: &mut fmt::Formatter<'_>,
    amount: u64,
    units: &[(&str, u64)],
    zero: &str,
) -> fmt::Result {
    let unit = units.iter().find(|(_, size)| amount.is_multiple_of(*size));
    match unit {
        Some((name, size)) if amount > 0 => write!(f, "{}{name}", amount / size),
        Some(_) | None => f.write_str(zero),
    }
}

/// Serde and schema of a text that is parsed.
macro_rules! parsed_text {
    ($name:ident, $format:literal, $title:literal, $type:literal, $examples:expr) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(from)?;
                Self::parse(&text).map_err(|(what, instead)| {
                    serde::de::Error::custom(format!("{what}; {instead}"))
                })
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                $title.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                // A size may be a bare number; editors should not complain.
                schemars::json_schema!({ "type": ["string", $type], "format": $format, "examples": $examples })
            }
        }
    };
}

pub(super) use parsed_text;

parsed_text!(
    Millis,
    "duration-text",
    "Duration",
    "integer",
    ["10s", "1500ms"]
);
parsed_text!(Bytes, "size-text", "Size", "integer", ["32MiB", "64KiB"]);

/// A mapping that keeps the order in which it was written, because order is
/// preference.
#[derive(Clone, Debug)]
pub struct Named<T>(pub Vec<(String, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Named<T> {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entry of this name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// Names and entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> + Clone {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Named(entries))
            }
        }
        from.deserialize_map(Entries(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let entry = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": entry })
    }
}
