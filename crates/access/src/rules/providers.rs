//! Which providers a call may go to.

use contract::glob;
use schemars::JsonSchema;
use serde::Deserialize;

use super::patterns;
use crate::facts::{Facts, Place};
use crate::rule::{Finding, Kind, Rule, Streams, Wrong, schema_of, settings};

pub(super) static KIND: Kind = Kind {
    name: "providers",
    doc: "Providers that a call may go to. `allow` and `deny` are patterns (`*` is any text) for \
          the names of providers in this document; with `kind:` before it, a pattern is for the \
          kind of the provider. A provider must match one of `allow`, if there are any, and none \
          of `deny`. Others are passed over, and a call for which no provider is left is refused.",
    example: "{ allow: [\"eu-*\", \"kind:sandbox\"], deny: [\"eu-trial\"] }",
    streams: Streams::Before,
    schema: schema_of::<ProvidersSettings>,
    compile: |value| {
        patterns::no_empty_list(value)?;
        let settings: ProvidersSettings = settings(value)?;
        settings.checked()
    },
};

/// Settings of the rule.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ProvidersSettings {
    /// Patterns of which a provider must match one: names, or kinds after
    /// `kind:`. Default: all providers.
    allow: Vec<String>,
    /// Patterns of which a provider must match none.
    deny: Vec<String>,
}

impl ProvidersSettings {
    fn checked(self) -> Result<Box<dyn Rule>, Wrong> {
        patterns::check_both(&self.allow, &self.deny)?;
        Ok(Box::new(self))
    }
}

/// Whether a pattern of this or another rule is for this provider.
pub(super) fn matches(pattern: &str, place: &Place<'_>) -> bool {
    match pattern.strip_prefix("kind:") {
        Some(kind) => glob::matches(kind, place.kind),
        None => glob::matches(pattern, place.provider),
    }
}

impl Rule for ProvidersSettings {
    fn place(&self, _facts: &Facts<'_>, place: &Place<'_>) -> Finding {
        let hit = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, place));
        if (self.allow.is_empty() || hit(&self.allow)) && !hit(&self.deny) {
            return Finding::Pass;
        }
        Finding::breach(
            "provider_not_allowed",
            format!("The provider `{}` may not be used here.", place.provider),
        )
    }

    fn told(&self) -> String {
        patterns::told("providers", &self.allow, &self.deny)
    }
}
