//! Whole answers, both ways: Converse answers and token counts.

use contract::answer::{ChatAnswer, Choice, CountAnswer, FinishReason};
use contract::chat::{Citation, Media, Part, PartKind};
use contract::{Answer, Fault, Loss, Operation};

use super::content_read::BlockReader;
use super::content_write::text_block;
use super::media::Medium;
use super::{ID, citation, fault, finish, usage};
use crate::dialect::{Asked, Tally, Written};
use crate::json::{self, Json, ObjectWriter, blame_provider};
use crate::loss::Losses;
use crate::stand_in::{self, FORMAT_TOOL};
use crate::{carry, tool_id};

/// See [`crate::Dialect::read_answer`].
pub(super) fn read(operation: Operation, body: Json<'_>) -> Result<Answer, Fault> {
    if is_error(body) {
        return Err(fault::instead(body));
    }
    match operation {
        Operation::CountTokens => read_count(body).map(Answer::Count),
        Operation::Chat | Operation::Embed | Operation::ListModels | Operation::GetModel => {
            read_converse(body).map(Answer::Chat)
        }
    }
    .map_err(blame_provider)
}

/// An error object has a message and nothing of an answer.
fn is_error(body: Json<'_>) -> bool {
    (body.get("message").is_some() || body.get("__type").is_some()) && body.get("output").is_none()
}

fn read_count(body: Json<'_>) -> Result<CountAnswer, Fault> {
    Ok(CountAnswer {
        input_tokens: body.as_object()?.need("inputTokens")?.as_u64()?,
        ..CountAnswer::default()
    })
}

fn read_converse(body: Json<'_>) -> Result<ChatAnswer, Fault> {
    let mut blocks = BlockReader::default();
    let output = body.as_object()?.need("output")?.as_object()?;
    let message = output.need("message")?.as_object()?;
    let mut unwrapped = false;
    let mut parts = Vec::new();
    for part in blocks.content(message.need("content")?)? {
        if let PartKind::ToolCall(call) = &part.kind
            && call.name == FORMAT_TOOL
        {
            unwrapped = true;
            parts.push(Part::text(call.arguments.as_str()));
        } else {
            parts.push(part);
        }
    }
    let calls = parts
        .iter()
        .any(|part| matches!(part.kind, PartKind::ToolCall(_)));
    let mut finish = body.opt_str("stopReason")?.map(|word| finish::read(&word));
    if let Some(finish) = &mut finish
        && unwrapped
        && !calls
        && finish.reason == FinishReason::ToolCalls
    {
        finish.reason = FinishReason::Stop;
    }
    blocks.keep(message, &["role", "content"]);
    blocks.keep(
        body,
        // How long the vendor took is no part of the answer.
        &["output", "stopReason", "usage", "metrics", "serviceTier"],
    );
    let usage = body.field("usage");
    Ok(ChatAnswer {
        id: None,
        model: None,
        created_s: None,
        choices: vec![Choice {
            parts,
            finish,
            logprobs: Vec::new(),
        }],
        usage: usage.map(usage::read),
        service_tier: usage::tier(body),
        extras: blocks.extras,
    })
}

/// See [`crate::Dialect::tally_answer`].
pub(super) fn tally(operation: Operation, body: Json<'_>, tally: &mut Tally) -> Result<(), Fault> {
    if is_error(body) {
        return Err(fault::instead(body));
    }
    if operation == Operation::CountTokens {
        return read_count(body).map(|_| ()).map_err(blame_provider);
    }
    tally_converse(body, tally).map_err(blame_provider)
}

fn tally_converse(body: Json<'_>, tally: &mut Tally) -> Result<(), Fault> {
    let mut output = false;
    for member in body.as_object()?.members() {
        let value = member.value;
        if value.is_null() {
            continue;
        }
        if member.is("output") {
            value.as_object()?;
            output = true;
        } else if member.is("usage") {
            tally.usage = Some(usage::read(value));
        } else if member.is("stopReason") {
            tally.finish = Some(finish::read(&value.as_str()?).reason);
        }
    }
    if let Some(word) = usage::tier(body) {
        tally.take_tier(&word);
    }
    if !output {
        body.need("output")?;
    }
    tally.committed = true;
    tally.ended = true;
    Ok(())
}

/// See [`crate::Dialect::write_answer`].
pub(super) fn write(answer: &Answer, _asked: &Asked<'_>) -> Written {
    match answer {
        Answer::Chat(chat) => write_converse(chat),
        Answer::Count(count) => Written {
            body: json::object(|out| out.int("inputTokens", count.input_tokens)).into(),
            losses: Vec::new(),
        },
        Answer::Embed(_) => Written {
            body: "{}".into(),
            losses: vec![Loss::new("embeddings", "the Converse API has none")],
        },
    }
}

