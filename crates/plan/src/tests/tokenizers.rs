//! Vocabularies of models.

use super::*;

const SMALL: &str = include_str!("../../../meter/fixtures/small.tiktoken");
const TEXT: &str = "
tokenizers:
  - {models: [gpt-5*, o3], file: small.tiktoken, split: o200k_base}
  - {models: ['*'], file: small.tiktoken, kind: tiktoken, split: cl100k_base}
";

#[test]
fn a_model_has_the_first_vocabulary_that_matches() {
    let fake = Fake::new(&[], &[("small.tiktoken", SMALL)]);
    let (_, compiled) = good_with(TEXT, &fake);
    let of = |model: &str| {
        let found = compiled.plan.tokenizers.of(model).expect("a vocabulary");
        found.digest().split_once(':').expect("a name").0.to_owned()
    };
    assert_eq!(of("gpt-5-mini"), "o200k_base");
    assert_eq!(of("o3"), "o200k_base");
    assert_eq!(of("gpt-4"), "cl100k_base");
    let (_, none) = good("providers: {}");
    assert!(none.plan.tokenizers.of("gpt-4").is_none());
}

#[test]
fn the_plan_changes_with_the_file_of_tokens() {
    let digest = |file: &'static str| {
        let fake = Fake::new(&[], &[("small.tiktoken", file)]);
        good_with(TEXT, &fake).1.plan.digest.to_string()
    };
    assert_eq!(digest(SMALL), digest(SMALL));
    let fewer = SMALL.trim_end();
    let fewer = &fewer[..fewer.rfind('\n').expect("lines") + 1];
    assert_ne!(digest(SMALL), digest(fewer));
}

#[test]
fn what_cannot_be_used_is_told() {
    let fake = Fake::new(&[], &[("bad.tiktoken", "IQ== 0\n?\n")]);
    for (entry, what) in [
        (
            "{models: [a], file: none.txt, split: o200k_base}",
            "no such file",
        ),
        (
            "{models: [a], file: bad.tiktoken, split: o200k_base}",
            "line 2 is no token",
        ),
        (
            "{models: [], file: bad.tiktoken, split: o200k_base}",
            "of no model",
        ),
        (
            "{models: [a], file: bad.tiktoken, split: p50k}",
            "no choice `p50k`",
        ),
    ] {
        let text = format!("tokenizers: [{entry}]");
        let Err(bad) = try_with(&text, &fake) else {
            panic!("{entry} is good")
        };
        let told = render(&bad, "tollgate.yaml", false);
        assert!(told.contains(what), "{told}");
    }
}
