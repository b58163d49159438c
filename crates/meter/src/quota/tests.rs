//! Cases of scopes and counters.

use super::*;

fn quota(by: &[Dimension], only: &[(Dimension, &[&str])]) -> Quota {
    let only = only.iter().map(|(dimension, values)| {
        let values = values.iter().map(|value| (*value).to_owned());
        (*dimension, values.collect())
    });
    Quota::new(QuotaSpec {
        name: "q".into(),
        kind: QuotaKind::Budget,
        measure: Measure::Cost,
        limit: 10,
        pace: Pace::Window(Window::Forever),
        scope: Scope {
            by: by.to_vec(),
            only: only.collect(),
        },
        hold: Hold::Enforce,
        overrides: vec![Override {
            limit: 20,
            from_us: 5,
            until_us: 8,
        }],
        thresholds: Vec::new(),
        queue: None,
        usual: None,
    })
}

#[test]
fn counters_are_apart_by_value_and_never_run_together() {
    let both = quota(&[Dimension::Tenant, Dimension::User], &[]);
    let of = |tenant, user| {
        both.counter(&Subject {
            tenant,
            user,
            ..Subject::default()
        })
    };
    assert_ne!(of("a", "bc"), of("ab", "c"));
    assert_eq!(of("a", "b"), of("a", "b"));
    let one = quota(&[], &[]);
    let anybody = |tenant| {
        one.counter(&Subject {
            tenant,
            ..Subject::default()
        })
    };
    assert_eq!(anybody("a"), anybody("b"));
}

/// What stands in ledgers and on servers of counters.
#[test]
fn a_counter_stays_what_it_was() {
    let of = quota(&[Dimension::Tenant, Dimension::User], &[]);
    let long = "u".repeat(300);
    for (tenant, user) in [("acme", "ann"), ("", ""), ("acme", &long)] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&of.digest.to_le_bytes());
        write(&mut hasher, tenant);
        write(&mut hasher, user);
        let subject = Subject {
            tenant,
            user,
            ..Subject::default()
        };
        assert_eq!(of.counter(&subject), digest(&hasher));
    }
}

#[test]
fn a_scope_takes_only_its_calls() {
    let gpt = quota(
        &[],
        &[
            (Dimension::Tenant, &["acme", "beta"]),
            (Dimension::Model, &["gpt-*"]),
        ],
    );
    let takes = |tenant, model| {
        gpt.scope.takes(&Subject {
            tenant,
            model,
            ..Subject::default()
        })
    };
    assert!(takes("acme", "gpt-5"));
    assert!(takes("beta", "gpt-5-mini"));
    assert!(!takes("acme", "claude"));
    assert!(!takes("other", "gpt-5"));
    assert!(!gpt.is_of_attempt());
    assert!(quota(&[Dimension::Provider], &[]).is_of_attempt());
    assert!(quota(&[], &[(Dimension::Account, &["x"])]).is_of_attempt());
}

#[test]
fn an_override_holds_for_its_time() {
    let quota = quota(&[], &[]);
    let limits: Vec<i64> = [4, 5, 7, 8].map(|now| quota.limit_at(now)).to_vec();
    assert_eq!(limits, [10, 20, 20, 10]);
}

#[test]
fn amounts_are_never_negative() {
    let amounts = Amounts {
        input: u64::MAX,
        output: 7,
        cost: -5,
    };
    let of = Measure::ALL.map(|measure| amounts.of(measure));
    assert_eq!(of, [1, i64::MAX, 7, i64::MAX, 0, 1]);
}
