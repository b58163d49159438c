//! Responses answers: the whole object, and the numbered events of a stream.
//!
//! Shapes follow `openai` 3.52 (`response.py`, `response_*_event.py`): every event carries
//! `sequence_number`, and there is no `[DONE]`.

use super::CREATED;
use super::chat_write::{event, token_logprobs};
use super::mind::{Finish, Part, Reply, Usage};
use super::prompt::Prompt;
use super::responses::Knobs;
use super::tokens;
use bytes::Bytes;
use serde_json::{Value, json};

pub(crate) fn whole(p: &Prompt, k: &Knobs, reply: &Reply) -> Value {
    let status = if reply.finish == Finish::Length {
        "incomplete"
    } else {
        "completed"
    };
    let mut out = envelope(p, k, status);
    out["output"] = items(p, k, reply).into_iter().map(|i| i.done).collect();
    out["usage"] = usage(reply.usage);
    if reply.finish == Finish::Length {
        out["incomplete_details"] = json!({"reason": "max_output_tokens"});
    } else {
        out["completed_at"] = json!(CREATED + 1);
    }
    out
}

/// The response object around the output, which echoes the request.
fn envelope(p: &Prompt, k: &Knobs, status: &str) -> Value {
    let echo = |key: &str, default: Value| match k.echo.get(key) {
        Some(v) if !v.is_null() => v.clone(),
        _ => default,
    };
    json!({
        "id": format!("resp_{}", p.seed), "object": "response", "created_at": CREATED,
        "status": status, "background": false, "error": null, "incomplete_details": null,
        "instructions": echo("instructions", Value::Null),
        "max_output_tokens": echo("max_output_tokens", Value::Null),
        "max_tool_calls": null, "model": p.model, "output": [],
        "parallel_tool_calls": p.parallel,
        "previous_response_id": echo("previous_response_id", Value::Null),
        "prompt_cache_key": echo("prompt_cache_key", Value::Null),
        "reasoning": echo("reasoning", json!({"effort": null, "summary": null})),
        "safety_identifier": null, "service_tier": "default", "store": k.store,
        "temperature": echo("temperature", json!(1.0)),
        "text": echo("text", json!({"format": {"type": "text"}, "verbosity": "medium"})),
        "tool_choice": echo("tool_choice", json!("auto")),
        "tools": echo("tools", json!([])),
        "top_logprobs": k.top_logprobs, "top_p": echo("top_p", json!(1.0)),
        "truncation": echo("truncation", json!("disabled")),
        "usage": null, "user": null, "metadata": echo("metadata", json!({})),
    })
}

fn usage(u: Usage) -> Value {
    json!({
        "input_tokens": u.input_total(),
        "input_tokens_details": {"cached_tokens": u.cache_read, "cache_write_tokens": u.cache_write},
        "output_tokens": u.output_total(),
        "output_tokens_details": {"reasoning_tokens": u.reasoning},
        "total_tokens": u.input_total() + u.output_total(),
    })
}

/// An output item as it ends, with the part it came from.
struct Item<'a> {
    part: &'a Part,
    id: String,
    done: Value,
}

fn items<'a>(p: &Prompt, k: &Knobs, reply: &'a Reply) -> Vec<Item<'a>> {
    let reasoned = reply
        .parts
        .iter()
        .any(|p| matches!(p, Part::Thinking { .. }));
    let ending = if reply.finish == Finish::Length {
        "incomplete"
    } else {
        "completed"
    };
    let mut out = Vec::new();
    for (n, part) in reply.parts.iter().enumerate() {
        let (id, done) = match part {
            Part::Redacted { .. } => continue,
            Part::Thinking { text, seal } => {
                let id = format!("rs_{}{n}", p.seed);
                let summary = if k.summary {
                    json!([{"type": "summary_text", "text": text}])
                } else {
                    json!([])
                };
                let mut item = json!({"id": id, "type": "reasoning", "summary": summary});
                if k.encrypted {
                    item["encrypted_content"] = json!(seal);
                }
                (id, item)
            }
            Part::Text { text, cite } => {
                let id = format!("msg_{}{n}", p.seed);
                let content = json!([output_text(k, text, *cite)]);
                (
                    id.clone(),
                    json!({"id": id, "type": "message", "status": ending, "role": "assistant", "content": content, "phase": "final_answer"}),
                )
            }
            Part::Refusal { text } => {
                let id = format!("msg_{}{n}", p.seed);
                (
                    id.clone(),
                    json!({"id": id, "type": "message", "status": ending, "role": "assistant", "content": [{"type": "refusal", "refusal": text}]}),
                )
            }
            Part::Call {
                id: call,
                name,
                arguments,
                custom,
            } => {
                let mark = if reasoned { "r" } else { "" };
                let (prefix, kind, field) = match custom {
                    true => ("ctc_", "custom_tool_call", "input"),
                    false => ("fc_", "function_call", "arguments"),
                };
                let id = format!("{prefix}{mark}{call}");
                let mut item = json!({"id": id, "type": kind, "status": "completed", "call_id": format!("call_{call}"), "name": name});
                item[field] = json!(arguments);
                (id, item)
            }
        };
        out.push(Item { part, id, done });
    }
    out
}

fn output_text(k: &Knobs, text: &str, cite: bool) -> Value {
    let annotations = if cite {
        json!([annotation(text)])
    } else {
        json!([])
    };
    let logprobs = if k.logprobs {
        token_logprobs(text, k.top_logprobs)
    } else {
        json!([])
    };
    json!({"type": "output_text", "annotations": annotations, "logprobs": logprobs, "text": text})
}

fn annotation(text: &str) -> Value {
    json!({
        "type": "url_citation", "start_index": 0, "end_index": text.chars().count(),
        "title": "A source", "url": "https://example.com/source",
    })
}

