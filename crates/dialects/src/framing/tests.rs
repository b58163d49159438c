//! Cases of the splitters; the property is that chunks do not matter.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

/// Kind, event name and data of a frame.
type One = (FrameKind, Vec<u8>, Vec<u8>);
type Seen = Vec<One>;

/// All frames that are not silent, and all bytes, of a stream cut like this.
fn split(framing: Framing, chunks: &[&[u8]]) -> Result<(Seen, Vec<u8>), Fault> {
    let mut splitter = framing.splitter();
    let (mut seen, mut bytes) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let batch = splitter.push(Bytes::copy_from_slice(chunk))?;
        let mut tiled = 0;
        for span in &batch.frames {
            assert_eq!(span.raw.start, tiled, "raw spans tile the batch");
            tiled = span.raw.end;
            let frame = batch.frame(span);
            if frame.kind != FrameKind::Silent {
                seen.push((frame.kind, frame.event.to_vec(), frame.data.to_vec()));
            }
        }
        assert_eq!(tiled, batch.bytes.len(), "raw spans cover the batch");
        bytes.extend_from_slice(&batch.bytes);
    }
    match splitter.broken() {
        Some(fault) => Err(fault.clone()),
        None => Ok((seen, bytes)),
    }
}

fn event(event: &str, data: &str) -> (FrameKind, Vec<u8>, Vec<u8>) {
    (FrameKind::Event, event.into(), data.into())
}

#[test]
fn sse_reads_what_the_standard_says() {
    let cases: &[(&str, Seen)] = &[
        (
            "data: a\n\ndata: b\n\n",
            vec![event("", "a"), event("", "b")],
        ),
        ("data:a\r\rdata:b\r\r", vec![event("", "a"), event("", "b")]),
        (
            "data: a\r\n\r\ndata: b\r\n\r\n",
            vec![event("", "a"), event("", "b")],
        ),
        ("event: x\ndata: a\n\n", vec![event("x", "a")]),
        ("data: a\ndata: b\ndata\n\n", vec![event("", "a\nb\n")]),
        ("data:  two spaces\n\n", vec![event("", " two spaces")]),
        (": comment\n\ndata: a\n: inside\n\n", vec![event("", "a")]),
        ("\u{feff}data: a\n\n", vec![event("", "a")]),
        (
            "data: a\u{2028}b\u{2029}c\u{85}d\n\n",
            vec![event("", "a\u{2028}b\u{2029}c\u{85}d")],
        ),
        ("id: 1\nretry: 5\ndata: a\n\n", vec![event("", "a")]),
        ("data: unfinished\n", vec![]),
        ("\n\n\ndata: a\n\n", vec![event("", "a")]),
    ];
    for (text, expected) in cases {
        let (seen, _) = split(Framing::Sse, &[text.as_bytes()]).expect("no frame is too large");
        assert_eq!(&seen, expected, "{text:?}");
    }
}

#[test]
fn sse_waits_for_the_lf_of_a_crlf() {
    let (seen, bytes) = split(
        Framing::Sse,
        &[b"event: x\r", b"\ndata: a\r", b"\n\r", b"\ndata: b\r\n\r\n"],
    )
    .expect("no frame is too large");
    assert_eq!(seen, vec![event("x", "a"), event("", "b")]);
    assert_eq!(bytes, b"event: x\r\ndata: a\r\n\r\ndata: b\r\n\r\n");
}

#[test]
fn sse_refuses_an_endless_event() {
    let mut splitter = Framing::Sse.splitter();
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    let fault = (0..=FRAME_BYTES_MAX / chunk.len())
        .find_map(|_| splitter.push(chunk.clone()).err())
        .expect("the limit is reached");
    assert_eq!(fault.origin, contract::Origin::Provider);
}

