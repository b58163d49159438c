//! Cases of reading and writing amounts.

use super::*;
use proptest::prelude::*;

#[test]
fn amounts_are_read_exactly() {
    for (text, nanos) in [
        ("0", 0),
        ("12", 12_000_000_000),
        ("0.25", 250_000_000),
        ("-3.5", -3_500_000_000),
        ("0.000000001", 1),
        ("9223372036.854775807", i64::MAX),
    ] {
        assert_eq!(Money::parse(text), Ok(Money(nanos)), "{text}");
    }
    for text in [
        "",
        "-",
        ".5",
        "5.",
        "1e3",
        "+1",
        "1,5",
        " 1",
        "0.0000000001",
        "9223372036.854775808",
        "99999999999999999999",
        "0x10",
        "١",
    ] {
        assert!(Money::parse(text).is_err(), "{text}");
    }
}

#[test]
fn amounts_are_written_as_dollars() {
    assert_eq!(Money(0).to_string(), "0.00");
    assert_eq!(Money(1_250_000_000).to_string(), "1.25");
    assert_eq!(Money(375).to_string(), "0.000000375");
    assert_eq!(Money(-2_000_000_000).to_string(), "-2.00");
}

#[test]
fn sums_saturate() {
    assert_eq!(Money::MAX.plus(Money(1)), Money::MAX);
    assert_eq!(Money::saturated(i128::MIN), Money(i64::MIN));
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(nanos in -i64::MAX..=i64::MAX) {
        let text = Money(nanos).to_string();
        prop_assert_eq!(Money::parse(&text), Ok(Money(nanos)));
    }
}
