//! The byte work of faults: re-framing, cutting and bloating what would have been a good answer.

use super::answer::Step;
use super::eventstream;
use super::prompt::Surface;
use bytes::Bytes;
use serde_json::{Value, json};
use std::time::Duration;

/// Size of the text in `big-event`.
const BIG: usize = 5 * 1024 * 1024;
/// `byte-drip` sends single bytes up to here, then pieces, so that it ends in seconds.
const DRIP_SINGLES: usize = 250;
const DRIP_PIECE: usize = 128;

/// Rewrites the frames of a stream for the faults that keep its content.
pub(crate) fn frames(name: &str, surface: Surface, frames: &[Bytes]) -> Vec<Step> {
    let binary = surface == Surface::Converse;
    let sends = |list: Vec<Bytes>| list.into_iter().map(Step::Send).collect::<Vec<_>>();
    let all = || Bytes::from(frames.concat());
    match name {
        "one-chunk" => vec![Step::Send(all())],
        "byte-drip" => drip(&all()),
        "split-utf8" => split_utf8(&all()),
        "invalid-utf8" => sends(frames.iter().map(invalid_utf8).collect()),
        "missing-usage" if binary => sends(
            frames
                .iter()
                .filter(|f| !is_event(f, "metadata"))
                .cloned()
                .collect(),
        ),
        "missing-usage" => sends(frames.iter().filter_map(sse_without_usage).collect()),
        "malformed-json" => insert(frames, Bytes::from_static(b"data: {\"broken\": \n\n")),
        "unknown-event" if binary => insert(
            frames,
            eventstream::event("somethingNew", &json!({"novel": true})),
        ),
        "unknown-event" => insert(frames, unknown_event(surface)),
        "big-event" => big(surface, frames),
        "truncated-frame" => {
            let raw = all();
            vec![Step::Send(raw.slice(..raw.len() - 20.min(raw.len())))]
        }
        "invalid-crc" if binary => sends(
            frames
                .iter()
                .enumerate()
                .map(|(n, f)| {
                    if n == 2 {
                        eventstream::spoil_crc(f)
                    } else {
                        f.clone()
                    }
                })
                .collect(),
        ),
        _ if binary => sends(frames.to_vec()),
        _ => sse(name, frames),
    }
}

/// The legal and rare spellings of SSE.
fn sse(name: &str, frames: &[Bytes]) -> Vec<Step> {
    let sends = |list: Vec<String>| {
        list.into_iter()
            .map(|s| Step::Send(Bytes::from(s)))
            .collect::<Vec<_>>()
    };
    let texts: Vec<String> = frames
        .iter()
        .map(|f| String::from_utf8_lossy(f).replace("\r\n", "\n"))
        .collect();
    match name {
        "sse-cr" => sends(texts.iter().map(|t| t.replace('\n', "\r")).collect()),
        "sse-crlf" => sends(texts.iter().map(|t| t.replace('\n', "\r\n")).collect()),
        "sse-crlf-split" => {
            let whole: String = texts.iter().map(|t| t.replace('\n', "\r\n")).collect();
            let pieces: Vec<String> = whole.split_inclusive('\r').map(str::to_owned).collect();
            paced(pieces.into_iter().map(Bytes::from).collect())
        }
        "sse-comments" => sends(
            texts
                .iter()
                .map(|t| format!(": keep-alive\n\n:\n{t}"))
                .collect(),
        ),
        "sse-bom" => sends(
            texts
                .iter()
                .enumerate()
                .map(|(n, t)| {
                    if n == 0 {
                        format!("\u{feff}{t}")
                    } else {
                        t.clone()
                    }
                })
                .collect(),
        ),
        "sse-no-space" => sends(
            texts
                .iter()
                .map(|t| t.replace("data: ", "data:").replace("event: ", "event:"))
                .collect(),
        ),
        "sse-fields" => sends(
            texts
                .iter()
                .enumerate()
                .map(|(n, t)| format!("id: {n}\nretry: 1000\n{}", two_lines(t)))
                .collect(),
        ),
        _ => frames.iter().cloned().map(Step::Send).collect(),
    }
}

/// A comma outside of strings is a place where JSON may break its line.
fn two_lines(event: &str) -> String {
    match event.find("{\"").and_then(|_| event.find(",\"")) {
        Some(at) => format!("{},\ndata: {}", &event[..at], &event[at + 1..]),
        None => event.to_owned(),
    }
}

fn insert(frames: &[Bytes], extra: Bytes) -> Vec<Step> {
    let at = 3.min(frames.len());
    let mut list: Vec<Bytes> = frames.to_vec();
    list.insert(at, extra);
    list.into_iter().map(Step::Send).collect()
}

fn unknown_event(surface: Surface) -> Bytes {
    match surface {
        Surface::Responses => Bytes::from_static(b"event: response.novelty\ndata: {\"type\":\"response.novelty\",\"sequence_number\":3,\"novel\":true}\n\n"),
        Surface::Messages => Bytes::from_static(b"event: novelty\ndata: {\"type\":\"novelty\",\"novel\":true}\n\n"),
        Surface::Chat => Bytes::from_static(b"data: {\"id\":\"chatcmpl-x\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"m\",\"choices\":[],\"novel\":true}\n\n"),
        Surface::Gemini => Bytes::from_static(b"data: {\"novel\":true}\r\n\r\n"),
        Surface::Converse => Bytes::new(),
    }
}

