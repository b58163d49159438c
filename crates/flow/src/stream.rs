//! Streams: pulled from the upstream, watched or translated frame by frame,
//! handed on together as they arrived together.
//!
//! There is no channel and no task between the stages, so backpressure and
//! cancellation come free: a slow caller does not pull, and a caller that
//! goes away drops everything down to the upstream's connection.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use contract::seams::{Alarm, Clock, Inbound, InboundBody, Ticks};
use contract::{Event, Fault, Loss};
use dialects::Tally;
use dialects::framing::{Batch, Splitter};
use evidence::{FaultNote, OpenStream, Outcome};
use http::{HeaderValue, StatusCode};
use plan::{ProviderPlan, Times};
use store::Ticket;

use crate::approval::Asking as Aside;
use crate::asking::Asking;
use crate::bounds::Reason;
use crate::cut_off::CutOff;
use crate::exchange::Exchange;
use crate::faults::{too_slow, wire_fault};
use crate::prepare::Prepared;
use crate::reply::{Cut, Reply, ReplyBody, ReplyStream};

mod hold;
mod limit;
mod slices;
mod through;
mod watched;

use hold::Hold;
use limit::Limit;
use slices::{Leave, Slices};
use through::{Looking, Sight, Through};

pub(crate) use watched::Watching;

/// Frames that are ready together are written together, up to this size.
const TOGETHER_BYTES_MAX: usize = 16 * 1024;
/// Most bytes that may arrive before the first content of a stream.
const HEAD_BYTES_MAX: usize = 1024 * 1024;

/// A stream from an upstream, and its place in time.
pub(crate) struct Streaming {
    source: Source,
    through: Through,
    sight: Sight,
    /// Bytes that are ready for the caller.
    ready: BytesMut,
    /// One batch that passes as it arrived, kept apart to save a copy.
    whole: Bytes,
    clocked: Clocked,
    losses: Vec<Loss>,
    /// What went wrong in the read that also brought the first content. It is
    /// told in band, so that the outcome does not hang on how the network cut
    /// the stream.
    broken: Option<Fault>,
    /// What is held back until people have decided.
    hold: Option<Hold>,
    /// The number of the fault that ends it, where that is not the next one.
    number: Option<u64>,
    ended: bool,
    /// Bytes of the frames that came, whether they pass or not. One that is
    /// not complete has a limit of its own, and may be an image.
    arrived: usize,
}

/// Where frames come from.
enum Source {
    /// An upstream.
    Upstream {
        body: Box<dyn InboundBody>,
        splitter: Splitter,
    },
    /// A model inside the gateway.
    Local(std::vec::IntoIter<Event>),
}

/// The deadlines of a stream. The idle time runs only while we wait for the
/// upstream, so a slow reader never makes a provider look stalled.
struct Clocked {
    clock: Arc<dyn Clock>,
    alarm: Box<dyn Alarm>,
    times: Times,
    sent: Ticks,
    waiting_since: Option<Ticks>,
}

impl Clocked {
    fn of(exchange: &Exchange, times: Times) -> Self {
        let clock = exchange.flow.clock.clone();
        let sent = exchange.sent();
        let first = times.first_token_ms.min(times.idle_ms).min(times.total_ms);
        let alarm = clock.alarm(sent.plus_ms(first));
        Self {
            clock,
            alarm,
            times,
            sent,
            waiting_since: None,
        }
    }

    fn due(&self, committed: bool, now: Ticks) -> Ticks {
        let pause = if committed {
            self.waiting_since
                .unwrap_or(now)
                .plus_ms(self.times.idle_ms)
        } else {
            self.sent.plus_ms(self.times.first_token_ms)
        };
        pause.min(self.sent.plus_ms(self.times.total_ms))
    }

    /// Ready when the upstream has kept us waiting too long.
    fn poll_overdue(&mut self, committed: bool, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.clock.now();
        self.waiting_since.get_or_insert(now);
        while self.alarm.poll_ring(cx).is_ready() {
            let now = self.clock.now();
            let due = self.due(committed, now);
            if now >= due {
                return Poll::Ready(());
            }
            self.alarm.set(due);
        }
        Poll::Pending
    }
}

