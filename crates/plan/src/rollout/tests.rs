//! Cases of roll-outs: who is on which side, and when they go by themselves.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn share(percent: f64, tenants: &[&str]) -> Share {
    let tenants = tenants.iter().map(|name| (*name).to_owned()).collect();
    Share::new("0123456789abcdef", percent, tenants).unwrap()
}

fn caller(key: &str, tenant: &str) -> Consumer {
    Consumer::new(key, tenant, "app")
}

fn abort(written: serde_json::Value) -> Abort {
    serde_json::from_value(written).unwrap()
}

fn side(calls: u64, denied: u64, errors: u64) -> SideFigures {
    SideFigures {
        calls,
        denied,
        errors,
        ..SideFigures::default()
    }
}

fn slow(count: u64, from_us: u64, to_us: u64) -> SideFigures {
    let range = Range { from_us, to_us };
    let spread = Spread {
        count,
        p95: range,
        p99: range,
    };
    SideFigures {
        calls: count,
        latency: spread,
        first_token: spread,
        ..SideFigures::default()
    }
}

#[test]
fn a_share_is_about_as_large_as_it_says_and_others_try_the_next_candidate() {
    let callers: Vec<Consumer> = (0..4_000).map(|n| caller(&format!("k{n}"), "t")).collect();
    let of = |share: &Share| -> Vec<bool> {
        let picks = callers.iter().map(|caller| share.pick(caller));
        picks.map(|pick| pick.is_candidate).collect()
    };
    let ten = of(&share(10.0, &[]));
    let count = ten.iter().filter(|is| **is).count();
    assert!((300..500).contains(&count), "{count} of 4000");
    assert_eq!(ten, of(&share(10.0, &[])), "it stays as it is");
    let next = of(&Share::new("fedcba9876543210", 10.0, Vec::new()).unwrap());
    assert_ne!(ten, next);
    assert!(of(&share(0.0, &[])).iter().all(|is| !is));
    assert!(of(&share(100.0, &[])).iter().all(|is| *is));
}

#[test]
fn a_named_tenant_is_in_whatever_its_bucket() {
    let share = share(0.0, &["globex", "acme", "acme"]);
    assert_eq!(share.tenants(), ["acme", "globex"]);
    let pick = share.pick(&caller("k", "acme"));
    assert!(pick.is_candidate && pick.by_tenant);
    assert!(!share.pick(&caller("k", "acm")).is_candidate);
    assert!(!share.pick(&caller("acme", "other")).is_candidate);
}

#[test]
fn what_is_no_share_is_refused() {
    for percent in [-1.0, 100.01, f64::NAN, f64::INFINITY, 0.001] {
        assert!(Share::new("s", percent, Vec::new()).is_err(), "{percent}");
    }
    assert_eq!(share(0.05, &[]).hundredths(), 5);
    assert_eq!(share(33.33, &[]).percent(), 33.33);
    assert!(Share::new("s", 1.0, vec![String::new()]).is_err());
    assert!(Share::new("s", 1.0, vec!["t".to_owned(); 101]).is_err());
}

#[test]
fn a_rate_breaks_its_bound_above_it_and_with_enough_calls_only() {
    let abort = abort(json!({"deny_rate": 0.05, "calls_min": 100, "window_s": 60}));
    let broken = |calls, denied| {
        let candidate = side(calls, denied, 0);
        abort.broken(&Figures {
            candidate,
            ..Figures::default()
        })
    };
    assert_eq!(broken(99, 99), None, "too few calls");
    assert_eq!(broken(100, 5), None, "exactly at the bound");
    let breach = broken(100, 6).unwrap();
    assert_eq!(breach.bound, "deny_rate");
    assert_eq!(
        breach.text,
        "deny_rate is above 0.05: 6 of 100 calls within 60 s"
    );
    // Errors are another matter.
    let errors = Figures {
        candidate: side(100, 0, 100),
        ..Figures::default()
    };
    assert_eq!(abort.broken(&errors), None);
}

