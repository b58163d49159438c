//! The ratchet holds, refuses growth, and lets go.

use crate::tidy::places;
use crate::tidy::sizes::check;

fn judged(ratchet: &str, function_lines: usize) -> Vec<String> {
    let source = format!("fn f() {{\n{}}}\n", "x();\n".repeat(function_lines - 2));
    places(
        check,
        &[
            ("crates/a/src/x.rs", &source),
            ("xtask/ratchet.toml", ratchet),
        ],
    )
}

const HELD: &str =
    "[[function]]\npath = \"crates/a/src/x.rs\"\nname = \"f\"\nis = 80\nreason = \"One.\"\n";

#[test]
fn an_entry_holds_what_does_not_grow() {
    assert!(judged(HELD, 80).is_empty());
    assert!(judged(HELD, 75).is_empty());
}

#[test]
fn growth_is_refused() {
    assert_eq!(judged(HELD, 81), ["crates/a/src/x.rs:1"]);
}

#[test]
fn an_entry_that_is_no_longer_needed_is_refused() {
    assert_eq!(judged(HELD, 70), ["xtask/ratchet.toml:1"]);
}

#[test]
fn an_entry_without_reason_or_of_an_unknown_kind_is_refused() {
    let without_reason = HELD.replace("reason = \"One.\"\n", "");
    assert_eq!(judged(&without_reason, 80), ["xtask/ratchet.toml:1"]);
    assert_eq!(
        judged(&HELD.replace("[[function]]", "[[functon]]"), 80),
        ["xtask/ratchet.toml:1"]
    );
}
