//! Anthropic Messages as the vendor reads it: two API versions, strict fields, paired tool use,
//! and thinking blocks that come back unaltered.
//!
//! Field names follow `anthropic` 2.11 (`types/message_create_params.py`, `*_block_param.py`).

use super::fail::{Fail, Kind};
use super::messages_turns::{check_last, check_pairs, check_thinking_first};
use super::prompt::{Format, Prompt, Surface, Thinking, ToolChoice, ToolResult};
use super::seal;
use super::strict::{Fields, Flaw, not_supported};
use serde_json::{Value, json};

/// The version that refuses sampling parameters.
pub(crate) const VERSION_NEW: &str = "2026-10-21";
pub(crate) const VERSION_OLD: &str = "2023-06-01";

/// What shapes a Messages answer and nothing else.
#[derive(Debug, Clone, Default)]
pub(crate) struct Knobs {
    /// `thinking.display: omitted`: blocks come with a signature and without text.
    pub(crate) omit_thinking: bool,
    /// A document with citations enabled was given.
    pub(crate) cited_document: bool,
    pub(crate) service_tier: &'static str,
}

pub(crate) fn read(
    body: &Value,
    seed: &str,
    version: &str,
    counting: bool,
) -> Result<(Prompt, Knobs), Fail> {
    let mut prompt = Prompt {
        seed: seed.to_owned(),
        parallel: true,
        ..Prompt::default()
    };
    let knobs = read_body(body, &mut prompt, version, counting)
        .map_err(|f| Fail::from_flaw(f, Surface::Messages))?;
    if prompt.model.contains("no-such") {
        return Err(Fail::new(
            Kind::NotFound,
            format!("model: {}", prompt.model),
        ));
    }
    check_pairs(body)?;
    check_thinking_first(body)?;
    check_last(body, &mut prompt)?;
    Ok((prompt, knobs))
}

fn read_body(body: &Value, p: &mut Prompt, version: &str, counting: bool) -> Result<Knobs, Flaw> {
    let f = Fields::of(body, "")?;
    p.model = f.need_str("model")?.to_owned();
    let mut knobs = Knobs {
        service_tier: "standard",
        ..Knobs::default()
    };
    if !counting {
        p.stream = f.bool("stream")?.unwrap_or(false);
        let max = f
            .u64("max_tokens")?
            .ok_or_else(|| Flaw::missing("max_tokens"))?;
        if max == 0 {
            return Err(Flaw::value(
                "max_tokens",
                "Input should be greater than or equal to 1",
            ));
        }
        p.max_tokens = Some(max);
        f.one_of("service_tier", &["auto", "standard_only"])?;
        metadata(&f)?;
        f.pass(&[
            "container",
            "diagnostics",
            "inference_geo",
            "context_management",
            "mcp_servers",
        ]);
        stop_sequences(&f, p)?;
        if version == VERSION_OLD {
            f.ranged("temperature", 0.0, 1.0)?;
            f.ranged("top_p", 0.0, 1.0)?;
            f.u64("top_k")?;
        }
    }
    f.pass(&["speed", "user_profile_id", "workspace_id"]);
    thinking(&f, p, &mut knobs)?;
    tools(&f, p)?;
    tool_choice(&f, p)?;
    output_config(&f, p)?;
    system(&f, p)?;
    let messages = f
        .list("messages")?
        .ok_or_else(|| Flaw::missing("messages"))?;
    if messages.is_empty() {
        return Err(Flaw::value("messages", "at least one message is required"));
    }
    for (n, message) in messages.iter().enumerate() {
        read_message(message, n, p, &mut knobs)?;
    }
    if cache_control(&f)? {
        p.mark_cache();
    }
    f.finish()?;
    Ok(knobs)
}

fn metadata(f: &Fields<'_>) -> Result<(), Flaw> {
    let Some(metadata) = f.object("metadata")? else {
        return Ok(());
    };
    metadata.str("user_id")?;
    metadata.finish()
}

fn stop_sequences(f: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    for (n, stop) in f
        .list("stop_sequences")?
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        let path = format!("stop_sequences.{n}");
        let stop = stop
            .as_str()
            .ok_or_else(|| Flaw::wrong_type(path.clone(), "a string", stop))?;
        if stop.trim().is_empty() {
            return Err(Flaw::value(
                path,
                "each stop sequence must contain non-whitespace",
            ));
        }
        p.stop.push(stop.to_owned());
    }
    Ok(())
}

