//! Two turns with thinking and tool calls: what an upstream signed comes back
//! to it byte for byte, through a client of any dialect, whole or streamed.

use bytes::Bytes;
use contract::answer::FinishReason;
use contract::chat::{PartKind, Signature};
use contract::{ChatAnswer, DialectId, Operation, Task};
use tollgate_dialects::json::Doc;
use tollgate_dialects::{Dialect, carry, fold};

use crate::account::Findings;
use crate::answer_leaves::unwrapped;
use crate::answers::{of, signed, thought};
use crate::drive::{self, MODEL, pairs};
use crate::echo;
use crate::requests::call;

/// How the answer comes to the client.
#[derive(Clone, Copy, Debug)]
enum Way {
    Whole,
    Streamed,
}

/// What an upstream must see again.
#[derive(Debug, PartialEq)]
struct Signed {
    /// Thinking, its text, and its signature.
    thoughts: Vec<(String, Option<Signature>)>,
    /// Ids, names, arguments and tokens of calls.
    calls: Vec<(String, String, String, Option<Signature>)>,
    /// Ids that results refer to.
    results: Vec<String>,
}

/// An answer as the upstream's own bytes tell it.
fn answer_of(upstream: &dyn Dialect, turn: usize) -> ChatAnswer {
    let own = upstream.id();
    // Some vendors mint ids that others refuse; Bedrock mints none such.
    let odd = if own.0 == "bedrock" {
        "tooluse_2"
    } else {
        "functions.weather:0/\u{e9}"
    };
    let id = ["call_1", odd][turn];
    let called = call(id, "weather", r#"{"city":"Rome","n":1.5}"#);
    let value = ["Sig/+w==", "c2lnLXR3bw=="][turn];
    let mut parts = vec![signed(thought(), value, own)];
    // Gemini signs calls, and redacts nothing.
    let signs_calls = own.0 == "gemini";
    if !signs_calls {
        parts.push(signed(PartKind::RedactedThinking, "UmVkYWN0ZWQ=", own));
    }
    let token = signs_calls.then(|| Signature {
        dialect: own,
        value: "Q2FsbFNpZw==".to_owned(),
    });
    parts.push(contract::Part {
        signature: token,
        ..called
    });
    let told = drive::write_answer(upstream, &of(parts, FinishReason::ToolCalls)).body;
    drive::read_answer(upstream, &told).expect("its own words")
}

/// What the upstream said, as far as it must see it again.
fn said(answer: &ChatAnswer) -> Signed {
    gather(answer.choices.iter().flat_map(|choice| &choice.parts))
}

fn gather<'p>(parts: impl Iterator<Item = &'p contract::Part>) -> Signed {
    let mut found = Signed {
        thoughts: Vec::new(),
        calls: Vec::new(),
        results: Vec::new(),
    };
    for part in parts {
        let signature = part.signature.clone();
        // A vendor's word for "there is none".
        let signature = signature.filter(|it| it.value != "skip_thought_signature_validator");
        match &part.kind {
            PartKind::Thinking { text } => found.thoughts.push((text.clone(), signature)),
            PartKind::RedactedThinking => found.thoughts.push((String::new(), signature)),
            PartKind::ToolCall(call) => found.calls.push((
                call.id.clone(),
                call.name.clone(),
                call.arguments.clone(),
                signature,
            )),
            PartKind::ToolResult(result) => found.results.push(result.call_id.clone()),
            _ => {}
        }
    }
    found
}

/// The answer as a client that collects it has it.
fn shown(client: &dyn Dialect, answer: &ChatAnswer, way: Way) -> Bytes {
    match way {
        Way::Whole => drive::write_answer(client, answer).body,
        Way::Streamed => {
            let (stream, _) = drive::write_stream(client, &fold::unfold(answer.clone()));
            let collected = drive::read_folded(client, &stream).expect("our own stream");
            let collected = unwrapped(collected, client.id());
            drive::write_answer(client, &collected).body
        }
    }
}

#[test]
fn what_an_upstream_signed_comes_back_byte_for_byte() {
    let mut findings = Findings::default();
    for (client, upstream) in pairs() {
        for way in [Way::Whole, Way::Streamed] {
            findings.cases += 1;
            if let Err(why) = two_turns(client, upstream, way) {
                findings.add(format!(
                    "{} in front of {}, {way:?}: {why}",
                    client.id(),
                    upstream.id()
                ));
            }
        }
    }
    findings.settle(8);
}

