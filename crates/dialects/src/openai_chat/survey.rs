//! What governance needs of a body, in one walk over its top-level members.

use std::borrow::Cow;

use contract::{Fault, Operation};

use super::ID;
use crate::dialect::{Route, Survey};
use crate::json::{Json, Kind};
use crate::splice::{self, Edit};

/// The member that asks an upstream for usage in the stream.
const ASK: &str = "\"include_usage\":true";

/// Surveys a body.
pub(super) fn survey<'a>(route: &Route, body: Json<'a>) -> Result<Survey<'a>, Fault> {
    debug_assert_eq!(route.dialect, ID);
    body.as_object()?;
    let conversation = match route.operation {
        Operation::Embed => "input",
        Operation::Chat | Operation::CountTokens | Operation::ListModels | Operation::GetModel => {
            "messages"
        }
    };
    let mut survey = Survey::default();
    let mut options = None;
    let mut turns = None;
    for member in body.members() {
        let value = member.value;
        match &*member.name_bytes() {
            b"model" => {
                survey.model_span = Some(value.span());
                if !value.is_null() {
                    survey.model = value.as_str()?;
                }
            }
            b"stream_options" => options = Some(value),
            b"tollgate" => survey.gateway = Some(value),
            key if key == conversation.as_bytes() => turns = Some(value),
            _ if value.is_null() => {}
            b"stream" => survey.stream = value.as_bool()?,
            b"max_tokens" | b"max_completion_tokens" => cap(&mut survey, value)?,
            b"tools" | b"functions" => survey.tools += count(value.as_array()?),
            b"n" => match value.as_u32() {
                Ok(n) if n > 0 => survey.choices = n,
                _ => return Err(value.expected("a whole number from 1")),
            },
            _ => {}
        }
    }
    match &route.model {
        Some(model) => model_of_path(&mut survey, model, body)?,
        None if survey.model.is_empty() => {
            return Err(missing_model(body, survey.model_span.is_some()));
        }
        None => {}
    }
    survey.turns = match turns {
        Some(turns) if route.operation == Operation::Embed => inputs(turns)?,
        Some(turns) => messages(turns)?,
        None => {
            return Err(body
                .need(conversation)
                .err()
                .unwrap_or_else(|| body.expected(conversation)));
        }
    };
    stream_usage(&mut survey, body, options)?;
    Ok(survey)
}

/// The form with deployments: the path names the model, the body need not.
fn model_of_path(survey: &mut Survey<'_>, model: &str, body: Json<'_>) -> Result<(), Fault> {
    if survey.model_span.is_none() {
        survey.model_at = Some(body.span().start + 1);
    } else if survey.model != model {
        return Err(Fault::bad_request(format!(
            "The path names the deployment `{model}`, but `model` in the body is `{}`. Name the \
             same in both, or leave it out of the body.",
            survey.model
        ))
        .at("model"));
    }
    survey.model = Cow::Owned(model.to_owned());
    Ok(())
}

fn missing_model(body: Json<'_>, named: bool) -> Fault {
    match body.field("model") {
        Some(model) if named => model.fault("the name is empty; name a model"),
        _ => Fault::bad_request(
            "`model` is missing. Name a model; `GET /v1/models` lists those you may use.",
        )
        .at("model"),
    }
}

/// Of two caps the smaller one counts.
fn cap(survey: &mut Survey<'_>, value: Json<'_>) -> Result<(), Fault> {
    let tokens = value
        .u64()
        .filter(|tokens| *tokens >= 1)
        .ok_or_else(|| value.expected("a whole number from 1"))?;
    let smallest = survey
        .output_tokens_max
        .map_or(tokens, |known| known.min(tokens));
    survey.output_tokens_max = Some(smallest);
    Ok(())
}

fn messages(value: Json<'_>) -> Result<u32, Fault> {
    let count = count(value.as_array()?);
    if count == 0 {
        return Err(value.fault("there must be at least one message"));
    }
    Ok(count)
}

fn inputs(value: Json<'_>) -> Result<u32, Fault> {
    match value.kind() {
        Kind::String | Kind::EscapedString => Ok(1),
        Kind::Array => match value.items().next().map(|first| first.kind()) {
            Some(Kind::Number) => Ok(1),
            Some(_) => Ok(count(value)),
            None => Err(value.fault("there must be something to embed")),
        },
        Kind::Null | Kind::True | Kind::False | Kind::Number | Kind::Object => {
            Err(value.expected("a string or an array"))
        }
    }
}

fn count(array: Json<'_>) -> u32 {
    u32::try_from(array.items().count()).unwrap_or(u32::MAX)
}

fn stream_usage(
    survey: &mut Survey<'_>,
    body: Json<'_>,
    options: Option<Json<'_>>,
) -> Result<(), Fault> {
    let options = match options {
        Some(options) if !options.is_null() => options.as_object()?,
        absent => {
            if survey.stream {
                survey.ask_usage = Some(ask_anew(body, absent));
            }
            return Ok(());
        }
    };
    let asked = options.get("include_usage");
    survey.stream_usage = match asked {
        Some(value) if !value.is_null() => value.as_bool()?,
        Some(_) | None => false,
    };
    if survey.stream && !survey.stream_usage {
        survey.ask_usage = Some(match asked {
            Some(value) => splice::replace(value, "true"),
            None => splice::insert_last(options, ASK),
        });
    }
    Ok(())
}

fn ask_anew(body: Json<'_>, null: Option<Json<'_>>) -> Edit {
    match null {
        Some(null) => splice::replace(null, format!("{{{ASK}}}")),
        None => splice::insert_last(body, &format!("\"stream_options\":{{{ASK}}}")),
    }
}
