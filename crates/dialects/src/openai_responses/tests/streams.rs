//! Answers whole and streamed.

use contract::answer::FinishReason;
use contract::chat::{Part, PartKind, Signature, ToolCall};
use contract::request::Task;
use contract::{CountAnswer, DialectId, FaultKind};

use super::*;
use crate::dialect::Tally;
use crate::fold::{fold, unfold};

#[test]
fn a_folded_stream_is_the_whole_answer() {
    for (folder, sse) in fixtures("stream.sse") {
        let answer = std::fs::read_to_string(folder.join("answer.json")).expect("beside it");
        let folded = fold(events(&sse, usize::MAX).expect("readable")).expect("whole");
        let mut expected = whole(&answer);
        // A stream tells the item of a text only by its place.
        let items = expected
            .choices
            .iter_mut()
            .flat_map(|choice| &mut choice.parts);
        for part in items {
            if !matches!(part.kind, PartKind::Thinking { .. }) {
                part.id = None;
            }
        }
        assert_eq!(folded, expected, "{}", folder.display());
    }
}

#[test]
fn chunks_do_not_matter() {
    for (folder, sse) in fixtures("stream.sse") {
        let at_once = events(&sse, usize::MAX).expect("readable");
        for piece in [1, 3, 64, 1000] {
            let pieces = events(&sse, piece).expect("readable");
            assert_eq!(pieces, at_once, "{} by {piece}", folder.display());
        }
    }
}

#[test]
fn what_is_written_reads_as_the_same() {
    for (folder, sse) in fixtures("stream.sse") {
        let events = events(&sse, usize::MAX).expect("readable");
        let mut expected = fold(events.clone()).expect("whole");
        for events in [events, unfold(expected.clone())] {
            let text = told(&events);
            let again = fold(super::events(&text, 50).expect("readable")).expect("whole");
            expected.model = again.model.clone();
            assert_eq!(again, expected, "{}", folder.display());
            // The last event tells everything once more.
            let last = text
                .trim_end()
                .rsplit("data: ")
                .next()
                .expect("a last event");
            let response = json(last)["response"].clone();
            let retold = whole(&response.to_string());
            assert_eq!(retold.choices[0].logprobs, expected.choices[0].logprobs);
            assert_eq!(retold.usage, expected.usage);
            assert_eq!(retold.choices[0].finish, expected.choices[0].finish);
        }
    }
}

#[test]
fn events_are_numbered_and_named() {
    for (_, sse) in fixtures("stream.sse") {
        let text = told(&events(&sse, usize::MAX).expect("readable"));
        for (number, frame) in text.trim_end().split("\n\n").enumerate() {
            let (name, data) = frame.split_once('\n').expect("two lines");
            let data = json(data.strip_prefix("data: ").expect("data"));
            assert_eq!(data["sequence_number"], number);
            assert_eq!(
                format!("event: {}", data["type"].as_str().expect("named")),
                name
            );
        }
    }
}

#[test]
fn whole_answers_are_written_again() {
    let route = chat_route();
    for (folder, text) in fixtures("answer.json") {
        let answer = whole(&text);
        let written = DIALECT.write_answer(&Answer::Chat(answer.clone()), &asked(&route, None));
        assert_eq!(written.losses, Vec::new());
        let body = json(&written.body);
        let mut again = whole(&body.to_string());
        again.model.clone_from(&answer.model);
        assert_eq!(again, answer, "{}", folder.display());
        for key in [
            "parallel_tool_calls",
            "tool_choice",
            "tools",
            "created_at",
            "metadata",
        ] {
            assert!(body.get(key).is_some(), "{key}");
        }
    }
}

#[test]
fn the_request_is_repeated() {
    let text = include_str!(
        "../../../../../fixtures/openai_responses/everything/request.openai_responses.json"
    );
    let request = read(text).expect("readable");
    let route = chat_route();
    let answer = Answer::Chat(ChatAnswer::default());
    let body = json(
        &DIALECT
            .write_answer(&answer, &asked(&route, Some(&request)))
            .body,
    );
    let sent = json(text);
    assert_eq!(body["tools"][0]["name"], sent["tools"][0]["name"]);
    assert_eq!(body["tool_choice"], sent["tool_choice"]);
    assert_eq!(body["max_output_tokens"], 99);
    assert_eq!(body["text"]["format"]["name"], "city");
    assert_eq!(body["model"], "shown/model");
}

