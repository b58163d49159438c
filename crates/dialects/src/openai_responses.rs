//! OpenAI Responses: items in, items out, and a stream of typed, numbered
//! events. Also counts input tokens.
//!
//! Deliberately not here: what the vendor stores (conversations, responses by
//! id, background runs); such requests travel in their own dialect or are
//! refused with a reason.

mod end;
mod envelope;
mod items;
mod proof;
mod read_answer;
mod read_items;
mod read_request;
mod route;
mod stream_read;
mod stream_write;
mod survey;
mod usage;
mod watch;
mod write_answer;
mod write_items;
mod write_request;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use contract::fault::UpstreamError;
use contract::{Answer, DialectId, Fault, Operation, Request};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::dialect::{
    Asked, Call, Destination, Dialect, FaultBody, Head, ModelEntry, Route, StreamEnder,
    StreamReader, StreamWatcher, StreamWriter, Survey, Tally, Target, Written,
};
use crate::framing::Framing;
use crate::json::{self, Json};
use crate::openai::{self, fault, models};
use crate::splice::{self, Edit};

/// Its name.
pub(crate) const ID: DialectId = DialectId("openai_responses");

/// The dialect.
pub(crate) static DIALECT: OpenAiResponses = OpenAiResponses;

/// See [`DIALECT`].
#[derive(Debug)]
pub(crate) struct OpenAiResponses;

impl Dialect for OpenAiResponses {
    fn id(&self) -> DialectId {
        ID
    }

    fn doc(&self) -> &'static str {
        "OpenAI Responses, with counting of input tokens."
    }

    fn framing(&self) -> Framing {
        Framing::Sse
    }

    fn operations(&self) -> &'static [Operation] {
        &[Operation::Chat, Operation::CountTokens]
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
        write_answer::write(answer, asked)
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

    /// An `error` event. Its members stand in the event as the types of the
    /// vendor have them, and once more in an `error` object, at which the
    /// vendor's SDKs raise.
    fn write_fault_frame(&self, fault: &Fault, request_id: &str, number: u64) -> Bytes {
        let data = json::object(|event| {
            event.str("type", "error");
            event.int("sequence_number", number);
            event.str_or_null("code", fault::code(fault));
            event.str("message", fault::public_message(fault));
            event.str_or_null("param", fault::param(fault));
            event.object("error", |error| {
                fault::write_error(error, fault, request_id)
            });
        });
        format!("event: error\ndata: {data}\n\n").into()
    }

    fn dress(&self, request_id: &HeaderValue, headers: &mut HeaderMap) {
        openai::dress(request_id, headers);
    }

    fn destination(&self, call: &Call<'_>) -> Destination {
        route::destination(call)
    }

    fn account_headers(&self) -> &'static [HeaderName] {
        &crate::openai::ACCOUNT_HEADERS
    }

    fn forwarded_headers(&self) -> &'static [HeaderName] {
        static NAMES: [HeaderName; 4] = [
            HeaderName::from_static("conversation_id"),
            HeaderName::from_static("openai-beta"),
            HeaderName::from_static("session_id"),
            HeaderName::from_static("x-client-request-id"),
        ];
        &NAMES
    }

    fn own_word(&self, name: &str) -> Option<&'static str> {
        Some(match name {
            "logprobs" => "top_logprobs",
            "verbosity" => "text.verbosity",
            _ => return None,
        })
    }

    fn cap_output(&self, body: Json<'_>, tokens: u64) -> Vec<Edit> {
        splice::cap(body, &["max_output_tokens"], tokens)
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

    fn stream_watcher(&self, _hide_usage: bool) -> Box<dyn StreamWatcher> {
        Box::new(watch::Watcher::default())
    }

    fn stream_ender(&self, _usage_wanted: bool) -> Box<dyn StreamEnder> {
        Box::new(end::Ender::default())
    }

    fn read_error(&self, status: u16, _headers: &HeaderMap, body: &[u8]) -> UpstreamError {
        fault::read_body(status, body)
    }
}
