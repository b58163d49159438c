//! Rules of Anthropic Messages that span messages: paired tool use, thinking first, no prefill
//! where the model refuses it.
//!
//! Not here: what a single message may hold (`messages`).

use super::fail::{Fail, Kind};
use super::prompt::{Prompt, Thinking};
use serde_json::Value;

fn ids_of(message: &Value, kind: &str, key: &str) -> Vec<String> {
    let blocks = message["content"].as_array().cloned().unwrap_or_default();
    blocks
        .iter()
        .filter(|b| b["type"] == kind)
        .filter_map(|b| b[key].as_str())
        .map(str::to_owned)
        .collect()
}

/// Each `tool_use` is answered in the next message, and only there.
pub(crate) fn check_pairs(body: &Value) -> Result<(), Fail> {
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    for (n, message) in messages.iter().enumerate() {
        let called = ids_of(message, "tool_use", "id");
        let next = messages.get(n + 1).unwrap_or(&Value::Null);
        let answered = ids_of(next, "tool_result", "tool_use_id");
        if message["role"] == "assistant" && n + 1 < messages.len() {
            let missing: Vec<String> = called
                .iter()
                .filter(|c| !answered.contains(c))
                .cloned()
                .collect();
            if !missing.is_empty() {
                return Err(Fail::invalid(format!(
                    "messages.{n}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
                    missing.join(", ")
                )));
            }
        }
        let before = n
            .checked_sub(1)
            .map(|i| ids_of(&messages[i], "tool_use", "id"))
            .unwrap_or_default();
        let results = ids_of(message, "tool_result", "tool_use_id");
        if let Some(stray) = results.iter().find(|r| !before.contains(r)) {
            return Err(Fail::invalid(format!(
                "messages.{n}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: {stray}. Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )));
        }
        let first_other = message["content"]
            .as_array()
            .and_then(|b| b.iter().position(|b| b["type"] != "tool_result"));
        let last_result = message["content"]
            .as_array()
            .and_then(|b| b.iter().rposition(|b| b["type"] == "tool_result"));
        if let (Some(other), Some(result)) = (first_other, last_result)
            && other < result
        {
            return Err(Fail::invalid(format!(
                "messages.{n}: `tool_result` blocks must come first in the content of a user message."
            )));
        }
    }
    Ok(())
}

/// With `thinking.enabled`, a tool turn in progress has to start with its thinking block.
pub(crate) fn check_thinking_first(body: &Value) -> Result<(), Fail> {
    if body["thinking"]["type"] != "enabled" {
        return Ok(());
    }
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let Some(at) = messages.iter().rposition(|m| m["role"] == "assistant") else {
        return Ok(());
    };
    let in_progress = !ids_of(&messages[at], "tool_use", "id").is_empty();
    let first = messages[at]["content"][0]["type"]
        .as_str()
        .unwrap_or("text");
    if in_progress && !["thinking", "redacted_thinking"].contains(&first) {
        return Err(Fail::new(
            Kind::Tampered,
            format!(
                "messages.{at}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`. When `thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` and `tool_result` blocks)."
            ),
        ));
    }
    Ok(())
}

/// A final assistant message is a prefill, which newer models and thinking refuse.
pub(crate) fn check_last(body: &Value, p: &mut Prompt) -> Result<(), Fail> {
    let Some(last) = body["messages"].as_array().and_then(|l| l.last()) else {
        return Ok(());
    };
    if last["role"] != "assistant" {
        return Ok(());
    }
    let text = match &last["content"] {
        Value::String(s) => s.clone(),
        other => other
            .as_array()
            .and_then(|l| l.last())
            .and_then(|b| b["text"].as_str())
            .unwrap_or("")
            .to_owned(),
    };
    if p.thinking != Thinking::Off || !prefills(&p.model) {
        return Err(Fail::invalid(
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ));
    }
    if text.ends_with(char::is_whitespace) {
        return Err(Fail::invalid(
            "messages: final assistant content cannot end with trailing whitespace",
        ));
    }
    p.prefill = Some(text);
    Ok(())
}

fn prefills(model: &str) -> bool {
    !["4-6", "4-7", "4-8", "-5-", "-5"]
        .iter()
        .any(|v| model.contains(v))
        || model.contains("4-5")
}
