//! Gemini `generateContent` as the vendor reads it: protobuf JSON (camel or snake case), function
//! answers matched to calls, thought signatures checked.
//!
//! Field names follow `google-genai` 3.4 (`types.py`, `models.py` converters for the Gemini API).

use super::fail::{Fail, Kind};
use super::prompt::{Format, Prompt, Surface, Thinking, ToolChoice, ToolResult};
use super::seal;
use super::strict::{Fields, Flaw};
use serde_json::{Value, json};

/// What shapes a Gemini answer and nothing else.
#[derive(Debug, Clone, Default)]
pub(crate) struct Knobs {
    pub(crate) logprobs: bool,
    pub(crate) top_logprobs: u64,
    pub(crate) candidates: u64,
    /// `responseModalities` has IMAGE.
    pub(crate) image: bool,
}

/// Strings that Google documents as placeholders where no signature exists.
const PLACEHOLDERS: [&str; 2] = [
    "context_engineering_is_the_way_to_go",
    "skip_thought_signature_validator",
];

pub(crate) fn read(body: &Value, model: &str, seed: &str) -> Result<(Prompt, Knobs), Fail> {
    let mut prompt = Prompt {
        model: model.to_owned(),
        seed: seed.to_owned(),
        parallel: true,
        ..Prompt::default()
    };
    if model.contains("no-such") {
        return Err(Fail::new(
            Kind::NotFound,
            format!(
                "models/{model} is not found for API version v1beta, or is not supported for generateContent. Call ListModels to see the list of available models and their supported methods."
            ),
        ));
    }
    let f = Fields::proto(body, "").map_err(|f| Fail::from_flaw(f, Surface::Gemini))?;
    let knobs = read_body(f, &mut prompt).map_err(|f| Fail::from_flaw(f, Surface::Gemini))?;
    check_turns(body)?;
    check_signatures(body, model)?;
    Ok((prompt, knobs))
}

fn read_body(f: Fields<'_>, p: &mut Prompt) -> Result<Knobs, Flaw> {
    let knobs = generation(&f, p)?;
    tools(&f, p)?;
    tool_config(&f, p)?;
    if let Some(system) = f.object("systemInstruction")? {
        system.str("role")?;
        for part in system.list("parts")?.unwrap_or_default() {
            let part = Fields::proto(part, system.path("parts"))?;
            p.hear_system(part.need_str("text")?);
            part.finish()?;
        }
        system.finish()?;
    }
    f.pass(&[
        "safetySettings",
        "cachedContent",
        "labels",
        "serviceTier",
        "store",
        "continuationToken",
        "model",
    ]);
    let contents = f.list("contents")?.unwrap_or_default();
    if contents.is_empty() {
        return Err(Flaw::value("contents", "contents is not specified"));
    }
    for (n, content) in contents.iter().enumerate() {
        read_content(content, format!("contents.{n}"), p)?;
    }
    f.finish()?;
    Ok(knobs)
}

fn generation(f: &Fields<'_>, p: &mut Prompt) -> Result<Knobs, Flaw> {
    // The 2.5 and 3 families think unless told not to.
    let thinks = ["gemini-2.5", "gemini-3", "gemini-4"]
        .iter()
        .any(|m| p.model.starts_with(m));
    p.thinking = if thinks {
        Thinking::Hidden
    } else {
        Thinking::Off
    };
    let Some(g) = f.object("generationConfig")? else {
        return Ok(Knobs {
            candidates: 1,
            ..Knobs::default()
        });
    };
    p.max_tokens = g.u64("maxOutputTokens")?;
    for stop in g.list("stopSequences")?.unwrap_or_default() {
        p.stop.extend(stop.as_str().map(str::to_owned));
    }
    g.ranged("temperature", 0.0, 2.0)?;
    g.ranged("topP", 0.0, 1.0)?;
    g.f64("topK")?;
    g.f64("presencePenalty")?;
    g.f64("frequencyPenalty")?;
    g.take("seed");
    let modalities = g.list("responseModalities")?.unwrap_or_default();
    let knobs = Knobs {
        logprobs: g.bool("responseLogprobs")?.unwrap_or(false),
        top_logprobs: g.u64("logprobs")?.unwrap_or(0),
        candidates: g.u64("candidateCount")?.unwrap_or(1).clamp(1, 8),
        image: modalities.iter().any(|m| m == "IMAGE"),
    };
    response_format(&g, p)?;
    if let Some(t) = g.object("thinkingConfig")? {
        let (budget, level) = (t.take("thinkingBudget"), t.str("thinkingLevel")?);
        if budget.is_some() && level.is_some() {
            return Err(Flaw::value(
                "generation_config.thinking_config",
                "You can only set only one of thinking budget and thinking level.",
            ));
        }
        let off = budget.and_then(Value::as_i64) == Some(0);
        p.thinking = match (off, t.bool("includeThoughts")?.unwrap_or(false)) {
            (true, _) => Thinking::Off,
            (false, true) => Thinking::Shown,
            (false, false) => Thinking::Hidden,
        };
        t.finish()?;
    }
    g.pass(&[
        "speechConfig",
        "mediaResolution",
        "imageConfig",
        "enableEnhancedCivicAnswers",
        "responseFormat",
        "audioTranscriptionConfig",
        "translationConfig",
        "enableAffectiveDialog",
    ]);
    g.finish()?;
    Ok(knobs)
}

