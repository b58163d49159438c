//! Requests and whole answers.

use contract::chat::{PartKind, Role};
use contract::request::{EmbedInput, Task};
use contract::{Answer, Operation};
use proptest::prelude::*;

use super::*;
use crate::openai::tests::mutated;

#[test]
fn what_is_read_is_written_again() {
    for (folder, text) in fixtures("request.openai_chat.json") {
        let request = read(&text).expect("readable");
        let written = write(&request).expect("writable");
        let expected = std::fs::read_to_string(folder.join("expect.openai_chat.json"));
        let expected = json(expected.as_deref().unwrap_or(&text));
        assert_eq!(json(&written.body), expected, "{}", folder.display());
        assert_eq!(written.losses, Vec::new(), "{}", folder.display());
    }
}

#[test]
fn tool_messages_become_one_turn_of_the_user() {
    let text = include_str!("../../../../../fixtures/openai_chat/tools/request.openai_chat.json");
    let request = read(text).expect("readable");
    let Task::Chat(chat) = &request.task else {
        panic!("a chat");
    };
    let roles: Vec<Role> = chat.turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::User, Role::User]);
    let customs: Vec<bool> = chat.turns[2]
        .parts
        .iter()
        .map(|part| match &part.kind {
            PartKind::ToolResult(result) => result.custom,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(customs, [false, false, true]);
}

#[test]
fn whole_answers_are_shown_as_the_vendor_shows_them() {
    let route = Route::new(ID, Operation::Chat);
    for (folder, text) in fixtures("answer.json") {
        let answer = DIALECT
            .read_answer(Operation::Chat, doc(&text).root())
            .expect("readable");
        let written = DIALECT.write_answer(&answer, &asked(&route));
        if let Ok(expected) = std::fs::read_to_string(folder.join("expect.openai_chat.json")) {
            assert_eq!(json(&written.body), json(expected), "{}", folder.display());
        }
        let again = DIALECT
            .read_answer(
                Operation::Chat,
                doc(std::str::from_utf8(&written.body).expect("text")).root(),
            )
            .expect("readable again");
        let (Answer::Chat(mut first), Answer::Chat(again)) = (answer, again) else {
            panic!("chats");
        };
        first.model = Some("shown/model".to_owned());
        first.id = again.id.clone();
        assert_eq!(first, again, "{}", folder.display());
    }
}

#[test]
fn usage_classes_are_disjoint() {
    let text = include_str!("../../../../../fixtures/openai_chat/answer_text/answer.json");
    let Answer::Chat(answer) = DIALECT
        .read_answer(Operation::Chat, doc(text).root())
        .expect("readable")
    else {
        panic!("a chat");
    };
    let usage = answer.usage.expect("told");
    assert_eq!(
        (usage.input, usage.cached_read, usage.cached_write),
        (12, 10, 5)
    );
    assert_eq!((usage.output, usage.reasoning, usage.audio_out), (6, 4, 2));
    assert_eq!((usage.input_total(), usage.output_total()), (30, 12));
}

#[test]
fn embeddings_in_both_encodings() {
    let numbers = r#"{"object":"list","data":[{"object":"embedding","index":1,"embedding":[3]},{"object":"embedding","index":0,"embedding":[0.1,-2.5]}],"model":"e","usage":{"prompt_tokens":4,"total_tokens":4}}"#;
    let base64 = r#"{"object":"list","data":[{"index":0,"embedding":"zczMPQAAIMA="},{"index":1,"embedding":"AABAQA=="}],"model":"e","usage":{"prompt_tokens":4,"total_tokens":4}}"#;
    let read = |text: &str| {
        DIALECT
            .read_answer(Operation::Embed, doc(text).root())
            .expect("readable")
    };
    assert_eq!(read(numbers), read(base64));
    let Answer::Embed(answer) = read(numbers) else {
        panic!("an embedding");
    };
    assert_eq!(answer.vectors, [vec![0.1_f32, -2.5], vec![3.0]]);

    let request = super::read(r#"{"model":"e","input":[1,2],"encoding_format":"base64"}"#);
    let request = request.expect("readable");
    let Task::Embed(embed) = &request.task else {
        panic!("an embedding");
    };
    assert_eq!(embed.inputs, [EmbedInput::Tokens(vec![1, 2])]);
    let route = Route::new(ID, Operation::Embed);
    let plain = asked(&route);
    let written = DIALECT.write_answer(&Answer::Embed(answer.clone()), &plain);
    assert_eq!(json(&written.body)["data"][0]["embedding"][0], 0.1);
    let wanted = Asked {
        request: Some(&request),
        ..plain
    };
    let written = DIALECT.write_answer(&Answer::Embed(answer), &wanted);
    assert_eq!(json(&written.body)["data"][0]["embedding"], "zczMPQAAIMA=");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn no_body_makes_a_reader_panic(bytes in mutated("openai_chat", "request.openai_chat.json")) {
        if let Ok(doc) = Doc::request(bytes.into()) {
            for operation in [Operation::Chat, Operation::Embed] {
                let route = Route::new(ID, operation);
                let _ = DIALECT.survey(&route, doc.root());
                if let Ok(request) = DIALECT.read_request(&route, doc.root())
                    && let Ok(written) = write(&request)
                {
                    prop_assert!(serde_json::from_slice::<serde_json::Value>(&written.body).is_ok());
                }
            }
        }
    }

    #[test]
    fn no_answer_makes_a_reader_panic(bytes in mutated("openai_chat", "answer.json")) {
        if let Ok(doc) = Doc::answer(bytes.clone().into()) {
            for operation in [Operation::Chat, Operation::Embed] {
                let _ = DIALECT.read_answer(operation, doc.root());
                let _ = DIALECT.tally_answer(operation, doc.root(), &mut Default::default());
            }
        }
        let _ = DIALECT.read_error(500, &Default::default(), &bytes);
    }

    #[test]
    fn no_stream_makes_a_reader_panic(bytes in mutated("openai_chat", "stream.sse")) {
        let mut splitter = Framing::Sse.splitter();
        let mut reader = DIALECT.stream_reader();
        let mut watcher = DIALECT.stream_watcher(true);
        let mut tally = Default::default();
        if let Ok(batch) = splitter.push(bytes.into()) {
            for span in &batch.frames {
                let frame = batch.frame(span);
                if frame.kind != FrameKind::Silent {
                    let mut events = Vec::new();
                    let read = reader.read(frame, &mut events);
                    let seen = watcher.see(frame, &mut tally);
                    // What the watcher refuses, the reader refuses too.
                    if seen.is_err() {
                        prop_assert!(read.is_err() || tally.ended || tally.fault.is_some());
                        break;
                    }
                    if read.is_err() {
                        break;
                    }
                }
            }
        }
    }
}
