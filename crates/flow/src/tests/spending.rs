//! Limits and budgets on the path: what is refused, reserved, settled, told.

mod max_cost;
mod own;
mod slices;

use std::future::poll_fn;

use futures_executor::block_on;
use meter::{
    Action, Dimension, Hold, Measure, Override, Pace, QuotaKind, QuotaSpec, Quotas, Scope,
    Threshold, Window,
};

use super::world::{Got, Script, Step, World, plan};
use crate::{Caller, ReplyBody};

const CHAT: &str = "/v1/chat/completions";
const HI: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
const HI_100: &str =
    r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":100}"#;
const STREAM_100: &str =
    r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":100,"stream":true}"#;
/// It took 7 input and 5 output tokens.
const ANSWER: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"up-m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}"#;
const CHUNK: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up-m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"hello\"},\"finish_reason\":null}]}\n\n";
const LAST: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up-m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up-m\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5,\"total_tokens\":12}}\n\ndata: [DONE]\n\n";

fn spec(name: &str, kind: QuotaKind, measure: Measure, limit: i64) -> QuotaSpec {
    let pace = match measure {
        Measure::Concurrency => Pace::Permits,
        Measure::Requests
        | Measure::InputTokens
        | Measure::OutputTokens
        | Measure::Tokens
        | Measure::Cost => Pace::Window(Window::Fixed {
            length_s: 3_600,
            anchor_s: 0,
        }),
    };
    QuotaSpec {
        name: name.into(),
        kind,
        measure,
        limit,
        pace,
        scope: Scope {
            by: vec![Dimension::Tenant],
            only: Vec::new(),
        },
        hold: Hold::Enforce,
        overrides: Vec::new(),
        thresholds: Vec::new(),
        queue: None,
        usual: None,
    }
}

fn limit(measure: Measure, most: i64) -> QuotaSpec {
    spec("a-limit", QuotaKind::RateLimit, measure, most)
}

pub(super) fn budget(measure: Measure, most: i64) -> QuotaSpec {
    spec("a-budget", QuotaKind::Budget, measure, most)
}

pub(super) fn world(quotas: Vec<QuotaSpec>, scripts: Vec<Script>) -> World {
    world_of(&[("openai", "openai_chat")], quotas, scripts)
}

fn world_of(providers: &[(&str, &str)], quotas: Vec<QuotaSpec>, scripts: Vec<Script>) -> World {
    let mut plan = plan(providers);
    plan.quotas = Quotas::new(quotas);
    plan.answers
        .insert("sorry".into(), "The budget is used up until Monday.".into());
    World::of(plan, scripts.into_iter().map(Ok).collect())
}

fn whole() -> Script {
    Script::json(200, ANSWER)
}

/// Settled and reserved, summed over all counters of a measure.
fn stands(world: &World, measure: Measure) -> (i64, i64) {
    let levels = world.flow.counters.levels();
    let of = levels.iter().filter(|level| level.measure == measure);
    of.fold((0, 0), |(settled, reserved), level| {
        (settled + level.settled, reserved + level.reserved)
    })
}

/// A call that was let in, before its body was read.
fn opened(world: &World) -> Box<crate::Exchange> {
    let request = http::Request::builder()
        .method("POST")
        .uri(CHAT)
        .header("authorization", "Bearer tg-test");
    let (head, ()) = request.body(()).expect("a request").into_parts();
    let exchange = world.flow.open(head, Caller::default());
    exchange.ok().expect("let in")
}

fn header<'g>(got: &'g Got, name: &str) -> &'g str {
    got.headers
        .get(name)
        .map_or("", |it| it.to_str().expect("ASCII"))
}

#[test]
fn a_rate_limit_refuses_with_429_and_says_when() {
    let mut per_minute = limit(Measure::Requests, 2);
    per_minute.pace = Pace::Gcra {
        period_us: 60_000_000,
        burst: 2,
    };
    let world = world(vec![per_minute], vec![whole(), whole()]);
    let first = world.call(CHAT, HI);
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(header(&first, "x-ratelimit-limit-requests"), "2");
    assert_eq!(header(&first, "x-ratelimit-remaining-requests"), "1");
    assert_eq!(header(&first, "x-ratelimit-reset-requests"), "30s");
    assert_eq!(world.call(CHAT, HI).status, 200);
    let refused = world.call(CHAT, HI);
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert!(
        refused.body.contains("rate_limit_exceeded"),
        "{}",
        refused.body
    );
    assert!(
        refused.body.contains("`a-limit` of tenant=t"),
        "{}",
        refused.body
    );
    assert_eq!(header(&refused, "retry-after"), "30");
    assert_eq!(header(&refused, "x-should-retry"), "true");
    assert_eq!(header(&refused, "x-ratelimit-remaining-requests"), "0");
    let record = world.records().pop().expect("a record");
    let denied = record.decisions.iter().find(|it| it.verdict == "deny");
    let denied = denied.expect("a decision");
    assert_eq!(denied.rule.as_deref(), Some("a-limit"));
    assert_eq!(denied.reason, "rate_limit_requests");
    assert!(record.attempts.is_empty());
    assert!(record.reservations.is_empty(), "nothing was taken");
}

