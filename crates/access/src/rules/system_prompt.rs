//! Whether callers may bring instructions of their own.

use schemars::JsonSchema;
use serde::Deserialize;

use super::body::{self, Body};
use crate::facts::Facts;
use crate::rule::{Finding, Kind, Rule, Streams, Wrong, schema_of, settings};

pub(super) static KIND: Kind = Kind {
    name: "system_prompt",
    doc: "Locks the system prompt: with `locked: true`, a call that brings system or developer \
          instructions of its own is refused, in whatever field its API carries them.",
    example: "{ locked: true }",
    streams: Streams::Before,
    schema: schema_of::<SystemPromptSettings>,
    compile: |value| {
        let SystemPromptSettings { locked } = settings(value)?;
        match locked {
            true => Ok(Box::new(SystemPromptSettings { locked })),
            false => Err(Wrong::new(
                "locked",
                "this rule restricts nothing",
                "write `locked: true`, or leave the rule out",
            )),
        }
    },
};

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SystemPromptSettings {
    /// Whether callers may not bring instructions; `true` makes the rule.
    locked: bool,
}

impl Rule for SystemPromptSettings {
    fn looks_at_places(&self) -> bool {
        false
    }

    fn needs_content(&self) -> bool {
        true
    }

    fn request(&self, facts: &Facts<'_>) -> Finding {
        match body::of(facts) {
            Body::Unknown => body::unknown(),
            Body::Seen(content) if content.system && self.locked => Finding::breach(
                "system_prompt_locked",
                "System and developer instructions may not be brought here. Leave them out.",
            ),
            Body::None | Body::Seen(_) => Finding::Pass,
        }
    }

    fn told(&self) -> String {
        "no system or developer instructions of the caller".to_owned()
    }
}
