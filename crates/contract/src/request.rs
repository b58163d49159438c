//! A request in canonical form. Built only where a translation, a guard or a
//! local model needs it; same-dialect calls travel as the bytes they came in.

use crate::chat::Chat;
use crate::model::DialectId;
use crate::text::Extras;

/// What kind of call it is, whatever dialect it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Generate an answer to a conversation.
    Chat,
    /// Count the input tokens of a conversation.
    CountTokens,
    /// Turn texts into vectors.
    Embed,
    /// List the models the caller may use.
    ListModels,
    /// Describe one model.
    GetModel,
}

impl Operation {
    /// The name in records, metrics and policy.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::CountTokens => "count_tokens",
            Self::Embed => "embeddings",
            Self::ListModels => "list_models",
            Self::GetModel => "get_model",
        }
    }
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The dialect it was read from.
    pub dialect: DialectId,
    /// The model as the caller named it, or as the upstream knows it once a
    /// candidate was chosen.
    pub model: String,
    /// What is asked.
    pub task: Task,
    /// The answer should come as a stream.
    pub stream: bool,
    /// Fields of `dialect` that have no place in the canonical form.
    pub extras: Extras,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Generate.
    Chat(Box<Chat>),
    /// Count input tokens.
    CountTokens(Box<Chat>),
    /// Embed.
    Embed(Embed),
}

/// A request for embeddings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embed {
    /// What to embed, in order.
    pub inputs: Vec<EmbedInput>,
    /// Length of each vector, where the model can choose.
    pub dimensions: Option<u32>,
    /// The caller wants base64 of little-endian `f32` instead of numbers.
    pub base64: bool,
    /// What the vectors are for (`retrieval_query`, `clustering`, ..).
    pub purpose: Option<String>,
    /// Title of a document to embed.
    pub title: Option<String>,
    /// The vendor's id of the end user.
    pub user: Option<String>,
    /// The caller used a batch form and expects a list back, even for one.
    pub batch: bool,
}

/// One thing to embed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmbedInput {
    /// Text.
    Text(String),
    /// Token ids of the model's own vocabulary.
    Tokens(Vec<u32>),
}
