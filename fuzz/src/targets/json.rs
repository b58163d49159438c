//! The JSON scan against `serde_json`: never laxer, stricter only for the named reasons, and the
//! same values seen.

use dialects::json::{FlawKind, Json, Kind, Rules, Tape};
use serde::de::{Deserialize, IgnoredAny};
use serde_json::{Map, Value};

/// Any bytes, under both sets of rules.
pub(super) fn run(data: &[u8]) {
    let strict = Tape::scan(data, &Rules::REQUEST);
    let answer = Tape::scan(data, &Rules::ANSWER);
    assert!(
        answer.is_ok() || strict.is_err(),
        "requests are not held to less"
    );
    match answer {
        Ok(tape) => {
            assert!(well_formed(data), "laxer than serde_json");
            let root = tape.root(data);
            // A number beyond any range is well-formed, but no value of serde_json's.
            if let Ok(theirs) = serde_json::from_slice::<Value>(data)
                && strict.is_ok()
            {
                assert_eq!(ours(root), theirs);
            }
        }
        Err(flaw) => {
            let named = matches!(
                flaw.kind,
                FlawKind::Depth
                    | FlawKind::Nodes
                    | FlawKind::LoneSurrogate
                    | FlawKind::DuplicateKey
            );
            assert!(flaw.offset <= data.len());
            assert!(
                named || !well_formed(data),
                "stricter than serde_json: {flaw:?}"
            );
        }
    }
}

fn well_formed(data: &[u8]) -> bool {
    if std::str::from_utf8(data).is_err() {
        return false;
    }
    let mut reader = serde_json::Deserializer::from_slice(data);
    IgnoredAny::deserialize(&mut reader).is_ok() && reader.end().is_ok()
}

fn ours(value: Json<'_>) -> Value {
    match value.kind() {
        Kind::Null => Value::Null,
        Kind::True => Value::Bool(true),
        Kind::False => Value::Bool(false),
        Kind::Number => serde_json::from_str(value.raw()).expect("a number"),
        Kind::String | Kind::EscapedString => {
            Value::String(value.str().expect("a string").into_owned())
        }
        Kind::Array => Value::Array(value.items().map(ours).collect()),
        Kind::Object => {
            let member = |member: dialects::json::Member<'_>| {
                (member.name().into_owned(), ours(member.value))
            };
            Value::Object(value.members().map(member).collect::<Map<_, _>>())
        }
    }
}
