//! What governance needs of a body, in one walk over its top-level members.

use contract::Fault;

use crate::dialect::{GATEWAY_FIELD, Route, Survey};
use crate::json::{Json, Kind};

/// Surveys a body.
pub(super) fn survey<'a>(route: &Route, body: Json<'a>) -> Result<Survey<'a>, Fault> {
    body.as_object()?;
    let mut survey = Survey {
        // This format tells usage in every stream.
        stream_usage: true,
        ..Survey::default()
    };
    let mut stored = false;
    let mut input = None;
    for member in body.members() {
        let value = member.value;
        match &*member.name() {
            "model" => {
                survey.model_span = Some(value.span());
                if !value.is_null() {
                    survey.model = value.as_str()?;
                }
            }
            GATEWAY_FIELD => survey.gateway = Some(value),
            _ if value.is_null() => {}
            "input" => input = Some(value),
            "stream" => survey.stream = value.as_bool()?,
            "max_output_tokens" => survey.output_tokens_max = Some(cap(value)?),
            "tools" => survey.tools += count(value.as_array()?),
            // The vendor holds the conversation: there may be no input.
            "previous_response_id" | "conversation" | "prompt" => stored = true,
            _ => {}
        }
    }
    if survey.model.is_empty() {
        return Err(missing_model(body, route));
    }
    match input {
        Some(input) => read_input(&mut survey, input)?,
        None if stored => {}
        None => {
            return Err(Fault::bad_request(
                "`input` is missing. Send a string or an array of items.",
            )
            .at("input"));
        }
    }
    Ok(survey)
}

fn missing_model(body: Json<'_>, route: &Route) -> Fault {
    debug_assert_eq!(route.dialect, super::ID);
    match body.field("model") {
        Some(model) => model.fault("the name is empty; name a model"),
        None => Fault::bad_request(
            "`model` is missing. Name a model; `GET /v1/models` lists those you may use.",
        )
        .at("model"),
    }
}

fn cap(value: Json<'_>) -> Result<u64, Fault> {
    value
        .u64()
        .filter(|tokens| *tokens >= 1)
        .ok_or_else(|| value.expected("a whole number from 1"))
}

/// Counts items, and the tools that coding agents put among them.
fn read_input(survey: &mut Survey<'_>, input: Json<'_>) -> Result<(), Fault> {
    match input.kind() {
        Kind::String | Kind::EscapedString => survey.turns = 1,
        Kind::Array => {
            for item in input.items() {
                survey.turns += 1;
                let tools = item.members().find(|member| member.is("tools"));
                if let Some(tools) = tools {
                    survey.tools += count(tools.value);
                }
            }
        }
        Kind::Null | Kind::True | Kind::False | Kind::Number | Kind::Object => {
            return Err(input.expected("a string or an array of items"));
        }
    }
    Ok(())
}

fn count(array: Json<'_>) -> u32 {
    u32::try_from(array.items().count()).unwrap_or(u32::MAX)
}
