//! What is done about calls that may cost more than their callers want.

use std::sync::Arc;

use meter::prices::{Effect, Override, Sheet};
use meter::{Measure, PriceBook};
use plan::MaxCost;

use super::super::world::{Got, World, plan};
use super::{CHAT, HI_100, header, limit, priced_world, whole};

fn call_at_most(world: &World, cost: &str, body: &str) -> Got {
    let headers = [
        ("authorization", "Bearer tg-test"),
        ("tollgate-max-cost", cost),
    ];
    world.call_with(CHAT, body, &headers)
}

/// The cap that was sent.
fn cap(sent: &str) -> u64 {
    let cap = sent.split("\"max_tokens\":").nth(1).expect("a cap");
    let cap = cap.split([',', '}']).next().expect("digits");
    cap.parse().expect("a number")
}

#[test]
fn max_cost_caps_the_output_or_refuses_by_how_much() {
    let world = priced_world(vec![], vec![whole(), whole()]);
    // 100 output tokens may cost 0.001; half of that buys some 49.
    let got = call_at_most(&world, "0.0005", HI_100);
    assert_eq!(got.status, 200, "{}", got.body);
    assert_eq!(header(&got, "tollgate-degraded"), "budget");
    let sent = &world.sent()[0];
    let cap = cap(sent);
    assert!((40..50).contains(&cap), "{sent}");
    let got = call_at_most(&world, "0.5", HI_100);
    assert_eq!(header(&got, "tollgate-degraded"), "");
    let refused = call_at_most(&world, "0.00001", HI_100);
    assert_eq!(refused.status, 402, "{}", refused.body);
    assert!(
        refused
            .body
            .contains("USD more than its `max_cost` of 0.00001"),
        "{}",
        refused.body
    );
}

/// A cap is one of each answer; what is reserved is for all of them.
#[test]
fn max_cost_over_several_answers_reserves_for_all_of_them() {
    let mut tokens = limit(Measure::OutputTokens, 1_000_000);
    tokens.name = "out".into();
    let world = priced_world(vec![tokens], vec![whole()]);
    let three = HI_100.replace("\"max_tokens\"", "\"n\":3,\"max_tokens\"");
    let got = call_at_most(&world, "0.0011", &three);
    assert_eq!(got.status, 200, "{}", got.body);
    let sent = &world.sent()[0];
    let cap = cap(sent) as i64;
    assert!(cap < 100, "{sent}");
    let record = world.records().pop().expect("a record");
    assert_eq!(record.reservations[0].reserved, 3 * cap);
}

/// A call of `two` goes to `up-dear` at 100 dollars for a million of output
/// tokens, and then to `up-m` at 10.
fn dear_then_cheap(order: MaxCost) -> World {
    let mut plan = plan(&[("openai", "openai_chat")]);
    let candidates = ["up-dear", "up-m"].map(|name| routing::Candidate::new(0, name, None));
    plan.models.name("two", candidates.to_vec());
    plan.reservation.max_cost = order;
    let over = |model: &str, rates: &str| Override {
        provider: None,
        model: model.into(),
        region: None,
        tenant: None,
        from_s: 0,
        effect: Effect::Price(Arc::new(Sheet::parse(rates).expect("rates"))),
    };
    let prices = vec![over("up-dear", "in=1 out=100"), over("up-m", "in=1 out=10")];
    plan.prices.book = Arc::new(PriceBook::new(None, prices));
    World::of(plan, vec![Ok(whole())])
}

/// What becomes of a call of 100 output tokens: the model that served and the
/// cap that went there, or the status.
fn outcome(order: MaxCost, most: &str) -> (String, Option<u64>) {
    let world = dear_then_cheap(order);
    let got = call_at_most(&world, most, &HI_100.replace("\"m\"", "\"two\""));
    if got.status != 200 {
        assert!(world.sent().is_empty());
        assert!(
            got.body.contains("more than its `max_cost`"),
            "{}",
            got.body
        );
        return (got.status.to_string(), None);
    }
    let cap = cap(&world.sent()[0]);
    let model = header(&got, "tollgate-model").to_owned();
    let passed_over = world.records().pop().expect("a record").candidates;
    let dear = passed_over.iter().find(|it| &*it.model == "up-dear");
    let why = dear.and_then(|it| it.excluded.as_deref());
    assert_eq!(why == Some("max_cost"), model == "up-m", "{passed_over:?}");
    (model, (cap < 100).then_some(cap))
}

#[test]
fn the_order_of_what_is_done_for_a_cost_is_policy() {
    // At the dear one 100 tokens come to 0.01, at the cheap one to 0.001.
    let cases = [
        // Half of it buys some 50 tokens, or all of them elsewhere.
        (MaxCost::CapThenCheaper, "0.005", "up-dear", true),
        (MaxCost::CheaperThenCap, "0.005", "up-m", false),
        (MaxCost::Cap, "0.005", "up-dear", true),
        (MaxCost::Cheaper, "0.005", "up-m", false),
        (MaxCost::Refuse, "0.005", "402", false),
        // This buys no answer of the dear one.
        (MaxCost::CapThenCheaper, "0.0015", "up-m", false),
        (MaxCost::CheaperThenCap, "0.0015", "up-m", false),
        (MaxCost::Cap, "0.0015", "402", false),
        (MaxCost::Cheaper, "0.0015", "up-m", false),
        // And this no whole one of either.
        (MaxCost::CapThenCheaper, "0.0005", "up-m", true),
        (MaxCost::CheaperThenCap, "0.0005", "up-m", true),
        (MaxCost::Cheaper, "0.0005", "402", false),
        (MaxCost::Refuse, "0.0005", "402", false),
        // Where it fits as it is, all are the same.
        (MaxCost::Refuse, "0.02", "up-dear", false),
        (MaxCost::CheaperThenCap, "0.02", "up-dear", false),
    ];
    for (order, most, wanted, is_capped) in cases {
        let (model, cap) = outcome(order, most);
        assert_eq!(model, wanted, "{order:?} {most}");
        assert_eq!(cap.is_some(), is_capped, "{order:?} {most}: {cap:?}");
    }
}

#[test]
fn max_cost_goes_to_a_cheaper_candidate() {
    let (model, cap) = outcome(MaxCost::default(), "0.0015");
    assert_eq!((model.as_str(), cap), ("up-m", None));
}
