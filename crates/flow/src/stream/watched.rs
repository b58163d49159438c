//! A stream that passes verbatim whatever is in it, and is read on the side.
//! Where it breaks, the connection is cut: the caller sees what it would see
//! without the gateway, and never bytes of ours.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use contract::Fault;
use contract::seams::InboundBody;
use dialects::Tally;
use dialects::framing::Splitter;
use evidence::{FaultNote, OpenStream, Outcome};
use http::HeaderMap;
use plan::Times;
use store::Ticket;

use super::Clocked;
use super::through::{Looking, Sight, Through};
use crate::exchange::Exchange;
use crate::faults::{too_slow, wire_fault};
use crate::reply::{Cut, ReplyStream};

/// A stream that is only watched, on its way to the caller.
pub(crate) struct Watching {
    body: Box<dyn InboundBody>,
    /// `None` once something came that cannot be read.
    splitter: Option<Splitter>,
    through: Through,
    sight: Sight,
    clocked: Clocked,
    exchange: Box<Exchange>,
    done: bool,
    /// The end waits for the record, where the operator asks for that.
    ticket: Option<Ticket>,
    _open: OpenStream,
}

impl Watching {
    pub(crate) fn new(
        mut exchange: Box<Exchange>,
        body: Box<dyn InboundBody>,
        times: Times,
    ) -> Self {
        // Nobody asks for them from here on; the credential is among them.
        exchange.head.headers = HeaderMap::new();
        let dialect = exchange.dialect;
        let looking = exchange
            .inspector()
            .map(|inspector| Looking::new(inspector, dialect.stream_reader()));
        let open = exchange.flow.evidence.meter().open_stream();
        Self {
            body,
            splitter: Some(dialect.framing().splitter()),
            through: Through::watching(dialect.stream_watcher(false)),
            sight: Sight {
                tally: Tally::default(),
                looking,
            },
            clocked: Clocked::of(&exchange, times),
            exchange,
            done: false,
            ticket: None,
            _open: open,
        }
    }

    /// Reads what passes.
    fn see(&mut self, chunk: Bytes) {
        let Some(splitter) = &mut self.splitter else {
            return;
        };
        let batch = splitter.push(chunk);
        let broken = splitter.broken().is_some();
        let mut unused = BytesMut::new();
        let read = batch.and_then(|batch| self.through.batch(&batch, &mut self.sight, &mut unused));
        if read.is_err() || broken {
            self.splitter = None;
            self.exchange.note_unread("stream");
        }
        if self.sight.tally.committed {
            let now = self.exchange.elapsed_us();
            if let Some(attempt) = self.exchange.attempt_mut() {
                attempt.committed = true;
                attempt.times.first_token_us.get_or_insert(now);
            }
        }
    }

    /// No more comes. `broken`: it was not the provider's end.
    fn end(&mut self, broken: Option<Fault>) {
        let mut fault = broken;
        if self.splitter.is_some() && fault.is_none() {
            let mut unused = BytesMut::new();
            let closed = self.through.close(&mut self.sight, &mut unused);
            fault = closed.and_then(|()| self.sight.whole()).err();
        }
        if let Some(told) = self.sight.tally.fault.take() {
            let kind = told.kind.name();
            let told = Fault::upstream_broken("The provider told of an error in its stream.");
            fault = Some(told.because(kind));
        }
        self.note_rest();
        self.exchange.record.fault = fault.as_ref().map(FaultNote::from);
        let outcome = match fault {
            Some(_) => Outcome::Cut,
            None => Outcome::Complete,
        };
        self.done = true;
        let status = self.exchange.record.attempts.last();
        let status = status
            .and_then(|attempt| attempt.status)
            .unwrap_or_default();
        self.ticket = self.exchange.finish(status, outcome);
    }

    fn note_rest(&mut self) {
        let tally = std::mem::take(&mut self.sight.tally);
        self.exchange.note_tally(&tally);
        let rulings = self.sight.take_rulings();
        self.exchange.note_rulings(&rulings);
    }

    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        match &mut self.ticket {
            Some(ticket) => Pin::new(ticket).poll(cx).map(|_| None),
            None => Poll::Ready(None),
        }
    }

    /// What broke behind the end marker takes nothing from a whole answer.
    fn broke(&mut self, fault: Fault, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        if self.sight.tally.ended {
            self.end(None);
            return self.poll_done(cx);
        }
        self.end(Some(fault));
        Poll::Ready(Some(Err(Cut)))
    }
}

impl ReplyStream for Watching {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        if self.done {
            return self.poll_done(cx);
        }
        match self.body.poll_chunk(cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                self.clocked.waiting_since = None;
                self.see(chunk.clone());
                self.exchange.record.bytes_out += chunk.len() as u64;
                Poll::Ready(Some(Ok(chunk)))
            }
            Poll::Ready(Some(Err(fault))) => self.broke(wire_fault(fault), cx),
            Poll::Ready(None) => {
                self.end(None);
                self.poll_done(cx)
            }
            Poll::Pending => match self.clocked.poll_overdue(self.sight.tally.committed, cx) {
                Poll::Ready(()) => self.broke(too_slow(), cx),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if !self.done {
            self.note_rest();
        }
    }
}
