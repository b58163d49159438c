//! Mirrored pairs of request and answer: read, held to the rules in shadow,
//! recorded. Nothing is called.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use contract::{Fault, Operation};
use dialects::framing::FrameKind;
use dialects::json::{Doc, Json, Kind, object};
use dialects::{DIALECTS, Dialect, Head, Route, Tally};
use evidence::{Attempt, AttemptTimes, Outcome};
use http::{HeaderMap, Method, StatusCode};
use routing::Candidate;

use super::Whole;
use crate::asking::Asking;
use crate::exchange::Exchange;
use crate::reply::JSON;

/// Fields of a pair.
const FIELDS: [&str; 10] = [
    "dialect",
    "operation",
    "path",
    "request",
    "response",
    "status",
    "started_at",
    "duration_ms",
    "provider",
    "model",
];
/// Longest duration of a pair, milliseconds.
const DURATION_MS_MAX: u64 = 24 * 3_600 * 1_000;
/// How far the clock of a mirror may be ahead, milliseconds.
const AHEAD_MS_MAX: u64 = 5 * 60 * 1_000;
/// Longest name of a provider or model, bytes.
const NAME_BYTES_MAX: usize = 200;
/// Frames of streams that are text.
const TEXT_STREAM: &str = "text/event-stream";

/// A pair as it was told.
struct Pair<'a> {
    dialect: &'static dyn Dialect,
    route: Route,
    request: Bytes,
    response: Response,
    status: u16,
    started_us: u64,
    duration_us: u64,
    provider: Cow<'a, str>,
    model: Option<Cow<'a, str>>,
}

/// What the provider answered.
enum Response {
    Whole(Bytes),
    Stream(Bytes),
}

impl Exchange {
    /// Takes in a mirrored pair.
    pub(super) fn take_in(&mut self, body: Bytes) -> Result<Whole, Fault> {
        let doc = Doc::request(body)?;
        let pair = Pair::read(doc.root(), self.record.arrived_us)?;
        let asked = Doc::request(pair.request.clone()).map_err(in_request)?;
        let survey = pair
            .dialect
            .survey(&pair.route, asked.root())
            .map_err(in_request)?;
        self.dialect = pair.dialect;
        self.route = pair.route.clone();
        let record = &mut self.record;
        record.dialect = pair.dialect.id().0.into();
        record.operation = pair.route.operation.name().into();
        record.arrived_us = pair.started_us;
        record.request.bytes = pair.request.len() as u64;
        self.told_us = Some(pair.duration_us);
        self.note(&survey);
        self.note_told();
        let model: Arc<str> = match &pair.model {
            Some(model) => model.as_ref().into(),
            None => survey.model.as_ref().into(),
        };
        let known = self.plan.providers.iter();
        let nth = known.clone().position(|it| *it.name == *pair.provider);
        let candidate = nth.map(|nth| Candidate::new(nth, &model, None));
        let mut asking = Asking {
            doc: &asked,
            survey,
            canonical: None,
            closer: None,
        };
        self.watch_request(&mut asking, candidate.as_ref());
        self.record.attempts.push(pair.attempt(model));
        self.weigh(&asked);
        let outcome = self.note_response(&pair);
        Ok(Whole {
            reply: self.taken(),
            recorded: (pair.status, outcome),
        })
    }

    fn note_response(&mut self, pair: &Pair<'_>) -> Outcome {
        let (Response::Whole(bytes) | Response::Stream(bytes)) = &pair.response;
        self.record.bytes_out = bytes.len() as u64;
        let outcome = match &pair.response {
            Response::Whole(body) => self.note_answer(pair.status, body),
            Response::Stream(_) if pair.status >= 300 => {
                self.note_refusal(pair.status);
                Outcome::Failed
            }
            Response::Stream(frames) => {
                self.record.request.stream = true;
                self.note_frames(frames.clone())
            }
        };
        // When things happened is told, and when the first token came is not.
        if let Some(attempt) = self.attempt_mut() {
            attempt.times = pair.times();
        }
        outcome
    }

    /// Reads a stream that came whole.
    fn note_frames(&mut self, frames: Bytes) -> Outcome {
        let mut tally = Tally::default();
        let read = self.read_frames(frames, &mut tally);
        let is_whole = read.is_ok() && tally.fault.is_none();
        self.note_tally(&tally);
        if let Some(attempt) = self.attempt_mut() {
            attempt.committed = tally.committed;
        }
        if read.is_err() {
            self.note_unread("stream");
        }
        match is_whole {
            true => Outcome::Complete,
            false => Outcome::Cut,
        }
    }

    fn read_frames(&mut self, frames: Bytes, tally: &mut Tally) -> Result<(), Fault> {
        let mut watcher = self.dialect.stream_watcher(false);
        let mut looking = self
            .inspector()
            .map(|inspector| (inspector, self.dialect.stream_reader()));
        let batch = self.dialect.framing().splitter().push(frames)?;
        let mut events = Vec::new();
        let spans = batch.frames.iter();
        for span in spans.filter(|span| span.kind != FrameKind::Silent) {
            let frame = batch.frame(span);
            if let Some((inspector, reader)) = &mut looking {
                reader.read(frame, &mut events)?;
                for event in events.drain(..) {
                    inspector.event(&event)?;
                }
            }
            watcher.see(frame, tally)?;
        }
        watcher.close(tally)?;
        if let Some((mut inspector, _)) = looking {
            inspector.close()?;
            self.note_rulings(&inspector.take_rulings());
        }
        Ok(())
    }

