//! Cases of exports, good and bad.

use super::*;

const DAY_US: u64 = 86_400_000_000;

#[test]
fn amounts_of_money_are_read_exactly() {
    for (text, expected) in [
        ("0.06", 60_000_000),
        ("$1,", -1),
        ("1e-7", 100),
        ("1.5E-9", 2),
        ("0.00000000049", 0),
        ("-2.5", -2_500_000_000),
        ("12", 12_000_000_000),
        ("3e2", 300_000_000_000),
    ] {
        match nanos(text) {
            Ok(read) => assert_eq!(read, expected, "{text}"),
            Err(_) => assert_eq!(text, "$1,"),
        }
    }
    for text in ["", "-", "1.2.3", "NaN", "1e999", "0x10", "1e40"] {
        assert!(nanos(text).is_err(), "{text}");
    }
}

#[test]
fn a_table_is_read_by_its_columns() {
    let text = "\u{feff}day,\"the, model\",fresh,cached,out,usd\r\n\
        2026-01-02,m1,\"1,000\",24,7,0.5\r\n\
        \r\n\
        2026-01-02T23:59:59Z,\"say \"\"m\"\"\",5,,,\r\n";
    let columns = Columns {
        date: "day".to_owned(),
        model: "the, model".to_owned(),
        input: "fresh+cached".to_owned(),
        output: "out".to_owned(),
        cost: "usd".to_owned(),
    };
    let lines = read(text, &columns).unwrap();
    let day_us = day("2026-01-02").unwrap() * 1_000_000;
    let first = Line {
        day_us,
        model: "m1".to_owned(),
        input: Some(1_024),
        output: Some(7),
        cost: Some(500_000_000),
    };
    let second = Line {
        day_us,
        model: "say \"m\"".to_owned(),
        input: Some(5),
        ..Line::default()
    };
    assert_eq!(lines, [first, second]);
    let objects = r#"[{"date":"2026-01-02","model":"m","input_tokens":3,"cost":1e-9}]"#;
    let lines = read(objects, &Columns::default()).unwrap();
    assert_eq!((lines[0].input, lines[0].cost), (Some(3), Some(1)));
}

#[test]
fn pages_of_buckets_are_read() {
    let text = r#"[{"object":"page","has_more":true,"data":[
        {"object":"bucket","start_time":86400,"end_time":172800,"results":[
          {"input_tokens":1000,"output_tokens":500,"input_cached_tokens":800,
           "num_model_requests":5,"model":"m1"},
          {"input_tokens":1,"output_tokens":2,"model":null}]}]},
      {"object":"page","has_more":false,"data":[
        {"object":"bucket","start_time":90000,"results":[
          {"amount":{"value":0.06,"currency":"usd"},"line_item":"m1, input"}]}]}]"#;
    let lines = read(text, &Columns::default()).unwrap();
    let told = lines
        .iter()
        .map(|it| (it.day_us, &*it.model, it.input, it.cost));
    let expected = [
        (DAY_US, "m1", Some(1_000), None),
        (DAY_US, "", Some(1), None),
        (DAY_US, "m1", None, Some(60_000_000)),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_wrong_is_named() {
    let columns = Columns::default();
    for (text, expected) in [
        ("", "it is empty"),
        ("date,model,cost\n", "no line"),
        ("{\"date\":", "no JSON"),
        (
            "date,model,cost\n2026-13-01,m,1\n",
            "row 2: `2026-13-01` is no day",
        ),
        (
            "date,model,cost\n2026-01-01,m,much\n",
            "row 2: `cost`: `much` is no amount",
        ),
        (
            "date,model,input_tokens\n2026-01-01,m,-5\n",
            "no number of tokens",
        ),
        (
            "date,model\n2026-01-01,m\n",
            "nothing in a column `input_tokens`",
        ),
        (
            "date,model,cost\n2026-01-01,\"m,1\n",
            "a quoted field has no end",
        ),
        (r#"{"data":[],"has_more":true}"#, "there are more"),
        (
            r#"{"data":[{"start_time":1,"results":[{"amount":{"value":1,"currency":"eur"}}]}]}"#,
            "not in US dollars",
        ),
        (r#"[1]"#, "nothing in a column `date`"),
    ] {
        let why = read(text, &columns).unwrap_err();
        assert!(why.contains(expected), "{text}: {why}");
    }
    let many = "2026-01-01,m,1\n".repeat(LINES_MAX + 1);
    let why = read(&format!("date,model,cost\n{many}"), &columns).unwrap_err();
    assert!(why.contains("split it"), "{why}");
}
