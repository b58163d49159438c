//! How long the input of a call may be.

use contract::Operation;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::facts::Facts;
use crate::rule::{Finding, Kind, Rule, Streams, Wrong, schema_of, settings};

/// Most tokens that a byte of a body may stand for: the shortest part that
/// names an image has some forty bytes, and counts as a thousand tokens.
const TOKENS_PER_BYTE_MAX: u64 = 25;

pub(super) static KIND: Kind = Kind {
    name: "context_length",
    doc: "How long a call may be, in tokens. `tokens_max` is for the input; `total_tokens_max` is \
          for input and output together: a call that asks for more output than is left, or does \
          not say how much it wants, is held to what is left. The input is counted in the gateway, \
          by words, signs and digits, as an estimate: leave some room between a limit and what \
          callers need, because the vocabulary of a model may count a text as a third longer or \
          shorter.",
    example: "{ tokens_max: 32000, total_tokens_max: 40000 }",
    streams: Streams::Before,
    schema: schema_of::<ContextLengthSettings>,
    compile: |value| {
        let settings: ContextLengthSettings = settings(value)?;
        settings.checked()
    },
};

/// Settings of the rule.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ContextLengthSettings {
    /// Most input tokens.
    #[schemars(range(min = 1))]
    tokens_max: Option<u64>,
    /// Most input and output tokens together.
    #[schemars(range(min = 1))]
    total_tokens_max: Option<u64>,
}

impl ContextLengthSettings {
    fn checked(self) -> Result<Box<dyn Rule>, Wrong> {
        let nothing = |path, value| match value {
            Some(0) => Err(Wrong::new(
                path,
                "this permits no call at all",
                "write a number of tokens above 0",
            )),
            Some(_) | None => Ok(()),
        };
        nothing("tokens_max", self.tokens_max)?;
        nothing("total_tokens_max", self.total_tokens_max)?;
        match (self.tokens_max, self.total_tokens_max) {
            (None, None) => Err(Wrong::new(
                "",
                "this rule restricts nothing",
                "write `tokens_max`, `total_tokens_max` or both",
            )),
            (Some(input), Some(total)) if input >= total => Err(Wrong::new(
                "tokens_max",
                format!("{input} input tokens leave no room for output within {total} in total"),
                "write a `tokens_max` below `total_tokens_max`, or leave it out",
            )),
            (Some(_), None) | (None, Some(_)) | (Some(_), Some(_)) => Ok(Box::new(self)),
        }
    }

    fn total(&self, facts: &Facts<'_>) -> Finding {
        let Some(total) = self.total_tokens_max else {
            return Finding::Pass;
        };
        let left = total.saturating_sub(facts.input_tokens);
        match facts.operation {
            Operation::Chat if left == 0 => too_long(facts, total.saturating_sub(1)),
            Operation::Chat => match facts.output_tokens_max {
                Some(asked) if asked <= left => Finding::Pass,
                Some(_) | None => Finding::CapOutput(left),
            },
            Operation::CountTokens | Operation::Embed if facts.input_tokens > total => {
                too_long(facts, total)
            }
            Operation::CountTokens
            | Operation::Embed
            | Operation::ListModels
            | Operation::GetModel => Finding::Pass,
        }
    }
}

impl Rule for ContextLengthSettings {
    fn counts_tokens_above(&self) -> Option<u64> {
        match (self.tokens_max, self.total_tokens_max) {
            // What is left for the output hangs on each token.
            (_, Some(_)) => Some(0),
            (most, None) => most.map(|most| most / TOKENS_PER_BYTE_MAX),
        }
    }

    fn looks_at_places(&self) -> bool {
        false
    }

    fn request(&self, facts: &Facts<'_>) -> Finding {
        match self.tokens_max {
            Some(most) if facts.input_tokens > most => too_long(facts, most),
            Some(_) | None => self.total(facts),
        }
    }

    fn told(&self) -> String {
        let input = self
            .tokens_max
            .map(|it| format!("at most {it} input tokens"));
        let total = self
            .total_tokens_max
            .map(|it| format!("at most {it} tokens of input and output together"));
        let told: Vec<String> = input.into_iter().chain(total).collect();
        told.join(", ")
    }
}

fn too_long(facts: &Facts<'_>, most: u64) -> Finding {
    Finding::breach(
        "context_too_long",
        format!(
            "The input is up to {} tokens long, and {most} are permitted here. Shorten it.",
            facts.input_tokens
        ),
    )
}