#[test]
fn tokens_of_other_vendors_reach_the_client_and_come_back() {
    let foreign = |value: &str| {
        Some(Signature {
            dialect: DialectId("anthropic"),
            value: value.to_owned(),
        })
    };
    let parts = vec![
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
                arguments: "{}".to_owned(),
                custom: false,
            })
            .into()
        },
    ];
    let answer = ChatAnswer {
        choices: vec![contract::Choice {
            parts: parts.clone(),
            finish: Some(FinishReason::ToolCalls.into()),
            logprobs: Vec::new(),
        }],
        ..ChatAnswer::default()
    };
    let route = chat_route();
    let written = DIALECT.write_answer(&Answer::Chat(answer.clone()), &asked(&route, None));
    let output = json(&written.body)["output"].clone();
    let streamed = told(&unfold(answer));
    let last = streamed
        .trim_end()
        .rsplit("data: ")
        .next()
        .expect("a last event");
    assert_eq!(json(last)["response"]["output"], output);

    let request = serde_json::json!({"model": "m", "input": output});
    let Task::Chat(chat) = read(&request.to_string()).expect("readable").task else {
        panic!("a chat");
    };
    let mut read = chat.turns[0].parts.clone();
    for part in &mut read {
        part.id = None;
    }
    assert_eq!(read, parts);
}

fn watch(sse: &str) -> (Tally, Result<(), Fault>) {
    let mut splitter = Framing::Sse.splitter();
    let batch = splitter
        .push(Bytes::copy_from_slice(sse.as_bytes()))
        .expect("framed");
    let mut watcher = DIALECT.stream_watcher(false);
    let mut tally = Tally::default();
    for span in &batch.frames {
        let frame = batch.frame(span);
        if frame.kind != FrameKind::Silent
            && let Err(fault) = watcher.see(frame, &mut tally)
        {
            return (tally, Err(fault));
        }
    }
    let closed = watcher.close(&mut tally);
    (tally, closed)
}

#[test]
fn the_watcher_tallies_what_the_reader_reads() {
    for (folder, sse) in fixtures("stream.sse") {
        let (tally, closed) = watch(&sse);
        closed.expect("whole");
        let answer = fold(events(&sse, usize::MAX).expect("readable")).expect("whole");
        let finish = answer.choices[0]
            .finish
            .as_ref()
            .map(|finish| finish.reason);
        assert_eq!(tally.usage, answer.usage, "{}", folder.display());
        assert_eq!((tally.id, tally.model), (answer.id, answer.model));
        assert_eq!(tally.finish, finish);
        assert!(tally.committed && tally.ended && tally.fault.is_none());

        let text = std::fs::read_to_string(folder.join("answer.json")).expect("beside it");
        let mut tally = Tally::default();
        DIALECT
            .tally_answer(Operation::Chat, doc(&text).root(), &mut tally)
            .expect("fine");
        assert_eq!((tally.usage, tally.finish), (answer.usage, finish));
    }
}

#[test]
fn beginnings_commit_nothing_and_every_cut_is_seen() {
    let (_, sse) = fixtures("stream.sse").remove(0);
    let frames: Vec<&str> = sse.split_inclusive("\n\n").collect();
    for cut in 0..frames.len() - 1 {
        let part = frames[..=cut].concat();
        if cut + 1 < frames.len() {
            let (tally, closed) = watch(&part);
            assert_eq!(closed.expect_err("cut off").kind, FaultKind::UpstreamBroken);
            assert_eq!(
                events(&part, 99).expect_err("cut off").kind,
                FaultKind::UpstreamBroken
            );
            assert_eq!(tally.committed, part.contains(".delta"), "{cut}");
        }
    }
}

#[test]
fn errors_in_the_stream_are_faults() {
    for (event, kind) in [
        (
            r#"{"type":"error","sequence_number":1,"code":"rate_limit_exceeded","message":"m","param":null}"#,
            FaultKind::UpstreamBusy,
        ),
        (
            r#"{"type":"error","error":{"code":"server_error","message":"m"}}"#,
            FaultKind::UpstreamBroken,
        ),
        (
            r#"{"error":{"code":"invalid_prompt","message":"m"}}"#,
            FaultKind::UpstreamRefused,
        ),
        (
            r#"{"type":"response.failed","response":{"id":"r","status":"failed","error":{"code":"server_error","message":"m"},"output":[]}}"#,
            FaultKind::UpstreamBroken,
        ),
    ] {
        let sse = format!("event: x\ndata: {event}\n\n");
        let fault = watch(&sse).0.fault.expect("seen");
        assert_eq!(fault.kind, kind, "{event}");
        assert_eq!(
            fold(events(&sse, 7).expect("read")).expect_err("a fault"),
            fault,
            "{event}"
        );
    }
    for data in ["{oops", "<html>", "[DONE]"] {
        assert!(events(&format!("data: {data}\n\n"), 7).is_err(), "{data}");
        assert!(watch(&format!("data: {data}\n\n")).1.is_err(), "{data}");
    }
}

