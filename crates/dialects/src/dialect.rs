//! What every wire format can do: recognise its routes, survey a body without
//! reading it all, read and write requests, answers, streams and faults.
//!
//! The same dialect serves clients who speak it and vendors who speak it;
//! translation is `read` of one, then `write` of another.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use contract::fault::UpstreamError;
use contract::{Answer, DialectId, Event, Fault, Loss, ModelCard, Operation, Request, Usage};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::framing::{Frame, Framing};
use crate::json::Json;
use crate::splice::{self, Edit};

pub use crate::tally::{Seen, Tally};

/// The body object in which a caller sends metadata to the gateway, whatever
/// the dialect. It is read by the flow and never travels on.
pub const GATEWAY_FIELD: &str = "tollgate";

/// A wire format.
pub trait Dialect: Send + Sync + 'static {
    /// Its name.
    fn id(&self) -> DialectId;

    /// One sentence for the reference docs.
    fn doc(&self) -> &'static str;

    /// How it frames streams.
    fn framing(&self) -> Framing;

    /// The operations an upstream can be asked for in it.
    fn operations(&self) -> &'static [Operation] {
        &[Operation::Chat]
    }

    // --- the front door -------------------------------------------------

    /// The route of a request, if its path is one of this dialect's.
    fn route(&self, head: &Head<'_>) -> Option<Route>;

    /// Whether the headers or path look like a client of this dialect, for
    /// answering what nobody serves in words the client can read.
    fn claims(&self, head: &Head<'_>) -> bool {
        let _ = head;
        false
    }

    /// What governance needs of a body, without reading all of it.
    ///
    /// # Errors
    /// `BadRequest` with the path of a governed field that is missing, of a
    /// wrong type, or out of range.
    fn survey<'a>(&self, route: &Route, body: Json<'a>) -> Result<Survey<'a>, Fault>;

    /// Reads a request.
    ///
    /// # Errors
    /// `BadRequest` or `Unsupported`, with the path of the field.
    fn read_request(&self, route: &Route, body: Json<'_>) -> Result<Request, Fault>;

    /// Writes an answer for a client.
    fn write_answer(&self, answer: &Answer, asked: &Asked<'_>) -> Written;

    /// Writes a list of models, or one of them.
    fn write_models(&self, models: &[ModelEntry<'_>], asked: &Asked<'_>) -> Bytes;

    /// A writer of a stream for a client.
    fn stream_writer(&self, asked: &Asked<'_>) -> Box<dyn StreamWriter>;

    /// Writes a fault as the body of an error answer.
    fn write_fault(&self, fault: &Fault, request_id: &str) -> FaultBody;

    /// Writes a fault as the last bytes of a stream that is already going.
    /// `number` is the next one of that stream, for formats that number their
    /// events: [`StreamWriter::next_number`] or [`StreamWatcher::next_number`].
    fn write_fault_frame(&self, fault: &Fault, request_id: &str, number: u64) -> Bytes;

    /// Puts the dialect's own request-id header (and the like) on an answer.
    fn dress(&self, request_id: &HeaderValue, headers: &mut HeaderMap);

    // --- the upstream ----------------------------------------------------

    /// Where a call goes, relative to the provider's base URL.
    fn destination(&self, call: &Call<'_>) -> Destination;

    /// Headers of a same-dialect client that are passed upstream.
    fn forwarded_headers(&self) -> &'static [HeaderName];

    /// Headers that choose one of the caller's accounts at the vendor. They
    /// are passed on only beside the caller's own credential.
    fn account_headers(&self) -> &'static [HeaderName] {
        &[]
    }

    /// This dialect's own word for a parameter that most call `name`, where
    /// it differs: losses are told in the words of the caller.
    fn own_word(&self, name: &str) -> Option<&'static str> {
        let _ = name;
        None
    }

    /// The edits that put the upstream's name of the model into the places
    /// of a same-dialect body that [`Survey::model_span`] does not name.
    fn rename_model(&self, body: Json<'_>, model: &str) -> Vec<Edit> {
        let (_, _) = (body, model);
        Vec::new()
    }

    /// The edits that hold the output of a same-dialect body to this many
    /// tokens: a larger cap is lowered, a missing one is put in.
    fn cap_output(&self, body: Json<'_>, tokens: u64) -> Vec<Edit>;

    /// Where a same-dialect body says how many tokens the model may reason
    /// for, and how many those are. Words such as `high` are no number.
    fn reasoning_budget<'b>(&self, body: Json<'b>) -> Option<(Json<'b>, u64)> {
        let _ = body;
        None
    }

    /// Whether the vendor refuses a cap on the output that is not larger than
    /// the budget for reasoning.
    fn caps_reasoning(&self) -> bool {
        false
    }

    /// The edits that fit a same-dialect body to its server: the gateway's
    /// own object goes, the output is capped ([`Dialect::cap_output`]) and the
    /// budget for reasoning where it must be, and the server's quirks are met.
    fn fit(&self, body: Json<'_>, fit: Fit) -> Vec<Edit> {
        let mut edits = match fit.output_tokens_max {
            Some(tokens) => self.cap_output(body, tokens),
            None => Vec::new(),
        };
        let cap = fit.output_tokens_max.filter(|_| self.caps_reasoning());
        let within_cap = cap.map(|most| most.saturating_sub(1));
        let most = [fit.reasoning_tokens_max, within_cap];
        if let Some(most) = most.into_iter().flatten().min()
            && let Some((place, tokens)) = self.reasoning_budget(body)
            && tokens > most
        {
            edits.push(splice::replace(place, most.to_string()));
        }
        if fit.strip {
            edits.extend(splice::remove(body, GATEWAY_FIELD));
        }
        edits
    }

    /// Writes a request for an upstream.
    ///
    /// # Errors
    /// `Unsupported` if the target cannot do it at all.
    fn write_request(&self, request: &Request, target: &Target<'_>) -> Result<Written, Fault>;

    /// Reads a provider's whole answer.
    ///
    /// # Errors
    /// `UpstreamBroken` if it is not what the vendor's documents describe;
    /// the vendor's fault if it is an error body under a 200.
    fn read_answer(&self, operation: Operation, body: Json<'_>) -> Result<Answer, Fault>;

    /// Takes from a whole answer of a same-dialect call what the evidence
    /// needs, without reading it all.
    ///
    /// # Errors
    /// As [`Dialect::read_answer`].
    fn tally_answer(
        &self,
        operation: Operation,
        body: Json<'_>,
        tally: &mut Tally,
    ) -> Result<(), Fault>;

    /// A reader of a provider's stream.
    fn stream_reader(&self) -> Box<dyn StreamReader>;

    /// A watcher of a same-dialect stream that passes verbatim.
    /// `hide_usage` leaves out the usage frame that we caused.
    fn stream_watcher(&self, hide_usage: bool) -> Box<dyn StreamWatcher>;

    /// What ends a stream to a client before its time, for a call that is
    /// bounded. `usage_wanted`: the client asked for usage in the stream.
    fn stream_ender(&self, usage_wanted: bool) -> Box<dyn StreamEnder>;

    /// Reads a provider's error body. The body may be anything.
    fn read_error(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> UpstreamError;
}

/// The head of a request at the front door.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Method.
    pub method: &'a Method,
    /// Path, normalised, still percent-encoded.
    pub path: &'a str,
    /// Query without the question mark.
    pub query: Option<&'a str>,
    /// Headers.
    pub headers: &'a HeaderMap,
}

/// Which call a path stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Whose path it is.
    pub dialect: DialectId,
    /// What kind of call it is.
    pub operation: Operation,
    /// The model, where the path names it; percent-decoded.
    pub model: Option<String>,
    /// Whether it streams, where the path says so.
    pub stream: Option<bool>,
    /// The path is the dialect's, but nothing is served there for this
    /// method or feature: the reason, for a clean 4xx.
    pub refused: Option<Fault>,
    /// A variant of the call that the dialect itself tells apart (such as a
    /// batch form); opaque to everyone else.
    pub variant: u8,
}

impl Route {
    /// A route whose model and stream flag are in the body.
    pub fn new(dialect: DialectId, operation: Operation) -> Self {
        Self {
            dialect,
            operation,
            model: None,
            stream: None,
            refused: None,
            variant: 0,
        }
    }
}

/// What governance needs of a body: the envelope.
#[derive(Clone, Debug, Default)]
pub struct Survey<'a> {
    /// The model as the caller named it (from body or path).
    pub model: Cow<'a, str>,
    /// Where the model stands in the body, quotes included.
    pub model_span: Option<Range<usize>>,
    /// Where a `"model":"..",` member has to be inserted, for bodies that
    /// carry the model upstream although only the path named it here.
    pub model_at: Option<usize>,
    /// The body's object for the gateway ([`GATEWAY_FIELD`]); not checked to
    /// be one.
    pub gateway: Option<Json<'a>>,
    /// The caller wants a stream.
    pub stream: bool,
    /// The caller asked for usage in the stream, or gets it anyway.
    pub stream_usage: bool,
    /// The edit that makes the upstream report usage in the stream, where
    /// the caller did not ask.
    pub ask_usage: Option<Edit>,
    /// Cap on output tokens.
    pub output_tokens_max: Option<u64>,
    /// Number of messages or items.
    pub turns: u32,
    /// Number of tools on offer.
    pub tools: u32,
    /// Number of alternative answers asked for; 0 where the caller did not
    /// say, which is one.
    pub choices: u32,
}

/// What the caller asked for, as far as an answer depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The route.
    pub route: &'a Route,
    /// The model name to show.
    pub model: &'a str,
    /// The request id (36 characters); fresh ids are derived from it.
    pub request_id: &'a str,
    /// Now, in Unix seconds.
    pub now_s: u64,
    /// The caller wants usage in the stream.
    pub stream_usage: bool,
    /// The canonical request, where one was read.
    pub request: Option<&'a Request>,
}

impl Asked<'_> {
    /// A fresh id in the manner of a vendor: prefix and the request id
    /// without dashes.
    pub fn id(&self, prefix: &str) -> String {
        let mut id = String::with_capacity(prefix.len() + 32);
        id.push_str(prefix);
        id.extend(self.request_id.chars().filter(|c| *c != '-'));
        id
    }
}

