//! Which models may be asked for, by the name that callers use.

use contract::glob;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::facts::Facts;
use crate::rule::{Finding, Kind, Rule, Streams, Wrong, schema_of, settings};

pub(super) static KIND: Kind = Kind {
    name: "models",
    doc: "Models that may be asked for, by the name that callers use. `allow` and `deny` are \
          patterns (`*` is any text). A name must match one of `allow`, if there are any, and none \
          of `deny`. A model that is denied is not listed either.",
    example: "{ allow: [\"gpt-*\", \"claude-*\"], deny: [\"*-preview\"] }",
    streams: Streams::Before,
    schema: schema_of::<Settings>,
    compile: |value| {
        let settings: Settings = settings(value)?;
        settings.checked()
    },
};

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Settings {
    /// Patterns of which a name must match one. Default: all names.
    allow: Vec<String>,
    /// Patterns of which a name must match none.
    deny: Vec<String>,
}

impl Settings {
    fn checked(self) -> Result<Box<dyn Rule>, Wrong> {
        if self.allow.is_empty() && self.deny.is_empty() {
            return Err(Wrong::new(
                "",
                "this rule restricts nothing",
                "write patterns under `allow` or `deny`",
            ));
        }
        Ok(Box::new(self))
    }

    fn permits(&self, name: &str) -> bool {
        let matches = |pattern: &String| glob::matches(pattern, name);
        (self.allow.is_empty() || self.allow.iter().any(matches)) && !self.deny.iter().any(matches)
    }
}

impl Rule for Settings {
    fn request(&self, facts: &Facts<'_>) -> Finding {
        if facts.model.is_empty() || self.permits(facts.model) {
            return Finding::Pass;
        }
        Finding::breach_at(
            "model_not_allowed",
            format!("The model `{}` may not be used here.", facts.model),
            "model",
        )
    }

    fn shows_model(&self, model: &str) -> bool {
        self.permits(model)
    }

    fn told(&self) -> String {
        let mut told = match self.allow.is_empty() {
            true => "all models".to_owned(),
            false => format!("models {}", self.allow.join(", ")),
        };
        if !self.deny.is_empty() {
            told.push_str(&format!(", but not {}", self.deny.join(", ")));
        }
        told
    }
}
