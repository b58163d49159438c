//! An instance that satisfies a JSON schema, built deterministically; and OpenAI's strict subset.
//!
//! Not here: validation of instances in general. `pattern` is not honoured.

use serde_json::{Map, Value, json};

/// Schemas may refer to themselves; an instance stops growing here.
const DEPTH_MAX: usize = 24;

/// Builds a value for `schema`; `text` is mined for place names, `variant` makes calls differ.
pub(crate) fn instance(schema: &Value, text: &str, variant: usize) -> Value {
    Builder {
        root: schema,
        text,
        variant,
    }
    .build(schema, "value", 0)
}

struct Builder<'a> {
    root: &'a Value,
    text: &'a str,
    variant: usize,
}

impl Builder<'_> {
    fn build(&self, schema: &Value, name: &str, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        if let Some(target) = schema
            .get("$ref")
            .or(schema.get("ref"))
            .and_then(Value::as_str)
        {
            return match self.resolve(target) {
                Some(found) => self.build(found, name, depth + 1),
                None => Value::Null,
            };
        }
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(options) = schema.get("enum").and_then(Value::as_array) {
            return options
                .get(self.variant % options.len().max(1))
                .cloned()
                .unwrap_or(Value::Null);
        }
        for key in ["anyOf", "oneOf", "allOf", "any_of"] {
            if let Some(first) = schema
                .get(key)
                .and_then(Value::as_array)
                .and_then(|l| l.first())
            {
                return self.build(first, name, depth + 1);
            }
        }
        match kind_of(schema).as_str() {
            "string" => self.string(schema, name),
            "integer" => json!(number(schema, self.variant).ceil() as i64),
            "number" => {
                json!(number(schema, self.variant) + 0.5_f64.min(headroom(schema, self.variant)))
            }
            "boolean" => json!(true),
            "array" => self.array(schema, name, depth),
            "null" => Value::Null,
            _ => self.object(schema, depth),
        }
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let mut out = Map::new();
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            let required: Vec<&str> = schema
                .get("required")
                .and_then(Value::as_array)
                .map(|l| l.iter().filter_map(Value::as_str).collect())
                .unwrap_or_default();
            for (key, sub) in properties {
                // Optional fields of deep levels are left out so that recursion ends.
                if required.contains(&key.as_str()) || depth < 2 {
                    out.insert(key.clone(), self.build(sub, key, depth + 1));
                }
            }
        }
        Value::Object(out)
    }

    fn array(&self, schema: &Value, name: &str, depth: usize) -> Value {
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
        let wanted = if depth > 4 { least } else { least.max(1) };
        let most = schema
            .get("maxItems")
            .and_then(Value::as_u64)
            .unwrap_or(wanted);
        let item = schema
            .get("items")
            .cloned()
            .unwrap_or(json!({"type": "string"}));
        (0..wanted.min(most))
            .map(|_| self.build(&item, name, depth + 1))
            .collect()
    }

    fn string(&self, schema: &Value, name: &str) -> Value {
        match schema.get("format").and_then(Value::as_str) {
            Some("date") => return json!("2026-11-20"),
            Some("date-time") => return json!("2026-11-20T12:00:00Z"),
            Some("time") => return json!("12:00:00Z"),
            Some("email") => return json!("someone@example.com"),
            Some("uri") => return json!("https://example.com/"),
            Some("uuid") => return json!("00000000-0000-4000-8000-000000000001"),
            Some(_) | None => {}
        }
        let mut text = match places(self.text).get(self.variant) {
            Some(place) => (*place).to_owned(),
            None if self.variant == 0 => format!("{name} value"),
            None => format!("{name} value {}", self.variant + 1),
        };
        let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0) as usize;
        while text.chars().count() < least {
            text.push('x');
        }
        if let Some(most) = schema.get("maxLength").and_then(Value::as_u64) {
            text = text.chars().take(most as usize).collect();
        }
        json!(text)
    }

    fn resolve(&self, target: &str) -> Option<&Value> {
        self.root.pointer(target.strip_prefix('#')?)
    }
}

/// JSON Schema's `type`, also Gemini's upper-case spelling and lists with null.
fn kind_of(schema: &Value) -> String {
    let named = match schema.get("type") {
        Some(Value::String(s)) => Some(s.as_str()),
        Some(Value::Array(l)) => l.iter().filter_map(Value::as_str).find(|s| *s != "null"),
        _ => None,
    };
    match named {
        Some(s) => s.to_ascii_lowercase(),
        None if schema.get("items").is_some() => "array".to_owned(),
        None => "object".to_owned(),
    }
}

fn number(schema: &Value, variant: usize) -> f64 {
    let low = schema
        .get("minimum")
        .or(schema.get("exclusiveMinimum"))
        .and_then(Value::as_f64);
    let exclusive = if schema.get("exclusiveMinimum").is_some() {
        1.0
    } else {
        0.0
    };
    let high = schema
        .get("maximum")
        .and_then(Value::as_f64)
        .unwrap_or(f64::MAX);
    let base = low.map_or(42.0_f64.min(high), |l| l + exclusive);
    (base + variant as f64).min(high)
}

fn headroom(schema: &Value, variant: usize) -> f64 {
    let high = schema
        .get("maximum")
        .or(schema.get("exclusiveMaximum"))
        .and_then(Value::as_f64)
        .unwrap_or(f64::MAX);
    ((high - number(schema, variant)) / 2.0).max(0.0)
}

/// Capitalised words after "in", "for", "and" or a comma: "the weather in Paris and Tokyo".
fn places(text: &str) -> Vec<&str> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut out = Vec::new();
    for pair in words.windows(2) {
        let leads = matches!(pair[0], "in" | "for" | "and") || pair[0].ends_with(',');
        let word = pair[1].trim_matches(|c: char| !c.is_alphanumeric());
        if leads && word.chars().next().is_some_and(char::is_uppercase) {
            out.push(word);
        }
    }
    out
}

/// OpenAI's rule for `strict: true`: closed objects, every property required. Gives the reason.
pub(crate) fn strict_refusal(schema: &Value, context: &str) -> Option<String> {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
            return Some(format!(
                "In context={context}, 'additionalProperties' is required to be supplied and to be false."
            ));
        }
        let required = schema
            .get("required")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        for (name, sub) in properties {
            if !required.iter().any(|r| r == name) {
                return Some(format!(
                    "In context={context}, 'required' is required to be supplied and to be an array including every key in properties. Missing '{name}'."
                ));
            }
            let inner = format!("('properties', '{name}')");
            if let Some(reason) = strict_refusal(sub, &inner) {
                return Some(reason);
            }
        }
    }
    let nested = ["items"].iter().filter_map(|k| schema.get(k));
    let branches = ["anyOf"]
        .iter()
        .filter_map(|k| schema.get(k).and_then(Value::as_array))
        .flatten();
    let named = ["$defs", "definitions"]
        .iter()
        .filter_map(|k| schema.get(k).and_then(Value::as_object));
    nested
        .chain(branches)
        .chain(named.flat_map(Map::values))
        .find_map(|s| strict_refusal(s, context))
}
