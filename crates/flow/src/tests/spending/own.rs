//! Limits and budgets of a key's own, which was made at run time.

use std::collections::HashMap;
use std::sync::Arc;

use meter::{Dimension, Measure, QuotaKind, Quotas};

use super::super::keys::{KEY, live};
use super::super::world::{Got, World};
use super::{CHAT, HI_100, budget, limit, spec, whole, world};

fn call(world: &World) -> Got {
    let bearer = format!("Bearer {KEY}");
    world.call_with(CHAT, HI_100, &[("authorization", &bearer)])
}

/// The key has a budget of so many output tokens of its own.
fn with_own(world: &World, most: i64) {
    let mut own = spec(
        "key/output_tokens/day",
        QuotaKind::Budget,
        Measure::OutputTokens,
        most,
    );
    own.scope.by = vec![Dimension::Tenant, Dimension::Key];
    let all = HashMap::from([("k7m2p9qa".to_owned(), Arc::new(Quotas::new([own])))]);
    world.flow.key_quotas.store(Arc::new(all));
}

#[test]
fn a_key_is_held_to_its_own_limits_beside_those_of_the_plan() {
    for quotas in [vec![], vec![budget(Measure::Tokens, 1_000_000)]] {
        let has_plan = !quotas.is_empty();
        let world = world(quotas, vec![whole(), whole(), whole()]);
        let life = live(&world, false);
        with_own(&world, 104);
        life.set_limited(true);
        assert_eq!(call(&world).status, 200);
        let refused = call(&world);
        assert_eq!(refused.status, 402, "{}", refused.body);
        let record = world.records().pop().expect("a record");
        let denied = record.decisions.iter().find(|it| it.verdict == "deny");
        let rule = denied.expect("a refusal").rule.clone();
        assert_eq!(rule.as_deref(), Some("key/output_tokens/day"));
        // Its first call took of both.
        let rows = world.records()[0].reservations.len();
        assert_eq!(rows, 1 + usize::from(has_plan));
        // A key of the document is another.
        assert_eq!(world.call(CHAT, HI_100).status, 200);
        // More is allowed at once, and what was spent stays spent.
        with_own(&world, 105);
        assert_eq!(call(&world).status, 200);
        with_own(&world, 109);
        assert_eq!(call(&world).status, 402);
    }
}

#[test]
fn the_limits_of_the_plan_hold_for_a_key_with_its_own() {
    let mut one = limit(Measure::Requests, 1);
    one.scope.by = vec![Dimension::Key];
    let world = world(vec![one], vec![whole(), whole()]);
    live(&world, false).set_limited(true);
    with_own(&world, 1_000_000);
    assert_eq!(call(&world).status, 200);
    assert_eq!(call(&world).status, 429);
}

/// Who sends its head before the end of its key, and its body behind it, is
/// held to its limits all the same.
#[test]
fn the_limits_of_a_key_that_ends_hold_for_calls_that_came_before() {
    let world = world(vec![], vec![whole(), whole()]);
    let life = live(&world, false);
    with_own(&world, 104);
    life.set_limited(true);
    assert_eq!(call(&world).status, 200);
    let request = http::Request::builder()
        .method(http::Method::POST)
        .uri(CHAT)
        .header("authorization", format!("Bearer {KEY}"));
    let (head, ()) = request.body(()).expect("a request").into_parts();
    let Ok(exchange) = world.flow.open(head, crate::Caller::default()) else {
        panic!("refused");
    };
    world.flow.key_quotas.store(Arc::default());
    life.revoke();
    let reply = futures_executor::block_on(exchange.run(Ok(HI_100.into())));
    assert_eq!(reply.status, 402);
}

/// A key that says that it has limits makes no call without them.
#[test]
fn a_key_whose_limits_are_gone_makes_no_call() {
    let world = world(vec![], vec![whole()]);
    live(&world, false).set_limited(true);
    assert_eq!(call(&world).status, 503);
    assert!(world.sent().is_empty());
}