/// A call to an upstream, as far as its path and headers depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What kind of call.
    pub operation: Operation,
    /// The model as the upstream knows it.
    pub model: &'a str,
    /// Whether it streams.
    pub stream: bool,
    /// [`Route::variant`] of a same-dialect call, else 0.
    pub variant: u8,
    /// The query of a same-dialect call.
    pub query: Option<&'a str>,
}

/// Where a call goes.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Method.
    pub method: Method,
    /// Path (with query) to append to the provider's base URL.
    pub path: String,
    /// Headers the vendor demands unless the client sent its own.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// What a request is written for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// What is known of the model.
    pub card: &'a ModelCard,
    /// What to do with what the model or the dialect cannot take.
    pub unsupported: Unsupported,
    /// Where the server departs from the dialect.
    pub quirks: Quirks,
}

/// What a same-dialect body is fitted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// Where the server departs from the dialect.
    pub quirks: Quirks,
    /// Most output tokens, where something caps them.
    pub output_tokens_max: Option<u64>,
    /// Most tokens of reasoning, where something holds it.
    pub reasoning_tokens_max: Option<u64>,
    /// The body has an object for the gateway.
    pub strip: bool,
}

/// Where servers of one dialect depart from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// What the server calls the cap on output tokens, where it does not know
    /// the dialect's own name for it.
    pub output_cap: Option<&'static str>,
    /// The server tells usage in every stream, and refuses to be asked for it.
    pub usage_unasked: bool,
}

