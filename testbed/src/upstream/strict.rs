//! Strict reading of JSON objects: every field is taken by name, and what nobody took is refused.
//!
//! The vendors refuse unknown fields, so a bad translation must be caught here. Rendering a
//! `Flaw` in a vendor's words lives in `fail`; which fields exist lives with each dialect.

use serde_json::{Map, Value};
use std::cell::RefCell;

/// What is wrong with a request, and where (dotted path: `messages.0.content`).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Flaw {
    pub(crate) path: String,
    pub(crate) kind: FlawKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FlawKind {
    Unknown,
    Missing,
    Type {
        expected: &'static str,
        got: &'static str,
    },
    /// The field is known and well typed, but its value is refused; the text is the vendor's.
    Value(String),
}

impl Flaw {
    pub(crate) fn value(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            kind: FlawKind::Value(message.into()),
        }
    }

    pub(crate) fn missing(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            kind: FlawKind::Missing,
        }
    }

    pub(crate) fn wrong_type(path: impl Into<String>, expected: &'static str, got: &Value) -> Self {
        Self {
            path: path.into(),
            kind: FlawKind::Type {
                expected,
                got: type_name(got),
            },
        }
    }
}

/// A cursor over one JSON object that remembers which keys were taken.
pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
    taken: RefCell<Vec<&'a str>>,
    /// Protobuf JSON takes `snake_case` beside `camelCase`.
    proto: bool,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(value: &'a Value, path: impl Into<String>) -> Result<Self, Flaw> {
        Self::open(value, path.into(), false)
    }

    /// As `of`, for protobuf JSON: a field may come in camel or in snake case.
    pub(crate) fn proto(value: &'a Value, path: impl Into<String>) -> Result<Self, Flaw> {
        Self::open(value, path.into(), true)
    }

    fn open(value: &'a Value, path: String, proto: bool) -> Result<Self, Flaw> {
        match value {
            Value::Object(map) => Ok(Self {
                map,
                path,
                taken: RefCell::default(),
                proto,
            }),
            other => Err(Flaw::wrong_type(path, "an object", other)),
        }
    }

    pub(crate) fn path(&self, key: &str) -> String {
        match self.path.is_empty() {
            true => key.to_owned(),
            false => format!("{}.{key}", self.path),
        }
    }

    /// Takes a field; JSON null counts as absent, as it does for the vendors' optional fields.
    pub(crate) fn take(&self, key: &str) -> Option<&'a Value> {
        let found = self.map.get_key_value(key).or_else(|| match self.proto {
            true => self.map.get_key_value(&snake(key)),
            false => None,
        });
        let (name, value) = found?;
        self.taken.borrow_mut().push(name.as_str());
        (!value.is_null()).then_some(value)
    }

    pub(crate) fn need(&self, key: &str) -> Result<&'a Value, Flaw> {
        self.take(key).ok_or_else(|| Flaw::missing(self.path(key)))
    }

    pub(crate) fn str(&self, key: &str) -> Result<Option<&'a str>, Flaw> {
        self.typed(key, "a string", Value::as_str)
    }

    pub(crate) fn need_str(&self, key: &str) -> Result<&'a str, Flaw> {
        self.str(key)?.ok_or_else(|| Flaw::missing(self.path(key)))
    }

    pub(crate) fn bool(&self, key: &str) -> Result<Option<bool>, Flaw> {
        self.typed(key, "a boolean", Value::as_bool)
    }

    pub(crate) fn u64(&self, key: &str) -> Result<Option<u64>, Flaw> {
        self.typed(key, "an integer", Value::as_u64)
    }

    pub(crate) fn f64(&self, key: &str) -> Result<Option<f64>, Flaw> {
        self.typed(key, "a number", Value::as_f64)
    }

    /// A number that must lie in `low..=high`.
    pub(crate) fn ranged(&self, key: &str, low: f64, high: f64) -> Result<Option<f64>, Flaw> {
        match self.f64(key)? {
            Some(n) if !(low..=high).contains(&n) => Err(Flaw::value(
                self.path(key),
                format!("{n} is out of range: expected a value between {low} and {high}"),
            )),
            other => Ok(other),
        }
    }

    pub(crate) fn list(&self, key: &str) -> Result<Option<&'a [Value]>, Flaw> {
        self.typed(key, "an array", |v| v.as_array().map(Vec::as_slice))
    }

    pub(crate) fn object(&self, key: &str) -> Result<Option<Fields<'a>>, Flaw> {
        let path = self.path(key);
        self.take(key)
            .map(|v| Self::open(v, path, self.proto))
            .transpose()
    }

    /// A string that must be one of `allowed`.
    pub(crate) fn one_of(&self, key: &str, allowed: &[&str]) -> Result<Option<&'a str>, Flaw> {
        match self.str(key)? {
            Some(s) if !allowed.contains(&s) => Err(not_supported(self.path(key), s, allowed)),
            other => Ok(other),
        }
    }

    /// Takes fields that are known and that the fake does not act on.
    pub(crate) fn pass(&self, keys: &[&str]) {
        for key in keys {
            self.take(key);
        }
    }

    /// Refuses the first field that nobody took.
    pub(crate) fn finish(self) -> Result<(), Flaw> {
        let taken = self.taken.borrow();
        match self.map.keys().find(|k| !taken.contains(&k.as_str())) {
            Some(extra) => Err(Flaw {
                path: self.path(extra),
                kind: FlawKind::Unknown,
            }),
            None => Ok(()),
        }
    }

    fn typed<T>(
        &self,
        key: &str,
        expected: &'static str,
        as_type: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Flaw> {
        match self.take(key) {
            None => Ok(None),
            Some(v) => match as_type(v) {
                Some(t) => Ok(Some(t)),
                None => Err(Flaw::wrong_type(self.path(key), expected, v)),
            },
        }
    }
}

/// The flaw for a string outside an enumeration.
pub(crate) fn not_supported(path: impl Into<String>, got: &str, allowed: &[&str]) -> Flaw {
    let listed: Vec<String> = allowed.iter().map(|a| format!("'{a}'")).collect();
    Flaw::value(
        path,
        format!(
            "Invalid value: '{got}'. Supported values are: {}.",
            listed.join(", ")
        ),
    )
}

fn snake(camel: &str) -> String {
    let mut out = String::with_capacity(camel.len() + 4);
    for c in camel.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
