//! Limits and budgets of one key.

use meter::{Measure, Pace, QuotaKind, Subject};

use crate::{KeyLimits, key_quotas};

fn limits(json: &str) -> KeyLimits {
    serde_json::from_str(json).expect("limits of a key")
}

#[test]
fn a_key_has_limits_and_budgets_like_a_document() {
    let all = limits(
        r#"{"rate_limits":[{"limit":60,"per":"1m"},{"measure":"tokens","limit":"100000","per":"1m"},
            {"measure":"concurrency","limit":4}],
            "budgets":[{"limit":12.50,"window":"month","time_zone":"Europe/Berlin"}]}"#,
    );
    let quotas = key_quotas(&all).expect("sound");
    let names: Vec<&str> = quotas.all().iter().map(|it| &*it.name).collect();
    assert_eq!(
        names,
        [
            "key/requests/1m",
            "key/tokens/1m",
            "key/concurrency",
            "key/cost/month"
        ]
    );
    let budget = &quotas.all()[3];
    assert_eq!(
        (budget.kind, budget.measure),
        (QuotaKind::Budget, Measure::Cost)
    );
    assert_eq!(budget.limit_at(0), 12_500_000_000);
    assert!(matches!(quotas.all()[0].pace, Pace::Gcra { burst: 60, .. }));
    let of = |tenant, key| {
        budget.counter(&Subject {
            tenant,
            key,
            ..Subject::default()
        })
    };
    assert_ne!(of("a", "k1"), of("a", "k2"), "each key has its own");
    // What is written down is read again as the same.
    let again = serde_json::to_string(&all).expect("JSON");
    assert_eq!(serde_json::to_string(&limits(&again)).expect("JSON"), again);
}

#[test]
fn what_is_wrong_with_the_limits_of_a_key_is_told_by_its_field() {
    let cases = [
        (r#"{"rate_limits":[{"limit":60}]}"#, "rate_limits[0]"),
        (
            r#"{"rate_limits":[{"limit":-1,"per":"1m"}]}"#,
            "rate_limits[0].limit",
        ),
        (
            r#"{"budgets":[{"limit":"a lot","window":"day"}]}"#,
            "budgets[0].limit",
        ),
        (
            r#"{"budgets":[{"limit":1,"window":"fortnight"}]}"#,
            "budgets[0].window",
        ),
        (
            r#"{"budgets":[{"limit":1,"window":"day"},{"limit":2,"window":"day"}]}"#,
            "budgets[1]",
        ),
    ];
    for (json, field) in cases {
        let wrong = key_quotas(&limits(json)).expect_err(json);
        assert_eq!(wrong[0].path, field, "{json}: {wrong:?}");
    }
    let many = [r#"{"limit":1,"per":"1m"}"#; 9].join(",");
    let wrong = key_quotas(&limits(&format!("{{\"rate_limits\":[{many}]}}")));
    assert_eq!(wrong.expect_err("too many")[0].path, "rate_limits");
    assert!(serde_json::from_str::<KeyLimits>(r#"{"rpm":60}"#).is_err());
}
