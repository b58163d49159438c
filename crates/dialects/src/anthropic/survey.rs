//! The envelope of a Messages body, read in one walk over its top level.

use contract::{Fault, Operation};

use crate::dialect::{GATEWAY_FIELD, Route, Survey};
use crate::json::{Json, Kind};

/// See [`crate::Dialect::survey`].
pub(super) fn survey<'a>(route: &Route, body: Json<'a>) -> Result<Survey<'a>, Fault> {
    let chat = route.operation == Operation::Chat;
    let mut survey = Survey {
        // Message streams always report usage.
        stream_usage: true,
        ..Survey::default()
    };
    let mut messages = false;
    for member in body.as_object()?.members() {
        let value = member.value;
        // One walk; most keys differ in their length or first letters.
        if member.is(GATEWAY_FIELD) {
            survey.gateway = Some(value);
        } else if value.is_null() {
            continue;
        }
        if member.is("model") {
            survey.model = value.as_str()?;
            if survey.model.is_empty() {
                return Err(value.fault("the name of the model is empty"));
            }
            survey.model_span = Some(value.span());
        } else if member.is("messages") {
            survey.turns = count(value.as_array()?);
            messages = true;
            if survey.turns == 0 {
                return Err(value.fault("at least one message is required"));
            }
        } else if member.is("max_tokens") && chat {
            // Zero is allowed: it fills the prompt cache without an answer.
            survey.output_tokens_max = Some(value.as_u64()?);
        } else if member.is("stream") && chat {
            survey.stream = value.as_bool()?;
        } else if member.is("tools") {
            survey.tools = count(value.as_array()?);
        }
    }
    if survey.model_span.is_none() {
        body.need("model")?;
    }
    if !messages {
        body.need("messages")?;
    }
    if chat && survey.output_tokens_max.is_none() {
        body.need("max_tokens")?;
    }
    Ok(survey)
}

fn count(array: Json<'_>) -> u32 {
    debug_assert_eq!(array.kind(), Kind::Array, "the caller checked");
    u32::try_from(array.items().count()).unwrap_or(u32::MAX)
}
