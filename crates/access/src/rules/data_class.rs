//! Where data of a class may go.

use std::collections::BTreeMap;

use contract::glob;
use schemars::JsonSchema;
use serde::Deserialize;

use super::words::{lower, shown};
use super::{body, patterns, providers};
use crate::facts::{Facts, Place};
use crate::metadata::Field;
use crate::rule::{Finding, Kind, Rule, Streams, Wrong, schema_of, settings};

pub(super) static KIND: Kind = Kind {
    name: "data_class",
    doc: "Where a call may go, by the class of its data (`tollgate-data-class`). Under `classes`, \
          each class names the `providers` (patterns of names, or of kinds after `kind:`), \
          `regions` and `models` (as the provider names them) that it may go to; a list that is \
          left out stands for all, and a provider without a region is in no region. A class that \
          is not there is refused, or goes anywhere with `others: allow`. A call that tells no \
          class is refused (`missing: deny`, the default), goes anywhere (`missing: allow`), or is \
          held to the class that `missing` names. Upper and lower case are the same in classes and \
          regions.",
    example: "{ classes: { public: {}, confidential: { providers: [\"eu-*\", \"kind:sandbox\"], \
              regions: [\"eu-*\"] } }, missing: confidential }",
    streams: Streams::Before,
    schema: schema_of::<DataClassSettings>,
    compile: |value| {
        let settings: DataClassSettings = settings(value)?;
        let classes = value.get("classes").and_then(|it| it.as_object());
        for (name, class) in classes.into_iter().flatten() {
            patterns::no_empty_list(class).map_err(|wrong| inside(name, wrong))?;
        }
        Ok(Box::new(settings.checked()?))
    },
};

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DataClassSettings {
    /// Classes, and where their data may go.
    classes: BTreeMap<String, WhereSettings>,
    /// What becomes of a class that is not under `classes`.
    #[serde(default)]
    others: Others,
    /// What becomes of a call that tells no class: `deny` (the default),
    /// `allow`, or the name of a class that it is held to.
    #[serde(default = "deny")]
    missing: String,
}

/// Where data may go.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct WhereSettings {
    /// Patterns for the names of providers, or for their kinds after `kind:`.
    /// Default: all providers.
    providers: Vec<String>,
    /// Patterns for regions. Default: all regions, and providers without one.
    regions: Vec<String>,
    /// Patterns for models, as the provider names them. Default: all models.
    models: Vec<String>,
}

/// What becomes of a class that is not listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Others {
    /// It is refused.
    #[default]
    Deny,
    /// It may go anywhere.
    Allow,
}

fn deny() -> String {
    "deny".to_owned()
}

fn inside(class: &str, wrong: Wrong) -> Wrong {
    let path = match wrong.path.as_str() {
        "" => format!("classes.{class}"),
        path => format!("classes.{class}.{path}"),
    };
    Wrong { path, ..wrong }
}

/// The rule.
#[derive(Debug)]
struct DataClass {
    classes: BTreeMap<String, WhereSettings>,
    others: Others,
    missing: Missing,
}

/// What becomes of a call that tells no class.
#[derive(Debug, PartialEq, Eq)]
enum Missing {
    Deny,
    Allow,
    Class(String),
}

impl DataClassSettings {
    fn checked(self) -> Result<DataClass, Wrong> {
        let mut classes = BTreeMap::new();
        for (name, mut class) in self.classes {
            class.check().map_err(|wrong| inside(&name, wrong))?;
            let key = name.to_ascii_lowercase();
            if key.is_empty() || key == "deny" || key == "allow" {
                return Err(Wrong::new(
                    "classes",
                    format!("`{name}` cannot be the name of a class"),
                    "give the class another name",
                ));
            }
            if classes.insert(key, class).is_some() {
                return Err(Wrong::new(
                    "classes",
                    format!("the class `{name}` is there twice, in upper and lower case"),
                    "leave one of them out",
                ));
            }
        }
        let missing = match self.missing.to_ascii_lowercase() {
            word if word == "deny" => Missing::Deny,
            word if word == "allow" => Missing::Allow,
            class if classes.contains_key(&class) => Missing::Class(class),
            unknown => {
                return Err(Wrong::new(
                    "missing",
                    format!("`{unknown}` is not one of the classes of this rule"),
                    "write `deny`, `allow`, or a class that stands under `classes`",
                ));
            }
        };
        let anywhere = |class: &str| classes.get(class).is_some_and(WhereSettings::is_anywhere);
        let missing_goes_anywhere = match &missing {
            Missing::Deny => false,
            Missing::Allow => true,
            Missing::Class(class) => anywhere(class),
        };
        let open = self.others == Others::Allow && missing_goes_anywhere;
        if open && classes.values().all(WhereSettings::is_anywhere) {
            return Err(Wrong::new(
                "",
                "this rule restricts nothing",
                "say under `classes` where a class may go, or write `others: deny`",
            ));
        }
        Ok(DataClass {
            classes,
            others: self.others,
            missing,
        })
    }
}

