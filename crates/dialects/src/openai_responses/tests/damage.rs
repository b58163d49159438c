//! No bytes make a reader panic, and what it accepts it writes as JSON.

use proptest::prelude::*;

use super::*;
use crate::openai::tests::mutated;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn of_requests(bytes in mutated("openai_responses", "request.openai_responses.json")) {
        if let Ok(doc) = Doc::request(bytes.into()) {
            let route = chat_route();
            let _ = DIALECT.survey(&route, doc.root());
            if let Ok(request) = DIALECT.read_request(&route, doc.root()) {
                for dialect in [&DIALECT as &dyn Dialect, &crate::openai_chat::DIALECT] {
                    if let Ok(written) = write_as(dialect, &request) {
                        prop_assert!(serde_json::from_slice::<serde_json::Value>(&written.body).is_ok());
                    }
                }
                let answer = Answer::Chat(ChatAnswer::default());
                let written = DIALECT.write_answer(&answer, &asked(&route, Some(&request)));
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&written.body).is_ok());
            }
        }
    }

    #[test]
    fn of_answers(bytes in mutated("openai_responses", "answer.json")) {
        if let Ok(doc) = Doc::answer(bytes.into()) {
            for operation in [Operation::Chat, Operation::CountTokens] {
                let _ = DIALECT.read_answer(operation, doc.root());
                let _ = DIALECT.tally_answer(operation, doc.root(), &mut Default::default());
            }
        }
    }

    #[test]
    fn of_streams(bytes in mutated("openai_responses", "stream.sse")) {
        let mut splitter = Framing::Sse.splitter();
        let mut reader = DIALECT.stream_reader();
        let mut watcher = DIALECT.stream_watcher(true);
        let mut tally = Default::default();
        let mut writer = DIALECT.stream_writer(&asked(&chat_route(), None));
        if let Ok(batch) = splitter.push(bytes.into()) {
            for span in &batch.frames {
                let frame = batch.frame(span);
                if frame.kind == FrameKind::Silent {
                    continue;
                }
                let mut events = Vec::new();
                let _ = watcher.see(frame, &mut tally);
                let read = reader.read(frame, &mut events);
                for event in &events {
                    writer.write(event, &mut Vec::new());
                }
                if read.is_err() {
                    break;
                }
            }
        }
    }
}
