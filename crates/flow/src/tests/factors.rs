//! What the figures of a provider teach about the counts made here, and where
//! that is used: estimates of what was not told, and calls near a limit.

use std::sync::Arc;

use contract::UsageSource;
use evidence::{Decision, Record, Value};
use futures_executor::block_on;
use http::Request;
use meter::{Measure, Quotas};

use super::spending::{budget, world};
use super::world::{Script, Step, World, plan};
use super::{CHAT, DONE, FRAMES};
use crate::Caller;

/// Calls that are enough to learn from.
const ENOUGH: usize = 20;
/// Some 600 tokens by bytes, and 400 by words.
fn long() -> String {
    let text = "plain words ".repeat(200);
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}],"max_tokens":50}}"#)
}

fn told(input: u64) -> Script {
    let answer = format!(
        r#"{{"id":"c","object":"chat.completion","created":1,"model":"up-m","choices":[{{"index":0,"message":{{"role":"assistant","content":"hello"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{input},"completion_tokens":5,"total_tokens":{}}}}}"#,
        input + 5
    );
    Script::json(200, &answer)
}

fn cut() -> Script {
    Script::sse(&[FRAMES[0], FRAMES[1]]).then(Step::Reset)
}

fn as_stream(body: &str) -> String {
    body.replace("\"model\"", "\"stream\":true,\"model\"")
}

fn last(world: &World) -> Record {
    world.records().pop().expect("a record")
}

fn decision(record: &Record, stage: &str, verdict: &str) -> Decision {
    let mut found = record.decisions.iter();
    let found = found.find(|it| it.stage == stage && it.verdict == verdict);
    found.expect("a decision").clone()
}

fn number(decision: &Decision, name: &str) -> u64 {
    let reading = decision.readings.iter().find(|it| it.name == name);
    match reading.expect("a reading").value {
        Value::Int(number) => number.try_into().expect("a count"),
        Value::Word(_) | Value::Name(_) => panic!("{name} is a number"),
    }
}

fn word(decision: &Decision, name: &str) -> String {
    let reading = decision.readings.iter().find(|it| it.name == name);
    match &reading.expect("a reading").value {
        Value::Word(word) => word.to_string(),
        Value::Name(name) => name.to_string(),
        Value::Int(_) => panic!("{name} is a word"),
    }
}

/// Estimates the input of a cut stream: the usage, and what was written down.
fn estimated(world: &World) -> (u64, Decision) {
    world.call(CHAT, &as_stream(&long()));
    let record = last(world);
    assert_eq!(record.usage.source, UsageSource::Estimated);
    (record.usage.input, decision(&record, "settle", "estimate"))
}

#[test]
fn what_a_provider_told_before_is_used_where_it_tells_nothing() {
    let mut scripts = vec![cut()];
    scripts.extend((0..ENOUGH).map(|_| told(900)));
    scripts.push(cut());
    let world = world(vec![], scripts);
    let (plain, noted) = estimated(&world);
    assert_eq!(number(&noted, "input_factor_1024"), 1_024);
    for _ in 0..ENOUGH {
        assert_eq!(world.call(CHAT, &long()).status, 200);
    }
    let (learned, noted) = estimated(&world);
    assert!(plain < 800, "{plain}");
    assert!((890..=910).contains(&learned), "{learned}");
    // What is written down is enough to compute the estimate again.
    assert_eq!(word(&noted, "input_by"), "bytes/1");
    let product = number(&noted, "input_counted") * number(&noted, "input_factor_1024");
    assert_eq!(product.div_ceil(1_024), learned);
    assert_eq!(word(&noted, "output_by"), "seen/1");
}

#[test]
fn what_was_learned_outlives_a_plan_and_is_of_one_model() {
    let mut scripts: Vec<Script> = (0..ENOUGH).map(|_| told(900)).collect();
    scripts.extend([cut(), cut()]);
    let world = world(vec![], scripts);
    for _ in 0..ENOUGH {
        world.call(CHAT, &long());
    }
    world
        .flow
        .plan
        .store(Arc::new(plan(&[("openai", "openai_chat")]).into()));
    assert!((890..=910).contains(&estimated(&world).0));
    // The same model at another provider is another one.
    world
        .flow
        .plan
        .store(Arc::new(plan(&[("vllm", "openai_chat")]).into()));
    assert!(estimated(&world).0 < 800);
}

#[test]
fn one_odd_figure_changes_next_to_nothing() {
    let mut scripts: Vec<Script> = (0..ENOUGH).map(|_| told(900)).collect();
    // A stored conversation stands behind this one, and this one is nonsense.
    scripts.extend([told(2_000), told(900_000_000), cut()]);
    let world = world(vec![], scripts);
    for _ in 0..ENOUGH + 2 {
        world.call(CHAT, &long());
    }
    let (tokens, _) = estimated(&world);
    assert!((890..=960).contains(&tokens), "{tokens}");
}

#[test]
fn streams_teach_what_a_piece_of_them_is() {
    let text = "some words and more of them. ".repeat(100);
    let piece = FRAMES[1].replace("hel", &text);
    let usage = FRAMES[3].replace("\"completion_tokens\":2", "\"completion_tokens\":1450");
    let whole = || Script::sse(&[FRAMES[0], &piece, FRAMES[2], &usage, DONE]);
    let silent = Script::sse(&[FRAMES[0], &piece, FRAMES[2], DONE]);
    let mut scripts: Vec<Script> = (0..ENOUGH).map(|_| whole()).collect();
    scripts.push(silent);
    let world = world(vec![], scripts);
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    for _ in 0..=ENOUGH {
        assert_eq!(world.call(CHAT, body).status, 200);
    }
    let record = last(&world);
    assert_eq!(record.usage.source, UsageSource::Estimated);
    let output = record.usage.output;
    assert!((1_440..=1_460).contains(&output), "{output}");
}

