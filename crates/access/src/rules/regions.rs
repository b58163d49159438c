//! Which regions a call may go to.

use schemars::JsonSchema;
use serde::Deserialize;

use super::patterns;
use super::words::lower;
use crate::facts::{Facts, Place};
use crate::rule::{Finding, Kind, Rule, Streams, Wrong, schema_of, settings};

pub(super) static KIND: Kind = Kind {
    name: "regions",
    doc: "Regions that a call may go to, as they are written at the providers of this document. \
          `allow` and `deny` are patterns (`*` is any text, upper and lower case are the same). A \
          region must match one of `allow`, if there are any, and none of `deny`. A provider \
          without a region breaks this rule, because nobody can tell where it is: write its \
          `region`. Others are passed over, and a call for which no provider is left is refused.",
    example: "{ allow: [\"eu-*\"], deny: [\"eu-west-2\"] }",
    streams: Streams::Before,
    schema: schema_of::<RegionsSettings>,
    compile: |value| {
        patterns::no_empty_list(value)?;
        let settings: RegionsSettings = settings(value)?;
        settings.checked()
    },
};

/// Settings of the rule.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RegionsSettings {
    /// Patterns of which a region must match one. Default: all regions.
    allow: Vec<String>,
    /// Patterns of which a region must match none.
    deny: Vec<String>,
}

impl RegionsSettings {
    fn checked(mut self) -> Result<Box<dyn Rule>, Wrong> {
        patterns::check_both(&self.allow, &self.deny)?;
        patterns::lowered(&mut self.allow);
        patterns::lowered(&mut self.deny);
        Ok(Box::new(self))
    }
}

impl Rule for RegionsSettings {
    fn place(&self, _facts: &Facts<'_>, place: &Place<'_>) -> Finding {
        let Some(region) = place.region else {
            return Finding::breach(
                "region_unknown",
                format!(
                    "The region of the provider `{}` is not known.",
                    place.provider
                ),
            );
        };
        if patterns::permits(&self.allow, &self.deny, &lower(region)) {
            return Finding::Pass;
        }
        Finding::breach(
            "region_not_allowed",
            format!(
                "The region `{region}` of the provider `{}` may not be used here.",
                place.provider
            ),
        )
    }

    fn told(&self) -> String {
        patterns::told("regions", &self.allow, &self.deny)
    }
}
