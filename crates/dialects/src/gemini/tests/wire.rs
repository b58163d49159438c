//! Answers, streams, models and faults.

use contract::answer::{ChatAnswer, Choice, CountAnswer, EmbedAnswer, Finish, FinishReason};
use contract::chat::{Citation, CitationTarget, PartKind, Signature, ToolCall};
use contract::fault::UpstreamError;
use contract::{FaultKind, Origin, Usage, UsageSource};
use proptest::prelude::*;
use serde_json::json;

use super::super::route::{EMBED_BATCH, EMBED_ONE};
use super::*;
use crate::dialect::{ModelEntry, Tally};
use crate::fold;

fn answered(answer: &Answer, route: &Route) -> (Value, Vec<String>) {
    with_asked(route, |asked| {
        let written = DIALECT.write_answer(answer, asked);
        let losses = written.losses.iter().map(|loss| loss.what.to_string());
        (parsed(&written.body), losses.collect())
    })
}

#[test]
fn a_whole_answer() {
    let body = fixture("answer/answer.json");
    let answer = read_answer(&body).expect("valid");
    let choice = &answer.choices[0];
    let kinds: Vec<_> = choice.parts.iter().map(|part| &part.kind).collect();
    assert_eq!(
        *kinds[0],
        PartKind::Thinking {
            text: "Let me see.".to_owned()
        }
    );
    assert!(matches!(kinds[1], PartKind::Text { text, .. } if text == "It is 18 degrees."));
    let PartKind::ToolCall(call) = kinds[2] else {
        panic!("a call")
    };
    assert_eq!(
        (call.id.as_str(), call.arguments.as_str()),
        ("tgcall_r1_0", r#"{"city": "Paris"}"#)
    );
    let signature = Signature {
        dialect: ID,
        value: "c2lnLTE=".to_owned(),
    };
    assert_eq!(choice.parts[2].signature, Some(signature));
    assert_eq!(
        choice.finish.as_ref().map(|finish| finish.reason),
        Some(FinishReason::ToolCalls)
    );
    assert_eq!(
        answer.usage,
        Some(Usage {
            input: 35,
            cached_read: 40,
            audio_in: 10,
            image_in: 20,
            web_searches: 1,
            output: 20,
            reasoning: 7,
            source: UsageSource::Provider,
            ..Usage::default()
        })
    );
    let (mut written, losses) = answered(&Answer::Chat(answer), &route(Operation::Chat));
    assert_eq!(losses, Vec::<String>::new());
    let mut expected = parsed(&body);
    // The source came behind a call, so it stands in a text of its own; the
    // usage is told by our classes.
    let parts = written["candidates"][0]["content"]["parts"]
        .as_array_mut()
        .expect("parts");
    parts.retain(|part| part != &json!({"text": ""}));
    expected["candidates"][0]["content"]["parts"][2]["functionCall"]["id"] = json!("tgcall_r1_0");
    expected["usageMetadata"] = json!({
        "promptTokenCount": 105, "cachedContentTokenCount": 40, "candidatesTokenCount": 20,
        "thoughtsTokenCount": 7, "totalTokenCount": 132,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 75}, {"modality": "AUDIO", "tokenCount": 10}, {"modality": "IMAGE", "tokenCount": 20}],
    });
    expected["modelVersion"] = json!("gemini-3");
    assert_eq!(
        serde_json::to_value(&written).expect("JSON")["candidates"][0]["avgLogprobs"],
        -0.25
    );
    expected["candidates"][0]["logprobsResult"] =
        written["candidates"][0]["logprobsResult"].clone();
    assert_eq!(written, expected);
}