/// All frames but those that say that the stream is over.
pub(crate) fn without_end(surface: Surface, frames: &[Bytes]) -> Vec<Step> {
    let ends = match surface {
        // The finish chunk stays; only `[DONE]` is missing.
        Surface::Chat | Surface::Responses | Surface::Messages | Surface::Gemini => 1,
        // messageStop and metadata.
        Surface::Converse => 2,
    };
    let keep = frames.len().saturating_sub(ends);
    frames[..keep].iter().cloned().map(Step::Send).collect()
}

fn paced(pieces: Vec<Bytes>) -> Vec<Step> {
    pieces
        .into_iter()
        .flat_map(|p| [Step::Wait(Duration::from_millis(1)), Step::Send(p)])
        .collect()
}

pub(crate) fn drip(body: &Bytes) -> Vec<Step> {
    let singles = body.len().min(DRIP_SINGLES);
    let mut pieces: Vec<Bytes> = (0..singles).map(|n| body.slice(n..n + 1)).collect();
    let mut at = singles;
    while at < body.len() {
        let end = (at + DRIP_PIECE).min(body.len());
        pieces.push(body.slice(at..end));
        at = end;
    }
    paced(pieces)
}

/// Cuts the stream inside every multi-byte character.
fn split_utf8(body: &Bytes) -> Vec<Step> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (n, b) in body.iter().enumerate() {
        if *b >= 0xC0 {
            pieces.push(body.slice(start..n + 1));
            start = n + 1;
        }
    }
    pieces.push(body.slice(start..));
    paced(pieces)
}

/// Replaces the continuation of each multi-byte character by an illegal byte.
pub(crate) fn invalid_utf8(body: &Bytes) -> Bytes {
    body.iter()
        .map(|b| if (0x80..0xC0).contains(b) { 0xFF } else { *b })
        .collect()
}

fn is_event(frame: &Bytes, kind: &str) -> bool {
    eventstream::decode(frame).is_some_and(|l| l.iter().any(|(k, _)| k == kind))
}

/// A JSON body without its usage.
pub(crate) fn without_usage(body: &Bytes) -> Bytes {
    match serde_json::from_slice::<Value>(body) {
        Ok(mut v) => {
            drop_usage(&mut v);
            Bytes::from(v.to_string())
        }
        Err(_) => body.clone(),
    }
}

fn drop_usage(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|k, _| k != "usage" && k != "usageMetadata");
            map.values_mut().for_each(drop_usage);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_usage),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn sse_without_usage(frame: &Bytes) -> Option<Bytes> {
    let text = String::from_utf8_lossy(frame);
    let Some((head, data)) = text.split_once("data: ") else {
        return Some(frame.clone());
    };
    let Ok(mut v) = serde_json::from_str::<Value>(data.trim_end()) else {
        return Some(frame.clone());
    };
    // Chat's own usage chunk has no choices and would be empty without usage.
    if v["usage"].is_object() && v["choices"].as_array().is_some_and(Vec::is_empty) {
        return None;
    }
    drop_usage(&mut v);
    let end = &data[data.trim_end().len()..];
    Some(Bytes::from(format!("{head}data: {v}{end}")))
}

/// Puts a very long text into the first frame that carries visible text.
fn big(surface: Surface, frames: &[Bytes]) -> Vec<Step> {
    let long = "x".repeat(BIG);
    let marks: &[&str] = match surface {
        Surface::Chat => &["\"delta\":{\"content\":\""],
        Surface::Responses => &["\"delta\":\""],
        Surface::Messages => &["\"text_delta\",\"text\":\""],
        Surface::Gemini => &["{\"text\":\""],
        Surface::Converse => &["{\"text\":\""],
    };
    let mut grown = false;
    frames
        .iter()
        .map(|f| {
            if surface == Surface::Converse {
                return Step::Send(big_binary(f, &long, &mut grown));
            }
            let text = String::from_utf8_lossy(f);
            let at = marks.iter().find_map(|m| text.find(m).map(|i| i + m.len()));
            match at {
                // The role chunk has an empty text; content follows it.
                Some(i) if !grown && !text[i..].starts_with('"') => {
                    grown = true;
                    Step::Send(Bytes::from(format!("{}{long}{}", &text[..i], &text[i..])))
                }
                Some(_) | None => Step::Send(f.clone()),
            }
        })
        .collect()
}

fn big_binary(frame: &Bytes, long: &str, grown: &mut bool) -> Bytes {
    let Some(mut list) = eventstream::decode(frame) else {
        return frame.clone();
    };
    match list.pop() {
        Some((kind, mut payload)) if !*grown && payload["delta"]["text"].is_string() => {
            *grown = true;
            payload["delta"]["text"] = json!(long);
            eventstream::event(&kind, &payload)
        }
        Some(_) | None => frame.clone(),
    }
}

/// A whole answer whose first text is very long.
pub(crate) fn big_json(body: &Bytes) -> Bytes {
    let text = String::from_utf8_lossy(body);
    let marks = ["\"content\":\"", "\"text\":\""];
    match marks.iter().find_map(|m| text.find(m).map(|i| i + m.len())) {
        Some(i) => Bytes::from(format!("{}{}{}", &text[..i], "x".repeat(BIG), &text[i..])),
        None => body.clone(),
    }
}

/// A gzip member of stored blocks: legal, not small, and no compressor needed.
pub(crate) fn gzip(body: &[u8]) -> Bytes {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let blocks: Vec<&[u8]> = if body.is_empty() {
        vec![&[]]
    } else {
        body.chunks(0xffff).collect()
    };
    for (n, block) in blocks.iter().enumerate() {
        let size = u16::try_from(block.len()).expect("chunks are at most 65535 bytes");
        out.push(u8::from(n + 1 == blocks.len()));
        out.extend_from_slice(&size.to_le_bytes());
        out.extend_from_slice(&(!size).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    Bytes::from(out)
}
