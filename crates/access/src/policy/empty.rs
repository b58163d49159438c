//! Why a policy leaves no model: which rules exclude each other.

use super::{Chain, Named};
use crate::mode::Mode;

/// Most rules that are named where no two of them explain it.
const RULES_TOLD_MAX: usize = 5;

/// Why none of `models` may be used, in a sentence; `None` if one may, or if
/// there are no models at all.
pub fn empty_because(chain: &Chain, models: &[&str]) -> Option<String> {
    if models.is_empty() || models.iter().any(|model| chain.shows_model(model)) {
        return None;
    }
    let rules: Vec<Restricting<'_>> = chain
        .rules()
        .filter(|(_, named)| named.mode == Mode::Enforce)
        .filter(|(_, named)| models.iter().any(|model| !named.rule.shows_model(model)))
        .map(|(layer, named)| Restricting { layer, named })
        .collect();
    let all = match models {
        [one] => format!("the one model `{one}`"),
        many => format!("all {} models", many.len()),
    };
    let none = |held: &dyn Fn(&str) -> bool| !models.iter().any(|model| held(model));
    if let Some(rule) = rules.iter().find(|rule| none(&|model| rule.permits(model))) {
        return Some(format!("{} excludes {all}", rule.told()));
    }
    for (nth, one) in rules.iter().enumerate() {
        let clash = rules[nth + 1..]
            .iter()
            .find(|other| none(&|model| one.permits(model) && other.permits(model)));
        if let Some(other) = clash {
            return Some(format!(
                "{} and {} have no model in common, so together they exclude {all}",
                one.told(),
                other.told()
            ));
        }
    }
    let mut told: Vec<String> = rules.iter().map(Restricting::told).collect();
    if told.len() > RULES_TOLD_MAX {
        let more = told.len() - RULES_TOLD_MAX;
        told.truncate(RULES_TOLD_MAX);
        told.push(format!("{more} more"));
    }
    Some(format!(
        "{} exclude {all} together, though no two of them do",
        told.join(", ")
    ))
}

/// A rule that excludes some of the models.
struct Restricting<'a> {
    layer: &'a str,
    named: &'a Named,
}

impl Restricting<'_> {
    fn permits(&self, model: &str) -> bool {
        self.named.rule.shows_model(model)
    }

    fn told(&self) -> String {
        format!(
            "rule `{}` of {} ({})",
            self.named.name,
            self.layer,
            self.named.rule.told()
        )
    }
}
