//! Where a vendor may be named, and where not.

use super::*;
use crate::tidy::places;

#[test]
fn a_vendor_is_named_in_its_own_file() {
    let files = [
        (
            "crates/dialects/src/openai_chat/read.rs",
            "// OpenAI says so.",
        ),
        (
            "crates/dialects/src/anthropic.rs",
            "const NAME: &str = \"anthropic\"; // Claude",
        ),
        (
            "crates/providers/src/bedrock.rs",
            "// Amazon and AWS_REGION",
        ),
    ];
    assert!(places(check, &files).is_empty());
}

#[test]
fn a_vendor_is_not_named_in_another_vendors_file() {
    let files = [(
        "crates/dialects/src/openai_chat/read.rs",
        "// as Anthropic does",
    )];
    assert_eq!(
        places(check, &files),
        ["crates/dialects/src/openai_chat/read.rs:1"]
    );
}

#[test]
fn a_host_of_others_names_them_in_its_provider_only() {
    let text = "const MODEL: &str = \"anthropic.claude\";";
    assert!(places(check, &[("crates/providers/src/bedrock.rs", text)]).is_empty());
    for path in [
        "crates/dialects/src/bedrock/read.rs",
        "crates/providers/src/mistral.rs",
    ] {
        assert!(!places(check, &[(path, text)]).is_empty(), "{path}");
    }
}

#[test]
fn names_strings_and_comments_elsewhere_are_found() {
    for bad in [
        "struct FromOpenAi;",
        "\"OPENAI_API_KEY\"",
        "// for Gemini",
        "fn to_mistral() {}",
        "openaiStyle",
    ] {
        assert_eq!(
            places(check, &[("crates/flow/src/x.rs", bad)]),
            ["crates/flow/src/x.rs:1"],
            "{bad}"
        );
    }
}

#[test]
fn words_that_only_look_like_vendors_are_not() {
    for fine in [
        "// coherent",
        "use rustls::crypto::aws_lc_rs;",
        "// flaws and laws",
        "draws",
        "prefireworks",
    ] {
        assert!(
            places(check, &[("crates/flow/src/x.rs", fine)]).is_empty(),
            "{fine}"
        );
    }
}

#[test]
fn list_lines_doc_examples_and_tests_are_free() {
    let face = "pub mod anthropic;\nmod openai_chat; // the first\nconst ALL: [&Kind; 1] = [\n    &anthropic::KIND,\n];\n\
        /// ```\n/// find(\"openai\")\n/// ```\n#[cfg(test)]\nmod tests { const M: &str = \"gemini\"; }";
    assert!(places(check, &[("crates/dialects/src/lib.rs", face)]).is_empty());
    let text = "const X: &str = \"openai\";";
    for path in [
        "crates/flow/tests/a.rs",
        "testbed/src/x.rs",
        "crates/flow/src/x/tests.rs",
    ] {
        assert!(places(check, &[(path, text)]).is_empty(), "{path}");
    }
    assert_eq!(
        places(
            check,
            &[("crates/dialects/src/lib.rs", "/// ```\n/// ```\n/// openai")]
        )
        .len(),
        1
    );
}

#[test]
fn a_grant_covers_its_words_and_must_be_used() {
    let grants = [VendorGrant {
        path: "crates/gate/src/x.rs",
        words: &["openai"],
        reason: "a case",
    }];
    let judge = |text: &str| {
        let mut house = House::default();
        house.add(TABLE, "");
        house.add("crates/gate/src/x.rs", text);
        check_with(&house, &grants).len()
    };
    assert_eq!(judge("// OpenAI"), 0);
    assert_eq!(judge("// OpenAI and Gemini"), 1);
    assert_eq!(judge("// nothing"), 1);
}
