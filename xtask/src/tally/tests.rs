//! Last words of the runners we know.

use super::*;

fn tally(text: &str, success: bool) -> (usize, usize) {
    let tally = Tally::of(&Said {
        success,
        text: text.to_owned(),
    });
    (tally.passed, tally.failed)
}

#[test]
fn nextest_says_a_summary() {
    let text =
        "  Summary [   0.317s] 12 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 3 skipped\n";
    assert_eq!(tally(text, false), (9, 3));
    assert_eq!(
        tally("Summary [ 1s] 1 test run: 1 passed, 0 skipped", true),
        (1, 0)
    );
}

#[test]
fn what_nextest_repeats_of_a_failed_test_is_not_counted_twice() {
    let text = "  stdout\n    test result: FAILED. 0 passed; 1 failed; 0 ignored\n  7 passed, 7 failed\n\
        Summary [ 1s] 3 tests run: 2 passed, 1 failed, 0 skipped\n";
    assert_eq!(tally(text, false), (2, 1));
}

#[test]
fn libtest_says_one_line_for_each_binary() {
    let text = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\n\
        test result: FAILED. 1 passed; 2 failed; 0 ignored\n";
    assert_eq!(tally(text, false), (4, 2));
}

#[test]
fn our_own_suites_say_one_plain_line() {
    assert_eq!(
        tally("python: 3 passed, 1 failed\n7 passed, 1 failed\n", false),
        (7, 1)
    );
}

#[test]
fn a_broken_suite_is_one_failure() {
    assert_eq!(tally("error: could not compile", false), (0, 1));
    assert_eq!(tally("4 passed, 0 failed\nthen it crashed", false), (4, 1));
}
