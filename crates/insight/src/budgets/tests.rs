//! Cases of counters as they stand: what a tenant sees, and which windows.

use meter::{Hold, QuotaSpec, Scope, Window};

use super::*;

const DAY_US: u64 = 86_400_000_000;
const NOW_US: u64 = 20_000 * DAY_US + DAY_US / 2;

fn spec(name: &str, by: &[Dimension]) -> QuotaSpec {
    QuotaSpec {
        name: name.into(),
        kind: QuotaKind::Budget,
        measure: Measure::Cost,
        limit: 10_000_000_000,
        pace: Pace::Window(Window::Fixed {
            length_s: 86_400,
            anchor_s: 0,
        }),
        scope: Scope {
            by: by.to_vec(),
            only: Vec::new(),
        },
        hold: Hold::Enforce,
        overrides: Vec::new(),
        thresholds: Vec::new(),
        queue: None,
        usual: None,
    }
}

fn level(quota: &str, counter: u128, scope: &str, day: u64, settled: i64) -> Level {
    Level {
        quota: quota.into(),
        measure: Measure::Cost,
        counter,
        scope: scope.into(),
        span: Span {
            from_us: day * DAY_US,
            until_us: (day + 1) * DAY_US,
        },
        settled,
        reserved: 1_000_000_000,
        elsewhere: 0,
    }
}

fn names(budgets: &Budgets) -> Vec<(String, String)> {
    let rows = budgets.table.objects();
    let rows = rows.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let names = rows
        .iter()
        .map(|row| (text(&row["name"]), text(&row["scope"])));
    names.collect()
}

fn counted() -> (Counted, Quotas) {
    let own = QuotaSpec {
        scope: Scope {
            by: vec![Dimension::User],
            only: vec![(Dimension::Tenant, vec!["acme".to_owned()])],
        },
        ..spec("own", &[])
    };
    let quotas = Quotas::new([
        spec("each", &[Dimension::Tenant, Dimension::User]),
        spec("users", &[Dimension::User, Dimension::Tenant]),
        own,
        spec("all", &[]),
    ]);
    let levels = vec![
        level("each", 1, "tenant=acme, user=ann", 20_000, 4_000_000_000),
        level("each", 2, "tenant=acme2, user=ann", 20_000, 0),
        level("each", 3, "tenant=other, user=x, tenant=acme", 20_000, 0),
        level("users", 4, "user=x, tenant=acme", 20_000, 0),
        level("own", 5, "user=ann", 20_000, 9_500_000_000),
        // Yesterday's, which a call still holds, and one of no quota.
        level("each", 1, "tenant=acme, user=ann", 19_999, 7_000_000_000),
        level("gone", 9, "tenant=acme", 20_000, 0),
    ];
    let counted = Counted {
        levels,
        debts: vec![(Measure::Cost, 5), (Measure::Tokens, 7)],
        of_keys: Vec::new(),
    };
    (counted, quotas)
}

#[test]
fn a_tenant_sees_its_own_counters_and_no_others() {
    let (counted, quotas) = counted();
    let own = budgets(&counted, &quotas, Some("acme"), NOW_US);
    let pair = |name: &str, scope: &str| (name.to_owned(), scope.to_owned());
    let expected = [
        pair("own", "user=ann"),
        pair("each", "tenant=acme, user=ann"),
    ];
    assert_eq!(names(&own), expected);
    assert_eq!(own.report()["debts_since_start"], json!([]));
    assert_eq!(names(&budgets(&counted, &quotas, Some("acm"), NOW_US)), []);
    let all = budgets(&counted, &quotas, None, NOW_US);
    assert_eq!(all.table.rows.len(), 6);
    let debts = json!([
        {"measure": "cost", "debt": "0.000000005"},
        {"measure": "tokens", "debt": 7},
    ]);
    assert_eq!(all.report()["debts_since_start"], debts);
}