fn thinking(f: &Fields<'_>, p: &mut Prompt, knobs: &mut Knobs) -> Result<(), Flaw> {
    let Some(t) = f.object("thinking")? else {
        return Ok(());
    };
    let kinds = ["enabled", "disabled", "adaptive", "between_tools"];
    match t
        .one_of("type", &kinds)?
        .ok_or_else(|| Flaw::missing("thinking.type"))?
    {
        "enabled" => {
            let budget = t
                .u64("budget_tokens")?
                .ok_or_else(|| Flaw::missing("thinking.enabled.budget_tokens"))?;
            if budget < 1024 {
                return Err(Flaw::value(
                    "thinking.enabled.budget_tokens",
                    "Input should be greater than or equal to 1024",
                ));
            }
            if p.max_tokens.is_some_and(|max| max <= budget) {
                return Err(Flaw::value(
                    "max_tokens",
                    "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking#max-tokens-and-context-window-size",
                ));
            }
            p.thinking = Thinking::Shown;
        }
        "adaptive" => p.thinking = Thinking::Shown,
        _ => {}
    }
    knobs.omit_thinking = t.one_of("display", &["summarized", "omitted"])? == Some("omitted");
    t.finish()
}

fn tools(f: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    for (n, tool) in f.list("tools")?.unwrap_or_default().iter().enumerate() {
        let t = Fields::of(tool, format!("tools.{n}"))?;
        let marked = cache_control(&t)?;
        // Server tools carry a dated type; their settings are their own.
        let server = tool["type"].as_str().is_some_and(|k| k != "custom");
        if !server {
            t.take("type");
            let name = t.need_str("name")?;
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if name.is_empty() || name.len() > 128 || !name.chars().all(legal) {
                return Err(Flaw::value(
                    t.path("custom.name"),
                    "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
                ));
            }
            let schema = t.need("input_schema")?;
            if schema.get("type") != Some(&json!("object")) {
                return Err(Flaw::value(
                    t.path("custom.input_schema.type"),
                    "Input should be 'object'",
                ));
            }
            t.bool("strict")?;
            t.bool("defer_loading")?;
            t.pass(&["allowed_callers", "eager_input_streaming", "input_examples"]);
            p.add_tool(
                name,
                t.str("description")?.unwrap_or(""),
                schema.clone(),
                false,
            );
            t.finish()?;
        }
        if marked {
            p.mark_cache();
        }
    }
    Ok(())
}

fn tool_choice(f: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    let Some(c) = f.object("tool_choice")? else {
        return Ok(());
    };
    let kinds = ["auto", "any", "tool", "none"];
    let kind = c
        .one_of("type", &kinds)?
        .ok_or_else(|| Flaw::missing("tool_choice.type"))?;
    if p.tools.is_empty() && f.take("tools").is_none() {
        return Err(Flaw::value(
            "tool_choice",
            "tool_choice may only be specified while providing tools",
        ));
    }
    p.choice = match kind {
        "any" => ToolChoice::Any,
        "tool" => ToolChoice::Named(c.need_str("name")?.to_owned()),
        "none" => ToolChoice::None,
        _ => ToolChoice::Auto,
    };
    if kind != "none" {
        p.parallel = !c.bool("disable_parallel_tool_use")?.unwrap_or(false);
    }
    if let ToolChoice::Named(name) = &p.choice
        && !p.tools.iter().any(|t| &t.name == name)
    {
        return Err(Flaw::value(
            "tool_choice",
            format!("Tool '{name}' not found in provided tools"),
        ));
    }
    let forced = matches!(p.choice, ToolChoice::Any | ToolChoice::Named(_));
    if forced && p.thinking != Thinking::Off {
        return Err(Flaw::value(
            "tool_choice",
            "Thinking may not be enabled when tool_choice forces tool use.",
        ));
    }
    c.finish()
}

fn output_config(f: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    let Some(o) = f.object("output_config")? else {
        return Ok(());
    };
    o.one_of("effort", &["low", "medium", "high", "xhigh", "max"])?;
    o.pass(&["task_budget"]);
    if let Some(format) = o.object("format")? {
        format
            .one_of("type", &["json_schema"])?
            .ok_or_else(|| Flaw::missing("output_config.format.type"))?;
        let schema = format.need("schema")?;
        if super::schema::strict_refusal(schema, "()")
            .is_some_and(|r| r.contains("additionalProperties"))
        {
            return Err(Flaw::value(
                "output_config.format.schema",
                "For 'object' type, 'additionalProperties' must be explicitly set to false",
            ));
        }
        p.format = Format::Schema(schema.clone());
        format.finish()?;
    }
    o.finish()
}

fn system(f: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    match f.take("system") {
        None => Ok(()),
        Some(Value::String(s)) => {
            p.hear_system(s);
            Ok(())
        }
        Some(Value::Array(blocks)) => system_blocks(blocks, "system", p),
        Some(other) => Err(Flaw::wrong_type("system", "a string or a list", other)),
    }
}

