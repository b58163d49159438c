//! Answers that come whole: collected within a bound and a deadline, checked
//! to the last byte before the caller gets the first one.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use contract::seams::{Alarm, InboundBody, Ticks};
use contract::{Fault, FaultKind};
use dialects::json::{Doc, blame_provider};
use dialects::{Tally, Written};

use crate::arrived::Arrived;
use crate::asking::Asking;
use crate::exchange::Exchange;
use crate::faults::{too_slow, wire_fault};
use crate::prepare::Prepared;

/// What is to be made of a whole answer.
pub(crate) struct Shape {
    pub(crate) prepared: Prepared,
    /// The caller asked for a stream.
    pub(crate) stream_wanted: bool,
}

impl Exchange {
    /// Reads a whole answer and writes it for the caller.
    pub(crate) fn read_whole(
        &mut self,
        asking: &Asking<'_>,
        shape: &Shape,
        body: Bytes,
    ) -> Result<Arrived, Fault> {
        let Shape {
            prepared,
            stream_wanted,
        } = shape;
        let operation = self.route.operation;
        let doc = Doc::answer(body)?;
        if *stream_wanted {
            // An error under a 200 is the usual reason; it is told as such.
            let mut tally = Tally::default();
            prepared
                .dialect
                .tally_answer(operation, doc.root(), &mut tally)
                .map_err(blame)?;
            return Err(Fault::upstream_broken(
                "The provider answered in one piece although a stream was asked for. Ask without \
                 streaming, or try again.",
            ));
        }
        let mut tally = Tally::default();
        let (body, losses) = if prepared.same {
            prepared
                .dialect
                .tally_answer(operation, doc.root(), &mut tally)
                .map_err(blame)?;
            self.note_billed(&tally);
            if self.reads_answers() {
                let answer = prepared.dialect.read_answer(operation, doc.root());
                self.judge_answer(&answer.map_err(blame)?)?;
            }
            (doc.bytes().clone(), prepared.losses.clone())
        } else {
            let answer = prepared
                .dialect
                .read_answer(operation, doc.root())
                .map_err(blame)?;
            tally.take(&answer);
            self.note_billed(&tally);
            self.judge_answer(&answer)?;
            let id = self.id.text();
            let asked = self.asked(id.as_str(), asking.canonical.as_ref());
            let Written { body, losses } = self.dialect.write_answer(&answer, &asked);
            (body, [prepared.losses.as_slice(), &losses].concat())
        };
        self.note_tally(&tally);
        self.count_whole(Some(asking.doc), (prepared.dialect, &doc));
        self.mark_committed();
        Ok(Arrived::json(body, losses))
    }

    /// What an answer cost that a rule may refuse yet: it is billed as well.
    fn note_billed(&mut self, tally: &Tally) {
        if let Some(attempt) = self.attempt_mut() {
            attempt.usage = tally.told();
        }
    }

    pub(crate) fn mark_committed(&mut self) {
        let now = self.elapsed_us();
        if let Some(attempt) = self.attempt_mut() {
            attempt.committed = true;
            attempt.usage = None;
            attempt.times.first_token_us.get_or_insert(now);
            attempt.times.last_us = Some(now);
        }
    }
}

/// What could not be read was the provider's; what it reported stays as it is.
fn blame(fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::BadRequest | FaultKind::Unsupported => blame_provider(fault),
        FaultKind::Blocked
        | FaultKind::Unauthenticated
        | FaultKind::OverBudget
        | FaultKind::Forbidden
        | FaultKind::UnknownModel
        | FaultKind::UnknownPath
        | FaultKind::MethodNotAllowed
        | FaultKind::TooLarge
        | FaultKind::UnsupportedMedia
        | FaultKind::Conflict
        | FaultKind::RateLimited
        | FaultKind::UpstreamBusy
        | FaultKind::UpstreamRefused
        | FaultKind::UpstreamBroken
        | FaultKind::Overloaded
        | FaultKind::Timeout
        | FaultKind::Cancelled
        | FaultKind::Internal => fault,
    }
}

/// Collects a body.
pub(crate) struct Collect {
    body: Box<dyn InboundBody>,
    first: Option<Bytes>,
    rest: BytesMut,
    limit: usize,
    alarm: Box<dyn Alarm>,
}

impl Collect {
    pub(crate) fn new(
        exchange: &Exchange,
        body: Box<dyn InboundBody>,
        until: Ticks,
        limit: usize,
    ) -> Self {
        let alarm = exchange.flow.clock.alarm(until);
        Self {
            body,
            first: None,
            rest: BytesMut::new(),
            limit,
            alarm,
        }
    }

    /// A body of one piece is not copied.
    fn add(&mut self, chunk: Bytes) -> Result<(), Fault> {
        let so_far = self.first.as_ref().map_or(self.rest.len(), Bytes::len);
        if so_far + chunk.len() > self.limit {
            return Err(too_large(self.limit));
        }
        match self.first.take() {
            None if self.rest.is_empty() => self.first = Some(chunk),
            first => {
                if let Some(first) = first {
                    self.rest.reserve(first.len() + chunk.len());
                    self.rest.extend_from_slice(&first);
                }
                self.rest.extend_from_slice(&chunk);
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Bytes {
        self.first
            .take()
            .unwrap_or_else(|| std::mem::take(&mut self.rest).freeze())
    }
}

impl Future for Collect {
    type Output = Result<Bytes, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match self.body.poll_chunk(cx) {
                Poll::Ready(Some(Ok(chunk))) => self.add(chunk)?,
                Poll::Ready(Some(Err(fault))) => return Poll::Ready(Err(wire_fault(fault))),
                Poll::Ready(None) => return Poll::Ready(Ok(self.take())),
                Poll::Pending => {
                    return match self.alarm.poll_ring(cx) {
                        Poll::Ready(()) => Poll::Ready(Err(too_slow())),
                        Poll::Pending => Poll::Pending,
                    };
                }
            }
        }
    }
}

fn too_large(limit: usize) -> Fault {
    Fault::upstream_broken(
        "The provider's answer is larger than the gateway accepts. Ask for less at once, or raise \
         the limit in the gateway.",
    )
    .because(format!("more than {limit} bytes"))
}
