//! Stop reasons, both ways.

use contract::answer::{Finish, FinishReason};

/// The stop reason of an answer. Unknown words are new ones of the vendor;
/// they end the turn and stay in [`Finish::native`].
pub(super) fn read(word: &str, stop_sequence: Option<String>) -> Finish {
    let reason = match word {
        "stop_sequence" => FinishReason::StopSequence,
        "max_tokens" => FinishReason::Length,
        "model_context_window_exceeded" => FinishReason::ContextWindow,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::Refusal,
        "pause_turn" => FinishReason::Pause,
        _ => FinishReason::Stop,
    };
    Finish {
        reason,
        stop_sequence,
        native: Some(word.to_owned()),
    }
}

/// What an answer held, as far as its stop reason depends on it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    pub(super) tool_call: bool,
    pub(super) refusal: bool,
}

/// The word for a client. Vendors that say "stop" after tool calls or
/// refusals mean what this vendor says in a word of its own.
pub(super) fn word(reason: FinishReason, held: Held) -> &'static str {
    match reason {
        FinishReason::Stop if held.tool_call => "tool_use",
        FinishReason::Stop if held.refusal => "refusal",
        FinishReason::Stop => "end_turn",
        FinishReason::StopSequence => "stop_sequence",
        // No word of this vendor says that the provider broke off; the answer
        // is cut, which must never look complete.
        FinishReason::Length | FinishReason::Error => "max_tokens",
        FinishReason::ContextWindow => "model_context_window_exceeded",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter | FinishReason::Refusal => "refusal",
        FinishReason::Pause => "pause_turn",
    }
}