#[test]
fn what_callers_gave_up_has_its_own_rate_and_thins_out_no_other() {
    let given_up = |calls, errors, cancelled| SideFigures {
        cancelled,
        ..side(calls, 0, errors)
    };
    let of = |written, known: SideFigures, tried: SideFigures| {
        abort(written).broken(&Figures {
            in_force: known,
            candidate: tried,
        })
    };
    let none = SideFigures::default();
    let rate = json!({"cancelled_rate": 0.5, "calls_min": 10});
    assert_eq!(of(rate.clone(), none, given_up(20, 0, 10)), None);
    let breach = of(rate.clone(), none, given_up(20, 0, 11)).unwrap();
    assert_eq!(
        breach.text,
        "cancelled_rate is above 0.5: 11 of 20 calls within 300 s"
    );
    assert_eq!(of(rate, none, given_up(9, 0, 9)), None, "too few calls");
    let over = json!({"cancelled_rate_over": 0.1, "calls_min": 10});
    let known = given_up(100, 0, 30);
    assert_eq!(of(over.clone(), known, given_up(10, 0, 4)), None);
    assert!(of(over, known, given_up(10, 0, 5)).is_some());

    // Ten of a hundred were answered, and all of these failed.
    let errors = json!({"error_rate": 0.5, "calls_min": 10});
    let breach = of(errors.clone(), none, given_up(100, 10, 90)).unwrap();
    assert!(breach.text.contains("10 of 10 calls"), "{}", breach.text);
    assert_eq!(of(errors, none, given_up(100, 9, 91)), None);
}

#[test]
fn figures_from_before_callers_gave_up_can_be_read() {
    let mut written = serde_json::to_value(side(9, 1, 2)).unwrap();
    written.as_object_mut().unwrap().remove("cancelled");
    let read: SideFigures = serde_json::from_value(written).unwrap();
    assert_eq!(read, side(9, 1, 2));
}

#[test]
fn a_relative_rate_is_held_against_the_plan_in_force() {
    let abort = abort(json!({"error_rate_over": 0.02, "calls_min": 100}));
    let broken = |known: (u64, u64), tried: (u64, u64)| {
        let figures = Figures {
            in_force: side(known.0, 0, known.1),
            candidate: side(tried.0, 0, tried.1),
        };
        abort.broken(&figures).is_some()
    };
    assert!(!broken((1_000, 30), (100, 5)), "5 % is 3 % and 2 %");
    assert!(broken((1_000, 30), (100, 6)));
    assert!(broken((1_000, 0), (100, 3)));
    assert!(!broken((99, 0), (100, 100)), "no measure to go by");
    assert!(!broken((1_000, 0), (99, 99)));
}

#[test]
fn times_are_in_doubt_for_the_candidate() {
    let of = |written, known: SideFigures, tried: SideFigures| {
        abort(written).broken(&Figures {
            in_force: known,
            candidate: tried,
        })
    };
    let none = SideFigures::default();
    for name in [
        "latency_p95_ms",
        "latency_p99_ms",
        "first_token_p95_ms",
        "first_token_p99_ms",
    ] {
        let bound = json!({name: 2_000, "calls_min": 10});
        let at = slow(10, 2_000_000, 2_100_000);
        assert_eq!(of(bound.clone(), none, at), None, "it may be at the bound");
        let above = of(bound.clone(), none, slow(10, 2_000_001, 2_100_000));
        assert_eq!(above.unwrap().bound, name);
        assert_eq!(of(bound, none, slow(9, 9_000_000, 9_100_000)), None);
    }
    let bound = json!({"latency_p95_times": 1.5, "calls_min": 10});
    let known = slow(10, 900_000, 1_000_000);
    assert_eq!(
        of(bound.clone(), known, slow(10, 1_500_000, 1_600_000)),
        None
    );
    let breach = of(bound.clone(), known, slow(10, 1_500_001, 1_600_000)).unwrap();
    assert!(
        breach.text.contains("at most 1000 ms over 10"),
        "{}",
        breach.text
    );
    assert_eq!(of(bound, none, slow(10, 9_000_000, 9_100_000)), None);
}

