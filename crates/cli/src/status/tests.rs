//! How a status looks.

use serde_json::json;

use super::*;

fn status() -> Value {
    json!({
        "version": "1.2.3", "started": "2026-11-21T10:00:00.000000Z", "uptime_ms": 93_784_000,
        "workers": 2, "plan": "9f2c", "plan_loaded": "2026-11-21T11:00:00.000000Z",
        "rollout": {
            "candidate": "77aa", "percent": 12.5, "tenants": ["acme"],
            "calls": {"in_force": 75, "candidate": 25}
        },
        "in_flight": 3, "open_streams": 1,
        "journal": {"written": 7, "queued": 0, "slots_in_use": 3, "slots_max": 100, "errors": 0},
        "inflight": {"rows": 2, "ending": 1, "slots_max": 50, "refused": 0, "errors": 4},
        "index": {"lag": 2, "error": null},
        "listeners": [{"name": "data", "address": "127.0.0.1:4100", "open": 5}],
        "issuers": [
            {"name": "login", "keys": 2, "trouble": null},
            {"name": "ci", "keys": 0, "trouble": "down\u{1b}[2J"},
        ],
        "pools": [{
            "provider": "box", "address": "up.example:443", "open": 4, "idle": 1, "in_use": 3,
            "waiting": 0, "limit": 512
        }]
    })
}

#[test]
fn everything_an_operator_asks_first_is_on_one_page() {
    let golden = "\
version      1.2.3
up           1 d 2 h since 2026-11-21T10:00:00.000000Z
plan         9f2c, loaded 2026-11-21T11:00:00.000000Z
roll-out     77aa for 12.5 % of the callers and tenants acme: 25 of 100 calls since it is on
calls        3 under way, 1 of them streams; 2 workers
journal      7 written, 0 waiting, 3 of 100 slots in use
on disk      2 calls under way, 1 ending, of 50 rows, 4 failed writes
index        2 records behind
data         127.0.0.1:4100: 5 connections open
issuer       login: 2 keys
issuer       ci: 0 keys; FAILING: down\\u{1b}[2J

provider  address         open  idle  in use  waiting  limit
box       up.example:443     4     1       3        0    512
";
    assert_eq!(page(&status()), golden);
}

#[test]
fn what_fails_is_loud_and_hostile_words_stay_words() {
    let mut status = status();
    status["journal"]["failing"] = json!({"since": "then", "error": "disk\u{1b}[2J full"});
    status["journal"]["refused"] = json!(4);
    status["index"] = Value::Null;
    status["pools"] = json!([]);
    let page = page(&status);
    for words in [
        "FAILING since then: disk\\u{1b}[2J full",
        "4 calls refused",
        "none: records are searched",
    ] {
        assert!(page.contains(words), "no {words:?} in {page}");
    }
    assert!(!page.contains("waiting  limit"), "{page}");
}