/// What to do with parameters that a model or dialect cannot take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unsupported {
    /// Leave them out and declare the loss.
    #[default]
    Drop,
    /// Refuse with a clear error.
    Refuse,
}

/// Something written, and what could not be carried.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written {
    /// The body.
    pub body: Bytes,
    /// What could not be carried.
    pub losses: Vec<Loss>,
}

/// The body of an error answer.
#[derive(Clone, Debug)]
pub struct FaultBody {
    /// The body.
    pub body: Bytes,
    /// Its content type.
    pub content_type: &'static str,
    /// Headers the dialect's clients read (such as an error type).
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// A model to show in a list.
#[derive(Clone, Copy, Debug)]
pub struct ModelEntry<'a> {
    /// Its name.
    pub id: &'a str,
    /// Who serves it.
    pub owned_by: &'a str,
    /// Since when, in Unix seconds.
    pub created_s: u64,
    /// What is known of it.
    pub card: Option<&'a ModelCard>,
}

/// Reads a provider's stream into events.
pub trait StreamReader: Send {
    /// Reads one frame; silent frames are not handed in.
    ///
    /// # Errors
    /// `UpstreamBroken` if the frame is not what the vendor's documents
    /// describe. Errors that the vendor reports come as [`Event::Fault`].
    fn read(&mut self, frame: Frame<'_>, events: &mut Vec<Event>) -> Result<(), Fault>;

    /// The stream closed cleanly. Gives the events that only the end tells
    /// (for vendors without an end marker: `End`, if the answer is whole).
    ///
    /// # Errors
    /// `UpstreamBroken` if the end marker is missing.
    fn close(&mut self, events: &mut Vec<Event>) -> Result<(), Fault>;
}

/// Writes events as a stream for a client.
pub trait StreamWriter: Send {
    /// Appends the bytes of one event.
    fn write(&mut self, event: &Event, out: &mut Vec<u8>);

