//! Chat Completions answers: the whole object, and the chunks of a stream.
//!
//! Shapes follow `openai` 3.52 (`chat_completion.py`, `chat_completion_chunk.py`).

use super::chat::Knobs;
use super::mind::{Finish, Part, Reply, Usage};
use super::prompt::Prompt;
use super::{CREATED, tokens};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

/// What the fake "speaks" when audio is asked for: not real sound, but recognisable bytes.
pub(crate) const SOUND: &[u8] = b"RIFF\x24\x00\x00\x00WAVEfmt fake-upstream-sound";

pub(crate) fn whole(p: &Prompt, k: &Knobs, reply: &Reply) -> Value {
    let choices: Vec<Value> = (0..k.choices)
        .map(|index| {
            json!({
                "index": index,
                "message": message(p, k, reply),
                "logprobs": logprobs(k, &reply.text()),
                "finish_reason": finish(&reply.finish),
            })
        })
        .collect();
    json!({
        "id": format!("chatcmpl-{}", p.seed),
        "object": "chat.completion",
        "created": CREATED,
        "model": p.model,
        "choices": choices,
        "usage": usage(reply.usage, p, k),
        "service_tier": k.service_tier,
        "system_fingerprint": "fp_fake",
    })
}

fn message(p: &Prompt, k: &Knobs, reply: &Reply) -> Value {
    let mut out = json!({"role": "assistant", "content": null, "refusal": null, "annotations": []});
    let mut calls = Vec::new();
    for part in &reply.parts {
        match part {
            Part::Thinking { text, .. } if k.compat => out["reasoning_content"] = json!(text),
            Part::Thinking { .. } | Part::Redacted { .. } => {}
            Part::Text { text, cite } => {
                out["content"] = json!(text);
                if *cite {
                    out["annotations"] = json!([annotation(text)]);
                }
            }
            Part::Refusal { text } => out["refusal"] = json!(text),
            Part::Call { .. } => calls.push(call(part)),
        }
    }
    if !calls.is_empty() {
        out["tool_calls"] = json!(calls);
    }
    if k.audio.is_some() {
        out["audio"] = json!({
            "id": format!("audio_{}", p.seed), "data": STANDARD.encode(SOUND),
            "expires_at": CREATED + 3600, "transcript": out["content"],
        });
        out["content"] = Value::Null;
    }
    out
}

fn annotation(text: &str) -> Value {
    json!({"type": "url_citation", "url_citation": {
        "start_index": 0, "end_index": text.chars().count(),
        "title": "A source", "url": "https://example.com/source",
    }})
}

fn call(part: &Part) -> Value {
    match part {
        Part::Call {
            id,
            name,
            arguments,
            custom: false,
        } => json!({
            "id": format!("call_{id}"), "type": "function",
            "function": {"name": name, "arguments": arguments},
        }),
        Part::Call {
            id,
            name,
            arguments,
            custom: true,
        } => json!({
            "id": format!("call_{id}"), "type": "custom",
            "custom": {"name": name, "input": arguments},
        }),
        Part::Thinking { .. }
        | Part::Redacted { .. }
        | Part::Text { .. }
        | Part::Refusal { .. } => Value::Null,
    }
}

fn finish(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::Refusal => "stop",
        Finish::Length => "length",
        Finish::Tools => "tool_calls",
    }
}

