//! Module trees with and without circles.

use super::*;
use crate::tidy::places;

#[test]
fn siblings_that_need_each_other_are_a_circle() {
    let files = [
        ("crates/a/src/lib.rs", "mod one; mod two;"),
        ("crates/a/src/one.rs", "use crate::two::T;"),
        ("crates/a/src/two.rs", "\nfn f() { crate::one::g(); }"),
    ];
    assert_eq!(places(check, &files), ["crates/a/src/one.rs:1"]);
}

#[test]
fn three_in_a_ring_are_told_once_with_the_whole_way() {
    let mut house = House::default();
    house.add("crates/a/src/one.rs", "use super::two::T;");
    house.add("crates/a/src/two.rs", "use super::three::{self, T};");
    house.add("crates/a/src/three.rs", "use crate::one;");
    let found = check(&house);
    assert_eq!(found.len(), 1, "{found:?}");
    for step in ["one needs two", "two needs three", "three needs one"] {
        assert!(found[0].what.contains(step), "{}", found[0].what);
    }
}

#[test]
fn parents_and_children_are_no_circle() {
    let files = [
        (
            "crates/a/src/lib.rs",
            "mod one; pub use one::T; pub struct Root;",
        ),
        (
            "crates/a/src/one.rs",
            "mod child; use child::C; use crate::Root; pub struct T;",
        ),
        (
            "crates/a/src/one/child.rs",
            "use super::T; use crate::one::U; pub struct C;",
        ),
    ];
    assert!(places(check, &files).is_empty());
}

#[test]
fn one_direction_is_no_circle_and_tests_do_not_count() {
    let files = [
        (
            "crates/a/src/one.rs",
            "use crate::two::T;\n#[cfg(test)]\nmod tests { use crate::three; }",
        ),
        (
            "crates/a/src/two.rs",
            "#[cfg(test)] mod tests { use crate::one::*; } // crate::one::x",
        ),
        ("crates/a/src/two/tests.rs", "use crate::one::T;"),
        ("crates/a/src/three.rs", "use crate::one::T;"),
    ];
    assert!(places(check, &files).is_empty());
}

#[test]
fn a_circle_through_a_re_export_is_seen() {
    let files = [
        (
            "crates/a/src/lib.rs",
            "mod one; mod two; pub use one::{Thing as Renamed};",
        ),
        ("crates/a/src/one.rs", "use crate::two::T;"),
        ("crates/a/src/two.rs", "use crate::Renamed;"),
    ];
    assert_eq!(places(check, &files).len(), 1);
}

#[test]
fn circles_below_the_top_are_seen_as_deep_as_asked() {
    let mut house = House::default();
    house.add("crates/a/src/one/x.rs", "use super::y::Y;");
    house.add("crates/a/src/one/y.rs", "use crate::one::x::X;");
    assert_eq!(check_levels(&house, 1), []);
    assert_eq!(check_levels(&house, 2).len(), 1);
}

#[test]
fn inline_modules_count() {
    let face = "mod p { use super::q::Q; } mod q { use super::p::P; }";
    assert_eq!(
        places(check, &[("crates/b/src/lib.rs", face)]),
        ["crates/b/src/lib.rs:1"]
    );
}

#[test]
fn crates_and_binaries_do_not_mix() {
    let files = [
        ("crates/a/src/one.rs", "use crate::two::T;"),
        ("crates/b/src/two.rs", "use crate::one::T;"),
        ("crates/b/src/one.rs", ""),
        ("crates/b/src/bin/two.rs", "mod one { use crate::two; }"),
    ];
    assert!(places(check, &files).is_empty());
}
