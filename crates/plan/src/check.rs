//! The tree against the schema: every unknown field, wrong type and missing
//! value is found in one go, and what is right becomes plain JSON for serde.
//!
//! The schema is the one list of what exists: what it names is accepted here,
//! described in the reference, and offered by editors.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, Place, suggest};
use crate::document::text;
use crate::interpolate::{Sources, fill};
use crate::path::join;
use crate::yaml::{Body, Key, Node};

/// What became of a tree.
pub(crate) struct Checked {
    pub(crate) value: Value,
    pub(crate) places: HashMap<String, Place>,
    /// Scalars that must not be shown.
    pub(crate) secrets: Vec<Place>,
    pub(crate) findings: Vec<(Diagnostic, Place)>,
}

/// Checks a tree.
pub(crate) fn check(root: &Node, schema: &Value, sources: &dyn Sources) -> Checked {
    let mut walk = Walk {
        root: schema,
        sources,
        out: Checked {
            value: Value::Null,
            places: HashMap::new(),
            secrets: Vec::new(),
            findings: Vec::new(),
        },
    };
    let value = walk.node(schema, root, "");
    walk.out.value = value.unwrap_or(Value::Null);
    walk.out
}

struct Walk<'a> {
    root: &'a Value,
    sources: &'a dyn Sources,
    out: Checked,
}

impl<'a> Walk<'a> {
    /// The node as JSON; `None` if it was wrong, which is noted, or nothing.
    fn node(&mut self, schema: &'a Value, node: &Node, path: &str) -> Option<Value> {
        self.out.places.insert(path.to_owned(), node.place);
        if node.is_null() {
            return None;
        }
        let schema = self.branch(schema, node);
        match &node.body {
            Body::Map(fields) if takes(schema, "object") => {
                Some(self.map(schema, fields, node, path))
            }
            Body::List(items) if takes(schema, "array") => Some(self.list(schema, items, path)),
            Body::Scalar { text, .. } if takes_scalar(schema) => {
                self.scalar(schema, text, node, path)
            }
            body => {
                self.hide(node);
                let got = match body {
                    Body::Map(_) => "a mapping",
                    Body::List(_) => "a list",
                    Body::Scalar { .. } => "a single value",
                };
                let what = format!("{got} stands here, but {} is needed", wanted(schema));
                self.find(node.place, path, what, example(schema));
                None
            }
        }
    }

    /// Follows references, and picks the alternative that fits the shape.
    fn branch(&self, schema: &'a Value, node: &Node) -> &'a Value {
        let schema = self.resolve(schema);
        let Some(branches) = ["anyOf", "oneOf"]
            .iter()
            .find_map(|word| schema.get(word)?.as_array())
        else {
            return schema;
        };
        if words(schema).is_some() {
            return schema;
        }
        let fits = |branch: &&'a Value| match &node.body {
            Body::Map(_) => takes(branch, "object"),
            Body::List(_) => takes(branch, "array"),
            Body::Scalar { .. } => takes_scalar(branch),
        };
        let mut branches = branches
            .iter()
            .map(|branch| self.resolve(branch))
            .filter(|branch| !takes(branch, "null") || words(branch).is_some());
        let first = branches.clone().next();
        branches
            .find(fits)
            .or(first)
            .map_or(schema, |branch| self.branch(branch, node))
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
            return schema;
        };
        reference
            .strip_prefix('#')
            .and_then(|pointer| self.root.pointer(pointer))
            .map_or(schema, |target| self.resolve(target))
    }

    fn map(&mut self, schema: &'a Value, fields: &[(Key, Node)], node: &Node, path: &str) -> Value {
        let known = schema.get("properties").and_then(Value::as_object);
        let others = schema
            .get("additionalProperties")
            .filter(|others| !others.is_boolean());
        let mut map = Map::new();
        for (key, value) in fields {
            let below = join(path, &key.text);
            let declared = known.and_then(|known| known.get(&key.text)).or(others);
            let Some(declared) = declared else {
                if schema.get("additionalProperties") == Some(&Value::Bool(true)) {
                    self.out.places.insert(below, value.place);
                    map.insert(key.text.clone(), as_written(value));
                    continue;
                }
                self.hide(value);
                let names = known.into_iter().flatten().map(|(name, _)| name.as_str());
                let what = format!("there is no field `{}` here", key.text);
                self.find(key.place, &below, what, suggest(&key.text, names, "field"));
                continue;
            };
            if let Some(value) = self.node(declared, value, &below) {
                map.insert(key.text.clone(), value);
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            let given = fields
                .iter()
                .any(|(key, value)| key.text == name && !value.is_null());
            if !given {
                let field = known
                    .and_then(|known| known.get(name))
                    .unwrap_or(&Value::Null);
                let instead = format!("add `{name}: ..`: {}", sentence(self.resolve(field), field));
                self.find(node.place, path, format!("`{name}` is missing"), instead);
            }
        }
        Value::Object(map)
    }

    fn list(&mut self, schema: &'a Value, items: &[Node], path: &str) -> Value {
        let each = schema.get("items").unwrap_or(&Value::Null);
        items
            .iter()
            .enumerate()
            .filter_map(|(nth, item)| self.node(each, item, &format!("{path}[{nth}]")))
            .collect()
    }

    fn scalar(&mut self, schema: &'a Value, text: &str, node: &Node, path: &str) -> Option<Value> {
        let secret = schema.get("writeOnly") == Some(&Value::Bool(true));
        // An address with a login in it is refused, but must not be shown.
        let holds_login = text.contains("://") && text.contains('@');
        if secret || holds_login {
            self.out.secrets.push(node.place);
        }
        let filled = match fill(text, self.sources) {
            Ok(filled) => filled,
            Err((what, instead)) => {
                self.find(node.place, path, what, instead);
                return None;
            }
        };
        if secret {
            return Some(text::secret_value(filled.text, filled.written));
        }
        match typed(schema, &filled.text) {
            Ok(value) => Some(value),
            Err((what, instead)) => {
                self.find(node.place, path, what, instead);
                None
            }
        }
    }

    fn find(&mut self, place: Place, path: &str, what: String, instead: String) {
        let finding = Diagnostic::error(path, what, instead).at(place);
        self.out.findings.push((finding, place));
    }

    /// Nobody knows what a node in the wrong place holds: it is not shown.
    fn hide(&mut self, node: &Node) {
        match &node.body {
            Body::Scalar { .. } => self.out.secrets.push(node.place),
            Body::List(items) => items.iter().for_each(|item| self.hide(item)),
            Body::Map(fields) => fields.iter().for_each(|(_, value)| self.hide(value)),
        }
    }
}