#[test]
fn what_the_model_inside_the_gateway_signed_comes_back_and_goes_to_no_vendor() {
    for client in drive::dialects() {
        for way in [Way::Whole, Way::Streamed] {
            let place = format!("{} {way:?}", client.id());
            let call = call("call_1", "weather", "{}");
            let thought = signed(thought(), "5ea1", DialectId::LOCAL);
            let answer = of(vec![thought.clone(), call], FinishReason::ToolCalls);
            let mut conversation = echo::first(client, MODEL);
            echo::go_on(client, &mut conversation, &shown(client, &answer, way));
            let body = Bytes::from(conversation.to_string());
            assert!(carries(&body), "{place}: {conversation}");
            let request = drive::read(client, &body, (Operation::Chat, false)).expect(&place);
            let Task::Chat(chat) = &request.task else {
                panic!("{place}: not a chat");
            };
            let parts = chat.turns.iter().flat_map(|turn| &turn.parts);
            let back = gather(parts).thoughts;
            let local = vec![(text_of(&thought), thought.signature.clone())];
            assert_eq!(back, local, "{place}");
            for upstream in drive::dialects() {
                let written = drive::write(upstream, &request).expect(&place);
                let sent = String::from_utf8_lossy(&written.body);
                assert!(
                    !sent.contains("5ea1") && !carries(&written.body),
                    "{place} to {}: {sent}",
                    upstream.id()
                );
            }
        }
    }
}

fn text_of(thought: &contract::Part) -> String {
    match &thought.kind {
        PartKind::Thinking { text } => text.clone(),
        other => panic!("not a thought: {other:?}"),
    }
}

fn carries(body: &Bytes) -> bool {
    let doc = Doc::request(body.clone()).expect("what was written is JSON");
    carry::may_carry(&doc)
}

fn two_turns(client: &dyn Dialect, upstream: &dyn Dialect, way: Way) -> Result<(), String> {
    let mut conversation = echo::first(client, MODEL);
    let mut wanted: Vec<Signed> = Vec::new();
    for turn in 0..2 {
        let answer = answer_of(upstream, turn);
        wanted.push(said(&answer));
        let body = shown(client, &answer, way);
        echo::go_on(client, &mut conversation, &body);
        let body = Bytes::from(conversation.to_string());
        if client.id() != upstream.id() && turn == 0 && signs(&wanted) && !carries(&body) {
            return Err(format!(
                "the next request looks as if it carried nothing: {conversation}"
            ));
        }
        let request = drive::read(client, &body, (Operation::Chat, false))
            .map_err(|fault| format!("the echo is not read: {fault:?}"))?;
        let written = drive::write(upstream, &request)
            .map_err(|fault| format!("the echo is not written: {fault:?}"))?;
        let seen = drive::read(upstream, &written.body, (Operation::Chat, false))
            .map_err(|fault| format!("the upstream does not read it: {fault:?}"))?;
        compare(&wanted, &seen.task, &written.body)?;
    }
    Ok(())
}

fn signs(wanted: &[Signed]) -> bool {
    let of_thoughts = wanted.iter().flat_map(|turn| &turn.thoughts);
    of_thoughts
        .into_iter()
        .any(|(_, signature)| signature.is_some())
}

fn compare(wanted: &[Signed], seen: &Task, body: &Bytes) -> Result<(), String> {
    let (Task::Chat(chat) | Task::CountTokens(chat)) = seen else {
        return Err("not a chat".to_owned());
    };
    let seen = gather(chat.turns.iter().flat_map(|turn| &turn.parts));
    let ids: Vec<&String> = wanted
        .iter()
        .flat_map(|turn| turn.calls.iter().map(|(id, ..)| id))
        .collect();
    let fail = |what: &str| {
        let body = String::from_utf8_lossy(body);
        Err(format!(
            "{what}\n  wanted {wanted:?}\n  seen {seen:?}\n  in {body}"
        ))
    };
    let thoughts = wanted.iter().flat_map(|turn| &turn.thoughts);
    if !thoughts.eq(&seen.thoughts) {
        return fail("thoughts differ");
    }
    if !wanted.iter().flat_map(|turn| &turn.calls).eq(&seen.calls) {
        return fail("calls differ");
    }
    if !ids.into_iter().eq(&seen.results) {
        return fail("results refer to other calls");
    }
    Ok(())
}
