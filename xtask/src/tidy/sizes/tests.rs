//! Sizes just inside and just outside their limits.

use super::*;
use crate::tidy::places;

const PATH: &str = "crates/a/src/x.rs";

#[test]
fn a_file_of_the_limit_is_fine_and_one_line_more_is_not() {
    let at_limit = "//\n".repeat(FILE_LINES_MAX);
    assert!(places(check, &[(PATH, &at_limit)]).is_empty());
    let above = "//\n".repeat(FILE_LINES_MAX + 1);
    assert_eq!(places(check, &[(PATH, &above)]), ["crates/a/src/x.rs:1"]);
}

#[test]
fn tests_are_apart() {
    let above = "//\n".repeat(FILE_LINES_MAX + 1);
    assert!(places(check, &[("crates/a/src/x/tests.rs", &above)]).is_empty());
    let inline = format!(
        "fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n",
        "fn t() {}\n".repeat(700)
    );
    assert!(places(check, &[(PATH, &inline)]).is_empty());
}

#[test]
fn a_long_function_is_found_where_it_starts() {
    let body = |lines: usize| format!("\nfn f() {{\n{}}}\n", "x();\n".repeat(lines));
    assert!(places(check, &[(PATH, &body(FUNCTION_LINES_MAX - 2))]).is_empty());
    assert_eq!(
        places(check, &[(PATH, &body(FUNCTION_LINES_MAX - 1))]),
        ["crates/a/src/x.rs:2"]
    );
}

#[test]
fn the_receiver_and_closures_do_not_count_as_arguments() {
    let fine = "impl S { fn f(&self, a: A, b: B, c: C, d: D, e: E) { |a, b, c, d, e, f| a; } }";
    assert!(places(check, &[(PATH, fine)]).is_empty());
    let many = "fn f(a: A, b: B, c: C, d: D, e: HashMap<K, V>, f: F) {}";
    assert_eq!(places(check, &[(PATH, many)]), ["crates/a/src/x.rs:1"]);
}
