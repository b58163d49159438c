//! Converse answers: the whole object, and the binary event stream.
//!
//! Shapes follow botocore 1.44 (`ConverseResponse`, `ConverseStreamOutput`).

use super::eventstream::event;
use super::mind::{Finish, Part, Reply, Usage, parsed};
use super::tokens;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

pub(crate) fn whole(reply: &Reply) -> Value {
    let content: Vec<Value> = reply.parts.iter().map(block).collect();
    json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason(&reply.finish),
        "usage": usage(reply.usage),
        "metrics": {"latencyMs": 12},
    })
}

fn stop_reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::StopSequence(_) => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::Tools => "tool_use",
        Finish::Refusal => "content_filtered",
    }
}

fn usage(u: Usage) -> Value {
    json!({
        "inputTokens": u.input, "outputTokens": u.output_total(),
        "totalTokens": u.input_total() + u.output_total(),
        "cacheReadInputTokens": u.cache_read, "cacheWriteInputTokens": u.cache_write,
    })
}

fn block(part: &Part) -> Value {
    match part {
        Part::Thinking { text, seal } => {
            json!({"reasoningContent": {"reasoningText": {"text": text, "signature": seal}}})
        }
        // A blob on the wire is base64 of the bytes.
        Part::Redacted { seal } => {
            json!({"reasoningContent": {"redactedContent": STANDARD.encode(seal)}})
        }
        Part::Text { text, cite: true } => {
            json!({"citationsContent": {"content": [{"text": text}], "citations": [citation()]}})
        }
        Part::Text { text, cite: false } | Part::Refusal { text } => json!({"text": text}),
        Part::Call {
            id,
            name,
            arguments,
            ..
        } => {
            json!({"toolUse": {"toolUseId": format!("tooluse_{id}"), "name": name, "input": parsed(arguments)}})
        }
    }
}

fn citation() -> Value {
    json!({"title": "A source", "source": "https://example.com/source",
        "sourceContent": [{"text": "A source"}], "location": {"web": {"url": "https://example.com/source", "domain": "example.com"}}})
}

pub(crate) fn stream(reply: &Reply) -> Vec<Bytes> {
    let mut out = vec![event(
        "messageStart",
        &json!({"role": "assistant", "p": "abcd"}),
    )];
    for (index, part) in reply.parts.iter().enumerate() {
        if let Part::Call { id, name, .. } = part {
            let start = json!({"toolUse": {"toolUseId": format!("tooluse_{id}"), "name": name}});
            out.push(event(
                "contentBlockStart",
                &json!({"contentBlockIndex": index, "start": start, "p": "abcdefgh"}),
            ));
        }
        for delta in deltas(part) {
            out.push(event(
                "contentBlockDelta",
                &json!({"contentBlockIndex": index, "delta": delta, "p": "abcdefghijk"}),
            ));
        }
        out.push(event(
            "contentBlockStop",
            &json!({"contentBlockIndex": index, "p": "abc"}),
        ));
    }
    out.push(event(
        "messageStop",
        &json!({"stopReason": stop_reason(&reply.finish), "p": "abcdef"}),
    ));
    out.push(event(
        "metadata",
        &json!({"usage": usage(reply.usage), "metrics": {"latencyMs": 12}, "p": "ab"}),
    ));
    out
}

fn deltas(part: &Part) -> Vec<Value> {
    match part {
        Part::Thinking { text, seal } => {
            let mut out: Vec<Value> = tokens::split(text)
                .iter()
                .map(|t| json!({"reasoningContent": {"text": t}}))
                .collect();
            out.push(json!({"reasoningContent": {"signature": seal}}));
            out
        }
        Part::Redacted { seal } => {
            vec![json!({"reasoningContent": {"redactedContent": STANDARD.encode(seal)}})]
        }
        Part::Text { text, cite } => {
            let mut out: Vec<Value> = tokens::split(text)
                .iter()
                .map(|t| json!({"text": t}))
                .collect();
            if *cite {
                out.push(json!({"citation": citation()}));
            }
            out
        }
        Part::Refusal { text } => tokens::split(text)
            .iter()
            .map(|t| json!({"text": t}))
            .collect(),
        Part::Call { arguments, .. } if arguments == "{}" => {
            vec![json!({"toolUse": {"input": ""}})]
        }
        Part::Call { arguments, .. } => tokens::split(arguments)
            .iter()
            .map(|t| json!({"toolUse": {"input": t}}))
            .collect(),
    }
}
