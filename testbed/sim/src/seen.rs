//! Reading answers from outside, as a client would: frames, what each of them
//! says, and the figures of usage. Written apart from `dialects` and over
//! `serde_json`, so that a mistake there is not repeated here.

use std::ops::Range;

use contract::DialectId;
use serde_json::Value;

use crate::ledger::Who;

/// What one frame says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    pub(crate) range: Range<usize>,
    /// It opens a part or closes a choice: a hint of content, but none yet.
    pub(crate) sign: bool,
    /// It holds content, reasoning or a tool call.
    pub(crate) content: bool,
    /// It says why the answer ended.
    pub(crate) finish: bool,
    /// It is an end marker.
    pub(crate) end: bool,
    /// It is an error.
    pub(crate) error: bool,
    /// It cannot be read.
    pub(crate) hurt: bool,
    /// It holds usage and nothing else.
    pub(crate) only_usage: bool,
    pub(crate) usage: Tokens,
    pub(crate) marks: Vec<(Who, usize)>,
}

/// A stream as it was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    pub(crate) frames: Vec<Frame>,
    /// Bytes behind the last whole frame.
    pub(crate) rest: usize,
}

/// Figures of usage, each as it was told last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    plain: Option<u64>,
    cached: Option<u64>,
    written: Option<u64>,
    output: Option<u64>,
    thoughts: Option<u64>,
    inclusive: bool,
}

impl Tokens {
    /// Takes over what is told later.
    pub(crate) fn merge(&mut self, later: &Tokens) {
        self.plain = later.plain.or(self.plain);
        self.cached = later.cached.or(self.cached);
        self.written = later.written.or(self.written);
        self.output = later.output.or(self.output);
        self.thoughts = later.thoughts.or(self.thoughts);
        self.inclusive |= later.inclusive;
    }

    /// Whether anything was told.
    pub(crate) fn is_told(&self) -> bool {
        self.sums() != (0, 0, 0)
    }

    /// All input, all output, and the input that came from a cache.
    pub(crate) fn sums(&self) -> (u64, u64, u64) {
        let cached = self.cached.unwrap_or(0);
        let plain = self.plain.unwrap_or(0);
        let input = if self.inclusive {
            plain
        } else {
            plain + cached + self.written.unwrap_or(0)
        };
        let output = self.output.unwrap_or(0) + self.thoughts.unwrap_or(0);
        (input, output, cached)
    }
}

/// Whether streams of the dialect are lines of text.
pub(crate) fn is_text(dialect: DialectId) -> bool {
    dialect.0 != "bedrock"
}

/// The whole frames in these bytes.
pub(crate) fn cut(dialect: DialectId, bytes: &[u8]) -> Vec<Range<usize>> {
    let mut frames = Vec::new();
    let mut from = 0;
    while let Some(length) = next(dialect, &bytes[from..]) {
        frames.push(from..from + length);
        from += length;
    }
    frames
}

/// Length of the first frame.
fn next(dialect: DialectId, bytes: &[u8]) -> Option<usize> {
    if is_text(dialect) {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            if at > 0 && rest == b"\r" {
                // A blank line that ends in CR alone; what follows may be
                // missing for ever.
                return Some(at + 1);
            }
            let line = rest.iter().position(|byte| *byte == b'\n')?;
            let blank = matches!(&bytes[at..at + line], b"" | b"\r");
            at += line + 1;
            if blank {
                return Some(at);
            }
        }
    }
    let length = number(bytes.get(..4)?);
    (length >= 16 && bytes.len() >= length).then_some(length)
}

/// The stream in these bytes.
pub(crate) fn stream(dialect: DialectId, bytes: &[u8]) -> Stream {
    let ranges = cut(dialect, bytes);
    let rest = bytes.len() - ranges.last().map_or(0, |range| range.end);
    let mut finished = false;
    let mut frames = Vec::with_capacity(ranges.len());
    for range in ranges {
        let mut frame = read(dialect, &bytes[range.clone()]);
        frame.range = range;
        finished |= frame.finish;
        // Behind its finish, this dialect tells the metadata and is done.
        frame.end &= dialect.0 != "bedrock" || finished;
        frames.push(frame);
    }
    Stream { frames, rest }
}

