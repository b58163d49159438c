//! Cases of the scan: what it accepts, what it refuses and where.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn flaw(text: &[u8]) -> FlawKind {
    Tape::scan(text, &Rules::REQUEST)
        .expect_err("this must be refused")
        .kind
}

#[test]
fn refuses_each_flaw() {
    let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    let cases: &[(&[u8], FlawKind)] = &[
        (b"", FlawKind::Empty),
        (b" \n", FlawKind::Empty),
        (b"{", FlawKind::Truncated),
        (b"{\"a\"", FlawKind::Truncated),
        (b"{\"a\":", FlawKind::Truncated),
        (b"\"abc", FlawKind::Truncated),
        (b"\"abc\\", FlawKind::Truncated),
        (b"\"\\u12", FlawKind::Truncated),
        (b"tru", FlawKind::Truncated),
        (b"trux", FlawKind::Unexpected),
        (b"{\"a\":1,}", FlawKind::Unexpected),
        (b"[1,]", FlawKind::Unexpected),
        (b"[1}", FlawKind::Unexpected),
        (b"{a:1}", FlawKind::Unexpected),
        (b"{} {}", FlawKind::Trailing),
        (b"01", FlawKind::Number),
        (b"-", FlawKind::Number),
        (b"1.", FlawKind::Number),
        (b"1e", FlawKind::Number),
        (b"1x", FlawKind::Number),
        (b"\"a\nb\"", FlawKind::Control),
        (b"\"0123456789abcdef\x01\"", FlawKind::Control),
        (b"\"\\x\"", FlawKind::Escape),
        (b"\"\\u12g4\"", FlawKind::Escape),
        (b"\"\\ud800\"", FlawKind::LoneSurrogate),
        (b"\"\\udc00\"", FlawKind::LoneSurrogate),
        (b"\"\\ud800\\u0041\"", FlawKind::LoneSurrogate),
        (b"\"\xff\"", FlawKind::Utf8),
        (&deep, FlawKind::Depth),
        (b"{\"model\":1,\"model\":2}", FlawKind::DuplicateKey),
        (b"{\"model\":1,\"mod\\u0065l\":2}", FlawKind::DuplicateKey),
    ];
    for (text, kind) in cases {
        assert_eq!(
            flaw(text),
            *kind,
            "{}",
            String::from_utf8_lossy(&text[..text.len().min(40)])
        );
    }
}

#[test]
fn names_the_place() {
    let text = b"{\n  \"a\": 1,\n  \"b\": x\n}";
    let flaw = Tape::scan(text, &Rules::REQUEST).expect_err("x is no value");
    assert_eq!(flaw.line_column(text), (3, 8));
}

#[test]
fn an_answer_may_repeat_keys() {
    assert!(Tape::scan(b"{\"a\":1,\"a\":2}", &Rules::ANSWER).is_ok());
}

#[test]
fn paths_name_the_value() {
    let doc = Doc::request(Bytes::from_static(
        br#"{"messages":[{"role":"user"},{"content":[{"type":"text","text":7}]}]}"#,
    ))
    .expect("well-formed");
    let text = doc
        .root()
        .get("messages")
        .and_then(|list| list.items().nth(1))
        .and_then(|turn| {
            turn.get("content")
                .and_then(|list| list.items().next())
                .and_then(|part| part.get("text"))
        });
    let text = text.expect("it is there");
    assert_eq!(text.path(), "messages[1].content[0].text");
    let fault = text.as_str().expect_err("a number is no string");
    assert_eq!(
        fault.public,
        "`messages[1].content[0].text`: expected a string, found a number."
    );
}

#[test]
fn unescapes() {
    let doc = Doc::request(Bytes::from_static(br#""a\n\u00e9\ud83d\ude00\"\\\/z""#)).expect("ok");
    assert_eq!(doc.root().str().as_deref(), Some("a\né😀\"\\/z"));
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>()
            .prop_filter("finite", |f| f.is_finite())
            .prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(serde_json::Value::from),
            prop::collection::vec((any::<String>(), inner), 0..8)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn rebuild(json: Json<'_>) -> serde_json::Value {
    match json.kind() {
        Kind::Object => serde_json::Value::Object(
            json.members()
                .map(|m| (m.name().into_owned(), rebuild(m.value)))
                .collect(),
        ),
        Kind::Array => json.items().map(rebuild).collect::<Vec<_>>().into(),
        Kind::String | Kind::EscapedString => json.str().expect("a string").into_owned().into(),
        Kind::Null | Kind::True | Kind::False | Kind::Number => {
            serde_json::from_str(json.raw()).expect("a scalar")
        }
    }
}

proptest! {
    #[test]
    fn reads_what_serde_writes(value in any_json()) {
        for text in [serde_json::to_vec(&value), serde_json::to_vec_pretty(&value)] {
            let doc = Doc::request(Bytes::from(text.expect("serializes"))).expect("well-formed");
            prop_assert_eq!(&rebuild(doc.root()), &value);
        }
    }

    /// Whatever we accept, serde accepts too and reads the same; what serde
    /// refuses, we refuse.
    #[test]
    fn never_laxer_than_serde(mut text in any_json().prop_map(|v| v.to_string().into_bytes()),
                              at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(doc) = Doc::answer(Bytes::from(text.clone())) {
            let theirs: Result<serde_json::Value, _> = serde_json::from_slice(&text);
            // serde_json refuses numbers beyond f64, which are valid JSON.
            if let Ok(theirs) = theirs {
                prop_assert_eq!(rebuild(doc.root()), theirs);
            } else {
                prop_assert!(theirs.expect_err("checked").to_string().contains("out of range"));
            }
        }
    }

    #[test]
    fn strings_survive(text in any::<String>()) {
        let written = string(&text);
        prop_assert_eq!(serde_json::from_str::<String>(&written).expect("valid"), text.clone());
        let doc = Doc::request(Bytes::from(written)).expect("valid");
        prop_assert_eq!(doc.root().str().expect("a string").into_owned(), text);
    }
}
