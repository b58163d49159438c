//! Cases of rendering: one line, valid, and harmless.

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::tests::sample;

fn parse(record: &Record) -> Json {
    let line = record.to_json();
    let harmless = |c: char| {
        !c.is_control() && !matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\u{202e}')
    };
    assert!(line.chars().all(harmless), "{line:?}");
    serde_json::from_str(&line).unwrap()
}

#[test]
fn a_record_renders_whole() {
    let json = parse(&sample::full());
    assert_eq!(json["time"], "2025-11-13T02:13:20.123456Z");
    assert_eq!(json["request_id"], sample::full().id.to_string());
    assert_eq!(json["outcome"], "cut");
    assert_eq!(json["tenant"], "acme");
    assert_eq!(
        json["decisions"][0]["readings"][0]["wall_us"],
        -1_763_000_000_123_456_i64
    );
    assert_eq!(json["candidates"][1]["excluded"], "breaker_open");
    assert_eq!(
        json["attempts"][0]["fault"]["private"],
        "reset by peer after 312 bytes"
    );
    assert_eq!(json["usage"]["cached_write_1h"], 4);
    assert_eq!(json["usage"]["source"], "estimated");
    assert_eq!(json["losses"][0]["what"], "seed");
    assert_eq!(json["cost_nanos"], -17);
    assert_eq!(json["trace_id"], "ab".repeat(16));
    assert_eq!(json["clipped"], 2);
}

#[test]
fn usage_is_shown_by_class_with_its_tier_and_what_the_provider_said_it_cost() {
    let json = parse(&sample::metered());
    let usage = &json["usage"];
    assert_eq!(usage["image_out"], 10);
    assert_eq!(usage["web_searches"], 11);
    assert_eq!(usage["audio_seconds"], 12);
    assert_eq!(usage["told_cost_nanos"], 13);
    assert_eq!(usage["tier"], "flex");
    assert_eq!(usage["flawed"], true);
    assert_eq!(usage["source"], "provider_input");
}

#[test]
fn an_empty_record_renders() {
    let json = parse(&Record::default());
    assert_eq!(json["outcome"], "unknown");
    assert_eq!(json["time"], "1970-01-01T00:00:00.000000Z");
}

#[test]
fn hostile_text_stays_text() {
    for text in [
        "\"},\"admin\":true,{\"",
        "line\r\nlevel=error forged\n",
        "\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{7f}",
        "</script><script>alert(1)</script>&amp;",
        "\u{202e}gpj.exe\u{2066}\u{feff}\u{200b}\u{2028}\u{2029}\u{85}",
        "\u{e0041}\\u0000\u{0}\\",
        "=cmd|' /C calc'!A0",
    ] {
        let mut record = sample::usual();
        record.who.user = Some(text.into());
        record.metadata = vec![(text.to_owned().into(), text.into())];
        let json = parse(&record);
        assert_eq!(json["user"], text);
        assert_eq!(json["metadata"][text], text);
        assert_eq!(json.get("admin"), None);
    }
}

#[test]
fn dates_follow_the_calendar() {
    for (unix_s, date) in [
        (0, "1970-01-01T00:00:00"),
        (951_782_399, "2000-02-28T23:59:59"),
        (951_782_400, "2000-02-29T00:00:00"),
        (951_868_800, "2000-03-01T00:00:00"),
        (1_735_689_599, "2024-12-31T23:59:59"),
        (4_107_542_400, "2100-03-01T00:00:00"),
    ] {
        assert_eq!(rfc3339(unix_s * 1_000_000), format!("{date}.000000Z"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_reads_back(text in any::<String>()) {
        let mut record = sample::usual();
        record.request.model = Some(text.as_str().into());
        prop_assert_eq!(&parse(&record)["request"]["model"], &Json::from(text));
    }
}
