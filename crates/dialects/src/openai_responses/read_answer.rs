//! Reading a provider's whole answer.

use contract::answer::{ChatAnswer, Choice, Finish, FinishReason};
use contract::chat::{Part, PartKind, ToolCall};
use contract::fault::UpstreamError;
use contract::text::Extras;
use contract::{Answer, CountAnswer, Fault, Operation};

use super::{ID, proof, read_items, usage};
use crate::json::{Json, blame_provider};
use crate::openai::{fault, logprobs};

/// Reads an answer.
pub(super) fn read(operation: Operation, body: Json<'_>) -> Result<Answer, Fault> {
    if operation == Operation::CountTokens {
        let tokens = body.field("input_tokens").and_then(|tokens| tokens.u64());
        let Some(input_tokens) = tokens else {
            return Err(not_an_answer(body));
        };
        return Ok(Answer::Count(CountAnswer {
            input_tokens,
            cached_tokens: 0,
            estimated: false,
        }));
    }
    check_status(body)?;
    read_chat(body).map(Answer::Chat).map_err(blame_provider)
}

/// The fault of a 200 that is not a finished response.
pub(super) fn check_status(body: Json<'_>) -> Result<(), Fault> {
    if let Some(error) = fault::find_in_band(body) {
        return Err(error);
    }
    if body.field("output").is_none() {
        return Err(not_an_answer(body));
    }
    match body
        .field("status")
        .and_then(|status| status.str())
        .as_deref()
    {
        None | Some("completed" | "incomplete") => Ok(()),
        Some("failed") => Err(unexplained()),
        Some(other) => Err(Fault::upstream_broken(
            "The provider answered before the response was complete. Try again.",
        )
        .because(format!("the status is {other:?}"))),
    }
}

/// The fault of a response that failed without an error.
pub(super) fn unexplained() -> Fault {
    fault::in_band(UpstreamError {
        status: 200,
        code: None,
        message: "the response failed without an error".to_owned(),
        param: None,
    })
}

/// The fault of a 200 that is neither an answer nor an error.
pub(super) fn not_an_answer(body: Json<'_>) -> Fault {
    fault::find_in_band(body).unwrap_or_else(|| {
        let keys = body.members().take(8).map(|member| member.name());
        let keys: Vec<String> = keys.map(|key| key.chars().take(40).collect()).collect();
        Fault::upstream_broken(
            "The provider answered with status 200 but without an answer. Try again; if it \
             persists, look at the provider's status.",
        )
        .because(format!("no output; the keys are {keys:?}"))
    })
}

/// Reads a finished response object.
pub(super) fn read_chat(body: Json<'_>) -> Result<ChatAnswer, Fault> {
    let mut choice = Choice::default();
    for item in body.need("output")?.as_array()?.items() {
        read_item(item, &mut choice)?;
    }
    choice.finish = Some(read_finish(body, &choice.parts));
    Ok(ChatAnswer {
        id: body.opt_string("id")?,
        model: body.opt_string("model")?,
        created_s: body.field("created_at").and_then(read_time),
        choices: vec![choice],
        usage: usage::of_response(body),
        service_tier: body.opt_string("service_tier")?,
        // The rest repeats the request or tells of its own bookkeeping.
        extras: Extras::default(),
    })
}

/// Unix seconds, which may come with a fraction.
pub(super) fn read_time(time: Json<'_>) -> Option<u64> {
    time.u64().or_else(|| {
        time.f64()
            .filter(|time| *time >= 0.0)
            .map(|time| time as u64)
    })
}

fn read_item(item: Json<'_>, choice: &mut Choice) -> Result<(), Fault> {
    let kind = item.need_str("type")?;
    match &*kind {
        "message" => {
            let id = item.opt_string("id")?;
            for part in item.need("content")?.as_array()?.items() {
                if let Some(tokens) = part.opt_array("logprobs")? {
                    choice.logprobs.extend(logprobs::read(tokens)?);
                }
                let read = read_items::read_part(part, "output", &mut Extras::default())?;
                choice.parts.push(Part {
                    id: id.clone(),
                    ..read
                });
            }
        }
        "reasoning" => choice.parts.push(proof::read_item(item)?),
        "function_call" => choice.parts.push(read_call(item, false)?),
        "custom_tool_call" => choice.parts.push(read_call(item, true)?),
        hosted => choice.parts.push(opaque(item, hosted)),
    }
    Ok(())
}

/// An item that only this dialect understands.
pub(super) fn opaque(item: Json<'_>, kind: &str) -> Part {
    PartKind::Opaque {
        dialect: ID,
        what: kind.to_owned(),
        json: item.to_raw(),
    }
    .into()
}

fn read_call(item: Json<'_>, custom: bool) -> Result<Part, Fault> {
    let key = if custom { "input" } else { "arguments" };
    let text = item.opt_string(key)?.unwrap_or_default();
    Ok(Part {
        id: item.opt_string("id")?,
        ..PartKind::ToolCall(ToolCall {
            id: item.need_str("call_id")?.into_owned(),
            name: item.need_str("name")?.into_owned(),
            arguments: if text.trim().is_empty() && !custom {
                "{}".to_owned()
            } else {
                text
            },
            custom,
        })
        .into()
    })
}

/// Why the response ended, in the light of what it holds.
pub(super) fn read_finish(response: Json<'_>, parts: &[Part]) -> Finish {
    let called = parts
        .iter()
        .any(|part| matches!(part.kind, PartKind::ToolCall(_)));
    let refused = parts
        .iter()
        .any(|part| matches!(part.kind, PartKind::Refusal { .. }));
    finish(response, called, refused)
}

/// Why the response ended, where it is known what it holds.
pub(super) fn finish(response: Json<'_>, called: bool, refused: bool) -> Finish {
    let why = response
        .field("incomplete_details")
        .and_then(|details| details.field("reason")?.str());
    let incomplete = response.field("status").and_then(|status| status.str());
    let reason = match (why.as_deref(), incomplete.as_deref()) {
        (Some("content_filter"), _) => FinishReason::ContentFilter,
        (Some(_), _) | (None, Some("incomplete")) => FinishReason::Length,
        (None, _) if called => FinishReason::ToolCalls,
        (None, _) if refused => FinishReason::Refusal,
        (None, _) => FinishReason::Stop,
    };
    Finish {
        reason,
        stop_sequence: None,
        native: why.or(incomplete).map(|word| word.into_owned()),
    }
}
