//! The hot path of same-dialect answers: what the evidence needs of a whole
//! answer or of a stream that passes verbatim, without reading it all.

use contract::answer::FinishReason;
use contract::{Fault, Operation, Usage};

use super::{END_MARKER, finish, usage};
use crate::dialect::{Keep, StreamWatcher, Tally};
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
            b"usage" => merge(tally, value),
            b"choices" | b"data" => content = Some(value),
            _ => {}
        }
    }
    let content = content.filter(|content| content.kind() == Kind::Array && !content.is_empty());
    let Some(content) = content else {
        return Err(fault::find_in_band(body).unwrap_or_else(|| not_an_answer(body)));
    };
    if operation == Operation::Chat
        && let Some(word) = content
            .items()
            .next()
            .and_then(|choice| choice.field("finish_reason")?.str())
    {
        tally.finish = Some(finish::reason(&word));
    }
    tally.committed = true;
    tally.ended = true;
    Ok(())
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
    hide_usage: bool,
}

impl Watcher {
    /// A watcher for a new stream.
    pub(super) fn new(hide_usage: bool) -> Self {
        Self {
            tape: Tape::default(),
            before: Familiar::default(),
            hide_usage,
        }
    }
}

impl StreamWatcher for Watcher {
    fn see(&mut self, frame: Frame<'_>, tally: &mut Tally) -> Result<Keep, Fault> {
        let data = frame.data.trim_ascii();
        if data == END_MARKER {
            tally.ended = true;
            return Ok(Keep::Pass);
        }
        if self.before.is(data) {
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
        let keep = read_chunk(root, tally, self.hide_usage);
        match only_text(root).filter(|_| tally.committed && tally.fault.is_none()) {
            Some(text) => self.before.learn(data, text.span()),
            None => self.before.forget(),
        }
        Ok(keep)
    }

    fn close(&mut self, tally: &mut Tally) -> Result<(), Fault> {
        if tally.ended || tally.fault.is_some() {
            Ok(())
        } else {
            Err(fold::unfinished())
        }
    }
}

fn read_chunk(root: Json<'_>, tally: &mut Tally, hide_usage: bool) -> Keep {
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
        return Keep::Pass;
    };
    for choice in choices.items() {
        read_choice(choice, tally);
    }
    if hide_usage && has_usage && choices.is_empty() {
        Keep::Hide
    } else {
        Keep::Pass
    }
}

fn read_choice(choice: Json<'_>, tally: &mut Tally) {
    for member in choice.members() {
        let value = member.value;
        match &*member.name_bytes() {
            b"delta" if !tally.committed => tally.committed = holds_content(value),
            b"finish_reason" if tally.finish.is_none() => {
                tally.finish = value
                    .str()
                    .map(|word| -> FinishReason { finish::reason(&word) });
            }
            _ => {}
        }
    }
}

/// The text, or the piece of arguments, in the delta of a chunk of one choice
/// that says nothing of usage, an end or a fault.
fn only_text(root: Json<'_>) -> Option<Json<'_>> {
    let mut choices = root.field("choices")?.items();
    let choice = choices.next().filter(|_| choices.next().is_none())?;
    let says_more = root.field("usage").is_some()
        || root.field("error").is_some()
        || choice.field("finish_reason").is_some();
    if says_more {
        return None;
    }
    let delta = choice.field("delta")?;
    let is_text = |value: &Json<'_>| matches!(value.kind(), Kind::String | Kind::EscapedString);
    let call = || {
        let call = delta.field("tool_calls")?.items().next()?;
        call.field("function")?.field("arguments").filter(is_text)
    };
    let text = delta
        .members()
        .find(|member| is_text(&member.value) && !member.is("role"));
    text.map(|member| member.value).or_else(call)
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
