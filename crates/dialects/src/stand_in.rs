//! Tools that stand in for what a vendor lacks: an output format where there
//! is no native one, free-text tools where there are only functions.
//!
//! Writers of requests and readers of answers share these conventions.

use contract::RawJson;

use crate::json::{self, Doc, Kind, Rules, Tape};

/// Name of the tool that stands for the output format: the writer offers and
/// forces it, the reader of the answer unwraps its input as text. Reserved;
/// callers do not use it.
pub(crate) const FORMAT_TOOL: &str = "tollgate_json_output";

/// What is told to a model about [`FORMAT_TOOL`] when the caller said nothing.
pub(crate) const FORMAT_TOOL_USE: &str = "Gives the final answer. Its input is the answer.";

/// What is told to a model that must answer with JSON but has no schema.
pub(crate) const JSON_ONLY: &str =
    "Answer with exactly one JSON object and nothing else: no code fence, no explanation.";

/// Property that holds the free text of a custom tool where tools are
/// functions only.
pub(crate) const CUSTOM_INPUT: &str = "input";

/// What stands before and behind free text that is streamed as the one string
/// of such an input.
pub(crate) const CUSTOM_OPEN: &str = "{\"input\":\"";
/// See [`CUSTOM_OPEN`].
pub(crate) const CUSTOM_CLOSE: &str = "\"}";

/// Schema of a custom tool where tools are functions only.
pub(crate) const CUSTOM_SCHEMA: &str =
    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;

/// Schema of a function without arguments.
pub(crate) const EMPTY_SCHEMA: &str = r#"{"type":"object","properties":{}}"#;

/// Arguments as an object; what is empty is an empty object.
pub(crate) fn arguments(text: &str) -> &str {
    if text.trim().is_empty() { "{}" } else { text }
}

/// Arguments as the JSON object that a call's input must be, whatever they
/// are: a model may break off within them, and custom tools take free text.
pub(crate) fn input(text: &str) -> String {
    let text = arguments(text);
    let mut tape = Tape::default();
    let is_object = tape.rescan(text.as_bytes(), &Rules::ANSWER).is_ok()
        && tape.root(text.as_bytes()).kind() == Kind::Object;
    if is_object {
        text.to_owned()
    } else {
        json::object(|out| out.str(CUSTOM_INPUT, text))
    }
}

/// A piece of free text as it stands between [`CUSTOM_OPEN`] and
/// [`CUSTOM_CLOSE`].
pub(crate) fn custom_piece(text: &str) -> String {
    let quoted = json::string(text);
    quoted[1..quoted.len() - 1].to_owned()
}

/// A schema whose `type` is said, for vendors that demand it.
pub(crate) fn object_schema(schema: &RawJson) -> String {
    let text = schema.as_str();
    let Ok(doc) = Doc::request(text.to_owned().into()) else {
        return text.to_owned();
    };
    let root = doc.root();
    if root.kind() != Kind::Object || root.get("type").is_some() {
        return text.to_owned();
    }
    json::object(|out| {
        out.str("type", "object");
        for member in root.members() {
            out.raw(&member.name(), member.value.raw());
        }
    })
}
