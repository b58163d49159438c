//! OpenAI Responses as the vendor reads it: items instead of messages, strict parameters,
//! reasoning items that come back whole.
//!
//! Field names follow `openai` 3.52 (`types/responses/response_create_params.py`,
//! `response_input_param.py`). Stored answers are resolved by `routes` before reading.

use super::chat::{self, EFFORTS, function_spec, spec_schema};
use super::fail::{Fail, Kind};
use super::prompt::{Format, Prompt, Surface, Thinking, ToolChoice, ToolResult};
use super::seal;
use super::strict::{Fields, Flaw, not_supported};
use serde_json::{Value, json};

/// What shapes a Responses answer and nothing else; request values are echoed in the object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Knobs {
    pub(crate) echo: Value,
    /// `reasoning.summary` was asked for.
    pub(crate) summary: bool,
    /// `include: ["reasoning.encrypted_content"]`.
    pub(crate) encrypted: bool,
    pub(crate) obfuscation: bool,
    pub(crate) logprobs: bool,
    pub(crate) top_logprobs: u64,
    pub(crate) store: bool,
}

const INCLUDES: [&str; 8] = [
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
];

/// `history` holds the items of `previous_response_id`, already resolved.
pub(crate) fn read(body: &Value, seed: &str, history: &[Value]) -> Result<(Prompt, Knobs), Fail> {
    let mut prompt = Prompt {
        seed: seed.to_owned(),
        parallel: true,
        ..Prompt::default()
    };
    let knobs = read_body(body, &mut prompt, history)
        .map_err(|f| Fail::from_flaw(f, Surface::Responses))?;
    check_model(body, &prompt.model)?;
    let mut items = history.to_vec();
    items.extend(input_items(body));
    check_items(&items, knobs.store)?;
    Ok((prompt, knobs))
}

/// The input as a list of items: a bare string is one user message.
pub(crate) fn input_items(body: &Value) -> Vec<Value> {
    match &body["input"] {
        Value::String(s) => vec![json!({"type": "message", "role": "user", "content": s})],
        Value::Array(items) => items.clone(),
        _ => Vec::new(),
    }
}

fn read_body(body: &Value, p: &mut Prompt, history: &[Value]) -> Result<Knobs, Flaw> {
    let f = Fields::of(body, "")?;
    p.model = f.need_str("model")?.to_owned();
    p.stream = f.bool("stream")?.unwrap_or(false);
    p.parallel = f.bool("parallel_tool_calls")?.unwrap_or(true);
    p.max_tokens = f.u64("max_output_tokens")?;
    if p.max_tokens.is_some_and(|m| m < 16) {
        return Err(Flaw::value(
            "max_output_tokens",
            format!(
                "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got {} instead.",
                body["max_output_tokens"]
            ),
        ));
    }
    if let Some(text) = f.str("instructions")? {
        p.hear_system(text);
    }
    let mut knobs = Knobs {
        store: f.bool("store")?.unwrap_or(true),
        obfuscation: true,
        top_logprobs: f.u64("top_logprobs")?.unwrap_or(0),
        ..Knobs::default()
    };
    includes(&f, &mut knobs)?;
    reasoning(&f, p, &mut knobs)?;
    text_config(&f, p)?;
    tools(f.list("tools")?.unwrap_or_default(), "tools", p)?;
    if let Some(options) = f.object("stream_options")? {
        knobs.obfuscation = options.bool("include_obfuscation")?.unwrap_or(true);
        options.finish()?;
    }
    settings(&f)?;
    match f.take("input") {
        None if body.get("previous_response_id").is_some() || body.get("prompt").is_some() => {}
        None => return Err(Flaw::missing("input")),
        Some(Value::String(_) | Value::Array(_)) => {}
        Some(other) => {
            return Err(Flaw::wrong_type(
                "input",
                "one of a string or array of input items",
                other,
            ));
        }
    }
    for (n, item) in history.iter().enumerate() {
        read_item(item, format!("history.{n}"), p)?;
    }
    for (n, item) in input_items(body).iter().enumerate() {
        read_item(item, format!("input.{n}"), p)?;
    }
    p.choice = tool_choice(&f, p)?;
    knobs.echo = body.clone();
    f.finish()?;
    Ok(knobs)
}

/// Fields that are checked or known and that change nothing in the fake's answer.
fn settings(f: &Fields<'_>) -> Result<(), Flaw> {
    f.ranged("temperature", 0.0, 2.0)?;
    f.ranged("top_p", 0.0, 1.0)?;
    f.one_of("truncation", &["auto", "disabled"])?;
    f.pass(&[
        "access_programs",
        "background",
        "context_management",
        "conversation",
        "image",
        "max_tool_calls",
        "metadata",
        "moderation",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "user",
    ]);
    Ok(())
}

