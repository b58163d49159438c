//! What of a stream waits for people: held back from where it begins, then
//! given out whole, or dropped for a fault.
//!
//! Deliberately not here: the question to people, and what comes of it.

use std::task::{Context, Poll};

use bytes::Bytes;
use contract::Fault;

use super::{Going, Streaming};
use crate::exchange::Exchange;
use crate::faults::{internal, too_long_to_check};
use crate::policy::pending;
use crate::reply::Cut;
use evidence::Outcome;

/// Most bytes of a stream that are held back until people have decided.
const HELD_BYTES_MAX: usize = 1024 * 1024;

/// What is held back of a stream.
pub(super) struct Hold {
    /// What stands before it and may go.
    free: Bytes,
    /// The number of its first event.
    number: u64,
    /// Content came before it, so the answer may begin.
    pub(super) behind_content: bool,
}

impl Hold {
    /// What may go.
    pub(super) fn take_free(&mut self) -> Option<Bytes> {
        let free = std::mem::take(&mut self.free);
        (!free.is_empty()).then_some(free)
    }
}

impl Streaming {
    /// As `poll_source`, where a rule may hold back what comes.
    pub(super) fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let whole = self.whole.len();
        let polled = self.poll_source(cx);
        match self.sight.spot() {
            Some(spot) if self.hold.is_none() => {
                // What was kept apart stands before what was appended.
                self.gather();
                let free = self.ready.len().min(whole + spot.at);
                self.hold = Some(Hold {
                    free: self.ready.split_to(free).freeze(),
                    number: spot.number,
                    behind_content: spot.behind_content,
                });
            }
            Some(_) | None => {}
        }
        if self.hold.is_some() && self.ready.len() + self.whole.len() > HELD_BYTES_MAX {
            return Poll::Ready(Err(too_long_to_check(HELD_BYTES_MAX)));
        }
        polled
    }

    /// Gives out what is held back, behind what stands before it.
    fn release(&mut self) {
        if let Some(hold) = self.hold.take() {
            self.gather();
            self.whole = hold.free;
        }
    }

    /// Drops what is held back; what stands before it stays.
    pub(super) fn drop_held(&mut self) {
        if let Some(hold) = self.hold.take() {
            self.ready.clear();
            self.whole = hold.free;
            self.number = Some(hold.number);
        }
    }

    /// The number of the next event for the caller.
    pub(super) fn next_number(&self) -> u64 {
        let held = self.hold.as_ref().map(|hold| hold.number);
        held.or(self.number)
            .unwrap_or_else(|| self.through.next_number())
    }

    /// Has people approve what came with the first content, where nothing has
    /// gone out: the answer may still be another one.
    pub(super) async fn settle_commit(
        &mut self,
        exchange: &mut Exchange,
        committed: Result<(), Fault>,
    ) -> Result<(), Fault> {
        let held = self.hold.as_ref();
        let goes_on = held.is_some_and(|hold| hold.behind_content && !self.ended);
        if goes_on && committed.is_ok() {
            // The question is asked at the end of the stream.
            return Ok(());
        }
        let rulings = self.sight.take_rulings();
        exchange.note_rulings(&rulings);
        let needs = pending(&rulings);
        if self.hold.is_some() {
            // It broke while it was held back: nobody need be asked.
            committed?;
            exchange.approve_given(&needs).await?;
            self.release();
            return Ok(());
        }
        if !needs.is_empty() {
            match exchange.approve_given(&needs).await {
                Err(fault) if self.broken.is_some() => self.broken = Some(fault),
                asked => asked?,
            }
        }
        committed
    }
}

impl Going {
    /// Asks people for what the model gave back, if a rule wants that, and
    /// else ends the stream: with the fault, or as it ended.
    pub(super) fn ask_aside(
        &mut self,
        fault: Option<Fault>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Cut>>> {
        let rulings = self.stream.sight.take_rulings();
        self.exchange.note_rulings(&rulings);
        let refused = match self.exchange.ask_aside(&pending(&rulings)) {
            Some(Ok(asking)) => {
                self.aside = Some(asking);
                return self.poll_aside(cx);
            }
            Some(Err(fault)) => fault,
            None => fault.unwrap_or_else(|| internal("a stream was held back for nothing")),
        };
        Poll::Ready(self.fail(&refused).map(Ok))
    }

    /// What people say ends the stream: with what was held back, or a fault.
    pub(super) fn poll_aside(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        // What stands before it need not wait.
        if let Some(bytes) = self.stream.take() {
            return Poll::Ready(Some(Ok(self.count(bytes))));
        }
        let Some(mut asked) = self.aside.take() else {
            return Poll::Ready(None);
        };
        let Poll::Ready(heard) = asked.heard.as_mut().poll(cx) else {
            self.aside = Some(asked);
            return Poll::Pending;
        };
        match self.exchange.settle_aside(asked, heard) {
            Ok(()) if self.stream.ended => {
                self.stream.release();
                Poll::Ready(self.last(Outcome::Complete).map(Ok))
            }
            Ok(()) => {
                let fault = internal("a stream that goes on was approved");
                Poll::Ready(self.fail(&fault).map(Ok))
            }
            Err(fault) => Poll::Ready(self.fail(&fault).map(Ok)),
        }
    }
}
