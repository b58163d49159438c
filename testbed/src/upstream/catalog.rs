//! Models and embeddings: the small surfaces that need no mind.

use super::fail::{Fail, Kind};
use super::prompt::Surface;
use super::strict::{Fields, Flaw};
use super::{CREATED, tokens};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const OPENAI: [&str; 5] = [
    "gpt-5.5",
    "gpt-4.1",
    "gpt-4o-mini",
    "o4-mini",
    "text-embedding-3-small",
];
const ANTHROPIC: [&str; 3] = ["claude-opus-4-8", "claude-sonnet-4-5", "claude-haiku-4-5"];
const GEMINI: [&str; 3] = ["gemini-3-pro", "gemini-2.5-flash", "gemini-embedding-001"];

/// Longest list of inputs to embed, OpenAI's own limit.
const INPUTS_MAX: usize = 2048;

pub(crate) fn list(surface: Surface) -> Value {
    match surface {
        Surface::Chat | Surface::Responses | Surface::Converse => {
            json!({"object": "list", "data": OPENAI.map(openai_model)})
        }
        Surface::Messages => json!({
            "data": ANTHROPIC.map(anthropic_model), "has_more": false,
            "first_id": ANTHROPIC[0], "last_id": ANTHROPIC[2],
        }),
        Surface::Gemini => json!({"models": GEMINI.map(gemini_model)}),
    }
}

pub(crate) fn one(surface: Surface, id: &str) -> Result<Value, Fail> {
    let known = |list: &[&str]| list.contains(&id);
    match surface {
        Surface::Chat | Surface::Responses | Surface::Converse if known(&OPENAI) => {
            Ok(openai_model(id))
        }
        Surface::Messages if known(&ANTHROPIC) => Ok(anthropic_model(id)),
        Surface::Gemini if known(&GEMINI) => Ok(gemini_model(id)),
        Surface::Chat | Surface::Responses | Surface::Converse => Err(Fail::new(
            Kind::NotFound,
            format!("The model '{id}' does not exist"),
        )
        .param("model")
        .code("model_not_found")),
        Surface::Messages => Err(Fail::new(Kind::NotFound, format!("model: {id}"))),
        Surface::Gemini => Err(Fail::new(
            Kind::NotFound,
            format!("Model is not found: models/{id} for api version v1beta"),
        )),
    }
}

fn openai_model(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": CREATED, "owned_by": "fake"})
}

fn anthropic_model(id: &str) -> Value {
    json!({
        "type": "model", "id": id, "display_name": id, "created_at": "2026-05-01T00:00:00Z",
        "lifecycle": "active", "max_input_tokens": 200_000, "max_tokens": 64_000,
    })
}

fn gemini_model(id: &str) -> Value {
    json!({
        "name": format!("models/{id}"), "version": "001", "displayName": id, "description": "A fake model",
        "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536, "thinking": true,
        "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"],
        "temperature": 1, "topP": 0.95, "topK": 64, "maxTemperature": 2,
    })
}

/// A unit vector that depends on the text and nothing else.
fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut raw: Vec<f32> = Vec::with_capacity(dimensions);
    let mut block = Sha256::digest(text.as_bytes());
    while raw.len() < dimensions {
        raw.extend(block.iter().map(|b| f32::from(*b) - 127.5));
        block = Sha256::digest(block);
    }
    raw.truncate(dimensions);
    let length = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
    raw.iter().map(|x| x / length).collect()
}

/// `POST /v1/embeddings`.
pub(crate) fn openai_embeddings(body: &Value) -> Result<Value, Fail> {
    embeddings(body).map_err(|f| Fail::from_flaw(f, Surface::Chat))
}