fn includes(f: &Fields<'_>, k: &mut Knobs) -> Result<(), Flaw> {
    for (n, item) in f.list("include")?.unwrap_or_default().iter().enumerate() {
        let path = format!("include.{n}");
        let name = item
            .as_str()
            .ok_or_else(|| Flaw::wrong_type(path.clone(), "a string", item))?;
        if !INCLUDES.contains(&name) {
            return Err(not_supported(path, name, &INCLUDES));
        }
        k.encrypted |= name == "reasoning.encrypted_content";
        k.logprobs |= name == "message.output_text.logprobs";
    }
    Ok(())
}

fn reasoning(f: &Fields<'_>, p: &mut Prompt, k: &mut Knobs) -> Result<(), Flaw> {
    let default_on = chat::reasons(&p.model);
    p.thinking = if default_on {
        Thinking::Hidden
    } else {
        Thinking::Off
    };
    let Some(r) = f.object("reasoning")? else {
        return Ok(());
    };
    let effort = r.one_of("effort", &EFFORTS)?;
    let summaries = ["auto", "concise", "detailed"];
    k.summary = r
        .one_of("summary", &summaries)?
        .or(r.one_of("generate_summary", &summaries)?)
        .is_some();
    r.pass(&["context", "mode"]);
    p.thinking = match (effort, k.summary, default_on) {
        (Some("none"), ..) => Thinking::Off,
        (Some(_), true, _) | (None, true, true) => Thinking::Shown,
        (Some(_), false, _) | (None, false, true) => Thinking::Hidden,
        (None, _, false) => Thinking::Off,
    };
    r.finish()
}

fn text_config(f: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    let Some(text) = f.object("text")? else {
        return Ok(());
    };
    text.one_of("verbosity", &["low", "medium", "high"])?;
    if let Some(format) = text.object("format")? {
        p.format = match format.need_str("type")? {
            "text" => Format::Text,
            "json_object" => Format::JsonObject,
            "json_schema" => Format::Schema(spec_schema(
                &format,
                "response_format",
                "text.format.schema",
            )?),
            other => {
                return Err(not_supported(
                    "text.format.type",
                    other,
                    &["json_object", "json_schema", "text"],
                ));
            }
        };
        format.finish()?;
    }
    text.finish()
}

fn tools(list: &[Value], path: &str, p: &mut Prompt) -> Result<(), Flaw> {
    for (n, tool) in list.iter().enumerate() {
        let t = Fields::of(tool, format!("{path}.{n}"))?;
        let kind = t.need_str("type")?;
        match kind {
            "function" | "custom" => {
                function_spec(&t, p, kind == "custom")?;
                t.pass(&["allowed_callers", "defer_loading", "output_schema", "async"]);
                t.finish()?;
            }
            "namespace" => tools(t.list("tools")?.unwrap_or_default(), &t.path("tools"), p)?,
            // Hosted tools have settings of their own; the fake never runs them.
            _ => {}
        }
    }
    Ok(())
}

fn tool_choice(f: &Fields<'_>, p: &Prompt) -> Result<ToolChoice, Flaw> {
    let choice = match f.take("tool_choice") {
        None => return Ok(ToolChoice::Auto),
        Some(Value::String(s)) => match s.as_str() {
            "auto" => return Ok(ToolChoice::Auto),
            "none" => return Ok(ToolChoice::None),
            "required" => ToolChoice::Any,
            other => {
                return Err(not_supported(
                    "tool_choice",
                    other,
                    &["none", "auto", "required"],
                ));
            }
        },
        Some(object) => {
            let c = Fields::of(object, "tool_choice")?;
            match c.need_str("type")? {
                "function" | "custom" => {
                    let name = c.need_str("name")?.to_owned();
                    c.finish()?;
                    ToolChoice::Named(name)
                }
                "allowed_tools" if object["mode"] == "required" => ToolChoice::Any,
                _ => return Ok(ToolChoice::Auto),
            }
        }
    };
    chat::check_choice(&choice, p)?;
    Ok(choice)
}

const ITEM_TYPES: [&str; 12] = [
    "message",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "reasoning",
    "item_reference",
    "additional_tools",
    "web_search_call",
    "file_search_call",
    "compaction",
    "image_generation_call",
];

