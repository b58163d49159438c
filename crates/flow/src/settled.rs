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
use evidence::{Decision, Outcome};

use crate::estimate::factors::Estimator;
use crate::estimate::guess::{self, Guess};
use crate::estimate::request;
use crate::estimate::scaled::{Scaled, Side};
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
        let Guess {
            mut input,
            input_by,
            mut has_files,
            ..
        } = self.guess;
        if input == 0 {
            let counted = request::by_bytes(doc);
            (input, has_files) = (counted.tokens, counted.has_files);
        }
        self.guess = Guess {
            input,
            input_by,
            has_files,
            ..Guess::default()
        };
    }

    /// Counts a whole answer, and its request, by the model's vocabulary or
    /// else by words, where the provider left out its usage or told none of what there is.
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
        let model = self.record.attempts.last().map(|it| it.model.clone());
        let plan = self.plan.clone();
        let vocabulary = model.and_then(|model| plan.tokenizers.of(&model));
        let vocabulary = vocabulary.map(|it| &**it);
        if let Some(doc) = asked.filter(|_| !has_input) {
            self.guess.input = request::by_texts(doc, vocabulary).tokens;
            self.guess.input_by = match vocabulary {
                Some(_) => Estimator::Vocabulary,
                None => Estimator::Words,
            };
        }
        if has_output {
            return;
        }
        self.guess.output = match dialect.read_answer(operation, body.root()) {
            Ok(answer) => {
                self.guess.by_vocabulary = vocabulary.is_some();
                guess::of_answer(&answer, vocabulary)
            }
            Err(_) => guess::of_bytes(body.bytes().len()),
        };
    }

    /// The usage that the exchange is settled by: the provider's where it
    /// spoke, an estimate for the rest, which is marked as one. The record
    /// takes it over.
    pub(crate) fn settled_usage(&mut self) -> Usage {
        if self.reached_a_model() {
            self.take_over_told();
            let (input, output) = (self.counted_input(), self.counted_output());
            let guess = Usage {
                input: input.tokens(),
                output: output.tokens(),
                ..Usage::default()
            };
            let usage = &mut self.record.usage;
            let ended = self.record.outcome == Outcome::Complete && !self.bounds.cut;
            let told = usage.output_total();
            if !ended && guess.output > told.saturating_mul(STALE_TIMES) {
                usage.source = UsageSource::of(usage.source.has_input(), false);
            }
            let lacking = complete(usage, &guess, self.route.operation);
            let lacking = lacking.into_iter().flatten();
            self.note_estimate(lacking.map(|side| match side {
                Side::Input => (side, input),
                Side::Output => (side, output),
            }));
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
            input: input.tokens(),
            output: by_time.min(cap.unwrap_or(u64::MAX)),
            source: UsageSource::Estimated,
            ..Usage::default()
        });
        self.note_estimate([(Side::Input, input)].into_iter());
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

    /// Words that a rule had counted are nearer than bytes, and the model's
    /// own tokens are nearest.
    pub(crate) fn counted_input(&self) -> Scaled {
        let by = self.guess.input_by;
        let words = self.record.request.input_tokens_estimate;
        match words.filter(|_| by != Estimator::Vocabulary) {
            Some(counted) => self.scaled(counted, Estimator::Words),
            None => self.scaled(self.guess.input, self.guess.input_by),
        }
    }

    /// A count with what is known about such counts of the model that was
    /// asked last.
    fn scaled(&self, counted: u64, by: Estimator) -> Scaled {
        let last = self.record.attempts.last();
        let model = last.map(|it| (&*it.provider, &*it.model));
        Scaled {
            counted,
            by,
            factor: model.and_then(|model| self.flow.factors.of(model, by)),
        }
    }

    fn counted_output(&self) -> Scaled {
        self.scaled(self.guess.output(), self.guess.output_by())
    }

    /// Writes down how each side was estimated that nobody told.
    fn note_estimate(&mut self, sides: impl Iterator<Item = (Side, Scaled)>) {
        let readings: Vec<_> = sides
            .flat_map(|(side, scaled)| scaled.readings(side))
            .collect();
        if !readings.is_empty() {
            self.record.decisions.push(Decision {
                stage: "settle".into(),
                verdict: "estimate".into(),
                reason: "usage_not_told".into(),
                readings,
                ..Decision::default()
            });
        }
    }

    /// Learns from a call that ended well, whose usage its provider told, and
    /// of which all was text that could be counted. Pairs that others hand in
    /// teach nothing: nobody vouches for them.
    pub(crate) fn learn_factors(&self) {
        let usage = &self.record.usage;
        let is_plain = usage.source == UsageSource::Provider
            && !usage.flawed
            && usage.web_searches == 0
            && usage.audio_in == 0
            && usage.image_in == 0
            && !self.guess.has_files;
        let served = self.record.attempts.last().filter(|it| it.committed);
        let is_whole = self.record.outcome == Outcome::Complete && !self.bounds.cut;
        let Some(served) = served.filter(|_| is_plain && is_whole && self.observe.is_none()) else {
            return;
        };
        let model = (&*served.provider, &*served.model);
        let learn = |by, told, counted| self.flow.factors.learn(model, by, told, counted);
        learn(self.guess.input_by, usage.input_total(), self.guess.input);
        if let Some(words) = self.record.request.input_tokens_estimate {
            learn(Estimator::Words, usage.input_total(), words);
        }
        // Thoughts are counted and often not shown.
        if usage.reasoning == 0 && self.guess.seen.media == 0 {
            let seen = self.guess.output();
            learn(self.guess.output_by(), usage.output_total(), seen);
        }
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

/// Puts an estimate in for what was not told; for which sides.
fn complete(usage: &mut Usage, guess: &Usage, operation: Operation) -> [Option<Side>; 2] {
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
    let lacking = [
        (!usage.source.has_input()).then_some(Side::Input),
        (!usage.source.has_output()).then_some(Side::Output),
    ];
    usage.fill(guess);
    lacking
}