#[test]
fn a_line_tells_level_window_and_forecast() {
    let (counted, quotas) = counted();
    let told = budgets(&counted, &quotas, None, NOW_US).report();
    let rows = told["rows"].as_array().cloned().unwrap_or_default();
    let find = |name: &str| rows.iter().find(|row| row["name"] == name).cloned();
    let each = rows
        .iter()
        .find(|row| row["scope"] == "tenant=acme, user=ann");
    let each = each.cloned().unwrap_or_default();
    // Five of ten dollars in half of a day: the line ends with the window.
    assert_eq!(
        (&each["settled"], &each["left"]),
        (&json!("4.00"), &json!("5.00"))
    );
    assert_eq!(each["used_percent"], "50.0");
    assert_eq!(each["forecast"], "lasts");
    let own = find("own").unwrap_or_default();
    assert_eq!(own["forecast"], "exhausted");
    assert_eq!(own["left"], "-0.50");
    let all = find("all").unwrap_or_default();
    assert_eq!(
        (&all["settled"], &all["forecast"]),
        (&json!("0.00"), &json!("lasts"))
    );
    let until = crate::cell::moment(20_001 * DAY_US);
    assert_eq!(all["window_to"], until);
}

#[test]
fn a_window_that_moves_is_the_sum_of_its_pieces() {
    let moving = QuotaSpec {
        pace: Pace::Window(Window::Sliding {
            length_ms: 2 * 86_400_000,
        }),
        ..spec("moving", &[])
    };
    let quotas = Quotas::new([moving]);
    let levels = [19_996, 19_998, 19_999, 20_000];
    let levels = levels.map(|day| level("moving", 1, "", day, 1_000_000_000));
    let counted = Counted {
        levels: levels.to_vec(),
        debts: Vec::new(),
        of_keys: Vec::new(),
    };
    let told = budgets(&counted, &quotas, None, NOW_US).report();
    assert_eq!(told["rows"][0]["settled"], "3.00");
    assert_eq!(told["rows"][0]["forecast"], "no_window");
    assert_eq!(told["rows"].as_array().map(Vec::len), Some(1));
}

#[test]
fn answers_are_bounded() {
    let quotas = Quotas::new([spec("each", &[Dimension::Tenant])]);
    let levels = (0..1_500).map(|n| level("each", n, &format!("tenant={n}"), 20_000, 1));
    let counted = Counted {
        levels: levels.collect(),
        debts: Vec::new(),
        of_keys: Vec::new(),
    };
    let some = budgets(&counted, &quotas, None, NOW_US);
    assert_eq!((some.table.rows.len(), some.more), (ROWS_MAX, true));
}

/// Limits of keys are called the same and differ by key; one that nobody has
/// drawn on is whole.
#[test]
fn limits_of_keys_are_told_by_their_own_amounts() {
    let of = |counter, key: &str, limit| KeyCounter {
        counter,
        scope: format!("tenant=acme, key={key}"),
        quota: Arc::new(Quota::new(QuotaSpec {
            limit,
            ..spec("key/cost/day", &[Dimension::Tenant, Dimension::Key])
        })),
    };
    let counted = Counted {
        levels: vec![level(
            "key/cost/day",
            1,
            "tenant=acme, key=k1",
            20_000,
            1_000_000_000,
        )],
        debts: Vec::new(),
        of_keys: vec![of(1, "k1", 4_000_000_000), of(2, "k2", 8_000_000_000)],
    };
    let told = budgets(&counted, &Quotas::default(), Some("acme"), NOW_US).report();
    let line = |nth: usize, name: &str| told["rows"][nth][name].clone();
    assert_eq!(line(0, "scope"), "tenant=acme, key=k1");
    assert_eq!(line(0, "limit"), "4.00");
    assert_eq!(line(0, "settled"), "1.00");
    assert_eq!(line(1, "limit"), "8.00");
    assert_eq!(line(1, "settled"), "0.00");
    let other = budgets(&counted, &Quotas::default(), Some("other"), NOW_US).report();
    assert_eq!(other["rows"], json!([]));
}

#[test]
fn what_other_replicas_use_is_not_left() {
    let shared = Level {
        elsewhere: 6_000_000_000,
        ..level("each", 1, "", 20_000, 1_000_000_000)
    };
    let counted = Counted {
        levels: vec![shared],
        debts: Vec::new(),
        of_keys: Vec::new(),
    };
    let told = budgets(&counted, &Quotas::new([spec("each", &[])]), None, NOW_US).report();
    let row = &told["rows"][0];
    assert_eq!(row["settled"], "1.00");
    assert_eq!(row["elsewhere"], "6.00");
    assert_eq!(row["left"], "2.00");
    assert_eq!(row["used_percent"], "80.0");
}
