//! Gemini answers: `GenerateContentResponse`, whole and in stream chunks.
//!
//! Shapes follow `google-genai` 3.4. A function call arrives whole, in one chunk, as the API does.

use super::mind::{Finish, Part, Reply, Usage, parsed};
use super::prompt::{Prompt, Surface, Thinking};
use super::seal::seal;
use super::{gemini::Knobs, tokens};
use bytes::Bytes;
use serde_json::{Value, json};

/// A PNG of one pixel, the fake's idea of a picture.
pub(crate) const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

pub(crate) fn whole(p: &Prompt, k: &Knobs, reply: &Reply) -> Value {
    if reply.finish == Finish::Refusal {
        return blocked(p, reply);
    }
    let parts = parts(p, k, reply);
    let candidates: Vec<Value> = (0..k.candidates)
        .map(|index| {
            let mut c = candidate(index, json!(parts));
            ending(&mut c, k, reply);
            c
        })
        .collect();
    response(p, json!(candidates), Some(usage(reply.usage, k)))
}

/// Gemini refuses by withholding the candidate's content.
fn blocked(p: &Prompt, reply: &Reply) -> Value {
    let mut c = json!({"finishReason": "SAFETY", "index": 0});
    c["safetyRatings"] = json!([{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": true}]);
    response(
        p,
        json!([c]),
        Some(usage(
            reply.usage,
            &Knobs {
                candidates: 1,
                ..Knobs::default()
            },
        )),
    )
}

fn response(p: &Prompt, candidates: Value, usage: Option<Value>) -> Value {
    let mut out = json!({"candidates": candidates});
    if let Some(usage) = usage {
        out["usageMetadata"] = usage;
    }
    out["modelVersion"] = json!(p.model);
    out["responseId"] = json!(p.seed);
    out
}

fn candidate(index: u64, parts: Value) -> Value {
    json!({"content": {"parts": parts, "role": "model"}, "index": index})
}

fn ending(c: &mut Value, k: &Knobs, reply: &Reply) {
    c["finishReason"] = json!(match reply.finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::Tools => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Refusal => "SAFETY",
    });
    let text = reply.text();
    if k.logprobs {
        let chosen: Vec<Value> = tokens::split(&text).iter().enumerate().map(|(n, t)| {
            json!({"token": t, "tokenId": n + 1, "logProbability": -0.01 * (n + 1) as f64})
        }).collect();
        let top: Vec<Value> = chosen
            .iter()
            .map(|c| json!({"candidates": vec![c.clone(); k.top_logprobs.max(1) as usize]}))
            .collect();
        c["avgLogprobs"] = json!(-0.01);
        c["logprobsResult"] = json!({"chosenCandidates": chosen, "topCandidates": top});
    }
    if reply
        .parts
        .iter()
        .any(|x| matches!(x, Part::Text { cite: true, .. }))
    {
        c["citationMetadata"] = json!({"citationSources": [{
            "startIndex": 0, "endIndex": text.len(), "uri": "https://example.com/source", "license": "",
        }]});
    }
}

fn usage(u: Usage, k: &Knobs) -> Value {
    let output = u.output * k.candidates.max(1);
    let mut out = json!({
        "promptTokenCount": u.input_total(),
        "candidatesTokenCount": output,
        "totalTokenCount": u.input_total() + output + u.reasoning,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": u.input_total()}],
    });
    if u.reasoning > 0 {
        out["thoughtsTokenCount"] = json!(u.reasoning);
    }
    if u.cache_read > 0 {
        out["cachedContentTokenCount"] = json!(u.cache_read);
        out["cacheTokensDetails"] = json!([{"modality": "TEXT", "tokenCount": u.cache_read}]);
    }
    out
}

fn parts(p: &Prompt, k: &Knobs, reply: &Reply) -> Vec<Value> {
    let mut sealed = p.thinking != Thinking::Off;
    let mut out = Vec::new();
    for part in &reply.parts {
        match part {
            Part::Thinking { text, .. } if p.thinking == Thinking::Shown => {
                out.push(json!({"text": text, "thought": true}))
            }
            Part::Thinking { .. } | Part::Redacted { .. } | Part::Refusal { .. } => {}
            Part::Text { text, .. } => out.push(json!({"text": text})),
            Part::Call {
                id,
                name,
                arguments,
                ..
            } => {
                let mut call = json!({"functionCall": {"id": format!("fn_{id}"), "name": name, "args": parsed(arguments)}});
                // Only the first call of parallel ones is signed.
                if std::mem::take(&mut sealed) {
                    call["thoughtSignature"] = json!(seal(
                        Surface::Gemini.seal_name(),
                        &format!("{name}{arguments}")
                    ));
                }
                out.push(call);
            }
        }
    }
    if k.image {
        out.push(json!({"inlineData": {"mimeType": "image/png", "data": PIXEL}}));
    }
    let calls = out.iter().any(|x| x.get("functionCall").is_some());
    if sealed
        && !calls
        && let Some(last) = out.last_mut()
    {
        last["thoughtSignature"] = json!(seal(Surface::Gemini.seal_name(), "text"));
    }
    out
}

/// The chunks of a stream, as JSON values; the caller frames them as SSE or as an array.
pub(crate) fn chunks(p: &Prompt, k: &Knobs, reply: &Reply) -> Vec<Value> {
    if reply.finish == Finish::Refusal {
        return vec![blocked(p, reply)];
    }
    let mut out = Vec::new();
    let prompt_only = json!({"promptTokenCount": reply.usage.input_total(), "totalTokenCount": reply.usage.input_total()});
    for part in parts(p, k, reply) {
        match part.get("text").and_then(Value::as_str) {
            None => out.push(json!([part])),
            Some(text) => {
                let pieces = tokens::split(text);
                for (n, piece) in pieces.iter().enumerate() {
                    let mut small = json!({"text": piece});
                    if part.get("thought").is_some() {
                        small["thought"] = json!(true);
                    }
                    if n + 1 == pieces.len()
                        && let Some(s) = part.get("thoughtSignature")
                    {
                        small["thoughtSignature"] = s.clone();
                    }
                    out.push(json!([small]));
                }
            }
        }
    }
    if out.is_empty() {
        out.push(json!([{"text": ""}]));
    }
    let last = out.len() - 1;
    out.into_iter()
        .enumerate()
        .map(|(n, parts)| {
            let mut c = candidate(0, parts);
            if n == last {
                ending(&mut c, k, reply);
            }
            let usage = if n == last {
                usage(reply.usage, k)
            } else {
                prompt_only.clone()
            };
            response(p, json!([c]), Some(usage))
        })
        .collect()
}

/// `alt=sse`: data records, no end marker.
pub(crate) fn sse(p: &Prompt, k: &Knobs, reply: &Reply) -> Vec<Bytes> {
    // The vendor ends its records with CRLF.
    chunks(p, k, reply)
        .iter()
        .map(|c| Bytes::from(format!("data: {c}\r\n\r\n")))
        .collect()
}

/// Without `alt=sse` a stream is one JSON array, sent in pieces.
pub(crate) fn array(p: &Prompt, k: &Knobs, reply: &Reply) -> Vec<Bytes> {
    let chunks = chunks(p, k, reply);
    let mut out: Vec<Bytes> = chunks
        .iter()
        .enumerate()
        .map(|(n, c)| Bytes::from(format!("{}{c}", if n == 0 { "[" } else { ",\r\n" })))
        .collect();
    out.push(Bytes::from_static(b"]"));
    out
}

/// `:countTokens`.
pub(crate) fn count(p: &Prompt) -> Value {
    json!({"totalTokens": p.input_tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": p.input_tokens}]})
}
