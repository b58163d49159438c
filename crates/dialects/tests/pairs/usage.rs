//! The same exchange as a whole and as a stream, watched and read, however
//! the network cuts it: the same usage and tier. Cases are the files of the
//! folders `usage` among the fixtures; what they expect follows from the
//! vendors' documents.

use std::path::Path;

use bytes::Bytes;
use contract::{Answer, Event, Operation, Usage, UsageSource};
use serde_json::Value;
use tollgate_dialects::framing::Framing;
use tollgate_dialects::json::Doc;
use tollgate_dialects::{Dialect, Seen, Tally, fold};

use crate::drive::{self, dialects};

/// Sizes of pieces in which a stream comes, bytes.
const PIECES: [usize; 4] = [1, 7, 64, usize::MAX];

struct Case {
    name: String,
    dialect: &'static dyn Dialect,
    operation: Operation,
    whole: Bytes,
    stream: Option<Vec<u8>>,
    usage: Option<Usage>,
    tier: Option<String>,
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut cases = Vec::new();
    for dialect in dialects() {
        let folder = root.join(dialect.id().0).join("usage");
        let files = std::fs::read_dir(folder).expect("each dialect has such fixtures");
        for file in files {
            let file = file.expect("readable").path();
            let text = std::fs::read_to_string(&file).expect("readable");
            let case: Value = serde_json::from_str(&text).expect("JSON");
            cases.push(Case {
                name: file.display().to_string(),
                dialect,
                operation: match case["operation"].as_str() {
                    Some("embed") => Operation::Embed,
                    _ => Operation::Chat,
                },
                whole: case["whole"].to_string().into(),
                stream: case["stream"].as_array().map(|it| encoded(dialect, it)),
                usage: expected(&case["expect"]["usage"]),
                tier: case["expect"]["tier"].as_str().map(Into::into),
            });
        }
    }
    cases
}

fn encoded(dialect: &dyn Dialect, events: &[Value]) -> Vec<u8> {
    if dialect.framing() == Framing::EventStream {
        return drive::encoded(&Value::Array(events.to_vec()));
    }
    let mut out = String::new();
    for event in events {
        if let Some(kind) = event["type"].as_str() {
            out.push_str(&format!("event: {kind}\n"));
        }
        let text = event.as_str().map_or_else(|| event.to_string(), Into::into);
        out.push_str(&format!("data: {text}\n\n"));
    }
    out.into_bytes()
}

fn expected(told: &Value) -> Option<Usage> {
    let count = |name: &str| told[name].as_u64().unwrap_or(0);
    let sources = [
        UsageSource::Missing,
        UsageSource::ProviderInput,
        UsageSource::ProviderOutput,
        UsageSource::Provider,
    ];
    let source = told["source"].as_str()?;
    Some(Usage {
        input: count("input"),
        cached_read: count("cached_read"),
        cached_write: count("cached_write"),
        cached_write_1h: count("cached_write_1h"),
        output: count("output"),
        reasoning: count("reasoning"),
        audio_in: count("audio_in"),
        audio_out: count("audio_out"),
        image_in: count("image_in"),
        image_out: count("image_out"),
        web_searches: count("web_searches"),
        audio_seconds: count("audio_seconds"),
        told_cost_nanos: told["told_cost_nanos"].as_u64(),
        tier: None,
        flawed: told["flawed"] == true,
        source: sources
            .into_iter()
            .find(|it| it.name() == source)
            .expect("a source"),
    })
}

impl Case {
    fn check(&self, way: &str, tally: &Tally) {
        assert_eq!(tally.usage, self.usage, "{}: {way}", self.name);
        let tier = tally.tier.map(|tier| tier.name());
        assert_eq!(tier, self.tier.as_deref(), "{}: {way}", self.name);
    }

    /// By the watcher that streams of the same dialect pass.
    fn watched(&self, stream: &[u8], piece: usize) -> Tally {
        let mut watcher = self.dialect.stream_watcher(false);
        let mut tally = Tally::default();
        drive::each_frame(self.dialect.framing(), stream, piece, |frame| {
            watcher.see(frame, &mut tally).map(|_| ())
        })
        .unwrap_or_else(|fault| panic!("{}: {fault:?}", self.name));
        watcher
            .close(&mut tally)
            .unwrap_or_else(|fault| panic!("{}: {fault:?}", self.name));
        tally
    }

    /// By the reader that translated streams go through.
    fn read(&self, stream: &[u8], piece: usize) -> Vec<Event> {
        drive::read_stream(self.dialect, stream, piece)
            .unwrap_or_else(|fault| panic!("{}: {fault:?}", self.name))
    }
}

fn tally_of(events: &[Event]) -> Tally {
    let mut tally = Tally::default();
    events.iter().for_each(|event| tally.note(event));
    tally
}

