//! What the text of an answer must look like.
//!
//! Deliberately not here: schemas that stand elsewhere. A `$ref` leads to a
//! place within the schema, and nothing is ever fetched.

use std::fmt;

use jsonschema::{PatternOptions, Validator};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::words::shown;
use crate::facts::{Facts, Given};
use crate::rule::{Finding, Kind, Rule, Streams, Wrong, schema_of, settings};

/// Longest answer that can be checked, in bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Largest schema, in bytes of JSON.
const SCHEMA_BYTES_MAX: usize = 256 * 1024;
/// Largest compiled regular expression of a schema, in bytes.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;

pub(super) static KIND: Kind = Kind {
    name: "output_schema",
    doc: "What the text of an answer must be: JSON that fits `schema` (JSON Schema, draft 2020-12 \
          unless `$schema` says another). An answer that does not fit is refused as a whole, so a \
          stream is held back until it is complete, up to 1 MiB. The schema stands here as it is, or \
          as JSON in a text, such as one from a file: `schema: ${file:answer.schema.json}`. `$ref` \
          can only lead to a place within the schema; regular expressions have no look-around and \
          no back-references. Answers that are tool calls without text are not checked.",
    example: "{ schema: '{\"type\": \"object\", \"required\": [\"answer\"]}' }",
    streams: Streams::Buffered(ANSWER_BYTES_MAX),
    schema: schema_of::<OutputSchemaSettings>,
    compile: |value| {
        let settings: OutputSchemaSettings = settings(value)?;
        Ok(Box::new(settings.checked()?))
    },
};

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OutputSchemaSettings {
    /// The JSON Schema that the text of an answer must fit.
    schema: Written,
}

/// A schema, as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    /// As it is.
    Plain(Map<String, Value>),
    /// As JSON in a text.
    Text(String),
}

impl Written {
    fn read(self) -> Result<Value, Wrong> {
        let text = match self {
            Self::Plain(schema) => return Ok(Value::Object(schema)),
            Self::Text(text) => text,
        };
        let schema = read(&text).map_err(|error| {
            Wrong::new(
                "schema",
                format!("this text is not JSON: {error}"),
                "write the JSON Schema as it is, or as JSON in a text",
            )
        })?;
        match schema.is_object() {
            true => Ok(schema),
            false => Err(Wrong::new(
                "schema",
                "this text is not a JSON object",
                "write a schema such as `{\"type\": \"object\"}`",
            )),
        }
    }
}

/// The rule.
struct OutputSchema {
    validator: Validator,
    title: Option<String>,
}

impl fmt::Debug for OutputSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputSchema")
            .field("title", &self.title)
            .finish_non_exhaustive()
    }
}

impl OutputSchemaSettings {
    fn checked(self) -> Result<OutputSchema, Wrong> {
        let schema = self.schema.read()?;
        let bytes = schema.to_string().len();
        if bytes > SCHEMA_BYTES_MAX {
            return Err(Wrong::new(
                "schema",
                format!("this schema has {bytes} bytes, more than {SCHEMA_BYTES_MAX}"),
                "write a smaller schema",
            ));
        }
        let title = schema.get("title").and_then(Value::as_str);
        let title = title.map(shown);
        let validator = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES_MAX))
            .build(&schema)
            .map_err(|error| {
                Wrong::new(
                    "schema",
                    format!("this is not a usable JSON Schema: {error}"),
                    "correct the schema; references must stay within it",
                )
            })?;
        Ok(OutputSchema { validator, title })
    }
}

impl OutputSchema {
    fn named(&self) -> String {
        match &self.title {
            Some(title) => format!("the schema `{title}`"),
            None => "the schema of this rule".to_owned(),
        }
    }

    fn check(&self, text: &str) -> Finding {
        if text.len() > ANSWER_BYTES_MAX {
            return Finding::breach(
                "output_not_checkable",
                format!(
                    "The answer is longer than {ANSWER_BYTES_MAX} bytes, so it was not checked."
                ),
            );
        }
        let Ok(value) = read(text) else {
            return Finding::breach(
                "output_not_json",
                format!(
                    "The answer is not JSON, as it must be to fit {}.",
                    self.named()
                ),
            );
        };
        match self.validator.validate(&value) {
            Ok(()) => Finding::Pass,
            // The place is one of the schema: it tells nothing of the answer.
            Err(error) => Finding::breach(
                "output_not_in_schema",
                format!(
                    "The answer does not fit {}, at `{}`.",
                    self.named(),
                    error.schema_path()
                ),
            ),
        }
    }
}

impl Rule for OutputSchema {
    fn looks_at_places(&self) -> bool {
        false
    }

    fn reads_answers(&self) -> bool {
        true
    }

    fn given(&self, _facts: &Facts<'_>, given: &Given<'_>) -> Finding {
        match given {
            Given::Text(text) => self.check(text),
            Given::ToolCall(_) => Finding::Pass,
        }
    }

    fn told(&self) -> String {
        format!("only answers of JSON that fits {}", self.named())
    }
}

/// Reads a text that is one JSON value.
fn read(text: &str) -> serde_json::Result<Value> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Reads a value as `serde_json` does, but no object with a name twice, of
/// which another reader could take the other one.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = from.next_element_seed(Strict)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            let value = from.next_value_seed(Strict)?;
            if fields.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands in an object twice"));
            }
        }
        Ok(fields.into())
    }
}
