//! Models and what they can do. Facts live in a catalog of [`ModelCard`]s
//! that is handed in; nothing here knows a model by name.

use std::fmt;

/// The name of a wire format, such as the one of a chat-completions API.
/// The list of dialects lives in the `dialects` room.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialectId(pub &'static str);

impl DialectId {
    /// Whose tokens are those of a model inside the gateway. It has no wire
    /// format, so they are foreign to every client and every vendor.
    pub const LOCAL: Self = Self("local");
}

impl fmt::Debug for DialectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for DialectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What is known of one upstream model. Unknown facts are `None`, never a
/// guess; a writer that needs one says so in its fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCard {
    /// The name the vendor knows it by.
    pub name: String,
    /// Largest sum of input and output tokens.
    pub context_tokens: Option<u32>,
    /// Largest output, in tokens.
    pub output_tokens_max: Option<u32>,
    /// What requests to it may contain.
    pub capabilities: Capabilities,
}

/// What requests to a model may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// `temperature`, `top_p` and `top_k` are accepted.
    pub sampling: bool,
    /// How reasoning is asked for.
    pub reasoning: ReasoningStyle,
    /// A native JSON-schema output format exists.
    pub json_schema: bool,
    /// Images are accepted in the input.
    pub vision: bool,
    /// Audio is accepted in the input.
    pub audio: bool,
    /// Files (PDF and the like) are accepted in the input.
    pub files: bool,
    /// A `system` role is accepted in the middle of the conversation.
    pub system_in_place: bool,
}

impl Default for Capabilities {
    /// What an unknown model is assumed to take: everything, asked for in the
    /// newest style; the vendor's own refusal is then passed on.
    fn default() -> Self {
        Self {
            sampling: true,
            reasoning: ReasoningStyle::Effort,
            json_schema: true,
            vision: true,
            audio: true,
            files: true,
            system_in_place: false,
        }
    }
}

/// How a model is asked to reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningStyle {
    /// It cannot.
    None,
    /// By a token budget only (older models).
    Budget,
    /// By an effort word or an adaptive mode (newer models); budgets are
    /// also accepted where the dialect has them.
    Effort,
}

impl ModelCard {
    /// A card that knows only the name.
    pub fn unknown(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            context_tokens: None,
            output_tokens_max: None,
            capabilities: Capabilities::default(),
        }
    }
}
