//! Schemas whose objects hold nothing but the properties they name. Some
//! vendors enforce a schema only if each object says so
//! (`additionalProperties: false`); others mean it without saying.
//!
//! Closing narrows: what fits the closed schema fits the caller's as well.
//! Where it could leave nothing that fits (an object that names no property,
//! or one put together from several schemas), the schema stays as it is and
//! the vendor has the last word.

use contract::RawJson;

use crate::json::{self, Doc, Json, Kind, ObjectWriter};

#[cfg(test)]
mod tests;

/// Keywords that put an object together from several schemas, each of which
/// would forbid what only the others name.
const COMPOSING: [&str; 8] = [
    "anyOf",
    "oneOf",
    "allOf",
    "$ref",
    "not",
    "if",
    "dependentSchemas",
    "patternProperties",
];

/// A schema, closed as far as that is safe.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) schema: RawJson,
    /// Each object is closed and demands all its properties.
    pub(crate) complete: bool,
}

/// Closes the objects of a schema.
pub(crate) fn closed(schema: &RawJson) -> Closed {
    let Ok(doc) = Doc::answer(schema.as_str().to_owned().into()) else {
        return Closed {
            schema: schema.clone(),
            complete: false,
        };
    };
    let mut complete = true;
    let text = close(doc.root(), &mut complete);
    Closed {
        schema: RawJson::new(text),
        complete,
    }
}

fn close(schema: Json<'_>, complete: &mut bool) -> String {
    if schema.kind() != Kind::Object {
        return schema.raw().to_owned();
    }
    let properties = schema.field("properties");
    let composed = COMPOSING.iter().any(|key| schema.field(key).is_some());
    if properties.is_some() && composed {
        *complete = false;
        return schema.raw().to_owned();
    }
    let more = schema.field("additionalProperties");
    let closes = properties.is_some() && more.is_none();
    let open = match more {
        Some(more) => more.bool() != Some(false),
        None => properties.is_none() && is_object(schema),
    };
    if open || !demands_all(schema, properties) {
        *complete = false;
    }
    json::object(|out| {
        for member in schema.members() {
            let name = member.name();
            if !(closes && name == "additionalProperties") {
                put(&name, member.value, complete, out);
            }
        }
        if closes {
            out.bool("additionalProperties", false);
        }
    })
}

fn put(name: &str, value: Json<'_>, complete: &mut bool, out: &mut ObjectWriter<'_>) {
    match (name, value.kind()) {
        ("properties" | "$defs" | "definitions", Kind::Object) => out.object(name, |out| {
            for member in value.members() {
                out.raw(&member.name(), &close(member.value, complete));
            }
        }),
        ("anyOf" | "oneOf" | "prefixItems", Kind::Array) => out.array(name, |array| {
            for item in value.items() {
                array.raw(&close(item, complete));
            }
        }),
        ("items", Kind::Object) => out.raw(name, &close(value, complete)),
        (_, _) => out.raw(name, value.raw()),
    }
}

fn is_object(schema: Json<'_>) -> bool {
    let Some(kind) = schema.field("type") else {
        return false;
    };
    let says = |word: Json<'_>| word.str().as_deref() == Some("object");
    says(kind) || kind.items().any(says)
}

fn demands_all(schema: Json<'_>, properties: Option<Json<'_>>) -> bool {
    let required = schema.field("required");
    let demanded = |name: &str| {
        let mut names = required.iter().flat_map(Json::items);
        names.any(|item| item.str().as_deref() == Some(name))
    };
    let mut all = properties.iter().flat_map(Json::members);
    all.all(|member| demanded(&member.name()))
}
