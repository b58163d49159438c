//! Why a choice ended: the vendor's words and ours.

use contract::answer::{Finish, FinishReason};

/// Reads the word. Servers of this format have words of their own; one that
/// is unknown reads as a plain stop, with the word kept for the evidence.
pub(super) fn reason(word: &str) -> FinishReason {
    match word {
        "length" | "max_tokens" => FinishReason::Length,
        "model_length" => FinishReason::ContextWindow,
        "tool_calls" | "function_call" | "tool_use" => FinishReason::ToolCalls,
        "content_filter" | "sensitive" => FinishReason::ContentFilter,
        "refusal" => FinishReason::Refusal,
        "stop_sequence" => FinishReason::StopSequence,
        "error" | "network_error" | "insufficient_system_resource" | "abort" => FinishReason::Error,
        _ => FinishReason::Stop,
    }
}

/// Reads the word in the light of what was said: a forced tool call ends with
/// `stop` in this format, and so does a refusal.
pub(super) fn read(word: &str, called_tools: bool, refused: bool) -> Finish {
    let reason = match reason(word) {
        FinishReason::Stop if called_tools => FinishReason::ToolCalls,
        FinishReason::Stop if refused => FinishReason::Refusal,
        other => other,
    };
    Finish {
        reason,
        stop_sequence: None,
        native: Some(word.to_owned()),
    }
}

/// The word for a client. An answer that was broken off or paused says
/// `length`, never `stop`: it is not whole.
pub(super) fn word(reason: FinishReason, refused_in_words: bool) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence => "stop",
        FinishReason::Length
        | FinishReason::ContextWindow
        | FinishReason::Pause
        | FinishReason::Error => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Refusal if refused_in_words => "stop",
        FinishReason::ContentFilter | FinishReason::Refusal => "content_filter",
    }
}
