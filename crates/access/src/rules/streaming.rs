//! Whether answers may be streamed.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::facts::Facts;
use crate::rule::{Finding, Kind, Rule, Streams, Wrong, schema_of, settings};

pub(super) static KIND: Kind = Kind {
    name: "streaming",
    doc: "Refuses calls that ask for a stream: with `allowed: false`, callers must ask for whole \
          answers.",
    example: "{ allowed: false }",
    streams: Streams::Before,
    schema: schema_of::<StreamingSettings>,
    compile: |value| {
        let StreamingSettings { allowed } = settings(value)?;
        match allowed {
            false => Ok(Box::new(StreamingSettings { allowed })),
            true => Err(Wrong::new(
                "allowed",
                "this rule restricts nothing",
                "write `allowed: false`, or leave the rule out",
            )),
        }
    },
};

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StreamingSettings {
    /// Whether streams may be asked for; `false` makes the rule.
    allowed: bool,
}

impl Rule for StreamingSettings {
    fn looks_at_places(&self) -> bool {
        false
    }

    fn request(&self, facts: &Facts<'_>) -> Finding {
        match facts.stream && !self.allowed {
            true => Finding::breach_at(
                "streaming_not_allowed",
                "Streams may not be asked for here. Ask for the whole answer.",
                "stream",
            ),
            false => Finding::Pass,
        }
    }

    fn told(&self) -> String {
        "no streams".to_owned()
    }
}
