//! Stop reasons, both ways.

use contract::answer::{Finish, FinishReason};

/// The stop reason of an answer. Unknown words are new ones of the vendor;
/// they end the turn and stay in [`Finish::native`].
pub(super) fn read(word: &str) -> Finish {
    let reason = match word {
        "tool_use" => FinishReason::ToolCalls,
        "max_tokens" => FinishReason::Length,
        "stop_sequence" => FinishReason::StopSequence,
        "guardrail_intervened" | "content_filtered" => FinishReason::ContentFilter,
        "malformed_model_output" | "malformed_tool_use" => FinishReason::Error,
        "model_context_window_exceeded" => FinishReason::ContextWindow,
        "refusal" => FinishReason::Refusal,
        "pause_turn" => FinishReason::Pause,
        _ => FinishReason::Stop,
    };
    Finish {
        reason,
        stop_sequence: None,
        native: Some(word.to_owned()),
    }
}

/// The word for a client; `calls` tells that tools were called, which some
/// vendors end with "stop".
pub(super) fn word(finish: &Finish, calls: bool) -> &'static str {
    match finish.reason {
        FinishReason::Stop if calls => "tool_use",
        // The model could be asked to go on, but no word here says so.
        FinishReason::Stop | FinishReason::Pause => "end_turn",
        FinishReason::StopSequence => "stop_sequence",
        FinishReason::Length => "max_tokens",
        FinishReason::ContextWindow => "model_context_window_exceeded",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter if finish.native.as_deref() == Some("guardrail_intervened") => {
            "guardrail_intervened"
        }
        FinishReason::ContentFilter | FinishReason::Refusal => "content_filtered",
        FinishReason::Error if finish.native.as_deref() == Some("malformed_tool_use") => {
            "malformed_tool_use"
        }
        FinishReason::Error => "malformed_model_output",
    }
}