fn embeddings(body: &Value) -> Result<Value, Flaw> {
    let f = Fields::of(body, "")?;
    let model = f.need_str("model")?;
    let base64 = f.one_of("encoding_format", &["float", "base64"])? == Some("base64");
    let dimensions = f.u64("dimensions")?.unwrap_or(1536).clamp(1, 3072) as usize;
    f.str("user")?;
    let inputs = inputs(f.need("input")?)?;
    f.finish()?;
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let v = vector(text, dimensions);
            let embedding = match base64 {
                true => json!(
                    STANDARD.encode(v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())
                ),
                false => json!(v),
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens: u64 = inputs.iter().map(|t| tokens::count(t)).sum();
    Ok(json!({
        "object": "list", "data": data, "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }))
}

/// Text, a list of texts, token ids, or a list of lists of token ids.
fn inputs(input: &Value) -> Result<Vec<String>, Flaw> {
    let list = match input {
        Value::String(s) => return one_input(s, "input").map(|t| vec![t]),
        Value::Array(list) => list,
        other => return Err(Flaw::wrong_type("input", "a string or an array", other)),
    };
    if list.is_empty() || list.len() > INPUTS_MAX {
        return Err(Flaw::value(
            "input",
            format!("'$.input' is invalid: expected 1 to {INPUTS_MAX} entries."),
        ));
    }
    if list.iter().all(Value::is_u64) {
        return Ok(vec![input.to_string()]);
    }
    list.iter()
        .enumerate()
        .map(|(n, item)| match item {
            Value::String(s) => one_input(s, &format!("input.{n}")),
            Value::Array(ids) if ids.iter().all(Value::is_u64) => Ok(item.to_string()),
            other => Err(Flaw::wrong_type(format!("input.{n}"), "a string", other)),
        })
        .collect()
}

fn one_input(text: &str, path: &str) -> Result<String, Flaw> {
    match text.is_empty() {
        true => Err(Flaw::value(
            path,
            "'$.input' is invalid: input cannot be an empty string.",
        )),
        false => Ok(text.to_owned()),
    }
}

/// `:embedContent` and `:batchEmbedContents`.
pub(crate) fn gemini_embeddings(body: &Value, batch: bool) -> Result<Value, Fail> {
    gemini_embed(body, batch).map_err(|f| Fail::from_flaw(f, Surface::Gemini))
}

fn gemini_embed(body: &Value, batch: bool) -> Result<Value, Flaw> {
    let f = Fields::proto(body, "")?;
    if !batch {
        let (values, tokens) = gemini_one(&f)?;
        f.finish()?;
        return Ok(
            json!({"embedding": {"values": values}, "usageMetadata": {"promptTokenCount": tokens}}),
        );
    }
    let mut out = Vec::new();
    let mut total = 0;
    for (n, request) in f
        .list("requests")?
        .ok_or_else(|| Flaw::missing("requests"))?
        .iter()
        .enumerate()
    {
        let r = Fields::proto(request, format!("requests.{n}"))?;
        r.need_str("model")?;
        let (values, tokens) = gemini_one(&r)?;
        total += tokens;
        r.finish()?;
        out.push(json!({"values": values}));
    }
    f.finish()?;
    Ok(json!({"embeddings": out, "usageMetadata": {"promptTokenCount": total}}))
}

/// The newest SDK nests its options in `embedContentConfig`; older ones send them flat.
fn gemini_one(f: &Fields<'_>) -> Result<(Vec<f32>, u64), Flaw> {
    f.str("model")?;
    let mut dimensions = f.u64("outputDimensionality")?;
    f.pass(&["taskType", "title"]);
    if let Some(config) = f.object("embedContentConfig")? {
        dimensions = config.u64("outputDimensionality")?.or(dimensions);
        config.pass(&["taskType", "title", "autoTruncate"]);
        config.finish()?;
    }
    let content = f
        .object("content")?
        .ok_or_else(|| Flaw::missing(f.path("content")))?;
    content.str("role")?;
    let mut text = String::new();
    for part in content.list("parts")?.unwrap_or_default() {
        let part = Fields::proto(part, content.path("parts"))?;
        text.push_str(part.need_str("text")?);
        part.finish()?;
    }
    content.finish()?;
    Ok((
        vector(&text, dimensions.unwrap_or(768).clamp(1, 3072) as usize),
        tokens::count(&text),
    ))
}