#[test]
fn finish_reasons() {
    let finish = |word: &str| {
        let body = json!({"candidates": [{"finishReason": word}]}).to_string();
        read_answer(body.as_bytes()).expect(word).choices[0]
            .finish
            .clone()
            .expect(word)
    };
    for (word, reason, shown) in [
        ("STOP", FinishReason::Stop, "STOP"),
        ("MAX_TOKENS", FinishReason::Length, "MAX_TOKENS"),
        ("SAFETY", FinishReason::ContentFilter, "SAFETY"),
        ("RECITATION", FinishReason::ContentFilter, "RECITATION"),
        ("SPII", FinishReason::ContentFilter, "SPII"),
        (
            "MALFORMED_FUNCTION_CALL",
            FinishReason::Error,
            "MALFORMED_FUNCTION_CALL",
        ),
        ("SOMETHING_NEW", FinishReason::Error, "OTHER"),
    ] {
        let read = finish(word);
        assert_eq!(read.reason, reason, "{word}");
        assert_eq!(super::super::finish::word(&read, false), shown, "{word}");
    }
    let shown =
        |reason: FinishReason| super::super::finish::word(&Finish::from(reason), false).to_owned();
    assert_eq!(shown(FinishReason::ToolCalls), "STOP");
    assert_eq!(shown(FinishReason::Refusal), "SAFETY");
    assert_eq!(shown(FinishReason::ContextWindow), "MAX_TOKENS");
    let blocked = br#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":5}}"#;
    let answer = read_answer(blocked).expect("an answer");
    assert_eq!(
        answer.choices[0]
            .finish
            .as_ref()
            .map(|finish| finish.reason),
        Some(FinishReason::ContentFilter)
    );
    let mut frame = b"data: ".to_vec();
    frame.extend_from_slice(blocked);
    frame.extend_from_slice(b"\r\n\r\n");
    let folded = fold::fold(read_stream(&frame, 7).expect("whole")).expect("whole");
    assert_eq!(folded.choices, answer.choices);
}

#[test]
fn a_stream_in_any_chunks_is_the_same_answer() {
    let bytes = fixture("answer/stream.sse");
    let events = read_stream(&bytes, usize::MAX).expect("whole");
    for cut in 1..40 {
        assert_eq!(read_stream(&bytes, cut).expect("whole"), events, "{cut}");
    }
    let answer = fold::fold(events).expect("whole");
    let parts = &answer.choices[0].parts;
    assert_eq!(
        parts[0].kind,
        PartKind::Thinking {
            text: "Let me see.".to_owned()
        }
    );
    assert_eq!(parts[1], Part::text("It is\u{2028} 18 degrees."));
    assert!(matches!(&parts[2].kind, PartKind::ToolCall(call) if call.name == "get_weather"));
    // A token on its own stands on an empty text.
    assert_eq!(
        parts[3]
            .signature
            .as_ref()
            .map(|token| token.value.as_str()),
        Some("c2lnLTI=")
    );
    assert_eq!(
        answer.choices[0]
            .finish
            .as_ref()
            .map(|finish| finish.reason),
        Some(FinishReason::ToolCalls)
    );
    assert_eq!(
        answer
            .usage
            .map(|usage| (usage.input, usage.output, usage.reasoning)),
        Some((100, 20, 7))
    );
}

#[test]
fn a_stream_written_and_read_is_the_same_answer() {
    let bytes = fixture("answer/answer.json");
    let answer = read_answer(&bytes).expect("valid");
    let (out, losses) = write_stream(&fold::unfold(answer.clone()));
    assert_eq!(losses, Vec::<String>::new());
    let mut again = fold::fold(read_stream(&out, 11).expect("whole")).expect("whole");
    again.model = answer.model.clone();
    again.extras = answer.extras.clone();
    // What stands on the candidate comes with the last piece.
    let told = |answer: &ChatAnswer| -> Vec<_> {
        let parts = answer.choices[0].parts.iter();
        parts
            .filter(|part| !matches!(part.kind, PartKind::Opaque { .. }))
            .map(|part| (part.kind.clone(), part.signature.clone()))
            .collect()
    };
    assert_eq!(told(&again), told(&answer));
    assert_eq!(again.choices[0].finish, answer.choices[0].finish);
    assert_eq!(again.choices[0].logprobs, answer.choices[0].logprobs);
    assert_eq!(again.usage, answer.usage);
}

