//! A stream that is ended before its time, in every dialect, behind every one
//! of its frames: a client reads an answer that is whole in form, closed, and
//! cut for its length.
//!
//! Deliberately not here: when a stream is ended (`flow`).

use std::collections::BTreeSet;
use std::path::PathBuf;

use bytes::Bytes;
use contract::answer::FinishReason;
use contract::usage::UsageSource;
use contract::{ChatAnswer, Event, Operation, Usage};
use serde_json::Value;
use tollgate_dialects::framing::{FrameKind, encode_message};
use tollgate_dialects::{Asked, DIALECTS, Dialect, Route, Tally, by_name, fold};

const USAGE: Usage = Usage {
    input: 11,
    cached_read: 0,
    cached_write: 0,
    cached_write_1h: 0,
    output: 7,
    reasoning: 0,
    audio_in: 0,
    audio_out: 0,
    image_in: 0,
    image_out: 0,
    web_searches: 0,
    audio_seconds: 0,
    told_cost_nanos: None,
    tier: None,
    flawed: false,
    source: UsageSource::Estimated,
};

/// The streams of the fixtures of a dialect, as a vendor sends them.
fn vendors(dialect: &str) -> Vec<Vec<u8>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let folders = std::fs::read_dir(root.join(dialect)).expect("fixtures");
    let mut paths: Vec<PathBuf> = folders.map(|it| it.expect("readable").path()).collect();
    paths.sort();
    let streams = paths.iter().filter_map(|folder| {
        let text = std::fs::read(folder.join("stream.sse")).ok();
        text.or_else(|| {
            let events = std::fs::read(folder.join("events.json")).ok()?;
            Some(encoded(&serde_json::from_slice(&events).expect("JSON")))
        })
    });
    streams.collect()
}

fn encoded(events: &Value) -> Vec<u8> {
    let events = events.as_array().expect("a list").iter();
    let message = |event: &Value| {
        let headers = [
            (":event-type", event[0].as_str().expect("a name")),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ];
        encode_message(&headers, event[1].to_string().as_bytes())
    };
    events.flat_map(message).collect()
}

/// What a reader makes of a stream.
fn read(dialect: &dyn Dialect, stream: &[u8]) -> Result<Vec<Event>, contract::Fault> {
    let mut splitter = dialect.framing().splitter();
    let batch = splitter.push(Bytes::copy_from_slice(stream))?;
    let mut reader = dialect.stream_reader();
    let mut events = Vec::new();
    for span in &batch.frames {
        if span.kind != FrameKind::Silent {
            reader.read(batch.frame(span), &mut events)?;
        }
    }
    reader.close(&mut events)?;
    Ok(events)
}

/// All streams that a client of a dialect may see: of its vendor, and
/// translated from every other one.
fn streams(door: &dyn Dialect) -> Vec<Vec<u8>> {
    let mut all = vendors(door.id().0);
    for other in DIALECTS.iter().filter(|other| other.id() != door.id()) {
        for stream in vendors(other.id().0) {
            let route = Route::new(door.id(), Operation::Chat);
            let mut writer = door.stream_writer(&Asked {
                route: &route,
                model: "m",
                request_id: "01234567-89ab-cdef-0123-456789abcdef",
                now_s: 1_760_000_000,
                stream_usage: true,
                request: None,
            });
            let mut out = Vec::new();
            for event in read(*other, &stream).expect("a whole stream") {
                writer.write(&event, &mut out);
            }
            all.push(out);
        }
    }
    all
}

/// The ends of the frames of a stream.
fn frames(door: &dyn Dialect, stream: &[u8]) -> Vec<usize> {
    let mut splitter = door.framing().splitter();
    let batch = splitter.push(Bytes::copy_from_slice(stream)).expect("good");
    batch.frames.iter().map(|span| span.raw.end).collect()
}

/// What ends a stream that came in pieces of this size.
fn ending(door: &dyn Dialect, stream: &[u8], size: usize) -> (Vec<u8>, bool) {
    let mut ender = door.stream_ender(true);
    let mut splitter = door.framing().splitter();
    for piece in stream.chunks(size) {
        let batch = splitter.push(Bytes::copy_from_slice(piece)).expect("good");
        for span in &batch.frames {
            if span.kind != FrameKind::Silent {
                ender.see(batch.frame(span));
            }
        }
    }
    let mut out = Vec::new();
    let cut = ender.end(&USAGE, &mut out);
    let mut again = Vec::new();
    assert!(!ender.end(&USAGE, &mut again) && again.is_empty(), "once");
    (out, cut)
}