fn usage(u: Usage, p: &Prompt, k: &Knobs) -> Value {
    let output = u.output * k.choices + u.reasoning;
    let images = p.media.iter().filter(|m| m.kind == "image").count();
    json!({
        "prompt_tokens": u.input_total(),
        "completion_tokens": output,
        "total_tokens": u.input_total() + output,
        "prompt_tokens_details": {
            "cached_tokens": u.cache_read, "cache_write_tokens": u.cache_write,
            "audio_tokens": 0, "image_tokens": images * 85,
        },
        "completion_tokens_details": {
            "reasoning_tokens": u.reasoning, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

fn logprobs(k: &Knobs, text: &str) -> Value {
    match k.logprobs {
        true => json!({"content": token_logprobs(text, k.top_logprobs), "refusal": null}),
        false => Value::Null,
    }
}

/// One entry for each token: the n-th token has logprob -n/100.
pub(crate) fn token_logprobs(text: &str, top: u64) -> Value {
    let entry = |token: &str, logprob: f64| {
        json!({
            "token": token, "logprob": logprob, "bytes": token.as_bytes(),
        })
    };
    tokens::split(text)
        .iter()
        .enumerate()
        .map(|(n, token)| {
            let own = -0.01 * (n + 1) as f64;
            let mut e = entry(token, own);
            let others = (0..top).map(|i| match i {
                0 => entry(token, own),
                _ => entry(&format!("alt{i}"), own - i as f64),
            });
            e["top_logprobs"] = others.collect();
            e
        })
        .collect()
}

/// The stream's frames, `[DONE]` included.
pub(crate) fn stream(p: &Prompt, k: &Knobs, reply: &Reply) -> Vec<Bytes> {
    let w = Chunks { p, k };
    let mut out = Vec::new();
    for index in 0..k.choices {
        out.push(w.frame(
            index,
            json!({"role": "assistant", "content": "", "refusal": null}),
            Value::Null,
            None,
        ));
        let mut calls = 0;
        for part in &reply.parts {
            w.part(index, part, &mut calls, &mut out);
        }
        out.push(w.frame(index, json!({}), Value::Null, Some(finish(&reply.finish))));
    }
    if k.include_usage {
        let mut last = w.base();
        last["usage"] = usage(reply.usage, p, k);
        out.push(data(&last));
    }
    out.push(Bytes::from_static(b"data: [DONE]\n\n"));
    out
}

struct Chunks<'a> {
    p: &'a Prompt,
    k: &'a Knobs,
}

impl Chunks<'_> {
    fn base(&self) -> Value {
        let mut base = json!({
            "id": format!("chatcmpl-{}", self.p.seed),
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": self.p.model,
            "service_tier": self.k.service_tier,
            "system_fingerprint": "fp_fake",
            "choices": [],
        });
        if self.k.include_usage {
            base["usage"] = Value::Null;
        }
        if self.k.obfuscation {
            base["obfuscation"] = json!("x7Qk");
        }
        base
    }

    fn frame(&self, index: u64, delta: Value, logprobs: Value, finish: Option<&str>) -> Bytes {
        let mut chunk = self.base();
        chunk["choices"] = json!([{
            "index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish,
        }]);
        data(&chunk)
    }

    fn part(&self, index: u64, part: &Part, calls: &mut u64, out: &mut Vec<Bytes>) {
        match part {
            Part::Thinking { text, .. } if self.k.compat => {
                out.extend(tokens::split(text).iter().map(|t| {
                    self.frame(index, json!({"reasoning_content": t}), Value::Null, None)
                }));
            }
            Part::Thinking { .. } | Part::Redacted { .. } => {}
            Part::Text { text, cite } => self.text(index, text, *cite, out),
            Part::Refusal { text } => {
                out.extend(
                    tokens::split(text)
                        .iter()
                        .map(|t| self.frame(index, json!({"refusal": t}), Value::Null, None)),
                );
            }
            Part::Call {
                arguments, custom, ..
            } => {
                let mut start = call(part);
                start["index"] = json!(*calls);
                let (object, field) = if *custom {
                    ("custom", "input")
                } else {
                    ("function", "arguments")
                };
                start[object][field] = json!("");
                out.push(self.frame(index, json!({"tool_calls": [start]}), Value::Null, None));
                for piece in tokens::split(arguments) {
                    let delta = json!({"tool_calls": [{"index": *calls, object: {field: piece}}]});
                    out.push(self.frame(index, delta, Value::Null, None));
                }
                *calls += 1;
            }
        }
    }

    fn text(&self, index: u64, text: &str, cite: bool, out: &mut Vec<Bytes>) {
        if self.k.audio.is_some() {
            let id = format!("audio_{}", self.p.seed);
            out.push(self.frame(
                index,
                json!({"audio": {"id": id, "transcript": text}}),
                Value::Null,
                None,
            ));
            out.push(self.frame(
                index,
                json!({"audio": {"data": STANDARD.encode(SOUND)}}),
                Value::Null,
                None,
            ));
            out.push(self.frame(
                index,
                json!({"audio": {"expires_at": CREATED + 3600}}),
                Value::Null,
                None,
            ));
            return;
        }
        let probs = token_logprobs(text, self.k.top_logprobs);
        for (n, piece) in tokens::split(text).iter().enumerate() {
            let logprobs = match self.k.logprobs {
                true => json!({"content": [probs[n]], "refusal": null}),
                false => Value::Null,
            };
            out.push(self.frame(index, json!({"content": piece}), logprobs, None));
        }
        if cite {
            out.push(self.frame(
                index,
                json!({"annotations": [annotation(text)]}),
                Value::Null,
                None,
            ));
        }
    }
}

/// One SSE record without an event name.
pub(crate) fn data(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}

/// One SSE record with an event name.
pub(crate) fn event(name: &str, value: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {value}\n\n"))
}
