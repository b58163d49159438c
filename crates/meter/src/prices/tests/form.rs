//! The text form: what is read, and what is said of mistakes.

use super::*;

#[test]
fn what_is_read_is_written_again() {
    for text in [
        "in=1.25 read=0.125 out=10 search=10",
        "in=0 out=1",
        "free",
        "in=0.02",
        "in=2.5 out=15 eu*1.1 us*1.25 | >272000 in=5 out=22.5 | flex in=1.25 | flex >272000 in=2.5 | batch out=7.5",
        "in=0.000000001 out=1000000",
        "in=1 request=5 second=0.0001",
    ] {
        let sheet = Sheet::parse(text).expect(text);
        assert_eq!(sheet.to_string(), text);
    }
    // What is said to be unknown is as what is not said.
    let unknown = Sheet::parse("in=1 out=?").expect("a price");
    assert_eq!(unknown, Sheet::parse("in=1").expect("a price"));
}

#[test]
fn mistakes_in_a_price_are_named() {
    for (text, said) in [
        ("", "there is no price here; write one, or `free`"),
        ("in=?", "there is no price here; write one, or `free`"),
        ("in=1 in=2", "`in` is there twice"),
        (
            "in=1 | out=2",
            "a level has neither a tier nor a length; write its prices in front",
        ),
        (
            "in=1 | flex",
            "a level has no price; write one, or leave the level out",
        ),
        (
            "in=1 | flex in=1 | flex in=2",
            "two levels are for the same tier and length",
        ),
        (
            "in=1 | in=1 flex",
            "`flex` stands behind a price; write the tier first",
        ),
        ("in=1 | >x in=1", "`>x` is no length; write `>200000`"),
        ("in=-1", "the price of `input` is negative"),
        (
            "in=1000001",
            "the price of `input` is more than anybody asks (1000000 dollars for a million units)",
        ),
        (
            "in=1e-6",
            "`1e-6` is not an amount of dollars; write digits with at most 9 decimal places, such as `12.50`",
        ),
        (
            "in=1 eu*0",
            "`0` is no factor; write a number from 0.000001 to 1000, such as `0.85`",
        ),
    ] {
        let fault = Sheet::parse(text).expect_err(text);
        assert_eq!(fault.to_string(), said, "{text}");
    }
    let fault = Sheet::parse("inn=1")
        .expect_err("no such class")
        .to_string();
    assert!(fault.starts_with("`inn=1` is no price; write `in=1.25`, with one of in, read,"));
}

#[test]
fn mistakes_in_a_file_are_named_by_their_lines() {
    let text = "\
        tollgate-prices 1\n\
        gpt in=1\n\
        source a b\n\
        provider acme color=red\n\
        provider acme\n\
        gpt from=2026-13-01 in=1\n\
        gpt in=1 out=x\n\
        \n\
        # a comment\n\
        gpt in=1\n\
        gpt,other in=2\n";
    let faults = Catalog::parse(text).expect_err("faults");
    let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "line 2: this price stands in front of the first `provider KIND`",
            "line 3: write `source NAME VERSION LICENCE ADDRESS`",
            "line 4: `color=red` is neither `prefixes=..` nor `also=..`",
            "line 6: `2026-13-01` is no day; write `from=2026-10-01`",
            "line 7: `x` is not an amount of dollars; write digits with at most 9 decimal places, such as `12.50`",
            "line 11: there is a price of `gpt` already; keep one of the two",
        ]
    );
    for text in ["", "x", "tollgate-prices 2\n", "{\"in\": 1}"] {
        let faults = Catalog::parse(text).expect_err(text);
        assert_eq!(
            faults[0].to_string(),
            "line 1: a file of prices begins with `tollgate-prices 1`"
        );
    }
}

#[test]
fn days_come_and_go() {
    for (text, at_s) in [
        ("1970-01-01", 0),
        ("1970-01-02", 86_400),
        ("2000-02-29", 951_782_400),
        ("2026-11-21", 1_795_219_200),
        ("2100-03-01", 4_107_542_400),
    ] {
        assert_eq!(day(text), Some(at_s), "{text}");
        assert_eq!(date(at_s), text);
        assert_eq!(date(at_s + 86_399), text);
    }
    for text in [
        "2026-02-29",
        "2026-00-01",
        "2026-1-1",
        "1969-12-31",
        "2026-04-31",
        "heute",
    ] {
        assert_eq!(day(text), None, "{text}");
    }
}

#[test]
fn factors_are_exact() {
    let factor = |text| Factor::parse(text).expect("a factor");
    assert_eq!(factor("0.85").to_string(), "0.85");
    assert_eq!(factor("1.10").to_string(), "1.1");
    assert_eq!(factor("0.85").times(factor("1.1")).to_string(), "0.935");
    assert_eq!(
        factor("0.000001").times(factor("0.000001")).to_string(),
        "0.000001"
    );
    for text in ["0", "-1", "1000.1", "0.0000001", "15%", ""] {
        assert!(Factor::parse(text).is_err(), "{text}");
    }
}
