//! Cases of comparing: what differs is listed, with how much.

use store::index::spend::Sums;

use super::*;

const DAY: u64 = 20_000 * DAY_US;

fn ours(day_us: u64, model: &str, tokens: i128, cost_nanos: i128) -> Group {
    Group {
        keys: vec![Key::Time(day_us), Key::Text(model.to_owned())],
        sums: Sums {
            calls: 1,
            input_tokens: tokens,
            output_tokens: 10,
            cost_nanos,
            ..Sums::default()
        },
    }
}

fn theirs(day_us: u64, model: &str, tokens: Option<i128>, cost: Option<i128>) -> Line {
    Line {
        day_us,
        model: model.to_owned(),
        input: tokens,
        output: tokens.map(|_| 10),
        cost,
    }
}

#[test]
fn differences_are_listed_the_largest_first() {
    let refused = Group {
        sums: Sums {
            calls: 3,
            refused: 3,
            ..Sums::default()
        },
        ..ours(DAY, "asked", 0, 0)
    };
    let here = [
        ours(DAY, "same", 100, 5_000),
        ours(DAY, "dearer", 100, 6_000),
        ours(DAY, "ours", 100, 1),
        ours(DAY, "m", 100, 7),
        refused,
    ];
    let there = [
        theirs(DAY, "same", Some(100), None),
        theirs(DAY, "same", None, Some(5_000)),
        theirs(DAY, "dearer", Some(99), Some(8_000)),
        theirs(DAY, "m-2026-01-01", Some(100), None),
        theirs(DAY + DAY_US, "theirs", Some(4), Some(100)),
    ];
    let same = BTreeMap::from([("m-2026-01-01".to_owned(), "m".to_owned())]);
    let told = compare(&here, &there, &same);
    let counts = json!({"differs": 1, "equal": 2, "only_here": 1, "only_there": 1});
    assert_eq!(told["compared"], counts);
    let rows = told["rows"].as_array().cloned().unwrap_or_default();
    let models: Vec<&str> = rows
        .iter()
        .filter_map(|row| row["model"].as_str())
        .collect();
    assert_eq!(models, ["dearer", "theirs", "ours"]);
    assert_eq!(rows[0]["cost_usd_difference"], "-0.000002");
    assert_eq!(rows[0]["cost_difference_percent"], "-25.0");
    assert_eq!(rows[0]["input_tokens_difference"], 1);
    assert_eq!(rows[1]["cost_usd_here"], Value::Null);
    assert_eq!(rows[1]["input_tokens_difference"], -4);
    assert_eq!(rows[2]["cost_usd_difference"], "0.000000001");
    assert_eq!(rows[2]["cost_difference_percent"], Value::Null);
    let total = &told["total"];
    assert_eq!(total["cost_usd_here"], "0.000011008");
    assert_eq!(total["cost_usd_there"], "0.0000131");
    assert_eq!(range(&there), Some((DAY, DAY + 2 * DAY_US)));
}

#[test]
fn what_an_export_does_not_tell_is_not_compared() {
    let told = compare(
        &[ours(DAY, "m", 100, 5)],
        &[theirs(DAY, "m", Some(100), None)],
        &BTreeMap::new(),
    );
    assert_eq!(told["compared"]["equal"], 1);
    assert_eq!(told["total"]["cost_usd_difference"], Value::Null);
    assert_eq!(told["total"]["input_tokens_difference"], 0);
}

#[test]
fn answers_are_bounded() {
    let there: Vec<Line> = (0..ROWS_MAX + 5)
        .map(|n| theirs(DAY, &format!("m{n}"), Some(1), None))
        .collect();
    let told = compare(&[], &there, &BTreeMap::new());
    assert_eq!(told["rows"].as_array().map(Vec::len), Some(ROWS_MAX));
    assert_eq!(told["more"], true);
}