fn write_converse(answer: &ChatAnswer) -> Written {
    let mut losses = Losses::default();
    let empty = Choice::default();
    let choice = answer.choices.first().unwrap_or(&empty);
    let mut calls = false;
    let mut blocks = Vec::with_capacity(choice.parts.len());
    for part in &choice.parts {
        calls |= matches!(part.kind, PartKind::ToolCall(_));
        blocks.extend(block(part, &mut losses));
    }
    if answer.choices.len() > 1 {
        losses.declare("choices", "there is one answer here; the first was taken");
    }
    if !choice.logprobs.is_empty() {
        losses.declare("logprobs", "there are none here");
    }
    for (name, _) in &answer.extras.fields {
        losses.declare(name.clone(), "only the provider's own dialect knows it");
    }
    let stop_sequence = choice
        .finish
        .as_ref()
        .and_then(|finish| finish.stop_sequence.as_deref());
    if stop_sequence.is_some() {
        losses.declare("stop_sequence", "the answer does not name it");
    }
    let body = json::object(|out| {
        out.object("output", |out| {
            out.object("message", |out| {
                out.str("role", "assistant");
                out.array("content", |array| {
                    blocks.iter().for_each(|block| array.raw(block));
                });
            });
        });
        let word = choice
            .finish
            .as_ref()
            .map_or("end_turn", |finish| finish::word(finish, calls));
        out.str("stopReason", word);
        let usage = answer.usage.unwrap_or_default();
        out.object("usage", |out| usage::write(&usage, out));
        put_metrics(out);
        if let Some(tier) = tier(answer.service_tier.as_deref()) {
            out.object("serviceTier", |out| out.str("type", tier));
        }
    });
    Written {
        body: body.into(),
        losses: losses.into_vec(),
    }
}

/// The required latency. Writers have no clock; the exchange's record has the
/// true figure.
pub(super) fn put_metrics(out: &mut ObjectWriter<'_>) {
    out.object("metrics", |out| out.int("latencyMs", 0));
}

/// Tiers that an answer may name.
pub(super) fn tier(tier: Option<&str>) -> Option<&str> {
    tier.filter(|word| matches!(*word, "priority" | "default" | "flex" | "reserved"))
}

/// A block for a client; `None` if the part has no form here (declared).
pub(super) fn block(part: &Part, losses: &mut Losses) -> Option<String> {
    let signature = part.signature.as_ref();
    let shown = signature.map(|signature| carry::show_signature(signature, ID));
    Some(match &part.kind {
        PartKind::Text { text, citations } => cited_text(part, text, citations, losses),
        PartKind::Refusal { text } => text_block(text, &[]),
        PartKind::Audio {
            transcript: Some(text),
            ..
        } => {
            losses.declare("audio", "the sound was replaced by its transcript");
            text_block(text, &[])
        }
        PartKind::Thinking { text } => json::object(|out| {
            out.object("reasoningContent", |out| {
                out.object("reasoningText", |out| {
                    out.str("text", text);
                    out.opt_str("signature", shown.as_deref());
                });
            });
        }),
        PartKind::RedactedThinking => json::object(|out| {
            out.object("reasoningContent", |out| {
                out.str("redactedContent", &shown_blob(part));
            });
        }),
        PartKind::ToolCall(call) => json::object(|out| {
            out.object("toolUse", |out| {
                out.str("toolUseId", &tool_id::show(&call.id, signature));
                out.str("name", &call.name);
                out.raw("input", &stand_in::input(&call.arguments));
            });
        }),
        PartKind::Image {
            source: Media::Base64 { mime, data },
            ..
        } => match Medium::Image.word(mime) {
            Some(word) => json::object(|out| {
                out.object("image", |out| {
                    out.str("format", word);
                    out.object("source", |out| out.str("bytes", data));
                });
            }),
            None => {
                losses.declare("image", "its type has no word here");
                return None;
            }
        },
        PartKind::Opaque { dialect, json, .. } if *dialect == ID => json.as_str().to_owned(),
        PartKind::Opaque { what, .. } => {
            losses.declare(what.clone(), "only its own vendor's clients understand it");
            return None;
        }
        PartKind::Image { .. } | PartKind::Audio { .. } => {
            losses.declare("media", "such output has no form here");
            return None;
        }
        PartKind::File { .. } | PartKind::ToolResult(_) => {
            losses.declare("file", "such output has no form here");
            return None;
        }
    })
}

fn cited_text(part: &Part, text: &str, citations: &[Citation], losses: &mut Losses) -> String {
    if part.signature.is_some() {
        losses.declare("signature", "text has no place for a token");
    }
    let cited: Vec<_> = citations.iter().filter_map(citation::write).collect();
    if cited.len() != citations.len() {
        losses.declare("citations", "the source has no form here");
    }
    text_block(text, &cited)
}

/// Redacted reasoning as the base64 that this place must hold. The vendor's
/// own data is base64 already; another vendor's, with its mark, is wrapped
/// once more and unwrapped when it comes back.
pub(super) fn shown_blob(part: &Part) -> String {
    use base64::Engine as _;
    match &part.signature {
        None => String::new(),
        Some(signature) if signature.dialect == ID => signature.value.clone(),
        Some(signature) => {
            base64::engine::general_purpose::STANDARD.encode(carry::show_signature(signature, ID))
        }
    }
}
