//! Cases of what is asked and printed.

use clap::Parser;

use super::*;
use crate::{Cli, Command};

fn typed(words: &[&str]) -> SpendArgs {
    let words = ["tollgate", "spend"].iter().chain(words);
    match Cli::try_parse_from(words).map(Cli::command) {
        Ok(Command::Spend(args)) => *args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_typed_cannot_become_another_parameter() {
    let args = typed(&["--tenant", "a&tenant=b#", "--from", "7d"]);
    let target = target("/v1/spend", &args.within.pairs());
    assert_eq!(target, "/v1/spend?from=7d&tenant=a%26tenant%3Db%23");
}

#[test]
fn columns_and_models_are_pairs() {
    let args = typed(&[
        "reconcile",
        "f.csv",
        "--columns",
        "date=day,input=a+b",
        "--model",
        "x=y=z",
    ]);
    let Some(SpendCommand::Reconcile(args)) = args.command else {
        panic!("another command");
    };
    assert_eq!(
        object(&args.columns),
        json!({"date": "day", "input": "a+b"})
    );
    assert_eq!(object(&args.models), json!({"x": "y=z"}));
    assert!(pair("day").is_err() && pair("=x").is_err());
}

#[test]
fn a_report_shows_what_says_something() {
    let told = json!({
        "rows": [
            {"tenant": "acme", "calls": 12, "failed": 0, "cost_usd": "1.25", "reasoning_tokens": 0},
            {"tenant": "e\u{1b}[2J", "calls": 3, "failed": 0, "cost_usd": "0.00", "reasoning_tokens": 7},
        ],
        "total": {"calls": 15, "cost_usd": "1.25", "reasoning_tokens": 7, "unpriced_calls": 2},
        "more": false, "records_to_come": 4,
    });
    assert_eq!(
        show::report(&told),
        "tenant      calls  cost_usd  reasoning_tokens\n\
         acme           12      1.25                 0\n\
         e\\u{1b}[2J      3      0.00                 7\n\
         total          15      1.25                 7\n\
         2 calls used tokens whose price nobody knows: they are not in the cost.\n\
         4 records are not in the index yet, nor in this report.\n"
    );
    let nothing = json!({"rows": [], "more": false});
    assert_eq!(show::report(&nothing), "There is nothing to show.\n");
}
