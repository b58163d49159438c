//! What counts as a figure, and what a cost in decimal is.

use super::*;
use crate::json::{Rules, Tape};

fn with<T>(text: &str, read: impl FnOnce(&mut Figures, Json<'_>) -> T) -> (T, bool) {
    let tape = Tape::scan(text.as_bytes(), &Rules::ANSWER).expect("valid");
    let mut figures = Figures::default();
    let found = read(&mut figures, tape.root(text.as_bytes()));
    (found, figures.flawed)
}

#[test]
fn what_is_no_count_is_left_out_and_noted() {
    let cases = [
        ("0", Some(0), false),
        ("12", Some(12), false),
        ("12.0", Some(12), false),
        ("1000000000", Some(1_000_000_000), false),
        ("null", None, false),
        ("1000000001", None, true),
        ("18446744073709551616", None, true),
        ("99999999999999999999999999999999999999999999", None, true),
        ("-1", None, true),
        ("-0.0", None, true),
        ("1.5", None, true),
        ("1e3", None, true),
        ("\"12\"", None, true),
        ("true", None, true),
        ("[12]", None, true),
        ("{}", None, true),
    ];
    for (text, count, flawed) in cases {
        assert_eq!(with(text, Figures::count), (count, flawed), "{text}");
    }
}

#[test]
fn a_cost_in_dollars_is_read_exactly_as_decimal_text() {
    let cases = [
        ("0", Some(0), false),
        ("0.0", Some(0), false),
        ("1", Some(1_000_000_000), false),
        ("0.95", Some(950_000_000), false),
        ("0.00014535", Some(145_350), false),
        ("1.4535e-05", Some(14_535), false),
        ("1.4535E+1", Some(14_535_000_000), false),
        (
            "0.1000000000000000055511151231257827",
            Some(100_000_001),
            false,
        ),
        // A fraction of a nano-dollar is a whole one.
        ("0.0000000001", Some(1), false),
        ("1e-400", Some(1), false),
        ("1000000", Some(1_000_000_000_000_000), false),
        ("1000000.01", None, true),
        ("1e300", None, true),
        ("1e99999999999999999999", None, true),
        ("-0.01", None, true),
        ("\"0.01\"", None, true),
        ("{}", None, true),
        ("null", None, false),
    ];
    for (text, nanos, flawed) in cases {
        assert_eq!(with(text, Figures::dollars), (nanos, flawed), "{text}");
    }
    for (text, nanos) in [
        ("318319000", Some(31_831_900)),
        ("42", Some(5)),
        ("-1", None),
    ] {
        assert_eq!(with(text, Figures::ticks).0, nanos, "{text}");
    }
}
