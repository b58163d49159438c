//! A request as leaves. Every field is named by a pattern without `..`, so a
//! new field of the contract does not compile until it has a leaf here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::chat::{
    CacheMark, CacheTtl, Chat, Media, OutputFormat, Part, PartKind, Reasoning, Role, Sampling,
    Signature, Tool, ToolCall, ToolChoice, ToolKind, ToolResult, Turn,
};
use contract::request::Embed;
use contract::{Request, Task};
use serde_json::Value;

use crate::account::Leaf;
use crate::answer_leaves::citation;

/// Losses that name the place of a part.
pub(crate) const PLACE: &[&str] = &["messages[", "input[", "contents[", "content", "system["];

/// What is compared beyond content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything: the copy is in the same dialect.
    Own,
    /// Content: ids of items and the like belong to one vendor.
    Foreign,
}

pub(crate) fn leaves(request: &Request, scope: Scope) -> Vec<Leaf> {
    let mut out = Vec::new();
    for (name, value) in &request.extras.fields {
        let name: &'static str = leak(name);
        out.push(Leaf::new(
            format!("extra {name}={}", compact(value.as_str())),
            leak_names(&[name, name.rsplit('.').next().unwrap_or(name)]),
        ));
    }
    match &request.task {
        Task::Chat(chat) | Task::CountTokens(chat) => chat_leaves(chat, scope, &mut out),
        Task::Embed(embed) => embed_leaves(embed, &mut out),
    }
    out
}

/// Names of extras are data of the caller; a test may keep them for good.
fn leak(text: &str) -> &'static str {
    Box::leak(text.to_lowercase().replace('_', "").into_boxed_str())
}

fn leak_names(names: &[&'static str]) -> &'static [&'static str] {
    Box::leak(names.to_vec().into_boxed_slice())
}

/// JSON without white space and with sorted keys, so that spelling does not
/// count; any other text as it is.
pub(crate) fn compact(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(value) => value.to_string(),
        Err(_) => text.to_owned(),
    }
}

fn chat_leaves(chat: &Chat, scope: Scope, out: &mut Vec<Leaf>) {
    let Chat {
        turns,
        tools,
        tool_choice,
        parallel_tool_calls,
        format,
        output_tokens_max,
        stop,
        n,
        sampling,
        reasoning,
        logprobs,
        modalities,
        audio_out,
        user,
        metadata,
        service_tier,
        prompt_cache_key,
        verbosity,
        stream_usage,
        cache,
        store,
        reasoning_sealed,
    } = chat;
    turns.iter().for_each(|turn| turn_leaves(turn, scope, out));
    tools.iter().for_each(|tool| tool_leaves(tool, out));
    choice_leaves(tool_choice.as_ref(), out);
    format_leaves(format, out);
    sampling_leaves(sampling, out);
    reasoning_leaves(reasoning.as_ref(), scope, out);
    let mut add = |name: &str, value: Option<String>, names: &'static [&'static str]| {
        out.extend(value.map(|value| Leaf::new(format!("{name}={value}"), names)));
    };
    // Parallel calls are every vendor's default: only `false` says something.
    let parallel = parallel_tool_calls.filter(|on| !on || scope == Scope::Own);
    add("parallel", show(parallel), &["parallel"]);
    add("output_tokens_max", show(*output_tokens_max), &["max"]);
    add("n", show(n.filter(|n| *n > 1)), &["n", "candidatecount"]);
    add("logprobs", show(*logprobs), &["logprobs"]);
    // Text is what everyone answers with.
    let modalities: Vec<_> = modalities.iter().filter(|word| *word != "text").collect();
    let modalities = (!modalities.is_empty()).then(|| format!("{modalities:?}"));
    add("modalities", modalities, &["modalities"]);
    let audio = audio_out.as_ref().map(|raw| compact(raw.as_str()));
    add("audio_out", audio, &["audio", "speech"]);
    add("user", user.clone(), &["user", "safetyidentifier"]);
    for (key, value) in metadata {
        add("metadata", Some(format!("{key}:{value}")), &["metadata"]);
    }
    // `auto` leaves it to the vendor, as saying nothing does.
    let tier = service_tier.clone();
    let tier = tier.filter(|word| word != "auto" || scope == Scope::Own);
    add("service_tier", tier, &["tier"]);
    add(
        "prompt_cache_key",
        prompt_cache_key.clone(),
        &["promptcachekey"],
    );
    add("verbosity", verbosity.clone(), &["verbosity"]);
    add(
        "cache top",
        cache.map(|CacheMark { ttl }| format!("{ttl:?}")),
        &["cache"],
    );
    if scope == Scope::Own {
        add("stream_usage", stream_usage.then(String::new), &[]);
        add("reasoning_sealed", reasoning_sealed.then(String::new), &[]);
        add("store", show(*store), &[]);
    } else {
        // A target that keeps nothing satisfies `false`.
        add("store", show(store.filter(|kept| *kept)), &["store"]);
    }
    for word in stop {
        out.push(Leaf::new(format!("stop={word}"), &["stop"]));
    }
}

