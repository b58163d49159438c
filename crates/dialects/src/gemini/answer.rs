//! Whole answers, both ways: chats, token counts and embeddings.

use contract::answer::{ChatAnswer, Choice, CountAnswer, Finish, FinishReason};
use contract::chat::{Part, PartKind};
use contract::text::Extras;
use contract::{Answer, Event, Fault, Operation};

use super::stream_read::{BASIS, State};
use super::watch::{Progress, note};
use super::{citation, embed, fault, finish, logprobs, names, usage, write_parts};
use crate::dialect::{Asked, Tally, Written};
use crate::fold;
use crate::json::{self, Json, Kind, ObjectWriter, blame_provider};
use crate::loss::Losses;
use crate::nested::Nested;

/// See [`crate::Dialect::read_answer`].
pub(super) fn read(operation: Operation, body: Json<'_>) -> Result<Answer, Fault> {
    if let Some(detail) = fault::detail(body) {
        return Err(fault::in_band(detail));
    }
    match operation {
        Operation::CountTokens => read_count(body).map(Answer::Count),
        Operation::Embed => embed::read_answer(body).map(Answer::Embed),
        Operation::Chat | Operation::ListModels | Operation::GetModel => {
            read_chat(body).map(Answer::Chat)
        }
    }
    .map_err(blame_provider)
}

fn read_count(body: Json<'_>) -> Result<CountAnswer, Fault> {
    let cached = body.as_object()?.field("cachedContentTokenCount");
    Ok(CountAnswer {
        // Protobuf JSON may leave out a count of zero, but not all of it.
        input_tokens: body.need("totalTokens")?.as_u64()?,
        cached_tokens: cached.map_or(Ok(0), |count| count.as_u64())?,
        estimated: false,
    })
}

fn read_chat(body: Json<'_>) -> Result<ChatAnswer, Fault> {
    let mut state = State::default();
    let mut events: Vec<Event> = Vec::new();
    state.piece(body, &mut events)?;
    if state.is_empty() {
        body.need("candidates")?;
        return Err(body.fault("the answer holds no candidate"));
    }
    state.finish(&mut events);
    let mut answer = fold::fold(events)?;
    answer.extras = extras(body);
    Ok(answer)
}

/// What the canonical form has no place for.
fn extras(body: Json<'_>) -> Extras {
    let mut extras = Extras::default();
    let known = ["candidates", "usageMetadata", "modelVersion", "responseId"];
    names::keep(body, "", &known, &mut extras);
    let candidates = body.field("candidates");
    for (place, candidate) in candidates.iter().flat_map(Json::items).enumerate() {
        let index = candidate.field("index").and_then(|index| index.u64());
        let at = format!("candidates[{}]", index.unwrap_or(place as u64));
        let known = [
            "content",
            "finishReason",
            "index",
            "citationMetadata",
            "logprobsResult",
            BASIS[0],
            BASIS[1],
            BASIS[2],
            BASIS[3],
            // Told by the log probabilities and by the usage.
            "avgLogprobs",
            "tokenCount",
        ];
        names::keep(candidate, &at, &known, &mut extras);
    }
    extras
}

/// See [`crate::Dialect::tally_answer`].
pub(super) fn tally(operation: Operation, body: Json<'_>, tally: &mut Tally) -> Result<(), Fault> {
    if let Some(detail) = fault::detail(body) {
        return Err(fault::in_band(detail));
    }
    match operation {
        Operation::CountTokens => read_count(body).map(|_| ()),
        Operation::Embed => tally_embed(body, tally),
        Operation::Chat | Operation::ListModels | Operation::GetModel => tally_chat(body, tally),
    }
    .map_err(blame_provider)
}

fn tally_chat(body: Json<'_>, tally: &mut Tally) -> Result<(), Fault> {
    let mut progress = Progress::default();
    note(body, &mut progress, tally)?;
    if progress.is_empty() {
        body.need("candidates")?;
        return Err(body.fault("the answer holds no candidate"));
    }
    tally.committed = true;
    tally.ended = true;
    Ok(())
}

fn tally_embed(body: Json<'_>, tally: &mut Tally) -> Result<(), Fault> {
    match body.as_object()?.field("embedding") {
        Some(one) => one.as_object()?,
        None => body.need("embeddings")?.as_array()?,
    };
    tally.usage = body.field("usageMetadata").map(usage::read_embed);
    tally.committed = true;
    tally.ended = true;
    Ok(())
}

/// See [`crate::Dialect::write_answer`].
pub(super) fn write(answer: &Answer, asked: &Asked<'_>) -> Written {
    match answer {
        Answer::Chat(chat) => write_chat(chat, asked),
        Answer::Count(count) => Written {
            body: json::object(|out| {
                out.int("totalTokens", count.input_tokens);
                let cached = (count.cached_tokens > 0).then_some(count.cached_tokens);
                out.opt_int("cachedContentTokenCount", cached);
            })
            .into(),
            losses: Vec::new(),
        },
        Answer::Embed(answer) => embed::write_answer(answer, asked),
    }
}