fn system_blocks(blocks: &[Value], path: &str, p: &mut Prompt) -> Result<(), Flaw> {
    for (n, block) in blocks.iter().enumerate() {
        let b = Fields::of(block, format!("{path}.{n}"))?;
        b.one_of("type", &["text"])?
            .ok_or_else(|| Flaw::missing(b.path("type")))?;
        let text = non_empty(&b, "text")?;
        p.hear_system(text);
        b.pass(&["citations"]);
        if cache_control(&b)? {
            p.mark_cache();
        }
        b.finish()?;
    }
    Ok(())
}

fn non_empty<'a>(b: &Fields<'a>, key: &str) -> Result<&'a str, Flaw> {
    let text = b.need_str(key)?;
    match text.is_empty() {
        true => Err(Flaw::value(
            b.path(key),
            "text content blocks must be non-empty",
        )),
        false => Ok(text),
    }
}

fn cache_control(b: &Fields<'_>) -> Result<bool, Flaw> {
    let Some(c) = b.object("cache_control")? else {
        return Ok(false);
    };
    c.one_of("type", &["ephemeral"])?
        .ok_or_else(|| Flaw::missing(c.path("type")))?;
    c.one_of("ttl", &["5m", "1h"])?;
    c.pass(&["scope"]);
    c.finish()?;
    Ok(true)
}

fn read_message(message: &Value, n: usize, p: &mut Prompt, k: &mut Knobs) -> Result<(), Flaw> {
    let path = format!("messages.{n}");
    let m = Fields::of(message, path.clone())?;
    let role = m
        .one_of("role", &["user", "assistant", "system"])?
        .ok_or_else(|| Flaw::missing(m.path("role")))?;
    let content = m.need("content")?;
    if n == 0 && role != "user" {
        return Err(Flaw::value(
            path,
            "first message must use the \"user\" role; use the top-level `system` parameter for the system prompt",
        ));
    }
    match (role, content) {
        ("system", Value::String(s)) => p.hear_system(s),
        ("system", Value::Array(blocks)) => system_blocks(blocks, &m.path("content"), p)?,
        ("user", Value::String(s)) => {
            p.open_user();
            if s.is_empty() {
                return Err(Flaw::value(
                    path,
                    "user messages must have non-empty content",
                ));
            }
            p.hear_user(s);
        }
        ("user", Value::Array(blocks)) => {
            p.open_user();
            if blocks.is_empty() {
                return Err(Flaw::value(
                    path,
                    "user messages must have non-empty content",
                ));
            }
            for (i, block) in blocks.iter().enumerate() {
                user_block(block, m.path(&format!("content.{i}")), p, k)?;
            }
        }
        (_, Value::String(s)) => {
            p.open_assistant();
            p.hear(s);
        }
        (_, Value::Array(blocks)) => {
            p.open_assistant();
            for (i, block) in blocks.iter().enumerate() {
                assistant_block(block, m.path(&format!("content.{i}")), p)?;
            }
        }
        (_, other) => {
            return Err(Flaw::wrong_type(
                m.path("content"),
                "a string or a list",
                other,
            ));
        }
    }
    m.finish()
}

fn user_block(block: &Value, path: String, p: &mut Prompt, k: &mut Knobs) -> Result<(), Flaw> {
    let b = Fields::of(block, path)?;
    let kind = b.need_str("type")?;
    match kind {
        "text" => {
            let text = non_empty(&b, "text")?;
            p.hear_user(text);
            b.pass(&["citations"]);
        }
        "image" => image(&b, p, false)?,
        "document" => document(&b, p, k)?,
        "tool_result" => tool_result(&b, p)?,
        "search_result" => b.pass(&["source", "title", "content", "citations"]),
        "container_upload" => b.pass(&["file_id"]),
        other => {
            return Err(Flaw::value(
                b.path("type"),
                format!(
                    "Input tag '{other}' found using 'type' does not match any of the expected tags: 'document', 'image', 'search_result', 'text', 'tool_result'"
                ),
            ));
        }
    }
    if cache_control(&b)? {
        p.mark_cache();
    }
    b.finish()
}

fn image(b: &Fields<'_>, p: &mut Prompt, from_tool: bool) -> Result<(), Flaw> {
    let s = b
        .object("source")?
        .ok_or_else(|| Flaw::missing(b.path("source")))?;
    match s.need_str("type")? {
        "base64" => {
            let types = ["image/jpeg", "image/png", "image/gif", "image/webp"];
            let mime = s
                .one_of("media_type", &types)?
                .ok_or_else(|| Flaw::missing(s.path("media_type")))?;
            let data = s.need_str("data")?;
            p.see("image", mime, data, from_tool)
                .map_err(|e| Flaw::value(s.path("base64.data"), e))?;
        }
        "url" => p.see_reference("image", s.need_str("url")?, from_tool),
        "file" => p.see_reference("image", s.need_str("file_id")?, from_tool),
        other => {
            return Err(not_supported(
                s.path("type"),
                other,
                &["base64", "url", "file"],
            ));
        }
    }
    b.pass(&["transformations"]);
    s.finish()
}

