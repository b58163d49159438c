//! Cases of the text scan: what it must see through, and what it must not mistake.

use super::*;

fn shapes(code: &str) -> Vec<(String, usize, usize)> {
    functions(&lex::code(code))
        .into_iter()
        .map(|f| (f.name, f.lines, f.arguments))
        .collect()
}

fn joined(code: &str) -> Vec<String> {
    paths(&lex::code(code))
        .into_iter()
        .map(|path| path.segments.join("::"))
        .collect()
}

#[test]
fn comments_and_literals_are_blanked_and_offsets_stay() {
    let source = "let a = \"{ // no\"; // }\n/* { /* nested */ } */ let b = '}'; let c = b'\\'';";
    let code = lex::code(source);
    assert_eq!(code.len(), source.len());
    assert!(!code.contains(['{', '}']), "{code}");
    assert!(
        code.contains("let b =") && code.contains("let c ="),
        "{code}"
    );
    assert_eq!(code.matches('\n').count(), 1);
}

#[test]
fn raw_strings_lifetimes_and_wide_characters() {
    let source = "fn f<'a>(x: &'a str) { r#\"}\"quoted\"#; br\"}\"; '\u{e9}'; '\u{1f600}'; bar; }";
    let code = lex::code(source);
    assert_eq!(code.len(), source.len());
    assert_eq!(code.matches('}').count(), 1, "{code}");
    assert!(code.contains("&'a str") && code.contains("bar;"), "{code}");
}

#[test]
fn a_name_that_ends_in_r_is_not_a_raw_string() {
    assert_eq!(lex::code("mac_r\"x\"; for\"y\""), "mac_r\" \"; for\" \"");
}

#[test]
fn functions_have_lines_and_arguments() {
    let source = "fn one() {}\n\
        fn two<T: Fn(u8, u8) -> u8>(&self, a: HashMap<K, V>, b: fn(u8, u8)) -> T\nwhere T: X {\n}\n\
        trait T { fn three(self: Arc<Self>, a: u8,); }\n\
        type P = fn(u8);";
    assert_eq!(
        shapes(source),
        [
            ("one".into(), 1, 0),
            ("two".into(), 3, 2),
            ("three".into(), 1, 1)
        ]
    );
}

#[test]
fn test_items_are_left_out_of_what_ships() {
    let source = "fn kept() {}\n#[cfg(test)]\nmod tests { fn gone() {} }\nfn also_kept() {}\n\
        #[cfg(test)]\nuse a::{b, c};\n#[cfg(not(test))] fn real() {}\n\
        struct S { #[cfg(test)] probe: u8, field: u8 }";
    let rust = Rust::of(source);
    assert!(
        !rust.shipped.contains("gone") && !rust.shipped.contains("a::"),
        "{}",
        rust.shipped
    );
    assert!(
        !rust.shipped.contains("probe") && rust.shipped.contains("field"),
        "{}",
        rust.shipped
    );
    for kept in ["kept", "also_kept", "real"] {
        assert!(rust.shipped.contains(kept), "{kept}");
    }
    assert!(
        Rust::of("#![cfg(test)]\nfn f() {}")
            .shipped
            .trim()
            .is_empty()
    );
}

#[test]
fn use_trees_are_spread_out() {
    assert_eq!(
        joined("use std::{fs, io::{self, Read as _}, net::*};"),
        ["std::fs", "std::io", "std::io::Read", "std::net::*"]
    );
}

#[test]
fn inline_paths_are_found_whole() {
    assert_eq!(
        joined("fn f() { crate::a::b(); x.y(z::w); \"no::path\"; } pub(in crate::c) struct S;"),
        ["crate::a::b", "z::w"]
    );
}

#[test]
fn bound_names_and_surrounding_modules() {
    let found = paths("mod m { use crate::a::T as U; mod n { use super::x; } }");
    assert_eq!(found[0].binds.as_deref(), Some("U"));
    assert_eq!(found[0].inside, ["m"]);
    assert_eq!(found[1].inside, ["m", "n"]);
}

#[test]
fn lines_count_from_one() {
    assert_eq!(line_of("a\nb\nc", 0), 1);
    assert_eq!(line_of("a\nb\nc", 4), 3);
}
