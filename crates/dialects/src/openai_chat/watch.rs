//! The hot path of same-dialect answers: what the evidence needs of a whole
//! answer or of a stream that passes verbatim, without reading it all.

use contract::answer::{Finish, FinishReason};
use contract::{Fault, Operation, Usage};

use super::{END_MARKER, finish, usage};
use crate::dialect::{Keep, Seen, StreamWatcher, Tally};
use crate::fold;
use crate::framing::Frame;
use crate::json::{Familiar, Json, Kind, Rules, Tape};
use crate::openai::fault;

/// Takes from a whole answer what the evidence needs.
pub(super) fn tally(operation: Operation, body: Json<'_>, tally: &mut Tally) -> Result<(), Fault> {
    let mut content = None;
    for member in body.members() {
        let value = member.value;
        match &*member.name_bytes() {
            b"id" => tally.id = owned(value),
            b"model" => tally.model = owned(value),
            b"usage" if operation == Operation::Embed => tally.usage = usage::read_embed(value),
            b"usage" => merge(tally, value),
            b"service_tier" => take_tier(tally, value),
            b"choices" | b"data" => content = Some(value),
            _ => {}
        }
    }
    let content = content.filter(|content| content.kind() == Kind::Array && !content.is_empty());
    let Some(content) = content else {
        return Err(fault::find_in_band(body).unwrap_or_else(|| not_an_answer(body)));
    };
    if operation == Operation::Chat
        && let Some(first) = content.items().enumerate().find(is_first)
        && let Some(word) = first.1.field("finish_reason").and_then(|word| word.str())
    {
        let mut said = Said::default();
        if let Some(message) = first.1.field("message") {
            said.take(message);
        }
        tally.finish = Some(said.finish(&word).reason);
    }
    tally.committed = true;
    tally.ended = true;
    Ok(())
}

