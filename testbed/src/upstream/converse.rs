//! Bedrock Converse as the vendor reads it: unions with one member, strict turns, and reasoning
//! whose signature is mandatory.
//!
//! Member names follow botocore 1.44 (`bedrock-runtime/2023-09-30`).

use super::fail::{Fail, Kind};
use super::prompt::{Format, Prompt, Surface, Thinking, ToolChoice, ToolResult};
use super::seal;
use super::strict::{Fields, Flaw};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub(crate) fn read(body: &Value, model: &str, seed: &str) -> Result<Prompt, Fail> {
    let mut prompt = empty(model, seed)?;
    read_body(body, &mut prompt).map_err(|f| Fail::from_flaw(f, Surface::Converse))?;
    check_turns(body)?;
    Ok(prompt)
}

/// `count-tokens`: a conversation without what only shapes its answer.
pub(crate) fn read_count(body: &Value, model: &str, seed: &str) -> Result<Prompt, Fail> {
    let mut prompt = empty(model, seed)?;
    let talk = counted(body).map_err(|f| Fail::from_flaw(f, Surface::Converse))?;
    read_body(talk, &mut prompt).map_err(|f| Fail::from_flaw(f, Surface::Converse))?;
    check_turns(talk)?;
    Ok(prompt)
}

fn counted(body: &Value) -> Result<&Value, Flaw> {
    let root = Fields::of(body, "")?;
    let input = root
        .object("input")?
        .ok_or_else(|| Flaw::missing("input"))?;
    let talk = input.need("converse")?;
    let fields = Fields::of(talk, "input.converse")?;
    fields.pass(&[
        "messages",
        "system",
        "toolConfig",
        "additionalModelRequestFields",
    ]);
    fields.finish()?;
    input.finish()?;
    root.finish()?;
    Ok(talk)
}

fn empty(model: &str, seed: &str) -> Result<Prompt, Fail> {
    let prompt = Prompt {
        model: model.to_owned(),
        seed: seed.to_owned(),
        parallel: true,
        ..Prompt::default()
    };
    if model.contains("no-such") {
        return Err(Fail::invalid("The provided model identifier is invalid."));
    }
    Ok(prompt)
}

fn read_body(body: &Value, p: &mut Prompt) -> Result<(), Flaw> {
    let f = Fields::of(body, "")?;
    if let Some(i) = f.object("inferenceConfig")? {
        p.max_tokens = i.u64("maxTokens")?;
        if p.max_tokens == Some(0) {
            return Err(Flaw::value(
                "inferenceConfig.maxTokens",
                "Member must have value greater than or equal to 1",
            ));
        }
        i.ranged("temperature", 0.0, 1.0)?;
        i.ranged("topP", 0.0, 1.0)?;
        for stop in i.list("stopSequences")?.unwrap_or_default() {
            p.stop.extend(stop.as_str().map(str::to_owned));
        }
        i.finish()?;
    }
    additional(&f, p)?;
    tool_config(&f, p)?;
    output_config(&f, p)?;
    for (n, block) in f.list("system")?.unwrap_or_default().iter().enumerate() {
        let b = Fields::of(block, format!("system.{n}"))?;
        match b.str("text")? {
            Some("") => {
                return Err(Flaw::value(
                    b.path("text"),
                    "Member must have length greater than or equal to 1",
                ));
            }
            Some(text) => p.hear_system(text),
            None => {}
        }
        cache_point(&b, p)?;
        b.pass(&["guardContent"]);
        b.finish()?;
    }
    f.pass(&[
        "guardrailConfig",
        "promptVariables",
        "additionalModelResponseFieldPaths",
        "requestMetadata",
        "performanceConfig",
        "serviceTier",
    ]);
    let messages = f.list("messages")?.unwrap_or_default();
    if messages.is_empty() {
        return Err(Flaw::value(
            "messages",
            "A conversation must start with a user message. Try again with a conversation that starts with a user message.",
        ));
    }
    for (n, message) in messages.iter().enumerate() {
        read_message(message, format!("messages.{n}"), p)?;
    }
    f.finish()
}

fn cache_point(b: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    let Some(c) = b.object("cachePoint")? else {
        return Ok(());
    };
    c.one_of("type", &["default"])?
        .ok_or_else(|| Flaw::missing(c.path("type")))?;
    c.one_of("ttl", &["5m", "1h"])?;
    p.mark_cache();
    c.finish()
}