/// The stream's events, from `response.created` to `response.completed` or `.incomplete`.
pub(crate) fn stream(p: &Prompt, k: &Knobs, reply: &Reply) -> Vec<Bytes> {
    let mut w = Events {
        k,
        next: 0,
        out: Vec::new(),
    };
    let opened = envelope(p, k, "in_progress");
    w.emit("response.created", json!({"response": opened}));
    w.emit("response.in_progress", json!({"response": opened}));
    for (index, item) in items(p, k, reply).iter().enumerate() {
        w.item(index, item);
    }
    let done = whole(p, k, reply);
    let name = if reply.finish == Finish::Length {
        "response.incomplete"
    } else {
        "response.completed"
    };
    w.emit(name, json!({"response": done}));
    w.out
}

struct Events<'a> {
    k: &'a Knobs,
    next: u64,
    out: Vec<Bytes>,
}

impl Events<'_> {
    fn emit(&mut self, name: &str, fields: Value) {
        let mut body = json!({"type": name, "sequence_number": self.next});
        if let (Value::Object(to), Value::Object(from)) = (&mut body, fields) {
            to.extend(from);
        }
        self.next += 1;
        self.out.push(event(name, &body));
    }

    fn delta(&mut self, name: &str, mut fields: Value, piece: &str) {
        fields["delta"] = json!(piece);
        if self.k.obfuscation {
            fields["obfuscation"] = json!("q9Xw2");
        }
        self.emit(name, fields);
    }

    fn item(&mut self, index: usize, item: &Item<'_>) {
        self.emit(
            "response.output_item.added",
            json!({"output_index": index, "item": opened(&item.done)}),
        );
        let at = json!({"item_id": item.id, "output_index": index});
        match item.part {
            Part::Thinking { text, .. } if self.k.summary => self.summary(&at, text),
            Part::Thinking { .. } | Part::Redacted { .. } => {}
            Part::Text { text, cite } => self.text(&at, text, *cite),
            Part::Refusal { text } => self.refusal(&at, text),
            Part::Call {
                arguments, custom, ..
            } => self.arguments(&at, arguments, *custom),
        }
        self.emit(
            "response.output_item.done",
            json!({"output_index": index, "item": item.done}),
        );
    }

    fn summary(&mut self, at: &Value, text: &str) {
        let here = with(at, json!({"summary_index": 0}));
        self.emit(
            "response.reasoning_summary_part.added",
            with(&here, json!({"part": {"type": "summary_text", "text": ""}})),
        );
        for piece in tokens::split(text) {
            self.delta("response.reasoning_summary_text.delta", here.clone(), piece);
        }
        self.emit(
            "response.reasoning_summary_text.done",
            with(&here, json!({"text": text})),
        );
        self.emit(
            "response.reasoning_summary_part.done",
            with(
                &here,
                json!({"part": {"type": "summary_text", "text": text}}),
            ),
        );
    }

    fn text(&mut self, at: &Value, text: &str, cite: bool) {
        let here = with(at, json!({"content_index": 0}));
        self.emit("response.content_part.added", with(&here, json!({"part": {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}})));
        let probs = token_logprobs(text, self.k.top_logprobs);
        for (n, piece) in tokens::split(text).iter().enumerate() {
            let logprobs = if self.k.logprobs {
                json!([probs[n]])
            } else {
                json!([])
            };
            self.delta(
                "response.output_text.delta",
                with(&here, json!({"logprobs": logprobs})),
                piece,
            );
        }
        if cite {
            self.emit(
                "response.output_text.annotation.added",
                with(
                    &here,
                    json!({"annotation_index": 0, "annotation": annotation(text)}),
                ),
            );
        }
        let part = output_text(self.k, text, cite);
        self.emit(
            "response.output_text.done",
            with(&here, json!({"text": text, "logprobs": part["logprobs"]})),
        );
        self.emit(
            "response.content_part.done",
            with(&here, json!({"part": part})),
        );
    }

    fn refusal(&mut self, at: &Value, text: &str) {
        let here = with(at, json!({"content_index": 0}));
        self.emit(
            "response.content_part.added",
            with(&here, json!({"part": {"type": "refusal", "refusal": ""}})),
        );
        for piece in tokens::split(text) {
            self.delta("response.refusal.delta", here.clone(), piece);
        }
        self.emit(
            "response.refusal.done",
            with(&here, json!({"refusal": text})),
        );
        self.emit(
            "response.content_part.done",
            with(&here, json!({"part": {"type": "refusal", "refusal": text}})),
        );
    }

    fn arguments(&mut self, at: &Value, arguments: &str, custom: bool) {
        let (delta, done, field) = match custom {
            true => (
                "response.custom_tool_call_input.delta",
                "response.custom_tool_call_input.done",
                "input",
            ),
            false => (
                "response.function_call_arguments.delta",
                "response.function_call_arguments.done",
                "arguments",
            ),
        };
        for piece in tokens::split(arguments) {
            self.delta(delta, at.clone(), piece);
        }
        self.emit(done, with(at, json!({field: arguments})));
    }
}

/// An item as it stands before its deltas.
fn opened(done: &Value) -> Value {
    let mut item = done.clone();
    if item.get("status").is_some() {
        item["status"] = json!("in_progress");
    }
    for (key, empty) in [
        ("content", json!([])),
        ("summary", json!([])),
        ("arguments", json!("")),
        ("input", json!("")),
    ] {
        if item.get(key).is_some() {
            item[key] = empty;
        }
    }
    item
}

fn with(base: &Value, more: Value) -> Value {
    let mut out = base.clone();
    if let (Value::Object(to), Value::Object(from)) = (&mut out, more) {
        to.extend(from);
    }
    out
}
