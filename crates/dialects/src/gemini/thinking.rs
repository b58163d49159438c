//! How a model of this vendor is asked to reason: a level for newer models, a
//! budget for older ones, never both.

use contract::chat::{Chat, Effort, Reasoning, ReasoningMode};
use contract::model::ReasoningStyle;
use contract::text::Extras;
use contract::{Fault, ModelCard};

use super::names;
use crate::json::{Json, ObjectWriter};
use crate::loss::Losses;

/// The budget that leaves the choice to the model.
const AUTOMATIC: i64 = -1;
/// Where the configuration stands in a request.
const AT: &str = "generationConfig.thinkingConfig";

/// Where a body says how many tokens the model may think for, if it does.
pub(super) fn budget(body: Json<'_>) -> Option<(Json<'_>, u64)> {
    let field = |object, name| names::field(object, name).ok().flatten();
    let config = field(body, "generationConfig")?;
    let budget = field(field(config, "thinkingConfig")?, "thinkingBudget")?;
    let tokens = u64::try_from(names::whole(budget)?).ok()?;
    Some((budget, tokens))
}

/// Reads a `thinkingConfig`.
pub(super) fn read(config: Json<'_>, extras: &mut Extras) -> Result<Reasoning, Fault> {
    let mut reasoning = Reasoning::default();
    let level = names::field(config, "thinkingLevel")?;
    if let Some(budget) = names::field(config, "thinkingBudget")? {
        if level.is_some() {
            return Err(config.fault(
                "`thinkingBudget` and `thinkingLevel` exclude each other; send one of them",
            ));
        }
        match names::whole(budget) {
            Some(AUTOMATIC) => reasoning.mode = Some(ReasoningMode::Adaptive),
            Some(0) => reasoning.mode = Some(ReasoningMode::Disabled),
            Some(tokens) => {
                let tokens = u32::try_from(tokens);
                reasoning.mode = Some(ReasoningMode::Enabled);
                reasoning.budget_tokens = Some(tokens.map_err(|_| {
                    budget.expected("-1 (the model decides), 0 (off) or a number of tokens")
                })?);
            }
            None => return Err(budget.expected("a whole number of tokens")),
        }
    }
    if let Some(level) = level {
        reasoning.effort = match level.as_str()?.to_ascii_uppercase().as_str() {
            "THINKING_LEVEL_UNSPECIFIED" => None,
            "MINIMAL" => Some(Effort::Minimal),
            "LOW" => Some(Effort::Low),
            "MEDIUM" => Some(Effort::Medium),
            "HIGH" => Some(Effort::High),
            "XHIGH" => Some(Effort::XHigh),
            _ => {
                return Err(level
                    .fault("a thinking level is `MINIMAL`, `LOW`, `MEDIUM`, `HIGH` or `XHIGH`"));
            }
        };
    }
    let shown = names::opt_bool(config, "includeThoughts")?;
    reasoning.summary = shown.map(|shown| if shown { "auto" } else { "none" }.to_owned());
    names::keep(
        config,
        AT,
        &["thinkingBudget", "thinkingLevel", "includeThoughts"],
        extras,
    );
    Ok(reasoning)
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    level: Option<&'static str>,
    budget: Option<i64>,
    shown: Option<bool>,
}

impl Plan {
    /// Whether there is anything to write.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Writes the members of a `thinkingConfig`.
    pub(super) fn write(&self, out: &mut ObjectWriter<'_>) {
        out.opt_str("thinkingLevel", self.level);
        out.opt_int("thinkingBudget", self.budget);
        out.opt_bool("includeThoughts", self.shown);
    }
}

