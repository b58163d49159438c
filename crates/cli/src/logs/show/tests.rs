//! How records look.

use serde_json::json;

use super::*;

const PLAIN: Lines = Lines { colours: false };

fn record() -> Value {
    json!({
        "sequence": 1042,
        "request_id": "019a7c1d-8f3b-7a2c-8000-00000000002a",
        "time": "2025-11-21T10:00:00.123456Z",
        "tenant": "acme", "app": "shop", "key_id": "k1",
        "operation": "chat", "dialect": "chatty",
        "provider": "box", "model": "echo",
        "status": 200, "outcome": "complete", "stream": true,
        "input_tokens": 290, "output_tokens": 41,
        "duration_us": 1_234_567, "first_token_us": 340_000, "plan": "9f2c"
    })
}

#[test]
fn a_line_for_each_exchange() {
    let mut refused = record();
    for (name, value) in [
        ("provider", json!("")),
        ("model", json!("")),
        ("app", json!("")),
        ("status", json!(402)),
        ("outcome", json!("refused")),
        ("fault", json!("over_budget")),
        ("origin", json!("gateway")),
        ("input_tokens", json!(0)),
        ("output_tokens", json!(0)),
        ("duration_us", json!(412)),
        ("first_token_us", Value::Null),
    ] {
        refused[name] = value;
    }
    let golden = [
        (
            record(),
            "2025-11-21 10:00:00.123  #1042   acme/shop            chatty -> box/echo                     \
             200 complete   290+41 tok  1.23 s  first 340 ms",
        ),
        (
            refused,
            "2025-11-21 10:00:00.123  #1042   acme                 chatty -> -                            \
             402 refused    412 us  over_budget (gateway)",
        ),
        (
            json!({}),
            "  #0      -                    - -> -                            0",
        ),
    ];
    for (record, line) in golden {
        assert_eq!(PLAIN.line(&record), line);
    }
}

#[test]
fn colours_only_when_asked_for() {
    assert!(!PLAIN.line(&record()).contains('\u{1b}'));
    let coloured = Lines { colours: true }.line(&record());
    assert!(coloured.contains("\u{1b}[32m200 complete"), "{coloured}");
}

#[test]
fn one_record_whole() {
    let record = json!({
        "request_id": "019a7c1d",
        "status": 502,
        "arrived_us": 1_763_719_200_000_000u64,
        "duration_us": 1_234,
        "request": {"model": "m", "stream": true},
        "attempts": [
            {"provider": "a", "fault": {"kind": "timeout"}},
            {"provider": "b", "head_us": 61_000_000},
        ],
        "finish": ["stop"],
    });
    let golden = "\
request_id   019a7c1d
status       502
arrived_us   1763719200000000
duration_us  1.2 ms
request
  model   m
  stream  true
attempts
  - provider  a
    fault
      kind  timeout
  - provider  b
    head_us   1 min 1 s
finish
  - stop
";
    assert_eq!(PLAIN.whole(&record), golden);
}

#[test]
fn hostile_texts_do_nothing_but_be_read() {
    let hostile = "\u{1b}]0;owned\u{7}\u{9b}2J\r\n\u{202e}\u{200b}x";
    let mut record = record();
    for name in [
        "tenant", "model", "dialect", "outcome", "fault", "origin", "time",
    ] {
        record[name] = json!(hostile);
    }
    record[hostile] = json!({hostile: [hostile, {hostile: hostile}]});
    let line = PLAIN.line(&record);
    let whole = PLAIN.whole(&record);
    let json = escape::json(&record.to_string());
    for shown in [&line, &whole.replace('\n', ""), &json] {
        let bad = |c: char| c.is_control() || ['\u{202e}', '\u{200b}'].contains(&c);
        assert!(!shown.contains(bad), "{shown:?}");
    }
    assert!(line.contains("\\u{1b}]0;owned\\u{7}"), "{line}");
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), record);
    let long = PLAIN.line(&json!({"tenant": "x".repeat(10_000)}));
    assert!(long.contains('…') && long.chars().count() < 200);
}