/// In the words of each dialect.
#[test]
fn every_dialect_hears_of_limits_in_its_own_words() {
    let anthropic = r#"{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;
    let gemini = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;
    let cases = [
        (CHAT, HI, "rate_limit_exceeded", "insufficient_quota"),
        (
            "/v1/messages",
            anthropic,
            "rate_limit_error",
            "billing_error",
        ),
        (
            "/v1beta/models/m:generateContent",
            gemini,
            "RESOURCE_EXHAUSTED",
            "FAILED_PRECONDITION",
        ),
    ];
    for (path, body, limited, spent) in cases {
        let none = world(vec![limit(Measure::Requests, 0)], vec![]);
        let got = none.call(path, body);
        assert_eq!(got.status, 429, "{path} {}", got.body);
        assert!(got.body.contains(limited), "{path} {}", got.body);
        let none = world(vec![budget(Measure::Tokens, 1)], vec![]);
        let got = none.call(path, body);
        assert_eq!(got.status, 402, "{path} {}", got.body);
        assert!(
            got.body.contains(spent) || got.body.contains("budget"),
            "{path} {}",
            got.body
        );
        assert_eq!(header(&got, "x-should-retry"), "false", "{path}");
    }
}

#[test]
fn the_worst_case_is_reserved_and_the_truth_is_settled() {
    for body in [HI_100, STREAM_100] {
        let script = match body {
            HI_100 => whole(),
            _ => Script::sse(&[CHUNK, LAST]),
        };
        let world = world(vec![budget(Measure::Tokens, 1_000)], vec![script]);
        let got = world.call(CHAT, body);
        assert_eq!(got.status, 200, "{}", got.body);
        assert_eq!(stands(&world, Measure::Tokens), (12, 0), "{body}");
        let record = world.records().pop().expect("a record");
        let row = &record.reservations[0];
        assert!(row.reserved > 100, "{row:?}");
        assert_eq!(row.settled, Some(12));
        assert_eq!(
            (row.quota.as_ref(), row.scope.as_ref()),
            ("a-budget", "tenant=t")
        );
        assert!(row.from_us < row.until_us);
    }
}

/// Without a cap of the caller, the reserved one is written into the request,
/// so that the provider holds to it.
#[test]
fn a_call_without_a_cap_is_given_one() {
    let world = world(vec![budget(Measure::Tokens, 100_000)], vec![whole()]);
    assert_eq!(world.call(CHAT, HI).status, 200);
    let sent = &world.sent()[0];
    assert!(
        sent.contains("\"max_completion_tokens\":8192") || sent.contains("\"max_tokens\":8192"),
        "{sent}"
    );
    // Where only calls are counted, nothing is written.
    let world = self::world(vec![limit(Measure::Requests, 9)], vec![whole()]);
    assert_eq!(world.call(CHAT, HI).status, 200);
    assert!(!world.sent()[0].contains("8192"));
}

#[test]
fn several_answers_are_reserved_for_each() {
    let world = world(vec![budget(Measure::OutputTokens, 250)], vec![whole()]);
    let two = HI_100.replace("\"max_tokens\"", "\"n\":2,\"max_tokens\"");
    assert_eq!(world.call(CHAT, &two).status, 200);
    let three = HI_100.replace("\"max_tokens\"", "\"n\":3,\"max_tokens\"");
    let refused = world.call(CHAT, &three);
    assert_eq!(refused.status, 402, "{}", refused.body);
    assert!(
        refused.body.contains("300 output tokens"),
        "{}",
        refused.body
    );
    assert!(refused.body.contains("never be let in"), "{}", refused.body);
}

#[test]
fn a_permit_lasts_as_long_as_the_stream() {
    let world = world(
        vec![limit(Measure::Concurrency, 1)],
        vec![Script::sse(&[CHUNK, LAST]), whole()],
    );
    let open = |body: &str| {
        let exchange = opened(&world);
        block_on(exchange.run(Ok(body.to_owned().into())))
    };
    let reply = open(STREAM_100);
    assert_eq!(reply.status, 200);
    let ReplyBody::Stream(mut stream) = reply.body else {
        panic!("no stream");
    };
    // The head is out, the stream is open: the permit is still taken.
    let refused = world.call(CHAT, HI);
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert_eq!(header(&refused, "retry-after"), "1");
    while let Some(bytes) = block_on(poll_fn(|cx| stream.poll_next(cx))) {
        bytes.expect("no cut");
    }
    assert_eq!(stands(&world, Measure::Concurrency), (0, 0));
    drop(stream);
    assert_eq!(world.call(CHAT, HI).status, 200);
}