#[test]
fn an_error_or_rubbish_under_a_200_is_a_fault() {
    for (body, kind) in [
        (
            r#"{"error":{"message":"m","code":"server_error"}}"#,
            FaultKind::UpstreamBroken,
        ),
        (
            r#"{"status":"failed","error":{"message":"m","code":"invalid_prompt"},"output":[]}"#,
            FaultKind::UpstreamRefused,
        ),
        (
            r#"{"status":"failed","error":null,"output":[]}"#,
            FaultKind::UpstreamBroken,
        ),
        (
            r#"{"status":"in_progress","output":[]}"#,
            FaultKind::UpstreamBroken,
        ),
        ("{}", FaultKind::UpstreamBroken),
        ("7", FaultKind::UpstreamBroken),
    ] {
        let doc = doc(body);
        for operation in [Operation::Chat, Operation::CountTokens] {
            let read = DIALECT.read_answer(operation, doc.root());
            let tallied = DIALECT.tally_answer(operation, doc.root(), &mut Tally::default());
            assert_eq!(read.is_err(), tallied.is_err(), "{body}");
            if operation == Operation::Chat {
                assert_eq!(read.expect_err(body).kind, kind, "{body}");
                assert_eq!(tallied.expect_err(body).kind, kind, "{body}");
            }
        }
    }
}

#[test]
fn counts_are_told() {
    let text = r#"{"object":"response.input_tokens","input_tokens":11}"#;
    let answer = DIALECT.read_answer(Operation::CountTokens, doc(text).root());
    let answer = answer.expect("readable");
    assert_eq!(
        answer,
        Answer::Count(CountAnswer {
            input_tokens: 11,
            cached_tokens: 0,
            estimated: false
        })
    );
    let route = Route::new(ID, Operation::CountTokens);
    assert_eq!(
        json(DIALECT.write_answer(&answer, &asked(&route, None)).body),
        json(text)
    );
}

/// A refusal and a call decide over the end also where the last event does
/// not repeat them, and a failure is billed whichever way it goes.
#[test]
fn the_watcher_ends_as_the_reader_does() {
    let item = |kind: &str| {
        format!(
            r#"{{"type":"response.output_item.added","output_index":0,"item":{{"id":"i","type":"{kind}","call_id":"c","name":"f","content":[]}}}}"#
        )
    };
    let refusal =
        r#"{"type":"response.refusal.delta","output_index":0,"content_index":0,"delta":"No"}"#;
    let done = |output: &str| {
        format!(
            r#"{{"type":"response.completed","response":{{"id":"r","status":"completed","output":{output}}}}}"#
        )
    };
    let said = r#"[{"type":"message","id":"i","role":"assistant","content":[{"type":"refusal","refusal":"No"}]}]"#;
    let cases = [
        (
            vec![item("message"), refusal.to_owned(), done("[]")],
            FinishReason::Refusal,
        ),
        (
            vec![item("function_call"), done("[]")],
            FinishReason::ToolCalls,
        ),
        (vec![done(said)], FinishReason::Refusal),
    ];
    for (frames, expected) in cases {
        let sse: String = frames
            .iter()
            .map(|data| format!("event: x\ndata: {data}\n\n"))
            .collect();
        let (tally, closed) = watch(&sse);
        closed.expect("whole");
        let answer = fold(events(&sse, 99).expect("readable")).expect("whole");
        let read = answer.choices[0].finish.as_ref().expect("ended");
        assert_eq!(
            (tally.finish, read.reason),
            (Some(expected), expected),
            "{sse}"
        );
    }
    let failed = r#"{"type":"response.failed","response":{"id":"r","status":"failed","error":{"code":"server_error","message":"m"},"output":[],"usage":{"input_tokens":3,"output_tokens":1}}}"#;
    let sse = format!("event: x\ndata: {failed}\n\n");
    let mut read = Tally::default();
    for event in events(&sse, 99).expect("readable") {
        read.note(&event);
    }
    assert_eq!(read.usage.map(|usage| usage.input), Some(3));
    assert_eq!(watch(&sse).0.usage, read.usage);
}
