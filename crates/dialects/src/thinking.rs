//! How models that take `thinking` (adaptive, a budget, off) and an effort
//! word are asked to reason, whatever the caller's words for it were. Shared
//! by the dialects that serve these models.

use contract::chat::{Chat, Effort, PartKind, Reasoning, ReasoningMode, Role, ToolChoice};
use contract::model::ReasoningStyle;
use contract::{DialectId, ModelCard};

use crate::json::ObjectWriter;
use crate::loss::Losses;

/// Smallest thinking budget these models take, in tokens.
const BUDGET_TOKENS_MIN: u32 = 1_024;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) mode: Option<Mode>,
    pub(crate) display: Option<&'static str>,
    pub(crate) effort: Option<Effort>,
}

/// The `type` of a thinking configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Adaptive,
    Enabled { budget_tokens: u32 },
    Disabled,
}

impl Plan {
    /// Whether the model will think.
    pub(crate) fn thinks(&self) -> bool {
        match self.mode {
            Some(Mode::Adaptive | Mode::Enabled { .. }) => true,
            Some(Mode::Disabled) | None => false,
        }
    }

    /// Writes the thinking configuration.
    pub(crate) fn write_thinking(&self, mode: Mode, out: &mut ObjectWriter<'_>) {
        match mode {
            Mode::Adaptive => out.str("type", "adaptive"),
            Mode::Disabled => out.str("type", "disabled"),
            Mode::Enabled { budget_tokens } => {
                out.str("type", "enabled");
                out.int("budget_tokens", budget_tokens);
            }
        }
        if mode != Mode::Disabled {
            out.opt_str("display", self.display);
        }
    }
}

/// The plan for a request that is written in its own dialect: as it came.
pub(crate) fn as_asked(chat: &Chat) -> Plan {
    let Some(asked) = &chat.reasoning else {
        return Plan::default();
    };
    let mode = asked.mode.map(|mode| match mode {
        ReasoningMode::Adaptive => Mode::Adaptive,
        ReasoningMode::Disabled => Mode::Disabled,
        ReasoningMode::Enabled => Mode::Enabled {
            budget_tokens: asked.budget_tokens.unwrap_or(BUDGET_TOKENS_MIN),
        },
    });
    Plan {
        mode,
        display: display(asked.summary.as_deref()),
        effort: asked.effort,
    }
}

/// The plan for a request of another dialect than `into`.
pub(crate) fn translated(
    chat: &Chat,
    card: &ModelCard,
    output_tokens_max: u32,
    into: DialectId,
    losses: &mut Losses,
) -> Plan {
    let Some(asked) = chat
        .reasoning
        .as_ref()
        .filter(|asked| says_something(asked))
    else {
        let summary = chat.reasoning.as_ref().and_then(|it| it.summary.as_deref());
        if summary.is_some_and(|word| word != "none") {
            losses.declare(
                "reasoning.summary",
                "models of this vendor reason only when asked to",
            );
        }
        return Plan::default();
    };
    let off = asked.mode == Some(ReasoningMode::Disabled)
        || asked.effort == Some(Effort::None)
        || asked.budget_tokens == Some(0);
    if card.capabilities.reasoning == ReasoningStyle::None {
        if !off {
            losses.declare("reasoning", "the model cannot reason");
        }
        return Plan::default();
    }
    if off {
        return Plan {
            mode: Some(Mode::Disabled),
            ..Plan::default()
        };
    }
    if is_forced(chat) {
        losses.declare(
            "reasoning",
            "this vendor does not think when a tool is forced",
        );
        return Plan::default();
    }
    let mut plan = match card.capabilities.reasoning {
        ReasoningStyle::Budget if tool_turn_without_thinking(chat, into) => {
            losses.declare(
                "reasoning",
                "the last tool calls came back without the thinking that led to them",
            );
            return Plan::default();
        }
        ReasoningStyle::Budget => budget(asked, output_tokens_max, losses),
        ReasoningStyle::Effort | ReasoningStyle::None => effort(asked, losses),
    };
    if plan.thinks() {
        plan.display = display(asked.summary.as_deref());
        if matches!(asked.summary.as_deref(), Some("concise" | "detailed")) {
            losses.declare("reasoning.summary", "summaries have one length here");
        }
    }
    plan
}

fn says_something(asked: &Reasoning) -> bool {
    asked.mode.is_some() || asked.effort.is_some() || asked.budget_tokens.is_some()
}

fn display(summary: Option<&str>) -> Option<&'static str> {
    summary.map(|word| {
        if word == "none" {
            "omitted"
        } else {
            "summarized"
        }
    })
}

fn is_forced(chat: &Chat) -> bool {
    match &chat.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Tool { .. }) => true,
        Some(ToolChoice::Allowed { required, .. }) => *required,
        Some(ToolChoice::Auto | ToolChoice::None) | None => false,
    }
}

fn budget(asked: &Reasoning, output_tokens_max: u32, losses: &mut Losses) -> Plan {
    if output_tokens_max <= BUDGET_TOKENS_MIN {
        losses.declare(
            "reasoning",
            "a thinking budget is at least 1024 tokens and must be below the output cap",
        );
        return Plan::default();
    }
    let effort = asked.effort.unwrap_or(Effort::Medium);
    let wanted = asked.budget_tokens.unwrap_or(effort.budget_tokens());
    let budget_tokens = wanted.clamp(BUDGET_TOKENS_MIN, output_tokens_max - 1);
    if budget_tokens != wanted {
        losses.declare("reasoning", "the budget was fitted to the model's bounds");
    }
    Plan {
        mode: Some(Mode::Enabled { budget_tokens }),
        ..Plan::default()
    }
}

fn effort(asked: &Reasoning, losses: &mut Losses) -> Plan {
    let wanted = match (asked.effort, asked.budget_tokens) {
        (Some(effort), _) => Some(effort),
        (None, Some(tokens)) => {
            losses.declare("reasoning", "the budget was turned into an effort");
            Some(Effort::from_budget(tokens))
        }
        (None, None) => None,
    };
    if wanted.is_some_and(|effort| effort < Effort::Low) {
        losses.declare("reasoning", "the least effort here is `low`");
    }
    Plan {
        mode: Some(Mode::Adaptive),
        display: None,
        effort: wanted.map(|effort| effort.max(Effort::Low)),
    }
}

/// Whether the conversation stands at tool results whose calls come without
/// this vendor's thinking. With a budget the vendor then refuses to go on.
fn tool_turn_without_thinking(chat: &Chat, into: DialectId) -> bool {
    let at_results = chat.turns.last().is_some_and(|turn| {
        turn.parts
            .iter()
            .any(|part| matches!(part.kind, PartKind::ToolResult(_)))
    });
    let last = chat.turns.iter().rfind(|turn| turn.role == Role::Assistant);
    at_results
        && last.is_some_and(|turn| {
            !turn.parts.iter().any(|part| {
                let thought = matches!(
                    part.kind,
                    PartKind::Thinking { .. } | PartKind::RedactedThinking
                );
                let ours = part
                    .signature
                    .as_ref()
                    .is_some_and(|signature| signature.dialect == into);
                thought && ours
            })
        })
}