fn response_format(g: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    let mime = g.str("responseMimeType")?.unwrap_or("text/plain");
    let (schema, json_schema) = (g.take("responseSchema"), g.take("responseJsonSchema"));
    if schema.is_some() && json_schema.is_some() {
        return Err(Flaw::value(
            "generation_config.response_json_schema",
            "response_schema must be omitted when response_json_schema is set",
        ));
    }
    if let Some(schema) = schema {
        check_schema(schema, "generation_config.response_schema")?;
    }
    match schema.or(json_schema) {
        Some(_) if mime != "application/json" => Err(Flaw::value(
            "generation_config.response_schema",
            format!(
                "response schema is only supported with response_mime_type application/json, got {mime}"
            ),
        )),
        Some(s) => {
            p.format = Format::Schema(s.clone());
            Ok(())
        }
        None => {
            if mime == "application/json" {
                p.format = Format::JsonObject;
            }
            Ok(())
        }
    }
}

/// `Schema` is a message of its own: an OpenAPI subset that knows no `additionalProperties: false`
/// keywords beyond the fields listed.
fn check_schema(schema: &Value, path: &str) -> Result<(), Flaw> {
    let f = Fields::proto(schema, path)?;
    f.pass(&[
        "type",
        "format",
        "title",
        "description",
        "nullable",
        "enum",
        "maxItems",
        "minItems",
        "required",
        "minProperties",
        "maxProperties",
        "minLength",
        "maxLength",
        "pattern",
        "example",
        "propertyOrdering",
        "default",
        "minimum",
        "maximum",
        "additionalProperties",
        "defs",
        "ref",
        "$defs",
        "$ref",
    ]);
    if let Some(kind) = f.take("type")
        && !kind.is_string()
    {
        return Err(Flaw::value(
            f.path("type"),
            "Proto field is not repeating, cannot start list.",
        ));
    }
    if let Some(Value::Object(properties)) = f.take("properties") {
        for (name, sub) in properties {
            check_schema(sub, &format!("{path}.properties.{name}"))?;
        }
    }
    if let Some(items) = f.take("items") {
        check_schema(items, &format!("{path}.items"))?;
    }
    for option in f.list("anyOf")?.unwrap_or_default() {
        check_schema(option, &format!("{path}.any_of"))?;
    }
    f.finish()
}

fn tools(f: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    for (n, tool) in f.list("tools")?.unwrap_or_default().iter().enumerate() {
        let t = Fields::proto(tool, format!("tools.{n}"))?;
        t.pass(&[
            "googleSearch",
            "googleSearchRetrieval",
            "codeExecution",
            "urlContext",
            "computerUse",
            "fileSearch",
            "googleMaps",
            "mcpServers",
        ]);
        for (i, declared) in t
            .list("functionDeclarations")?
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
            let d = Fields::proto(declared, t.path(&format!("function_declarations.{i}")))?;
            let name = d.need_str("name")?;
            let (plain, json_schema) = (d.take("parameters"), d.take("parametersJsonSchema"));
            if plain.is_some() && json_schema.is_some() {
                return Err(Flaw::value(
                    d.path("parameters_json_schema"),
                    "parameters must be omitted when parameters_json_schema is set",
                ));
            }
            if let Some(schema) = plain {
                check_schema(schema, &d.path("parameters"))?;
            }
            let schema = plain
                .or(json_schema)
                .cloned()
                .unwrap_or_else(|| json!({"type": "object"}));
            p.add_tool(name, d.str("description")?.unwrap_or(""), schema, false);
            d.pass(&["response", "responseJsonSchema", "behavior"]);
            d.finish()?;
        }
        t.finish()?;
    }
    Ok(())
}