/// The plan for a request in this vendor's own dialect: as it came.
pub(super) fn as_asked(chat: &Chat) -> Plan {
    let Some(asked) = &chat.reasoning else {
        return Plan::default();
    };
    let budget = match (asked.budget_tokens, asked.mode) {
        (_, Some(ReasoningMode::Disabled)) => Some(0),
        (Some(tokens), _) => Some(i64::from(tokens)),
        (None, Some(ReasoningMode::Adaptive)) => Some(AUTOMATIC),
        (None, Some(ReasoningMode::Enabled) | None) => None,
    };
    Plan {
        level: asked.effort.map(own_level),
        budget,
        shown: asked.summary.as_deref().map(|word| word != "none"),
    }
}

fn own_level(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal => "MINIMAL",
        Effort::Low => "LOW",
        Effort::Medium => "MEDIUM",
        Effort::High => "HIGH",
        Effort::XHigh | Effort::Max => "XHIGH",
    }
}

/// The level that every model with levels takes and that is nearest.
fn level(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "LOW",
        Effort::Medium => "MEDIUM",
        Effort::High | Effort::XHigh | Effort::Max => "HIGH",
    }
}

/// The plan for a request of another dialect.
pub(super) fn translated(chat: &Chat, card: &ModelCard, losses: &mut Losses) -> Plan {
    let Some(asked) = chat.reasoning.as_ref() else {
        return Plan::default();
    };
    let off = asked.mode == Some(ReasoningMode::Disabled) || asked.effort == Some(Effort::None);
    let mut plan = match (card.capabilities.reasoning, off) {
        (ReasoningStyle::None, true) => return Plan::default(),
        (ReasoningStyle::None, false) => {
            if says_something(asked) {
                losses.declare("reasoning", "the model cannot reason");
            }
            return Plan::default();
        }
        (ReasoningStyle::Budget | ReasoningStyle::Effort, true) => {
            return Plan {
                budget: Some(0),
                ..Plan::default()
            };
        }
        (ReasoningStyle::Budget, false) => by_budget(asked, chat, losses),
        (ReasoningStyle::Effort, false) => by_level(asked, losses),
    };
    if matches!(asked.summary.as_deref(), Some("concise" | "detailed")) {
        losses.declare("reasoning.summary", "summaries have one length here");
    }
    if says_something(asked) || asked.summary.is_some() {
        plan.shown = Some(asked.summary.as_deref() != Some("none"));
    }
    plan
}

fn says_something(asked: &Reasoning) -> bool {
    asked.mode.is_some() || asked.effort.is_some() || asked.budget_tokens.is_some()
}

fn by_level(asked: &Reasoning, losses: &mut Losses) -> Plan {
    match (asked.effort, asked.budget_tokens) {
        (Some(effort), budget) => {
            if budget.is_some() {
                losses.declare(
                    "thinking.budget_tokens",
                    "a level and a budget exclude each other; the effort became the level",
                );
            }
            if matches!(effort, Effort::Minimal | Effort::XHigh | Effort::Max) {
                losses.declare("reasoning", "the effort became the nearest level");
            }
            Plan {
                level: Some(level(effort)),
                ..Plan::default()
            }
        }
        // Models with levels still take a budget.
        (None, Some(tokens)) => Plan {
            budget: Some(i64::from(tokens)),
            ..Plan::default()
        },
        (None, None) => Plan {
            budget: asked.mode.map(|_| AUTOMATIC),
            ..Plan::default()
        },
    }
}

fn by_budget(asked: &Reasoning, chat: &Chat, losses: &mut Losses) -> Plan {
    let wanted = asked
        .budget_tokens
        .or_else(|| asked.effort.map(Effort::budget_tokens));
    let Some(wanted) = wanted else {
        return Plan {
            budget: asked.mode.map(|_| AUTOMATIC),
            ..Plan::default()
        };
    };
    // The cap on the output counts thoughts, so a budget that reaches it
    // would leave nothing for the answer.
    let largest = chat
        .output_tokens_max
        .map_or(u32::MAX, |cap| cap.saturating_sub(1));
    if wanted > largest {
        losses.declare("reasoning", "the budget was kept below the output cap");
    }
    Plan {
        budget: Some(i64::from(wanted.min(largest))),
        ..Plan::default()
    }
}