#[test]
fn a_caller_that_leaves_gives_its_permit_back() {
    let world = world(
        vec![
            limit(Measure::Concurrency, 1),
            budget(Measure::Tokens, 1_000),
        ],
        vec![Script::sse(&[CHUNK]).then(Step::Silence), whole()],
    );
    let exchange = opened(&world);
    let reply = block_on(exchange.run(Ok(STREAM_100.into())));
    drop(reply);
    assert_eq!(stands(&world, Measure::Concurrency), (0, 0));
    let (_, reserved) = stands(&world, Measure::Tokens);
    assert_eq!(reserved, 0);
    assert_eq!(world.call(CHAT, HI_100).status, 200);
}

#[test]
fn what_failed_upstream_is_given_back() {
    let broken = Script::json(500, r#"{"error":{"message":"no"}}"#);
    let world = world(vec![budget(Measure::Tokens, 1_000)], vec![broken]);
    assert_eq!(world.call(CHAT, HI_100).status, 502);
    assert_eq!(stands(&world, Measure::Tokens), (0, 0));
}

/// More than was reserved is taken all the same, and is called debt.
#[test]
fn overspend_is_the_debt_of_estimates() {
    let lying = ANSWER.replace("\"completion_tokens\":5", "\"completion_tokens\":5000");
    let world = world(
        vec![budget(Measure::OutputTokens, 1_000)],
        vec![Script::json(200, &lying)],
    );
    assert_eq!(world.call(CHAT, HI_100).status, 200);
    assert_eq!(world.flow.counters.debt(Measure::OutputTokens), 4_900);
    let refused = world.call(CHAT, HI_100);
    assert_eq!(refused.status, 402, "{}", refused.body);
    assert!(
        refused.body.contains("5000 output tokens are spent"),
        "{}",
        refused.body
    );
}

/// A refusal by a provider's limit leaves out the candidate; it is not the
/// caller's 429.
#[test]
fn limits_of_providers_leave_out_candidates() {
    let providers = [("openai", "openai_chat"), ("anthropic", "anthropic")];
    let mut of_one = limit(Measure::Requests, 1);
    of_one.scope = Scope {
        by: vec![Dimension::Provider],
        only: vec![(Dimension::Provider, vec!["openai".into()])],
    };
    let message = r#"{"id":"msg","type":"message","role":"assistant","model":"up-m","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","usage":{"input_tokens":7,"output_tokens":5}}"#;
    let world = world_of(
        &providers,
        vec![of_one.clone()],
        vec![whole(), Script::json(200, message)],
    );
    assert_eq!(header(&world.call(CHAT, HI), "tollgate-provider"), "openai");
    let second = world.call(CHAT, HI);
    assert_eq!(
        header(&second, "tollgate-provider"),
        "anthropic",
        "{}",
        second.body
    );
    let record = world.records().pop().expect("a record");
    assert_eq!(
        record.candidates[0].excluded.as_deref(),
        Some("limit: a-limit")
    );
    let one = world_of(&providers[..1], vec![of_one], vec![whole()]);
    assert_eq!(one.call(CHAT, HI).status, 200);
    let nobody = one.call(CHAT, HI);
    assert_eq!(nobody.status, 503, "{}", nobody.body);
    assert_ne!(header(&nobody, "retry-after"), "");
}

#[test]
fn shadow_and_warn_let_pass_and_tell() {
    for (hold, verdict) in [(Hold::Shadow, "would_deny"), (Hold::Warn, "warn")] {
        let mut soft = limit(Measure::Requests, 0);
        soft.hold = hold;
        let world = world(vec![soft], vec![whole()]);
        let got = world.call(CHAT, HI);
        assert_eq!(got.status, 200, "{}", got.body);
        let warned = header(&got, "tollgate-warn").contains("a-limit; rate_limit_requests");
        assert_eq!(warned, hold == Hold::Warn);
        let record = world.records().pop().expect("a record");
        assert!(record.decisions.iter().any(|it| it.verdict == verdict));
    }
}

/// Tokens are counted by their words only where the bound by bytes does not
/// fit.
#[test]
fn near_a_limit_the_input_is_counted() {
    let long = "word ".repeat(400);
    let body = HI_100.replace("\"hi\"", &format!("\"{long}\""));
    // Some 2,100 bytes: above 1,000 by bytes, below 800 by words.
    let world = world(vec![budget(Measure::InputTokens, 900)], vec![whole()]);
    let got = world.call(CHAT, &body);
    assert_eq!(got.status, 200, "{}", got.body);
    let record = world.records().pop().expect("a record");
    assert!((400..900).contains(&record.reservations[0].reserved));
    // Strict goes by bytes alone.
    let mut plan = plan(&[("openai", "openai_chat")]);
    plan.quotas = Quotas::new([budget(Measure::InputTokens, 900)]);
    plan.reservation.strict = true;
    let strict = World::of(plan, vec![]);
    assert_eq!(strict.call(CHAT, &body).status, 402);
}

fn with(action: Action) -> QuotaSpec {
    let mut quota = budget(Measure::Tokens, 1_000);
    quota.thresholds = vec![Threshold { at: 500, action }];
    quota
}

/// A world in which 600 of 1,000 tokens are spent.
fn half_spent(action: Action, mut scripts: Vec<Script>) -> World {
    let used = ANSWER.replace("\"completion_tokens\":5", "\"completion_tokens\":593");
    scripts.insert(0, Script::json(200, &used));
    let world = world(vec![with(action)], scripts);
    let got = world.call(CHAT, HI_100);
    assert_eq!(got.status, 200, "{}", got.body);
    assert_eq!(header(&got, "tollgate-degraded"), "");
    world
}

#[test]
fn a_threshold_shortens_answers() {
    let world = half_spent(Action::Shorten(20), vec![whole()]);
    let got = world.call(CHAT, HI_100);
    assert_eq!(got.status, 200, "{}", got.body);
    assert_eq!(header(&got, "tollgate-degraded"), "budget");
    assert!(
        world.sent()[1].contains("\"max_tokens\":20"),
        "{}",
        world.sent()[1]
    );
    let record = world.records().pop().expect("a record");
    assert!(record.decisions.iter().any(|it| it.verdict == "shorten"));
}

#[test]
fn a_threshold_goes_to_a_cheaper_model() {
    let mut plan = plan(&[("openai", "openai_chat"), ("anthropic", "anthropic")]);
    let cheap = routing::Candidate::new(0, "up-cheap", None);
    plan.models.name("cheap", vec![cheap]);
    plan.quotas = Quotas::new([with(Action::Degrade("cheap".into()))]);
    let used = ANSWER.replace("\"completion_tokens\":5", "\"completion_tokens\":593");
    let scripts = vec![Ok(Script::json(200, &used)), Ok(whole())];
    let world = World::of(plan, scripts);
    assert_eq!(header(&world.call(CHAT, HI_100), "tollgate-model"), "up-m");
    let got = world.call(CHAT, HI_100);
    assert_eq!(got.status, 200, "{}", got.body);
    assert_eq!(header(&got, "tollgate-model"), "up-cheap");
    assert_eq!(header(&got, "tollgate-degraded"), "budget");
    assert!(
        world.sent()[1].contains("\"model\":\"up-cheap\""),
        "{}",
        world.sent()[1]
    );
}

#[test]
fn a_threshold_answers_by_a_template() {
    let world = half_spent(Action::Answer("sorry".into()), vec![]);
    let got = world.call(CHAT, HI_100);
    assert_eq!(got.status, 200, "{}", got.body);
    assert!(
        got.body.contains("The budget is used up until Monday."),
        "{}",
        got.body
    );
    assert_eq!(header(&got, "tollgate-degraded"), "budget");
    let record = world.records().pop().expect("a record");
    assert!(record.attempts.is_empty());
    assert_eq!(stands(&world, Measure::Tokens), (600, 0));
    let got = world.call(CHAT, STREAM_100);
    assert!(got.body.contains("used up until Monday."), "{}", got.body);
    assert!(got.body.ends_with("data: [DONE]\n\n"), "{}", got.body);
    // A program that demands a form gets a refusal, not a sentence.
    let format = r#""response_format":{"type":"json_object"},"max_tokens""#;
    let json = HI_100.replace("\"max_tokens\"", format);
    assert_eq!(world.call(CHAT, &json).status, 402);
}

/// A budget with an answer gives it also where the call would not fit.
#[test]
fn what_does_not_fit_is_answered_too() {
    let mut quota = with(Action::Answer("sorry".into()));
    quota.thresholds[0].at = 1_000;
    let world = world(vec![quota], vec![]);
    let got = world.call(CHAT, &HI_100.replace("100", "5000"));
    assert_eq!(got.status, 200, "{}", got.body);
    assert!(got.body.contains("used up until Monday."));
}

#[test]
fn a_threshold_refuses_or_only_tells() {
    let world = half_spent(Action::Refuse, vec![]);
    let got = world.call(CHAT, HI_100);
    assert_eq!(got.status, 402, "{}", got.body);
    assert!(got.body.contains("reached 50 %"), "{}", got.body);
    let world = half_spent(Action::Alert, vec![whole()]);
    let got = world.call(CHAT, HI_100);
    assert_eq!(got.status, 200);
    assert_eq!(header(&got, "tollgate-degraded"), "");
    // In shadow nothing acts.
    let mut shadow = with(Action::Refuse);
    shadow.hold = Hold::Shadow;
    shadow.thresholds[0].at = 0;
    let world = self::world(vec![shadow], vec![whole()]);
    assert_eq!(world.call(CHAT, HI_100).status, 200);
    let record = world.records().pop().expect("a record");
    assert!(record.decisions.iter().any(|it| it.verdict == "would_act"));
}

#[test]
fn absurd_caps_do_not_wrap() {
    let world = world(vec![budget(Measure::Tokens, i64::MAX)], vec![]);
    for most in ["-1", "1.5", "99999999999999999999", "null0"] {
        let body = HI_100.replace("100", most);
        let got = world.call(CHAT, &body);
        assert_eq!(got.status, 400, "{most} {}", got.body);
    }
    let most = HI_100.replace("100", "4294967295");
    let world = self::world(vec![budget(Measure::Tokens, 1_000_000)], vec![]);
    let got = world.call(CHAT, &most);
    assert_eq!(got.status, 402, "{}", got.body);
}

#[test]
fn an_override_ends() {
    let mut quota = budget(Measure::OutputTokens, 10);
    let now_us = 1_700_000_000_000_000;
    quota.overrides = vec![Override {
        limit: 1_000,
        from_us: 0,
        until_us: now_us + 1,
    }];
    assert_eq!(
        world(vec![quota.clone()], vec![whole()])
            .call(CHAT, HI_100)
            .status,
        200
    );
    quota.overrides[0].until_us = now_us;
    assert_eq!(world(vec![quota], vec![]).call(CHAT, HI_100).status, 402);
}

/// A world in which the model at the provider costs 1 USD a million input
/// tokens, 10 USD a million output tokens.
fn priced_world(quotas: Vec<QuotaSpec>, scripts: Vec<Script>) -> World {
    let mut plan = plan(&[("openai", "openai_chat")]);
    plan.quotas = Quotas::new(quotas);
    plan.prices = prices("in=1 out=10");
    World::of(plan, scripts.into_iter().map(Ok).collect())
}

pub(super) fn prices(rates: &str) -> meter::Prices {
    let sheet = meter::prices::Sheet::parse(rates).expect("rates");
    let over = meter::prices::Override {
        provider: None,
        model: "up-*".into(),
        region: None,
        tenant: None,
        from_s: 0,
        effect: meter::prices::Effect::Price(std::sync::Arc::new(sheet)),
    };
    meter::Prices {
        book: std::sync::Arc::new(meter::PriceBook::new(None, vec![over])),
        ..meter::Prices::default()
    }
}

#[test]
fn a_call_is_priced_class_by_class() {
    for body in [HI_100, STREAM_100] {
        let script = match body {
            HI_100 => whole(),
            _ => Script::sse(&[CHUNK, LAST]),
        };
        let world = priced_world(vec![], vec![script]);
        let got = world.call(CHAT, body);
        assert_eq!(got.status, 200, "{}", got.body);
        let record = world.records().pop().expect("a record");
        // 7 * 1,000 + 5 * 10,000 nano-dollars.
        assert_eq!(record.cost_nanos, Some(57_000), "{body}");
        assert!(record.price_version.is_some());
        let told = if body == HI_100 { "0.000057" } else { "" };
        assert_eq!(header(&got, "tollgate-cost"), told);
    }
}

#[test]
fn money_is_reserved_at_the_worst_and_settled_at_the_truth() {
    let world = priced_world(
        vec![budget(Measure::Cost, 1_500_000)],
        vec![whole(), whole()],
    );
    assert_eq!(world.call(CHAT, HI_100).status, 200);
    let record = world.records().pop().expect("a record");
    let row = &record.reservations[0];
    assert!((1_000_000..1_200_000).contains(&row.reserved), "{row:?}");
    assert_eq!(row.settled, Some(57_000));
    assert_eq!(stands(&world, Measure::Cost), (57_000, 0));
    assert_eq!(world.call(CHAT, HI_100).status, 200);
    let refused = world.call(CHAT, &HI_100.replace("100", "200"));
    assert_eq!(refused.status, 402, "{}", refused.body);
    assert!(refused.body.contains("is 0.0015 USD"), "{}", refused.body);
}

/// An unknown price is never nothing.
#[test]
fn an_unknown_price_is_refused_or_taken_at_a_ceiling() {
    let of = |unknown, quotas| {
        let mut plan = plan(&[("openai", "openai_chat")]);
        plan.quotas = Quotas::new(quotas);
        plan.prices.unknown = unknown;
        World::of(plan, vec![Ok(whole())])
    };
    let refuse = meter::prices::Unknown::Refuse;
    let refused = of(refuse.clone(), vec![budget(Measure::Cost, 1_000_000_000)]);
    let got = refused.call(CHAT, HI_100);
    assert_eq!(got.status, 403, "{}", got.body);
    let record = refused.records().pop().expect("a record");
    assert_eq!(
        record.candidates[0].excluded.as_deref(),
        Some("price unknown")
    );
    // Where no money is at stake it goes on, and the record says "unknown".
    let free = of(refuse, vec![]);
    assert_eq!(free.call(CHAT, HI_100).status, 200);
    assert_eq!(free.records()[0].cost_nanos, None);
    let sheet = meter::prices::Sheet::parse("in=30 out=120").expect("rates");
    let ceiling = meter::prices::Unknown::ceiling(sheet);
    let dear = of(ceiling, vec![budget(Measure::Cost, 1_000_000_000)]);
    assert_eq!(dear.call(CHAT, HI_100).status, 200);
    assert_eq!(dear.records()[0].cost_nanos, Some(7 * 30_000 + 5 * 120_000));
}

/// Before the first byte goes upstream the row is on disk, with all that is
/// reserved; afterwards it is the record, and the row is free.
#[test]
fn what_is_reserved_is_written_before_the_first_byte_goes_out() {
    let dir = std::env::temp_dir().join(format!("tollgate-spending-{}", std::process::id()));
    let options = store::InflightOptions::default();
    let table = store::InflightTable::create(&dir, [7; 16], 0, options).expect("a table");
    let table = std::sync::Arc::new(table);
    let of = |plan: plan::Plan, scripts: Vec<Script>| {
        let world = World::of(plan, scripts.into_iter().map(Ok).collect());
        let mut flow = std::sync::Arc::into_inner(world.flow).expect("nobody else has it");
        flow.inflight = Some(table.clone());
        World {
            flow: std::sync::Arc::new(flow),
            ..world
        }
    };
    let mut plan = plan(&[("openai", "openai_chat")]);
    plan.quotas = Quotas::new([budget(Measure::Tokens, 1_000)]);
    let world = of(plan, vec![Script::sse(&[CHUNK]).then(Step::Silence)]);
    let exchange = opened(&world);
    let reply = block_on(exchange.run(Ok(STREAM_100.into())));
    use store::Inflight as _;
    let beside = store::InflightTable::create(&dir, [8; 16], 0, options).expect("a table");
    let rows = beside.others().expect("rows");
    let record = evidence::Record::decode(&rows[0].bytes).expect("a record");
    assert_eq!(record.reservations.len(), 1);
    assert_eq!(record.reservations[0].settled, None);
    assert!(record.reservations[0].reserved > 100);
    drop(reply);
    // The journal has the record now, so the row is free.
    assert!(beside.others().expect("rows").is_empty());
    let record = world.records().pop().expect("a record");
    assert!(record.reservations[0].settled.is_some(), "{record:?}");
    std::fs::remove_dir_all(&dir).expect("ours");
}

/// Polls a call once, with a waker that does nothing.
fn poll_once<F: Future + Unpin>(call: &mut F) -> std::task::Poll<F::Output> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    std::pin::Pin::new(call).poll(&mut cx)
}

