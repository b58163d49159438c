//! Finish reasons, both ways.

use contract::answer::{Finish, FinishReason};

/// The finish reason of a candidate; `called` tells that it holds calls of
/// functions, which the vendor ends with `STOP` as well.
pub(super) fn read(word: &str, called: bool) -> Finish {
    let reason = match word {
        "STOP" if called => FinishReason::ToolCalls,
        "STOP" => FinishReason::Stop,
        _ => reason(word).unwrap_or(FinishReason::Error),
    };
    Finish {
        reason,
        stop_sequence: None,
        native: Some(word.to_owned()),
    }
}

/// What every other word means; `None` for one that is newer than this list,
/// which must not look like a complete answer.
fn reason(word: &str) -> Option<FinishReason> {
    Some(match word {
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR" => FinishReason::ContentFilter,
        "CONTINUATION" => FinishReason::Pause,
        "OTHER"
        | "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE"
        | "MALFORMED_RESPONSE"
        | "IMAGE_OTHER"
        | "NO_IMAGE"
        | "ESCALATION"
        | "PUP_LIMITED_DISABLED" => FinishReason::Error,
        _ => return None,
    })
}

/// The finish of an answer whose prompt was blocked.
pub(super) fn blocked(word: &str) -> Finish {
    Finish {
        native: Some(word.to_owned()),
        ..FinishReason::ContentFilter.into()
    }
}

/// The word for a client; the vendor's own where it is one.
pub(super) fn word(finish: &Finish, refused: bool) -> &str {
    if let Some(native) = finish.native.as_deref()
        && reason(native) == Some(finish.reason)
    {
        return native;
    }
    match finish.reason {
        FinishReason::Stop if refused => "SAFETY",
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolCalls => "STOP",
        // A paused turn is cut as well; `CONTINUATION` comes with a token that
        // only the vendor can make.
        FinishReason::Length | FinishReason::ContextWindow | FinishReason::Pause => "MAX_TOKENS",
        FinishReason::ContentFilter | FinishReason::Refusal => "SAFETY",
        FinishReason::Error => "OTHER",
    }
}