/// A world that has learned, and has this limit from then on.
fn near(limit: i64, told_each: u64, change: impl Fn(&mut plan::Plan)) -> World {
    let world = world(vec![], (0..=ENOUGH).map(|_| told(told_each)).collect());
    for _ in 0..ENOUGH {
        // As where a rule counts the words of each call.
        let request = Request::builder()
            .method("POST")
            .uri(CHAT)
            .header("authorization", "Bearer tg-test");
        let (head, ()) = request.body(()).expect("a request").into_parts();
        let mut exchange = world
            .flow
            .open(head, Caller::default())
            .ok()
            .expect("let in");
        exchange.record.request.input_tokens_estimate = Some(404);
        let reply = block_on(exchange.run(Ok(long().into())));
        assert_eq!(reply.status, 200);
    }
    let mut plan = plan(&[("openai", "openai_chat")]);
    plan.quotas = Quotas::new([budget(Measure::InputTokens, limit)]);
    change(&mut plan);
    world.flow.plan.store(Arc::new(plan.into()));
    world
}

#[test]
fn near_a_limit_the_learned_factor_decides_with_its_margin() {
    // By bytes the call has some 1,270 tokens, by words half above 404.
    let world = near(540, 404, |_| {});
    let got = world.call(CHAT, &long());
    assert_eq!(got.status, 200, "{}", got.body);
    let record = last(&world);
    let noted = decision(&record, "reserve", "count");
    assert_eq!(noted.reason, "near_a_limit");
    assert_eq!(word(&noted, "input_by"), "words/1");
    assert_eq!(word(&noted, "provider"), "openai");
    assert_eq!(word(&noted, "model"), "up-m");
    assert_eq!(number(&noted, "margin_percent"), 25);
    let product = number(&noted, "input_counted") * number(&noted, "input_factor_1024");
    let tokens = product.div_ceil(1_024) * 125;
    let reserved = u64::try_from(record.reservations[0].reserved).expect("tokens");
    assert_eq!(tokens.div_ceil(100), reserved);
    assert!((480..=540).contains(&reserved), "{reserved}");
}

#[test]
fn a_provider_that_counts_more_is_reserved_for_more() {
    // Twice what the words say: 606 would be too few.
    let world = near(700, 808, |_| {});
    assert_eq!(world.call(CHAT, &long()).status, 402);
}

#[test]
fn strict_and_whoever_does_not_want_it_keep_the_bound_by_bytes() {
    let world = near(540, 404, |plan| plan.reservation.counts_near_limits = false);
    assert_eq!(world.call(CHAT, &long()).status, 402);
    let record = last(&world);
    assert!(record.decisions.iter().all(|it| it.verdict != "count"));
    let wide = near(540, 404, |plan| plan.reservation.margin_percent = 400);
    assert_eq!(wide.call(CHAT, &long()).status, 402);
    let strict = near(1_000, 404, |plan| plan.reservation.strict = true);
    assert_eq!(strict.call(CHAT, &long()).status, 402);
}

#[test]
fn a_call_that_fits_is_not_counted() {
    let world = world(vec![budget(Measure::InputTokens, 100_000)], vec![told(400)]);
    assert_eq!(world.call(CHAT, &long()).status, 200);
    assert_eq!(last(&world).request.input_tokens_estimate, None);
}

/// A vocabulary of few tokens, so that counts by it are far from others.
fn small() -> meter::Vocabulary {
    let text = include_str!("../../../meter/fixtures/small.tiktoken");
    meter::Vocabulary::parse(text, meter::vocabulary::Split::O200kBase).expect("a vocabulary")
}

fn with_vocabulary(plan: &mut plan::Plan) {
    plan.tokenizers.add(vec!["up-*".into()], Arc::new(small()));
}

#[test]
fn a_model_with_a_vocabulary_is_counted_by_it() {
    let mut plan = plan(&[("openai", "openai_chat")]);
    with_vocabulary(&mut plan);
    let answer = r#"{"id":"c","object":"chat.completion","created":1,"model":"up-m","choices":[{"index":0,"message":{"role":"assistant","content":"TEXT"},"finish_reason":"stop"}]}"#;
    let text = "an answer with some words, 12345 of them";
    let script = Script::json(200, &answer.replace("TEXT", text));
    let world = World::of(plan, vec![Ok(script)]);
    assert_eq!(world.call(CHAT, &long()).status, 200);
    let record = last(&world);
    let noted = decision(&record, "settle", "estimate");
    assert_eq!(word(&noted, "input_by"), "vocabulary/1");
    assert_eq!(word(&noted, "output_by"), "vocabulary/1");
    assert_eq!(record.usage.output, small().tokens(text));
    let words = small().tokens(&"plain words ".repeat(200));
    assert!(record.usage.input.abs_diff(words) < 60, "{words}");
}

#[test]
fn near_a_limit_the_vocabulary_decides() {
    let counted = small().tokens(&"plain words ".repeat(200));
    let limit = i64::try_from(counted * 11 / 10 + 20).expect("small");
    let world = near(limit, 404, with_vocabulary);
    let got = world.call(CHAT, &long());
    assert_eq!(got.status, 200, "{}", got.body);
    let record = last(&world);
    let noted = decision(&record, "reserve", "count");
    assert_eq!(word(&noted, "input_by"), "vocabulary/1");
    assert_eq!(number(&noted, "margin_percent"), 10);
    assert!(number(&noted, "input_counted").abs_diff(counted) < 10);
    let less = near(limit - 40, 404, with_vocabulary);
    assert_eq!(less.call(CHAT, &long()).status, 402);
}