#[test]
fn a_call_waits_in_line_for_a_permit() {
    let mut one = limit(Measure::Concurrency, 1);
    one.queue = Some(meter::Queue {
        wait_ms: 3_600_000,
        length: 1,
        first: Vec::new(),
        last: Vec::new(),
    });
    let world = world(vec![one], vec![Script::sse(&[CHUNK, LAST]), whole()]);
    let call = |body: &'static str| {
        let exchange = opened(&world);
        Box::pin(exchange.run(Ok(body.into())))
    };
    let stream = block_on(call(STREAM_100));
    let mut waiting = call(HI);
    assert!(poll_once(&mut waiting).is_pending());
    assert_eq!(world.flow.lines.len(), 1);
    // The line is as long as it may be: the next one is refused at once.
    assert_eq!(world.call(CHAT, HI).status, 429);
    // The stream ends, its permit comes back, and the first in line goes on.
    drop(stream);
    let reply = block_on(waiting);
    assert_eq!(reply.status, 200);
    let record = world.records().pop().expect("a record");
    assert!(record.decisions.iter().any(|it| it.verdict == "waited"));
    assert!(world.flow.lines.is_empty());
    assert_eq!(stands(&world, Measure::Concurrency), (0, 0));
}

#[test]
fn waiting_ends_with_its_time_and_with_its_caller() {
    let mut none = limit(Measure::Concurrency, 0);
    none.queue = Some(meter::Queue {
        wait_ms: 2_000,
        length: 5,
        first: Vec::new(),
        last: Vec::new(),
    });
    // What can never fit does not wait.
    let got = world(vec![none.clone()], vec![]).call(CHAT, HI);
    assert_eq!(got.status, 429, "{}", got.body);
    none.limit = 1;
    let world = world(vec![none], vec![Script::sse(&[CHUNK, LAST])]);
    let open = |body: &'static str| {
        let exchange = opened(&world);
        Box::pin(exchange.run(Ok(body.into())))
    };
    let held = block_on(open(STREAM_100));
    // The clock of this world runs while a call waits.
    let got = world.call(CHAT, HI);
    assert_eq!(got.status, 429, "{}", got.body);
    let record = world.records().pop().expect("a record");
    assert!(record.decisions.iter().any(|it| it.verdict == "gave_up"));
    let mut left = open(HI);
    assert!(poll_once(&mut left).is_pending());
    drop(left);
    assert!(
        world.flow.lines.is_empty(),
        "who leaves is not in line any more"
    );
    drop(held);
}

