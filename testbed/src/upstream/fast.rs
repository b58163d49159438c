//! Canned answers for benches, by a server that does as little as a server can.
//!
//! It reads HTTP/1.1 by hand and writes bytes that were made once: no hyper, no JSON, no journal,
//! so that the core it shares with the load generator is not what limits a run. A stream's chunks
//! are written one by one, as a model writes them. Markers in the prompt text survive every
//! gateway: `[pace=20]` waits before each chunk (ms), `[delay=5]` before the head (ms),
//! `[chunks=64]` sets their number. Not here: validation of any kind.

use super::Options;
use super::chat_write::{data, event};
use super::prompt::Surface;
use crate::http1::{self, BodyReader};
use bytes::Bytes;
use memchr::memmem;
use serde_json::{Value, json};
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CHUNKS: usize = 64;
/// Most chunks that a marker may ask for.
const CHUNKS_MAX: usize = 100_000;
/// First and last bytes of a body that are looked at.
const WINDOW: usize = 4096;
/// Read buffer: starts small, since thousands of connections may be open.
const BUFFER: usize = 16 * 1024;

/// Serves one connection until the peer closes it.
pub(crate) async fn connection(mut stream: TcpStream, options: Arc<Options>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER];
    let mut pending: Vec<u8> = Vec::new();
    loop {
        let Some(request) = receive(&mut stream, &mut buffer, &mut pending).await? else {
            return Ok(());
        };
        answer(&mut stream, &options, &request).await?;
    }
}

/// What is kept of a request.
struct Received {
    path: String,
    /// The first and the last bytes of the body.
    ends: Vec<u8>,
}

async fn receive(
    stream: &mut TcpStream,
    buffer: &mut [u8],
    pending: &mut Vec<u8>,
) -> io::Result<Option<Received>> {
    let head = loop {
        if let Some(head) = http1::head(pending) {
            break head;
        }
        match stream.read(buffer).await? {
            0 => return Ok(None),
            n => pending.extend_from_slice(&buffer[..n]),
        }
    };
    let line = pending[..head.len]
        .split(|b| *b == b'\r')
        .next()
        .unwrap_or_default();
    let path =
        String::from_utf8_lossy(line.split(|b| *b == b' ').nth(1).unwrap_or_default()).into_owned();
    let mut reader = BodyReader::new(head.framing);
    let mut ends = Ends::default();
    let used = head.len + reader.feed(&pending[head.len..], |b| ends.take(b));
    pending.drain(..used);
    while !reader.done() {
        match stream.read(buffer).await? {
            0 => return Ok(None),
            n => {
                let used = reader.feed(&buffer[..n], |b| ends.take(b));
                pending.extend_from_slice(&buffer[used..n]);
            }
        }
    }
    Ok(Some(Received {
        path,
        ends: ends.join(),
    }))
}

/// The two ends of a body; the middle of a prompt is neither kept nor searched.
#[derive(Default)]
struct Ends {
    first: Vec<u8>,
    last: Vec<u8>,
}

impl Ends {
    fn take(&mut self, data: &[u8]) {
        let room = (WINDOW - self.first.len()).min(data.len());
        self.first.extend_from_slice(&data[..room]);
        let rest = &data[room..];
        let tail = &rest[rest.len().saturating_sub(WINDOW)..];
        let excess = (self.last.len() + tail.len()).saturating_sub(WINDOW);
        self.last.drain(..excess.min(self.last.len()));
        self.last.extend_from_slice(tail);
    }

    fn join(mut self) -> Vec<u8> {
        self.first.append(&mut self.last);
        self.first
    }
}

async fn answer(stream: &mut TcpStream, options: &Options, request: &Received) -> io::Result<()> {
    let body = &request.ends;
    let (surface, streams) = surface_of(&request.path, body);
    let delay = marker(body, "delay").unwrap_or(options.delay_ms);
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    if !streams {
        return stream.write_all(&whole(surface)).await;
    }
    let chunks = marker(body, "chunks").map_or(CHUNKS, |n| (n as usize).min(CHUNKS_MAX));
    let pace = Duration::from_millis(marker(body, "pace").unwrap_or(options.chunk_ms));
    let frames = frames(surface);
    stream.write_all(&frames.open).await?;
    for chunk in frames.middle.iter().cycle().take(chunks) {
        if !pace.is_zero() {
            tokio::time::sleep(pace).await;
        }
        stream.write_all(chunk).await?;
    }
    stream.write_all(&frames.close).await
}

