//! What a caller must tell about a call.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{body, patterns, words};
use crate::facts::Facts;
use crate::metadata::Field;
use crate::rule::{Finding, Kind, Rule, Streams, Wrong, schema_of, settings};

pub(super) static KIND: Kind = Kind {
    name: "required_metadata",
    doc: "What a caller must tell about a call, such as `use_case` or `data_class`: as a header \
          (`tollgate-use-case`) or in the body's object `tollgate` (`use_case`). A call that \
          leaves one of `fields` out is refused, and told all that are missing. Listing and \
          describing models needs no metadata.",
    example: "{ fields: [use_case, data_class] }",
    streams: Streams::Before,
    schema: schema_of::<RequiredMetadataSettings>,
    compile: |value| {
        patterns::no_empty_list(value)?;
        let settings: RequiredMetadataSettings = settings(value)?;
        Ok(Box::new(settings.checked()?))
    },
};

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RequiredMetadataSettings {
    /// Fields that must be told, such as `use_case`.
    #[schemars(length(min = 1))]
    fields: Vec<String>,
}

/// The rule.
#[derive(Debug)]
struct Required {
    fields: Vec<Field>,
}

impl RequiredMetadataSettings {
    fn checked(self) -> Result<Required, Wrong> {
        let mut fields = Vec::with_capacity(self.fields.len());
        for (nth, name) in self.fields.iter().enumerate() {
            let at = format!("fields[{nth}]");
            let Some(field) = Field::named(name) else {
                let known = || Field::ALL.into_iter().map(Field::name);
                let all = format!("write one of {}", known().collect::<Vec<_>>().join(", "));
                return Err(Wrong::new(
                    at,
                    format!("there is no metadata of the name `{name}`"),
                    words::did_you_mean(name, known(), &all),
                ));
            };
            if fields.contains(&field) {
                return Err(Wrong::new(
                    at,
                    format!("`{name}` stands in this list twice"),
                    "leave one of them out",
                ));
            }
            fields.push(field);
        }
        Ok(Required { fields })
    }
}

/// The header that carries a field.
pub(super) fn header(field: Field) -> String {
    format!("tollgate-{}", field.name().replace('_', "-"))
}

impl Rule for Required {
    fn looks_at_places(&self) -> bool {
        false
    }

    fn request(&self, facts: &Facts<'_>) -> Finding {
        let untold = |field: &&Field| facts.metadata.get(**field).is_none();
        let mut missing = self.fields.iter().filter(untold);
        let Some(first) = missing.next() else {
            return Finding::Pass;
        };
        if !body::sends(facts.operation) {
            return Finding::Pass;
        }
        let mut headers = format!("`{}`", header(*first));
        for field in missing {
            headers.push_str(&format!(", `{}`", header(*field)));
        }
        Finding::breach_at(
            "metadata_required",
            format!("This call must tell more about itself. Add the headers: {headers}."),
            header(*first),
        )
    }

    fn told(&self) -> String {
        let names: Vec<&str> = self.fields.iter().map(|field| field.name()).collect();
        format!("only calls that tell {}", names.join(", "))
    }
}
