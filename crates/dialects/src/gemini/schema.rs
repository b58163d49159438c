//! Schemas, both ways: the vendor's own `Schema` (a subset of OpenAPI with
//! types in capitals) and JSON Schema, which is the canonical form.
//!
//! Deliberately not here: checking that a schema makes sense.

use contract::RawJson;

use super::names;
use crate::json::{self, Doc, Json, Kind, ObjectWriter};

/// A `Schema` as JSON Schema. The order of properties, which the vendor tells
/// in a list of its own, becomes their order in the text.
pub(super) fn to_json_schema(schema: Json<'_>) -> RawJson {
    RawJson::new(converted(schema))
}

fn converted(schema: Json<'_>) -> String {
    if schema.kind() != Kind::Object {
        return schema.raw().to_owned();
    }
    json::object(|out| {
        let nullable = pick(schema, "nullable").and_then(|value| value.bool()) == Some(true);
        for member in schema.members().filter(|member| !member.value.is_null()) {
            let name = member.name();
            put_converted(&camel(&name), member.value, schema, nullable, out);
        }
    })
}

fn put_converted(
    name: &str,
    value: Json<'_>,
    schema: Json<'_>,
    nullable: bool,
    out: &mut ObjectWriter<'_>,
) {
    match (name, value.kind()) {
        // Told by their neighbours.
        ("nullable" | "propertyOrdering", _) => {}
        ("type", Kind::String) => {
            let word = value.str().unwrap_or_default().to_ascii_lowercase();
            match (&*word, nullable) {
                ("type_unspecified", _) => {}
                (word, true) if word != "null" => out.strs("type", &[word, "null"]),
                (word, _) => out.str("type", word),
            }
        }
        // A vendor's word for "one of the names below", not a format.
        ("format", Kind::String) if value.str().as_deref() == Some("enum") => {}
        ("enum", Kind::Array) => out.array("enum", |array| {
            value.items().for_each(|item| array.raw(item.raw()));
            if nullable {
                array.raw("null");
            }
        }),
        ("anyOf", Kind::Array) => out.array("anyOf", |array| {
            value.items().for_each(|item| array.raw(&converted(item)));
            if nullable && pick(schema, "type").is_none() {
                array.raw(r#"{"type":"null"}"#);
            }
        }),
        ("properties", Kind::Object) => out.object("properties", |out| {
            for (name, property) in in_order(value, pick(schema, "propertyOrdering")) {
                out.raw(&name, &converted(property));
            }
        }),
        ("defs" | "$defs", Kind::Object) => out.object("$defs", |out| {
            for member in value.members() {
                out.raw(&member.name(), &converted(member.value));
            }
        }),
        ("ref" | "$ref", _) => out.raw("$ref", value.raw()),
        ("items" | "additionalProperties", Kind::Object) => out.raw(name, &converted(value)),
        ("example", _) => out.array("examples", |array| array.raw(value.raw())),
        // 64-bit numbers stand in quotes in protobuf JSON.
        (
            "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties",
            Kind::String,
        ) => match names::whole(value) {
            Some(number) => out.int(name, number),
            None => out.raw(name, value.raw()),
        },
        (_, _) => out.raw(name, value.raw()),
    }
}

/// Properties in the order that the vendor's list tells; what it leaves out
/// comes last.
fn in_order<'a>(
    properties: Json<'a>,
    ordering: Option<Json<'a>>,
) -> Vec<(std::borrow::Cow<'a, str>, Json<'a>)> {
    let place = |name: &str| {
        let mut listed = ordering.iter().flat_map(Json::items);
        listed
            .position(|item| item.str().as_deref() == Some(name))
            .unwrap_or(usize::MAX)
    };
    let mut members: Vec<_> = properties
        .members()
        .map(|member| (member.name(), member.value))
        .collect();
    if ordering.is_some() {
        members.sort_by_cached_key(|(name, _)| place(name));
    }
    members
}

fn pick<'a>(schema: Json<'a>, name: &str) -> Option<Json<'a>> {
    let found = schema.members().find(|member| names::is(member, name))?;
    Some(found.value).filter(|value| !value.is_null())
}

fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut raise = false;
    for character in name.chars() {
        if character == '_' && !out.is_empty() {
            raise = true;
        } else if std::mem::take(&mut raise) {
            out.push(character.to_ascii_uppercase());
        } else {
            out.push(character);
        }
    }
    out
}

/// A JSON Schema as the vendor's `Schema`, for models that do not take JSON
/// Schema. Keywords that it lacks are left out and named in `lost`.
pub(super) fn from_json_schema(schema: &RawJson, lost: &mut Vec<String>) -> String {
    match Doc::answer(schema.as_str().to_owned().into()) {
        Ok(doc) => reduced(doc.root(), lost),
        Err(_) => "{}".to_owned(),
    }
}

fn reduced(schema: Json<'_>, lost: &mut Vec<String>) -> String {
    let mut nullable = false;
    let mut alternatives = Vec::new();
    let mut members: Vec<(String, String)> = Vec::new();
    for member in schema.members() {
        let (name, value) = (member.name(), member.value);
        let kept = match (&*name, value.kind()) {
            ("type", Kind::String | Kind::Array) => {
                types(value, &mut nullable, &mut alternatives);
                continue;
            }
            ("anyOf" | "oneOf", Kind::Array) => {
                for option in value.items() {
                    if is_null_type(option) {
                        nullable = true;
                    } else {
                        alternatives.push(reduced(option, lost));
                    }
                }
                continue;
            }
            ("enum", Kind::Array) => {
                nullable |= value.items().any(|item| item.is_null());
                words(value.items())
            }
            ("const", _) => words(std::iter::once(value)),
            ("properties", Kind::Object) => Some(json::object(|out| {
                for property in value.members() {
                    out.raw(&property.name(), &reduced(property.value, lost));
                }
            })),
            ("items", Kind::Object) => Some(reduced(value, lost)),
            (
                "title" | "description" | "default" | "format" | "pattern" | "required" | "minimum"
                | "maximum" | "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties"
                | "maxProperties",
                _,
            ) => Some(value.raw().to_owned()),
            (_, _) => None,
        };
        match kept {
            Some(text) if name == "const" => members.push(("enum".to_owned(), text)),
            Some(text) => members.push((name.into_owned(), text)),
            None if !lost.iter().any(|known| *known == name) => lost.push(name.into_owned()),
            None => {}
        }
    }
    assembled(members, alternatives, nullable)
}

fn assembled(
    mut members: Vec<(String, String)>,
    mut alternatives: Vec<String>,
    nullable: bool,
) -> String {
    // One alternative is no choice: a lone type is said plainly.
    if let [only] = alternatives.as_slice()
        && only.starts_with(r#"{"type":""#)
        && only.matches('"').count() == 4
    {
        let word = only[r#"{"type":"#.len()..only.len() - 1].to_owned();
        members.insert(0, ("type".to_owned(), word));
        alternatives.clear();
    }
    json::object(|out| {
        for (name, text) in &members {
            out.raw(name, text);
        }
        if !alternatives.is_empty() {
            out.array("anyOf", |array| {
                alternatives.iter().for_each(|option| array.raw(option));
            });
        }
        if nullable {
            out.bool("nullable", true);
        }
    })
}

fn types(value: Json<'_>, nullable: &mut bool, alternatives: &mut Vec<String>) {
    let words: Vec<_> = match value.str() {
        Some(word) => vec![word],
        None => value.items().filter_map(|item| item.str()).collect(),
    };
    for word in words {
        if word == "null" {
            *nullable = true;
        } else {
            let word = word.to_ascii_uppercase();
            alternatives.push(json::object(|out| out.str("type", &word)));
        }
    }
}

fn is_null_type(schema: Json<'_>) -> bool {
    let word = schema.field("type").and_then(|word| word.str());
    word.as_deref() == Some("null")
}

/// Values of an enumeration, which the vendor knows as strings only.
fn words<'a>(values: impl Iterator<Item = Json<'a>>) -> Option<String> {
    let values: Option<Vec<_>> = values
        .filter(|value| !value.is_null())
        .map(|value| value.str().map(|_| value.raw()))
        .collect();
    values.map(|values| json::array(|array| values.iter().for_each(|value| array.raw(value))))
}
