//! Driving a dialect through its public door: routes found by path as at the
//! front door, bodies read and written, streams cut and folded.

use bytes::Bytes;
use contract::{Answer, ChatAnswer, Event, Fault, Loss, ModelCard, Operation, Request, Task};
use http::HeaderMap;
use tollgate_dialects::framing::{Frame, FrameKind, Framing, encode_message};
use tollgate_dialects::json::Doc;
use tollgate_dialects::{
    Asked, Call, Dialect, Head, Route, Target, Unsupported, Written, fold, route,
};

/// 36 characters, as every request id.
pub(crate) const REQUEST_ID: &str = "0192f0c1-aaaa-7bbb-8ccc-ddddeeeeffff";
/// The model's name at upstreams and to clients.
pub(crate) const MODEL: &str = "vendor-model:1";

/// Every ordered pair of dialects, the equal ones included.
pub(crate) fn pairs() -> impl Iterator<Item = (&'static dyn Dialect, &'static dyn Dialect)> {
    dialects().flat_map(|from| dialects().map(move |to| (from, to)))
}

/// Every dialect.
pub(crate) fn dialects() -> impl Iterator<Item = &'static dyn Dialect> {
    tollgate_dialects::DIALECTS.iter().copied()
}

/// The route of a call as a client of the dialect makes it.
pub(crate) fn route_of(
    dialect: &dyn Dialect,
    operation: Operation,
    model: &str,
    stream: bool,
) -> Route {
    let destination = dialect.destination(&Call {
        operation,
        model,
        stream,
        variant: 0,
        query: None,
    });
    let headers: HeaderMap = destination.headers.into_iter().collect();
    let (path, query) = match destination.path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (destination.path.as_str(), None),
    };
    for prefix in ["", "/v1", "/v1beta"] {
        let path = format!("{prefix}{path}");
        let head = Head {
            method: &destination.method,
            path: &path,
            query,
            headers: &headers,
        };
        if let Some((found, route)) = route(&head)
            && found.id() == dialect.id()
            && route.refused.is_none()
        {
            assert_eq!(route.operation, operation, "{path}");
            return route;
        }
    }
    panic!("no route leads to {} {}", dialect.id(), destination.path)
}

pub(crate) fn operation_of(request: &Request) -> Operation {
    match request.task {
        Task::Chat(_) => Operation::Chat,
        Task::CountTokens(_) => Operation::CountTokens,
        Task::Embed(_) => Operation::Embed,
    }
}

/// Writes a request as for a model of which nothing is known.
pub(crate) fn write(to: &dyn Dialect, request: &Request) -> Result<Written, Fault> {
    let card = ModelCard::unknown(request.model.clone());
    to.write_request(
        request,
        &Target {
            card: &card,
            unsupported: Unsupported::Drop,
            quirks: Default::default(),
        },
    )
}

/// Reads what was written for a call of this kind.
pub(crate) fn read(
    from: &dyn Dialect,
    body: &Bytes,
    (operation, stream): (Operation, bool),
) -> Result<Request, Fault> {
    let doc = Doc::request(body.clone())?;
    let route = route_of(from, operation, MODEL, stream);
    from.read_request(&route, doc.root())
}

/// What a client of this dialect asked for.
pub(crate) fn asked(route: &Route) -> Asked<'_> {
    Asked {
        route,
        model: MODEL,
        request_id: REQUEST_ID,
        now_s: 1_790_000_000,
        stream_usage: true,
        request: None,
    }
}

pub(crate) fn write_answer(to: &dyn Dialect, answer: &ChatAnswer) -> Written {
    let route = route_of(to, Operation::Chat, MODEL, false);
    to.write_answer(&Answer::Chat(answer.clone()), &asked(&route))
}

pub(crate) fn read_answer(from: &dyn Dialect, body: &Bytes) -> Result<ChatAnswer, Fault> {
    let doc = Doc::answer(body.clone())?;
    match from.read_answer(Operation::Chat, doc.root())? {
        Answer::Chat(answer) => Ok(answer),
        other @ (Answer::Count(_) | Answer::Embed(_)) => panic!("not a chat: {other:?}"),
    }
}

/// Writes events as a stream for a client of this dialect.
pub(crate) fn write_stream(to: &dyn Dialect, events: &[Event]) -> (Vec<u8>, Vec<Loss>) {
    let route = route_of(to, Operation::Chat, MODEL, true);
    let mut writer = to.stream_writer(&asked(&route));
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    (out, writer.losses().to_vec())
}

/// Reads a stream that comes in pieces of this many bytes.
pub(crate) fn read_stream(
    from: &dyn Dialect,
    stream: &[u8],
    piece: usize,
) -> Result<Vec<Event>, Fault> {
    let mut reader = from.stream_reader();
    let mut events = Vec::new();
    each_frame(from.framing(), stream, piece, |frame| {
        reader.read(frame, &mut events)
    })?;
    reader.close(&mut events)?;
    Ok(events)
}

pub(crate) fn read_folded(from: &dyn Dialect, stream: &[u8]) -> Result<ChatAnswer, Fault> {
    fold::fold(read_stream(from, stream, stream.len().max(1))?)
}

/// Hands every frame that carries something to `see`.
pub(crate) fn each_frame(
    framing: Framing,
    stream: &[u8],
    piece: usize,
    mut see: impl FnMut(Frame<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut splitter = framing.splitter();
    // What is wrong may be told with the call after the frames before it.
    for chunk in stream.chunks(piece).chain([&b""[..]]) {
        let batch = splitter.push(Bytes::copy_from_slice(chunk))?;
        for span in &batch.frames {
            let frame = batch.frame(span);
            if frame.kind != FrameKind::Silent {
                see(frame)?;
            }
        }
    }
    Ok(())
}

/// Event-stream messages from the list of events in a fixture.
pub(crate) fn encoded(events: &serde_json::Value) -> Vec<u8> {
    let mut out = Vec::new();
    for event in events.as_array().expect("a list of events") {
        let name = event[0].as_str().expect("its name");
        let headers = [
            (":event-type", name),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ];
        out.extend_from_slice(&encode_message(&headers, event[1].to_string().as_bytes()));
    }
    out
}