#[test]
fn an_agent_in_a_loop_is_braked() {
    let mut repeats = limit(Measure::Requests, 2);
    repeats.scope.by = vec![Dimension::Key, Dimension::Content];
    let world = world(vec![repeats], vec![whole(), whole(), whole()]);
    let say = |text: &str| HI.replace("\"hi\"", &format!("\"{text}\""));
    assert_eq!(world.call(CHAT, &say("Fetch page 1 at 10:01.")).status, 200);
    assert_eq!(world.call(CHAT, &say("fetch page 2, at 10:02")).status, 200);
    let got = world.call(CHAT, &say("FETCH PAGE 3 AT 10:03!"));
    assert_eq!(got.status, 429, "{}", got.body);
    assert_eq!(world.call(CHAT, &say("fetch the book")).status, 200);
}

/// Ten times what is usual is too much; as much as usual is not.
#[test]
fn spending_far_beyond_the_usual_is_braked() {
    let sliding = |length_ms| Pace::Window(Window::Sliding { length_ms });
    let mut usual = limit(Measure::Tokens, i64::MAX);
    usual.name = "usual".into();
    usual.pace = sliding(86_400_000);
    usual.hold = Hold::Shadow;
    let mut brake = limit(Measure::Tokens, 1_000);
    brake.pace = sliding(300_000);
    brake.usual = Some(meter::Usual {
        baseline: std::sync::Arc::new(meter::Quota::new(usual.clone())),
        times: 10_000,
        share: 300_000 * 1_000_000 / 86_400_000,
    });
    let fresh = world(vec![usual.clone(), brake.clone()], vec![whole()]);
    assert_eq!(
        fresh.call(CHAT, HI_100).status,
        200,
        "the least is always free"
    );
    let got = fresh.call(CHAT, &HI_100.replace("100", "990"));
    assert_eq!(got.status, 429, "{}", got.body);
    // Who has used 288,000 tokens today uses some 1,000 in five minutes.
    let known = world(vec![usual.clone(), brake], vec![whole(), whole()]);
    let quota = std::sync::Arc::new(meter::Quota::new(usual));
    let subject = meter::Subject {
        tenant: "t",
        ..meter::Subject::default()
    };
    let want = meter::Want {
        quota: &quota,
        counter: quota.counter(&subject),
        amount: 288_000,
    };
    let earlier = 1_700_000_000_000_000 - 7_200_000_000;
    let taken = known
        .flow
        .counters
        .admit(earlier, &subject, &[want])
        .expect("room");
    known
        .flow
        .counters
        .settle(&mut taken.draws.iter().map(|draw| (draw, 288_000)));
    let got = known.call(CHAT, &HI_100.replace("100", "8000"));
    assert_eq!(got.status, 200, "{}", got.body);
    let got = known.call(CHAT, &HI_100.replace("100", "11000"));
    assert_eq!(got.status, 429, "{}", got.body);
}