/// Whether the watcher of a same-dialect stream has seen content.
fn has_content(door: &dyn Dialect, stream: &[u8]) -> Tally {
    let mut splitter = door.framing().splitter();
    let batch = splitter.push(Bytes::copy_from_slice(stream)).expect("good");
    let mut watcher = door.stream_watcher(false);
    let mut tally = Tally::default();
    for span in &batch.frames {
        if span.kind != FrameKind::Silent {
            watcher.see(batch.frame(span), &mut tally).expect("good");
        }
    }
    tally
}

fn answer(door: &dyn Dialect, stream: &[u8]) -> ChatAnswer {
    let text = || String::from_utf8_lossy(stream).into_owned();
    let events = read(door, stream).unwrap_or_else(|fault| panic!("{fault:?}\n{}", text()));
    fold::fold(events).unwrap_or_else(|fault| panic!("{fault:?}\n{}", text()))
}

#[test]
fn a_stream_can_be_ended_behind_any_frame_that_has_content() {
    let mut cuts = BTreeSet::new();
    for door in DIALECTS.iter().copied() {
        for stream in streams(door) {
            for end in frames(door, &stream) {
                let sent = &stream[..end];
                let before = has_content(door, sent);
                if !before.committed {
                    continue;
                }
                let (told, cut) = ending(door, sent, sent.len());
                let all = [sent, &told].concat();
                let id = door.id().0;
                if before.ended {
                    assert!(!cut, "{id}: the answer was whole");
                }
                let tally = has_content(door, &all);
                assert!(tally.ended && tally.fault.is_none(), "{id}");
                let answer = answer(door, &all);
                if before.finish.is_none() {
                    assert!(cut, "{id}");
                    let reason = answer.choices[0].finish.as_ref().map(|it| it.reason);
                    assert_eq!(reason, Some(FinishReason::Length), "{id}");
                    assert_eq!(tally.finish, Some(FinishReason::Length), "{id}");
                    let usage = answer.usage.expect("usage");
                    assert!(usage.input_total() >= 11, "{id}");
                    assert!(usage.output_total() >= 7, "{id}");
                    cuts.insert(id);
                }
            }
        }
    }
    assert_eq!(cuts.len(), DIALECTS.len(), "every dialect was cut");
}

#[test]
fn the_ending_does_not_hang_on_how_the_stream_came() {
    for door in DIALECTS.iter().copied() {
        for stream in streams(door) {
            let ends = frames(door, &stream);
            let sent = &stream[..ends[ends.len() / 2]];
            let whole = ending(door, sent, sent.len());
            for size in [1, 7, 64, 1_000] {
                assert_eq!(ending(door, sent, size), whole, "{} {size}", door.id());
            }
        }
    }
}

/// Numbers rise by one, what was opened is closed, and the last event holds
/// every item.
#[test]
fn responses_are_closed_item_by_item() {
    let door = by_name("openai_responses").expect("it exists");
    for stream in streams(door) {
        for end in frames(door, &stream) {
            let sent = &stream[..end];
            let before = has_content(door, sent);
            if !before.committed || before.ended {
                continue;
            }
            let (told, _) = ending(door, sent, sent.len());
            let all = String::from_utf8([sent, &told].concat()).expect("UTF-8");
            let events: Vec<Value> = all
                .lines()
                .filter_map(|line| line.strip_prefix("data: "))
                .map(|data| serde_json::from_str(data).expect("JSON"))
                .collect();
            let numbers: Vec<u64> = events
                .iter()
                .map(|event| event["sequence_number"].as_u64().expect("a number"))
                .collect();
            assert!(numbers.windows(2).all(|two| two[0] + 1 == two[1]), "{all}");
            let named = |kind: &str| -> Vec<&Value> {
                events
                    .iter()
                    .filter(|event| event["type"] == kind)
                    .collect()
            };
            let added = named("response.output_item.added").len();
            let done = named("response.output_item.done");
            assert_eq!(added, done.len(), "{all}");
            assert_eq!(
                named("response.content_part.added").len(),
                named("response.content_part.done").len(),
                "{all}"
            );
            let last = &events[events.len() - 1];
            assert_eq!(last["type"], "response.incomplete");
            let response = &last["response"];
            assert_eq!(response["status"], "incomplete");
            assert_eq!(
                response["incomplete_details"]["reason"],
                "max_output_tokens"
            );
            assert_eq!(response["id"], events[0]["response"]["id"]);
            let output = response["output"].as_array().expect("items");
            assert_eq!(output.len(), done.len());
            for item in &done {
                let at = item["output_index"].as_u64().expect("an index") as usize;
                assert_eq!(output[at], item["item"]);
            }
        }
    }
}
