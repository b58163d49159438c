//! Counts of a small vocabulary against those of a public implementation.
//!
//! `fixtures/small.tiktoken` was trained on the texts of the estimator with
//! the PyPI package `tiktoken` 0.14, and `fixtures/small.json` has its counts
//! under both published patterns.

use serde_json::Value;

use super::*;

const SMALL: &str = include_str!("../../fixtures/small.tiktoken");
const COUNTS: &str = include_str!("../../fixtures/small.json");

#[test]
fn counts_are_those_of_a_public_implementation() {
    let cases: Vec<Value> = serde_json::from_str(COUNTS).expect("a list of texts");
    assert!(cases.len() > 150);
    for split in Split::ALL {
        let vocabulary = Vocabulary::parse(SMALL, split).expect("a vocabulary");
        for case in &cases {
            let text = case["text"].as_str().expect("a text");
            let told = case[split.name()].as_u64().expect("a count");
            assert_eq!(vocabulary.tokens(text), told, "{}: {text:?}", split.name());
        }
    }
}

#[test]
fn a_piece_without_end_is_cut_and_counted_nearly_the_same() {
    let vocabulary = Vocabulary::parse(SMALL, Split::O200kBase).expect("a vocabulary");
    let one = vocabulary.tokens(&"tion".repeat(50));
    let many = vocabulary.tokens(&"tion".repeat(5_000));
    let cuts = 20_000 / PIECE_BYTES_MAX as u64 + 1;
    assert!(many.abs_diff(one * 100) <= cuts * 2, "{one} {many}");
}

#[test]
fn what_is_no_vocabulary_is_told_by_its_line() {
    let fault = |text: &str| Vocabulary::parse(text, Split::O200kBase).expect_err("a fault");
    assert_eq!(fault(""), VocabularyFault::Byte(0));
    assert_eq!(fault("IQ== 0\nno base64 1\n"), VocabularyFault::Line(2));
    assert_eq!(fault("IQ== 0\nIQ==\n"), VocabularyFault::Line(2));
    assert_eq!(fault("IQ== 0\n\nIQ== 1\n"), VocabularyFault::Twice(3));
    assert_eq!(fault(" 0\n"), VocabularyFault::Line(1));
    let without_a = SMALL.replace("YQ== ", "YWJjZGVmZ2hpams= ");
    assert_eq!(fault(&without_a), VocabularyFault::Byte(b'a'));
}

#[test]
fn a_vocabulary_is_told_apart_by_its_pattern_and_its_tokens() {
    let digest = |text: &str, split| Vocabulary::parse(text, split).expect("a vocabulary").digest;
    let own = digest(SMALL, Split::O200kBase);
    assert!(own.starts_with("o200k_base:"), "{own}");
    assert_eq!(own, digest(SMALL, Split::O200kBase));
    assert_ne!(own, digest(SMALL, Split::Cl100kBase));
    assert_ne!(own, digest(&format!("{SMALL}\n"), Split::O200kBase));
}