fn surface_of(path: &str, body: &[u8]) -> (Surface, bool) {
    let has = |word: &str| path.contains(word);
    match () {
        () if has("generateContent") => (Surface::Gemini, false),
        () if has("/converse") => (Surface::Converse, false),
        () if has("/messages") => (Surface::Messages, asks_for_stream(body)),
        () if has("/responses") => (Surface::Responses, asks_for_stream(body)),
        () => (Surface::Chat, asks_for_stream(body)),
    }
}

/// A number given as `[name=123]` anywhere in the body.
pub(crate) fn marker(body: &[u8], name: &str) -> Option<u64> {
    let at = memmem::find(body, format!("[{name}=").as_bytes())? + name.len() + 2;
    let digits: String = body[at..]
        .iter()
        .map(|b| char::from(*b))
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}

/// `"stream": true` somewhere in the ends of the body.
fn asks_for_stream(ends: &[u8]) -> bool {
    memmem::find_iter(ends, b"\"stream\"").any(|at| {
        let rest = &ends[at + 8..];
        let value = rest
            .iter()
            .position(|b| !b" :\t\r\n".contains(b))
            .map_or(&rest[..0], |i| &rest[i..]);
        value.starts_with(b"true")
    })
}

/// The whole answer, head and body, made once for each surface.
fn whole(surface: Surface) -> Bytes {
    static ALL: OnceLock<[Bytes; 5]> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        [Surface::Chat, Surface::Responses, Surface::Messages, Surface::Gemini, Surface::Converse].map(|s| {
            let body = canned(s).to_string();
            Bytes::from(format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
        })
    });
    all[surface as usize].clone()
}

/// About 1 KB of answer.
fn canned(surface: Surface) -> Value {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(14);
    match surface {
        Surface::Chat => json!({
            "id": "chatcmpl-bench", "object": "chat.completion", "created": super::CREATED, "model": "gpt-4o-mini",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": null}, "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 220, "completion_tokens": 140, "total_tokens": 360, "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}},
            "service_tier": "default", "system_fingerprint": "fp_bench",
        }),
        Surface::Responses => json!({
            "id": "resp_bench", "object": "response", "created_at": super::CREATED, "status": "completed", "model": "gpt-4o-mini",
            "error": null, "incomplete_details": null, "instructions": null, "parallel_tool_calls": true, "tool_choice": "auto", "tools": [],
            "output": [{"id": "msg_bench", "type": "message", "status": "completed", "role": "assistant", "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}]}],
            "usage": {"input_tokens": 220, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}, "output_tokens": 140, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 360},
        }),
        Surface::Messages => json!({
            "id": "msg_bench", "type": "message", "role": "assistant", "model": "claude-haiku-4-5",
            "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 220, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 140},
        }),
        Surface::Gemini => json!({
            "candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 220, "candidatesTokenCount": 140, "totalTokenCount": 360}, "modelVersion": "gemini-2.5-flash", "responseId": "bench",
        }),
        Surface::Converse => json!({
            "output": {"message": {"role": "assistant", "content": [{"text": text}]}}, "stopReason": "end_turn",
            "usage": {"inputTokens": 220, "outputTokens": 140, "totalTokens": 360}, "metrics": {"latencyMs": 1},
        }),
    }
}

/// A stream as it goes over the wire: each piece is one or more HTTP chunks.
struct Frames {
    /// The head of the answer, and the events before any content.
    open: Bytes,
    /// Content events, one HTTP chunk each; repeated for longer streams.
    middle: Vec<Bytes>,
    /// Closing events and the end of the body.
    close: Bytes,
}

fn frames(surface: Surface) -> &'static Frames {
    static CHAT: OnceLock<Frames> = OnceLock::new();
    static MESSAGES: OnceLock<Frames> = OnceLock::new();
    static RESPONSES: OnceLock<Frames> = OnceLock::new();
    match surface {
        Surface::Messages => MESSAGES.get_or_init(|| encode(messages_events())),
        Surface::Responses => RESPONSES.get_or_init(|| encode(responses_events())),
        // Gemini and Bedrock streams have no canned form; benches do not use them.
        Surface::Chat | Surface::Gemini | Surface::Converse => {
            CHAT.get_or_init(|| encode(chat_events()))
        }
    }
}