/// A budget of a provider holds although nothing is counted of the caller.
#[test]
fn a_budget_of_a_provider_is_reserved_for_its_attempts() {
    let mut of_provider = budget(Measure::Cost, 1_500_000);
    of_provider.scope.by = vec![Dimension::Provider];
    let world = priced_world(vec![of_provider], vec![whole()]);
    assert_eq!(world.call(CHAT, HI_100).status, 200);
    let record = world.records().pop().expect("a record");
    let row = &record.reservations[0];
    assert!(row.reserved > 1_000_000, "{row:?}");
    assert_eq!((row.settled, row.attempt), (Some(57_000), Some(0)));
    let refused = world.call(CHAT, &HI_100.replace("100", "200"));
    assert_eq!(refused.status, 503, "{}", refused.body);
}

/// The permit of a candidate that failed is free while the next one answers.
#[test]
fn a_failed_attempt_gives_its_permit_back_at_once() {
    let mut permits = limit(Measure::Concurrency, 1);
    permits.scope.by = vec![Dimension::Provider];
    let message = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",",
        "\"role\":\"assistant\",\"model\":\"up-m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,",
        "\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,",
        "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,",
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"hello\"}}\n\n",
    );
    let world = world_of(
        &[("openai", "openai_chat"), ("anthropic", "anthropic")],
        vec![permits],
        vec![
            Script::json(500, "{}"),
            Script::sse(&[message]).then(Step::Silence),
        ],
    );
    let exchange = opened(&world);
    let reply = block_on(exchange.run(Ok(STREAM_100.into())));
    assert_eq!(reply.status, 200);
    assert_eq!(
        stands(&world, Measure::Concurrency),
        (0, 1),
        "only of the second"
    );
    drop(reply);
    assert_eq!(stands(&world, Measure::Concurrency), (0, 0));
}