impl Streaming {
    pub(crate) fn new(
        exchange: &Exchange,
        asking: &Asking<'_>,
        provider: &ProviderPlan,
        prepared: Prepared,
        inbound: Inbound,
    ) -> Self {
        let splitter = prepared.dialect.framing().splitter();
        let through = if prepared.same {
            Through::watching(prepared.dialect.stream_watcher(prepared.hide_usage))
        } else {
            let id = exchange.id.text();
            let asked = exchange.asked(id.as_str(), asking.canonical.as_ref());
            Through::translating(
                prepared.dialect.stream_reader(),
                exchange.dialect.stream_writer(&asked),
            )
        };
        let source = Source::Upstream {
            body: inbound.body,
            splitter,
        };
        let looking = exchange
            .inspector()
            .map(|inspector| Looking::new(inspector, prepared.dialect.stream_reader()));
        let mut stream = Self::from(exchange, source, through, provider.times, prepared.losses);
        stream.sight.looking = looking;
        stream
    }

    /// The stream of a model inside the gateway.
    pub(crate) fn of_events(
        exchange: &Exchange,
        id: &str,
        asking: &Asking<'_>,
        events: Vec<Event>,
    ) -> Self {
        let asked = exchange.asked(id, asking.canonical.as_ref());
        let through = Through::writing(exchange.dialect.stream_writer(&asked));
        let source = Source::Local(events.into_iter());
        Self::from(exchange, source, through, Times::default(), Vec::new())
    }

    fn from(
        exchange: &Exchange,
        source: Source,
        through: Through,
        times: Times,
        losses: Vec<Loss>,
    ) -> Self {
        let clocked = Clocked::of(exchange, times);
        Self {
            source,
            through,
            sight: Sight {
                tally: Tally::default(),
                looking: None,
            },
            ready: BytesMut::new(),
            whole: Bytes::new(),
            clocked,
            losses,
            broken: None,
            hold: None,
            number: None,
            ended: false,
            arrived: 0,
        }
    }

    /// Waits for the first content. Until then another candidate may still
    /// be tried; nothing has reached the caller.
    pub(crate) async fn commit(&mut self, exchange: &mut Exchange) -> Result<(), Fault> {
        // Noted at each step, because the caller may leave in any of them, and
        // what a failed attempt cost is billed as well.
        let committed = poll_fn(|cx| {
            let committed = self.poll_commit(cx);
            if let Some(attempt) = exchange.attempt_mut() {
                attempt.usage = self.sight.tally.told();
            }
            exchange.guess.seen = self.sight.tally.seen;
            committed
        })
        .await;
        match self.sight.looking {
            // Boxed, so that calls without such rules carry no room for it.
            Some(_) => Box::pin(self.settle_commit(exchange, committed)).await?,
            None => committed?,
        }
        let now = exchange.elapsed_us();
        if let Some(attempt) = exchange.attempt_mut() {
            attempt.committed = true;
            attempt.usage = None;
            attempt.times.first_token_us = Some(now);
        }
        Ok(())
    }

    fn poll_commit(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        // What is held back whole has not begun before it ends.
        let holds = self.sight.holds();
        let begun = |stream: &Self| {
            let is_free = stream.hold.as_ref().is_none_or(|hold| hold.behind_content);
            stream.sight.tally.committed && holds.is_none() && is_free
        };
        loop {
            if begun(self) {
                return Poll::Ready(Ok(()));
            }
            if let Some(fault) = self.sight.tally.fault.take() {
                return Poll::Ready(Err(fault));
            }
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            match holds {
                Some(limit) if self.arrived > limit => {
                    return Poll::Ready(Err(crate::faults::too_long_to_check(limit)));
                }
                None if self.arrived > HEAD_BYTES_MAX && self.hold.is_none() => {
                    return Poll::Ready(Err(crate::faults::no_content(HEAD_BYTES_MAX)));
                }
                Some(_) | None => {}
            }
            match self.poll_more(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(fault)) if begun(self) => self.broken = Some(fault),
                Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Takes in what the source has next, and holds it back where it waits for
    /// people; sets `ended` at its clean end.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        match self.sight.may_wait() {
            true => self.poll_held(cx),
            false => self.poll_source(cx),
        }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let next = match &mut self.source {
            Source::Local(events) => {
                match events.next() {
                    Some(event) => {
                        self.through
                            .event(event, &mut self.sight.tally, &mut self.ready)
                    }
                    None => self.ended = true,
                }
                return Poll::Ready(Ok(()));
            }
            Source::Upstream { body, .. } => body.poll_chunk(cx),
        };
        let taken = match next {
            Poll::Ready(Some(Ok(chunk))) => {
                self.clocked.waiting_since = None;
                self.take_chunk(chunk)
            }
            Poll::Ready(Some(Err(fault))) => Err(wire_fault(fault)),
            Poll::Ready(None) => return Poll::Ready(self.close()),
            Poll::Pending => match self.clocked.poll_overdue(self.sight.tally.committed, cx) {
                Poll::Ready(()) => Err(too_slow()),
                Poll::Pending => return Poll::Pending,
            },
        };
        // What goes wrong behind the end marker (a reset, silence, rubbish)
        // takes nothing from an answer that is whole. What a rule refused may
        // stand before that marker, even in the same frame.
        Poll::Ready(taken.or_else(|fault| match self.sight.is_refused() {
            true => Err(fault),
            false => self.close().map_err(|_| fault),
        }))
    }

