//! Sampling parameters as models take them that think in their own blocks.
//! Shared by the dialects that serve these models.

use contract::ModelCard;
use contract::chat::Chat;

use crate::loss::Losses;
use crate::thinking::Plan;

/// Sampling parameters that are sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sampled {
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) top_k: Option<u32>,
}

impl Sampled {
    /// What the caller asked for, as it came.
    pub(crate) fn as_asked(chat: &Chat) -> Self {
        Self {
            temperature: chat.sampling.temperature,
            top_p: chat.sampling.top_p,
            top_k: chat.sampling.top_k,
        }
    }
}

/// What can be sent of what a caller asked for.
pub(crate) fn translated(
    chat: &Chat,
    plan: &Plan,
    card: &ModelCard,
    losses: &mut Losses,
) -> Sampled {
    let mut sampled = Sampled::as_asked(chat);
    let why = if !card.capabilities.sampling {
        "the model refuses sampling parameters"
    } else if plan.thinks() {
        "sampling parameters are refused while the model thinks"
    } else {
        fit(&mut sampled, losses);
        return sampled;
    };
    for (name, given) in [
        ("temperature", sampled.temperature.is_some()),
        ("top_p", sampled.top_p.is_some()),
        ("top_k", sampled.top_k.is_some()),
    ] {
        if given {
            losses.declare(name, why);
        }
    }
    Sampled::default()
}

/// Fits the ranges of other vendors to those of these models.
fn fit(sampled: &mut Sampled, losses: &mut Losses) {
    if sampled.temperature.is_some_and(|value| value > 1.0) {
        losses.declare(
            "temperature",
            "the largest value here is 1; it was lowered to 1",
        );
        sampled.temperature = Some(1.0);
    }
    if sampled.top_p == Some(1.0) {
        // The default; said explicitly it collides with `temperature`.
        sampled.top_p = None;
    }
    if sampled.temperature.is_some() && sampled.top_p.is_some() {
        losses.declare("top_p", "newer models refuse it beside `temperature`");
        sampled.top_p = None;
    }
}
