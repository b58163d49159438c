//! The Messages API: `/v1/messages`, `/v1/messages/count_tokens`,
//! `/v1/models` (claimed by the version header). Both published versions
//! (2023-06-01 and 2026-10-21) share these shapes.
//!
//! Deliberately not here: batches, files, skills and agents (refused with a
//! reason), addresses and keys.

mod answer;
mod citation;
mod content_read;
mod content_write;
mod end;
mod fault;
mod finish;
mod models;
mod opaque;
mod read_request;
mod route;
mod stream_read;
mod stream_write;
mod survey;
mod tools_write;
mod usage;
mod watch;
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
use crate::json::Json;
use crate::splice::{self, Edit};

/// Its name.
pub(crate) const ID: DialectId = DialectId("anthropic");

/// The Messages API.
#[derive(Debug)]
pub(crate) struct Anthropic;

/// The one instance.
pub(crate) static DIALECT: Anthropic = Anthropic;

impl Dialect for Anthropic {
    fn id(&self) -> DialectId {
        ID
    }

    fn doc(&self) -> &'static str {
        "Anthropic Messages: /v1/messages, /v1/messages/count_tokens and /v1/models \
         (with an anthropic-version header), also under /anthropic."
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

    fn claims(&self, head: &Head<'_>) -> bool {
        head.headers.contains_key("anthropic-version") || head.path.starts_with("/anthropic/")
    }

    fn survey<'a>(&self, route: &Route, body: Json<'a>) -> Result<Survey<'a>, Fault> {
        survey::survey(route, body)
    }

    fn read_request(&self, route: &Route, body: Json<'_>) -> Result<Request, Fault> {
        read_request::read(route, body)
    }

    fn write_answer(&self, answer: &Answer, asked: &Asked<'_>) -> Written {
        answer::write(answer, asked)
    }

    fn write_models(&self, models: &[ModelEntry<'_>], asked: &Asked<'_>) -> Bytes {
        models::write(models, asked)
    }

    fn stream_writer(&self, asked: &Asked<'_>) -> Box<dyn StreamWriter> {
        Box::new(stream_write::Writer::new(asked))
    }

    fn write_fault(&self, fault: &Fault, request_id: &str) -> FaultBody {
        FaultBody {
            body: fault::body(fault, request_id).into(),
            content_type: "application/json",
            headers: Vec::new(),
        }
    }

    fn write_fault_frame(&self, fault: &Fault, request_id: &str, _number: u64) -> Bytes {
        format!("event: error\ndata: {}\n\n", fault::body(fault, request_id)).into()
    }

    fn dress(&self, request_id: &HeaderValue, headers: &mut HeaderMap) {
        headers.insert(HeaderName::from_static("request-id"), request_id.clone());
    }

    fn destination(&self, call: &Call<'_>) -> Destination {
        route::destination(call)
    }

    fn forwarded_headers(&self) -> &'static [HeaderName] {
        static NAMES: [HeaderName; 2] = [
            HeaderName::from_static("anthropic-version"),
            HeaderName::from_static("anthropic-beta"),
        ];
        &NAMES
    }

    fn own_word(&self, name: &str) -> Option<&'static str> {
        Some(match name {
            "stop" => "stop_sequences",
            "parallel_tool_calls" => "tool_choice.disable_parallel_tool_use",
            "reasoning" => "thinking",
            "user" => "metadata.user_id",
            _ => return None,
        })
    }

    fn cap_output(&self, body: Json<'_>, tokens: u64) -> Vec<Edit> {
        splice::cap(body, &["max_tokens"], tokens)
    }

    fn caps_reasoning(&self) -> bool {
        true
    }

    fn reasoning_budget<'b>(&self, body: Json<'b>) -> Option<(Json<'b>, u64)> {
        let budget = body.field("thinking")?.field("budget_tokens")?;
        Some((budget, budget.u64()?))
    }

    fn write_request(&self, request: &Request, target: &Target<'_>) -> Result<Written, Fault> {
        write_request::write(request, target)
    }

    fn read_answer(&self, operation: Operation, body: Json<'_>) -> Result<Answer, Fault> {
        answer::read(operation, body)
    }

    fn tally_answer(
        &self,
        operation: Operation,
        body: Json<'_>,
        tally: &mut Tally,
    ) -> Result<(), Fault> {
        answer::tally(operation, body, tally)
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
        fault::read_error(status, body)
    }
}