#[test]
fn conditions_are_read_strictly_and_written_as_they_were_read() {
    let written = json!({
        "deny_rate": 0.05, "error_rate_over": 0.0, "latency_p95_ms": 2000.5,
        "first_token_p99_times": 1.25, "window_s": 60.0, "calls_min": 20.0
    });
    let read = abort(written.clone());
    assert_eq!(serde_json::to_value(&read).unwrap(), written);
    assert_eq!(read.window_s(), 60);
    assert_eq!(abort(json!({"error_rate": 0})).window_s(), 300);
    for (written, says) in [
        (json!({}), "No condition is stated"),
        (json!({"window_s": 60}), "No condition is stated"),
        (json!({"denials": 0.1}), "`denials` is no condition"),
        (json!({"deny_rate": 1.1}), "from 0 to 1"),
        (json!({"deny_rate": -0.1}), "from 0 to 1"),
        (json!({"latency_p95_ms": 0}), "from 1 to 3600000"),
        (json!({"latency_p95_times": 0.9}), "from 1 to 100"),
        (json!({"deny_rate": 0.1, "calls_min": 0}), "`calls_min`"),
        (json!({"deny_rate": 0.1, "window_s": 1.5}), "`window_s`"),
    ] {
        let error = serde_json::from_value::<Abort>(written.clone()).unwrap_err();
        assert!(error.to_string().contains(says), "{written}: {error}");
    }
}

prop_compose! {
    fn any_side()(
        calls in 0u64..500, denied in 0u64..500, errors in 0u64..500, cancelled in 0u64..500,
        count in 0u64..500, p95 in 0u64..5_000_000, more in 0u64..5_000_000
    ) -> SideFigures {
        let (p95, p99) = (
            Range { from_us: p95, to_us: p95 + p95 / 16 },
            Range { from_us: p95 + more, to_us: p95 + more + more / 16 },
        );
        let spread = Spread { count, p95, p99 };
        SideFigures {
            calls,
            denied: denied.min(calls),
            errors: errors.min(calls),
            cancelled: cancelled.min(calls),
            latency: spread,
            first_token: spread,
        }
    }
}

fn strict(calls_min: u64) -> Abort {
    abort(json!({
        "deny_rate": 0, "error_rate": 0, "deny_rate_over": 0, "error_rate_over": 0,
        "cancelled_rate": 0, "cancelled_rate_over": 0,
        "latency_p95_ms": 1, "latency_p99_ms": 1, "latency_p95_times": 1, "latency_p99_times": 1,
        "first_token_p95_ms": 1, "first_token_p99_times": 1, "calls_min": calls_min
    }))
}

proptest! {
    /// The same caller is never taken away by a larger percentage.
    #[test]
    fn a_growing_percentage_only_adds(
        key in "[a-z]{1,8}", tenant in "[a-z]{1,8}", a in 0u16..=10_000, b in 0u16..=10_000
    ) {
        let (less, more) = (a.min(b), a.max(b));
        let who = caller(&key, &tenant);
        let is_in = |hundredths: u16| share(f64::from(hundredths) / 100.0, &[]).pick(&who);
        prop_assert!(!is_in(less).is_candidate || is_in(more).is_candidate);
        prop_assert_eq!(is_in(less).bucket, is_in(more).bucket);
    }

    /// Below the minimum of calls nothing is ever broken.
    #[test]
    fn below_the_minimum_nothing_breaks(in_force in any_side(), candidate in any_side()) {
        let most = candidate.calls.max(candidate.latency.count);
        let figures = Figures { in_force, candidate };
        prop_assert_eq!(strict(most + 1).broken(&figures), None);
    }

    /// Figures that went through the journal give the same answer, and an
    /// answer stays when the candidate's calls only get worse.
    #[test]
    fn the_same_figures_give_the_same_answer(
        in_force in any_side(), candidate in any_side(), calls_min in 1u64..100
    ) {
        let figures = Figures { in_force, candidate };
        let text = serde_json::to_string(&figures).unwrap();
        let again: Figures = serde_json::from_str(&text).unwrap();
        let abort = strict(calls_min);
        prop_assert_eq!(abort.broken(&figures), abort.broken(&again));
        if abort.broken(&figures).is_some() {
            let worse = SideFigures { denied: candidate.calls, errors: candidate.calls, ..candidate };
            let figures = Figures { in_force, candidate: worse };
            prop_assert!(abort.broken(&figures).is_some());
        }
    }

    /// A side is never worse than itself.
    #[test]
    fn equal_sides_break_no_relative_bound(side in any_side()) {
        let abort = abort(json!({
            "deny_rate_over": 0, "error_rate_over": 0, "cancelled_rate_over": 0,
            "latency_p95_times": 1, "latency_p99_times": 1, "first_token_p95_times": 1, "first_token_p99_times": 1,
            "calls_min": 1
        }));
        let figures = Figures { in_force: side, candidate: side };
        prop_assert_eq!(abort.broken(&figures), None);
    }
}