impl WhereSettings {
    fn check(&mut self) -> Result<(), Wrong> {
        patterns::check("providers", &self.providers)?;
        patterns::check("regions", &self.regions)?;
        patterns::check("models", &self.models)?;
        patterns::lowered(&mut self.regions);
        Ok(())
    }

    fn is_anywhere(&self) -> bool {
        self.providers.is_empty() && self.regions.is_empty() && self.models.is_empty()
    }

    /// What of a place is not permitted.
    fn lacks(&self, place: &Place<'_>) -> Option<&'static str> {
        let provider = |pattern: &String| providers::matches(pattern, place);
        if !self.providers.is_empty() && !self.providers.iter().any(provider) {
            return Some("provider");
        }
        let region = |region| patterns::any(&self.regions, &lower(region));
        if !self.regions.is_empty() && !place.region.is_some_and(region) {
            return Some("region");
        }
        let model = |pattern: &String| glob::matches(pattern, place.model);
        (!self.models.is_empty() && !self.models.iter().any(model)).then_some("model")
    }

    fn told(&self) -> String {
        let list = |what, patterns: &[String]| match patterns {
            [] => None,
            patterns => Some(format!("{what} {}", patterns.join(", "))),
        };
        let lists = [
            list("providers", &self.providers),
            list("regions", &self.regions),
            list("models", &self.models),
        ];
        let told: Vec<String> = lists.into_iter().flatten().collect();
        match told.is_empty() {
            true => "anywhere".to_owned(),
            false => format!("to {}", told.join(" and ")),
        }
    }
}

/// What is known of the class of a call.
enum Class<'a> {
    /// It may go to these places.
    To(&'a WhereSettings),
    Anywhere,
    Unlisted(&'a str),
    Untold,
}

impl DataClass {
    fn class<'a>(&'a self, facts: &Facts<'a>) -> Class<'a> {
        match (facts.metadata.get(Field::DataClass), &self.missing) {
            (Some(told), _) => match (self.classes.get(&*lower(told)), self.others) {
                (Some(places), _) => Class::To(places),
                (None, Others::Allow) => Class::Anywhere,
                (None, Others::Deny) => Class::Unlisted(told),
            },
            (None, Missing::Class(class)) => match self.classes.get(class) {
                Some(places) => Class::To(places),
                None => Class::Untold,
            },
            (None, Missing::Allow) => Class::Anywhere,
            (None, Missing::Deny) => Class::Untold,
        }
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.classes.keys().map(String::as_str).collect();
        names.join(", ")
    }
}

impl Rule for DataClass {
    fn request(&self, facts: &Facts<'_>) -> Finding {
        if !body::sends(facts.operation) {
            return Finding::Pass;
        }
        match self.class(facts) {
            Class::To(_) | Class::Anywhere => Finding::Pass,
            Class::Unlisted(class) => Finding::breach_at(
                "data_class_not_allowed",
                format!(
                    "Data of the class `{}` may not be sent here. Permitted: {}.",
                    shown(class),
                    self.names()
                ),
                "tollgate-data-class",
            ),
            Class::Untold => Finding::breach_at(
                "data_class_required",
                format!(
                    "This call must tell the class of its data. Add the header \
                     `tollgate-data-class`, one of: {}.",
                    self.names()
                ),
                "tollgate-data-class",
            ),
        }
    }

    fn place(&self, facts: &Facts<'_>, place: &Place<'_>) -> Finding {
        // Calls without a class that is permitted were found out before they
        // had a place to go to.
        let lacks = match self.class(facts) {
            Class::To(places) => places.lacks(place),
            Class::Anywhere | Class::Unlisted(_) | Class::Untold => None,
        };
        match lacks {
            None => Finding::Pass,
            Some(what) => Finding::breach(
                "data_class_place",
                format!(
                    "Data of this class may not go to the provider `{}`, because of its {what}.",
                    place.provider
                ),
            ),
        }
    }

    fn told(&self) -> String {
        let mut told: Vec<String> = self
            .classes
            .iter()
            .map(|(name, class)| format!("{name} {}", class.told()))
            .collect();
        told.push(match self.others {
            Others::Deny => "other classes nowhere".to_owned(),
            Others::Allow => "other classes anywhere".to_owned(),
        });
        told.push(match &self.missing {
            Missing::Deny => "calls without a class nowhere".to_owned(),
            Missing::Allow => "calls without a class anywhere".to_owned(),
            Missing::Class(class) => format!("calls without a class as {class}"),
        });
        told.join("; ")
    }
}
