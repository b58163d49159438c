//! Cases of the columns that reports go by.

use super::*;
use crate::record::Decision;

fn decision(stage: &'static str, rule: &'static str, verdict: &'static str) -> Decision {
    Decision {
        stage: stage.into(),
        rule: Some(rule.into()),
        verdict: verdict.into(),
        ..Decision::default()
    }
}

#[test]
fn the_limit_that_refused_comes_before_those_that_would_have() {
    let mut record = Record::default();
    assert_eq!(row(&record).limit, None);
    record
        .decisions
        .push(decision("policy", "no-tools", "deny"));
    record.decisions.push(decision("budget", "soft", "alert"));
    assert_eq!(row(&record).limit, None);
    record
        .decisions
        .push(decision("rate_limit", "trial", "would_deny"));
    let hit = row(&record).limit.unwrap();
    assert_eq!((&*hit.name, &*hit.verdict), ("trial", "would_deny"));
    record.decisions.push(decision("budget", "month", "refuse"));
    let hit = row(&record).limit.unwrap();
    assert_eq!(
        (&*hit.name, &*hit.kind, &*hit.verdict),
        ("month", "budget", "deny")
    );
}

#[test]
fn a_cost_centre_is_a_tag() {
    let mut record = Record::default();
    assert_eq!(row(&record).cost_center, "");
    let tags = "a=b,cost_center=cc 4711,x=y";
    record.metadata.push(("tags".into(), tags.into()));
    assert_eq!(row(&record).cost_center, "cc 4711");
}

#[test]
fn attempts_with_a_bill_of_their_own_are_legs() {
    let mut record = Record {
        cost_nanos: Some(30),
        ..Record::default()
    };
    record.attempts.push(Attempt {
        provider: "first".into(),
        cost_nanos: Some(10),
        usage: Some(Usage {
            input: 5,
            cached_write: 2,
            cached_write_1h: 1,
            source: UsageSource::Estimated,
            ..Usage::default()
        }),
        ..Attempt::default()
    });
    record.attempts.push(Attempt {
        provider: "second".into(),
        committed: true,
        ..Attempt::default()
    });
    let row = row(&record);
    assert_eq!((&*row.provider, row.legs.len()), ("second", 1));
    let leg = &row.legs[0];
    assert_eq!(
        (&*leg.provider, leg.cost_nanos, leg.input_tokens),
        ("first", 10, 8)
    );
    assert_eq!((leg.cached_write_tokens, leg.estimated), (3, true));
}
