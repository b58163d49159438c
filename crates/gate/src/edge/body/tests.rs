//! Collecting bodies: limits, copies and encodings.

use super::*;

use http_body_util::Full;

fn limits(bytes_max: u64) -> BodyLimits {
    BodyLimits {
        bytes_max,
        ..BodyLimits::default()
    }
}

fn run<B>(body: B, headers: &[(&'static str, &str)], bytes_max: u64) -> Result<Bytes, BodyFault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Error + 'static,
{
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, value.parse().unwrap());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(collect(body, &map, &limits(bytes_max)))
}

/// A body of unknown length in these pieces, or none where a wait never ends.
struct Pieces(Vec<Option<&'static [u8]>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        match self.0[0] {
            Some(piece) => {
                self.0.remove(0);
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece)))))
            }
            None => Poll::Pending,
        }
    }
}

/// A body of unknown length in one piece.
struct Once(Option<Bytes>);

impl Body for Once {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        Poll::Ready(self.0.take().map(|piece| Ok(Frame::data(piece))))
    }
}

#[test]
fn a_body_of_one_piece_is_not_copied() {
    let bytes = Bytes::from(b"hello".to_vec());
    let collected = run(Full::new(bytes.clone()), &[], 5).unwrap();
    assert_eq!(collected.as_ptr(), bytes.as_ptr());
    let piece = Bytes::from(b"hello".to_vec());
    let declared = run(Once(Some(piece.clone())), &[("content-length", "5")], 5).unwrap();
    assert_eq!(declared.as_ptr(), piece.as_ptr());
}

#[test]
fn pieces_are_joined_and_empty_ones_ignored() {
    let pieces = vec![Some(&b"he"[..]), Some(b""), Some(b"llo")];
    assert_eq!(
        run(Pieces(pieces.clone()), &[("content-length", "5")], 5).unwrap(),
        "hello"
    );
    assert_eq!(
        run(Pieces(pieces), &[("content-encoding", "Identity")], 5).unwrap(),
        "hello"
    );
    assert_eq!(run(Pieces(vec![]), &[], 5).unwrap(), "");
}

#[test]
fn too_much_is_refused_by_its_declaration_or_its_bytes() {
    let too_large = Err(BodyFault::TooLarge { bytes_max: 5 });
    // The body would never come: only the declaration can have refused it.
    assert_eq!(
        run(Pieces(vec![None]), &[("content-length", "6")], 5),
        too_large
    );
    assert_eq!(run(Pieces(vec![Some(b"hello!")]), &[], 5), too_large);
    assert_eq!(
        run(Pieces(vec![Some(b"hello"), Some(b"!"), None]), &[], 5),
        too_large
    );
    let fault = BodyFault::TooLarge { bytes_max: 5 }.fault();
    assert_eq!(fault.kind, FaultKind::TooLarge);
    assert!(fault.public.contains("5 bytes"), "{}", fault.public);
}

#[test]
fn encodings_are_refused_by_name() {
    let refused = run(Pieces(vec![None]), &[("content-encoding", "gzip")], 5).unwrap_err();
    assert_eq!(refused, BodyFault::Encoded("gzip".to_owned()));
    assert_eq!(refused.fault().status(), 415);
}

#[test]
fn a_body_that_stalls_is_given_up() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let limits = BodyLimits {
        idle_max: Duration::from_millis(1),
        ..BodyLimits::default()
    };
    let body = Pieces(vec![Some(b"hello"), None]);
    let fault = runtime
        .block_on(collect(body, &HeaderMap::new(), &limits))
        .unwrap_err();
    assert_eq!(fault, BodyFault::TooSlow { arrived: 5 });
}

#[test]
fn a_whole_reply_tells_its_length_and_ends_with_its_last_piece() {
    let pieces = [
        Bytes::from_static(b"ab"),
        Bytes::new(),
        Bytes::from_static(b"c"),
    ];
    let mut body = ReplyBody::whole(pieces.into_iter().collect());
    assert_eq!(body.size_hint().exact(), Some(3));
    let mut next = || {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let frame = match Pin::new(&mut body).poll_frame(&mut cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => panic!("a whole body never waits"),
        };
        (
            frame.map(|f| f.unwrap().into_data().unwrap()),
            body.is_end_stream(),
        )
    };
    assert_eq!(next(), (Some(Bytes::from_static(b"ab")), false));
    assert_eq!(next(), (Some(Bytes::from_static(b"c")), true));
    assert_eq!(next(), (None, true));
}
