//! AWS event-stream messages: chunks do not matter, no byte is lost, and what we encode we read.

use bytes::Bytes;
use dialects::framing::{FrameKind, Framing, encode_message};

/// The frames and bytes of a stream, whether it ends within a frame, and whether it is broken.
type Seen = (Vec<(Vec<u8>, Vec<u8>)>, Vec<u8>, bool, bool);

/// Bytes of a stream, and the same bytes as the payload of a message.
pub(super) fn run(data: &[u8]) {
    let Some((&cut, bytes)) = data.split_first() else {
        return;
    };
    let whole = split(bytes, bytes.len().max(1));
    let pieces = split(bytes, usize::from(cut) + 1);
    assert_eq!(whole, pieces, "the frames depend on the chunks");
    let (_, tiled, mid, broken) = whole;
    assert!(bytes.starts_with(&tiled), "bytes changed");
    assert!(
        broken || mid == (tiled.len() < bytes.len()),
        "bytes vanished"
    );
    let headers = [(":message-type", "event"), (":event-type", "chunk")];
    let (frames, _, mid, broken) = split(&encode_message(&headers, bytes), 1 + usize::from(cut));
    assert!(!mid && !broken, "what we encode is sound");
    assert_eq!(frames, [(b"chunk".to_vec(), bytes.to_vec())]);
}

fn split(bytes: &[u8], piece: usize) -> Seen {
    let mut splitter = Framing::EventStream.splitter();
    let (mut frames, mut tiled) = (Vec::new(), Vec::new());
    // What is wrong may be told with the call after the frames before it.
    let chunks = bytes.chunks(piece).chain([&b""[..]]);
    for chunk in chunks {
        let Ok(batch) = splitter.push(Bytes::copy_from_slice(chunk)) else {
            return (frames, tiled, true, true);
        };
        tiled.extend_from_slice(&batch.bytes);
        for span in &batch.frames {
            let frame = batch.frame(span);
            if frame.kind != FrameKind::Silent {
                frames.push((frame.event.to_vec(), frame.data.to_vec()));
            }
        }
    }
    (frames, tiled, splitter.is_mid_frame(), false)
}
