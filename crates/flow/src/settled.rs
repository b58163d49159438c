//! Usage as it is settled: what the provider said stands, side by side, and an
//! estimate is put in only for the input or the output that it left out. A
//! side that it says is zero, although there was something, counts as left
//! out. Of attempts that failed before they committed only what the provider
//! told is billed, save for a whole answer that was given and could not be
//! used: it is billed, whether we read it or not.
//!
//! Deliberately not here: how tokens are estimated, and what they cost.

use contract::{Operation, Usage, UsageSource};
use dialects::Dialect;
use dialects::json::Doc;
use evidence::Outcome;

use crate::estimate::guess::{self, Guess};
use crate::estimate::request;
use crate::exchange::Exchange;

/// Tokens that fast models put out in a second.
const OUTPUT_TOKENS_PER_S: u64 = 200;
/// Of a stream that did not end, what was seen is an estimate, and what was
/// told may be old: it stands unless this many times more was seen.
const STALE_TIMES: u64 = 2;

impl Exchange {
    /// Weighs the request, for the case that its usage is never told. Of the
    /// attempt that begins nothing was seen.
    pub(crate) fn weigh(&mut self, doc: &Doc) {
        let input = match self.guess.input {
            0 => request::by_bytes(doc),
            weighed => weighed,
        };
        self.guess = Guess {
            input,
            ..Guess::default()
        };
    }

    /// Counts a whole answer, and its request by words, where the provider
    /// left out its usage or told none of what there is.
    pub(crate) fn count_whole(&mut self, asked: Option<&Doc>, answer: (&dyn Dialect, &Doc)) {
        let usage = &self.record.usage;
        let operation = self.route.operation;
        let has_input = usage.source.has_input() && usage.input_total() > 0;
        let has_output =
            operation == Operation::Embed || usage.source.has_output() && usage.output_total() > 0;
        if !is_billed(operation) || has_input && has_output {
            return;
        }
        let (dialect, body) = answer;
        if let Some(doc) = asked.filter(|_| !has_input) {
            self.guess.input = request::by_words(doc);
        }
        if has_output {
            return;
        }
        self.guess.output = match dialect.read_answer(operation, body.root()) {
            Ok(answer) => guess::of_answer(&answer),
            Err(_) => guess::of_bytes(body.bytes().len()),
        };
    }

    /// The usage that the exchange is settled by: the provider's where it
    /// spoke, an estimate for the rest, which is marked as one. The record
    /// takes it over.
    pub(crate) fn settled_usage(&mut self) -> Usage {
        if self.reached_a_model() {
            self.take_over_told();
            let guess = Usage {
                input: self.counted_input(),
                output: self.guess.output(),
                ..Usage::default()
            };
            let usage = &mut self.record.usage;
            let ended = self.record.outcome == Outcome::Complete && !self.bounds.cut;
            let told = usage.output_total();
            if !ended && guess.output > told.saturating_mul(STALE_TIMES) {
                usage.source = UsageSource::of(usage.source.has_input(), false);
            }
            complete(usage, &guess, self.route.operation);
        }
        self.record.usage
    }

    /// A provider that said 200 to a call that is no stream has made an answer,
    /// whatever became of it on the way (too large, too slow, cut, compressed).
    /// The input is estimated, and the output by the time that it took, up to
    /// its cap.
    pub(crate) fn bill_unusable(&mut self) {
        let reserved = self.spending.as_ref().map(|it| it.bound.output);
        let cap = reserved.filter(|most| *most > 0).or(self.output_cap);
        let input = self.counted_input();
        let is_stream = self.record.request.stream;
        let is_billed = is_billed(self.route.operation);
        let now_us = self.elapsed_us();
        let Some(attempt) = self.record.attempts.last_mut() else {
            return;
        };
        let is_made = attempt
            .status
            .is_some_and(|status| (200..300).contains(&status));
        if !is_billed || is_stream || !is_made || attempt.usage.is_some() {
            return;
        }
        let sent_us = attempt.times.sent_us.unwrap_or(now_us);
        let took_us = now_us.saturating_sub(sent_us);
        let by_time = took_us.saturating_mul(OUTPUT_TOKENS_PER_S) / 1_000_000;
        attempt.usage = Some(Usage {
            input,
            output: by_time.min(cap.unwrap_or(u64::MAX)),
            source: UsageSource::Estimated,
            ..Usage::default()
        });
    }

    /// What the provider told before the caller left is noted with the
    /// attempt.
    fn take_over_told(&mut self) {
        let told = self.record.attempts.last_mut();
        let told = told.filter(|attempt| !attempt.committed);
        if let Some(told) = told.and_then(|attempt| attempt.usage.take()) {
            self.record.usage = told;
        }
    }

    /// Words that a rule had counted are nearer than bytes.
    pub(crate) fn counted_input(&self) -> u64 {
        let counted = self.record.request.input_tokens_estimate;
        counted.unwrap_or(self.guess.input)
    }

    /// An answer began, or the caller left, or the caller's time ran out,
    /// while one was being made.
    fn reached_a_model(&self) -> bool {
        let cancelled = self.record.outcome == Outcome::Cancelled;
        let last = self.record.attempts.last();
        is_billed(self.route.operation)
            && last.is_some_and(|it| {
                let under_way = it.times.sent_us.is_some() && it.fault.is_none();
                it.committed || cancelled && under_way || self.bounds.cut
            })
    }
}

/// Whether calls of this kind use tokens at all.
fn is_billed(operation: Operation) -> bool {
    match operation {
        Operation::Chat | Operation::Embed => true,
        Operation::CountTokens | Operation::ListModels | Operation::GetModel => false,
    }
}

fn complete(usage: &mut Usage, guess: &Usage, operation: Operation) {
    let has_input = usage.source.has_input() && usage.input_total() > 0;
    let has_output = match operation {
        Operation::Embed => true,
        Operation::Chat | Operation::CountTokens | Operation::ListModels | Operation::GetModel => {
            let is_empty = usage.output_total() == 0 && guess.output > 0;
            usage.source.has_output() && !is_empty
        }
    };
    if usage.source != UsageSource::Estimated {
        usage.source = UsageSource::of(has_input, has_output);
    }
    usage.fill(guess);
}
