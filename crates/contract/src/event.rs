//! A streamed answer in canonical form: typed events, each valid only in its
//! place. `Open`, then for each part `PartOpen`, deltas, `PartClose`, then
//! `Finish` for each choice, `Usage` anywhere, and `End` when the upstream's
//! own end marker was seen. A stream without `End` is a fault.

use crate::answer::{Finish, TokenLogprob};
use crate::chat::{Citation, Part, Signature};
use crate::fault::Fault;
use crate::usage::Usage;

/// One step of a streamed answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The answer begins. Comes first, once.
    Open {
        /// The vendor's id of the answer.
        id: Option<String>,
        /// The model that answers, as the vendor says.
        model: Option<String>,
        /// When, in Unix seconds, as the vendor says.
        created_s: Option<u64>,
    },
    /// A part begins. Part numbers rise by one within a choice, from zero.
    PartOpen {
        /// Index of the alternative.
        choice: u32,
        /// Number of the part in it.
        part: u32,
        /// What it is.
        head: PartHead,
    },
    /// A part goes on.
    PartDelta {
        /// Index of the alternative.
        choice: u32,
        /// Number of the part in it.
        part: u32,
        /// What is added.
        delta: Delta,
    },
    /// A part is complete.
    PartClose {
        /// Index of the alternative.
        choice: u32,
        /// Number of the part in it.
        part: u32,
    },
    /// Log probabilities of text tokens of a choice.
    Logprobs {
        /// Index of the alternative.
        choice: u32,
        /// The tokens.
        tokens: Vec<TokenLogprob>,
    },
    /// Usage so far; cumulative, a later one replaces an earlier one.
    Usage(Usage),
    /// A choice is complete.
    Finish {
        /// Index of the alternative.
        choice: u32,
        /// Why.
        finish: Finish,
    },
    /// The tier the answer is served in.
    ServiceTier(String),
    /// Sign of life without content.
    Ping,
    /// The upstream reported an error in the stream.
    Fault(Fault),
    /// The upstream's end marker: the answer is whole.
    End,
}

/// What a part is, as far as it is known at its start.
#[derive(Clone, Debug, PartialEq)]
pub enum PartHead {
    /// Text; goes on with [`Delta::Text`] and [`Delta::Citation`].
    Text,
    /// Reasoning; goes on with [`Delta::Text`], then [`Delta::Signature`].
    Thinking {
        /// The vendor's id of the item.
        id: Option<String>,
    },
    /// A tool call; goes on with [`Delta::Signature`] where it has a token,
    /// which must come first, then [`Delta::Text`] of its arguments.
    ToolCall {
        /// Id that the result refers to.
        id: String,
        /// Name of the tool.
        name: String,
        /// Whether it is a custom (free-text) tool.
        custom: bool,
    },
    /// The model declines; goes on with [`Delta::Text`].
    Refusal,
    /// A part that comes whole: image, audio, redacted thinking, opaque item.
    Whole(Box<Part>),
}

/// What is added to a part.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// Text of a text, thinking or refusal part; arguments of a tool call.
    Text(String),
    /// The part's proof. For parts that are not thinking, a token to echo.
    Signature(Signature),
    /// A source of a text part.
    Citation(Box<Citation>),
}
