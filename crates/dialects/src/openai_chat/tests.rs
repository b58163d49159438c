//! Cases of the dialect: fixtures at the root of the repository, and rules
//! that hold for all of them.

mod faults;
mod foreign;
mod front;
mod streams;
mod upstream;

use std::path::PathBuf;

use bytes::Bytes;
use contract::{Event, Fault, ModelCard, Operation, Request};

use super::{DIALECT, ID};
use crate::dialect::{Asked, Dialect, Route, StreamReader, Target, Unsupported, Written};
use crate::framing::{FrameKind, Framing};
use crate::json::Doc;

const REQUEST_ID: &str = "0192f0c1-aaaa-7bbb-8ccc-ddddeeeeffff";

/// All fixture files of this name, with their folders.
fn fixtures(name: &str) -> Vec<(PathBuf, String)> {
    crate::openai::tests::of("openai_chat", name)
}

fn json(text: impl AsRef<[u8]>) -> serde_json::Value {
    serde_json::from_slice(text.as_ref()).expect("JSON")
}

fn doc(text: &str) -> Doc {
    Doc::answer(Bytes::copy_from_slice(text.as_bytes())).expect("well-formed")
}

/// The route of a body: embeddings have `input`.
fn route_of(text: &str) -> Route {
    let operation = if json(text).get("input").is_some() {
        Operation::Embed
    } else {
        Operation::Chat
    };
    Route::new(ID, operation)
}

fn read(text: &str) -> Result<Request, Fault> {
    DIALECT.read_request(&route_of(text), doc(text).root())
}

fn write(request: &Request) -> Result<Written, Fault> {
    let card = ModelCard::unknown(request.model.clone());
    let target = Target {
        card: &card,
        unsupported: Unsupported::Drop,
        quirks: Default::default(),
    };
    DIALECT.write_request(request, &target)
}

fn asked(route: &Route) -> Asked<'_> {
    Asked {
        route,
        model: "shown/model",
        request_id: REQUEST_ID,
        now_s: 1_790_000_009,
        stream_usage: true,
        request: None,
    }
}

/// All events of a stream that is cut into pieces of this many bytes.
fn events(sse: &str, piece: usize) -> Result<Vec<Event>, Fault> {
    let mut splitter = Framing::Sse.splitter();
    let mut reader = DIALECT.stream_reader();
    let mut events = Vec::new();
    for chunk in sse.as_bytes().chunks(piece) {
        let batch = splitter.push(Bytes::copy_from_slice(chunk))?;
        feed(reader.as_mut(), &batch, &mut events)?;
    }
    reader.close(&mut events)?;
    Ok(events)
}

fn feed(
    reader: &mut dyn StreamReader,
    batch: &crate::framing::Batch,
    events: &mut Vec<Event>,
) -> Result<(), Fault> {
    for span in &batch.frames {
        let frame = batch.frame(span);
        if frame.kind != FrameKind::Silent {
            reader.read(frame, events)?;
        }
    }
    Ok(())
}
