//! A whole answer in canonical form. A stream is the same thing told in
//! [`crate::event::Event`]s; the `dialects` room folds one into the other.

use crate::chat::Part;
use crate::text::Extras;
use crate::usage::Usage;

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To a chat.
    Chat(ChatAnswer),
    /// To a token count.
    Count(CountAnswer),
    /// To an embedding.
    Embed(EmbedAnswer),
}

/// An answer to a chat.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatAnswer {
    /// The vendor's id of the answer.
    pub id: Option<String>,
    /// The model that answered, as the vendor says.
    pub model: Option<String>,
    /// When, in Unix seconds, as the vendor says.
    pub created_s: Option<u64>,
    /// The alternatives, by index.
    pub choices: Vec<Choice>,
    /// What it cost in tokens.
    pub usage: Option<Usage>,
    /// The tier it was served in.
    pub service_tier: Option<String>,
    /// Fields that have no place in the canonical form; losses of a
    /// translation.
    pub extras: Extras,
}

/// One alternative.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// What was said.
    pub parts: Vec<Part>,
    /// Why it ended.
    pub finish: Option<Finish>,
    /// Log probabilities of the text tokens.
    pub logprobs: Vec<TokenLogprob>,
}

/// Why a choice ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// The reason.
    pub reason: FinishReason,
    /// The stop sequence that was hit, where told.
    pub stop_sequence: Option<String>,
    /// The vendor's own word, for the evidence.
    pub native: Option<String>,
}

impl From<FinishReason> for Finish {
    fn from(reason: FinishReason) -> Self {
        Self {
            reason,
            stop_sequence: None,
            native: None,
        }
    }
}

/// Why a choice ended, whatever the vendor calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// A stop sequence was hit.
    StopSequence,
    /// The output cap was reached.
    Length,
    /// The context window was full.
    ContextWindow,
    /// The model called tools.
    ToolCalls,
    /// The vendor's filter stopped it.
    ContentFilter,
    /// The model declined.
    Refusal,
    /// A long server-side turn was paused and can be continued.
    Pause,
    /// The vendor ended it with an error of its own.
    Error,
}

impl FinishReason {
    /// The name in records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::StopSequence => "stop_sequence",
            Self::Length => "length",
            Self::ContextWindow => "context_window",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Refusal => "refusal",
            Self::Pause => "pause",
            Self::Error => "error",
        }
    }
}

/// Log probability of one token.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    /// The token's text.
    pub token: String,
    /// Natural logarithm of its probability.
    pub logprob: f64,
    /// Its bytes, where told.
    pub bytes: Option<Vec<u8>>,
    /// The alternatives at its place.
    pub top: Vec<TokenLogprob>,
}

/// An answer to a token count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountAnswer {
    /// Input tokens.
    pub input_tokens: u64,
    /// Of these, read from a cache, where told.
    pub cached_tokens: u64,
    /// Counted locally, not by the vendor.
    pub estimated: bool,
}

/// An answer to an embedding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbedAnswer {
    /// The model that answered, as the vendor says.
    pub model: Option<String>,
    /// One vector for each input, in order.
    pub vectors: Vec<Vec<f32>>,
    /// What it cost in tokens.
    pub usage: Option<Usage>,
}