#[test]
fn a_foreign_answer_streamed_for_a_client() {
    let call = PartKind::ToolCall(ToolCall {
        id: "toolu_1".to_owned(),
        name: "find".to_owned(),
        arguments: r#"{"q":1}"#.to_owned(),
        custom: false,
    });
    let cited = PartKind::Text {
        text: "Hi".to_owned(),
        citations: vec![Citation {
            target: CitationTarget::Url {
                url: "https://e.com".to_owned(),
                title: Some("E".to_owned()),
            },
            cited_text: None,
            span: Some((0, 2)),
            raw: None,
        }],
    };
    let signature = Signature {
        dialect: DialectId("anthropic"),
        value: "S".to_owned(),
    };
    let token = super::super::signature::show(&signature, false);
    let thinking = Part {
        signature: Some(signature),
        ..PartKind::Thinking {
            text: "Hm.".to_owned(),
        }
        .into()
    };
    let answer = ChatAnswer {
        choices: vec![Choice {
            parts: vec![thinking, cited.into(), call.into()],
            finish: Some(FinishReason::ToolCalls.into()),
            logprobs: Vec::new(),
        }],
        usage: Some(Usage {
            input: 3,
            output: 4,
            source: UsageSource::Provider,
            ..Usage::default()
        }),
        ..ChatAnswer::default()
    };
    let (out, losses) = write_stream(&fold::unfold(answer));
    assert_eq!(losses, ["citations.location"]);
    let frames = frames(&out);
    let parts: Vec<_> = frames
        .iter()
        .map(|frame| frame["candidates"][0]["content"]["parts"][0].clone())
        .collect();
    assert_eq!(
        parts,
        [
            json!({"text": "Hm.", "thought": true}),
            json!({"text": "", "thought": true, "thoughtSignature": token}),
            json!({"text": "Hi"}),
            json!({"functionCall": {"id": "toolu_1", "name": "find", "args": {"q": 1}}}),
            json!({"text": ""}),
        ]
    );
    let last = frames.last().expect("frames");
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert_eq!(
        last["candidates"][0]["citationMetadata"],
        json!({"citationSources": [{"uri": "https://e.com", "title": "E"}]})
    );
    assert_eq!(
        last["usageMetadata"],
        json!({"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7})
    );
    assert_eq!(last["modelVersion"], "gemini-3");
}

fn watched(bytes: &[u8]) -> (Result<(), Fault>, Tally) {
    let mut splitter = Framing::Sse.splitter();
    let mut watcher = DIALECT.stream_watcher(false);
    let mut tally = Tally::default();
    let batch = splitter
        .push(Bytes::copy_from_slice(bytes))
        .expect("frames");
    for span in &batch.frames {
        let frame = batch.frame(span);
        if frame.kind != FrameKind::Silent
            && let Err(fault) = watcher.see(frame, &mut tally)
        {
            return (Err(fault), tally);
        }
    }
    (watcher.close(&mut tally), tally)
}

#[test]
fn the_watcher_and_the_tally_tell_what_the_reader_tells() {
    let (closed, tally) = watched(&fixture("answer/stream.sse"));
    assert_eq!(closed, Ok(()));
    assert!(tally.committed && tally.ended);
    assert_eq!(tally.finish, Some(FinishReason::ToolCalls));
    assert_eq!(
        (tally.id.as_deref(), tally.model.as_deref()),
        (Some("r1"), Some("gemini-3-pro"))
    );
    assert_eq!(
        tally
            .usage
            .map(|usage| (usage.input, usage.output, usage.reasoning)),
        Some((100, 20, 7))
    );
    let doc = Doc::answer(fixture("answer/answer.json")).expect("JSON");
    let mut tally = Tally::default();
    DIALECT
        .tally_answer(Operation::Chat, doc.root(), &mut tally)
        .expect("valid");
    assert_eq!(tally.usage, read_answer(doc.bytes()).expect("valid").usage);
    assert_eq!(tally.finish, Some(FinishReason::ToolCalls));
    assert!(tally.committed && tally.ended);
}

#[test]
fn broken_streams_are_faults() {
    let whole = String::from_utf8(fixture("answer/stream.sse").to_vec()).expect("UTF-8");
    let frames: Vec<_> = whole.split_inclusive("\r\n\r\n").collect();
    let cut = frames[..frames.len() - 1].concat();
    let second = r#"{"candidates":[{"content":{"parts":[{"text":"x"}]},"index":1}]}"#;
    let unfinished = format!("{whole}data: {second}\r\n\r\n");
    let empty = "data: {\"usageMetadata\":{\"promptTokenCount\":1}}\r\n\r\n".to_owned();
    let rubbish = "data: {\"candidates\":\r\n\r\n".to_owned();
    let shape = "data: {\"candidates\":[7]}\r\n\r\n".to_owned();
    let far = "data: {\"candidates\":[{\"index\":4000000000}]}\r\n\r\n".to_owned();
    for bytes in [cut, unfinished, empty, rubbish, shape, far, String::new()] {
        let fault = read_stream(bytes.as_bytes(), usize::MAX).expect_err(&bytes);
        assert_eq!(fault.kind, FaultKind::UpstreamBroken, "{bytes}");
        let (closed, _) = watched(bytes.as_bytes());
        assert_eq!(
            closed.expect_err(&bytes).kind,
            FaultKind::UpstreamBroken,
            "{bytes}"
        );
    }
    let busy = format!(
        "{}data: {}\r\n\r\n",
        frames[0], r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#
    );
    let mut events = Vec::new();
    let mut reader = DIALECT.stream_reader();
    let batch = Framing::Sse
        .splitter()
        .push(Bytes::from(busy.clone()))
        .expect("frames");
    for span in &batch.frames {
        reader.read(batch.frame(span), &mut events).expect("read");
    }
    assert!(
        matches!(events.last(), Some(Event::Fault(fault)) if fault.kind == FaultKind::UpstreamBroken)
    );
    assert!(reader.close(&mut events).is_err());
    let (closed, tally) = watched(busy.as_bytes());
    assert_eq!(closed, Ok(()));
    assert_eq!(
        tally.fault.map(|fault| fault.kind),
        Some(FaultKind::UpstreamBroken)
    );
}

#[test]
fn bodies_that_are_no_answer() {
    for body in [
        "{}",
        "[]",
        "7",
        r#"{"candidates":[]}"#,
        r#"{"candidates":{}}"#,
    ] {
        let doc = Doc::answer(Bytes::from_static(body.as_bytes())).expect("JSON");
        for operation in [Operation::Chat, Operation::CountTokens, Operation::Embed] {
            let fault = DIALECT.read_answer(operation, doc.root()).expect_err(body);
            assert_eq!(fault.kind, FaultKind::UpstreamBroken, "{body}");
            let fault = DIALECT
                .tally_answer(operation, doc.root(), &mut Tally::default())
                .expect_err(body);
            assert_eq!(fault.kind, FaultKind::UpstreamBroken, "{body}");
        }
    }
    let wrapped = br#"[{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}]"#;
    assert_eq!(
        read_answer(wrapped).expect_err("an error").kind,
        FaultKind::UpstreamRefused
    );
}

#[test]
fn counts_and_vectors() {
    let doc = Doc::answer(Bytes::from_static(
        br#"{"totalTokens":7,"cachedContentTokenCount":2}"#,
    ))
    .expect("JSON");
    let count = DIALECT
        .read_answer(Operation::CountTokens, doc.root())
        .expect("valid");
    assert_eq!(
        count,
        Answer::Count(CountAnswer {
            input_tokens: 7,
            cached_tokens: 2,
            estimated: false
        })
    );
    assert_eq!(
        answered(&count, &route(Operation::CountTokens)).0,
        json!({"totalTokens": 7, "cachedContentTokenCount": 2})
    );
    let vectors = |body: &'static str| {
        let doc = Doc::answer(Bytes::from_static(body.as_bytes())).expect("JSON");
        DIALECT
            .read_answer(Operation::Embed, doc.root())
            .expect(body)
    };
    let one = r#"{"embedding":{"values":[0.1,-2]}}"#;
    let many = r#"{"embeddings":[{"values":[0.1,-2]}]}"#;
    let expected = Answer::Embed(EmbedAnswer {
        vectors: vec![vec![0.1, -2.0]],
        ..EmbedAnswer::default()
    });
    assert_eq!(vectors(one), expected);
    assert_eq!(vectors(many), expected);
    for (variant, body) in [(EMBED_ONE, one), (EMBED_BATCH, many)] {
        let route = Route {
            variant,
            ..route(Operation::Embed)
        };
        assert_eq!(answered(&expected, &route).0, parsed(body.as_bytes()));
    }
}

#[test]
fn lists_of_models() {
    let mut card = card();
    card.context_tokens = Some(1_000);
    let entry = |id, card| ModelEntry {
        id,
        owned_by: "o",
        created_s: 0,
        card,
    };
    let models = [entry("a", Some(&card)), entry("tunedModels/b", None)];
    let list = with_asked(&Route::new(ID, Operation::ListModels), |asked| {
        DIALECT.write_models(&models, asked)
    });
    let list = parsed(&list);
    assert_eq!(list["models"][0]["name"], "models/a");
    assert_eq!(list["models"][0]["inputTokenLimit"], 1_000);
    assert_eq!(list["models"][1]["name"], "tunedModels/b");
    let one = with_asked(&Route::new(ID, Operation::GetModel), |asked| {
        DIALECT.write_models(&models[..1], asked)
    });
    assert_eq!(parsed(&one), list["models"][0]);
}

#[test]
fn faults_in_the_vendors_words() {
    for kind in FaultKind::ALL {
        let fault = Fault::new(kind, Origin::Gateway, "What happened.").at("contents[0]");
        let body = parsed(&DIALECT.write_fault(&fault, "req-1").body);
        assert_eq!(body["error"]["code"], fault.status(), "{kind:?}");
        assert_eq!(body["error"]["message"], "What happened.");
        let word = body["error"]["status"].as_str().expect("a word");
        assert!(
            word.bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_'),
            "{word}"
        );
        assert_eq!(
            body["error"]["details"][1]["fieldViolations"][0]["field"],
            "contents[0]"
        );
    }
    let mut refused = Fault::new(FaultKind::UpstreamRefused, Origin::Client, "x");
    refused.upstream = Some(Box::new(UpstreamError {
        status: 404,
        code: Some("NOT_FOUND".to_owned()),
        message: "No such model.".to_owned(),
        param: None,
    }));
    let frame = DIALECT.write_fault_frame(&refused, "req-1", 0);
    let frames = frames(&frame);
    assert_eq!(frames[0]["error"]["code"], 404);
    assert_eq!(frames[0]["error"]["status"], "NOT_FOUND");
    assert_eq!(frames[0]["error"]["message"], "No such model.");
    let read = |body: &str| DIALECT.read_error(400, &http::HeaderMap::new(), body.as_bytes());
    let wrapped = read(
        r#"[{"error":{"code":400,"message":"Bad.","status":"INVALID_ARGUMENT","details":[{"@type":"x","fieldViolations":[{"field":"contents"}]}]}}]"#,
    );
    assert_eq!(wrapped.code.as_deref(), Some("INVALID_ARGUMENT"));
    assert_eq!(
        (wrapped.message.as_str(), wrapped.param.as_deref()),
        ("Bad.", Some("contents"))
    );
    assert_eq!(read("<html>").message, "<html>");
    assert!(read("").message.contains("400"));
}

proptest! {
    /// Whatever byte of an answer changes, readers end in a value or a fault.
    #[test]
    fn no_answer_makes_a_reader_panic(at in any::<prop::sample::Index>(), with in prop::collection::vec(any::<u8>(), 0..6), drop in 0_usize..12) {
        for name in ["answer/answer.json", "answer/stream.sse"] {
            let mut body = fixture(name).to_vec();
            let at = at.index(body.len());
            let end = (at + drop).min(body.len());
            body.splice(at..end, with.clone());
            let _ = DIALECT.read_error(500, &http::HeaderMap::new(), &body);
            if let Ok(events) = read_stream(&body, 64) {
                let _ = write_stream(&events);
            }
            if let Ok(answer) = read_answer(&body) {
                let _ = answered(&Answer::Chat(answer.clone()), &route(Operation::Chat));
                let _ = write_stream(&fold::unfold(answer));
            }
        }
    }
}
