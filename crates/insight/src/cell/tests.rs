//! Cases of writing values: exact, quoted, and never a formula.

use super::*;

fn csv(cell: Cell) -> String {
    let mut table = Table::new(&["a"]);
    table.rows.push(vec![cell]);
    let text = table.csv();
    text.strip_prefix("a\r\n")
        .and_then(|text| text.strip_suffix("\r\n"))
        .expect("a header and a row")
        .to_owned()
}

#[test]
fn texts_of_callers_are_quoted_and_are_no_formulas() {
    for (text, written) in [
        ("plain", "plain"),
        ("a,b", "\"a,b\""),
        ("say \"hi\"", "\"say \"\"hi\"\"\""),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (
            "=HYPERLINK(\"x\",\"y\")",
            "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\"",
        ),
        ("\t=1", "'\\u{9}=1"),
        ("\u{1b}[31m", "\\u{1b}[31m"),
    ] {
        assert_eq!(csv(Cell::text(text)), written, "{text:?}");
    }
    // What we counted ourselves may be negative.
    assert_eq!(csv(Cell::Int(-5)), "-5");
    assert_eq!(csv(Cell::Money(-1_500_000_000)), "-1.50");
    assert_eq!(csv(Cell::PerMille(-1_234)), "-123.4");
}

#[test]
fn dollars_are_exact_beyond_64_bits() {
    for (nanos, text) in [
        (0, "0.00"),
        (1, "0.000000001"),
        (-17, "-0.000000017"),
        (12_500_000_000, "12.50"),
        (i128::from(i64::MAX) * 10, "92233720368.54775807"),
    ] {
        assert_eq!(dollars(nanos), text);
    }
    for nanos in [0, 7, -17, 1_000_000_001, i64::MAX, i64::MIN] {
        assert_eq!(dollars(i128::from(nanos)), meter::Money(nanos).to_string());
    }
}

#[test]
fn json_keeps_what_does_not_fit_as_text() {
    let mut table = Table::new(&["n", "usd", "none"]);
    let big = i128::from(i64::MAX) + 1;
    table
        .rows
        .push(vec![Cell::Int(big), Cell::Money(10), Cell::Nothing]);
    let text = table.objects().to_string();
    assert_eq!(
        text,
        r#"[{"n":"9223372036854775808","usd":"0.00000001","none":null}]"#
    );
}