    fn take_chunk(&mut self, chunk: Bytes) -> Result<(), Fault> {
        let Source::Upstream { splitter, .. } = &mut self.source else {
            return Ok(());
        };
        let batch = splitter.push(chunk)?;
        self.arrived += batch.bytes.len();
        let broken = splitter.broken().cloned();
        if !batch.frames.is_empty() {
            let passes = self
                .through
                .batch(&batch, &mut self.sight, &mut self.ready)?;
            if passes {
                self.pass(batch);
            }
        }
        broken.map_or(Ok(()), Err)
    }

    /// A batch that passes as it is: not copied if it is alone.
    fn pass(&mut self, batch: Batch) {
        if self.ready.is_empty() && self.whole.is_empty() {
            self.whole = batch.bytes;
            return;
        }
        self.gather();
        self.ready.extend_from_slice(&batch.bytes);
    }

    /// Puts the batch that was kept apart before what came behind it.
    fn gather(&mut self) {
        if !self.whole.is_empty() {
            let whole = std::mem::take(&mut self.whole);
            let behind = std::mem::take(&mut self.ready);
            self.ready.reserve(whole.len() * 2 + behind.len());
            self.ready.extend_from_slice(&whole);
            self.ready.extend_from_slice(&behind);
        }
    }

    /// Nothing more comes from the upstream.
    fn close(&mut self) -> Result<(), Fault> {
        self.ended = true;
        if let Source::Upstream { splitter, .. } = &self.source
            && splitter.is_mid_frame()
            && !self.sight.tally.ended
        {
            return Err(dialects::fold::unfinished());
        }
        self.through.close(&mut self.sight, &mut self.ready)?;
        self.sight.whole()
    }

    /// All that is ready for the caller.
    fn take(&mut self) -> Option<Bytes> {
        if let Some(hold) = &mut self.hold {
            return hold.take_free();
        }
        if self.ready.is_empty() {
            let whole = std::mem::take(&mut self.whole);
            return (!whole.is_empty()).then_some(whole);
        }
        self.gather();
        Some(self.ready.split().freeze())
    }

    fn is_full(&self) -> bool {
        // What is held back has a limit of its own.
        self.hold.is_none() && self.ready.len() + self.whole.len() >= TOGETHER_BYTES_MAX
    }

    /// The reply of a stream that has committed.
    pub(crate) fn reply(self: Box<Self>, mut exchange: Box<Exchange>) -> Reply {
        let content_type = exchange.dialect.framing().content_type();
        let mut headers = exchange.headers(HeaderValue::from_static(content_type));
        headers.insert(
            http::header::CACHE_CONTROL,
            HeaderValue::from_static("no-cache"),
        );
        let losses: Vec<Loss> = self
            .losses
            .iter()
            .chain(self.through.losses())
            .cloned()
            .collect();
        exchange.declare(&losses, &mut headers);
        exchange.keep(StatusCode::OK, &headers, &[]);
        let declared = losses.len();
        // Nobody asks for them from here on, and a stream may last for long.
        exchange.head.headers = http::HeaderMap::new();
        let open = exchange.flow.evidence.meter().open_stream();
        let life = exchange.life.take();
        let cut_off = life.map(|life| CutOff::new(life, exchange.flow.clock.clone()));
        let going = Going {
            limit: Limit::of(&exchange, &self),
            slices: Slices::of(&exchange),
            stream: self,
            exchange,
            cut_off,
            declared,
            aside: None,
            done: false,
            ticket: None,
            _open: open,
        };
        let body = ReplyBody::Stream(Box::new(going));
        Reply {
            status: StatusCode::OK,
            headers,
            body,
        }
    }
}