/// A scalar as the type that its field has.
fn typed(schema: &Value, text: &str) -> Result<Value, (String, String)> {
    if let Some(words) = words(schema) {
        if words.contains(&text) {
            return Ok(Value::from(text));
        }
        let noun = schema
            .get("title")
            .and_then(Value::as_str)
            .unwrap_or("choice");
        let noun = noun.to_lowercase();
        let what = format!("there is no {noun} `{text}`");
        return Err((what, suggest(text, words, &noun)));
    }
    if let Some(check) = schema
        .get("format")
        .and_then(Value::as_str)
        .and_then(text::format)
    {
        check(text)?;
        return Ok(Value::from(text));
    }
    if takes(schema, "boolean") {
        return match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err((
                format!("`{text}` is not a switch"),
                "write `true` or `false`".to_owned(),
            )),
        };
    }
    if takes(schema, "integer") {
        return integer(schema, text);
    }
    Ok(Value::from(text))
}

fn integer(schema: &Value, text: &str) -> Result<Value, (String, String)> {
    let least = schema.get("minimum").and_then(Value::as_u64).unwrap_or(0);
    let most = match schema.get("maximum").and_then(Value::as_u64) {
        Some(most) => most,
        None if schema.get("format") == Some(&Value::from("uint32")) => u64::from(u32::MAX),
        None => u64::MAX,
    };
    match text.parse::<u64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(Value::from(number)),
        Ok(number) if number < least => Err((
            format!("{number} is too small"),
            format!("write {least} or more"),
        )),
        Ok(number) => Err((
            format!("{number} is too large"),
            format!("write at most {most}"),
        )),
        Err(_) => Err((
            format!("`{text}` is not a whole number"),
            format!("write digits only, {least} or more"),
        )),
    }
}

/// The words of an enumeration.
pub(crate) fn words(schema: &Value) -> Option<Vec<&str>> {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return Some(words.iter().filter_map(Value::as_str).collect());
    }
    if let Some(word) = schema.get("const") {
        return word.as_str().map(|word| vec![word]);
    }
    let branches = schema.get("oneOf")?.as_array()?;
    branches
        .iter()
        .map(words)
        .collect::<Option<Vec<_>>>()
        .map(|words| words.concat())
}

/// Whether the schema names this type.
fn takes(schema: &Value, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(several)) => several.iter().any(|one| one == name),
        _ => false,
    }
}

fn takes_scalar(schema: &Value) -> bool {
    words(schema).is_some()
        || ["string", "integer", "boolean"]
            .iter()
            .any(|name| takes(schema, name))
}

fn wanted(schema: &Value) -> &'static str {
    if words(schema).is_some() {
        "one word"
    } else if takes(schema, "object") {
        "a mapping of fields"
    } else if takes(schema, "array") {
        "a list"
    } else if takes(schema, "boolean") {
        "`true` or `false`"
    } else if takes(schema, "integer") {
        "a number"
    } else {
        "a text"
    }
}

fn example(schema: &Value) -> String {
    if let Some(words) = words(schema) {
        return suggest("", words, "choice");
    }
    if takes(schema, "array") {
        return "write `[value, value]`, or one `- value` a line".to_owned();
    }
    if takes(schema, "object") {
        let fields = schema.get("properties").and_then(Value::as_object);
        let names: Vec<&str> = fields
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        return match names.is_empty() {
            true => "write `name: value` on lines of their own, indented".to_owned(),
            false => suggest("", names, "field"),
        };
    }
    "write one value on this line".to_owned()
}

/// The first sentence of a field's description.
fn sentence(resolved: &Value, field: &Value) -> String {
    let said = |schema: &Value| {
        schema
            .get("description")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let text = said(field).or_else(|| said(resolved)).unwrap_or_default();
    let first = text.split(". ").next().unwrap_or_default();
    first.trim_end_matches('.').replace('\n', " ")
}

/// A value of which the schema says nothing, by the core schema of YAML 1.2:
/// plain scalars that look like numbers or switches are such.
fn as_written(node: &Node) -> Value {
    match &node.body {
        Body::Map(fields) => fields
            .iter()
            .map(|(key, value)| (key.text.clone(), as_written(value)))
            .collect(),
        Body::List(items) => items.iter().map(as_written).collect(),
        Body::Scalar { .. } if node.is_null() => Value::Null,
        Body::Scalar { text, plain: false } => Value::String(text.clone()),
        Body::Scalar { text, plain: true } => match text.as_str() {
            "true" | "True" | "TRUE" => Value::Bool(true),
            "false" | "False" | "FALSE" => Value::Bool(false),
            other => other
                .parse::<serde_json::Number>()
                .map_or_else(|_| Value::String(text.clone()), Value::Number),
        },
    }
}
