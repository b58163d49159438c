//! Cases of `tollgate approvals`: what is asked for what was typed, and what
//! is printed.

use clap::Parser;

use super::*;
use crate::{Cli, Command};

fn typed(words: &[&str]) -> ApprovalsCommand {
    let words = ["tollgate", "approvals"].iter().chain(words);
    match Cli::try_parse_from(words).map(Cli::command) {
        Ok(Command::Approvals(args)) => args.command,
        other => panic!("{other:?}"),
    }
}

fn approval() -> Value {
    json!({
        "id": "apr-1", "state": "pending", "tenant": "acme", "app": "web", "key": "k",
        "user": "ann\u{1b}[2J\nroot", "owner": null, "model": "m", "request_id": "r",
        "needs": [{"rule": "r", "layer": "organisation", "what": "tool send_mail"}],
        "approvers": 2, "body": "00", "asked_at": "then", "expires_at": "later",
        "votes": [{"by": "bob", "at": "now", "approves": true, "note": "fine\r\u{202e}"}],
        "used_at": "then", "used_by": "r2"
    })
}

#[test]
fn what_is_typed_is_what_is_asked() {
    let all = [
        "list", "--tenant", "a&b=c", "--state", "pending", "-n", "5000",
    ];
    match typed(&all) {
        ApprovalsCommand::List(args) => assert_eq!(
            args.path(),
            "/v1/approvals?limit=1000&tenant=a%26b%3Dc&state=pending"
        ),
        other => panic!("{other:?}"),
    }
    match typed(&["approve", "apr-1", "--note", "seen", "--json"]) {
        ApprovalsCommand::Approve(args) => {
            assert_eq!(args.note.as_deref(), Some("seen"));
            assert!(args.one.json);
        }
        other => panic!("{other:?}"),
    }
    // An id leads nowhere else.
    assert_eq!(path("../plans", "/deny"), "/v1/approvals/..%2Fplans/deny");
}

#[test]
fn what_callers_say_does_nothing_to_a_terminal() {
    let one = json!({"approval": approval()});
    let all = json!({"approvals": [approval()], "next": 7});
    for text in [
        shown(&one, false),
        table(&all, false),
        shown(&one, true),
        table(&all, true),
    ] {
        let is_plain = |c: char| c == '\n' || (!c.is_control() && c != '\u{202e}');
        assert!(text.chars().all(is_plain), "{text:?}");
        assert!(text.contains("tool send_mail"), "{text}");
    }
    let text = shown(&one, false);
    assert!(text.lines().all(|line| !line.starts_with("root")), "{text}");
    assert!(text.contains("approved  by bob at now: fine"), "{text}");
    assert!(text.contains("needs     2 to approve"), "{text}");
    assert!(text.contains("used      at then by call r2"), "{text}");
    assert!(table(&all, false).contains("There are more"));
    assert_eq!(table(&json!({"approvals": []}), false), "No approvals.\n");
}
