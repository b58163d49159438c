//! The brake on reasoning: budgets, streams and whole answers.

use contract::event::{Delta, PartHead};
use dialects::Dialect;
use evidence::Decision;
use meter::{Dimension, Hold, ReasoningBrake, Scope};

use super::super::CHAT;
use super::*;

const BRAKE: u64 = 1_024;

fn brake(hold: Hold, tokens: u64) -> ReasoningBrake {
    ReasoningBrake {
        name: "brooding".into(),
        scope: Scope::default(),
        hold,
        tokens,
    }
}

fn world(upstream: &dyn Dialect, script: Script, brakes: Vec<ReasoningBrake>) -> World {
    let mut plan = plan(&[(kind_of(upstream), upstream.id().0)]);
    plan.reasoning_brakes = brakes;
    World::of(plan, vec![Ok(script)])
}

/// So many words of thinking, and then two of text.
fn brooding(thoughts: usize) -> Vec<Event> {
    let delta = |part, text: String| Event::PartDelta {
        choice: 0,
        part,
        delta: Delta::Text(text),
    };
    let open = |part, head| Event::PartOpen {
        choice: 0,
        part,
        head,
    };
    let mut events = vec![
        Event::Open {
            id: None,
            model: Some("up-m".into()),
            created_s: Some(1),
        },
        open(0, PartHead::Thinking { id: None }),
    ];
    events.extend((0..thoughts).map(|at| delta(0, format!("thought{at} "))));
    events.extend([
        Event::PartClose { choice: 0, part: 0 },
        open(1, PartHead::Text),
        delta(1, "Well ".into()),
        delta(1, "then.".into()),
        Event::PartClose { choice: 0, part: 1 },
        Event::Finish {
            choice: 0,
            finish: FinishReason::Stop.into(),
        },
        Event::End,
    ]);
    events
}

fn decisions(record: &Record) -> Vec<(&str, &str)> {
    let all = record.decisions.iter();
    let ours = all.filter(|it: &&Decision| it.stage == "brake");
    ours.map(|it| (&*it.verdict, &*it.mode)).collect()
}

#[test]
fn a_model_that_goes_on_thinking_is_ended() {
    for door in DIALECTS.iter().copied() {
        let (path, body) = ask(door, HI, true);
        for upstream in upstreams(door) {
            let pieces = pieces(upstream, &brooding(3_000));
            let world = world(
                upstream,
                endless(upstream, pieces),
                vec![brake(Hold::Enforce, BRAKE)],
            );
            let got = world.call(&path, &body);
            assert_eq!(got.status, 200, "{}: {}", door.id(), got.body);
            let (deltas, finish) = read(door, &got.body);
            assert_eq!(finish, FinishReason::Length, "{}", door.id());
            assert!((1_024..1_400).contains(&deltas), "{}: {deltas}", door.id());
            let record = only(&world);
            assert_eq!(reason(&record), "reasoning_tokens", "{}", door.id());
            assert_eq!(decisions(&record), [("cut", "enforce")], "{}", door.id());
            assert!(world.wire.dropped.load(Ordering::SeqCst));
        }
    }
}

/// What is seen of thinking is the same whether a stream passes or is read,
/// and text is no thinking.
#[test]
fn a_model_that_thinks_less_is_left_alone() {
    for door in DIALECTS.iter().copied() {
        let (path, body) = ask(door, HI, true);
        for upstream in upstreams(door) {
            let mut script = endless(upstream, pieces(upstream, &brooding(900)));
            script.chunks.pop();
            let with = |brakes| world(upstream, script.clone(), brakes).call(&path, &body);
            let free = with(vec![]);
            let held = with(vec![brake(Hold::Enforce, BRAKE)]);
            assert_eq!(held.body, free.body, "{}", door.id());
            let told = world(upstream, script.clone(), vec![brake(Hold::Shadow, 800)]);
            assert_eq!(told.call(&path, &body).body, free.body);
            let record = only(&told);
            assert_eq!(
                decisions(&record),
                [("would_cut", "shadow")],
                "{}",
                door.id()
            );
            let readings = &record.decisions.last().expect("a decision").readings;
            assert_eq!(
                format!("{:?}", readings[0].value),
                "Int(900)",
                "{}",
                door.id()
            );
        }
    }
}

#[test]
fn a_budget_for_thinking_is_lowered() {
    let cases = [
        (
            "anthropic",
            r#"{"model":"m","max_tokens":32000,"thinking":{"type":"enabled","budget_tokens":20000},"messages":[{"role":"user","content":"hi"}]}"#,
            r#""budget_tokens":1024}"#,
        ),
        (
            "gemini",
            r#"{"generationConfig":{"thinkingConfig":{"thinkingBudget":20000}},"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#,
            r#""thinkingBudget":1024}"#,
        ),
        (
            "bedrock",
            r#"{"inferenceConfig":{"maxTokens":32000},"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":20000}},"messages":[{"role":"user","content":[{"text":"hi"}]}]}"#,
            r#""budget_tokens":1024}"#,
        ),
    ];
    for (name, body, lowered) in cases {
        let door = dialects::by_name(name).expect("it exists");
        let (path, _) = ask(door, HI, false);
        for (tokens, is_lowered) in [(BRAKE, true), (20_000, false)] {
            let script = Script::json(503, "{}");
            let world = world(door, script, vec![brake(Hold::Enforce, tokens)]);
            world.call(&path, body);
            let sent = world.sent().pop().expect("a call");
            assert_eq!(sent.contains(lowered), is_lowered, "{name}: {sent}");
            let noted = decisions(&only(&world)).contains(&("cap", ""));
            assert_eq!(noted, is_lowered, "{name}");
        }
        // Elsewhere the budget becomes a smaller effort.
        let other = dialects::by_name("openai_chat").expect("it exists");
        let sent = |tokens| {
            let brakes = vec![brake(Hold::Enforce, tokens)];
            let world = world(other, Script::json(503, "{}"), brakes);
            world.call(&path, body);
            world.sent().pop().expect("a call")
        };
        assert!(
            sent(BRAKE).contains("\"reasoning_effort\":\"minimal\""),
            "{}",
            sent(BRAKE)
        );
        assert!(!sent(20_000).contains("\"reasoning_effort\":\"minimal\""));
    }
}

#[test]
fn a_whole_answer_passes_and_is_told() {
    let answer = ANSWER.replace(
        "\"usage\":{",
        "\"usage\":{\"completion_tokens_details\":{\"reasoning_tokens\":2},",
    );
    let door = dialects::by_name("openai_chat").expect("it exists");
    let of = |hold, only: &str| {
        let mut brake = brake(hold, BRAKE);
        brake.tokens = 1;
        brake.scope.only = vec![(Dimension::Model, vec![only.to_owned()])];
        let world = world(door, Script::json(200, &answer), vec![brake]);
        let got = world.call(CHAT, ASK);
        assert_eq!(got.status, 200, "{}", got.body);
        let record = super::only(&world);
        let decisions = decisions(&record);
        let told = decisions.first().map(|(verdict, _)| (*verdict).to_owned());
        let warned = got.headers.get("tollgate-warn").cloned();
        (told, warned)
    };
    assert_eq!(of(Hold::Enforce, "m").0.as_deref(), Some("over"));
    let (told, warned) = of(Hold::Warn, "m");
    assert_eq!(told.as_deref(), Some("warn"));
    assert_eq!(warned.expect("a warning"), "brooding; reasoning_tokens");
    assert_eq!(of(Hold::Enforce, "other").0, None);
}
