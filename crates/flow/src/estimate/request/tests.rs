//! How far the count by bytes is off, what is not looked at, and files.

use std::cell::Cell;

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;

fn doc(content: &str) -> Doc {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": content}]});
    Doc::request(Bytes::from(body.to_string())).expect("a body")
}

fn by_words(doc: &Doc) -> Counted {
    by_texts(doc, None)
}

/// What the envelope of one message costs.
fn empty(count: fn(&Doc) -> Counted) -> u64 {
    count(&doc("")).tokens
}

#[test]
fn both_grains_are_near_what_two_public_vocabularies_count() {
    let set: Vec<Value> =
        serde_json::from_str(include_str!("../labelled.json")).expect("a list of texts");
    let (mut by_bytes_all, mut by_words_all, mut labelled) = (0, 0, 0);
    for it in &set {
        let name = it["name"].as_str().expect("a name");
        let text = it["text"].as_str().expect("a text");
        let counts = ["cl100k", "o200k"].map(|key| it[key].as_u64().expect("a count"));
        let body = doc(text);
        let (bytes, words) = (
            by_bytes(&body).tokens - empty(by_bytes),
            by_words(&body).tokens - empty(by_words),
        );
        let (least, most) = (counts[0].min(counts[1]), counts[0].max(counts[1]));
        assert!(bytes * 100 >= least * 40, "{name}: {bytes} of {least}");
        assert!(bytes * 100 <= most * 250, "{name}: {bytes} of {most}");
        // As it stands in JSON: what is escaped there costs a little more.
        assert!(words * 100 >= least * 60, "{name}: {words} of {least}");
        assert!(words * 100 <= most * 150, "{name}: {words} of {most}");
        by_bytes_all += bytes;
        by_words_all += words;
        labelled += (least + most) / 2;
    }
    for all in [by_bytes_all, by_words_all] {
        assert!(all * 100 >= labelled * 85, "{all} of {labelled}");
        assert!(all * 100 <= labelled * 120, "{all} of {labelled}");
    }
}

#[test]
fn of_a_long_request_16_kb_are_looked_at_and_the_rest_counts_like_them() {
    let looked_at = Cell::new(0);
    let body = doc(&"some words and some more. ".repeat(40_000));
    let total = count(&body, |text| {
        looked_at.set(looked_at.get() + text.len());
        (text.len() / 4) as u64
    });
    let total = total.tokens;
    assert_eq!(looked_at.get(), LOOKED_AT_BYTES_MAX);
    let bytes = body.bytes().len() as u64;
    assert!(total > bytes / 5 && total < bytes / 3, "{total} of {bytes}");
}

#[test]
fn a_file_in_the_body_costs_what_an_image_costs() {
    let url = format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(100_000));
    for text in [url, "AAECAwQF".repeat(10_000)] {
        let tokens = by_bytes(&doc(&text)).tokens - empty(by_bytes);
        assert_eq!(tokens, super::super::TOKENS_PER_IMAGE);
    }
    let prose = "words that are no file ".repeat(1_000);
    assert!(by_bytes(&doc(&prose)).tokens > 4_000);
}