/// Fields for the model itself; Anthropic's models take `thinking`, others `reasoning_config`.
fn additional(f: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    let Some(extra) = f.take("additionalModelRequestFields") else {
        return Ok(());
    };
    let kind = extra
        .pointer("/thinking/type")
        .or(extra.pointer("/reasoning_config/type"))
        .and_then(Value::as_str);
    match kind {
        Some("enabled") => {
            let budget = extra
                .pointer("/thinking/budget_tokens")
                .or(extra.pointer("/reasoning_config/budget_tokens"));
            let budget = budget.and_then(Value::as_u64).ok_or_else(|| {
                Flaw::missing("additionalModelRequestFields.thinking.budget_tokens")
            })?;
            if budget < 1024 || p.max_tokens.is_some_and(|m| m <= budget) {
                return Err(Flaw::value(
                    "additionalModelRequestFields.thinking.budget_tokens",
                    "`max_tokens` must be greater than `thinking.budget_tokens`, which must be at least 1024",
                ));
            }
            p.thinking = Thinking::Shown;
        }
        Some("adaptive") => p.thinking = Thinking::Shown,
        Some(_) | None => {}
    }
    Ok(())
}

fn tool_config(f: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    let Some(config) = f.object("toolConfig")? else {
        return Ok(());
    };
    let tools = config
        .list("tools")?
        .ok_or_else(|| Flaw::missing("toolConfig.tools"))?;
    if tools.is_empty() {
        return Err(Flaw::value(
            "toolConfig.tools",
            "Member must have length greater than or equal to 1",
        ));
    }
    for (n, tool) in tools.iter().enumerate() {
        let t = Fields::of(tool, format!("toolConfig.tools.{n}"))?;
        if let Some(spec) = t.object("toolSpec")? {
            let name = spec.need_str("name")?;
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if name.is_empty() || name.len() > 64 || !name.chars().all(legal) {
                return Err(Flaw::value(
                    spec.path("name"),
                    "Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+",
                ));
            }
            let description = spec.str("description")?;
            if description == Some("") {
                return Err(Flaw::value(
                    spec.path("description"),
                    "Member must have length greater than or equal to 1",
                ));
            }
            let schema = spec
                .object("inputSchema")?
                .ok_or_else(|| Flaw::missing(spec.path("inputSchema")))?;
            let json = schema.need("json")?.clone();
            if json.get("type") != Some(&json!("object")) {
                return Err(Flaw::value(
                    schema.path("json"),
                    "The value at toolConfig.tools.toolSpec.inputSchema.json.type must be one of the following: object.",
                ));
            }
            schema.finish()?;
            spec.bool("strict")?;
            spec.finish()?;
            p.add_tool(name, description.unwrap_or(""), json, false);
        }
        cache_point(&t, p)?;
        t.pass(&["systemTool"]);
        t.finish()?;
    }
    if let Some(choice) = config.object("toolChoice")? {
        p.choice = match (
            choice.take("auto"),
            choice.take("any"),
            choice.object("tool")?,
        ) {
            (Some(_), None, None) => ToolChoice::Auto,
            (None, Some(_), None) => ToolChoice::Any,
            (None, None, Some(named)) => ToolChoice::Named(named.need_str("name")?.to_owned()),
            _ => {
                return Err(Flaw::value(
                    "toolConfig.toolChoice",
                    "exactly one of auto, any, tool must be set",
                ));
            }
        };
        choice.finish()?;
    }
    config.finish()
}

fn output_config(f: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    let Some(o) = f.object("outputConfig")? else {
        return Ok(());
    };
    o.str("effort")?;
    if let Some(format) = o.object("textFormat")? {
        format
            .one_of("type", &["json_schema"])?
            .ok_or_else(|| Flaw::missing(format.path("type")))?;
        let structure = format
            .object("structure")?
            .ok_or_else(|| Flaw::missing(format.path("structure")))?;
        let spec = structure
            .object("jsonSchema")?
            .ok_or_else(|| Flaw::missing(structure.path("jsonSchema")))?;
        // Unlike everywhere else the schema is a string of JSON.
        let schema = serde_json::from_str(spec.need_str("schema")?)
            .map_err(|e| Flaw::value(spec.path("schema"), e.to_string()))?;
        spec.pass(&["name", "description"]);
        p.format = Format::Schema(schema);
        spec.finish()?;
        structure.finish()?;
        format.finish()?;
    }
    o.finish()
}

