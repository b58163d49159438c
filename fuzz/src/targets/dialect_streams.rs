//! Streams of any dialect: chunks do not matter, an event order that a reader makes is legal, what
//! is read is written as whole frames of JSON for clients of every dialect, and the watcher sees no
//! end where the reader sees none.

use bytes::Bytes;
use contract::{Event, Fault};
use dialects::framing::FrameKind;
use dialects::{DIALECTS, Dialect, Tally, fold};

use super::calls;

/// A stream that a provider may send, cut into pieces of some length.
pub(super) fn run(data: &[u8]) {
    let Some((dialect, cut, stream)) = calls::chosen(data) else {
        return;
    };
    let (whole, outcome) = read(dialect, &stream, stream.len().max(1));
    let (pieces, _) = read(dialect, &stream, usize::from(cut) + 1);
    assert_eq!(whole, pieces, "the events depend on the chunks");
    watch(
        dialect,
        &stream,
        outcome.is_ok() && whole.contains(&Event::End),
    );
    legal(&whole);
    if outcome.is_ok() {
        // Folding checks that each delta fits its part.
        let _ = fold::fold(whole.clone());
    }
    for client in DIALECTS {
        let route = calls::route(*client, 0x80);
        let mut writer = client.stream_writer(&calls::asked(&route));
        let mut out = Vec::new();
        for event in &whole {
            if matches!(event, Event::Fault(_)) {
                break;
            }
            writer.write(event, &mut out);
        }
        must_frame(*client, &out);
    }
}

fn read(dialect: &dyn Dialect, stream: &Bytes, piece: usize) -> (Vec<Event>, Result<(), Fault>) {
    let mut splitter = dialect.framing().splitter();
    let mut reader = dialect.stream_reader();
    let mut events = Vec::new();
    // What is wrong may be told with the call after the frames before it.
    let chunks = stream.chunks(piece).chain([&b""[..]]);
    for chunk in chunks {
        let batch = match splitter.push(Bytes::copy_from_slice(chunk)) {
            Ok(batch) => batch,
            Err(fault) => return (events, Err(fault)),
        };
        for span in &batch.frames {
            let frame = batch.frame(span);
            if frame.kind == FrameKind::Silent {
                continue;
            }
            if let Err(fault) = reader.read(frame, &mut events) {
                return (events, Err(fault));
            }
        }
    }
    let closed = reader.close(&mut events);
    (events, closed)
}

fn watch(dialect: &dyn Dialect, stream: &Bytes, ended: bool) {
    let mut splitter = dialect.framing().splitter();
    let mut watcher = dialect.stream_watcher(false);
    let mut tally = Tally::default();
    let Ok(batch) = splitter.push(stream.clone()) else {
        return;
    };
    for span in &batch.frames {
        let frame = batch.frame(span);
        if frame.kind != FrameKind::Silent && watcher.see(frame, &mut tally).is_err() {
            return;
        }
    }
    let closed = watcher.close(&mut tally);
    if ended && tally.fault.is_none() {
        assert!(
            closed.is_ok() && tally.ended,
            "read as whole, but watched as cut: {closed:?}"
        );
    }
}

/// Each part opens once, in order, and closes before the end.
fn legal(events: &[Event]) {
    let mut opened: Vec<(u32, u32)> = Vec::new();
    let mut open: Vec<(u32, u32)> = Vec::new();
    for event in events {
        match event {
            Event::PartOpen { choice, part, .. } => {
                let next = opened.iter().filter(|(of, _)| of == choice).count();
                assert_eq!(*part as usize, next, "parts out of order in {events:?}");
                opened.push((*choice, *part));
                open.push((*choice, *part));
            }
            Event::PartDelta { choice, part, .. } => {
                assert!(
                    open.contains(&(*choice, *part)),
                    "a delta outside of its part in {events:?}"
                );
            }
            Event::PartClose { choice, part } => {
                let at = open.iter().position(|one| one == &(*choice, *part));
                open.remove(at.unwrap_or_else(|| panic!("closed twice in {events:?}")));
            }
            Event::End => assert!(open.is_empty(), "an end within a part in {events:?}"),
            Event::Open { .. }
            | Event::Logprobs { .. }
            | Event::Usage(_)
            | Event::Finish { .. }
            | Event::ServiceTier(_)
            | Event::Ping
            | Event::Fault(_) => {}
        }
    }
}

/// What a writer wrote is whole frames whose data is JSON.
pub(super) fn must_frame(client: &dyn Dialect, out: &[u8]) {
    let mut splitter = client.framing().splitter();
    let batch = splitter
        .push(Bytes::copy_from_slice(out))
        .unwrap_or_else(|fault| panic!("{} writes broken frames: {fault:?}", client.id()));
    assert!(
        !splitter.is_mid_frame(),
        "{} leaves a frame open",
        client.id()
    );
    for span in &batch.frames {
        let frame = batch.frame(span);
        if frame.kind != FrameKind::Silent && frame.data != b"[DONE]" {
            calls::must_be_json(frame.data, client);
        }
    }
}