fn read(dialect: DialectId, bytes: &[u8]) -> Frame {
    let mut frame = Frame {
        marks: marks(bytes),
        ..Frame::default()
    };
    let (event, data) = if is_text(dialect) {
        lines(bytes)
    } else {
        match message(bytes) {
            Some((event, exception, data)) => {
                frame.error = exception;
                (event, data)
            }
            None => {
                frame.hurt = true;
                return frame;
            }
        }
    };
    if frame.error || data.is_empty() {
        return frame;
    }
    if data == b"[DONE]" && dialect.0.starts_with("openai") {
        frame.end = dialect.0 == "openai_chat";
        return frame;
    }
    let Ok(json) = serde_json::from_slice::<Value>(&data) else {
        frame.hurt = true;
        return frame;
    };
    frame.usage = usage(dialect, &json);
    match dialect.0 {
        "openai_chat" => read_chat(&json, &mut frame),
        "openai_responses" => read_responses(&json, &mut frame),
        "anthropic" => read_messages(&json, &mut frame),
        "gemini" => read_gemini(&json, &mut frame),
        _ => read_converse(&event, &mut frame),
    }
    frame
}

fn read_chat(json: &Value, frame: &mut Frame) {
    frame.error = !json["error"].is_null();
    let empty = Vec::new();
    let choices = json["choices"].as_array().unwrap_or(&empty);
    frame.only_usage = choices.is_empty() && frame.usage.plain.is_some();
    for choice in choices {
        let delta = choice["delta"].as_object();
        frame.content |= delta.is_some_and(|delta| {
            let full = |value: &Value| {
                value.as_str().is_some_and(|text| !text.is_empty())
                    || value.as_array().is_some_and(|list| !list.is_empty())
                    || value.as_object().is_some_and(|object| !object.is_empty())
            };
            delta
                .iter()
                .any(|(key, value)| key != "role" && full(value))
        });
        frame.finish |= !choice["finish_reason"].is_null();
    }
    frame.sign = frame.content || frame.finish;
}

fn read_responses(json: &Value, frame: &mut Frame) {
    let kind = json["type"].as_str().unwrap_or_default();
    frame.error = kind == "error" || kind == "response.failed" || kind.is_empty();
    frame.end = matches!(kind, "response.completed" | "response.incomplete");
    frame.finish = frame.end;
    let full = json["delta"].as_str().is_some_and(|text| !text.is_empty());
    let item = json["item"]["type"].as_str();
    frame.content = (kind.ends_with(".delta") && full)
        || kind == "response.output_item.done"
        || (kind == "response.output_item.added"
            && item.is_some_and(|item| !matches!(item, "message" | "reasoning")));
    if !kind.ends_with(".delta") {
        // The end of an item repeats what its deltas said.
        frame.marks.clear();
    }
    frame.sign = frame.end
        || ["response.output_item", "response.content_part"]
            .iter()
            .any(|head| kind.starts_with(head))
        || frame.content;
}

fn read_messages(json: &Value, frame: &mut Frame) {
    let kind = json["type"].as_str().unwrap_or_default();
    frame.error = kind == "error";
    frame.end = kind == "message_stop";
    frame.finish = !json["delta"]["stop_reason"].is_null();
    let block = json["content_block"]["type"].as_str();
    frame.content = kind == "content_block_delta"
        || block.is_some_and(|block| !matches!(block, "text" | "thinking"));
    frame.sign = frame.content || frame.finish || kind == "content_block_start";
}

fn read_gemini(json: &Value, frame: &mut Frame) {
    frame.error = !json["error"].is_null();
    let candidate = &json["candidates"][0];
    frame.finish = !candidate["finishReason"].is_null();
    frame.end = frame.finish;
    let parts = candidate["content"]["parts"].as_array();
    frame.content = parts.into_iter().flatten().any(|part| {
        part["text"].as_str().is_some_and(|text| !text.is_empty())
            || part["functionCall"].is_object()
    });
    frame.sign = !candidate.is_null();
}

fn read_converse(event: &str, frame: &mut Frame) {
    frame.content = matches!(event, "contentBlockDelta" | "contentBlockStart");
    frame.finish = event == "messageStop";
    frame.end = event == "metadata";
    frame.sign = frame.content || frame.finish;
}

