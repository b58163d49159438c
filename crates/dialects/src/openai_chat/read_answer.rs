//! Reading a provider's whole answer.

use contract::answer::{ChatAnswer, Choice, FinishReason};
use contract::chat::PartKind;
use contract::text::Extras;
use contract::{Answer, Fault, Operation};

use super::echo::Sender;
use super::read_parts::{keep_rest, read_assistant};
use super::{embed, finish, usage, watch};
use crate::json::{Json, Kind, blame_provider};
use crate::openai::{fault, logprobs};

/// Members that say nothing about the answer itself.
const QUIET: &[&str] = &[
    "object",
    "system_fingerprint",
    "obfuscation",
    "kv_transfer_params",
];

/// Reads an answer.
pub(super) fn read(operation: Operation, body: Json<'_>) -> Result<Answer, Fault> {
    let content = match operation {
        Operation::Embed => body.field("data"),
        Operation::Chat | Operation::CountTokens | Operation::ListModels | Operation::GetModel => {
            body.field("choices")
        }
    };
    let content = content.filter(|content| content.kind() == Kind::Array && !content.is_empty());
    let Some(content) = content else {
        return Err(fault::find_in_band(body).unwrap_or_else(|| watch::not_an_answer(body)));
    };
    let read = match operation {
        Operation::Embed => embed::read_answer(body).map(Answer::Embed),
        Operation::Chat | Operation::CountTokens | Operation::ListModels | Operation::GetModel => {
            read_chat(body, content).map(Answer::Chat)
        }
    };
    read.map_err(blame_provider)
}

fn read_chat(body: Json<'_>, choices: Json<'_>) -> Result<ChatAnswer, Fault> {
    let mut answer = ChatAnswer {
        id: body.opt_string("id")?.filter(|id| !id.is_empty()),
        model: body.opt_string("model")?.filter(|model| !model.is_empty()),
        created_s: body.field("created").and_then(|created| created.u64()),
        usage: body.field("usage").and_then(usage::read),
        service_tier: body.opt_string("service_tier")?,
        ..ChatAnswer::default()
    };
    const KNOWN: &[&str] = &["id", "model", "created", "usage", "service_tier", "choices"];
    let known = [KNOWN, QUIET].concat();
    keep_rest(body, &known, &mut answer.extras);
    for (at, choice) in choices.items().enumerate() {
        let index = choice.opt_u32("index")?.map_or(at, |index| index as usize);
        if index >= choices.items().count() {
            return Err(choice.fault("the index is beyond the number of choices"));
        }
        let read = read_choice(choice, &mut answer.extras)?;
        if answer.choices.len() <= index {
            answer.choices.resize_with(index + 1, Choice::default);
        }
        answer.choices[index] = read;
    }
    Ok(answer)
}

fn read_choice(choice: Json<'_>, extras: &mut Extras) -> Result<Choice, Fault> {
    let message = choice.need("message")?.as_object()?;
    const KNOWN: &[&str] = &["index", "message", "finish_reason", "logprobs"];
    // Servers add reasons of their own beside the standard one.
    const NATIVE: &[&str] = &[
        "stop_reason",
        "native_finish_reason",
        "matched_stop",
        "token_ids",
    ];
    keep_rest(choice, &[KNOWN, NATIVE].concat(), extras);
    let mut parts = read_assistant(message, Sender::Provider, extras)?;
    if let Some(call) = message.opt_object("function_call")? {
        parts.push(legacy_call(call)?);
    }
    let called = parts
        .iter()
        .any(|part| matches!(part.kind, PartKind::ToolCall(_)));
    let refused = parts
        .iter()
        .any(|part| matches!(part.kind, PartKind::Refusal { .. }));
    let word = choice.need_str("finish_reason")?;
    let finish = finish::read(&word, called, refused);
    if finish.reason == FinishReason::Error {
        return Err(broken_off(&word));
    }
    let tokens = match choice
        .field("logprobs")
        .and_then(|all| all.field("content"))
    {
        Some(tokens) => logprobs::read(tokens)?,
        None => Vec::new(),
    };
    Ok(Choice {
        parts,
        finish: Some(finish),
        logprobs: tokens,
    })
}

/// The call of before there were tools.
fn legacy_call(call: Json<'_>) -> Result<contract::chat::Part, Fault> {
    Ok(PartKind::ToolCall(contract::chat::ToolCall {
        id: "call_function_0".to_owned(),
        name: call.need_str("name")?.into_owned(),
        arguments: super::read_parts::read_arguments(call.field("arguments"), false)?,
        custom: false,
    })
    .into())
}

/// The fault of an answer that the vendor itself says went wrong.
pub(super) fn broken_off(word: &str) -> Fault {
    Fault::upstream_broken(
        "The provider broke off the answer because of a problem of its own. Try again.",
    )
    .because(format!("finish_reason is {word:?}"))
}
