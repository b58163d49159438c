//! Cases of the report: its parts make its total.

use store::index::spend::{Group, ModelRow};

use super::*;

fn of(cost_nanos: i128) -> Sums {
    Sums {
        calls: 2,
        cost_nanos,
        ..Sums::default()
    }
}

#[test]
fn groups_and_rest_are_the_total() {
    let group = |name: &str, cost| Group {
        keys: vec![Key::Text(name.to_owned())],
        sums: of(cost),
    };
    let spent = Spent {
        groups: vec![group("acme", 1_000_000_001), group("", -1)],
        total: Sums {
            calls: 5,
            ..of(1_000_000_007)
        },
        more: true,
    };
    let within = Within {
        until_us: 86_400_000_000,
        ..Within::default()
    };
    let told = report(&[Dimension::Tenant], &spent, &within);
    assert_eq!(told["rows"][0]["tenant"], "acme");
    assert_eq!(told["rows"][0]["cost_usd"], "1.000000001");
    assert_eq!(told["rows"][1]["tenant"], Value::Null);
    assert_eq!(told["rest"]["cost_usd"], "0.000000007");
    assert_eq!(told["rest"]["calls"], 1);
    assert_eq!(told["total"]["cost_usd"], "1.000000007");
    assert_eq!(told["to"], "1970-01-02T00:00:00Z");
    let whole = Spent {
        more: false,
        ..spent
    };
    assert_eq!(report(&[], &whole, &within)["rest"], Value::Null);
}

#[test]
fn models_show_success_and_cost_of_a_call() {
    let row = ModelRow {
        model: "m".to_owned(),
        calls: 8,
        succeeded: 7,
        priced: 3,
        cost_nanos: 100,
        first_token_p50_us: Some(9),
        ..ModelRow::default()
    };
    let told = models(&Models {
        rows: vec![row, ModelRow::default()],
        more: false,
    });
    let told = told.objects();
    assert_eq!(told[0]["success_percent"], "87.5");
    assert_eq!(told[0]["cost_per_call_usd"], "0.000000033");
    assert_eq!(told[0]["unpriced_calls"], 5);
    assert_eq!(told[0]["first_token_p95_us"], Value::Null);
    assert_eq!(told[1]["cost_per_call_usd"], Value::Null);
}
