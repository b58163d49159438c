//! Streams: told whole or in pieces, they say the same.

use contract::answer::{ChatAnswer, FinishReason};
use contract::chat::{Part, PartKind, Signature, ToolCall};
use contract::{Answer, DialectId, FaultKind, Operation};

use super::*;
use crate::dialect::{Keep, Tally};
use crate::fold::{fold, unfold};

fn whole(text: &str) -> ChatAnswer {
    match DIALECT.read_answer(Operation::Chat, doc(text).root()) {
        Ok(Answer::Chat(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_folded_stream_is_the_whole_answer() {
    for (folder, sse) in fixtures("stream.sse") {
        let answer = std::fs::read_to_string(folder.join("answer.json")).expect("beside it");
        let events = events(&sse, usize::MAX).expect("readable");
        assert_eq!(
            fold(events).expect("whole"),
            whole(&answer),
            "{}",
            folder.display()
        );
    }
}

#[test]
fn chunks_do_not_matter() {
    for (folder, sse) in fixtures("stream.sse") {
        let at_once = events(&sse, usize::MAX).expect("readable");
        for piece in [1, 2, 3, 7, 64, 1000] {
            let pieces = events(&sse, piece).expect("readable");
            assert_eq!(pieces, at_once, "{} by {piece}", folder.display());
        }
    }
}

/// Events as the client sees them, read back.
fn told_again(events: &[Event]) -> (String, ChatAnswer) {
    let route = Route::new(ID, Operation::Chat);
    let mut writer = DIALECT.stream_writer(&asked(&route));
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    assert_eq!(writer.losses(), &[]);
    let text = String::from_utf8(out).expect("text");
    let again = super::events(&text, usize::MAX).expect("readable");
    (text, fold(again).expect("whole"))
}

#[test]
fn what_is_written_reads_as_the_same() {
    for (folder, sse) in fixtures("stream.sse") {
        let events = events(&sse, usize::MAX).expect("readable");
        let mut expected = fold(events.clone()).expect("whole");
        for events in [events, unfold(expected.clone())] {
            let (text, mut again) = told_again(&events);
            assert!(text.ends_with("data: [DONE]\n\n"), "{}", folder.display());
            expected.model = again.model.take();
            expected.id = again.id.clone();
            expected.usage = expected.usage.or(again.usage);
            again.model = expected.model.clone();
            assert_eq!(again, expected, "{}", folder.display());
        }
    }
}

#[test]
fn tokens_of_other_vendors_reach_the_client_and_come_back() {
    let foreign = |value: &str| {
        Some(Signature {
            dialect: DialectId("anthropic"),
            value: value.to_owned(),
        })
    };
    let answer = ChatAnswer {
        choices: vec![contract::answer::Choice {
            parts: vec![
                Part {
                    signature: foreign("proof=="),
                    ..PartKind::Thinking {
                        text: "Hm.".to_owned(),
                    }
                    .into()
                },
                Part {
                    signature: foreign("sealed"),
                    ..PartKind::RedactedThinking.into()
                },
                Part::text("Yes."),
                Part {
                    signature: foreign("call"),
                    ..PartKind::ToolCall(ToolCall {
                        id: "c1".to_owned(),
                        name: "f".to_owned(),
                        arguments: String::new(),
                        custom: false,
                    })
                    .into()
                },
            ],
            finish: Some(FinishReason::ToolCalls.into()),
            logprobs: Vec::new(),
        }],
        ..ChatAnswer::default()
    };
    let route = Route::new(ID, Operation::Chat);
    let written = DIALECT.write_answer(&Answer::Chat(answer.clone()), &asked(&route));
    let message = json(&written.body)["choices"][0]["message"].clone();
    assert_eq!(written.losses, Vec::new());
    let (streamed, _) = told_again(&unfold(answer.clone()));
    for text in [
        "_tgc_1.anthropic.proof==",
        "_tgc_1.anthropic.sealed",
        "\"{}\"",
    ] {
        assert!(message.to_string().contains(text), "{text} in {message}");
        assert!(streamed.contains(text), "{text} in {streamed}");
    }
    let id = message["tool_calls"][0]["id"].as_str().expect("an id");
    assert!(streamed.contains(id));

    let turn = serde_json::json!({"model": "m", "messages": [message, {"role": "tool", "tool_call_id": id, "content": "ok"}]});
    let request = read(&turn.to_string()).expect("readable");
    let contract::request::Task::Chat(chat) = request.task else {
        panic!("a chat");
    };
    let mut expected = answer.choices[0].parts.clone();
    if let PartKind::ToolCall(call) = &mut expected[3].kind {
        call.arguments = "{}".to_owned();
    }
    assert_eq!(chat.turns[0].parts, expected);
    let PartKind::ToolResult(result) = &chat.turns[1].parts[0].kind else {
        panic!("a result");
    };
    assert_eq!(result.call_id, "c1");
}

/// Watches a stream; also which frames are hidden.
fn watch(sse: &str, hide_usage: bool) -> (Tally, Vec<bool>, Result<(), Fault>) {
    let mut splitter = Framing::Sse.splitter();
    let batch = splitter
        .push(Bytes::copy_from_slice(sse.as_bytes()))
        .expect("framed");
    let mut watcher = DIALECT.stream_watcher(hide_usage);
    let mut tally = Tally::default();
    let mut hidden = Vec::new();
    for span in &batch.frames {
        let frame = batch.frame(span);
        if frame.kind != FrameKind::Silent {
            match watcher.see(frame, &mut tally) {
                Ok(keep) => hidden.push(keep == Keep::Hide),
                Err(fault) => return (tally, hidden, Err(fault)),
            }
        }
    }
    let closed = watcher.close(&mut tally);
    (tally, hidden, closed)
}

#[test]
fn the_watcher_tallies_what_the_reader_reads() {
    for (folder, sse) in fixtures("stream.sse") {
        let (tally, hidden, closed) = watch(&sse, true);
        closed.expect("whole");
        let answer = fold(events(&sse, usize::MAX).expect("readable")).expect("whole");
        assert_eq!(tally.usage, answer.usage, "{}", folder.display());
        assert_eq!((tally.id, tally.model), (answer.id, answer.model));
        assert!(tally.committed && tally.ended && tally.fault.is_none());
        let alone = sse.contains("\"choices\":[],\"usage\":{");
        assert_eq!(
            hidden.iter().filter(|hide| **hide).count(),
            usize::from(alone)
        );
        assert!(watch(&sse, false).1.iter().all(|hide| !hide));
    }
}

#[test]
fn a_role_commits_nothing_and_content_does() {
    let head = r#"data: {"id":"x","choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[]},"finish_reason":null}]}"#;
    let (tally, _, closed) = watch(&format!("{head}\n\n"), false);
    assert!(!tally.committed);
    assert_eq!(closed.expect_err("cut off").kind, FaultKind::UpstreamBroken);
    let said = r#"data: {"id":"x","choices":[{"index":0,"delta":{"reasoning":"h"},"finish_reason":null}]}"#;
    assert!(watch(&format!("{said}\n\n"), false).0.committed);
}

#[test]
fn broken_streams_are_faults() {
    let said = r#"data: {"id":"x","choices":[{"index":0,"delta":{"content":"h"}}]}"#;
    for (rest, kind) in [
        ("", FaultKind::UpstreamBroken),
        ("data: {oops\n\n", FaultKind::UpstreamBroken),
        ("data: <html>\n\n", FaultKind::UpstreamBroken),
    ] {
        let sse = format!("{said}\n\n{rest}");
        assert_eq!(events(&sse, 5).expect_err("broken").kind, kind);
        assert_eq!(watch(&sse, false).2.expect_err("broken").kind, kind);
    }
    let error =
        r#"data: {"error":{"message":"slow down","type":"x","code":"rate_limit_exceeded"}}"#;
    let sse = format!("{said}\n\n{error}\n\n");
    let fault = watch(&sse, false).0.fault.expect("seen");
    assert_eq!(fault.kind, FaultKind::UpstreamBusy);
    assert_eq!(
        fold(events(&sse, 5).expect("read")).expect_err("a fault"),
        fault
    );
    assert!(
        events("data: [DONE]\n\n", 5).is_err(),
        "an end without an answer"
    );
}

#[test]
fn odd_but_known_streams_are_read() {
    let chunk = |delta: &str| {
        format!("data: {{\"id\":\"x\",\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n")
    };
    // Every call at index 0, whole, and no finishing chunk.
    let same_index = [
        chunk(r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#),
        chunk(r#"{"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"{\"x\":1}"},"extra_content":{"google":{"thought_signature":"s"}}}]}"#),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat();
    let answer = fold(events(&same_index, 9).expect("readable")).expect("whole");
    assert_eq!(answer.choices[0].parts.len(), 2);
    let finish = answer.choices[0].finish.as_ref().expect("ended");
    assert_eq!(finish.reason, FinishReason::ToolCalls);
    let proof = answer.choices[0].parts[1].signature.as_ref().expect("kept");
    assert_eq!(proof.dialect, ID);

    let details = [
        chunk(r#"{"reasoning":"a","reasoning_details":[{"type":"reasoning.text","text":"a"}]}"#),
        chunk(r#"{"reasoning_details":[{"type":"reasoning.text","signature":"s"}]}"#),
        chunk(r#"{"content":"b"}"#),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat();
    let answer = fold(events(&details, 9).expect("readable")).expect("whole");
    let part = &answer.choices[0].parts[0];
    assert_eq!(
        part.kind,
        PartKind::Thinking {
            text: "a".to_owned()
        }
    );
    assert_eq!(
        part.signature.as_ref().expect("signed").value,
        r#"reasoning_details:[{"type":"reasoning.text","text":"a"},{"type":"reasoning.text","signature":"s"}]"#
    );
}

/// What decides over the word for the end stands in the deltas, of the first
/// choice only.
#[test]
fn the_watcher_ends_as_the_reader_does() {
    let chunk = |index: u32, delta: &str, word: &str| {
        let finish = if word == "null" {
            word.to_owned()
        } else {
            format!("\"{word}\"")
        };
        format!(
            "data: {{\"id\":\"x\",\"choices\":[{{\"index\":{index},\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let text = chunk(0, r#"{"content":"h"}"#, "null");
    let no = |more| chunk(0, &format!(r#"{{"refusal":"{more}"}}"#), "null");
    let call = |index| {
        let call =
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#;
        chunk(index, call, "null")
    };
    let stop = |index| chunk(index, "{}", "stop");
    let cases: [(Vec<String>, FinishReason); 8] = [
        (vec![text.clone(), stop(0)], FinishReason::Stop),
        (
            vec![no(""), no("N"), no("o"), stop(0)],
            FinishReason::Refusal,
        ),
        (
            vec![text.clone(), no(""), no("No"), stop(0)],
            FinishReason::Refusal,
        ),
        (vec![call(0), stop(0)], FinishReason::ToolCalls),
        (
            vec![text.clone(), call(1), stop(1), stop(0)],
            FinishReason::Stop,
        ),
        (
            vec![
                text.clone(),
                chunk(1, r#"{"content":"h"}"#, "length"),
                stop(0),
            ],
            FinishReason::Stop,
        ),
        (
            vec![text.clone(), chunk(0, "{}", ""), chunk(0, "{}", "length")],
            FinishReason::Length,
        ),
        (vec![call(0)], FinishReason::ToolCalls),
    ];
    for (frames, expected) in cases {
        let sse = [frames.concat().as_str(), "data: [DONE]\n\n"].concat();
        let (tally, _, closed) = watch(&sse, false);
        closed.expect("whole");
        let answer = fold(events(&sse, usize::MAX).expect("readable")).expect("whole");
        let read = answer.choices[0].finish.as_ref().expect("ended");
        assert_eq!(
            (tally.finish, read.reason),
            (Some(expected), expected),
            "{sse}"
        );
    }
}
