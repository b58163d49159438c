//! OpenAI Chat Completions, embeddings and lists of models: the format that
//! most servers speak, with the quirks that its many speakers are seen to have.
//!
//! Deliberately not here: Responses (`openai_responses`), and what only one
//! vendor of this format wants (`providers`).

mod echo;
mod embed;
mod end;
mod finish;
mod quirks;
mod read_answer;
mod read_parts;
mod read_request;
mod read_turns;
mod route;
mod stream_read;
mod stream_write;
mod survey;
mod usage;
mod watch;
mod write_answer;
mod write_request;
mod write_turns;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use contract::fault::UpstreamError;
use contract::{Answer, DialectId, Fault, Operation, Request};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::dialect::{
    Asked, Call, Destination, Dialect, FaultBody, Fit, Head, ModelEntry, Route, StreamEnder,
    StreamReader, StreamWatcher, StreamWriter, Survey, Tally, Target, Written,
};
use crate::framing::Framing;
use crate::json::Json;
use crate::openai::{self, fault, models};
use crate::splice::{self, Edit};

/// Its name.
pub(crate) const ID: DialectId = DialectId("openai_chat");
/// The data of the last frame of a stream.
const END_MARKER: &[u8] = b"[DONE]";

pub(crate) use route::destination;
pub(crate) use write_answer::write as write_answer;

/// The dialect.
pub(crate) static DIALECT: OpenAiChat = OpenAiChat;

/// See [`DIALECT`].
#[derive(Debug)]
pub(crate) struct OpenAiChat;

impl Dialect for OpenAiChat {
    fn id(&self) -> DialectId {
        ID
    }

    fn doc(&self) -> &'static str {
        "OpenAI Chat Completions, embeddings and models, as spoken by most providers."
    }

    fn framing(&self) -> Framing {
        Framing::Sse
    }

    fn operations(&self) -> &'static [Operation] {
        &[Operation::Chat, Operation::Embed]
    }

    fn route(&self, head: &Head<'_>) -> Option<Route> {
        route::route(head)
    }

    fn survey<'a>(&self, route: &Route, body: Json<'a>) -> Result<Survey<'a>, Fault> {
        survey::survey(route, body)
    }

    fn read_request(&self, route: &Route, body: Json<'_>) -> Result<Request, Fault> {
        read_request::read(route, body)
    }

    fn write_answer(&self, answer: &Answer, asked: &Asked<'_>) -> Written {
        write_answer(answer, asked)
    }

    fn write_models(&self, models: &[ModelEntry<'_>], asked: &Asked<'_>) -> Bytes {
        models::write(models, asked)
    }

    fn stream_writer(&self, asked: &Asked<'_>) -> Box<dyn StreamWriter> {
        Box::new(stream_write::Writer::new(asked))
    }

    fn write_fault(&self, fault: &Fault, request_id: &str) -> FaultBody {
        fault::write_body(fault, request_id)
    }

    fn write_fault_frame(&self, fault: &Fault, request_id: &str, _number: u64) -> Bytes {
        fault::write_frame(fault, request_id)
    }

    fn dress(&self, request_id: &HeaderValue, headers: &mut HeaderMap) {
        openai::dress(request_id, headers);
    }

    fn destination(&self, call: &Call<'_>) -> Destination {
        destination(call)
    }

    fn account_headers(&self) -> &'static [HeaderName] {
        &crate::openai::ACCOUNT_HEADERS
    }

    fn forwarded_headers(&self) -> &'static [HeaderName] {
        static NAMES: [HeaderName; 2] = [
            HeaderName::from_static("openai-beta"),
            HeaderName::from_static("x-client-request-id"),
        ];
        &NAMES
    }

    fn own_word(&self, name: &str) -> Option<&'static str> {
        Some(match name {
            "reasoning" => "reasoning_effort",
            _ => return None,
        })
    }

    fn cap_output(&self, body: Json<'_>, tokens: u64) -> Vec<Edit> {
        splice::cap(body, &quirks::OUTPUT_CAPS, tokens)
    }

    fn fit(&self, body: Json<'_>, fit: Fit) -> Vec<Edit> {
        quirks::fit(body, fit)
    }

    fn write_request(&self, request: &Request, target: &Target<'_>) -> Result<Written, Fault> {
        write_request::write(request, target)
    }

    fn read_answer(&self, operation: Operation, body: Json<'_>) -> Result<Answer, Fault> {
        read_answer::read(operation, body)
    }

    fn tally_answer(
        &self,
        operation: Operation,
        body: Json<'_>,
        tally: &mut Tally,
    ) -> Result<(), Fault> {
        watch::tally(operation, body, tally)
    }

    fn stream_reader(&self) -> Box<dyn StreamReader> {
        Box::new(stream_read::Reader::default())
    }

    fn stream_watcher(&self, hide_usage: bool) -> Box<dyn StreamWatcher> {
        Box::new(watch::Watcher::new(hide_usage))
    }

    fn stream_ender(&self, usage_wanted: bool) -> Box<dyn StreamEnder> {
        Box::new(end::Ender::new(usage_wanted))
    }

    fn read_error(&self, status: u16, _headers: &HeaderMap, body: &[u8]) -> UpstreamError {
        fault::read_body(status, body)
    }
}
