//! Usage that the provider did not tell, estimated from what went by: the
//! request's texts, and as much of the answer as was seen.
//!
//! What the provider said stands, side by side: an estimate is put in only for
//! the input or the output that it left out. A side that it says is zero,
//! although there was something, counts as left out. Nothing is estimated for
//! attempts that failed before they committed: of them only what the provider
//! told is billed.

use contract::{Answer, Operation, Usage, UsageSource};
use dialects::json::Doc;
use dialects::{Dialect, Seen};
use evidence::Outcome;

use super::request::{self, Sample};
use super::words;
use crate::exchange::Exchange;

/// Bytes of an answer's text in one token.
const BYTES_PER_TOKEN: u64 = 4;
/// Of a stream that did not end, what was seen is an estimate, and what was
/// told may be old: it stands unless this many times more was seen.
const STALE_TIMES: u64 = 2;
/// Fewest bytes of a piece that counts as a token of its own.
const PIECE_BYTES_MIN: u64 = 2;

/// What is known of an exchange's tokens without its provider.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Guess {
    /// Input tokens.
    input: u64,
    /// Output tokens of a whole answer.
    output: u64,
    /// What was seen of a stream.
    pub(crate) seen: Seen,
}

impl Guess {
    /// Output tokens. A piece of a stream is a token or a few, and a token is
    /// about four bytes: the larger count is nearer, since servers gather.
    fn output(&self) -> u64 {
        let Seen {
            pieces,
            bytes,
            media,
        } = self.seen;
        let by_bytes = bytes.div_ceil(BYTES_PER_TOKEN);
        let by_pieces = pieces.min(bytes.div_ceil(PIECE_BYTES_MIN));
        let media = media.saturating_mul(super::TOKENS_PER_IMAGE);
        let seen = by_bytes.max(by_pieces).saturating_add(media);
        seen.max(self.output)
    }
}

impl Exchange {
    /// Weighs the request, for the case that its usage is never told.
    pub(crate) fn weigh(&mut self, doc: &Doc) {
        if self.guess.input == 0 {
            self.guess.input = request::by_bytes(doc);
        }
    }

    /// Counts a whole answer, and its request by words, where the provider
    /// left out its usage or told none of what there is.
    pub(crate) fn count_whole(&mut self, asked: Option<&Doc>, answer: (&dyn Dialect, &Doc)) {
        let usage = &self.record.usage;
        let is_full = usage.source == UsageSource::Provider && usage.input_total() > 0;
        if !is_billed(self.route.operation) || is_full && usage.output_total() > 0 {
            return;
        }
        let (dialect, body) = answer;
        let has_input = usage.source.has_input() && usage.input_total() > 0;
        if let Some(doc) = asked.filter(|_| !has_input) {
            self.guess.input = request::by_words(doc);
        }
        self.guess.output = match dialect.read_answer(self.route.operation, body.root()) {
            Ok(answer) => of_answer(&answer),
            Err(_) => (body.bytes().len() as u64).div_ceil(BYTES_PER_TOKEN),
        };
    }

    /// The usage that the exchange is settled by: the provider's where it
    /// spoke, an estimate for the rest, which is marked as one. The record
    /// takes it over.
    pub(crate) fn settled_usage(&mut self) -> Usage {
        if self.reached_a_model() {
            let guess = Usage {
                input: self.counted_input(),
                output: self.guess.output(),
                ..Usage::default()
            };
            let usage = &mut self.record.usage;
            let ended = self.record.outcome == Outcome::Complete;
            let told = usage.output_total();
            if !ended && guess.output > told.saturating_mul(STALE_TIMES) {
                usage.source = UsageSource::of(usage.source.has_input(), false);
            }
            complete(usage, &guess, self.route.operation);
        }
        self.record.usage
    }

    /// Words that a rule had counted are nearer than bytes.
    fn counted_input(&self) -> u64 {
        let counted = self.record.request.input_tokens_estimate;
        counted.unwrap_or(self.guess.input)
    }

    /// An answer began, or the caller left while one was being made.
    fn reached_a_model(&self) -> bool {
        let cancelled = self.record.outcome == Outcome::Cancelled;
        let last = self.record.attempts.last();
        is_billed(self.route.operation)
            && last.is_some_and(|it| it.committed || cancelled && it.times.sent_us.is_some())
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

/// Output tokens of an answer.
fn of_answer(answer: &Answer) -> u64 {
    let Answer::Chat(chat) = answer else { return 0 };
    let mut sample = Sample::default();
    let count = |text: &[u8]| words::tokens(&String::from_utf8_lossy(text));
    for part in chat.choices.iter().flat_map(|choice| &choice.parts) {
        super::each_text(part, &mut |text| match text {
            Some(text) => sample.take(text.as_bytes(), count),
            None => sample.tokens += super::TOKENS_PER_IMAGE,
        });
    }
    sample.total()
}
