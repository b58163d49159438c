//! Whole answers of any dialect: what passes is what is read, and what is read is written as JSON
//! for clients of every dialect, whole and streamed.

use contract::Operation;
use contract::answer::Answer;
use dialects::json::Doc;
use dialects::{DIALECTS, Tally, fold};

use super::calls;

/// An answer that a provider may send.
pub(super) fn run(data: &[u8]) {
    let Some((dialect, choice, body)) = calls::chosen(data) else {
        return;
    };
    let Ok(doc) = Doc::answer(body.clone()) else {
        return;
    };
    // Where a provider says a thing twice, nobody knows which it means.
    let unambiguous = calls::doc(&body).is_some();
    let operation = calls::route(dialect, choice).operation;
    let mut tally = Tally::default();
    let tallied = dialect.tally_answer(operation, doc.root(), &mut tally);
    let read = dialect.read_answer(operation, doc.root());
    let Ok(answer) = read else {
        return;
    };
    if let (Ok(()), Answer::Chat(chat), true) = (tallied, &answer, unambiguous) {
        assert_eq!(tally.usage, chat.usage, "usage of {doc:?}");
    }
    for client in DIALECTS {
        let route = calls::route(*client, 0);
        calls::must_be_json(
            &client.write_answer(&answer, &calls::asked(&route)).body,
            *client,
        );
        if let (Answer::Chat(chat), Operation::Chat) = (&answer, operation) {
            let mut writer = client.stream_writer(&calls::asked(&route));
            let mut out = Vec::new();
            for event in fold::unfold(chat.clone()) {
                writer.write(&event, &mut out);
            }
            super::dialect_streams::must_frame(*client, &out);
        }
    }
}