/// Whether a choice, with its place in the list, is the first.
fn is_first((place, choice): &(usize, Json<'_>)) -> bool {
    let index = choice.field("index").and_then(|index| index.u64());
    index.map_or(*place == 0, |index| index == 0)
}

/// What the first choice has said, as far as the word for its end depends on
/// it.
#[derive(Debug, Default)]
struct Said {
    /// It was seen at all.
    begun: bool,
    called: bool,
    refused: bool,
}

impl Said {
    /// Takes note of a message or a piece of one.
    fn take(&mut self, message: Json<'_>) {
        self.begun = true;
        for member in message.members() {
            let value = member.value;
            match &*member.name_bytes() {
                b"tool_calls" => self.called |= !value.is_empty(),
                b"function_call" => self.called |= value.kind() == Kind::Object,
                b"refusal" => self.refused |= is_text(value) && value.span().len() > 2,
                _ => {}
            }
        }
    }

    fn finish(&self, word: &str) -> Finish {
        finish::read(word, self.called, self.refused)
    }
}

fn is_text(value: Json<'_>) -> bool {
    matches!(value.kind(), Kind::String | Kind::EscapedString)
}

/// The fault of a 200 that is neither an answer nor an error.
pub(super) fn not_an_answer(body: Json<'_>) -> Fault {
    let keys: Vec<String> = body
        .members()
        .take(8)
        .map(|member| member.name().chars().take(40).collect())
        .collect();
    Fault::upstream_broken(
        "The provider answered with status 200 but without an answer. Try again; if it \
         persists, look at the provider's status.",
    )
    .because(format!("no choices or data; the keys are {keys:?}"))
}

fn owned(value: Json<'_>) -> Option<String> {
    value.str().map(|text| text.into_owned())
}

fn take_tier(tally: &mut Tally, value: Json<'_>) {
    if let Some(word) = value.str() {
        tally.take_tier(&word);
    }
}

fn merge(tally: &mut Tally, value: Json<'_>) {
    if let Some(usage) = usage::read(value) {
        tally.usage.get_or_insert_with(Usage::default).merge(&usage);
    }
}

/// Watches a stream.
#[derive(Debug, Default)]
pub(super) struct Watcher {
    tape: Tape,
    /// The delta before. One that differs in its text alone tells nothing
    /// new: only deltas behind the first content and without usage, end or
    /// fault are learned.
    before: Familiar,
    said: Said,
    hide_usage: bool,
}

impl Watcher {
    /// A watcher for a new stream.
    pub(super) fn new(hide_usage: bool) -> Self {
        Self {
            tape: Tape::default(),
            before: Familiar::default(),
            said: Said::default(),
            hide_usage,
        }
    }
}

impl StreamWatcher for Watcher {
    fn see(&mut self, frame: Frame<'_>, tally: &mut Tally) -> Result<Keep, Fault> {
        let data = frame.data.trim_ascii();
        if data == END_MARKER {
            if self.said.begun && tally.finish.is_none() {
                // Some servers leave out the finishing chunk.
                tally.finish = Some(match self.said.called {
                    true => FinishReason::ToolCalls,
                    false => FinishReason::Stop,
                });
            }
            tally.ended = true;
            return Ok(Keep::Pass);
        }
        if self.before.is(data) {
            tally.seen.again(self.before.text_bytes(data));
            return Ok(Keep::Pass);
        }
        self.tape.rescan(data, &Rules::ANSWER).map_err(|flaw| {
            Fault::upstream_broken(
                "The provider sent a stream event that is not valid JSON. Try again; if it \
                 persists, look at the provider's status.",
            )
            .because(format!("{} at byte {}", flaw.message(), flaw.offset))
        })?;
        let root = self.tape.root(data);
        let only_usage = read_chunk(root, &mut self.said, tally);
        match only_text(root).filter(|_| tally.committed && tally.fault.is_none()) {
            Some(text) => self.before.learn(data, text.span()),
            None => self.before.forget(),
        }
        if self.hide_usage && only_usage {
            Ok(Keep::Hide)
        } else {
            Ok(Keep::Pass)
        }
    }

    fn close(&mut self, tally: &mut Tally) -> Result<(), Fault> {
        if tally.ended || tally.fault.is_some() {
            Ok(())
        } else {
            Err(fold::unfinished())
        }
    }
}

/// Reads a chunk; tells whether it holds usage and nothing else.
fn read_chunk(root: Json<'_>, said: &mut Said, tally: &mut Tally) -> bool {
    let mut choices = None;
    let mut has_usage = false;
    for member in root.members() {
        let value = member.value;
        match &*member.name_bytes() {
            b"choices" => choices = Some(value),
            b"usage" if !value.is_null() => {
                has_usage = true;
                merge(tally, value);
            }
            b"service_tier" => take_tier(tally, value),
            b"id" if tally.id.is_none() => {
                tally.id = owned(value).filter(|id| !id.is_empty());
            }
            b"model" if tally.model.is_none() => {
                tally.model = owned(value).filter(|model| !model.is_empty());
            }
            b"error" if !value.is_null() => tally.fault = fault::find_in_band(root),
            _ => {}
        }
    }
    let Some(choices) = choices else {
        // Servers of this format also send `{"object":"error",..}`.
        tally.fault = tally.fault.take().or_else(|| fault::find_in_band(root));
        return false;
    };
    for choice in choices.items() {
        read_choice(choice, said, tally);
    }
    has_usage && choices.is_empty()
}

fn read_choice(choice: Json<'_>, said: &mut Said, tally: &mut Tally) {
    let (mut delta, mut word, mut index) = (None, None, 0);
    for member in choice.members() {
        let value = member.value;
        match &*member.name_bytes() {
            b"delta" => delta = Some(value),
            b"finish_reason" => word = value.str().filter(|word| !word.is_empty()),
            b"index" => index = value.u64().unwrap_or(0),
            _ => {}
        }
    }
    tally.committed = tally.committed || delta.is_some_and(holds_content);
    delta
        .iter()
        .for_each(|delta| count(*delta, &mut tally.seen));
    if index > 0 {
        return;
    }
    said.begun = true;
    if let Some(delta) = delta {
        said.take(delta);
    }
    if let Some(word) = word.filter(|_| tally.finish.is_none()) {
        tally.finish = Some(said.finish(&word).reason);
    }
}

/// Counts the texts and pieces of arguments in a delta.
fn count(delta: Json<'_>, seen: &mut Seen) {
    let mut thought = 0;
    for member in delta.members() {
        let value = member.value;
        match &*member.name_bytes() {
            b"content" | b"refusal" => seen.piece(value.text_bytes()),
            // Some servers tell it under both names.
            b"reasoning_content" | b"reasoning" => thought = thought.max(value.text_bytes()),
            b"tool_calls" => {
                for call in value.items() {
                    let said = call.field("function").or_else(|| call.field("custom"));
                    said.iter().for_each(|said| count_call(*said, seen));
                }
            }
            b"function_call" => count_call(value, seen),
            b"audio" | b"images" if !value.is_empty() => seen.media = seen.media.max(1),
            _ => {}
        }
    }
    seen.thought(thought);
}

fn count_call(said: Json<'_>, seen: &mut Seen) {
    for key in ["name", "arguments", "input"] {
        seen.piece(said.get(key).map_or(0, |text| text.text_bytes()));
    }
}

/// The text, or the piece of arguments, in the delta of a chunk of one choice
/// that says nothing of usage, an end or a fault.
pub(super) fn only_text(root: Json<'_>) -> Option<Json<'_>> {
    let mut choices = root.field("choices")?.items();
    let choice = choices.next().filter(|_| choices.next().is_none())?;
    let says_more = root.field("usage").is_some()
        || root.field("error").is_some()
        || choice.field("finish_reason").is_some();
    if says_more {
        return None;
    }
    let delta = choice.field("delta")?;
    let call = || {
        let call = delta.field("tool_calls")?.items().next()?;
        let arguments = call.field("function")?.field("arguments");
        arguments.filter(|value| is_text(*value))
    };
    let text = delta
        .members()
        .find(|member| is_text(member.value) && !member.is("role"));
    let text = text.map(|member| member.value).or_else(call);
    // One that says nothing is no example of one that does.
    text.filter(|text| text.span().len() > 2)
}

/// Whether a delta holds more than a role: text, reasoning, a tool call.
fn holds_content(delta: Json<'_>) -> bool {
    delta.members().any(|member| {
        let value = member.value;
        let full = match value.kind() {
            Kind::String | Kind::EscapedString => value.span().len() > 2,
            Kind::Array | Kind::Object => !value.is_empty(),
            Kind::Null | Kind::True | Kind::False | Kind::Number => false,
        };
        full && !member.is("role")
    })
}