/// Event name and data of one server-sent event (WHATWG HTML, section 9.2).
fn lines(bytes: &[u8]) -> (String, Vec<u8>) {
    let (mut event, mut data) = (String::new(), Vec::new());
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(name) = line.strip_prefix(b"event:") {
            event = String::from_utf8_lossy(name).trim().to_owned();
        } else if let Some(more) = line.strip_prefix(b"data:") {
            if !data.is_empty() {
                data.push(b'\n');
            }
            data.extend_from_slice(more.trim_ascii());
        }
    }
    (event, data)
}

/// Event name, whether it is an exception, and payload of one event-stream
/// message.
fn message(bytes: &[u8]) -> Option<(String, bool, Vec<u8>)> {
    let headers_end = 12 + number(bytes.get(4..8)?);
    let payload = bytes.get(headers_end..bytes.len().checked_sub(4)?)?;
    let (mut event, mut exception) = (String::new(), false);
    let mut at = 12;
    while at < headers_end {
        let name_end = at + 1 + usize::from(*bytes.get(at)?);
        let name = bytes.get(at + 1..name_end)?;
        // Type 7: a string behind its length in two bytes.
        let length = number(bytes.get(name_end + 1..name_end + 3)?);
        at = name_end + 3 + length;
        let value = String::from_utf8_lossy(bytes.get(name_end + 3..at)?).into_owned();
        match name {
            b":event-type" | b":exception-type" => event = value,
            b":message-type" => exception = value == "exception",
            _ => {}
        }
    }
    Some((event, exception, payload.to_vec()))
}

fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |sum, byte| (sum << 8) | usize::from(*byte))
}

/// All marks, in order.
pub(crate) fn marks(bytes: &[u8]) -> Vec<(Who, usize)> {
    let text = String::from_utf8_lossy(bytes);
    let found = text.split("mark-").skip(1).filter_map(|behind| {
        let (name, _) = behind.split_once('.')?;
        let mut numbers = name.split('-').map(|number| number.parse().ok());
        let (exchange, candidate, place) = (numbers.next()??, numbers.next()??, numbers.next()??);
        Some((
            Who {
                exchange,
                candidate,
            },
            place,
        ))
    });
    found.collect()
}

/// The figures in a whole answer or a frame.
pub(crate) fn usage(dialect: DialectId, json: &Value) -> Tokens {
    let told = match dialect.0 {
        "gemini" => &json["usageMetadata"],
        "openai_responses" if json["response"].is_object() => &json["response"]["usage"],
        "anthropic" if json["message"].is_object() => &json["message"]["usage"],
        _ => &json["usage"],
    };
    let figure = |key: &str| told[key].as_u64();
    let detail = |list: &str, key: &str| told[list][key].as_u64();
    match dialect.0 {
        "openai_chat" => Tokens {
            plain: figure("prompt_tokens"),
            cached: detail("prompt_tokens_details", "cached_tokens"),
            output: figure("completion_tokens"),
            inclusive: true,
            ..Tokens::default()
        },
        "openai_responses" => Tokens {
            plain: figure("input_tokens"),
            cached: detail("input_tokens_details", "cached_tokens"),
            output: figure("output_tokens"),
            inclusive: true,
            ..Tokens::default()
        },
        "anthropic" => Tokens {
            plain: figure("input_tokens"),
            cached: figure("cache_read_input_tokens"),
            written: figure("cache_creation_input_tokens"),
            output: figure("output_tokens"),
            ..Tokens::default()
        },
        "gemini" => Tokens {
            plain: figure("promptTokenCount"),
            cached: figure("cachedContentTokenCount"),
            output: figure("candidatesTokenCount"),
            thoughts: figure("thoughtsTokenCount"),
            inclusive: true,
            ..Tokens::default()
        },
        _ => Tokens {
            plain: figure("inputTokens"),
            cached: figure("cacheReadInputTokens"),
            written: figure("cacheWriteInputTokens"),
            output: figure("outputTokens"),
            ..Tokens::default()
        },
    }
}

impl Stream {
    /// Figures of all frames before `stop`.
    pub(crate) fn usage(&self, stop: usize) -> Tokens {
        let mut sum = Tokens::default();
        for frame in &self.frames[..stop] {
            sum.merge(&frame.usage);
        }
        sum
    }
}
