//! Cases of the metrics: values, caps, hostile labels, and a sound page.

use std::collections::BTreeMap;

use super::*;
use crate::tests::sample;

/// Name and labels to value, and checks that the page is sound: each line is
/// a comment or one sample, no sample occurs twice, and it ends with EOF.
fn page(meter: &Arc<Meter>) -> BTreeMap<String, f64> {
    let text = meter.render();
    assert!(text.ends_with("# EOF\n"));
    let mut samples = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let twice = samples.insert(name.to_owned(), value.parse().unwrap());
        assert_eq!(twice, None, "{name}");
    }
    samples
}

fn key<'a>(model: &'a str, tenant: &'a str) -> RouteKey<'a> {
    RouteKey {
        dialect: "openai",
        operation: "chat",
        provider: "acme",
        model,
        tenant,
        use_case: "",
    }
}

#[test]
fn an_exchange_shows_in_every_family() {
    let meter = Arc::new(Meter::new());
    let route = meter.route(&key("a-1", "t"));
    let live = (meter.enter(), meter.enter(), meter.open_stream());
    meter.count(&sample::usual(), &route);
    let mut broken = sample::full();
    broken.status = 502;
    meter.count(&broken, &route);
    meter.plan_in_force("9f2c");
    meter.reloaded("applied");
    let page = page(&meter);
    for (name, value) in [
        (
            r#"tollgate_requests_total{dialect="openai",operation="chat",provider="acme",model="a-1",status="200"}"#,
            1.0,
        ),
        (
            r#"tollgate_requests_total{dialect="openai",operation="chat",provider="acme",model="a-1",status="502"}"#,
            1.0,
        ),
        (
            r#"tollgate_faults_total{kind="upstream_broken",origin="provider"}"#,
            1.0,
        ),
        (r#"tollgate_outcomes_total{outcome="complete"}"#, 1.0),
        (r#"tollgate_outcomes_total{outcome="cut"}"#, 1.0),
        (r#"tollgate_usage_total{source="provider"}"#, 1.0),
        (r#"tollgate_usage_total{source="estimated"}"#, 1.0),
        ("tollgate_usage_flawed_total", 0.0),
        (
            r#"tollgate_tokens_total{provider="acme",model="a-1",class="input"}"#,
            291.0,
        ),
        (
            r#"tollgate_tokens_total{provider="acme",model="a-1",class="image_in"}"#,
            9.0,
        ),
        (r#"tollgate_tenant_requests_total{tenant="t"}"#, 2.0),
        (
            r#"tollgate_tenant_tokens_total{tenant="t",direction="output"}"#,
            410.0 + 19.0,
        ),
        (
            r#"tollgate_request_duration_seconds_count{operation="chat",provider="acme",model="a-1"}"#,
            2.0,
        ),
        (
            r#"tollgate_request_duration_seconds_bucket{le="0.64",operation="chat",provider="acme",model="a-1"}"#,
            0.0,
        ),
        (
            r#"tollgate_request_duration_seconds_bucket{le="1.28",operation="chat",provider="acme",model="a-1"}"#,
            2.0,
        ),
        (
            r#"tollgate_request_duration_seconds_bucket{le="+Inf",operation="chat",provider="acme",model="a-1"}"#,
            2.0,
        ),
        (
            r#"tollgate_time_to_first_token_seconds_sum{operation="chat",provider="acme",model="a-1"}"#,
            0.68,
        ),
        (
            r#"tollgate_overhead_seconds_bucket{le="0.00006",dialect="openai",operation="chat"}"#,
            2.0,
        ),
        ("tollgate_in_flight", 2.0),
        ("tollgate_open_streams", 1.0),
        (r#"tollgate_plan_info{digest="9f2c"}"#, 1.0),
        (r#"tollgate_reloads_total{outcome="applied"}"#, 1.0),
    ] {
        assert_eq!(page.get(name), Some(&value), "{name} in {page:#?}");
    }
    drop(live);
    let page = self::page(&meter);
    assert_eq!(
        (page["tollgate_in_flight"], page["tollgate_open_streams"]),
        (0.0, 0.0)
    );
}

#[test]
fn families_are_capped_and_the_overflow_is_counted() {
    let meter = Arc::new(Meter::new());
    for n in 0..1_200 {
        let (model, tenant) = (format!("m{n}"), format!("t{n}"));
        meter.count(&sample::usual(), &meter.route(&key(&model, &tenant)));
    }
    let page = page(&meter);
    let sum = |name: &str| -> f64 {
        page.iter()
            .filter(|(sample, _)| sample.starts_with(name))
            .map(|(_, value)| value)
            .sum()
    };
    assert_eq!(sum("tollgate_requests_total{"), 1_200.0);
    assert_eq!(sum("tollgate_tenant_requests_total{"), 1_200.0);
    let other = r#"tollgate_requests_total{dialect="openai",operation="chat",provider="other",model="other",status="200"}"#;
    assert_eq!(page[other], 200.0);
    assert_eq!(
        page[r#"tollgate_tenant_requests_total{tenant="other"}"#],
        700.0
    );
    assert_eq!(
        page[r#"tollgate_metric_overflow_total{family="requests"}"#],
        200.0
    );
    assert_eq!(
        page[r#"tollgate_metric_overflow_total{family="tenants"}"#],
        700.0
    );
}

/// Callers name use cases, so their number is bounded, and what is beyond is
/// counted under `other`.
#[test]
fn use_cases_are_counted_up_to_a_cap() {
    let meter = Arc::new(Meter::new());
    let count = |use_case: &str| {
        let key = RouteKey {
            use_case,
            ..key("m", "t")
        };
        meter.count(&sample::usual(), &meter.route(&key));
    };
    count("");
    for n in 0..600 {
        count(&format!("case-{n}"));
    }
    let page = page(&meter);
    let of = |use_case: &str, tenant: &str| {
        format!(r#"tollgate_use_case_requests_total{{tenant="{tenant}",use_case="{use_case}"}}"#)
    };
    assert_eq!(page[&of("case-7", "t")], 1.0);
    assert_eq!(page[&of("other", "other")], 100.0);
    assert!(!page.contains_key(&of("", "t")), "a call that names none");
    assert_eq!(
        page[r#"tollgate_metric_overflow_total{family="use_cases"}"#],
        100.0
    );
}

#[test]
fn hostile_labels_stay_labels() {
    let meter = Arc::new(Meter::new());
    let long = "x".repeat(10_000);
    for model in [
        "a\"} 1\ntollgate_forged_total 1",
        "back\\slash",
        "{}",
        &long,
    ] {
        meter.count(&sample::usual(), &meter.route(&key(model, model)));
    }
    let page = page(&meter);
    assert!(
        page.keys()
            .all(|name| !name.starts_with("tollgate_forged") && name.len() < 500)
    );
}

#[test]
fn statuses_and_words_out_of_the_ordinary_are_counted() {
    let meter = Arc::new(Meter::new());
    let route = meter.route(&RouteKey::default());
    for status in [0, 201, 302, 418, 599, 999] {
        let mut record = sample::usual();
        record.status = status;
        record.fault = Some(FaultNote {
            kind: "no such kind".into(),
            ..FaultNote::default()
        });
        meter.count(&record, &route);
    }
    let page = page(&meter);
    let status = |status: &str| {
        page[&format!(
            r#"tollgate_requests_total{{dialect="",operation="",provider="",model="",status="{status}"}}"#
        )]
    };
    assert_eq!(
        ["none", "2xx", "3xx", "4xx", "5xx"].map(status),
        [2.0, 1.0, 1.0, 1.0, 1.0]
    );
    assert_eq!(
        page[r#"tollgate_faults_total{kind="internal",origin="gateway"}"#],
        6.0
    );
}

#[test]
fn gauges_of_other_rooms_are_read_when_rendered() {
    let meter = Arc::new(Meter::new());
    meter.watch("tollgate_pool_connections", "Open connections", || {
        let labels = vec![("endpoint", "https://a.example".to_owned())];
        vec![Sample { labels, value: 3.0 }]
    });
    meter.watch("tollgate_approvals_pending", "Calls that wait", || {
        let labels = Vec::new();
        vec![Sample { labels, value: 2.0 }]
    });
    let page = page(&meter);
    assert_eq!(page["tollgate_approvals_pending"], 2.0);
    assert_eq!(
        page[r#"tollgate_pool_connections{endpoint="https://a.example"}"#],
        3.0
    );
}

#[test]
fn a_roll_out_shows_its_share_and_both_sides() {
    use crate::sides::Side;
    let meter = Arc::new(Meter::new());
    assert!(meter.sides().is_none());
    meter.rollout_begins();
    meter.rollout_share(Some(("0123456789abcdef", 0.25)));
    let sides = meter.sides().unwrap();
    meter.count_side(&sides, Side::InForce, &sample::usual());
    let denied = Record {
        fault: Some(FaultNote {
            kind: "forbidden".into(),
            ..FaultNote::default()
        }),
        ..sample::usual()
    };
    meter.count_side(&sides, Side::Candidate, &denied);
    meter.count_side(&sides, Side::Candidate, &denied);
    let shown = page(&meter);
    assert_eq!(
        shown[r#"tollgate_plan_rollout_share{candidate="0123456789abcdef"}"#],
        0.25
    );
    for (side, outcome, count) in [("in_force", "ok", 1.0), ("candidate", "denied", 2.0)] {
        let name = format!(r#"tollgate_plan_calls_total{{side="{side}",outcome="{outcome}"}}"#);
        assert_eq!(shown[&name], count);
    }
    meter.rollout_share(None);
    meter.rollout_ended("aborted");
    assert!(meter.sides().is_none());
    let page = page(&meter);
    assert!(!page.keys().any(|name| name.contains("rollout_share")));
    assert_eq!(
        page[r#"tollgate_plan_rollouts_total{outcome="aborted"}"#],
        1.0
    );
    // What was counted stays counted.
    assert_eq!(
        page[r#"tollgate_plan_calls_total{side="candidate",outcome="denied"}"#],
        2.0
    );
}
