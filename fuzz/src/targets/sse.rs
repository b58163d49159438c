//! Server-sent events: chunks do not matter, no byte is lost, and where the standard leaves no
//! choice an independent reader sees the same events.

use std::convert::Infallible;

use bytes::Bytes;
use dialects::framing::{FrameKind, Framing};
use futures_util::{StreamExt as _, stream};
use sse_stream::SseByteStream;

/// Name and data of each event.
type Events = Vec<(Vec<u8>, Vec<u8>)>;

/// The bytes of a stream; the first one says how it is cut.
pub(super) fn run(data: &[u8]) {
    let Some((&cut, bytes)) = data.split_first() else {
        return;
    };
    let whole = split(bytes, bytes.len().max(1));
    let pieces = split(bytes, usize::from(cut) + 1);
    assert_eq!(whole.0, pieces.0, "the events depend on the chunks");
    for (_, tiled, mid) in [&whole, &pieces] {
        assert!(bytes.starts_with(tiled), "bytes changed");
        assert_eq!(*mid, tiled.len() < bytes.len(), "bytes vanished");
    }
    if let Some(theirs) = theirs(bytes) {
        assert_eq!(whole.0, theirs, "another reader sees other events");
    }
}

fn split(bytes: &[u8], piece: usize) -> (Events, Vec<u8>, bool) {
    let mut splitter = Framing::Sse.splitter();
    let (mut events, mut tiled) = (Vec::new(), Vec::new());
    for chunk in bytes.chunks(piece) {
        let batch = splitter
            .push(Bytes::copy_from_slice(chunk))
            .expect("an input is smaller than the largest frame");
        tiled.extend_from_slice(&batch.bytes);
        for span in &batch.frames {
            let frame = batch.frame(span);
            if frame.kind != FrameKind::Silent {
                events.push((frame.event.to_vec(), frame.data.to_vec()));
            }
        }
    }
    (events, tiled, splitter.is_mid_frame())
}

/// The events that have data; `None` where the readers may differ: it refuses what is not UTF-8.
fn theirs(bytes: &[u8]) -> Option<Events> {
    std::str::from_utf8(bytes).ok()?;
    let chunk = Ok::<_, Infallible>(Bytes::copy_from_slice(bytes));
    let read = SseByteStream::new(stream::iter([chunk])).collect::<Vec<_>>();
    let mut events = Events::new();
    for event in futures_executor::block_on(read) {
        let event = event.ok()?;
        if let Some(data) = event.data {
            events.push((
                event.event.unwrap_or_default().into_bytes(),
                data.into_bytes(),
            ));
        }
    }
    Some(events)
}
