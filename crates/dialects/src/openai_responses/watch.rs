//! The hot path of same-dialect answers: what the evidence needs of a whole
//! answer or of a stream that passes verbatim, without reading it all.

use contract::{Fault, Operation, Usage};

use super::read_answer::{self, check_status, not_an_answer};
use super::usage;
use crate::dialect::{Keep, Seen, StreamWatcher, Tally};
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
        take_finish(body, &Told::default(), tally);
    }
    tally.committed = true;
    tally.ended = true;
    Ok(())
}

/// Id, model, tier and usage of a response object.
fn take_response(response: Json<'_>, tally: &mut Tally) {
    for member in response.members() {
        let value = member.value;
        match &*member.name() {
            "id" if tally.id.is_none() => tally.id = owned(value),
            "model" if tally.model.is_none() => tally.model = owned(value),
            "service_tier" => {
                if let Some(word) = value.str() {
                    tally.take_tier(&word);
                }
            }
            _ => {}
        }
    }
    if let Some(figures) = usage::of_response(response) {
        tally
            .usage
            .get_or_insert_with(Usage::default)
            .merge(&figures);
    }
}

fn owned(value: Json<'_>) -> Option<String> {
    value
        .str()
        .filter(|text| !text.is_empty())
        .map(|text| text.into_owned())
}

fn take_finish(response: Json<'_>, told: &Told, tally: &mut Tally) {
    let (mut called, mut refused) = (told.called, told.refused);
    for item in response.get("output").iter().flat_map(Json::items) {
        called |= is_one_of(item, CALLS);
        let parts = item
            .get("content")
            .filter(|_| is_one_of(item, &["message"]));
        refused |= parts
            .iter()
            .flat_map(Json::items)
            .any(|part| is_one_of(part, REFUSALS));
    }
    tally.finish = Some(read_answer::finish(response, called, refused).reason);
}

/// Types of items that call a tool of the caller.
const CALLS: &[&str] = &["function_call", "custom_tool_call"];
/// Types of parts that refuse.
const REFUSALS: &[&str] = &["refusal"];

fn is_one_of(object: Json<'_>, types: &[&str]) -> bool {
    let kind = object.get("type").and_then(|kind| kind.str());
    kind.is_some_and(|kind| types.contains(&&*kind))
}

/// Watches a stream.
#[derive(Debug, Default)]
pub(super) struct Watcher {
    tape: Tape,
    told: Told,
}

/// What the events have told so far.
#[derive(Debug, Default)]
struct Told {
    /// The number of the event that would come next.
    next_number: u64,
    called: bool,
    refused: bool,
    /// Searches of the web that are done.
    searches: u64,
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
        see_event(self.tape.root(data), &mut self.told, tally);
        Ok(Keep::Pass)
    }

    fn next_number(&self) -> u64 {
        self.told.next_number
    }

    fn close(&mut self, tally: &mut Tally) -> Result<(), Fault> {
        if tally.ended || tally.fault.is_some() {
            Ok(())
        } else {
            Err(fold::unfinished())
        }
    }
}

fn see_event(root: Json<'_>, told: &mut Told, tally: &mut Tally) {
    let mut kind = None;
    let mut content = None;
    let mut response = None;
    // A server that does not number its events is counted along.
    let mut number = told.next_number;
    for member in root.members() {
        match &*member.name() {
            "type" => kind = member.value.str(),
            "delta" | "item" | "part" => content = Some(member.value),
            "response" => response = Some(member.value),
            "sequence_number" => number = member.value.u64().unwrap_or(number),
            _ => {}
        }
    }
    told.next_number = number.saturating_add(1);
    let Some(kind) = kind else {
        // An error object as the sibling sends it.
        tally.fault = fault::find_in_band(root);
        return;
    };
    match (&*kind, response) {
        ("response.completed" | "response.incomplete", Some(response)) => {
            take_response(response, tally);
            take_finish(response, told, tally);
            tally.ended = true;
        }
        ("response.failed", Some(response)) => {
            take_response(response, tally);
            tally.fault =
                Some(fault::find_in_band(response).unwrap_or_else(read_answer::unexplained));
            tally.ended = true;
        }
        ("error", _) => tally.fault = Some(read_error(root)),
        ("response.created" | "response.in_progress" | "response.queued", Some(response)) => {
            take_response(response, tally);
        }
        (kind, _) => {
            if let Some(content) = content {
                told.take(kind, content);
                count(kind, content, &mut tally.seen);
                if told.searches > 0 {
                    let usage = tally.usage.get_or_insert_with(Usage::default);
                    usage.web_searches = usage.web_searches.max(told.searches);
                }
                tally.committed = tally.committed || commits(kind, content);
            }
        }
    }
}

impl Told {
    /// What decides over the word for the end: calls and refusals.
    fn take(&mut self, kind: &str, content: Json<'_>) {
        match kind {
            "response.output_item.added" | "response.output_item.done" => {
                self.called |= is_one_of(content, CALLS);
                let is_done = kind == "response.output_item.done";
                self.searches += u64::from(is_done && usage::is_search(&content));
            }
            "response.content_part.added" => self.refused |= is_one_of(content, REFUSALS),
            "response.refusal.delta" => self.refused = true,
            _ => {}
        }
    }
}

/// Counts the text of a delta, and the name of a tool that is called.
fn count(kind: &str, content: Json<'_>, seen: &mut Seen) {
    match kind {
        // Sound, as base64.
        "response.audio.delta" | "response.output_audio.delta" => seen.media = seen.media.max(1),
        "response.output_item.added" => {
            let name = content.get("name");
            seen.piece(name.map_or(0, |name| name.text_bytes()));
        }
        _ if kind.starts_with("response.reasoning") && kind.ends_with(".delta") => {
            seen.thought(content.text_bytes());
        }
        _ if kind.ends_with(".delta") => seen.piece(content.text_bytes()),
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
