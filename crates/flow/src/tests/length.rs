//! Limits of length go by tokens that are counted here, and not by bytes.

use access::Mode;
use dialects::DIALECTS;
use serde_json::{Value, json};

use super::rules::{answer, ask, world};

/// A call with this text and so many images that are named by a URL.
fn call(text: &str, images: usize) -> String {
    let mut parts = vec![json!({"type": "text", "text": text})];
    let image = json!({"type": "image_url", "image_url": {"url": "https://x.example/a.png"}});
    parts.extend(std::iter::repeat_n(image, images));
    json!({"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": parts}]})
        .to_string()
}

fn rule(kind: &'static str, settings: Value) -> [(&'static str, &'static str, Value, Mode); 1] {
    [("r", kind, settings, Mode::Enforce)]
}

#[test]
fn a_limit_in_tokens_is_no_limit_in_bytes() {
    // Some ten thousand bytes, and two to three thousand tokens.
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(225);
    let limits = [
        ("context_length", json!({"tokens_max": 4_000}), 200),
        ("context_length", json!({"tokens_max": 1_500}), 403),
        ("context_length", json!({"total_tokens_max": 4_000}), 200),
        ("condition", json!({"deny_if": "input_tokens > 4000"}), 200),
        ("condition", json!({"deny_if": "input_tokens > 1500"}), 403),
    ];
    for door in DIALECTS.iter().copied() {
        let (path, body) = ask(door, &call(&text, 0), false);
        for (kind, settings, status) in &limits {
            let world = world(&rule(kind, settings.clone()), answer(false, false));
            let got = world.call(&path, &body);
            assert_eq!(
                got.status,
                *status,
                "{} {settings}: {}",
                door.id(),
                got.body
            );
        }
    }
}

/// What was not counted does not stand in the record as if it were.
#[test]
fn the_record_tells_a_count_from_a_size() {
    let named = |settings: Value| {
        let world = world(&rule("context_length", settings), answer(false, false));
        world.call(super::CHAT, &call("look", 0));
        let decisions = &world.records()[0].decisions;
        let readings = decisions.iter().flat_map(|it| &it.readings);
        let mut names = readings.map(|it| it.name.to_string());
        names.find(|name| name.starts_with("input_"))
    };
    let counted = named(json!({"total_tokens_max": 4_000}));
    assert_eq!(counted.as_deref(), Some("input_tokens"));
    let not_counted = named(json!({"tokens_max": 1_000_000}));
    assert_eq!(not_counted.as_deref(), Some("input_bytes"));
}

#[test]
fn images_that_only_a_url_names_are_counted() {
    let limit = || rule("context_length", json!({"tokens_max": 4_000}));
    let few = world(&limit(), answer(false, false)).call(super::CHAT, &call("look", 3));
    assert_eq!(few.status, 200, "{}", few.body);
    let many = world(&limit(), answer(false, false)).call(super::CHAT, &call("look", 5));
    assert_eq!(many.status, 403, "{}", many.body);
    assert!(many.body.contains("permitted"), "{}", many.body);
}
