//! A value that fits a JSON schema, the same for the same request. `pattern`
//! and conditional keywords are not honoured.

use contract::RawJson;
use dialects::json::{Doc, Json, Kind, object, string};

/// Schemas may refer to themselves; a value stops growing here.
const DEPTH_MAX: usize = 16;

/// JSON text of a value that fits. Capitalised words of `text` fill strings;
/// `nth` makes several calls differ.
pub(super) fn instance(schema: &RawJson, text: &str, nth: usize) -> String {
    let Ok(doc) = Doc::answer(schema.as_str().to_owned().into()) else {
        return "{}".to_owned();
    };
    Builder {
        root: doc.root(),
        text,
        nth,
    }
    .value(doc.root(), "value", 0)
}

struct Builder<'a> {
    root: Json<'a>,
    text: &'a str,
    nth: usize,
}

impl<'a> Builder<'a> {
    fn value(&self, schema: Json<'a>, name: &str, depth: usize) -> String {
        if depth > DEPTH_MAX {
            return "null".to_owned();
        }
        if let Some(target) = schema.get("$ref").and_then(|target| target.str()) {
            let found = self.resolve(&target);
            return found.map_or_else(
                || "null".to_owned(),
                |found| self.value(found, name, depth + 1),
            );
        }
        if let Some(constant) = schema.get("const") {
            return constant.raw().to_owned();
        }
        let options: Vec<Json<'a>> = schema
            .get("enum")
            .into_iter()
            .flat_map(|all| all.items())
            .collect();
        if !options.is_empty() {
            return options[self.nth % options.len()].raw().to_owned();
        }
        for key in ["anyOf", "oneOf", "allOf"] {
            if let Some(first) = schema.get(key).and_then(|all| all.items().next()) {
                return self.value(first, name, depth + 1);
            }
        }
        match kind(schema).as_str() {
            "string" => string(&self.words(schema, name)),
            "integer" => format!("{}", number(schema).ceil()),
            "number" => format!("{}", number(schema)),
            "boolean" => "true".to_owned(),
            "null" => "null".to_owned(),
            "array" => self.list(schema, name, depth),
            _ => self.members(schema, depth),
        }
    }

    fn members(&self, schema: Json<'a>, depth: usize) -> String {
        let required: Vec<String> = schema
            .get("required")
            .into_iter()
            .flat_map(|list| list.items())
            .filter_map(|name| Some(name.str()?.into_owned()))
            .collect();
        object(|out| {
            for member in schema
                .get("properties")
                .into_iter()
                .flat_map(|all| all.members())
            {
                let name = member.name();
                // Optional members of deep levels are left out, so that it ends.
                if depth < 3 || required.iter().any(|wanted| *wanted == name) {
                    out.raw(&name, &self.value(member.value, &name, depth + 1));
                }
            }
        })
    }

    fn list(&self, schema: Json<'a>, name: &str, depth: usize) -> String {
        let least = schema
            .get("minItems")
            .and_then(|n| n.u64())
            .unwrap_or(0)
            .min(64);
        let most = schema
            .get("maxItems")
            .and_then(|n| n.u64())
            .unwrap_or(u64::MAX);
        let wanted = if depth > 4 { least } else { least.max(1) }.min(most);
        let item = |_| match schema.get("items") {
            Some(item) => self.value(item, name, depth + 1),
            None => string(name),
        };
        format!("[{}]", (0..wanted).map(item).collect::<Vec<_>>().join(","))
    }

    fn words(&self, schema: Json<'a>, name: &str) -> String {
        let format = schema.get("format").and_then(|format| format.str());
        match format.as_deref() {
            Some("date") => return "2026-11-01".to_owned(),
            Some("date-time") => return "2026-11-01T12:00:00Z".to_owned(),
            Some("time") => return "12:00:00Z".to_owned(),
            Some("email") => return "someone@example.com".to_owned(),
            Some("uri") => return "https://example.com/".to_owned(),
            Some("uuid") => return "00000000-0000-4000-8000-000000000001".to_owned(),
            Some(_) | None => {}
        }
        let mut words = match names(self.text).nth(self.nth) {
            Some(word) => word.to_owned(),
            None => format!("{name} {}", self.nth + 1),
        };
        let least = schema
            .get("minLength")
            .and_then(|n| n.u64())
            .unwrap_or(0)
            .min(4_096);
        while (words.chars().count() as u64) < least {
            words.push('x');
        }
        match schema.get("maxLength").and_then(|n| n.u64()) {
            Some(most) => words.chars().take(most as usize).collect(),
            None => words,
        }
    }

    /// A `#/a/b` reference within the schema (RFC 6901).
    fn resolve(&self, target: &str) -> Option<Json<'a>> {
        let path = target.strip_prefix("#")?;
        path.split('/').skip(1).try_fold(self.root, |here, step| {
            here.get(&step.replace("~1", "/").replace("~0", "~"))
        })
    }
}

fn kind(schema: Json<'_>) -> String {
    let named = schema.get("type").and_then(|kind| match kind.kind() {
        Kind::Array => kind
            .items()
            .filter_map(|one| one.str())
            .find(|one| one != "null"),
        Kind::Null
        | Kind::True
        | Kind::False
        | Kind::Number
        | Kind::String
        | Kind::EscapedString
        | Kind::Object => kind.str(),
    });
    match named {
        Some(name) => name.to_ascii_lowercase(),
        None if schema.get("items").is_some() => "array".to_owned(),
        None => "object".to_owned(),
    }
}

fn number(schema: Json<'_>) -> f64 {
    let bound = |key: &str| schema.get(key).and_then(|bound| bound.f64());
    let low = bound("minimum").or_else(|| Some(bound("exclusiveMinimum")? + 1.0));
    let high = bound("maximum").or_else(|| Some(bound("exclusiveMaximum")? - 1.0));
    low.unwrap_or(42.0).min(high.unwrap_or(f64::MAX))
}

/// Capitalised words behind `in`, `for`, `and` or a comma.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let found: Vec<&str> = words
        .windows(2)
        .filter(|pair| matches!(pair[0], "in" | "for" | "and") || pair[0].ends_with(','))
        .map(|pair| pair[1].trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| word.chars().next().is_some_and(char::is_uppercase))
        .collect();
    found.into_iter()
}