fn read_message(message: &Value, path: String, p: &mut Prompt) -> Result<(), Flaw> {
    let m = Fields::of(message, path)?;
    let role = m
        .one_of("role", &["user", "assistant", "system"])?
        .ok_or_else(|| Flaw::missing(m.path("role")))?;
    let blocks = m
        .list("content")?
        .ok_or_else(|| Flaw::missing(m.path("content")))?;
    match role {
        "user" => p.open_user(),
        "assistant" => p.open_assistant(),
        _ => {}
    }
    if blocks.is_empty() {
        return Err(Flaw::value(
            m.path("content"),
            "The content field in the Message object is empty. Add a ContentBlock object to the content field and try again.",
        ));
    }
    for (n, block) in blocks.iter().enumerate() {
        let b = Fields::of(block, m.path(&format!("content.{n}")))?;
        let set = block
            .as_object()
            .map_or(0, |o| o.values().filter(|v| !v.is_null()).count());
        if set != 1 {
            return Err(Flaw::value(
                b.path(""),
                format!("a ContentBlock is a union: exactly one member must be set, got {set}"),
            ));
        }
        read_block(&b, role, p)?;
        b.finish()?;
    }
    m.finish()
}

fn read_block(b: &Fields<'_>, role: &str, p: &mut Prompt) -> Result<(), Flaw> {
    if let Some(text) = b.str("text")? {
        if text.trim().is_empty() {
            return Err(Flaw::value(
                b.path("text"),
                "The text field in the ContentBlock object is blank. Add text to the text field, and try again.",
            ));
        }
        match role {
            "user" => p.hear_user(text),
            "assistant" => p.hear(text),
            _ => p.hear_system(text),
        }
    }
    media(b, p, false)?;
    if let Some(t) = b.object("toolUse")? {
        t.need_str("toolUseId")?;
        t.need_str("name")?;
        let input = t.need("input")?;
        if !input.is_object() {
            return Err(Flaw::value(
                t.path("input"),
                "The format of the value is invalid. Provide a json object for the field and try again.",
            ));
        }
        p.hear(&input.to_string());
        t.str("type")?;
        t.finish()?;
    }
    if let Some(r) = b.object("toolResult")? {
        tool_result(&r, p)?;
        r.finish()?;
    }
    if let Some(r) = b.object("reasoningContent")? {
        reasoning(&r)?;
        r.finish()?;
    }
    cache_point(b, p)?;
    b.pass(&[
        "guardContent",
        "citationsContent",
        "searchResult",
        "toolAddition",
        "toolRemoval",
    ]);
    Ok(())
}

