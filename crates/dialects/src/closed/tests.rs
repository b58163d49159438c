//! Cases of closing, alone and on the way from one dialect to another.

use contract::{ModelCard, Operation, RawJson};
use serde_json::{Value, json};

use super::closed;
use crate::dialect::{Route, Target, Unsupported};
use crate::json::Doc;

fn close(schema: &Value) -> (Value, bool) {
    let closed = closed(&RawJson::new(schema.to_string()));
    let told = serde_json::from_str(closed.schema.as_str()).expect("JSON");
    (told, closed.complete)
}

#[test]
fn objects_are_closed_at_every_depth() {
    let open =
        |inner: Value| json!({"type": "object", "properties": {"a": inner}, "required": ["a"]});
    let shut = |inner: Value| {
        let mut object = open(inner);
        object["additionalProperties"] = json!(false);
        object
    };
    let text = || json!({"type": "string"});
    assert_eq!(close(&open(text())), (shut(text()), true));
    assert_eq!(close(&open(open(text()))), (shut(shut(text())), true));
    let list = |item: Value| json!({"type": "array", "items": item});
    assert_eq!(
        close(&open(list(open(text())))),
        (shut(list(shut(text()))), true)
    );
    let either = |one: Value| json!({"anyOf": [one, {"type": "null"}]});
    assert_eq!(
        close(&open(either(open(text())))),
        (shut(either(shut(text()))), true)
    );
    let defs = |one: Value| json!({"$ref": "#/$defs/x", "$defs": {"x": one}});
    assert_eq!(close(&defs(open(text()))), (defs(shut(text())), true));
    assert_eq!(close(&shut(text())), (shut(text()), true), "closed already");
}

#[test]
fn what_closing_could_empty_stays_open() {
    for schema in [
        json!({"type": "object"}),
        json!({"type": ["object", "null"]}),
        json!({"type": "object", "additionalProperties": {"type": "string"}}),
        json!({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": true}),
        json!({"type": "object", "properties": {"a": {}}, "required": ["a"],
               "anyOf": [{"properties": {"b": {}}, "required": ["b"]}]}),
    ] {
        assert_eq!(close(&schema), (schema.clone(), false), "{schema}");
    }
    let (told, complete) = close(&json!({"properties": {"a": {}, "b": {}}, "required": ["a"]}));
    assert_eq!(told["additionalProperties"], json!(false));
    assert!(!complete, "`b` is optional");
}

/// The body that a vendor gets for a Gemini request with this schema, and the
/// names of what was lost.
fn carried(to: &str, schema: &Value) -> (Value, Vec<String>) {
    let body = json!({
        "contents": [{"parts": [{"text": "hi"}]}],
        "generationConfig": {"maxOutputTokens": 99, "responseMimeType": "application/json", "responseSchema": schema},
    });
    let gemini = crate::by_name("gemini").expect("a dialect");
    let mut route = Route::new(gemini.id(), Operation::Chat);
    route.model = Some("m".to_owned());
    let doc = Doc::request(body.to_string().into()).expect("JSON");
    let request = gemini.read_request(&route, doc.root()).expect("read");
    let target = Target {
        card: &ModelCard::unknown("m"),
        unsupported: Unsupported::Drop,
        quirks: Default::default(),
    };
    let target_dialect = crate::by_name(to).expect("a dialect");
    let written = target_dialect
        .write_request(&request, &target)
        .expect("written");
    let told = serde_json::from_slice(&written.body).expect("JSON");
    let lost = written
        .losses
        .iter()
        .map(|loss| loss.what.to_string())
        .collect();
    (told, lost)
}

/// Where each vendor takes a schema.
fn schema_of(to: &str, body: &Value) -> Value {
    match to {
        "anthropic" => body["output_config"]["format"]["schema"].clone(),
        "openai_chat" => body["response_format"]["json_schema"]["schema"].clone(),
        "openai_responses" => body["text"]["format"]["schema"].clone(),
        "bedrock" => {
            let format = &body["outputConfig"]["textFormat"]["structure"]["jsonSchema"];
            serde_json::from_str(format["schema"].as_str().expect("a string")).expect("JSON")
        }
        other => panic!("no place known for {other}"),
    }
}

#[test]
fn a_schema_of_gemini_reaches_vendors_that_want_closed_objects() {
    let all = json!({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]});
    let some = json!({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}});
    for to in ["anthropic", "bedrock", "openai_chat", "openai_responses"] {
        let (body, lost) = carried(to, &all);
        let schema = schema_of(to, &body);
        assert_eq!(schema["additionalProperties"], json!(false), "{to}: {body}");
        assert!(lost.is_empty(), "{to}: {lost:?}");
    }
    for (to, format) in [
        ("openai_chat", "/response_format/json_schema"),
        ("openai_responses", "/text/format"),
    ] {
        let (body, _) = carried(to, &all);
        assert_eq!(
            body.pointer(format).expect("a format")["strict"],
            json!(true)
        );
        let (body, lost) = carried(to, &some);
        let format = body.pointer(format).expect("a format");
        assert_eq!(format["strict"], json!(false), "{to}: {body}");
        assert_eq!(format["schema"]["additionalProperties"], Value::Null);
        assert_eq!(lost, ["response_format.strict"], "{to}");
    }
}
