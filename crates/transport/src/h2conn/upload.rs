//! The body of a request on its way out over an HTTP/2 stream, piece by piece
//! as the peer's windows allow.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use contract::seams::Pieces;
use h2::SendStream;

/// A body being sent. Dropping it before its end resets the stream.
pub(crate) struct Upload {
    stream: SendStream<Bytes>,
    /// What is still to be sent, last piece first; none is empty.
    rest: Pieces,
}

impl Upload {
    pub(crate) fn new(stream: SendStream<Bytes>, pieces: &Pieces) -> Self {
        let rest = pieces.iter().rev().filter(|piece| !piece.is_empty());
        Self {
            stream,
            rest: rest.cloned().collect(),
        }
    }

    /// Ready once all is out or the stream is broken; why it is broken is
    /// told by the answer's side of the stream.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(piece) = self.rest.last_mut() {
            self.stream.reserve_capacity(piece.len());
            let mut room = self.stream.capacity();
            while room == 0 {
                match ready!(self.stream.poll_capacity(cx)) {
                    Some(Ok(n)) => room = n,
                    Some(Err(_)) | None => return Poll::Ready(()),
                }
            }
            let data = piece.split_to(room.min(piece.len()));
            if piece.is_empty() {
                self.rest.pop();
            }
            if self.stream.send_data(data, self.rest.is_empty()).is_err() {
                return Poll::Ready(());
            }
        }
        Poll::Ready(())
    }
}
