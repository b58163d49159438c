//! The hot path of same-dialect answers: what the evidence needs of a whole
//! answer or of a stream that passes verbatim, without reading it all.

use contract::{Fault, Operation, Usage};

use super::read_answer::{self, check_status, not_an_answer};
use super::usage;
use crate::dialect::{Keep, StreamWatcher, Tally};
use crate::fold;
use crate::framing::Frame;
use crate::json::{self, Json, Kind, Rules, Tape};
use crate::openai::fault;

/// Takes from a whole answer what the evidence needs.
pub(super) fn tally(operation: Operation, body: Json<'_>, tally: &mut Tally) -> Result<(), Fault> {
    if operation == Operation::CountTokens {
        if body.field("input_tokens").is_none() {
            return Err(not_an_answer(body));
        }
    } else {
        check_status(body)?;
        take_response(body, tally);
        take_finish(body, tally);
    }
    tally.committed = true;
    tally.ended = true;
    Ok(())
}

/// Id, model and usage of a response object.
fn take_response(response: Json<'_>, tally: &mut Tally) {
    for member in response.members() {
        let value = member.value;
        match &*member.name() {
            "id" if tally.id.is_none() => tally.id = owned(value),
            "model" if tally.model.is_none() => tally.model = owned(value),
            "usage" => {
                if let Some(figures) = usage::read(value) {
                    tally
                        .usage
                        .get_or_insert_with(Usage::default)
                        .merge(&figures);
                }
            }
            _ => {}
        }
    }
}

fn owned(value: Json<'_>) -> Option<String> {
    value
        .str()
        .filter(|text| !text.is_empty())
        .map(|text| text.into_owned())
}

fn take_finish(response: Json<'_>, tally: &mut Tally) {
    let items = response.get("output");
    let mut kinds = items.iter().flat_map(Json::items).filter_map(|item| {
        let kind = item.get("type")?;
        kind.str()
    });
    let called = kinds.any(|kind| matches!(&*kind, "function_call" | "custom_tool_call"));
    tally.finish = Some(read_answer::finish(response, called, false).reason);
}

/// Watches a stream.
#[derive(Debug, Default)]
pub(super) struct Watcher {
    tape: Tape,
}

impl StreamWatcher for Watcher {
    fn see(&mut self, frame: Frame<'_>, tally: &mut Tally) -> Result<Keep, Fault> {
        let data = frame.data.trim_ascii();
        if data == b"[DONE]" && tally.ended {
            // Some servers add the sibling's end marker behind their own.
            return Ok(Keep::Pass);
        }
        if let Err(flaw) = self.tape.rescan(data, &Rules::ANSWER) {
            return Err(json::broken(&flaw, data));
        }
        see_event(self.tape.root(data), tally);
        Ok(Keep::Pass)
    }

    fn close(&mut self, tally: &mut Tally) -> Result<(), Fault> {
        if tally.ended || tally.fault.is_some() {
            Ok(())
        } else {
            Err(fold::unfinished())
        }
    }
}

fn see_event(root: Json<'_>, tally: &mut Tally) {
    let mut kind = None;
    let mut content = None;
    let mut response = None;
    for member in root.members() {
        match &*member.name() {
            "type" => kind = member.value.str(),
            "delta" | "item" => content = Some(member.value),
            "response" => response = Some(member.value),
            _ => {}
        }
    }
    let Some(kind) = kind else {
        // An error object as the sibling sends it.
        tally.fault = fault::find_in_band(root);
        return;
    };
    match (&*kind, response) {
        ("response.completed" | "response.incomplete", Some(response)) => {
            take_response(response, tally);
            take_finish(response, tally);
            tally.ended = true;
        }
        ("response.failed", Some(response)) => {
            take_response(response, tally);
            tally.fault =
                Some(fault::find_in_band(response).unwrap_or_else(read_answer::unexplained));
            tally.ended = true;
        }
        ("error", _) => tally.fault = Some(read_error(root)),
        ("response.created", Some(response)) => take_response(response, tally),
        (kind, _) if !tally.committed => {
            tally.committed = content.is_some_and(|content| commits(kind, content));
        }
        _ => {}
    }
}

/// Whether an event holds content: a delta with text, a tool call that
/// begins, an item that is done.
fn commits(kind: &str, content: Json<'_>) -> bool {
    match kind {
        "response.output_item.done" => true,
        "response.output_item.added" => {
            let item = content.get("type").and_then(|kind| kind.str());
            item.is_some_and(|item| !matches!(&*item, "message" | "reasoning"))
        }
        _ => match content.kind() {
            Kind::String | Kind::EscapedString => content.span().len() > 2,
            Kind::Object | Kind::Array => kind.ends_with(".delta"),
            Kind::Null | Kind::True | Kind::False | Kind::Number => false,
        },
    }
}

/// The error of an `error` event: flat, or nested as in a body.
pub(super) fn read_error(root: Json<'_>) -> Fault {
    fault::find_in_band(root).unwrap_or_else(|| fault::in_band(fault::read_flat(root)))
}
