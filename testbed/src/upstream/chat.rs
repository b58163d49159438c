//! OpenAI Chat Completions as the vendor reads it: unknown arguments refused, turns in order.
//!
//! Field names follow `openai` 3.52 (`types/chat/completion_create_params.py`). The answer's
//! shape is in `chat_write`.

use super::chat_turns::{check_turns, read_message};
use super::fail::{Fail, Kind};
use super::prompt::{Format, Prompt, Surface, Thinking, ToolChoice};
use super::schema;
use super::strict::{Fields, Flaw, not_supported};
use serde_json::{Value, json};

/// What shapes a Chat answer and nothing else.
#[derive(Debug, Clone, Default)]
pub(crate) struct Knobs {
    pub(crate) include_usage: bool,
    pub(crate) obfuscation: bool,
    pub(crate) logprobs: bool,
    pub(crate) top_logprobs: u64,
    pub(crate) choices: u64,
    /// The audio format, when the answer should be spoken.
    pub(crate) audio: Option<String>,
    pub(crate) service_tier: String,
    /// An OpenAI-compatible vendor: shows `reasoning_content`, tolerates unknown fields.
    pub(crate) compat: bool,
}

pub(crate) const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

pub(crate) fn read(body: &Value, seed: &str, compat: bool) -> Result<(Prompt, Knobs), Fail> {
    let mut prompt = Prompt {
        seed: seed.to_owned(),
        parallel: true,
        ..Prompt::default()
    };
    let knobs =
        read_body(body, &mut prompt, compat).map_err(|f| Fail::from_flaw(f, Surface::Chat))?;
    check_turns(body)?;
    if !compat {
        check_model_rules(body, &prompt.model)?;
    }
    Ok((prompt, knobs))
}