    /// The number of the event that would come next, in formats that number
    /// their events.
    fn next_number(&self) -> u64 {
        0
    }

    /// What could not be carried so far.
    fn losses(&self) -> &[Loss];
}

/// Watches a stream that passes verbatim.
pub trait StreamWatcher: Send {
    /// Looks at one frame; silent frames are not handed in.
    ///
    /// # Errors
    /// `UpstreamBroken` if the frame is not valid (for JSON frames: not JSON).
    fn see(&mut self, frame: Frame<'_>, tally: &mut Tally) -> Result<Keep, Fault>;

    /// The number of the event that would come next, in formats that number
    /// their events.
    fn next_number(&self) -> u64 {
        0
    }

    /// The stream closed cleanly.
    ///
    /// # Errors
    /// `UpstreamBroken` if the end marker is missing.
    fn close(&mut self, tally: &mut Tally) -> Result<(), Fault>;
}

/// Ends a stream to a client before its time, the way the dialect ends an
/// answer that came to its cap: what is open is closed, the reason is length.
/// It reads what goes to the client, so it need not know where that is from.
pub trait StreamEnder: Send {
    /// Takes note of a frame that goes to the client; silent frames are not
    /// handed in. What cannot be read is passed over.
    fn see(&mut self, frame: Frame<'_>);

    /// Appends what ends the stream. What the client was told already (the
    /// reason of a choice, the end marker) is not told again. `true`: it told
    /// of a length, `false`: the answer had its own reason already.
    fn end(&mut self, usage: &Usage, out: &mut Vec<u8>) -> bool;
}

/// What becomes of a watched frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It passes.
    Pass,
    /// It is left out: we caused it, the caller did not ask for it.
    Hide,
}