    fn taken(&self) -> (StatusCode, HeaderMap, Bytes) {
        let id = self.id.text();
        let body = object(|out| out.str("request_id", id.as_str()));
        (StatusCode::ACCEPTED, self.headers(JSON), body.into())
    }
}

impl<'a> Pair<'a> {
    fn read(root: Json<'a>, now_us: u64) -> Result<Self, Fault> {
        let mut members = root.as_object()?.members();
        if let Some(odd) = members.find(|it| !FIELDS.contains(&&*it.name())) {
            let name = odd.name();
            return Err(wrong(
                &name,
                format!("is not known here. Fields: {FIELDS:?}."),
            ));
        }
        let dialect = read_dialect(root)?;
        let response = read_response(root.need("response")?, dialect)?;
        let model = read_name(root, "model")?;
        let mut route = read_route(root, dialect)?;
        if route.model.is_none() {
            route.model = model.as_deref().map(Into::into);
        }
        if route.stream.is_none() && matches!(response, Response::Stream(_)) {
            route.stream = Some(true);
        }
        let number = |name: &str, least: u64, most: u64| {
            let value = root.need(name)?.u64();
            let fits = value.filter(|value| (least..=most).contains(value));
            fits.ok_or_else(|| {
                wrong(
                    name,
                    format!("must be a whole number from {least} to {most}."),
                )
            })
        };
        let started_ms = number("started_at", 1, now_us / 1_000 + AHEAD_MS_MAX)?;
        let status = number("status", 100, 599)?;
        Ok(Self {
            dialect,
            route,
            request: read_bytes(root.need("request")?)?,
            response,
            status: u16::try_from(status).unwrap_or(u16::MAX),
            started_us: started_ms.saturating_mul(1_000),
            duration_us: number("duration_ms", 0, DURATION_MS_MAX)? * 1_000,
            provider: read_name(root, "provider")?.unwrap_or_default(),
            model,
        })
    }

    fn attempt(&self, model: Arc<str>) -> Attempt {
        Attempt {
            provider: self.provider.as_ref().into(),
            model,
            status: Some(self.status),
            times: self.times(),
            ..Attempt::default()
        }
    }

    fn times(&self) -> AttemptTimes {
        AttemptTimes {
            sent_us: Some(0),
            last_us: Some(self.duration_us),
            ..AttemptTimes::default()
        }
    }
}

fn read_dialect(root: Json<'_>) -> Result<&'static dyn Dialect, Fault> {
    let name = root.need_str("dialect")?;
    dialects::by_name(&name).ok_or_else(|| {
        let known: Vec<&str> = DIALECTS.iter().map(|dialect| dialect.id().0).collect();
        wrong("dialect", format!("must be one of {}.", known.join(", ")))
    })
}

/// The call, by its path or by its name.
fn read_route(root: Json<'_>, dialect: &'static dyn Dialect) -> Result<Route, Fault> {
    if let Some(told) = root.opt_str("path")? {
        let (path, query) = match told.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (told.as_ref(), None),
        };
        let head = Head {
            method: &Method::POST,
            path,
            query,
            headers: &HeaderMap::new(),
        };
        let found = dialect.route(&head).filter(|it| it.refused.is_none());
        return found.ok_or_else(|| wrong("path", "is no call of this dialect.".to_owned()));
    }
    let operation = match root.opt_str("operation")?.as_deref() {
        None => Operation::Chat,
        Some(name) => [Operation::Chat, Operation::CountTokens, Operation::Embed]
            .into_iter()
            .find(|it| it.name() == name && dialect.operations().contains(it))
            .ok_or_else(|| wrong("operation", "is no call of this dialect.".to_owned()))?,
    };
    Ok(Route::new(dialect.id(), operation))
}

fn read_response(json: Json<'_>, dialect: &dyn Dialect) -> Result<Response, Fault> {
    let bytes = read_bytes(json)?;
    let is_json = bytes
        .trim_ascii_start()
        .first()
        .is_none_or(|it| b"{[".contains(it));
    if is_json {
        return Ok(Response::Whole(bytes));
    }
    if dialect.framing().content_type() != TEXT_STREAM {
        let why = "cannot be a stream: those of this dialect are binary. Mirror whole answers.";
        return Err(wrong("response", why.to_owned()));
    }
    Ok(Response::Stream(bytes))
}

/// A body, as JSON or as text.
fn read_bytes(json: Json<'_>) -> Result<Bytes, Fault> {
    match json.kind() {
        Kind::String | Kind::EscapedString => {
            Ok(Bytes::from(json.as_str()?.into_owned().into_bytes()))
        }
        Kind::Object | Kind::Array => Ok(Bytes::copy_from_slice(json.raw().as_bytes())),
        Kind::Null | Kind::True | Kind::False | Kind::Number => {
            Err(json.expected("a body, as JSON or as text"))
        }
    }
}

fn read_name<'a>(root: Json<'a>, field: &str) -> Result<Option<Cow<'a, str>>, Fault> {
    let name = root.opt_str(field)?;
    let fits = |name: &str| {
        !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control)
    };
    match name {
        Some(name) if !fits(&name) => {
            let why = format!("must be a name of up to {NAME_BYTES_MAX} bytes.");
            Err(wrong(field, why))
        }
        name => Ok(name),
    }
}

fn wrong(field: &str, why: String) -> Fault {
    Fault::bad_request(format!("`{field}` {why}")).at(field)
}

/// A fault in the request that was mirrored.
fn in_request(fault: Fault) -> Fault {
    let field = match &fault.field {
        Some(field) => format!("request.{field}"),
        None => "request".to_owned(),
    };
    Fault::bad_request(format!("`request` cannot be read: {}", fault.public)).at(field)
}