/// Opening, content and closing events.
type Events = (Vec<Bytes>, Vec<Bytes>, Vec<Bytes>);

fn encode((open, middle, close): Events) -> Frames {
    let chunk = |b: &Bytes| [format!("{:x}\r\n", b.len()).as_bytes(), b, b"\r\n"].concat();
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n";
    let open: Vec<u8> = head
        .iter()
        .copied()
        .chain(open.iter().flat_map(chunk))
        .collect();
    let close: Vec<u8> = close.iter().flat_map(chunk).chain(*b"0\r\n\r\n").collect();
    Frames {
        open: open.into(),
        middle: middle.iter().map(|m| Bytes::from(chunk(m))).collect(),
        close: close.into(),
    }
}

fn chat_events() -> Events {
    let base = |choices: Value, usage: Value| {
        data(&json!({
            "id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": super::CREATED, "model": "gpt-4o-mini",
            "service_tier": "default", "system_fingerprint": "fp_bench", "choices": choices, "usage": usage,
        }))
    };
    let chunk = |delta: Value, finish: Value| {
        base(
            json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]),
            Value::Null,
        )
    };
    let usage = json!({"prompt_tokens": 220, "completion_tokens": 64, "total_tokens": 284});
    (
        vec![chunk(
            json!({"role": "assistant", "content": ""}),
            Value::Null,
        )],
        vec![chunk(json!({"content": " word"}), Value::Null)],
        vec![
            chunk(json!({}), json!("stop")),
            base(json!([]), usage),
            Bytes::from_static(b"data: [DONE]\n\n"),
        ],
    )
}

fn messages_events() -> Events {
    let typed = |kind: &str, mut v: Value| {
        v["type"] = json!(kind);
        event(kind, &v)
    };
    let start = json!({
        "id": "msg_bench", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 220, "output_tokens": 1},
    });
    (
        vec![
            typed("message_start", json!({"message": start})),
            typed(
                "content_block_start",
                json!({"index": 0, "content_block": {"type": "text", "text": ""}}),
            ),
        ],
        vec![typed(
            "content_block_delta",
            json!({"index": 0, "delta": {"type": "text_delta", "text": " word"}}),
        )],
        vec![
            typed("content_block_stop", json!({"index": 0})),
            typed(
                "message_delta",
                json!({"delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 64}}),
            ),
            typed("message_stop", json!({})),
        ],
    )
}

fn responses_events() -> Events {
    let mut next = 0;
    let mut typed = |kind: &str, mut v: Value| {
        v["type"] = json!(kind);
        v["sequence_number"] = json!(next);
        next += 1;
        event(kind, &v)
    };
    let whole = canned(Surface::Responses);
    let mut opened = whole.clone();
    opened["status"] = json!("in_progress");
    opened["output"] = json!([]);
    opened["usage"] = Value::Null;
    let item = json!({"id": "msg_bench", "type": "message", "status": "in_progress", "role": "assistant", "content": []});
    let at = || json!({"item_id": "msg_bench", "output_index": 0, "content_index": 0});
    let with = |key: &str, value: Value| {
        let mut v = at();
        v[key] = value;
        v
    };
    let part = json!({"type": "output_text", "annotations": [], "logprobs": [], "text": ""});
    let open = vec![
        typed("response.created", json!({"response": opened})),
        typed("response.in_progress", json!({"response": opened})),
        typed(
            "response.output_item.added",
            json!({"output_index": 0, "item": item}),
        ),
        typed("response.content_part.added", with("part", part)),
    ];
    let middle = (0..CHUNKS)
        .map(|_| {
            let mut v = with("delta", json!(" word"));
            v["logprobs"] = json!([]);
            typed("response.output_text.delta", v)
        })
        .collect();
    let text = " word".repeat(CHUNKS);
    let close = vec![
        typed("response.output_text.done", with("text", json!(text))),
        typed(
            "response.content_part.done",
            with(
                "part",
                json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text}),
            ),
        ),
        typed(
            "response.output_item.done",
            json!({"output_index": 0, "item": whole["output"][0]}),
        ),
        typed("response.completed", json!({"response": whole})),
    ];
    (open, middle, close)
}
