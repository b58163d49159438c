//! Protobuf JSON: a field may be spelled in camelCase or in snake_case, whole
//! numbers may stand in quotes, and a single object may stand for a list of
//! one (as the vendor's own examples do).
//!
//! Deliberately not here: which fields exist.

use contract::Fault;
use contract::text::Extras;

use crate::json::{Json, Kind, Member};

/// Whether a member is the field with this camelCase name, in either spelling.
pub(super) fn is(member: &Member<'_>, camel: &str) -> bool {
    member.is(camel) || is_snake(&member.name(), camel)
}

fn is_snake(name: &str, camel: &str) -> bool {
    let mut name = name.bytes();
    let spelled = camel.bytes().all(|byte| {
        if byte.is_ascii_uppercase() {
            name.next() == Some(b'_') && name.next() == Some(byte.to_ascii_lowercase())
        } else {
            name.next() == Some(byte)
        }
    });
    spelled && name.next().is_none()
}

/// A field in either spelling; `null` counts as absent.
///
/// # Errors
/// `BadRequest` if the value is no object, or has the field in both
/// spellings, which would leave open which one counts.
pub(super) fn field<'a>(object: Json<'a>, camel: &str) -> Result<Option<Json<'a>>, Fault> {
    let mut found: Option<Json<'a>> = None;
    for member in object.as_object()?.members() {
        if member.value.is_null() || !is(&member, camel) {
            continue;
        }
        if found.is_some() {
            return Err(twice(member.value, camel));
        }
        found = Some(member.value);
    }
    Ok(found)
}

/// The fault of a field that comes in both spellings.
pub(super) fn twice(value: Json<'_>, camel: &str) -> Fault {
    value.fault(format_args!(
        "`{camel}` is given in both spellings; send it once"
    ))
}

/// A field that must be there.
pub(super) fn need<'a>(object: Json<'a>, camel: &str) -> Result<Json<'a>, Fault> {
    match field(object, camel)? {
        Some(value) => Ok(value),
        None => object.need(camel),
    }
}

/// An optional string.
pub(super) fn opt_string(object: Json<'_>, camel: &str) -> Result<Option<String>, Fault> {
    field(object, camel)?
        .map(|value| Ok(value.as_str()?.into_owned()))
        .transpose()
}

/// A string that must be there.
pub(super) fn need_string(object: Json<'_>, camel: &str) -> Result<String, Fault> {
    Ok(need(object, camel)?.as_str()?.into_owned())
}

/// An optional number.
pub(super) fn opt_f64(object: Json<'_>, camel: &str) -> Result<Option<f64>, Fault> {
    field(object, camel)?
        .map(|value| value.as_f64())
        .transpose()
}

/// An optional boolean.
pub(super) fn opt_bool(object: Json<'_>, camel: &str) -> Result<Option<bool>, Fault> {
    field(object, camel)?
        .map(|value| value.as_bool())
        .transpose()
}

/// An optional whole number that fits 32 bits.
pub(super) fn opt_u32(object: Json<'_>, camel: &str) -> Result<Option<u32>, Fault> {
    field(object, camel)?.map(as_u32).transpose()
}

/// A whole number from 0; also in quotes or with an empty fraction.
pub(super) fn as_u32(value: Json<'_>) -> Result<u32, Fault> {
    whole(value)
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| value.expected("a whole number from 0 to 4294967295"))
}

/// A whole number in any of the spellings of protobuf JSON.
pub(super) fn whole(value: Json<'_>) -> Option<i64> {
    if let Some(number) = value.i64() {
        return Some(number);
    }
    if let Some(text) = value.str() {
        return text.parse().ok();
    }
    let number = value.f64()?;
    // Beyond 2^53 a float names no single whole number.
    (number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0).then_some(number as i64)
}

/// The items of a list; a single object stands for a list of one.
pub(super) fn list<'a>(value: Json<'a>) -> Result<Vec<Json<'a>>, Fault> {
    match value.kind() {
        Kind::Array => Ok(value.items().collect()),
        Kind::Object => Ok(vec![value]),
        Kind::Null
        | Kind::True
        | Kind::False
        | Kind::Number
        | Kind::String
        | Kind::EscapedString => Err(value.expected("an array")),
    }
}

/// Keeps the members of `object` that are not in `known`, named by the path
/// `at` in the vendor's own spelling.
pub(super) fn keep(object: Json<'_>, at: &str, known: &[&str], extras: &mut Extras) {
    for member in object.members() {
        if !known.iter().any(|key| is(&member, key)) {
            let name = member.name();
            let full = if at.is_empty() {
                name.into_owned()
            } else {
                format!("{at}.{name}")
            };
            extras.fields.push((full, member.value.to_raw()));
        }
    }
}
