//! Cases of the dialect: fixtures at the root of the repository, and rules
//! that hold for all of them.

mod damage;
mod front;
mod requests;
mod streams;

use std::path::PathBuf;

use bytes::Bytes;
use contract::{Answer, ChatAnswer, Event, Fault, ModelCard, Operation, Request};

use super::{DIALECT, ID};
use crate::dialect::{Asked, Dialect, Route, Target, Unsupported, Written};
use crate::framing::{FrameKind, Framing};
use crate::json::Doc;

const REQUEST_ID: &str = "0192f0c1-aaaa-7bbb-8ccc-ddddeeeeffff";

fn fixtures(name: &str) -> Vec<(PathBuf, String)> {
    crate::openai::tests::of("openai_responses", name)
}

fn json(text: impl AsRef<[u8]>) -> serde_json::Value {
    serde_json::from_slice(text.as_ref()).expect("JSON")
}

fn doc(text: &str) -> Doc {
    Doc::answer(Bytes::copy_from_slice(text.as_bytes())).expect("well-formed")
}

fn chat_route() -> Route {
    Route::new(ID, Operation::Chat)
}

fn read(text: &str) -> Result<Request, Fault> {
    DIALECT.read_request(&chat_route(), doc(text).root())
}

fn write_as(dialect: &dyn Dialect, request: &Request) -> Result<Written, Fault> {
    let card = ModelCard::unknown(request.model.clone());
    let target = Target {
        card: &card,
        unsupported: Unsupported::Drop,
        quirks: Default::default(),
    };
    dialect.write_request(request, &target)
}

fn whole(text: &str) -> ChatAnswer {
    match DIALECT.read_answer(Operation::Chat, doc(text).root()) {
        Ok(Answer::Chat(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

fn asked<'a>(route: &'a Route, request: Option<&'a Request>) -> Asked<'a> {
    Asked {
        route,
        model: "shown/model",
        request_id: REQUEST_ID,
        now_s: 1_790_000_009,
        stream_usage: true,
        request,
    }
}

/// All events of a stream that is cut into pieces of this many bytes.
fn events(sse: &str, piece: usize) -> Result<Vec<Event>, Fault> {
    let mut splitter = Framing::Sse.splitter();
    let mut reader = DIALECT.stream_reader();
    let mut events = Vec::new();
    for chunk in sse.as_bytes().chunks(piece) {
        let batch = splitter.push(Bytes::copy_from_slice(chunk))?;
        for span in &batch.frames {
            let frame = batch.frame(span);
            if frame.kind != FrameKind::Silent {
                reader.read(frame, &mut events)?;
            }
        }
    }
    reader.close(&mut events)?;
    Ok(events)
}

/// The stream that a client sees.
fn told(events: &[Event]) -> String {
    let route = chat_route();
    let mut writer = DIALECT.stream_writer(&asked(&route, None));
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    assert_eq!(writer.losses(), &[]);
    String::from_utf8(out).expect("text")
}
