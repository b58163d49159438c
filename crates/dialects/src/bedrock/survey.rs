//! The envelope of a Converse body, read in one walk over its top level. The
//! model and the stream flag stand in the path.

use std::borrow::Cow;

use contract::{Fault, Operation};

use crate::dialect::{GATEWAY_FIELD, Route, Survey};
use crate::json::Json;

/// See [`crate::Dialect::survey`].
pub(super) fn survey<'a>(route: &Route, body: Json<'a>) -> Result<Survey<'a>, Fault> {
    let mut survey = Survey {
        model: Cow::Owned(model(route)?.to_owned()),
        gateway: body.get(GATEWAY_FIELD),
        stream: route.stream.unwrap_or(false),
        // The metadata event always reports usage.
        stream_usage: true,
        ..Survey::default()
    };
    let body = if route.operation == Operation::CountTokens {
        counted(body)?
    } else {
        body
    };
    for member in body.as_object()?.members() {
        let value = member.value;
        if value.is_null() {
            continue;
        }
        if member.is("messages") {
            survey.turns = count(value.as_array()?);
        } else if member.is("inferenceConfig") {
            survey.output_tokens_max = cap(value)?;
        } else if member.is("toolConfig")
            && let Some(tools) = value.as_object()?.opt_array("tools")?
        {
            survey.tools = count(tools);
        }
    }
    if survey.turns == 0 {
        body.need("messages")?;
        return Err(
            Fault::bad_request("`messages` is empty; at least one message is required.")
                .at("messages"),
        );
    }
    Ok(survey)
}

/// The model that the path names.
pub(super) fn model(route: &Route) -> Result<&str, Fault> {
    route
        .model
        .as_deref()
        .filter(|model| !model.is_empty())
        .ok_or_else(|| {
            Fault::bad_request("The path names no model. Use /model/{id}/converse.").at("modelId")
        })
}

/// The conversation of a token count.
pub(super) fn counted(body: Json<'_>) -> Result<Json<'_>, Fault> {
    let input = body.as_object()?.need("input")?.as_object()?;
    if let Some(invoke) = input.field("invokeModel") {
        return Err(invoke.unsupported(
            "tokens are counted for `converse` input only; a body of a model's own vendor is \
             not read here",
        ));
    }
    input.need("converse")?.as_object()
}

fn cap(config: Json<'_>) -> Result<Option<u64>, Fault> {
    let Some(cap) = config.as_object()?.field("maxTokens") else {
        return Ok(None);
    };
    match cap.as_u64()? {
        0 => Err(cap.fault("at least one output token must be allowed")),
        tokens => Ok(Some(tokens)),
    }
}

fn count(array: Json<'_>) -> u32 {
    u32::try_from(array.items().count()).unwrap_or(u32::MAX)
}
