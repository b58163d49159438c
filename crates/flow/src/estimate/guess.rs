//! Output tokens of an answer that its provider did not count: by the words of
//! a whole one, or by what was seen of a stream.

use contract::Answer;
use dialects::Seen;
use meter::Vocabulary;

use super::factors::Estimator;
use super::request::Sample;
use super::{TOKENS_PER_IMAGE, each_text, text_tokens};

/// Bytes of an answer's text in one token.
const BYTES_PER_TOKEN: u64 = 4;
/// Fewest bytes of a piece that counts as a token of its own.
const PIECE_BYTES_MIN: u64 = 2;

/// Most bytes of text in one token, on the wire: of texts whose letters are
/// all escaped.
const BYTES_PER_TOKEN_MAX: u64 = 24;

/// What is known of an exchange's tokens without its provider.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Guess {
    /// Input tokens.
    pub(crate) input: u64,
    /// What they were counted by.
    pub(crate) input_by: Estimator,
    /// The input has files or images, whose tokens nobody can count.
    pub(crate) has_files: bool,
    /// Output tokens of a whole answer.
    pub(crate) output: u64,
    /// The answer was counted by the model's vocabulary.
    pub(crate) by_vocabulary: bool,
    /// What was seen of a stream.
    pub(crate) seen: Seen,
}

impl Guess {
    /// Output tokens. A piece of a stream is a token or a few, and a token is
    /// about four bytes: the larger count is nearer, since servers gather.
    pub(crate) fn output(&self) -> u64 {
        let Seen {
            pieces,
            bytes,
            media,
            ..
        } = self.seen;
        let by_bytes = bytes.div_ceil(BYTES_PER_TOKEN);
        let by_pieces = pieces.min(bytes.div_ceil(PIECE_BYTES_MIN));
        let media = media.saturating_mul(TOKENS_PER_IMAGE);
        let seen = by_bytes.max(by_pieces).saturating_add(media);
        seen.max(self.output)
    }

    /// What the output was counted by.
    pub(crate) fn output_by(&self) -> Estimator {
        match (self.output > 0, self.by_vocabulary) {
            (true, true) => Estimator::Vocabulary,
            (true, false) => Estimator::Words,
            (false, _) => Estimator::Seen,
        }
    }

    /// Output tokens that there are at least, as good as surely.
    pub(crate) fn output_at_least(&self) -> u64 {
        let Seen { pieces, bytes, .. } = self.seen;
        at_least(pieces, bytes)
    }

    /// Reasoning tokens that there are at least, as good as surely.
    pub(crate) fn reasoning_at_least(&self) -> u64 {
        at_least(self.seen.thoughts, self.seen.thought_bytes)
    }
}

fn at_least(pieces: u64, bytes: u64) -> u64 {
    let by_pieces = pieces.min(bytes.div_ceil(PIECE_BYTES_MIN));
    by_pieces.max(bytes / BYTES_PER_TOKEN_MAX)
}

/// Output tokens of a whole answer.
pub(crate) fn of_answer(answer: &Answer, by: Option<&Vocabulary>) -> u64 {
    let Answer::Chat(chat) = answer else { return 0 };
    let mut sample = Sample::default();
    let count = |text: &[u8]| text_tokens(&String::from_utf8_lossy(text), by);
    for part in chat.choices.iter().flat_map(|choice| &choice.parts) {
        each_text(part, &mut |text| match text {
            Some(text) => sample.take(text.as_bytes(), count),
            None => sample.tokens += TOKENS_PER_IMAGE,
        });
    }
    sample.total()
}

/// Output tokens of a whole answer that cannot be read.
pub(crate) fn of_bytes(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(BYTES_PER_TOKEN)
}