fn write_chat(answer: &ChatAnswer, asked: &Asked<'_>) -> Written {
    let mut losses = Losses::default();
    let nested = Nested::of(&answer.extras);
    let candidates: Vec<String> = answer
        .choices
        .iter()
        .enumerate()
        .map(|(index, choice)| candidate(index, choice, &nested, &mut losses))
        .collect();
    if let Some(told) = &answer.usage {
        usage::declare(told, &mut losses);
    }
    if answer.service_tier.is_some() {
        losses.declare("service_tier", "answers do not tell it here");
    }
    let body = json::object(|out| {
        out.array("candidates", |array| {
            candidates.iter().for_each(|one| array.raw(one));
        });
        if let Some(told) = answer.usage.as_ref().filter(|told| told.is_told()) {
            out.object("usageMetadata", |out| usage::write(told, out));
        }
        out.str("modelVersion", asked.model);
        out.str(
            "responseId",
            answer.id.as_deref().unwrap_or(asked.request_id),
        );
        for (name, value) in &answer.extras.fields {
            if OWN_EXTRAS.contains(&name.as_str()) {
                out.raw(name, value.as_str());
            }
        }
    });
    for name in nested.left() {
        if !OWN_EXTRAS.contains(&name) {
            losses.declare(name.to_owned(), "only the provider's own dialect knows it");
        }
    }
    Written {
        body: body.into(),
        losses: losses.into_vec(),
    }
}

/// Top-level members of this vendor's answers that ride along.
const OWN_EXTRAS: [&str; 3] = ["promptFeedback", "createTime", "modelStatus"];

fn candidate(index: usize, choice: &Choice, nested: &Nested<'_>, losses: &mut Losses) -> String {
    let mut ending = Ending::default();
    let parts: Vec<String> = choice
        .parts
        .iter()
        .filter_map(|part| ending.part(part, losses))
        .collect();
    if let Some(finish) = &choice.finish {
        Ending::declare(finish, losses);
    }
    json::object(|out| {
        out.object("content", |out| {
            out.array("parts", |array| {
                parts.iter().for_each(|part| array.raw(part));
            });
            out.str("role", "model");
        });
        if let Some(finish) = &choice.finish {
            out.str("finishReason", finish::word(finish, ending.refused));
        }
        out.int("index", index);
        ending.write(out);
        logprobs::write(&choice.logprobs, out);
        nested.put(&format!("candidates[{index}]"), out);
    })
}

/// What stands on a candidate beside its content.
#[derive(Debug, Default)]
pub(super) struct Ending {
    pub(super) refused: bool,
    sources: Vec<String>,
    basis: Vec<(String, String)>,
}

impl Ending {
    /// A part for a client; `None` if it does not stand among the parts.
    pub(super) fn part(&mut self, part: &Part, losses: &mut Losses) -> Option<String> {
        match &part.kind {
            PartKind::Refusal { .. } => self.refused = true,
            PartKind::Text { citations, .. } => {
                for cited in citations {
                    self.cite(cited, losses);
                }
            }
            PartKind::Opaque {
                dialect,
                what,
                json,
            } if *dialect == super::ID && BASIS.contains(&what.as_str()) => {
                self.basis.retain(|(name, _)| name != what);
                self.basis.push((what.clone(), json.as_str().to_owned()));
                return None;
            }
            PartKind::Image { .. }
            | PartKind::Audio { .. }
            | PartKind::File { .. }
            | PartKind::Thinking { .. }
            | PartKind::RedactedThinking
            | PartKind::ToolCall(_)
            | PartKind::ToolResult(_)
            | PartKind::Opaque { .. } => {}
        }
        write_parts::shown(part, losses)
    }

    /// Notes a source of the text.
    pub(super) fn cite(&mut self, cited: &contract::chat::Citation, losses: &mut Losses) {
        match citation::write(cited) {
            Some(raw) => self.sources.push(raw.as_str().to_owned()),
            None => losses.declare("citations", "the source has no form here"),
        }
        if cited
            .raw
            .as_ref()
            .is_none_or(|(dialect, _)| *dialect != super::ID)
            && (cited.span.is_some() || cited.cited_text.is_some())
        {
            losses.declare(
                "citations.location",
                "places in the text are counted in another way here",
            );
        }
    }

    /// Declares what the finish reason of a client cannot tell.
    pub(super) fn declare(finish: &Finish, losses: &mut Losses) {
        if finish.stop_sequence.is_some() {
            losses.declare(
                "stop_sequence",
                "answers do not tell which one was hit here",
            );
        }
        if finish.reason == FinishReason::Pause {
            losses.declare("finish_reason", "a paused turn cannot be continued here");
        }
    }

    /// Writes the members.
    pub(super) fn write(&self, out: &mut ObjectWriter<'_>) {
        if !self.sources.is_empty() {
            out.object("citationMetadata", |out| {
                out.array("citationSources", |array| {
                    self.sources.iter().for_each(|source| array.raw(source));
                });
            });
        }
        for (name, json) in &self.basis {
            out.raw(name, json);
        }
    }
}

/// Whether a candidate's part says something.
pub(super) fn says(part: Json<'_>) -> bool {
    part.members().any(|member| match member.value.kind() {
        Kind::String | Kind::EscapedString => member.value.raw().len() > 2,
        Kind::Object => true,
        Kind::Null | Kind::True | Kind::False | Kind::Number | Kind::Array => false,
    })
}
