//! The messages of a Chat Completions request: what each role may hold, and that calls are
//! answered in order.
//!
//! Not here: the fields around the messages (`chat`).

use super::fail::Fail;
use super::prompt::{Prompt, Thinking, ToolResult};
use super::strict::{Fields, Flaw, not_supported};
use serde_json::Value;

pub(crate) fn read_message(message: &Value, path: String, p: &mut Prompt) -> Result<(), Flaw> {
    let m = Fields::of(message, path)?;
    let role = m.need_str("role")?;
    m.str("name")?;
    match role {
        "system" | "developer" => {
            let text = text_of(&m, "content")?.ok_or_else(|| Flaw::missing(m.path("content")))?;
            p.hear_system(&text);
        }
        "user" => {
            p.open_user();
            user_content(&m, p)?;
        }
        "assistant" => {
            p.open_assistant();
            assistant(&m, p)?;
        }
        "tool" => {
            p.turns += 1;
            let call_id = m.need_str("tool_call_id")?.to_owned();
            let text = text_of(&m, "content")?.ok_or_else(|| Flaw::missing(m.path("content")))?;
            p.hear_result(ToolResult {
                call_id,
                text,
                is_error: false,
            });
        }
        "function" => m.pass(&["content"]),
        other => {
            return Err(not_supported(
                m.path("role"),
                other,
                &[
                    "system",
                    "assistant",
                    "user",
                    "function",
                    "tool",
                    "developer",
                ],
            ));
        }
    }
    m.finish()
}

fn assistant(m: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    let content = text_of(m, "content")?;
    let refusal = m.str("refusal")?;
    m.pass(&["audio", "function_call", "annotations"]);
    for key in ["reasoning_content", "reasoning"] {
        // DeepSeek and its kin want their own reasoning back; OpenAI does not know the field.
        if p.thinking == Thinking::Shown {
            m.str(key)?;
        }
    }
    let calls = m.list("tool_calls")?;
    if content.is_none()
        && refusal.is_none()
        && calls.is_none()
        && m.take("audio").is_none()
        && m.take("function_call").is_none()
    {
        return Err(Flaw::value(
            m.path("content"),
            format!(
                "Invalid value for 'content': expected a string, got null. {}",
                m.path("content")
            ),
        ));
    }
    p.hear(&content.unwrap_or_default());
    for (n, call) in calls.unwrap_or_default().iter().enumerate() {
        let c = Fields::of(call, m.path(&format!("tool_calls.{n}")))?;
        c.need_str("id")?;
        let kind = c.need_str("type")?;
        let inner = c.object(kind)?.ok_or_else(|| Flaw::missing(c.path(kind)))?;
        inner.need_str("name")?;
        p.hear(inner.need_str(if kind == "custom" {
            "input"
        } else {
            "arguments"
        })?);
        inner.finish()?;
        c.finish()?;
    }
    Ok(())
}

/// Text given as a string or as a list of text parts.
fn text_of(m: &Fields<'_>, key: &str) -> Result<Option<String>, Flaw> {
    match m.take(key) {
        None => Ok(None),
        Some(Value::String(s)) => Ok(Some(s.clone())),
        Some(Value::Array(parts)) => {
            let mut out = String::new();
            for (n, part) in parts.iter().enumerate() {
                let f = Fields::of(part, m.path(&format!("{key}.{n}")))?;
                let kind = f.need_str("type")?;
                match kind {
                    "text" => out.push_str(f.need_str("text")?),
                    "refusal" => out.push_str(f.need_str("refusal")?),
                    other => return Err(not_supported(f.path("type"), other, &["text"])),
                }
                f.pass(&["prompt_cache_breakpoint"]);
                f.finish()?;
            }
            Ok(Some(out))
        }
        Some(other) => Err(Flaw::wrong_type(
            m.path(key),
            "a string or an array of objects",
            other,
        )),
    }
}

fn user_content(m: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    let parts = match m.need("content")? {
        Value::String(s) => {
            p.hear_user(s);
            return Ok(());
        }
        Value::Array(parts) => parts,
        other => {
            return Err(Flaw::wrong_type(
                m.path("content"),
                "a string or an array of objects",
                other,
            ));
        }
    };
    for (n, part) in parts.iter().enumerate() {
        let f = Fields::of(part, m.path(&format!("content.{n}")))?;
        user_part(&f, p)?;
        if f.take("prompt_cache_breakpoint").is_some() {
            p.mark_cache();
        }
        f.finish()?;
    }
    Ok(())
}

fn user_part(f: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    let kind = f.need_str("type")?;
    match kind {
        "text" => p.hear_user(f.need_str("text")?),
        "image_url" => {
            let image = f
                .object("image_url")?
                .ok_or_else(|| Flaw::missing(f.path("image_url")))?;
            let url = image.need_str("url")?;
            image.one_of("detail", &["auto", "low", "high", "original"])?;
            p.see_url("image", url, false)
                .map_err(|e| Flaw::value(image.path("url"), e))?;
            image.finish()?;
        }
        "input_audio" => {
            let audio = f
                .object("input_audio")?
                .ok_or_else(|| Flaw::missing(f.path("input_audio")))?;
            let format = audio
                .one_of("format", &["wav", "mp3"])?
                .ok_or_else(|| Flaw::missing(audio.path("format")))?;
            let data = audio.need_str("data")?;
            p.see("audio", &format!("audio/{format}"), data, false)
                .map_err(|e| Flaw::value(audio.path("data"), e))?;
            audio.finish()?;
        }
        "file" => {
            let file = f
                .object("file")?
                .ok_or_else(|| Flaw::missing(f.path("file")))?;
            file.str("filename")?;
            match (file.str("file_id")?, file.str("file_data")?) {
                (Some(id), _) => p.see_reference("file", id, false),
                (None, Some(data)) => p
                    .see_url("file", data, false)
                    .map_err(|e| Flaw::value(file.path("file_data"), e))?,
                (None, None) => return Err(Flaw::missing(file.path("file_id"))),
            }
            file.finish()?;
        }
        other => {
            return Err(not_supported(
                f.path("type"),
                other,
                &["text", "image_url", "input_audio", "file"],
            ));
        }
    }
    Ok(())
}

/// Every call is answered, right after it, and nothing else is answered.
pub(crate) fn check_turns(body: &Value) -> Result<(), Fail> {
    let mut open: Vec<String> = Vec::new();
    let mut after_calls = false;
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    for (n, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if role == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            if !after_calls {
                return Err(Fail::invalid("Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.").param(format!("messages.[{n}].role")));
            }
            if !open.iter().any(|o| o == id) {
                return Err(Fail::invalid(format!("Invalid parameter: 'tool_call_id' of '{id}' not found in 'tool_calls' of previous message.")).param(format!("messages.[{n}].tool_call_id")));
            }
            open.retain(|o| o != id);
            continue;
        }
        unanswered(&open, n)?;
        let calls = message["tool_calls"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        open = calls
            .iter()
            .filter_map(|c| c["id"].as_str())
            .map(str::to_owned)
            .collect();
        after_calls = !open.is_empty();
    }
    unanswered(&open, messages.len())
}

fn unanswered(open: &[String], n: usize) -> Result<(), Fail> {
    match open.is_empty() {
        true => Ok(()),
        false => Err(Fail::invalid(format!("An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: {}", open.join(", "))).param(format!("messages.[{n}].role"))),
    }
}
