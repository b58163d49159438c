//! Which models may be asked for, by the name that callers use, and of which
//! families the models behind those names may be.

use schemars::JsonSchema;
use serde::Deserialize;

use super::patterns;
use super::words::{lower, shown};
use crate::facts::{Facts, Place};
use crate::metadata::Field;
use crate::rule::{Finding, Kind, Rule, Streams, Wrong, schema_of, settings};

pub(super) static KIND: Kind = Kind {
    name: "models",
    doc: "Models that may be asked for, by the name that callers use. `allow` and `deny` are \
          patterns (`*` is any text). A name must match one of `allow`, if there are any, and none \
          of `deny`. A model that is denied is not listed either, and `deny` also holds for the \
          name that the provider knows, so that no alias gets around it. `families` are patterns for the \
          family of the model that is called in the end, whatever name the caller used: the \
          letters that its provider's name for it begins with, after the last `/` and after \
          prefixes such as `eu.vendor.` (`gpt` of `vendor/gpt-5`, `llama` of \
          `eu.vendor.llama3-1`). Candidates of other families are left out, and so is a call whose \
          `tollgate-family` names another one. Families do not shorten the list of models.",
    example: "{ allow: [\"gpt-*\", \"llama*\"], deny: [\"*-preview\"], families: [gpt, llama] }",
    streams: Streams::Before,
    schema: schema_of::<ModelsSettings>,
    compile: |value| {
        patterns::no_empty_list(value)?;
        let settings: ModelsSettings = settings(value)?;
        settings.checked()
    },
};

/// Settings of the rule.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ModelsSettings {
    /// Patterns of which a name must match one. Default: all names.
    allow: Vec<String>,
    /// Patterns of which a name must match none.
    deny: Vec<String>,
    /// Patterns of which the family must match one. Default: all families.
    families: Vec<String>,
}

impl ModelsSettings {
    fn checked(mut self) -> Result<Box<dyn Rule>, Wrong> {
        patterns::check("families", &self.families)?;
        match self.families.is_empty() {
            true => patterns::check_both(&self.allow, &self.deny)?,
            false => {
                patterns::check("allow", &self.allow)?;
                patterns::check("deny", &self.deny)?;
                patterns::check_alive(&self.allow, &self.deny)?;
            }
        }
        patterns::lowered(&mut self.families);
        Ok(Box::new(self))
    }

    fn permits(&self, name: &str) -> bool {
        patterns::permits(&self.allow, &self.deny, name)
    }

    fn of_family(&self, family: &str) -> bool {
        self.families.is_empty() || patterns::any(&self.families, &lower(family))
    }
}

impl Rule for ModelsSettings {
    fn request(&self, facts: &Facts<'_>) -> Finding {
        if !facts.model.is_empty() && !self.permits(facts.model) {
            return Finding::breach_at(
                "model_not_allowed",
                format!("The model `{}` may not be used here.", shown(facts.model)),
                "model",
            );
        }
        match facts.metadata.get(Field::Family) {
            Some(family) if !self.of_family(family) => Finding::breach_at(
                "family_not_allowed",
                format!(
                    "Models of the family `{}` may not be used here, only {}.",
                    shown(family),
                    self.families.join(", ")
                ),
                "tollgate-family",
            ),
            Some(_) | None => Finding::Pass,
        }
    }

    fn place(&self, _facts: &Facts<'_>, place: &Place<'_>) -> Finding {
        // A name that is denied is denied under every other name as well:
        // as `provider/model`, and behind an alias.
        if patterns::any(&self.deny, place.model) {
            return Finding::breach_at(
                "model_not_allowed",
                format!("The model `{}` may not be used here.", shown(place.model)),
                "model",
            );
        }
        // Most rules name no family: then it need not be found out.
        if self.families.is_empty() || self.of_family(family(place.model)) {
            return Finding::Pass;
        }
        Finding::breach(
            "family_not_allowed",
            format!(
                "The model `{}` is not of the family {}.",
                place.model,
                self.families.join(" or ")
            ),
        )
    }

    fn shows_model(&self, model: &str) -> bool {
        self.permits(model)
    }

    fn told(&self) -> String {
        let mut told = patterns::told("models", &self.allow, &self.deny);
        if !self.families.is_empty() {
            told.push_str(", of the families ");
            told.push_str(&self.families.join(", "));
        }
        told
    }
}

/// The family that a provider's name for a model tells: the letters it begins
/// with, after the last `/` and after dotted prefixes that are letters only.
fn family(model: &str) -> &str {
    let name = model.rsplit('/').next().unwrap_or(model);
    let letters = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let mut rest = name;
    while let Some((first, after)) = rest.split_once('.') {
        if !letters(first) {
            break;
        }
        rest = after;
    }
    let end = rest
        .bytes()
        .position(|byte| !byte.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    &rest[..end]
}
