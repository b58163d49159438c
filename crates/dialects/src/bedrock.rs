//! The Converse API of Amazon Bedrock: `/model/{id}/converse`,
//! `/converse-stream` (event-stream messages) and `/count-tokens`. Shapes
//! are those of the `bedrock-runtime` service model, 2023-09-30.
//!
//! Deliberately not here: `invoke*` (bodies of each model vendor; refused
//! with a reason), request signing and regions.

mod answer;
mod citation;
mod claude;
mod content_read;
mod content_write;
mod conversation;
mod end;
mod fault;
mod finish;
mod media;
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
use crate::json::{self, Json};
use crate::splice::{self, Edit};

/// Its name.
pub(crate) const ID: DialectId = DialectId("bedrock");

/// The Converse API.
#[derive(Debug)]
pub(crate) struct Bedrock;

/// The one instance.
pub(crate) static DIALECT: Bedrock = Bedrock;

impl Dialect for Bedrock {
    fn id(&self) -> DialectId {
        ID
    }

    fn doc(&self) -> &'static str {
        "Amazon Bedrock Converse: /model/{id}/converse, /converse-stream and /count-tokens, \
         also under /bedrock."
    }

    fn framing(&self) -> Framing {
        Framing::EventStream
    }

    fn operations(&self) -> &'static [Operation] {
        &[Operation::Chat, Operation::CountTokens]
    }

    fn route(&self, head: &Head<'_>) -> Option<Route> {
        route::route(head)
    }

    fn claims(&self, head: &Head<'_>) -> bool {
        route::claims(head)
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

    /// The shape of `ListFoundationModels`, the nearest that the vendor has.
    fn write_models(&self, models: &[ModelEntry<'_>], _asked: &Asked<'_>) -> Bytes {
        json::object(|out| {
            out.array("modelSummaries", |array| {
                for model in models {
                    array.object(|out| {
                        out.str("modelId", model.id);
                        out.str("modelName", model.id);
                        out.str("providerName", model.owned_by);
                        out.bool("responseStreamingSupported", true);
                    });
                }
            });
        })
        .into()
    }

    fn stream_writer(&self, _asked: &Asked<'_>) -> Box<dyn StreamWriter> {
        Box::new(stream_write::Writer::default())
    }

    fn write_fault(&self, fault: &Fault, _request_id: &str) -> FaultBody {
        FaultBody {
            body: fault::body(fault).into(),
            content_type: "application/json",
            headers: vec![(
                HeaderName::from_static("x-amzn-errortype"),
                fault::header(fault),
            )],
        }
    }

    fn write_fault_frame(&self, fault: &Fault, _request_id: &str, _number: u64) -> Bytes {
        fault::frame(fault)
    }

    fn dress(&self, request_id: &HeaderValue, headers: &mut HeaderMap) {
        let name = HeaderName::from_static("x-amzn-requestid");
        headers.insert(name, request_id.clone());
    }

    fn destination(&self, call: &Call<'_>) -> Destination {
        route::destination(call)
    }

    fn forwarded_headers(&self) -> &'static [HeaderName] {
        &[]
    }

    fn own_word(&self, name: &str) -> Option<&'static str> {
        Some(match name {
            "stop" => "inferenceConfig.stopSequences",
            "temperature" => "inferenceConfig.temperature",
            "top_p" => "inferenceConfig.topP",
            "top_k" => "additionalModelRequestFields.top_k",
            "reasoning" => "additionalModelRequestFields.thinking",
            "service_tier" => "serviceTier",
            "metadata" => "requestMetadata",
            "cache_control" => "cachePoint",
            _ => return None,
        })
    }

    fn cap_output(&self, body: Json<'_>, tokens: u64) -> Vec<Edit> {
        match body.get("inferenceConfig") {
            Some(config) if !config.is_null() => splice::cap(config, &["maxTokens"], tokens),
            Some(_) | None => {
                let config = format!("{{\"maxTokens\":{tokens}}}");
                vec![splice::put(body, "inferenceConfig", config)]
            }
        }
    }

    fn caps_reasoning(&self) -> bool {
        true
    }

    /// That of the models which take `thinking`, as their vendor writes it.
    fn reasoning_budget<'b>(&self, body: Json<'b>) -> Option<(Json<'b>, u64)> {
        let fields = body.field("additionalModelRequestFields")?;
        let words = ["thinking", "reasoning_config"];
        let config = words.iter().find_map(|word| fields.field(word))?;
        let budget = config.field("budget_tokens")?;
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

    fn read_error(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> UpstreamError {
        fault::read_error(status, headers, body)
    }
}