/// A committed stream on its way to the caller. From here on there is no
/// other candidate, only in-band faults.
struct Going {
    stream: Box<Streaming>,
    exchange: Box<Exchange>,
    /// Where a revocation of the key may end the stream.
    cut_off: Option<CutOff>,
    /// The bounds that the call has, if it has some.
    limit: Option<Box<Limit>>,
    /// What is reserved of it, where that is done in slices.
    slices: Option<Box<Slices>>,
    /// How many losses the head of the answer declared.
    declared: usize,
    /// The question to people that the answer ends with.
    aside: Option<Aside>,
    done: bool,
    /// The end waits for the record, where the operator asks for that.
    ticket: Option<Ticket>,
    _open: OpenStream,
}

impl Going {
    /// What is left for the caller, and the record.
    fn last(&mut self, outcome: Outcome) -> Option<Bytes> {
        let rest = self.stream.take().map(|bytes| self.count(bytes));
        self.done = true;
        self.note_rest();
        self.ticket = self.exchange.finish(StatusCode::OK.as_u16(), outcome);
        rest
    }

    fn note_rest(&mut self) {
        let tally = std::mem::take(&mut self.stream.sight.tally);
        self.exchange.note_tally(&tally);
        let rulings = self.stream.sight.take_rulings();
        self.exchange.note_rulings(&rulings);
        let all = self
            .stream
            .losses
            .iter()
            .chain(self.stream.through.losses());
        self.exchange
            .record
            .losses
            .extend(all.skip(self.declared).map(Into::into));
    }

    /// The fault as the last bytes of the stream, in the caller's dialect.
    fn fail(&mut self, fault: &Fault) -> Option<Bytes> {
        self.exchange.record.fault = Some(FaultNote::from(fault));
        let id = self.exchange.id.text();
        let number = self.stream.next_number();
        let dialect = self.exchange.dialect;
        let frame = dialect.write_fault_frame(fault, id.as_str(), number);
        self.stream.drop_held();
        self.stream.gather();
        self.stream.ready.extend_from_slice(&frame);
        self.last(Outcome::Cut)
    }
}

impl ReplyStream for Going {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        if self.done {
            if self.exchange.poll_kept(cx).is_pending() {
                return Poll::Pending;
            }
            return match &mut self.ticket {
                Some(ticket) => Pin::new(ticket).poll(cx).map(|_| None),
                None => Poll::Ready(None),
            };
        }
        if let Some(fault) = self.stream.broken.take() {
            return Poll::Ready(self.fail(&fault).map(Ok));
        }
        let is_open = !self.stream.ended || self.aside.is_some();
        if let Some(cut_off) = self.cut_off.as_mut().filter(|_| is_open)
            && let Some(fault) = cut_off.poll_cut(cx)
        {
            return Poll::Ready(self.fail(&fault).map(Ok));
        }
        if let Some(reason) = self.poll_limit(cx) {
            return self.shorten(reason);
        }
        if self.aside.is_some() {
            return self.poll_aside(cx);
        }
        loop {
            // An error that the upstream reported in the stream: for a caller
            // of the same dialect it has passed as it came.
            if let Some(fault) = self.stream.sight.tally.fault.take() {
                if self.stream.through.passes_faults() && self.stream.hold.is_none() {
                    self.exchange.record.fault = Some(FaultNote::from(&fault));
                    return Poll::Ready(self.last(Outcome::Cut).map(Ok));
                }
                return Poll::Ready(self.fail(&fault).map(Ok));
            }
            if self.stream.ended {
                if self.stream.hold.is_some() {
                    return self.ask_aside(None, cx);
                }
                return Poll::Ready(self.last(Outcome::Complete).map(Ok));
            }
            if let Some(reason) = self.overrun() {
                return self.shorten(reason);
            }
            match self.poll_slices(cx) {
                Leave::Granted => {}
                Leave::Asking => break,
                Leave::Refused => return self.shorten(Reason::Budget),
            }
            if self.stream.is_full() {
                break;
            }
            match self.stream.poll_more(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(fault)) if self.stream.hold.is_some() => {
                    return Poll::Ready(self.fail(&fault).map(Ok));
                }
                Poll::Ready(Err(fault)) => return self.ask_aside(Some(fault), cx),
                Poll::Pending => break,
            }
        }
        match self.stream.take() {
            Some(bytes) => Poll::Ready(Some(Ok(self.count(bytes)))),
            None => Poll::Pending,
        }
    }
}

impl Going {
    fn count(&mut self, bytes: Bytes) -> Bytes {
        self.exchange.record.bytes_out += bytes.len() as u64;
        self.exchange.keep_more(&bytes);
        if let Some(limit) = &mut self.limit {
            limit.see(&bytes);
        }
        bytes
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        if !self.done {
            self.note_rest();
        }
    }
}