/// A budget of one provider does not ask for prices of the others.
#[test]
fn a_candidate_needs_a_price_where_its_own_provider_has_a_budget() {
    let mut of_one = budget(Measure::Cost, 1_000_000_000);
    of_one.scope = Scope {
        by: Vec::new(),
        only: vec![(Dimension::Provider, vec!["openai".into()])],
    };
    let message = r#"{"id":"msg","type":"message","role":"assistant","model":"up-m","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","usage":{"input_tokens":7,"output_tokens":5}}"#;
    // Nobody knows any price here.
    let providers = [("openai", "openai_chat"), ("anthropic", "anthropic")];
    let two = world_of(
        &providers,
        vec![of_one.clone()],
        vec![Script::json(200, message)],
    );
    let got = two.call(CHAT, HI_100);
    assert_eq!(got.status, 200, "{}", got.body);
    assert_eq!(header(&got, "tollgate-provider"), "anthropic");
    let record = two.records().pop().expect("a record");
    assert_eq!(
        record.candidates[0].excluded.as_deref(),
        Some("price unknown")
    );
    let one = world_of(&providers[..1], vec![of_one], vec![]);
    assert_eq!(one.call(CHAT, HI_100).status, 403);
}

/// A text that speaks of searching does not search.
#[test]
fn words_of_a_text_reserve_no_fees() {
    let world = priced_world(vec![budget(Measure::Cost, 10_000_000)], vec![whole()]);
    let body = HI_100.replace("\"hi\"", "\"summarise this research on web_search\"");
    assert_eq!(world.call(CHAT, &body).status, 200);
    // Names of fields in escapes hide nothing: then everything is possible.
    let hidden = HI_100.replace(
        "\"max_tokens\"",
        "\"servi\\u0063e_tier\":\"priority\",\"max_tokens\"",
    );
    let plain = priced_world(vec![budget(Measure::Cost, 10_000_000)], vec![whole()]);
    assert_eq!(plain.call(CHAT, &hidden).status, 200);
}

