//! Unknown fields below the top level of a request. A reader keeps each as an
//! extra that is named by its path (`messages[2].content[0].caller`), so that
//! a foreign writer declares it lost by that name and a writer of the same
//! dialect puts it back where it stood.
//!
//! Deliberately not here: unknown fields of the top level, which are plain
//! extras.

use std::cell::Cell;

use contract::text::Extras;
use contract::{DialectId, RawJson, Request};

use crate::json::{Json, ObjectWriter};

/// Keeps the members of `object` that are not in `known`, named by path.
pub(crate) fn keep_rest(object: Json<'_>, known: &[&str], extras: &mut Extras) {
    for member in object.members() {
        if !known.iter().any(|key| member.is(key)) {
            let path = object.path();
            let name = member.name();
            let full = if path.is_empty() {
                name.into_owned()
            } else {
                format!("{path}.{name}")
            };
            extras.fields.push((full, member.value.to_raw()));
        }
    }
}

/// The extras of a request, looked up by the object they belong to.
#[derive(Debug)]
pub(crate) struct Nested<'a> {
    fields: Vec<Field<'a>>,
}

#[derive(Debug)]
struct Field<'a> {
    full: &'a str,
    parent: &'a str,
    name: &'a str,
    value: &'a RawJson,
    used: Cell<bool>,
}

impl<'a> Nested<'a> {
    /// Indexes the extras.
    pub(crate) fn of(extras: &'a Extras) -> Self {
        let field = |(full, value): &'a (String, RawJson)| {
            let (parent, name) = full.rsplit_once('.').unwrap_or(("", full));
            Field {
                full,
                parent,
                name,
                value,
                used: Cell::new(false),
            }
        };
        Self {
            fields: extras.fields.iter().map(field).collect(),
        }
    }

    /// The extras of a request that came in the writer's own dialect; none of
    /// another one, whose paths may happen to be the same.
    pub(crate) fn of_own(request: &'a Request, own: DialectId) -> Self {
        if request.dialect == own {
            Self::of(&request.extras)
        } else {
            Self { fields: Vec::new() }
        }
    }

    /// Whether the object at this path has any.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.fields.iter().any(|field| field.parent == path)
    }

    /// Puts the fields of the object at this path back.
    pub(crate) fn put(&self, path: &str, out: &mut ObjectWriter<'_>) {
        for field in self.fields.iter().filter(|field| field.parent == path) {
            out.raw(field.name, field.value.as_str());
            field.used.set(true);
        }
    }

    /// Paths of the fields that found no place.
    pub(crate) fn left(&self) -> impl Iterator<Item = &'a str> {
        self.fields
            .iter()
            .filter(|field| !field.used.get())
            .map(|field| field.full)
    }
}
