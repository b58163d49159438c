//! Cases of `tollgate keys`: what is sent for what was typed, and what is
//! printed.

use clap::Parser;
use serde_json::json;

use super::*;
use crate::{Cli, Command};

fn typed(words: &[&str]) -> KeysCommand {
    let words = ["tollgate", "keys"].iter().chain(words);
    match Cli::try_parse_from(words).map(Cli::command) {
        Ok(Command::Keys(args)) => args.command,
        other => panic!("{other:?}"),
    }
}

fn created(words: &[&str]) -> Value {
    let words: Vec<&str> = ["create"].iter().chain(words).copied().collect();
    match typed(&words) {
        KeysCommand::Create(args) => args.body(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_typed_is_what_is_sent() {
    assert_eq!(created(&[]), json!({}));
    let all = [
        "--name",
        "n",
        "--tenant",
        "t",
        "--app",
        "a",
        "--group",
        "g",
        "--group",
        "h",
        "--model",
        "m*",
        "--expires",
        "30d",
        "--on-revoke",
        "cut",
    ];
    let expected = json!({
        "name": "n", "tenant": "t", "app": "a", "groups": ["g", "h"], "models": ["m*"],
        "expires_in": "30d", "on_revoke": "cut"
    });
    assert_eq!(created(&all), expected);
    let limited = created(&[
        "--limit",
        "requests=60/1m",
        "--limit",
        "concurrency=4",
        "--budget",
        "9.50/month",
        "--budget",
        "tokens=500/day",
    ]);
    let limits = json!({
        "rate_limits": [
            {"measure": "requests", "limit": "60", "per": "1m"},
            {"measure": "concurrency", "limit": "4"},
        ],
        "budgets": [
            {"limit": "9.50", "window": "month"},
            {"measure": "tokens", "limit": "500", "window": "day"},
        ],
    });
    assert_eq!(limited, json!({"limits": limits}));
    match typed(&["limit", "k", "--budget", "1/day"]) {
        KeysCommand::Limit(args) => assert_eq!(
            Value::Object(args.limits.body()),
            json!({"budgets": [{"limit": "1", "window": "day"}]})
        ),
        other => panic!("{other:?}"),
    }
    match typed(&["limit", "k", "--none"]) {
        KeysCommand::Limit(args) => assert!(args.limits.body().is_empty()),
        other => panic!("{other:?}"),
    }
    for bad in [
        &["limit", "k"][..],
        &["limit", "k", "--budget", "5"],
        &["limit", "k", "--limit", "60/1m"],
        &["limit", "k", "--none", "--budget", "1/day"],
    ] {
        let words = ["tollgate", "keys"].iter().chain(bad);
        assert!(Cli::try_parse_from(words).is_err(), "{bad:?}");
    }
    let dated = created(&["--expires", "2027-01-31T10:00:00Z"]);
    assert_eq!(dated, json!({"expires_at": "2027-01-31T10:00:00Z"}));
    match typed(&["revoke", "k", "--on-revoke", "finish"]) {
        KeysCommand::Revoke(args) => assert_eq!(args.body(), json!({"on_revoke": "finish"})),
        other => panic!("{other:?}"),
    }
    match typed(&["rotate", "k"]) {
        KeysCommand::Rotate(args) => assert_eq!(args.overlap, "24h"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_typed_cannot_leave_its_place_in_a_path() {
    assert_eq!(path("k7m2p9qa", "/rotate"), "/v1/keys/k7m2p9qa/rotate");
    assert_eq!(path("../plan?x=1#", ""), "/v1/keys/..%2Fplan%3Fx%3D1%23");
    match typed(&[
        "list",
        "--tenant",
        "a&b=c d\r\n",
        "--state",
        "active",
        "-n",
        "5",
    ]) {
        KeysCommand::List(args) => assert_eq!(
            args.page(5, Some(7)),
            "/v1/keys?limit=5&tenant=a%26b%3Dc%20d%0D%0A&state=active&before=7"
        ),
        other => panic!("{other:?}"),
    }
}

fn key() -> Value {
    json!({
        "id": "k7m2p9qa", "name": "night", "tenant": "acme", "app": "shop", "groups": [],
        "models": ["fast-*", "m"], "state": "active", "on_revoke": "cut",
        "created_at": "2025-11-21T10:00:00.000000Z", "created_by": "olga",
        "expires_at": null, "rotated_at": "2025-11-21T11:00:00.000000Z", "revoked_at": null,
        "revoked_by": null, "last_used_at": null,
        "secrets": [
            {"created_at": "2025-11-21T11:00:00.000000Z", "until": null},
            {"created_at": "2025-11-21T10:00:00.000000Z", "until": "2025-11-22T11:00:00.000000Z"}
        ],
        "shadowed": false
    })
}

#[test]
fn one_key_says_everything_and_a_secret_what_to_do_with_it() {
    let shown = show::one(&json!({"key": key()}));
    for line in [
        "id          k7m2p9qa",
        "models      fast-*, m",
        "groups      none",
        "expires     never",
        "old secret  of 2025-11-21T10:00:00.000000Z, works until 2025-11-22T11:00:00.000000Z",
        "on revoke   open streams are cut",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    assert!(!shown.contains("shown once"));
    let shown = show::one(&json!({"key": key(), "secret": "tg-k7m2p9qa-abc"}));
    assert!(shown.starts_with("tg-k7m2p9qa-abc\n\nThis secret is shown once"));
}

#[test]
fn a_table_lines_up_and_can_do_nothing_to_a_terminal() {
    let mut evil = key();
    evil["name"] = json!("\u{1b}[2Jx\u{202e}");
    evil["shadowed"] = json!(true);
    evil["expires_at"] = json!("2027-01-31T10:00:00.000000Z");
    let shown = show::table(&[key(), evil], true);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 4);
    let at = |line: &str, word: &str| line.find(word).unwrap();
    assert_eq!(at(lines[0], "tenant"), at(lines[1], "acme"));
    assert_eq!(at(lines[0], "expires"), at(lines[2], "2027-01-31 10:00"));
    assert!(lines[2].contains("\\u{1b}[2Jx\\u{202e}") && lines[2].contains("shadowed"));
    assert!(lines[3].contains("--limit"));
    assert!(show::table(&[], false).contains("tollgate keys create"));
}