fn show<T: ToString>(value: Option<T>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn turn_leaves(turn: &Turn, scope: Scope, out: &mut Vec<Leaf>) {
    let Turn { role, parts, name } = turn;
    let role = match role {
        // The newer name of the same thing, which most vendors do not have.
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    if let Some(name) = name {
        out.push(Leaf::new(format!("turn name={name}"), &["name"]));
    }
    for part in parts {
        part_leaves(part, role, scope, out);
    }
}

/// The leaves of a part in the mouth of `role`.
pub(crate) fn part_leaves(part: &Part, role: &str, scope: Scope, out: &mut Vec<Leaf>) {
    let Part {
        kind,
        cache,
        signature,
        id,
    } = part;
    let from = out.len();
    kind_leaves(kind, signature.as_ref(), role, scope, out);
    let what = out.get(from).map_or(String::new(), |leaf| {
        leaf.fact.chars().take(40).collect::<String>()
    });
    if let Some(CacheMark { ttl }) = cache {
        // Five minutes are the default of those who know a time at all.
        let ttl = match ttl {
            CacheTtl::Minutes5 if scope == Scope::Foreign => CacheTtl::Default,
            CacheTtl::Default | CacheTtl::Minutes5 | CacheTtl::Hour1 => *ttl,
        };
        let lost: &[&'static str] = match kind {
            PartKind::Opaque { what, .. } => &["cache", leak(what)],
            _ => &["cache"],
        };
        let lost = leak_names(lost);
        out.push(Leaf::new(format!("cache {ttl:?} on {what}"), lost));
    }
    if let Some(id) = id
        && scope == Scope::Own
    {
        out.push(Leaf::new(format!("id {id} on {what}"), &[]));
    }
}

fn kind_leaves(
    kind: &PartKind,
    signature: Option<&Signature>,
    role: &str,
    scope: Scope,
    out: &mut Vec<Leaf>,
) {
    match kind {
        PartKind::Text { text, citations } => {
            if !text.is_empty() {
                out.push(Leaf::within(format!("text {role}|{text}"), &[]));
            }
            out.extend(citations.iter().map(citation));
        }
        PartKind::Image { source, detail } => {
            let source = media(source);
            if let Some(detail) = detail.as_ref().filter(|word| *word != "auto") {
                out.push(Leaf::new(
                    format!("detail {detail} of {source}"),
                    &["detail"],
                ));
            }
            out.push(Leaf::anywhere(format!("image|{source}"), PLACE));
        }
        PartKind::Audio { source, transcript } => {
            let data = media(source);
            out.push(Leaf::anywhere(
                format!("audio|{data}"),
                &["audio", "messages["],
            ));
            if let Some(transcript) = transcript {
                const NAMES: &[&str] = &["audio", "media", "messages["];
                out.push(Leaf::within(format!("text {role}|{transcript}"), NAMES));
            }
        }
        PartKind::File {
            source,
            name,
            citations,
            context,
        } => {
            let data = media(source);
            out.push(Leaf::anywhere(format!("file|{data}"), PLACE));
            if let Some(name) = name {
                let stem = name.split(['.', '-']).next().unwrap_or(name);
                out.push(Leaf::anywhere(
                    format!("file name|{stem}"),
                    &["name", "title"],
                ));
            }
            if *citations {
                out.push(Leaf::new(format!("citations of {data}"), &["citation"]));
            }
            if let Some(context) = context {
                out.push(Leaf::anywhere(format!("context|{context}"), &["context"]));
            }
        }
        PartKind::Thinking { text } => {
            const NAMES: &[&str] = &["thinking", "reasoning", "thought", "messages[", "input["];
            if !text.is_empty() {
                out.push(Leaf::within(format!("thinking|{text}"), NAMES));
            }
        }
        PartKind::RedactedThinking => {}
        PartKind::ToolCall(call) => call_leaves(call, out),
        PartKind::ToolResult(result) => result_leaves(result, scope, out),
        PartKind::Refusal { text } => {
            // Few vendors tell a refusal from text.
            out.push(Leaf::within(format!("text {role}|{text}"), &["refusal"]));
        }
        PartKind::Opaque {
            dialect,
            what,
            json,
        } => {
            let fact = format!("opaque {dialect} {}", compact(json.as_str()));
            let names = [PLACE, &[leak(what)]].concat();
            out.push(Leaf::new(fact, names.leak()));
        }
    }
    // What Gemini takes instead of a signature that nobody has.
    let real = signature.filter(|it| it.value != "skip_thought_signature_validator");
    if let Some(Signature { dialect, value }) = real {
        const NAMES: &[&str] = &[
            "signature",
            "thinking",
            "reasoning",
            "thought",
            "messages[",
            "input[",
            "content",
        ];
        out.push(Leaf::new(format!("signature {dialect} {value}"), NAMES));
    }
}

fn media(source: &Media) -> String {
    match source {
        // Text is a document of its own kind at some vendors.
        Media::Base64 { mime, data } if mime == "text/plain" => STANDARD
            .decode(data)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .unwrap_or_else(|| data.clone()),
        Media::Base64 { mime: _, data } => data.clone(),
        Media::Url { url, mime: _ } => url.clone(),
        Media::Id {
            dialect,
            id,
            mime: _,
        } => format!("{dialect} {id}"),
        Media::Text { text } => text.clone(),
    }
}

fn call_leaves(call: &ToolCall, out: &mut Vec<Leaf>) {
    let ToolCall {
        id,
        name,
        arguments,
        custom,
    } = call;
    let arguments = compact(arguments);
    if *custom || serde_json::from_str::<Value>(&arguments).is_err() {
        // Free text, and what was cut off, becomes the one argument where tools
        // take objects only.
        out.push(Leaf::within(
            format!("calls|{id} {name} {}", Value::from(arguments.as_str())),
            &[],
        ));
        return;
    }
    // What a custom call becomes compares with the call itself.
    let free = serde_json::from_str::<Value>(&arguments).ok();
    let free = free.as_ref().and_then(|value| {
        let members = value.as_object()?;
        let only = members.len() == 1;
        only.then(|| members.get("input")).flatten()?.as_str()
    });
    let shown = free.map_or(arguments.clone(), |text| {
        format!("{} {arguments}", Value::from(text))
    });
    out.push(Leaf::within(format!("calls|{id} {name} {shown}"), &[]));
}

fn result_leaves(result: &ToolResult, scope: Scope, out: &mut Vec<Leaf>) {
    let ToolResult {
        call_id,
        name,
        parts,
        json,
        is_error,
        custom,
    } = result;
    out.push(Leaf::new(format!("result of {call_id}"), &[]));
    for part in parts {
        match &part.kind {
            PartKind::Text { text, .. } if !text.is_empty() => {
                out.push(Leaf::within(format!("result text|{}", loose(text)), &[]));
            }
            _ => part_leaves(part, "user", scope, out),
        }
    }
    if let Some(json) = json {
        out.push(Leaf::within(
            format!("result text|{}", loose(json.as_str())),
            &[],
        ));
    }
    if *is_error {
        out.push(Leaf::new(format!("error of {call_id}"), &["error"]));
    }
    if scope == Scope::Own {
        out.push(Leaf::new(format!("name {name:?} of {call_id}"), &[]));
        out.push(Leaf::new(format!("custom {custom} of {call_id}"), &[]));
    }
}

/// A result as text, whether a vendor takes it as text or as JSON: letters
/// and digits only, since text inside JSON is escaped.
fn loose(text: &str) -> String {
    let plain = match serde_json::from_str::<Value>(text) {
        Ok(Value::String(inner)) => inner,
        Ok(other) => other.to_string(),
        Err(_) => text.to_owned(),
    };
    plain
        .replace("\\n", "")
        .chars()
        .filter(|c| c.is_alphanumeric())
        .collect()
}

fn tool_leaves(tool: &Tool, out: &mut Vec<Leaf>) {
    let Tool {
        name,
        description,
        kind,
        strict,
        cache,
    } = tool;
    match kind {
        ToolKind::Function { schema } => {
            out.push(Leaf::new(format!("tool {name}"), &[]));
            if let Some(schema) = schema {
                let fact = format!("schema of {name}={}", compact(schema.as_str()));
                out.push(Leaf::new(fact, &["schema", "parameters", "tools["]));
            }
        }
        ToolKind::Custom { format } => {
            out.push(Leaf::new(format!("tool {name}"), &[]));
            if let Some(format) = format {
                let fact = format!("grammar of {name}={:?}", words(format.as_str()));
                out.push(Leaf::new(fact, &["format", "grammar", "tools["]));
            }
        }
        ToolKind::Hosted { dialect, json } => {
            let fact = format!("hosted {dialect} {}", compact(json.as_str()));
            out.push(Leaf::new(fact, &["tools"]));
        }
    }
    if let Some(description) = description.as_ref().filter(|text| !text.is_empty()) {
        out.push(Leaf::within(
            format!("description of {name}|{description}"),
            &["tools["],
        ));
    }
    if *strict == Some(true) {
        out.push(Leaf::new(format!("strict {name}"), &["strict"]));
    }
    if let Some(CacheMark { ttl }) = cache {
        out.push(Leaf::new(
            format!("cache {ttl:?} on tool {name}"),
            &["cache"],
        ));
    }
}

/// The longer strings of a JSON text, sorted: what a grammar says, however
/// it is nested.
fn words(json: &str) -> Vec<String> {
    fn gather(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) => found.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
            Value::Object(members) => members.values().for_each(|item| gather(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut found = Vec::new();
    gather(&serde_json::from_str(json).unwrap_or_default(), &mut found);
    found.sort();
    found
}

fn choice_leaves(choice: Option<&ToolChoice>, out: &mut Vec<Leaf>) {
    const NAMES: &[&str] = &["toolchoice", "toolconfig", "functioncalling"];
    match choice {
        // What happens anyway.
        None | Some(ToolChoice::Auto) => {}
        Some(ToolChoice::None) => out.push(Leaf::new("choice none", NAMES)),
        Some(ToolChoice::Required) => out.push(Leaf::new("choice required", NAMES)),
        Some(ToolChoice::Tool { name }) => {
            out.push(Leaf::new(format!("choice {name}"), NAMES));
        }
        Some(ToolChoice::Allowed { names, required }) => {
            // One allowed tool that must be called is that tool.
            match (names.as_slice(), required) {
                ([name], true) => out.push(Leaf::new(format!("choice {name}"), NAMES)),
                _ => out.push(Leaf::new(
                    format!("choice of {names:?} required {required}"),
                    NAMES,
                )),
            }
        }
    }
}

fn format_leaves(format: &OutputFormat, out: &mut Vec<Leaf>) {
    const NAMES: &[&str] = &["format", "schema"];
    match format {
        OutputFormat::Text => {}
        OutputFormat::JsonObject => out.push(Leaf::new("format json object", NAMES)),
        OutputFormat::JsonSchema {
            name: _,
            description,
            schema,
            strict: _,
        } => {
            // The name and `strict` are knobs of one family of vendors.
            let schema = compact(schema.as_str());
            out.push(Leaf::new(format!("format {schema}"), NAMES));
            if let Some(text) = description {
                out.push(Leaf::new(format!("format is for {text}"), NAMES));
            }
        }
    }
}

fn sampling_leaves(sampling: &Sampling, out: &mut Vec<Leaf>) {
    let Sampling {
        temperature,
        top_p,
        top_k,
        frequency_penalty,
        presence_penalty,
        seed,
        logit_bias,
    } = sampling;
    let mut add = |name: &str, value: Option<String>, names: &'static [&'static str]| {
        out.extend(value.map(|value| Leaf::new(format!("{name}={value}"), names)));
    };
    add("temperature", show(*temperature), &["temperature"]);
    add("top_p", show(*top_p), &["topp"]);
    add("top_k", show(*top_k), &["topk"]);
    add(
        "frequency_penalty",
        show(*frequency_penalty),
        &["frequencypenalty"],
    );
    add(
        "presence_penalty",
        show(*presence_penalty),
        &["presencepenalty"],
    );
    add("seed", show(*seed), &["seed"]);
    let bias = logit_bias.as_ref().map(|raw| compact(raw.as_str()));
    add("logit_bias", bias, &["logitbias"]);
}

/// Reasoning by its strength, since some vendors know budgets, some efforts
/// and some only on and off.
fn reasoning_leaves(reasoning: Option<&Reasoning>, scope: Scope, out: &mut Vec<Leaf>) {
    use contract::chat::{Effort, ReasoningMode};
    const NAMES: &[&str] = &["reasoning", "thinking", "effort"];
    let Some(Reasoning {
        mode,
        effort,
        budget_tokens,
        summary,
    }) = reasoning
    else {
        return;
    };
    if scope == Scope::Own {
        out.push(Leaf::new(format!("{reasoning:?}"), &[]));
        return;
    }
    let off = *mode == Some(ReasoningMode::Disabled)
        || *effort == Some(Effort::None)
        || *budget_tokens == Some(0);
    if off {
        out.push(Leaf::new("reasoning off", NAMES));
        return;
    }
    // Adaptive without more leaves it to the model, as saying nothing does.
    let asks = *mode == Some(ReasoningMode::Enabled);
    if asks || effort.is_some() || budget_tokens.is_some() {
        out.push(Leaf::new("reasoning on", NAMES));
    }
    if let Some(effort) = effort.or(budget_tokens.map(Effort::from_budget)) {
        out.push(Leaf::new(format!("effort {effort:?}"), NAMES));
    }
    if let Some(word) = summary {
        out.push(Leaf::new(format!("summary {}", word != "none"), NAMES));
    }
}

fn embed_leaves(embed: &Embed, out: &mut Vec<Leaf>) {
    let Embed {
        inputs,
        dimensions,
        base64: _,
        purpose,
        title,
        user,
        batch: _,
    } = embed;
    for input in inputs {
        out.push(Leaf::new(format!("{input:?}"), &[]));
    }
    let mut add = |name: &str, value: Option<String>, names: &'static [&'static str]| {
        out.extend(value.map(|value| Leaf::new(format!("{name}={value}"), names)));
    };
    add("dimensions", show(*dimensions), &["dimension"]);
    add("purpose", purpose.clone(), &["purpose", "tasktype"]);
    add("title", title.clone(), &["title"]);
    add("user", user.clone(), &["user"]);
}