fn read_item(item: &Value, path: String, p: &mut Prompt) -> Result<(), Flaw> {
    let f = Fields::of(item, path)?;
    let kind = f.str("type")?.unwrap_or(if item.get("role").is_some() {
        "message"
    } else {
        "item_reference"
    });
    f.str("id")?;
    f.pass(&["status"]);
    match kind {
        "message" => message(&f, p)?,
        "function_call" => {
            p.results.clear();
            f.need_str("call_id")?;
            f.need_str("name")?;
            p.hear(f.need_str("arguments")?);
            f.pass(&["namespace", "caller", "async"]);
        }
        "custom_tool_call" => {
            p.results.clear();
            f.need_str("call_id")?;
            f.need_str("name")?;
            p.hear(f.need_str("input")?);
            f.pass(&["namespace", "caller"]);
        }
        "function_call_output" | "custom_tool_call_output" => output(&f, p)?,
        "reasoning" => return reasoning_item(f),
        "additional_tools" => {
            f.one_of("role", &["developer"])?;
            tools(f.list("tools")?.unwrap_or_default(), &f.path("tools"), p)?;
        }
        other if ITEM_TYPES.contains(&other) => return Ok(()),
        other => return Err(not_supported(f.path("type"), other, &ITEM_TYPES)),
    }
    f.finish()
}

fn message(f: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    let roles = ["assistant", "system", "developer", "user"];
    let role = f
        .one_of("role", &roles)?
        .ok_or_else(|| Flaw::missing(f.path("role")))?;
    f.one_of("phase", &["commentary", "final_answer"])?;
    match role {
        "user" => p.open_user(),
        "assistant" => p.open_assistant(),
        _ => {}
    }
    let parts = match f.need("content")? {
        Value::String(s) => {
            say(role, s, p);
            return Ok(());
        }
        Value::Array(parts) => parts,
        other => {
            return Err(Flaw::wrong_type(
                f.path("content"),
                "one of an array of objects or string",
                other,
            ));
        }
    };
    for (n, part) in parts.iter().enumerate() {
        let c = Fields::of(part, f.path(&format!("content.{n}")))?;
        let kind = c.need_str("type")?;
        match (role, kind) {
            ("assistant", "output_text") => {
                say(role, c.need_str("text")?, p);
                c.pass(&["annotations", "logprobs"]);
            }
            ("assistant", "refusal") => say(role, c.need_str("refusal")?, p),
            ("assistant", other) => {
                return Err(not_supported(
                    c.path("type"),
                    other,
                    &["output_text", "refusal"],
                ));
            }
            (_, "input_text") => say(role, c.need_str("text")?, p),
            (_, _) => input_media(&c, kind, p, false)?,
        }
        if c.take("prompt_cache_breakpoint").is_some() {
            p.mark_cache();
        }
        c.finish()?;
    }
    Ok(())
}

fn say(role: &str, text: &str, p: &mut Prompt) {
    match role {
        "user" => p.hear_user(text),
        "assistant" => p.hear(text),
        _ => p.hear_system(text),
    }
}

fn input_media(c: &Fields<'_>, kind: &str, p: &mut Prompt, from_tool: bool) -> Result<(), Flaw> {
    match kind {
        "input_image" => {
            c.one_of("detail", &["low", "high", "auto", "original"])?;
            match (c.str("file_id")?, c.str("image_url")?) {
                (Some(id), _) => p.see_reference("image", id, from_tool),
                (None, Some(url)) => p
                    .see_url("image", url, from_tool)
                    .map_err(|e| Flaw::value(c.path("image_url"), e))?,
                (None, None) => return Err(Flaw::missing(c.path("image_url"))),
            }
        }
        "input_file" => {
            c.str("filename")?;
            c.one_of("detail", &["auto", "low", "high"])?;
            match (c.str("file_id")?, c.str("file_url")?, c.str("file_data")?) {
                (Some(id), ..) => p.see_reference("file", id, from_tool),
                (None, Some(url), _) => p.see_reference("file", url, from_tool),
                (None, None, Some(data)) => p
                    .see_url("file", data, from_tool)
                    .map_err(|e| Flaw::value(c.path("file_data"), e))?,
                (None, None, None) => return Err(Flaw::missing(c.path("file_data"))),
            }
        }
        "input_audio" => {
            let a = c
                .object("input_audio")?
                .ok_or_else(|| Flaw::missing(c.path("input_audio")))?;
            let format = a
                .one_of("format", &["mp3", "wav"])?
                .ok_or_else(|| Flaw::missing(a.path("format")))?;
            let data = a.need_str("data")?;
            p.see("audio", &format!("audio/{format}"), data, from_tool)
                .map_err(|e| Flaw::value(a.path("data"), e))?;
            a.finish()?;
        }
        other => {
            return Err(not_supported(
                c.path("type"),
                other,
                &["input_text", "input_image", "input_file", "input_audio"],
            ));
        }
    }
    Ok(())
}

