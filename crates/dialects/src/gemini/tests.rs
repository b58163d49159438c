//! The Gemini dialect against fixtures written from the vendor's SDK types
//! and documents.

mod requests;
mod wire;

use std::path::PathBuf;

use bytes::Bytes;
use contract::chat::{Chat, Part, Role, Turn};
use contract::request::Task;
use contract::{Answer, DialectId, Event, Fault, ModelCard, Operation, Request};
use serde_json::Value;

use super::{DIALECT, ID};
use crate::dialect::{Asked, Dialect, Route, Target, Unsupported};
use crate::framing::{FrameKind, Framing};
use crate::json::Doc;

const OTHER: DialectId = DialectId("other");

fn fixture(path: &str) -> Bytes {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/gemini");
    std::fs::read(root.join(path)).expect(path).into()
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

fn route(operation: Operation) -> Route {
    Route {
        model: Some("gemini-3".to_owned()),
        stream: Some(false),
        ..Route::new(ID, operation)
    }
}

fn read(body: &[u8]) -> Result<Request, Fault> {
    let doc = Doc::request(Bytes::copy_from_slice(body))?;
    DIALECT.read_request(&route(Operation::Chat), doc.root())
}

fn chat(body: &str) -> Chat {
    match read(body.as_bytes()).expect(body).task {
        Task::Chat(chat) => *chat,
        Task::CountTokens(_) | Task::Embed(_) => panic!("a chat was asked for"),
    }
}

fn card() -> ModelCard {
    ModelCard::unknown("gemini-3")
}

fn write(request: &Request, card: &ModelCard) -> (Value, Vec<String>) {
    let target = Target {
        card,
        unsupported: Unsupported::Drop,
        quirks: Default::default(),
    };
    let written = DIALECT.write_request(request, &target).expect("writable");
    let losses = written.losses.iter().map(|loss| loss.what.to_string());
    (parsed(&written.body), losses.collect())
}

/// A request of another dialect.
fn foreign(chat: Chat) -> Request {
    Request {
        dialect: OTHER,
        model: "gemini-3".to_owned(),
        task: Task::Chat(Box::new(chat)),
        stream: false,
        extras: Default::default(),
    }
}

fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn {
        role,
        parts,
        name: None,
    }
}

fn with_asked<T>(route: &Route, run: impl FnOnce(&Asked<'_>) -> T) -> T {
    run(&Asked {
        route,
        model: "gemini-3",
        request_id: "01234567-89ab-cdef-0123-456789abcdef",
        now_s: 1_760_000_000,
        stream_usage: true,
        request: None,
    })
}

fn read_stream(bytes: &[u8], cut: usize) -> Result<Vec<Event>, Fault> {
    let mut splitter = Framing::Sse.splitter();
    let mut reader = DIALECT.stream_reader();
    let mut events = Vec::new();
    for chunk in bytes.chunks(cut.max(1)) {
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

fn write_stream(events: &[Event]) -> (Vec<u8>, Vec<String>) {
    with_asked(&route(Operation::Chat), |asked| {
        let mut writer = DIALECT.stream_writer(asked);
        let mut out = Vec::new();
        for event in events {
            writer.write(event, &mut out);
        }
        let losses = writer.losses().iter().map(|loss| loss.what.to_string());
        (out, losses.collect())
    })
}

fn read_answer(body: &[u8]) -> Result<contract::ChatAnswer, Fault> {
    let doc = Doc::answer(Bytes::copy_from_slice(body))?;
    match DIALECT.read_answer(Operation::Chat, doc.root())? {
        Answer::Chat(answer) => Ok(answer),
        Answer::Count(_) | Answer::Embed(_) => panic!("a chat was asked for"),
    }
}

/// The data of the frames of a stream.
fn frames(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    text.split("\r\n\r\n")
        .filter(|frame| !frame.is_empty())
        .map(|frame| parsed(frame.strip_prefix("data: ").expect("data").as_bytes()))
        .collect()
}
