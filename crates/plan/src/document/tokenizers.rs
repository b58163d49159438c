//! Vocabularies of models, by which their tokens are counted.

use meter::vocabulary::Split;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A vocabulary, and the models that have it. Where no usage is told, and near
/// a limit, their tokens are counted by it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenizerEntry {
    /// Patterns of models, by their names at the provider. The first entry
    /// that matches holds.
    pub models: Vec<String>,
    /// The file of tokens: each line is a token in base64 and its rank.
    pub file: String,
    /// What kind of file it is. Default: `tiktoken`.
    #[serde(default)]
    pub kind: TokenizerKind,
    /// How a text is cut before tokens are looked up: as it was published with
    /// the vocabulary of this name.
    pub split: SplitName,
}

/// What kind of file a vocabulary is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenizerKind {
    /// Lines of tokens in base64 with their ranks.
    #[default]
    Tiktoken,
}

/// How a text is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SplitName {
    /// As `cl100k_base` does.
    Cl100kBase,
    /// As `o200k_base` does.
    O200kBase,
}

impl From<SplitName> for Split {
    fn from(name: SplitName) -> Self {
        match name {
            SplitName::Cl100kBase => Self::Cl100kBase,
            SplitName::O200kBase => Self::O200kBase,
        }
    }
}