#[test]
fn whole_and_stream_watched_and_read_tell_the_same_usage() {
    let cases = cases();
    assert!(cases.len() >= 95, "{} cases", cases.len());
    for case in &cases {
        let doc = Doc::answer(case.whole.clone()).expect("JSON");
        let mut watched = Tally::default();
        case.dialect
            .tally_answer(case.operation, doc.root(), &mut watched)
            .unwrap_or_else(|fault| panic!("{}: {fault:?}", case.name));
        case.check("whole, watched", &watched);

        let answer = case
            .dialect
            .read_answer(case.operation, doc.root())
            .unwrap_or_else(|fault| panic!("{}: {fault:?}", case.name));
        let mut read = Tally::default();
        read.take(&answer);
        case.check("whole, read", &read);

        let Some(stream) = &case.stream else { continue };
        for piece in PIECES {
            let piece = piece.min(stream.len());
            let watched = case.watched(stream, piece);
            case.check("stream, watched", &watched);
            let events = case.read(stream, piece);
            case.check("stream, read", &tally_of(&events));
            let folded = fold::fold(events).expect("whole");
            let mut tally = Tally::default();
            tally.take(&Answer::Chat(folded));
            case.check("stream, folded", &tally);
        }
    }
}

/// What an estimate goes by hangs neither on the pieces of the network nor on
/// the way the stream goes.
#[test]
fn what_was_seen_of_a_stream_is_the_same_in_any_pieces() {
    for case in cases() {
        let Some(stream) = &case.stream else { continue };
        let seen: Vec<Seen> = PIECES
            .into_iter()
            .map(|piece| case.watched(stream, piece.min(stream.len())).seen)
            .collect();
        assert!(seen[0].bytes >= 11, "{}: {seen:?}", case.name);
        assert!(seen.iter().all(|it| *it == seen[0]), "{}", case.name);
        let read = tally_of(&case.read(stream, stream.len())).seen;
        // The watcher counts JSON as it stands, with its escapes.
        let apart = read.bytes.abs_diff(seen[0].bytes);
        assert!(apart <= 32, "{}: {read:?} {:?}", case.name, seen[0]);
    }
}

/// Written for a client of any dialect, the sums are those of the provider.
#[test]
fn sums_survive_every_translation() {
    for case in cases() {
        let Some(told) = case.usage.filter(Usage::is_told) else {
            continue;
        };
        if case.operation != Operation::Chat {
            continue;
        }
        let answer = drive::read_answer(case.dialect, &case.whole).expect("readable");
        for to in dialects() {
            let written = drive::write_answer(to, &answer);
            let again = drive::read_answer(to, &written.body).expect("our own words");
            let again = again.usage.expect("it was told");
            let sums = (again.input_total(), again.output_total());
            let way = format!("{} to {}", case.name, to.id());
            assert_eq!(sums, (told.input_total(), told.output_total()), "{way}");
        }
    }
}

/// Figures that are none, as JSON.
const ODD: [&str; 9] = [
    "-1",
    "1.5",
    "1e400",
    "100000000000000000000000000000",
    "\"12\"",
    "null",
    "true",
    "[]",
    "{}",
];

/// The pointers of all values below the usage of an answer.
fn figures(value: &Value, at: &str, out: &mut Vec<String>) {
    let mut below = |key: &str, value: &Value| {
        let at = format!("{at}/{key}");
        out.push(at.clone());
        figures(value, &at, out);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(key, it)| below(key, it)),
        Value::Array(items) => (0..)
            .zip(items)
            .for_each(|(n, it)| below(&format!("{n}"), it)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Any value of any report, replaced by any odd one: the answer stands, and
/// both ways of reading it agree.
#[test]
fn odd_figures_break_no_answer_of_any_dialect() {
    let mut tried = 0;
    for case in cases() {
        let whole: Value = serde_json::from_slice(&case.whole).expect("JSON");
        let mut places = Vec::new();
        for key in ["usage", "usageMetadata"] {
            if whole.get(key).is_some() {
                places.push(format!("/{key}"));
                figures(&whole[key], &format!("/{key}"), &mut places);
            }
        }
        for (place, odd) in places.iter().flat_map(|it| ODD.map(|odd| (it, odd))) {
            let mut spoiled = whole.clone();
            *spoiled.pointer_mut(place).expect("it is there") = "@odd".into();
            let body = Bytes::from(spoiled.to_string().replace("\"@odd\"", odd));
            let doc = Doc::answer(body).expect("JSON");
            let way = format!("{}: {place} is {odd}", case.name);
            let mut watched = Tally::default();
            let tallied = case
                .dialect
                .tally_answer(case.operation, doc.root(), &mut watched);
            assert!(tallied.is_ok(), "{way}: {tallied:?}");
            let answer = case.dialect.read_answer(case.operation, doc.root());
            let answer = answer.unwrap_or_else(|fault| panic!("{way}: {fault:?}"));
            let mut read = Tally::default();
            read.take(&answer);
            assert_eq!(
                (watched.usage, watched.tier),
                (read.usage, read.tier),
                "{way}"
            );
            tried += 1;
        }
    }
    assert!(tried > 2_000, "{tried} answers");
}
