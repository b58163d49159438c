//! Anthropic Messages answers: the whole message, and the events of a stream.
//!
//! Shapes follow `anthropic` 2.11 (`message.py`, `raw_*_event.py`, `usage.py`).

use super::chat_write::event;
use super::messages::Knobs;
use super::mind::{Finish, Part, Reply, Usage, parsed};
use super::prompt::Prompt;
use super::tokens;
use bytes::Bytes;
use serde_json::{Value, json};

pub(crate) fn whole(p: &Prompt, k: &Knobs, reply: &Reply) -> Value {
    let content: Vec<Value> = reply.parts.iter().map(|part| block(k, part)).collect();
    let mut out = envelope(p);
    out["content"] = json!(content);
    finish(&mut out, &reply.finish);
    out["usage"] = usage(reply.usage, k);
    out
}

fn envelope(p: &Prompt) -> Value {
    json!({
        "id": format!("msg_{}", p.seed), "type": "message", "role": "assistant",
        "model": p.model, "content": [],
        "stop_reason": null, "stop_sequence": null, "stop_details": null,
    })
}

fn finish(out: &mut Value, finish: &Finish) {
    let (reason, sequence) = match finish {
        Finish::Stop => ("end_turn", Value::Null),
        Finish::StopSequence(s) => ("stop_sequence", json!(s)),
        Finish::Length => ("max_tokens", Value::Null),
        Finish::Tools => ("tool_use", Value::Null),
        Finish::Refusal => ("refusal", Value::Null),
    };
    out["stop_reason"] = json!(reason);
    out["stop_sequence"] = sequence;
    if *finish == Finish::Refusal {
        out["stop_details"] = json!({"type": "refusal", "category": "general_harms", "explanation": "The fake was asked to refuse."});
    }
}

fn usage(u: Usage, k: &Knobs) -> Value {
    json!({
        "input_tokens": u.input,
        "cache_creation_input_tokens": u.cache_write,
        "cache_read_input_tokens": u.cache_read,
        "cache_creation": {"ephemeral_5m_input_tokens": u.cache_write, "ephemeral_1h_input_tokens": 0},
        "output_tokens": u.output_total(),
        "output_tokens_details": {"thinking_tokens": u.reasoning},
        "server_tool_use": null,
        "service_tier": k.service_tier,
    })
}

fn block(k: &Knobs, part: &Part) -> Value {
    match part {
        Part::Thinking { text, seal } => {
            let shown = if k.omit_thinking { "" } else { text };
            json!({"type": "thinking", "thinking": shown, "signature": seal})
        }
        Part::Redacted { seal } => json!({"type": "redacted_thinking", "data": seal}),
        Part::Text { text, cite: true } => {
            json!({"type": "text", "text": text, "citations": [citation(k)]})
        }
        Part::Text { text, cite: false } | Part::Refusal { text } => {
            json!({"type": "text", "text": text, "citations": null})
        }
        Part::Call {
            id,
            name,
            arguments,
            ..
        } => json!({
            "type": "tool_use", "id": format!("toolu_{id}"), "name": name,
            "input": parsed(arguments), "caller": {"type": "direct"},
        }),
    }
}

fn citation(k: &Knobs) -> Value {
    match k.cited_document {
        true => json!({
            "type": "char_location", "cited_text": "A source", "document_index": 0,
            "document_title": null, "start_char_index": 0, "end_char_index": 8, "file_id": null,
        }),
        false => json!({
            "type": "web_search_result_location", "cited_text": "A source", "encrypted_index": "Eo8BCioIAhgB",
            "title": "A source", "url": "https://example.com/source",
        }),
    }
}

pub(crate) fn stream(p: &Prompt, k: &Knobs, reply: &Reply) -> Vec<Bytes> {
    let mut start = envelope(p);
    let first = Usage {
        output: 1,
        reasoning: 0,
        ..reply.usage
    };
    start["usage"] = usage(first, k);
    let mut out = vec![
        event(
            "message_start",
            &json!({"type": "message_start", "message": start}),
        ),
        event("ping", &json!({"type": "ping"})),
    ];
    for (index, part) in reply.parts.iter().enumerate() {
        let mut opened = block(k, part);
        strip(&mut opened);
        out.push(event(
            "content_block_start",
            &json!({"type": "content_block_start", "index": index, "content_block": opened}),
        ));
        for delta in deltas(k, part) {
            out.push(event(
                "content_block_delta",
                &json!({"type": "content_block_delta", "index": index, "delta": delta}),
            ));
        }
        out.push(event(
            "content_block_stop",
            &json!({"type": "content_block_stop", "index": index}),
        ));
    }
    let mut delta = json!({});
    finish(&mut delta, &reply.finish);
    let u = reply.usage;
    let totals = json!({
        "input_tokens": u.input, "cache_creation_input_tokens": u.cache_write,
        "cache_read_input_tokens": u.cache_read, "output_tokens": u.output_total(),
        "output_tokens_details": {"thinking_tokens": u.reasoning},
    });
    out.push(event(
        "message_delta",
        &json!({"type": "message_delta", "delta": delta, "usage": totals}),
    ));
    out.push(event("message_stop", &json!({"type": "message_stop"})));
    out
}

/// A block as it stands before its deltas.
fn strip(block: &mut Value) {
    for key in ["text", "thinking", "signature"] {
        if block.get(key).is_some() {
            block[key] = json!("");
        }
    }
    if block.get("input").is_some() {
        block["input"] = json!({});
    }
    if block.get("citations").is_some_and(Value::is_array) {
        block["citations"] = json!([]);
    }
}

fn deltas(k: &Knobs, part: &Part) -> Vec<Value> {
    let pieces = |text: &str, kind: &str, key: &str| -> Vec<Value> {
        tokens::split(text)
            .iter()
            .map(|t| json!({"type": kind, key: t}))
            .collect()
    };
    match part {
        Part::Thinking { text, seal } => {
            let mut out = match k.omit_thinking {
                true => Vec::new(),
                false => pieces(text, "thinking_delta", "thinking"),
            };
            out.push(json!({"type": "signature_delta", "signature": seal}));
            out
        }
        Part::Redacted { .. } => Vec::new(),
        Part::Text { text, cite } => {
            let mut out = pieces(text, "text_delta", "text");
            if *cite {
                out.push(json!({"type": "citations_delta", "citation": citation(k)}));
            }
            out
        }
        Part::Refusal { text } => pieces(text, "text_delta", "text"),
        // The vendor opens with an empty delta; no further delta means `{}`.
        Part::Call { arguments, .. } => {
            let mut out = vec![json!({"type": "input_json_delta", "partial_json": ""})];
            if arguments != "{}" {
                out.extend(pieces(arguments, "input_json_delta", "partial_json"));
            }
            out
        }
    }
}
