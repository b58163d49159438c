//! Words that pass and words that do not.

use super::*;
use crate::tidy::places;

fn lines(text: &str) -> Vec<String> {
    places(check, &[("crates/a/src/x.rs", text)])
}

const HERE: &str = "crates/a/src/x.rs";

#[test]
fn a_file_opens_with_what_it_is() {
    assert!(lines("//! What it is.\nfn f() {}").is_empty());
    for bad in [
        "fn f() {}",
        "//!\nfn f() {}",
        "// A comment.\n//! Late.",
        "",
    ] {
        assert_eq!(lines(bad), [format!("{HERE}:1")], "{bad:?}");
    }
}

#[test]
fn module_names_say_something() {
    for path in ["crates/a/src/utils.rs", "crates/a/src/helpers/x.rs"] {
        assert_eq!(places(check, &[(path, "//! X.")]), [format!("{path}:1")]);
    }
    assert_eq!(lines("//! X.\nmod common {}"), [format!("{HERE}:2")]);
    assert!(lines("//! X.\nmod commonplace {} // a common manager").is_empty());
}

#[test]
fn unfinished_code_is_found_and_words_about_it_are_not() {
    assert_eq!(lines("//! X.\nfn f() { todo!() }"), [format!("{HERE}:2")]);
    assert_eq!(
        lines("//! X.\nfn f() { unimplemented! (\"x\") }"),
        [format!("{HERE}:2")]
    );
    assert_eq!(
        lines(&format!("//! X.\n// {}: later", concat!("FIX", "ME"))),
        [format!("{HERE}:2")]
    );
    assert!(
        lines("//! X.\n// todo!() is not for us.\nfn todo() { \"unimplemented!\"; }").is_empty()
    );
}

#[test]
fn silenced_lints_and_tests_are_found() {
    for bad in [
        "#[allow(dead_code)] fn f() {}",
        "#![allow(dead_code)]",
        "#[allow(dead_code, reason = \"x\")] fn f() {}",
        "#[test] #[ignore] fn f() {}",
        "#[ignore = \"slow\"] fn f() {}",
        "#[expect(dead_code)] fn f() {}",
    ] {
        assert_eq!(
            lines(&format!("//! X.\n{bad}")),
            [format!("{HERE}:2")],
            "{bad}"
        );
    }
    let fine = "//! X.\n#[expect(dead_code, reason = \"kept for ]\")]\nfn f() {} // #[allow(x)]";
    assert!(lines(fine).is_empty());
}

#[test]
fn folders_of_one_machine_are_found_in_every_text() {
    for (head, tail) in MACHINE_FOLDERS {
        let text = format!("see {head}{tail}x\n");
        assert_eq!(places(check, &[("docs/a.md", &text)]), ["docs/a.md:1"]);
        let longer =
            format!("https://example.invalid{head}{tail}x and node_modules{head}{tail}y\n");
        assert!(places(check, &[("docs/a.md", &longer)]).is_empty());
    }
}
