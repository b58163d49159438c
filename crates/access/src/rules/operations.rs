//! Which kinds of calls may be made.

use contract::Operation;
use schemars::JsonSchema;
use serde::Deserialize;

use super::patterns;
use crate::facts::Facts;
use crate::rule::{Finding, Kind, Rule, Streams, Wrong, schema_of, settings};

pub(super) static KIND: Kind = Kind {
    name: "operations",
    doc: "Kinds of calls that may be made, whatever API they come by: `chat`, `embeddings`, \
          `count_tokens`, `list_models`, `get_model`. Write those that may be made under `allow`, \
          or those that may not under `deny`. Many SDKs list models when they start, so an `allow` \
          without `list_models` may surprise them.",
    example: "{ allow: [chat, list_models, get_model] }",
    streams: Streams::Before,
    schema: schema_of::<OperationsSettings>,
    compile: |value| {
        patterns::no_empty_list(value)?;
        let settings: OperationsSettings = settings(value)?;
        settings.checked()
    },
};

/// Settings of the rule.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct OperationsSettings {
    /// Calls that may be made. Default: all.
    allow: Vec<OperationName>,
    /// Calls that may not be made.
    deny: Vec<OperationName>,
}

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OperationName {
    /// Generate an answer to a conversation.
    Chat,
    /// Count the input tokens of a conversation.
    CountTokens,
    /// Turn texts into vectors.
    Embeddings,
    /// List the models the caller may use.
    ListModels,
    /// Describe one model.
    GetModel,
}

impl OperationName {
    const ALL: [Self; 5] = [
        Self::Chat,
        Self::CountTokens,
        Self::Embeddings,
        Self::ListModels,
        Self::GetModel,
    ];

    fn of(operation: Operation) -> Self {
        match operation {
            Operation::Chat => Self::Chat,
            Operation::CountTokens => Self::CountTokens,
            Operation::Embed => Self::Embeddings,
            Operation::ListModels => Self::ListModels,
            Operation::GetModel => Self::GetModel,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Chat => Operation::Chat.name(),
            Self::CountTokens => Operation::CountTokens.name(),
            Self::Embeddings => Operation::Embed.name(),
            Self::ListModels => Operation::ListModels.name(),
            Self::GetModel => Operation::GetModel.name(),
        }
    }
}

impl OperationsSettings {
    fn checked(self) -> Result<Box<dyn Rule>, Wrong> {
        // A list of all of them restricts those that are yet to come.
        if self.allow.is_empty() && self.deny.is_empty() {
            return Err(Wrong::new(
                "",
                "this rule restricts nothing",
                "write operations under `allow` or `deny`",
            ));
        }
        if self.permitted().count() == 0 {
            return Err(Wrong::new(
                "",
                "this rule permits no call at all",
                "leave some operations out of `deny`",
            ));
        }
        Ok(Box::new(self))
    }

    fn permits(&self, operation: OperationName) -> bool {
        (self.allow.is_empty() || self.allow.contains(&operation))
            && !self.deny.contains(&operation)
    }

    fn permitted(&self) -> impl Iterator<Item = OperationName> {
        OperationName::ALL
            .into_iter()
            .filter(|operation| self.permits(*operation))
    }
}

impl Rule for OperationsSettings {
    fn looks_at_places(&self) -> bool {
        false
    }

    fn request(&self, facts: &Facts<'_>) -> Finding {
        if self.permits(OperationName::of(facts.operation)) {
            return Finding::Pass;
        }
        Finding::breach(
            "operation_not_allowed",
            format!(
                "Calls of the kind `{}` may not be made here. {}.",
                facts.operation.name(),
                sentence(&self.told()),
            ),
        )
    }

    fn told(&self) -> String {
        let names: Vec<&str> = self.permitted().map(OperationName::name).collect();
        format!("only {}", names.join(", "))
    }
}

fn sentence(told: &str) -> String {
    told.replacen("only", "Permitted are", 1)
}
