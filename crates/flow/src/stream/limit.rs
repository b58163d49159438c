//! The end of a stream that comes to a bound of its call: the call to the
//! provider is dropped, and the answer ends as one that came to its cap, in
//! the caller's dialect. Streams of calls without a bound have none of this.
//!
//! The bounds: the caller's time; the caller's cost and the cap on the output,
//! which hold before the call, and here against a provider that goes on
//! beyond the cap; what a model may reason.

use std::task::{Context, Poll};

use bytes::Bytes;
use contract::Usage;
use contract::answer::FinishReason;
use dialects::StreamEnder;
use dialects::framing::{FrameKind, Splitter};
use evidence::Outcome;
use http::StatusCode;

use super::{Going, Source, Streaming};
use crate::bounds::{Reason, Timer};
use crate::estimate::guess::Guess;
use crate::exchange::Exchange;
use crate::reply::Cut;

/// The bounds of a stream, and what it takes to end it.
pub(super) struct Limit {
    /// Cuts what goes to the caller.
    splitter: Splitter,
    ender: Box<dyn StreamEnder>,
    timer: Option<Timer>,
    /// Most output tokens that the caller's cost allows.
    affordable: Option<u64>,
    /// The cap on the output, of all alternatives together.
    cap: Option<u64>,
    /// What that cap is for.
    cap_for: Reason,
    /// Most tokens of reasoning, of all alternatives together.
    reasoning: Option<u64>,
}

/// What is counted here may be this far beyond a cap: counts of pieces are no
/// counts of tokens.
fn with_margin(tokens: u64) -> u64 {
    tokens.saturating_add(tokens / 4).saturating_add(16)
}

impl Limit {
    /// For a stream that begins, if its call has a bound.
    pub(super) fn of(exchange: &Exchange, stream: &Streaming) -> Option<Box<Self>> {
        let timer = exchange.bounds.until;
        let cap = exchange.output_cap;
        let told = stream.sight.tally.told().unwrap_or_default();
        let affordable = exchange.output_within_cost(&exchange.with_input(told));
        let choices = exchange.bounds.choices.max(1);
        let reasoning = exchange.bounds.reasoning;
        let purse = exchange.spending.as_ref();
        let is_sliced = purse.is_some_and(|purse| purse.slices.is_some());
        let has_caps = cap.is_some() || affordable.is_some() || reasoning.is_some();
        if timer.is_none() && !has_caps && !is_sliced {
            return None;
        }
        let dialect = exchange.dialect;
        Some(Box::new(Self {
            splitter: dialect.framing().splitter(),
            ender: dialect.stream_ender(exchange.stream_usage),
            timer: timer.map(|until| Timer::new(until, exchange.flow.clock.clone())),
            affordable,
            cap_for: match exchange.bounds.capped_for_cost {
                true => Reason::Cost,
                false => Reason::Cap,
            },
            cap: cap.map(|cap| cap.saturating_mul(choices)),
            reasoning: reasoning.map(|most| most.saturating_mul(choices)),
        }))
    }

    /// Takes note of what goes to the caller.
    pub(super) fn see(&mut self, bytes: &Bytes) {
        // What cannot be cut into frames is passed over; the reading of the
        // stream has judged it.
        let Ok(batch) = self.splitter.push(bytes.clone()) else {
            return;
        };
        for span in &batch.frames {
            if span.kind != FrameKind::Silent {
                self.ender.see(batch.frame(span));
            }
        }
    }

    /// Whether the provider goes on beyond what the call may take.
    fn overrun(&self, stream: &Streaming) -> Option<Reason> {
        let tally = &stream.sight.tally;
        let told = tally.usage.filter(|told| told.source.has_output());
        let reasoned = told.map_or(0, |told| told.reasoning);
        let told = told.map_or(0, |told| told.output_total());
        let guess = Guess {
            seen: tally.seen,
            ..Guess::default()
        };
        let seen = guess.output_at_least();
        let thought = guess.reasoning_at_least();
        let is_brooding = |most| reasoned > most || thought > with_margin(most);
        let is_dear = |most| told > most || seen > with_margin(most);
        let is_long = |most| told.max(seen) > with_margin(most);
        match (self.affordable, self.cap) {
            (Some(most), _) if is_dear(most) => Some(Reason::Cost),
            (_, Some(most)) if is_long(most) => Some(self.cap_for),
            (Some(_) | None, _) => {
                let most = self.reasoning.filter(|most| is_brooding(*most));
                most.map(|_| Reason::Reasoning)
            }
        }
    }
}

impl Going {
    /// The bound that the stream has come to, if it has.
    pub(super) fn poll_limit(&mut self, cx: &mut Context<'_>) -> Option<Reason> {
        let limit = self.limit.as_mut()?;
        let is_open = !self.stream.ended || self.aside.is_some();
        let timer = limit.timer.as_mut().filter(|_| is_open)?;
        timer.is_over(cx).then_some(Reason::Latency)
    }

    /// The bound that the provider does not keep to, if there is one.
    pub(super) fn overrun(&self) -> Option<Reason> {
        let limit = self.limit.as_ref()?;
        let is_over = self.stream.ended || self.stream.sight.tally.ended;
        limit.overrun(&self.stream).filter(|_| !is_over)
    }

    /// Ends the stream before its time, as one that came to its cap.
    pub(super) fn shorten(&mut self, reason: Reason) -> Poll<Option<Result<Bytes, Cut>>> {
        // The call to the provider ends here.
        self.stream.source = Source::Local(Vec::new().into_iter());
        let is_whole = self.stream.sight.tally.ended && self.stream.hold.is_none();
        if is_whole && self.aside.is_none() {
            // Only the provider's hanging up was missing.
            return Poll::Ready(match self.stream.close() {
                Ok(()) => self.last(Outcome::Complete).map(Ok),
                Err(fault) => self.fail(&fault).map(Ok),
            });
        }
        self.aside = None;
        self.stream.drop_held();
        let rest = self.stream.take().map(|bytes| self.count(bytes));
        self.done = true;
        self.note_rest();
        let exchange = &mut self.exchange;
        exchange.note_limit("cut", reason);
        exchange.bounds.cut = true;
        exchange.bounds.cut_by = Some(reason);
        exchange.record.outcome = Outcome::Complete;
        let usage = exchange.settled_usage();
        let mut end = Vec::new();
        let limit = self.limit.take();
        if limit.is_some_and(|mut limit| limit.ender.end(&usage, &mut end)) {
            let finish = &mut self.exchange.record.finish;
            finish.clear();
            finish.push(FinishReason::Length.name().into());
        }
        let end = self.count(end.into());
        let bytes = match rest {
            Some(rest) => [rest, end].concat().into(),
            None => end,
        };
        let ok = StatusCode::OK.as_u16();
        self.ticket = self.exchange.finish(ok, Outcome::Complete);
        Poll::Ready((!bytes.is_empty()).then_some(Ok(bytes)))
    }
}

impl Exchange {
    /// What is known of the usage, with the estimate of an input that was not
    /// told yet.
    fn with_input(&self, told: Usage) -> Usage {
        let mut usage = Usage {
            output: 0,
            reasoning: 0,
            audio_out: 0,
            image_out: 0,
            ..told
        };
        if !usage.source.has_input() {
            usage.input = usage.input.max(self.counted_input().tokens());
        }
        usage
    }
}