fn media(b: &Fields<'_>, p: &mut Prompt, from_tool: bool) -> Result<(), Flaw> {
    let kinds: [(&str, &'static str, &[&str]); 4] = [
        ("image", "image", &["png", "jpeg", "gif", "webp"]),
        (
            "document",
            "file",
            &[
                "pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md",
            ],
        ),
        (
            "video",
            "video",
            &[
                "mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp",
            ],
        ),
        (
            "audio",
            "audio",
            &[
                "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "m4a", "mpeg", "pcm",
                "webm",
            ],
        ),
    ];
    for (member, kind, formats) in kinds {
        let Some(o) = b.object(member)? else { continue };
        let format = o.one_of("format", formats)?.unwrap_or("txt");
        if member == "document" {
            let name = o.need_str("name")?;
            let legal = |c: char| c.is_ascii_alphanumeric() || " -()[]".contains(c);
            if name.is_empty() || !name.chars().all(legal) {
                return Err(Flaw::value(
                    o.path("name"),
                    "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, parentheses, and square brackets. The name can't contain more than one consecutive whitespace character.",
                ));
            }
            o.pass(&["context", "citations"]);
        }
        let source = o
            .object("source")?
            .ok_or_else(|| Flaw::missing(o.path("source")))?;
        let mime = if kind == "file" {
            format!("application/{format}")
        } else {
            format!("{kind}/{format}")
        };
        match (source.str("bytes")?, source.object("s3Location")?) {
            (Some(data), _) => p
                .see(kind, &mime, data, from_tool)
                .map_err(|e| Flaw::value(source.path("bytes"), e))?,
            (None, Some(s3)) => p.see_reference(kind, s3.need_str("uri")?, from_tool),
            (None, None) => source.pass(&["text", "content"]),
        }
        source.finish()?;
        o.finish()?;
    }
    Ok(())
}

fn tool_result(r: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    let call_id = r.need_str("toolUseId")?.to_owned();
    let is_error = r.one_of("status", &["success", "error"])? == Some("error");
    r.pass(&["type"]);
    let mut text = String::new();
    let blocks = r
        .list("content")?
        .ok_or_else(|| Flaw::missing(r.path("content")))?;
    for (n, block) in blocks.iter().enumerate() {
        let b = Fields::of(block, r.path(&format!("content.{n}")))?;
        text.push_str(b.str("text")?.unwrap_or(""));
        if let Some(json) = b.take("json") {
            if !json.is_object() {
                return Err(Flaw::value(
                    b.path("json"),
                    "The format of the value is invalid. Provide a json object for the field and try again.",
                ));
            }
            text.push_str(&json.to_string());
        }
        media(&b, p, true)?;
        b.pass(&["searchResult"]);
        b.finish()?;
    }
    p.hear_result(ToolResult {
        call_id,
        text,
        is_error,
    });
    Ok(())
}

fn reasoning(r: &Fields<'_>) -> Result<(), Flaw> {
    let name = Surface::Converse.seal_name();
    if let Some(t) = r.object("reasoningText")? {
        let text = t.need_str("text")?;
        let sealed = t.str("signature")?.ok_or_else(|| {
            Flaw::value(
                t.path("signature"),
                "messages.1.content.0.thinking.signature: Field required",
            )
        })?;
        if !seal::covers(name, text, sealed) {
            return Err(Flaw::value(
                t.path("signature"),
                "Invalid `signature` in `thinking` block",
            ));
        }
        t.finish()?;
    }
    if let Some(blob) = r.str("redactedContent")? {
        let expected = STANDARD.encode(seal::seal(name, "redacted"));
        if blob != expected {
            return Err(Flaw::value(
                r.path("redactedContent"),
                "Invalid `data` in `redacted_thinking` block",
            ));
        }
    }
    Ok(())
}

fn ids_of(message: &Value, member: &str) -> Vec<String> {
    let blocks = message["content"].as_array().cloned().unwrap_or_default();
    blocks
        .iter()
        .filter_map(|b| b[member]["toolUseId"].as_str())
        .map(str::to_owned)
        .collect()
}

/// User and assistant alternate, a user begins and ends, and every tool use is answered next.
fn check_turns(body: &Value) -> Result<(), Fail> {
    let all = body["messages"].as_array().cloned().unwrap_or_default();
    let messages: Vec<&Value> = all.iter().filter(|m| m["role"] != "system").collect();
    if messages.first().is_none_or(|m| m["role"] != "user") {
        return Err(Fail::invalid(
            "A conversation must start with a user message. Try again with a conversation that starts with a user message.",
        ));
    }
    for (n, pair) in messages.windows(2).enumerate() {
        if pair[0]["role"] == pair[1]["role"] {
            return Err(Fail::invalid(
                "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.",
            ));
        }
        let called = ids_of(pair[0], "toolUse");
        let answered = ids_of(pair[1], "toolResult");
        if let Some(open) = called.iter().find(|c| !answered.contains(c)) {
            return Err(Fail::invalid(format!(
                "Expected toolResult blocks at messages.{}.content for the following Ids: {open}",
                n + 1
            )));
        }
        if answered.len() != called.len() {
            return Err(Fail::invalid(format!(
                "The number of toolResult blocks at messages.{}.content exceeds the number of toolUse blocks of previous turn.",
                n + 1
            )));
        }
    }
    if messages.last().is_some_and(|m| m["role"] != "user") {
        return Err(Fail::invalid(
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ));
    }
    let replays = all.iter().any(|m| !ids_of(m, "toolUse").is_empty());
    if replays && body.get("toolConfig").is_none_or(Value::is_null) {
        return Err(Fail::new(
            Kind::Invalid,
            "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        ));
    }
    Ok(())
}
