//! Cases of history at other prices.

use evidence::RequestId;
use serde_json::Value;

use super::*;

struct NoSources;

impl plan::Sources for NoSources {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("there are no files here".to_owned())
    }
}

const FILE: &str = "tollgate-prices 1\nsource test 1 MIT https://prices.example\n\
    provider sandbox\necho in=2 read=0.2 out=8\n";

fn plan() -> Plan {
    let text = "providers:\n  box: {kind: sandbox}\nmodels:\n  small: box/echo\n";
    let given = plan::Given {
        sources: &NoSources,
        ring_key: [1; 32],
        digest_key: [2; 32],
    };
    let draft = plan::read(text, &NoSources).unwrap_or_else(|faults| panic!("{faults:?}"));
    match plan::compile(&draft, &given) {
        Ok(compiled) => compiled.plan,
        Err(faults) => panic!("{faults:?}"),
    }
}

fn record(provider: &str, operation: &'static str) -> Record {
    let mut record = Record::begin(RequestId::mint(1, 1), 1_763_719_200_000_000);
    record.operation = operation.into();
    record.usage = Usage {
        input: 1_000,
        cached_read: 500,
        output: 100,
        ..Usage::default()
    };
    record.attempts.push(Attempt {
        provider: provider.into(),
        model: "echo".into(),
        committed: true,
        ..Attempt::default()
    });
    record
}

fn told(repricing: &Repricing) -> Vec<Value> {
    let rows = repricing.table().objects();
    rows.as_array().cloned().unwrap_or_default()
}

#[test]
fn recorded_usage_is_priced_anew_class_by_class() {
    let (plan, prices) = (
        plan(),
        prices_of(FILE).unwrap_or_else(|why| panic!("{why}")),
    );
    let mut repricing = Repricing::default();
    let mut dear = record("box", "chat");
    dear.cost_nanos = Some(5_000_000);
    dear.price_version = Some("old".into());
    dear.attempts[0].committed = false;
    dear.attempts[0].usage = Some(Usage {
        output: 10,
        ..Usage::default()
    });
    // The first attempt was billed, and the second one answered.
    dear.attempts[0].cost_nanos = Some(1_000_000);
    dear.attempts
        .push(record("box", "chat").attempts[0].clone());
    repricing.add(&dear, &plan, &prices);
    repricing.add(&record("box", "chat"), &plan, &prices);
    // Without a price: nobody has this provider any more.
    repricing.add(&record("gone", "chat"), &plan, &prices);
    // Free, and never priced.
    repricing.add(&record("box", "count_tokens"), &plan, &prices);
    let rows = told(&repricing);
    let of = |name: &str| rows.iter().find(|row| row["provider"] == name).cloned();
    let own = of("box").unwrap_or_default();
    // 1000 * 2 + 500 * 0.2 + 100 * 8 = 2900 micro-dollars, twice, and 80.
    assert_eq!(own["repriced_usd"], "0.00588");
    assert_eq!(own["recorded_usd"], "0.005");
    assert_eq!(own["difference_usd"], "0.00088");
    assert_eq!(own["difference_percent"], "17.6");
    assert_eq!(
        (&own["calls"], &own["unpriced_calls_then"]),
        (&3.into(), &1.into())
    );
    let gone = of("gone").unwrap_or_default();
    assert_eq!(
        (&gone["unpriced_calls_now"], &gone["changed_calls"]),
        (&1.into(), &0.into())
    );
    assert_eq!(repricing.total()[2], Cell::Int(4));
}

#[test]
fn at_the_same_prices_nothing_differs() {
    let plan = plan();
    let mut free = record("box", "chat");
    free.cost_nanos = Some(0);
    free.price_version = Some("v".into());
    let mut repricing = Repricing::default();
    repricing.add(&free, &plan, &plan.prices);
    let rows = told(&repricing);
    assert_eq!(rows[0]["changed_calls"], 0);
    assert_eq!(rows[0]["difference_usd"], "0.00");
    assert_eq!(rows[0]["difference_percent"], Value::Null);
}

#[test]
fn a_file_that_is_wrong_is_told_by_line() {
    let why = prices_of("tollgate-prices 1\nprovider sandbox\necho in=cheap\n");
    let why = why.err().unwrap_or_default();
    assert!(why.contains("line 3"), "{why}");
}
