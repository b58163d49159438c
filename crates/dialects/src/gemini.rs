//! The Gemini API: `models/{model}:generateContent` and its kin, under
//! `/v1beta` and `/v1` (which current SDKs call).
//!
//! Deliberately not here: files, caches, batches, live sessions and tuning
//! (refused with a reason), addresses and keys.

mod answer;
mod citation;
mod embed;
mod end;
mod fault;
mod finish;
mod logprobs;
mod models;
mod names;
mod read_parts;
mod read_request;
mod read_settings;
mod route;
mod schema;
mod signature;
mod stream_read;
mod stream_write;
mod survey;
mod thinking;
mod usage;
mod watch;
mod write_parts;
mod write_request;
mod write_tools;

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
use crate::splice::Edit;

/// Its name.
pub(crate) const ID: DialectId = DialectId("gemini");

/// The Gemini API.
#[derive(Debug)]
pub(crate) struct Gemini;

/// The one instance.
pub(crate) static DIALECT: Gemini = Gemini;

impl Dialect for Gemini {
    fn id(&self) -> DialectId {
        ID
    }

    fn doc(&self) -> &'static str {
        "Gemini: /v1beta/models/{model}:generateContent, :streamGenerateContent?alt=sse, \
         :countTokens, :embedContent, :batchEmbedContents and lists of models, also under /v1 \
         and /gemini."
    }

    fn framing(&self) -> Framing {
        Framing::Sse
    }

    fn operations(&self) -> &'static [Operation] {
        &[Operation::Chat, Operation::CountTokens, Operation::Embed]
    }

    fn route(&self, head: &Head<'_>) -> Option<Route> {
        route::route(head)
    }

    fn claims(&self, head: &Head<'_>) -> bool {
        head.headers.contains_key(route::KEY_HEADER)
            || head.path.starts_with("/gemini/")
            || head.path.starts_with("/v1beta/")
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
            content_type: "application/json; charset=UTF-8",
            headers: Vec::new(),
        }
    }

    fn write_fault_frame(&self, fault: &Fault, request_id: &str, _number: u64) -> Bytes {
        format!("data: {}\r\n\r\n", fault::body(fault, request_id)).into()
    }

    // The vendor has no request-id header of its own; its errors carry the id
    // in `details`.
    fn dress(&self, _request_id: &HeaderValue, _headers: &mut HeaderMap) {}

    fn destination(&self, call: &Call<'_>) -> Destination {
        route::destination(call)
    }

    fn account_headers(&self) -> &'static [HeaderName] {
        static NAMES: [HeaderName; 1] = [HeaderName::from_static("x-goog-user-project")];
        &NAMES
    }

    fn forwarded_headers(&self) -> &'static [HeaderName] {
        static NAMES: [HeaderName; 2] = [
            HeaderName::from_static("x-goog-api-client"),
            HeaderName::from_static("x-server-timeout"),
        ];
        &NAMES
    }

    fn rename_model(&self, body: Json<'_>, model: &str) -> Vec<Edit> {
        survey::rename_model(body, model)
    }

    fn own_word(&self, name: &str) -> Option<&'static str> {
        Some(match name {
            "stop" => "generationConfig.stopSequences",
            "n" => "generationConfig.candidateCount",
            "temperature" => "generationConfig.temperature",
            "top_p" => "generationConfig.topP",
            "top_k" => "generationConfig.topK",
            "seed" => "generationConfig.seed",
            "frequency_penalty" => "generationConfig.frequencyPenalty",
            "presence_penalty" => "generationConfig.presencePenalty",
            "logprobs" => "generationConfig.responseLogprobs",
            "modalities" => "generationConfig.responseModalities",
            "audio" => "generationConfig.speechConfig",
            "reasoning" => "generationConfig.thinkingConfig",
            "service_tier" => "serviceTier",
            "task_type" => "taskType",
            "dimensions" => "outputDimensionality",
            _ => return None,
        })
    }

    fn cap_output(&self, body: Json<'_>, tokens: u64) -> Vec<Edit> {
        survey::cap_output(body, tokens)
    }

    fn reasoning_budget<'b>(&self, body: Json<'b>) -> Option<(Json<'b>, u64)> {
        thinking::budget(body)
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