fn tool_config(f: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    let Some(config) = f.object("toolConfig")? else {
        return Ok(());
    };
    config.pass(&["retrievalConfig", "includeServerSideToolInvocations"]);
    if let Some(c) = config.object("functionCallingConfig")? {
        c.pass(&["streamFunctionCallArguments"]);
        let mode = c.str("mode")?.unwrap_or("AUTO").to_uppercase();
        let allowed: Vec<&str> = c
            .list("allowedFunctionNames")?
            .unwrap_or_default()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        if !allowed.is_empty() && !["ANY", "VALIDATED"].contains(&mode.as_str()) {
            return Err(Flaw::value(
                c.path("allowed_function_names"),
                "allowed_function_names should only be set when mode is ANY or VALIDATED",
            ));
        }
        if !allowed.is_empty() {
            p.tools.retain(|t| allowed.contains(&t.name.as_str()));
        }
        p.choice = match mode.as_str() {
            "ANY" => ToolChoice::Any,
            "NONE" => ToolChoice::None,
            "AUTO" | "VALIDATED" | "MODE_UNSPECIFIED" => ToolChoice::Auto,
            other => return Err(Flaw::value(c.path("mode"), format!("\"{other}\""))),
        };
        if p.choice == ToolChoice::Any && p.tools.is_empty() {
            return Err(Flaw::value(
                "tool_config",
                "Function calling config is set without function_declarations.",
            ));
        }
        c.finish()?;
    }
    config.finish()
}

fn read_content(content: &Value, path: String, p: &mut Prompt) -> Result<(), Flaw> {
    let c = Fields::proto(content, path)?;
    let role = c.str("role")?.unwrap_or("user");
    let parts = c.list("parts")?.unwrap_or_default();
    if parts.is_empty() {
        return Err(Flaw::value(
            c.path("parts"),
            "contents.parts must not be empty.",
        ));
    }
    match role {
        "user" | "function" => {
            let answers = parts
                .iter()
                .any(|x| part_field(x, "functionResponse").is_some());
            match answers {
                true => p.turns += 1,
                false => p.open_user(),
            }
        }
        "model" => p.open_assistant(),
        _ => {
            return Err(Flaw::value(
                c.path("role"),
                "Please use a valid role: user, model.",
            ));
        }
    }
    for (n, part) in parts.iter().enumerate() {
        read_part(part, c.path(&format!("parts.{n}")), role == "model", p)?;
    }
    c.finish()
}

fn read_part(part: &Value, path: String, from_model: bool, p: &mut Prompt) -> Result<(), Flaw> {
    let f = Fields::proto(part, path)?;
    let thought = f.bool("thought")?.unwrap_or(false);
    f.pass(&[
        "thoughtSignature",
        "videoMetadata",
        "mediaResolution",
        "partMetadata",
        "mediaProcessing",
        "speechMetadata",
        "documentMetadata",
        "spreadsheetMetadata",
        "audioMetadata",
        "audioTranscription",
        "executableCode",
        "codeExecutionResult",
        "toolCall",
        "toolResponse",
    ]);
    match f.str("text")? {
        Some(_) if thought => {}
        Some(text) if from_model => p.hear(text),
        Some(text) => p.hear_user(text),
        None => {}
    }
    if let Some(blob) = f.object("inlineData")? {
        inline(&blob, p, false)?;
        blob.finish()?;
    }
    if let Some(file) = f.object("fileData")? {
        let mime = file.str("mimeType")?.unwrap_or("");
        file.str("displayName")?;
        p.see_reference(kind_of(mime), file.need_str("fileUri")?, false);
        file.finish()?;
    }
    if let Some(call) = f.object("functionCall")? {
        call.need_str("name")?;
        call.pass(&["id", "partialArgs", "willContinue"]);
        let args = call.take("args").unwrap_or(&Value::Null);
        if !args.is_null() && !args.is_object() {
            return Err(Flaw::value(
                call.path("args"),
                "Starting an object on a scalar field",
            ));
        }
        p.hear(&args.to_string());
        call.finish()?;
    }
    if let Some(answer) = f.object("functionResponse")? {
        function_response(&answer, p)?;
        answer.finish()?;
    }
    f.finish()
}