fn output(f: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    let call_id = f.need_str("call_id")?.to_owned();
    f.pass(&["caller", "name", "namespace"]);
    let text = match f.need("output")? {
        Value::String(s) => s.clone(),
        Value::Array(parts) => {
            let mut text = String::new();
            for (n, part) in parts.iter().enumerate() {
                let c = Fields::of(part, f.path(&format!("output.{n}")))?;
                match c.need_str("type")? {
                    "input_text" => text.push_str(c.need_str("text")?),
                    kind => input_media(&c, kind, p, true)?,
                }
                c.pass(&["prompt_cache_breakpoint"]);
                c.finish()?;
            }
            text
        }
        other => {
            return Err(Flaw::wrong_type(
                f.path("output"),
                "one of a string or array of objects",
                other,
            ));
        }
    };
    p.turns += 1;
    p.hear_result(ToolResult {
        call_id,
        text,
        is_error: false,
    });
    Ok(())
}

fn reasoning_item(f: Fields<'_>) -> Result<(), Flaw> {
    f.need_str("id")?;
    f.list("summary")?
        .ok_or_else(|| Flaw::missing(f.path("summary")))?;
    f.pass(&["content", "encrypted_content"]);
    f.finish()
}

fn check_model(body: &Value, model: &str) -> Result<(), Fail> {
    if model.contains("no-such") {
        return Err(Fail::new(
            Kind::NotFound,
            format!("The model `{model}` does not exist or you do not have access to it."),
        )
        .code("model_not_found"));
    }
    let reasons = chat::reasons(model);
    for key in ["temperature", "top_p"] {
        if reasons && body.get(key).is_some_and(|v| !v.is_null()) {
            return Err(Fail::invalid(format!(
                "Unsupported parameter: '{key}' is not supported with this model."
            ))
            .param(key)
            .code("unsupported_parameter"));
        }
    }
    if !reasons
        && body["reasoning"]["effort"]
            .as_str()
            .is_some_and(|e| e != "none")
    {
        return Err(Fail::invalid(
            "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
        )
        .param("reasoning.effort")
        .code("unsupported_parameter"));
    }
    Ok(())
}

/// Calls are answered, answers have calls, and reasoning travels with the call it led to.
fn check_items(items: &[Value], store: bool) -> Result<(), Fail> {
    let ids = |kinds: [&str; 2]| -> Vec<&str> {
        items
            .iter()
            .filter(|i| kinds.contains(&i["type"].as_str().unwrap_or("")))
            .filter_map(|i| i["call_id"].as_str())
            .collect()
    };
    let called = ids(["function_call", "custom_tool_call"]);
    let answered = ids(["function_call_output", "custom_tool_call_output"]);
    if let Some(open) = called.iter().find(|c| !answered.contains(c)) {
        return Err(
            Fail::invalid(format!("No tool output found for function call {open}.")).param("input"),
        );
    }
    if let Some(stray) = answered.iter().find(|a| !called.contains(a)) {
        return Err(Fail::invalid(format!(
            "No tool call found for function call output with call_id {stray}."
        ))
        .param("input"));
    }
    let mut reasoned = false;
    for item in items {
        match item["type"].as_str() {
            Some("reasoning") => {
                check_reasoning(item, store)?;
                reasoned = true;
            }
            // Ids of calls that followed reasoning say so.
            Some("function_call")
                if item["id"].as_str().is_some_and(|i| i.starts_with("fc_r")) && !reasoned =>
            {
                let id = item["id"].as_str().unwrap_or_default();
                return Err(Fail::invalid(format!("Item '{id}' of type 'function_call' was provided without its required 'reasoning' item: 'rs_{}'.", id.trim_start_matches("fc_r"))).param("input"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_reasoning(item: &Value, store: bool) -> Result<(), Fail> {
    let id = item["id"].as_str().unwrap_or_default();
    match item["encrypted_content"].as_str() {
        Some(sealed) if !seal::is_ours(Surface::Responses.seal_name(), sealed) => Err(Fail::new(
            Kind::Tampered,
            format!("The encrypted content {sealed:.12}... could not be verified. Reason: Encrypted content could not be decrypted or parsed."),
        )),
        Some(_) => Ok(()),
        None if !store => Err(Fail::new(Kind::NotFound, format!("Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove this item from your input.")).param("input")),
        None => Ok(()),
    }
}
