//! Whole answers, both ways: messages and token counts.

use contract::answer::{ChatAnswer, Choice, CountAnswer, FinishReason};
use contract::chat::{Citation, Part, PartKind};
use contract::{Answer, Fault, Loss, Operation, Usage};

use super::content_read::BlockReader;
use super::finish::{self, Held};
use super::{ID, citation, fault, usage};
use crate::dialect::{Asked, Tally, Written};
use crate::json::{self, Json, blame_provider};
use crate::loss::Losses;
use crate::stand_in::{self, FORMAT_TOOL};
use crate::{carry, tool_id};

/// See [`crate::Dialect::read_answer`].
pub(super) fn read(operation: Operation, body: Json<'_>) -> Result<Answer, Fault> {
    if is_error(body) {
        return Err(fault::in_band(body));
    }
    match operation {
        Operation::CountTokens => read_count(body).map(Answer::Count),
        Operation::Chat | Operation::Embed | Operation::ListModels | Operation::GetModel => {
            read_message(body).map(Answer::Chat)
        }
    }
    .map_err(blame_provider)
}

fn is_error(body: Json<'_>) -> bool {
    body.field("type")
        .and_then(|word| word.str())
        .is_some_and(|word| word == "error")
}

fn read_count(body: Json<'_>) -> Result<CountAnswer, Fault> {
    Ok(CountAnswer {
        input_tokens: body.as_object()?.need("input_tokens")?.as_u64()?,
        ..CountAnswer::default()
    })
}

fn read_message(body: Json<'_>) -> Result<ChatAnswer, Fault> {
    let mut blocks = BlockReader::default();
    let mut parts = Vec::new();
    let mut unwrapped = false;
    for block in body.as_object()?.need("content")?.as_array()?.items() {
        let part = blocks.block(block)?;
        let (part, is_format) = unwrap_format(part);
        unwrapped |= is_format;
        parts.push(part);
    }
    let stop_sequence = body.opt_string("stop_sequence")?;
    let mut finish = body
        .opt_str("stop_reason")?
        .map(|word| finish::read(&word, stop_sequence));
    let calls = parts
        .iter()
        .any(|part| matches!(part.kind, PartKind::ToolCall(_)));
    if let Some(finish) = &mut finish
        && unwrapped
        && !calls
        && finish.reason == FinishReason::ToolCalls
    {
        finish.reason = FinishReason::Stop;
    }
    let told = body.field("usage");
    let usage = told.map(|told| usage::read(told, &Usage::default()));
    blocks.keep(
        body,
        &[
            "id",
            "type",
            "role",
            "model",
            "content",
            "stop_reason",
            "stop_sequence",
            "usage",
        ],
    );
    Ok(ChatAnswer {
        id: body.opt_string("id")?,
        model: body.opt_string("model")?,
        created_s: None,
        choices: vec![Choice {
            parts,
            finish,
            logprobs: Vec::new(),
        }],
        usage,
        service_tier: told.and_then(usage::tier),
        extras: blocks.extras,
    })
}

/// A call of the output-format tool is the answer itself.
fn unwrap_format(part: Part) -> (Part, bool) {
    match part.kind {
        PartKind::ToolCall(call) if call.name == FORMAT_TOOL => (Part::text(call.arguments), true),
        PartKind::Text { .. }
        | PartKind::Image { .. }
        | PartKind::Audio { .. }
        | PartKind::File { .. }
        | PartKind::Thinking { .. }
        | PartKind::RedactedThinking
        | PartKind::ToolCall(_)
        | PartKind::ToolResult(_)
        | PartKind::Refusal { .. }
        | PartKind::Opaque { .. } => (part, false),
    }
}

/// See [`crate::Dialect::tally_answer`].
pub(super) fn tally(operation: Operation, body: Json<'_>, tally: &mut Tally) -> Result<(), Fault> {
    if is_error(body) {
        return Err(fault::in_band(body));
    }
    if operation == Operation::CountTokens {
        return read_count(body).map(|_| ()).map_err(blame_provider);
    }
    tally_message(body, tally).map_err(blame_provider)
}

fn tally_message(body: Json<'_>, tally: &mut Tally) -> Result<(), Fault> {
    let mut content = false;
    for member in body.as_object()?.members() {
        let value = member.value;
        if value.is_null() {
            continue;
        }
        if member.is("content") {
            value.as_array()?;
            content = true;
        } else if member.is("usage") {
            tally.usage = Some(usage::read(value, &Usage::default()));
            usage::tier(value)
                .iter()
                .for_each(|word| tally.take_tier(word));
        } else if member.is("stop_reason") {
            tally.finish = Some(finish::read(&value.as_str()?, None).reason);
        } else if member.is("id") {
            tally.id = Some(value.as_str()?.into_owned());
        } else if member.is("model") {
            tally.model = Some(value.as_str()?.into_owned());
        }
    }
    if !content {
        body.need("content")?;
    }
    tally.committed = true;
    tally.ended = true;
    Ok(())
}

/// See [`crate::Dialect::write_answer`].
pub(super) fn write(answer: &Answer, asked: &Asked<'_>) -> Written {
    match answer {
        Answer::Chat(chat) => write_message(chat, asked),
        Answer::Count(count) => Written {
            body: json::object(|out| out.int("input_tokens", count.input_tokens)).into(),
            losses: Vec::new(),
        },
        Answer::Embed(_) => Written {
            body: "{}".into(),
            losses: vec![Loss::new("embeddings", "the Messages API has none")],
        },
    }
}