fn read_body(body: &Value, p: &mut Prompt, compat: bool) -> Result<Knobs, Flaw> {
    let f = Fields::of(body, "")?;
    p.model = f.need_str("model")?.to_owned();
    p.stream = f.bool("stream")?.unwrap_or(false);
    p.parallel = f.bool("parallel_tool_calls")?.unwrap_or(true);
    p.max_tokens = f.u64("max_completion_tokens")?.or(f.u64("max_tokens")?);
    if p.max_tokens == Some(0) {
        return Err(Flaw::value(
            "max_completion_tokens",
            "Invalid 'max_completion_tokens': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        ));
    }
    p.stop = stops(&f)?;
    p.thinking = match f.one_of("reasoning_effort", &EFFORTS)? {
        None | Some("none") => Thinking::Off,
        Some(_) if compat => Thinking::Shown,
        Some(_) => Thinking::Hidden,
    };
    let mut knobs = Knobs {
        choices: f.u64("n")?.unwrap_or(1).clamp(1, 8),
        logprobs: f.bool("logprobs")?.unwrap_or(false),
        top_logprobs: f.u64("top_logprobs")?.unwrap_or(0),
        service_tier: f
            .str("service_tier")?
            .unwrap_or("default")
            .replace("auto", "default"),
        obfuscation: true,
        compat,
        ..Knobs::default()
    };
    if knobs.top_logprobs > 0 && !knobs.logprobs {
        return Err(Flaw::value(
            "top_logprobs",
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
        ));
    }
    stream_options(&f, p.stream, &mut knobs)?;
    knobs.audio = audio(&f)?;
    p.format = response_format(&f)?;
    tools(&f, p)?;
    p.choice = tool_choice(&f, p)?;
    settings(&f)?;
    let messages = f
        .list("messages")?
        .ok_or_else(|| Flaw::missing("messages"))?;
    if messages.is_empty() {
        return Err(Flaw::value(
            "messages",
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        ));
    }
    for (n, message) in messages.iter().enumerate() {
        read_message(message, format!("messages.{n}"), p)?;
    }
    if !compat {
        f.finish()?;
    }
    Ok(knobs)
}

/// Fields that are checked or known and that change nothing in the fake's answer.
fn settings(f: &Fields<'_>) -> Result<(), Flaw> {
    for key in ["temperature", "frequency_penalty", "presence_penalty"] {
        f.ranged(key, -2.0, 2.0)?;
    }
    f.ranged("top_p", 0.0, 1.0)?;
    f.one_of("verbosity", &["low", "medium", "high"])?;
    f.pass(&[
        "function_call",
        "functions",
        "logit_bias",
        "metadata",
        "moderation",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "seed",
        "store",
        "user",
        "web_search_options",
    ]);
    Ok(())
}

fn stops(f: &Fields<'_>) -> Result<Vec<String>, Flaw> {
    match f.take("stop") {
        None => Ok(Vec::new()),
        Some(Value::String(s)) => Ok(vec![s.clone()]),
        Some(Value::Array(list)) if list.len() <= 4 => Ok(list
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()),
        Some(Value::Array(list)) => Err(Flaw::value(
            "stop",
            format!(
                "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length {} instead.",
                list.len()
            ),
        )),
        Some(other) => Err(Flaw::wrong_type(
            "stop",
            "a string or an array of strings",
            other,
        )),
    }
}

fn stream_options(f: &Fields<'_>, stream: bool, knobs: &mut Knobs) -> Result<(), Flaw> {
    let Some(options) = f.object("stream_options")? else {
        return Ok(());
    };
    if !stream {
        return Err(Flaw::value(
            "stream_options",
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        ));
    }
    knobs.include_usage = options.bool("include_usage")?.unwrap_or(false);
    knobs.obfuscation = options.bool("include_obfuscation")?.unwrap_or(true);
    options.finish()
}

fn audio(f: &Fields<'_>) -> Result<Option<String>, Flaw> {
    let spoken = f
        .list("modalities")?
        .is_some_and(|l| l.iter().any(|m| m == "audio"));
    let Some(audio) = f.object("audio")? else {
        return match spoken {
            true => Err(Flaw::missing("audio")),
            false => Ok(None),
        };
    };
    let format = audio.one_of("format", &["wav", "aac", "mp3", "flac", "opus", "pcm16"])?;
    let format = format.ok_or_else(|| Flaw::missing("audio.format"))?;
    audio.need("voice")?;
    audio.finish()?;
    Ok(spoken.then(|| format.to_owned()))
}

fn response_format(f: &Fields<'_>) -> Result<Format, Flaw> {
    let Some(format) = f.object("response_format")? else {
        return Ok(Format::Text);
    };
    let kind = format.need_str("type")?;
    let out = match kind {
        "text" => Format::Text,
        "json_object" => Format::JsonObject,
        "json_schema" => {
            let spec = format
                .object("json_schema")?
                .ok_or_else(|| Flaw::missing("response_format.json_schema"))?;
            let schema = spec_schema(
                &spec,
                "response_format",
                "response_format.json_schema.schema",
            )?;
            spec.finish()?;
            Format::Schema(schema)
        }
        other => {
            return Err(not_supported(
                "response_format.type",
                other,
                &["text", "json_object", "json_schema"],
            ));
        }
    };
    format.finish()?;
    Ok(out)
}

/// Name, schema and strictness, as both OpenAI surfaces spell them.
pub(crate) fn spec_schema(spec: &Fields<'_>, noun: &str, path: &str) -> Result<Value, Flaw> {
    let name = spec.need_str("name")?;
    let schema = spec.need("schema")?.clone();
    spec.str("description")?;
    if schema.get("type") != Some(&json!("object")) {
        return Err(Flaw::value(
            path,
            format!(
                "Invalid schema for {noun} '{name}': schema must be a JSON Schema of 'type: \"object\"'."
            ),
        ));
    }
    if spec.bool("strict")?.unwrap_or(false)
        && let Some(reason) = schema::strict_refusal(&schema, "()")
    {
        return Err(Flaw::value(
            path,
            format!("Invalid schema for {noun} '{name}': {reason}"),
        ));
    }
    Ok(schema)
}

fn tools(f: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    let Some(list) = f.list("tools")? else {
        return Ok(());
    };
    if list.is_empty() {
        return Err(Flaw::value(
            "tools",
            "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        ));
    }
    for (n, tool) in list.iter().enumerate() {
        let path = format!("tools.{n}");
        let t = Fields::of(tool, path.clone())?;
        let kind = t.need_str("type")?;
        if !["function", "custom"].contains(&kind) {
            return Err(not_supported(t.path("type"), kind, &["function", "custom"]));
        }
        let spec = t.object(kind)?.ok_or_else(|| Flaw::missing(t.path(kind)))?;
        function_spec(&spec, p, kind == "custom")?;
        spec.finish()?;
        t.finish()?;
    }
    Ok(())
}

/// `{name, description, parameters, strict}`, nested in Chat and flat in Responses.
pub(crate) fn function_spec(spec: &Fields<'_>, p: &mut Prompt, custom: bool) -> Result<(), Flaw> {
    let name = spec.need_str("name")?;
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(legal) {
        let path = spec.path("name");
        return Err(Flaw::value(
            path,
            format!(
                "Invalid name '{name}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]{{1,64}}$'."
            ),
        ));
    }
    let description = spec.str("description")?.unwrap_or("");
    let schema = match custom {
        true => {
            spec.pass(&["format"]);
            Value::Null
        }
        false => spec
            .take("parameters")
            .cloned()
            .unwrap_or_else(|| json!({"type": "object", "properties": {}})),
    };
    if !custom {
        let path = spec.path("parameters");
        if schema.get("type") != Some(&json!("object")) {
            return Err(Flaw::value(
                path,
                format!(
                    "Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"', got 'type: {}'.",
                    schema.get("type").unwrap_or(&Value::Null)
                ),
            ));
        }
        if spec.bool("strict")?.unwrap_or(false)
            && let Some(reason) = schema::strict_refusal(&schema, "()")
        {
            return Err(Flaw::value(
                path,
                format!("Invalid schema for function '{name}': {reason}"),
            ));
        }
    }
    p.add_tool(name, description, schema, custom);
    Ok(())
}

fn tool_choice(f: &Fields<'_>, p: &mut Prompt) -> Result<ToolChoice, Flaw> {
    let choice = match f.take("tool_choice") {
        None => return Ok(ToolChoice::Auto),
        Some(Value::String(s)) => match s.as_str() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Any,
            other => {
                return Err(not_supported(
                    "tool_choice",
                    other,
                    &["none", "auto", "required"],
                ));
            }
        },
        Some(object) => named_choice(object, p)?,
    };
    check_choice(&choice, p)?;
    Ok(choice)
}

/// A choice needs tools, and a named one needs that tool.
pub(crate) fn check_choice(choice: &ToolChoice, p: &Prompt) -> Result<(), Flaw> {
    if p.tools.is_empty() && *choice != ToolChoice::None {
        return Err(Flaw::value(
            "tool_choice",
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
        ));
    }
    match choice {
        ToolChoice::Named(name) if !p.tools.iter().any(|t| &t.name == name) => Err(Flaw::value(
            "tool_choice",
            format!("Tool choice '{name}' not found in 'tools' parameter."),
        )),
        ToolChoice::Named(_) | ToolChoice::Auto | ToolChoice::None | ToolChoice::Any => Ok(()),
    }
}

fn named_choice(object: &Value, p: &mut Prompt) -> Result<ToolChoice, Flaw> {
    let c = Fields::of(object, "tool_choice")?;
    let kind = c.need_str("type")?;
    let choice = match kind {
        "function" | "custom" => {
            let inner = c.object(kind)?.ok_or_else(|| Flaw::missing(c.path(kind)))?;
            let name = inner.need_str("name")?.to_owned();
            inner.finish()?;
            ToolChoice::Named(name)
        }
        "allowed_tools" => {
            let inner = c.object(kind)?.ok_or_else(|| Flaw::missing(c.path(kind)))?;
            let mode = inner.one_of("mode", &["auto", "required"])?;
            let tools = inner
                .list("tools")?
                .ok_or_else(|| Flaw::missing("tool_choice.allowed_tools.tools"))?;
            let names: Vec<&str> = tools
                .iter()
                .filter_map(|t| t["function"]["name"].as_str())
                .collect();
            p.tools.retain(|t| names.contains(&t.name.as_str()));
            inner.finish()?;
            if mode == Some("required") {
                ToolChoice::Any
            } else {
                ToolChoice::Auto
            }
        }
        other => {
            return Err(not_supported(
                "tool_choice.type",
                other,
                &["function", "custom", "allowed_tools"],
            ));
        }
    };
    c.finish()?;
    Ok(choice)
}

/// Rules of the reasoning models, which refuse sampling and the older length field.
fn check_model_rules(body: &Value, model: &str) -> Result<(), Fail> {
    if model.contains("no-such") {
        return Err(Fail::new(
            Kind::NotFound,
            format!("The model `{model}` does not exist or you do not have access to it."),
        )
        .code("model_not_found"));
    }
    if !reasons(model) {
        if body.get("reasoning_effort").is_some_and(|v| !v.is_null()) {
            return Err(
                Fail::invalid("Unrecognized request argument supplied: reasoning_effort")
                    .param("reasoning_effort"),
            );
        }
        return Ok(());
    }
    if body.get("max_tokens").is_some_and(|v| !v.is_null()) {
        return Err(Fail::invalid("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.").param("max_tokens").code("unsupported_parameter"));
    }
    for key in ["temperature", "top_p"] {
        if body
            .get(key)
            .and_then(Value::as_f64)
            .is_some_and(|t| t != 1.0)
        {
            return Err(Fail::invalid(format!("Unsupported value: '{key}' does not support {} with this model. Only the default (1) value is supported.", body[key])).param(key).code("unsupported_value"));
        }
    }
    Ok(())
}

/// True for OpenAI's reasoning families.
pub(crate) fn reasons(model: &str) -> bool {
    ["o1", "o3", "o4", "gpt-5", "gpt-6"]
        .iter()
        .any(|p| model.starts_with(p))
}