/// What a body names and does not hold is not taken for nothing.
#[test]
fn references_reserve_tokens() {
    let image = r#"[{"type":"image_url","image_url":{"url":"https://x.test/a.png"}}]"#;
    let body = HI_100.replace("\"hi\"", image);
    let world = world(vec![budget(Measure::InputTokens, 4_000)], vec![]);
    let got = world.call(CHAT, &body);
    assert_eq!(got.status, 402, "{}", got.body);
}

/// A provider that said 200 has made an answer, which is billed although it
/// could not be used.
#[test]
fn an_answer_that_could_not_be_used_is_billed() {
    let cut = Script {
        status: 200,
        content_type: "application/json",
        chunks: vec![Step::Bytes(b"{\"id\":".to_vec()), Step::Reset],
    };
    let world = world(vec![budget(Measure::Tokens, 1_000)], vec![cut]);
    let got = world.call(CHAT, HI_100);
    assert_eq!(got.status, 502, "{}", got.body);
    let (settled, reserved) = stands(&world, Measure::Tokens);
    assert!(settled > 0 && reserved == 0, "{settled} {reserved}");
    let record = world.records().pop().expect("a record");
    let usage = record.attempts[0].usage.expect("what it took");
    assert_eq!(usage.source, contract::UsageSource::Estimated);
    assert!(usage.output <= 100);
}

/// A budget that other tenants use as well tells nobody how much is left.
#[test]
fn a_shared_budget_does_not_tell_what_others_spent() {
    let mut shared = budget(Measure::OutputTokens, 150);
    shared.scope.by = Vec::new();
    let answer = ANSWER.replace("\"completion_tokens\":5", "\"completion_tokens\":77");
    let world = world(vec![shared], vec![Script::json(200, &answer)]);
    assert_eq!(world.call(CHAT, HI_100).status, 200);
    let got = world.call(CHAT, HI_100);
    assert_eq!(got.status, 402, "{}", got.body);
    assert!(!got.body.contains("77"), "{}", got.body);
    assert!(
        got.body.contains("which others use as well"),
        "{}",
        got.body
    );
}