#[test]
fn event_stream_round_trip() {
    let one = encode_message(&[(":message-type", "event"), (":event-type", "a")], b"{}");
    let two = encode_message(
        &[(":message-type", "exception"), (":exception-type", "oops")],
        b"{1}",
    );
    let (seen, bytes) = split(
        Framing::EventStream,
        &[&[one.clone(), two.clone()].concat()],
    )
    .expect("well-formed");
    assert_eq!(seen[0], (FrameKind::Event, b"a".to_vec(), b"{}".to_vec()));
    assert_eq!(
        seen[1],
        (FrameKind::Exception, b"oops".to_vec(), b"{1}".to_vec())
    );
    assert_eq!(bytes, [one, two].concat());
}

#[test]
fn event_stream_refuses_each_damaged_byte() {
    let whole = encode_message(
        &[(":message-type", "event"), (":event-type", "a")],
        b"{\"x\":1}",
    );
    for at in 0..whole.len() {
        let mut damaged = whole.to_vec();
        damaged[at] ^= 1;
        let result = split(Framing::EventStream, &[&damaged]);
        assert!(result.is_err(), "byte {at} changed, and nobody noticed");
    }
}

/// Where the network cut the stream must not decide what is seen of it.
#[test]
fn frames_before_a_broken_one_are_given() {
    let huge = [&b"data: "[..], &vec![b'x'; FRAME_BYTES_MAX]].concat();
    let message = encode_message(&[(":message-type", "event"), (":event-type", "a")], b"1");
    let cases = [
        (Framing::Sse, &b"data: a\n\n"[..], huge.clone()),
        (Framing::Sse, b"data: a\n\n", [&huge[..], b"\n\n"].concat()),
        (
            Framing::EventStream,
            &message[..],
            b"behind the end".to_vec(),
        ),
    ];
    for (framing, good, bad) in cases {
        let mut splitter = framing.splitter();
        let batch = splitter
            .push([good, &bad].concat().into())
            .expect("one frame is good");
        assert_eq!((batch.frames.len(), &batch.bytes[..]), (1, good));
        assert!(splitter.broken().is_some() && splitter.is_mid_frame());
        assert!(splitter.push(Bytes::from_static(b"\n")).is_err());
        assert!(
            framing.splitter().push(bad.into()).is_err(),
            "nothing good stands before it"
        );
    }
}

fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn sse_any_chunking_equals_one_chunk(
        pieces in prop::collection::vec(
            prop_oneof![
                Just("data: a"), Just("data:é\u{2028}"), Just("event: x"), Just(":c"), Just("\n"),
                Just("\r"), Just("\r\n"), Just("\n\n"), Just("\u{feff}"), Just("data")
            ], 0..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let text = pieces.concat();
        // One line end more, so that no lone CR waits for its LF.
        let whole = [text.as_bytes(), b"\n\n"].concat();
        let (one, one_bytes) = split(Framing::Sse, &[&whole]).expect("small");
        let (many, many_bytes) = split(Framing::Sse, &cut(&whole, &cuts)).expect("small");
        prop_assert_eq!(one, many);
        prop_assert_eq!(&one_bytes, &many_bytes);
        prop_assert_eq!(&one_bytes, &whole);
    }

    #[test]
    fn event_stream_any_chunking_equals_one_chunk(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let whole: Vec<u8> = payloads.iter().flat_map(|payload| {
            encode_message(&[(":message-type", "event"), (":event-type", "a")], payload)
        }).collect();
        let one = split(Framing::EventStream, &[&whole]).expect("well-formed");
        let many = split(Framing::EventStream, &cut(&whole, &cuts)).expect("well-formed");
        prop_assert_eq!(one, many);
    }

    #[test]
    fn no_bytes_make_a_splitter_panic(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..8)
    ) {
        for framing in [Framing::Sse, Framing::EventStream] {
            let mut splitter = framing.splitter();
            for chunk in &chunks {
                if splitter.push(Bytes::copy_from_slice(chunk)).is_err() { break; }
            }
        }
    }
}
