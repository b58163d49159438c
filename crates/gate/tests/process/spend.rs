//! Reports of a running gateway: they say what its records say, to the
//! nano-dollar, and budgets stand where the ledger stands.

use std::fs;

use serde_json::Value;

use crate::gateway::{Gateway, Home};
use crate::until;

/// The sandbox is free; here it has a price.
const CONFIG: &str = "
providers: {box: {kind: sandbox}}
models: {m: box/echo}
prices: {overrides: [{provider: box, rates: {input: 1, output: 2}}]}
budgets: [{name: ours, limit: '5.00', window: month}]
rate_limits: [{name: few, limit: '4', per: 1h, window: fixed}]
";
/// Calls that the limit lets through.
const CALLS: usize = 4;

fn tollgate(gateway: &Gateway, home: &Home, words: &[&str]) -> String {
    let admin = format!("http://{}", gateway.admin());
    let (code, out, err) = home.run(&[words, &["--admin", &admin]].concat());
    assert_eq!(code, 0, "{words:?}: {err}");
    out
}

fn json(gateway: &Gateway, home: &Home, words: &[&str]) -> Value {
    serde_json::from_str(&tollgate(gateway, home, words)).unwrap()
}

/// Nano-dollars, as a report writes them.
fn dollars(nanos: i64) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    let (whole, part) = text.split_once('.').unwrap();
    let kept = part.trim_end_matches('0').len().max(2);
    format!("{whole}.{}", &part[..kept])
}

#[test]
fn reports_say_what_the_records_say_and_survive_a_kill() {
    let home = Home::with(CONFIG);
    let gateway = home.start();
    for _ in 0..CALLS {
        assert_eq!(gateway.chat("m").status, 200);
    }
    assert_eq!(gateway.chat("m").status, 429);
    let spend = ["spend", "--by", "model,price_version", "--format", "json"];
    let mut told = Value::Null;
    until("five records in the report", || {
        told = json(&gateway, &home, &spend);
        told["total"]["calls"] == 5
    });
    let records = gateway.logs(&home, &[]);
    let costs = records.iter().filter_map(|it| it["cost_nanos"].as_i64());
    let cost = costs.clone().sum::<i64>();
    assert!(costs.count() == CALLS && cost > 0, "{records:?}");
    assert_eq!(told["total"]["cost_usd"], dollars(cost));
    assert_eq!(told["rows"][0]["model"], "echo");
    assert_eq!(told["rows"][0]["calls"], CALLS);
    assert_eq!(told["total"]["refused"], 1);

    // The budget stands where the records stand.
    let budget = |gateway: &Gateway| {
        let told = json(gateway, &home, &["budgets", "--format", "json"]);
        told["rows"][0].clone()
    };
    until("nothing is reserved any more", || {
        budget(&gateway)["reserved"] == "0.00"
    });
    let ours = budget(&gateway);
    assert_eq!(ours["name"], "ours");
    assert_eq!(ours["settled"], dollars(cost));
    assert_eq!(ours["left"], dollars(5_000_000_000 - cost));

    let refused = tollgate(&gateway, &home, &["spend", "refusals", "--format", "csv"]);
    assert!(refused.contains("\r\nfew,rate_limit,deny,"), "{refused}");
    let models = tollgate(&gateway, &home, &["spend", "models"]);
    assert!(
        models.contains("echo") && models.contains("100.0"),
        "{models}"
    );
    let focus = tollgate(&gateway, &home, &["spend", "--format", "focus"]);
    let lines: Vec<&str> = focus.lines().collect();
    assert!(
        lines[0].starts_with("BilledCost,BillingAccountId,"),
        "{focus}"
    );
    assert!(
        lines[1].starts_with(&format!("{},box,box,USD,", dollars(cost))),
        "{focus}"
    );

    // Killed and started again, it says the same.
    gateway.kill();
    let gateway = home.start();
    until("the same report", || {
        let again = json(&gateway, &home, &spend);
        again["total"] == told["total"] && again["rows"] == told["rows"]
    });
    assert_eq!(budget(&gateway)["settled"], dollars(cost));
}

#[test]
fn an_export_and_other_prices_are_compared_with_the_records() {
    let home = Home::with(CONFIG);
    let gateway = home.start();
    assert_eq!(gateway.chat("m").status, 200);
    let mut told = Value::Null;
    until("a record in the report", || {
        told = json(
            &gateway,
            &home,
            &["spend", "--by", "day,model", "--format", "json"],
        );
        told["total"]["calls"] == 1
    });
    let row = &told["rows"][0];
    let (day, cost) = (
        row["day"].as_str().unwrap(),
        row["cost_usd"].as_str().unwrap(),
    );
    let export = format!(
        "date,model,input_tokens,output_tokens,cost\n{day},echo,{},{},{cost}\n",
        row["input_tokens"], row["output_tokens"]
    );
    fs::write(home.path("export.csv"), &export).unwrap();
    let words = ["spend", "reconcile", "export.csv", "--json"];
    let same = json(&gateway, &home, &words);
    assert_eq!(same["compared"]["equal"], 1, "{same}");
    assert_eq!(same["compared"]["differs"], 0, "{same}");
    fs::write(home.path("export.csv"), export.replace(cost, "1.5")).unwrap();
    let other = json(&gateway, &home, &words);
    assert_eq!(other["rows"][0]["cost_usd_there"], "1.50", "{other}");
    assert_eq!(other["rows"][0]["state"], "differs");

    // Twice the price is twice the cost, and the records stay.
    let prices = "tollgate-prices 1\nprovider sandbox\necho in=2 out=4\n";
    fs::write(home.path("prices.txt"), prices).unwrap();
    let words = ["prices", "reprice", "--prices", "prices.txt", "--json"];
    let repriced = json(&gateway, &home, &words);
    assert_eq!(repriced["total"]["recorded_usd"], *cost);
    assert_eq!(repriced["total"]["difference_percent"], "100.0");
    let in_force = json(&gateway, &home, &["prices", "reprice", "--json"]);
    assert_eq!(in_force["total"]["difference_usd"], "0.00");
}
