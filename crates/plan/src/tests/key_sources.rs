//! Who may make keys: what the document says, and what follows from it.

use super::bad::check;
use super::good;

const KEY: &str = "keys: [{id: a, secret: tg-0123456789012345678}]\n";

#[test]
fn both_may_unless_the_document_says_otherwise() {
    for (sources, takes_live, development) in [
        ("", true, true),
        ("keys_from: [document, api]", true, true),
        ("keys_from: [api, document]", true, true),
        ("keys_from: [document]", false, true),
        ("keys_from: [api]", true, false),
    ] {
        let (draft, compiled) = good(sources);
        assert_eq!(compiled.plan.keys.takes_live(), takes_live, "{sources}");
        let mut document = draft.document;
        assert_eq!(document.wants_development_key(), development, "{sources}");
        let added = document.add_development_key("tg-dev-0123456789012345");
        assert_eq!(added, development, "{sources}");
        assert_eq!(document.keys.len(), usize::from(development));
    }
    let (draft, compiled) = good(KEY);
    assert!(compiled.plan.keys.takes_live() && compiled.plan.keys.has_id("a"));
    assert!(!draft.document.wants_development_key());
}

#[test]
fn sources_that_fit_nothing_are_refused() {
    check(
        "keys_from: []\n",
        &[(
            1,
            12,
            "no source of keys is named, so nobody could call",
            "write `[document]`, `[api]` or both",
        )],
    );
    check(
        &format!("{KEY}keys_from: [api]\n"),
        &[(
            2,
            12,
            "this leaves out `document`, but keys are written under `keys`",
            "add `document`, or take the keys out",
        )],
    );
}