fn function_response(answer: &Fields<'_>, p: &mut Prompt) -> Result<(), Flaw> {
    let name = answer.need_str("name")?;
    let call_id = answer.str("id")?.unwrap_or(name).to_owned();
    answer.pass(&["willContinue", "scheduling"]);
    let response = answer.need("response")?;
    let Value::Object(map) = response else {
        return Err(Flaw::value(
            answer.path("response"),
            format!("Starting an object on a scalar field, {response}"),
        ));
    };
    for (n, part) in answer.list("parts")?.unwrap_or_default().iter().enumerate() {
        let f = Fields::proto(part, answer.path(&format!("parts.{n}")))?;
        if let Some(blob) = f.object("inlineData")? {
            inline(&blob, p, true)?;
            blob.finish()?;
        }
        f.pass(&[
            "fileData",
            "mediaProcessing",
            "mediaResolution",
            "videoMetadata",
        ]);
        f.finish()?;
    }
    let said = map
        .get("output")
        .or(map.get("result"))
        .or(map.get("error"))
        .unwrap_or(response);
    let text = said
        .as_str()
        .map_or_else(|| said.to_string(), str::to_owned);
    p.hear_result(ToolResult {
        call_id,
        text,
        is_error: map.contains_key("error"),
    });
    Ok(())
}

fn inline(blob: &Fields<'_>, p: &mut Prompt, from_tool: bool) -> Result<(), Flaw> {
    let mime = blob.need_str("mimeType")?;
    blob.str("displayName")?;
    let data = blob.need_str("data")?;
    p.see(kind_of(mime), mime, data, from_tool)
        .map_err(|e| Flaw::value(blob.path("data"), e))
}

fn kind_of(mime: &str) -> &'static str {
    match mime.split('/').next() {
        Some("image") => "image",
        Some("audio") => "audio",
        Some("video") => "video",
        _ => "file",
    }
}

/// A part's field in either spelling.
fn part_field<'a>(part: &'a Value, camel: &str) -> Option<&'a Value> {
    let snake = match camel {
        "functionCall" => "function_call",
        "functionResponse" => "function_response",
        "thoughtSignature" => "thought_signature",
        other => other,
    };
    part.get(camel).or(part.get(snake)).filter(|v| !v.is_null())
}

fn parts_with<'a>(content: &'a Value, camel: &str) -> Vec<&'a Value> {
    content["parts"]
        .as_array()
        .map(|l| l.iter().filter_map(|x| part_field(x, camel)).collect())
        .unwrap_or_default()
}

/// Calls come after a user turn, and each is answered in the very next turn.
fn check_turns(body: &Value) -> Result<(), Fail> {
    let contents = body["contents"].as_array().cloned().unwrap_or_default();
    for (n, content) in contents.iter().enumerate() {
        let answers = parts_with(content, "functionResponse").len();
        let calls_before = n
            .checked_sub(1)
            .map_or(0, |i| parts_with(&contents[i], "functionCall").len());
        if answers != calls_before && (answers > 0 || calls_before > 0) {
            return Err(Fail::invalid(
                "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
            ));
        }
        let calls = parts_with(content, "functionCall").len();
        if calls > 0 && (n == 0 || contents[n - 1]["role"] == "model") {
            return Err(Fail::invalid(
                "Please ensure that function call turn comes immediately after a user turn or after a function response turn.",
            ));
        }
    }
    let unanswered = contents
        .last()
        .is_some_and(|c| !parts_with(c, "functionCall").is_empty());
    match unanswered {
        true => Err(Fail::invalid(
            "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
        )),
        false => Ok(()),
    }
}

/// A signature that is present must be ours; the 3 family demands one on the first call of a turn.
fn check_signatures(body: &Value, model: &str) -> Result<(), Fail> {
    let demanded = ["gemini-3", "gemini-4"]
        .iter()
        .any(|m| model.starts_with(m));
    for (n, content) in body["contents"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let mut first_call = true;
        for (i, part) in content["parts"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            let sealed = part_field(part, "thoughtSignature").and_then(Value::as_str);
            if let Some(s) = sealed
                && !PLACEHOLDERS.contains(&s)
                && !ours(s)
            {
                return Err(Fail::new(Kind::Tampered, "Thought signature is not valid."));
            }
            if part_field(part, "functionCall").is_some()
                && std::mem::take(&mut first_call)
                && demanded
                && sealed.is_none()
            {
                return Err(Fail::new(
                    Kind::Tampered,
                    format!(
                        "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call `default_api:{}` , position {}.",
                        part_field(part, "functionCall")
                            .and_then(|c| c["name"].as_str())
                            .unwrap_or(""),
                        n + i + 1
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// Protobuf JSON accepts both base64 alphabets for bytes, and the SDK sends the URL-safe one.
fn ours(sealed: &str) -> bool {
    seal::is_ours(
        Surface::Gemini.seal_name(),
        &sealed.replace('-', "+").replace('_', "/"),
    )
}