fn document(b: &Fields<'_>, p: &mut Prompt, k: &mut Knobs) -> Result<(), Flaw> {
    let s = b
        .object("source")?
        .ok_or_else(|| Flaw::missing(b.path("source")))?;
    match s.need_str("type")? {
        "base64" => {
            let mime = s
                .one_of("media_type", &["application/pdf"])?
                .ok_or_else(|| Flaw::missing(s.path("media_type")))?;
            let data = s.need_str("data")?;
            p.see("file", mime, data, false)
                .map_err(|e| Flaw::value(s.path("base64.data"), e))?;
        }
        "text" => {
            s.one_of("media_type", &["text/plain"])?
                .ok_or_else(|| Flaw::missing(s.path("media_type")))?;
            let data = s.need_str("data")?;
            p.hear(data);
            p.see_reference("file", &format!("text/plain {} bytes", data.len()), false);
        }
        "url" => p.see_reference("file", s.need_str("url")?, false),
        "file" => p.see_reference("file", s.need_str("file_id")?, false),
        "content" => s.pass(&["content"]),
        other => {
            return Err(not_supported(
                s.path("type"),
                other,
                &["base64", "text", "url", "file", "content"],
            ));
        }
    }
    s.finish()?;
    b.str("title")?;
    b.str("context")?;
    if let Some(c) = b.object("citations")? {
        k.cited_document |= c.bool("enabled")?.unwrap_or(false);
        c.finish()?;
    }
    Ok(())
}

fn tool_result(b: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    let call_id = b.need_str("tool_use_id")?.to_owned();
    let is_error = b.bool("is_error")?.unwrap_or(false);
    b.str("toolset_name")?;
    let mut text = String::new();
    match b.take("content") {
        None => {}
        Some(Value::String(s)) => text.push_str(s),
        Some(Value::Array(blocks)) => {
            for (i, inner) in blocks.iter().enumerate() {
                let f = Fields::of(inner, b.path(&format!("content.{i}")))?;
                match f.need_str("type")? {
                    "text" => text.push_str(non_empty(&f, "text")?),
                    "image" => image(&f, p, true)?,
                    "document" => document(&f, p, &mut Knobs::default())?,
                    "search_result" | "tool_reference" | "browser_state" => continue,
                    other => {
                        return Err(not_supported(
                            f.path("type"),
                            other,
                            &["text", "image", "document"],
                        ));
                    }
                }
                f.pass(&["citations"]);
                cache_control(&f)?;
                f.finish()?;
            }
        }
        Some(other) => {
            return Err(Flaw::wrong_type(
                b.path("content"),
                "a string or a list",
                other,
            ));
        }
    }
    p.hear_result(ToolResult {
        call_id,
        text,
        is_error,
    });
    Ok(())
}

fn assistant_block(block: &Value, path: String, p: &mut Prompt) -> Result<(), Flaw> {
    let b = Fields::of(block, path)?;
    match b.need_str("type")? {
        "text" => {
            p.hear(non_empty(&b, "text")?);
            b.pass(&["citations"]);
        }
        "thinking" => {
            let text = b.need_str("thinking")?;
            let sealed = b.need_str("signature")?;
            let name = Surface::Messages.seal_name();
            let whole = match text.is_empty() {
                // An omitted thinking text leaves the signature to stand alone.
                true => seal::is_ours(name, sealed),
                false => seal::covers(name, text, sealed),
            };
            if !whole {
                return Err(Flaw::value(
                    b.path("signature"),
                    "Invalid `signature` in `thinking` block",
                ));
            }
        }
        "redacted_thinking" => {
            if !seal::covers(
                Surface::Messages.seal_name(),
                "redacted",
                b.need_str("data")?,
            ) {
                return Err(Flaw::value(
                    b.path("data"),
                    "Invalid `data` in `redacted_thinking` block",
                ));
            }
        }
        "tool_use" => {
            let id = b.need_str("id")?;
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if id.is_empty() || !id.chars().all(legal) {
                return Err(Flaw::value(
                    b.path("id"),
                    "String should match pattern '^[a-zA-Z0-9_-]+$'",
                ));
            }
            b.need_str("name")?;
            let input = b.need("input")?;
            if !input.is_object() {
                return Err(Flaw::value(
                    b.path("input"),
                    "Input should be a valid dictionary",
                ));
            }
            p.hear(&input.to_string());
            b.pass(&["caller", "toolset_name"]);
        }
        // Blocks of server tools are replayed as they came.
        _ => return Ok(()),
    }
    if cache_control(&b)? {
        p.mark_cache();
    }
    b.finish()
}
