//! How long an answer may be.

use contract::Operation;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::facts::Facts;
use crate::rule::{Finding, Kind, Rule, Streams, Wrong, schema_of, settings};

pub(super) static KIND: Kind = Kind {
    name: "output_length",
    doc: "How long an answer may be: at most `tokens_max` output tokens. A call that does not say \
          how much it wants is held to that. A call that asks for more is held to it too (`over: \
          cap`, the default), or refused (`over: deny`).",
    example: "{ tokens_max: 4096, over: cap }",
    streams: Streams::Before,
    schema: schema_of::<OutputLengthSettings>,
    compile: |value| {
        let settings: OutputLengthSettings = settings(value)?;
        match settings.tokens_max {
            0 => Err(Wrong::new(
                "tokens_max",
                "no answer has 0 tokens",
                "write a number of tokens above 0",
            )),
            _ => Ok(Box::new(settings)),
        }
    },
};

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OutputLengthSettings {
    /// Most output tokens.
    #[schemars(range(min = 1))]
    tokens_max: u64,
    /// What becomes of a call that asks for more.
    #[serde(default)]
    over: Over,
}

/// What becomes of a call that asks for more.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Over {
    /// It is held to the most that is permitted.
    #[default]
    Cap,
    /// It is refused.
    Deny,
}

impl Rule for OutputLengthSettings {
    fn looks_at_places(&self) -> bool {
        false
    }

    fn request(&self, facts: &Facts<'_>) -> Finding {
        if facts.operation != Operation::Chat {
            return Finding::Pass;
        }
        match (facts.output_tokens_max, self.over) {
            (Some(asked), _) if asked <= self.tokens_max => Finding::Pass,
            (Some(asked), Over::Deny) => Finding::breach(
                "output_too_long",
                format!(
                    "The call asks for up to {asked} output tokens, and {} are permitted here.",
                    self.tokens_max
                ),
            ),
            (Some(_), Over::Cap) | (None, _) => Finding::CapOutput(self.tokens_max),
        }
    }

    fn told(&self) -> String {
        let over = match self.over {
            Over::Cap => "answers are cut there",
            Over::Deny => "calls that ask for more are refused",
        };
        format!("at most {} output tokens; {over}", self.tokens_max)
    }
}