fn write_message(answer: &ChatAnswer, asked: &Asked<'_>) -> Written {
    let mut losses = Losses::default();
    let empty = Choice::default();
    let choice = answer.choices.first().unwrap_or(&empty);
    let mut held = Held::default();
    let mut blocks = Vec::with_capacity(choice.parts.len());
    for part in &choice.parts {
        held.tool_call |= matches!(part.kind, PartKind::ToolCall(_));
        held.refusal |= matches!(part.kind, PartKind::Refusal { .. });
        blocks.extend(block(part, &mut losses));
    }
    declare_rest(answer, choice, &mut losses);
    let usage = answer.usage.unwrap_or_default();
    let finish = choice.finish.as_ref();
    let body = json::object(|out| {
        out.str("id", &message_id(answer.id.as_deref(), asked));
        out.str("type", "message");
        out.str("role", "assistant");
        out.str("model", asked.model);
        out.array("content", |array| {
            blocks.iter().for_each(|block| array.raw(block));
        });
        out.str_or_null(
            "stop_reason",
            finish.map(|finish| finish::word(finish.reason, held)),
        );
        out.str_or_null(
            "stop_sequence",
            finish.and_then(|finish| finish.stop_sequence.as_deref()),
        );
        out.object("usage", |out| {
            usage::write(&usage, out);
            out.opt_str("service_tier", tier(answer.service_tier.as_deref()));
        });
    });
    Written {
        body: body.into(),
        losses: losses.into_vec(),
    }
}

fn declare_rest(answer: &ChatAnswer, choice: &Choice, losses: &mut Losses) {
    if answer.choices.len() > 1 {
        losses.declare("choices", "a message is one answer; the first was taken");
    }
    if !choice.logprobs.is_empty() {
        losses.declare("logprobs", "messages have none");
    }
    let reason = choice.finish.as_ref().map(|finish| finish.reason);
    if reason == Some(FinishReason::Error) {
        losses.declare(
            "finish_reason",
            "no stop reason says that the provider broke off",
        );
    }
    for (name, _) in &answer.extras.fields {
        losses.declare(name.clone(), "only the provider's own dialect knows it");
    }
}

/// The vendor's own id, or a fresh one in its manner.
pub(super) fn message_id(id: Option<&str>, asked: &Asked<'_>) -> String {
    match id {
        Some(id) if id.starts_with("msg_") => id.to_owned(),
        Some(_) | None => asked.id("msg_"),
    }
}

/// Tiers that a message may name.
pub(super) fn tier(tier: Option<&str>) -> Option<&str> {
    tier.filter(|word| matches!(*word, "standard" | "priority" | "batch"))
}

/// A block for a client; `None` if the part has no form here (declared).
pub(super) fn block(part: &Part, losses: &mut Losses) -> Option<String> {
    let signature = part.signature.as_ref();
    let shown = signature.map(|signature| carry::show_signature(signature, ID));
    Some(match &part.kind {
        PartKind::Text { text, citations } => cited_text(part, text, citations, losses),
        PartKind::Refusal { text } => plain_text(text),
        PartKind::Audio {
            transcript: Some(text),
            ..
        } => {
            losses.declare("audio", "the sound was replaced by its transcript");
            plain_text(text)
        }
        PartKind::Thinking { text } => json::object(|out| {
            out.str("type", "thinking");
            out.str("thinking", text);
            out.str("signature", shown.as_deref().unwrap_or(""));
        }),
        PartKind::RedactedThinking => json::object(|out| {
            out.str("type", "redacted_thinking");
            out.str("data", shown.as_deref().unwrap_or(""));
        }),
        PartKind::ToolCall(call) => json::object(|out| {
            out.str("type", "tool_use");
            out.str("id", &tool_id::show(&call.id, signature));
            out.str("name", &call.name);
            out.raw("input", &stand_in::input(&call.arguments));
        }),
        PartKind::Opaque { dialect, json, .. } if *dialect == ID => json.as_str().to_owned(),
        PartKind::Opaque { what, .. } => {
            losses.declare(what.clone(), "only its own vendor's clients understand it");
            return None;
        }
        PartKind::Image { .. } => {
            losses.declare("image", "messages have no image output");
            return None;
        }
        PartKind::Audio { .. } => {
            losses.declare("audio", "messages have no sound output");
            return None;
        }
        PartKind::File { .. } | PartKind::ToolResult(_) => {
            losses.declare("file", "messages have no such output");
            return None;
        }
    })
}

fn plain_text(text: &str) -> String {
    json::object(|out| {
        out.str("type", "text");
        out.str("text", text);
    })
}

fn cited_text(part: &Part, text: &str, citations: &[Citation], losses: &mut Losses) -> String {
    if part.signature.is_some() {
        losses.declare("signature", "text has no place for a token");
    }
    if citations.is_empty() {
        return plain_text(text);
    }
    let cited: Vec<_> = citations.iter().filter_map(citation::write).collect();
    if cited.len() != citations.len() {
        losses.declare("citations", "the source has no form here");
    }
    json::object(|out| {
        out.str("type", "text");
        out.str("text", text);
        out.array("citations", |array| {
            cited.iter().for_each(|raw| array.raw(raw.as_str()));
        });
    })
}
