//! The envelope of a Gemini body, read in one walk over its top level (and
//! over `generationConfig`, where the cap on the output stands).

use std::borrow::Cow;

use contract::{Fault, Operation};

use super::{names, route};
use crate::dialect::{GATEWAY_FIELD, Route, Survey};
use crate::json::{self, Json, Kind};
use crate::splice::{self, Edit};

/// See [`crate::Dialect::survey`].
pub(super) fn survey<'a>(route: &Route, body: Json<'a>) -> Result<Survey<'a>, Fault> {
    let model = route.model.as_deref().unwrap_or("");
    if model.is_empty() {
        return Err(Fault::bad_request(
            "The path names no model. Send the request to models/{model}:generateContent.",
        )
        .at("model"));
    }
    let mut survey = Survey {
        model: Cow::Owned(model.to_owned()),
        gateway: body.get(GATEWAY_FIELD),
        stream: route.stream.unwrap_or(false),
        // Streams of this API always report usage.
        stream_usage: true,
        ..Survey::default()
    };
    match route.operation {
        Operation::Embed => embed(route, model, body, &mut survey)?,
        Operation::CountTokens => count_tokens(model, body, &mut survey)?,
        Operation::Chat | Operation::ListModels | Operation::GetModel => {
            chat(model, body, &mut survey)?;
        }
    }
    Ok(survey)
}

fn chat(model: &str, body: Json<'_>, survey: &mut Survey<'_>) -> Result<(), Fault> {
    let (mut contents, mut config) = (false, false);
    for member in body.as_object()?.members() {
        let value = member.value;
        if value.is_null() {
            continue;
        }
        match &*member.name() {
            "contents" => {
                survey.turns = count(value)?;
                contents = true;
            }
            "tools" => survey.tools = tools(value)?,
            "generationConfig" | "generation_config" => {
                if std::mem::replace(&mut config, true) {
                    return Err(names::twice(value, "generationConfig"));
                }
                generation(value, survey)?;
            }
            "model" => same_model(value, model)?,
            _ => {}
        }
    }
    if !contents {
        body.need("contents")?;
    }
    Ok(())
}

fn count_tokens(model: &str, body: Json<'_>, survey: &mut Survey<'_>) -> Result<(), Fault> {
    match names::field(body, "generateContentRequest")? {
        Some(inner) => chat(model, inner, survey)?,
        None => chat(model, body, survey)?,
    }
    survey.output_tokens_max = None;
    Ok(())
}

fn generation(config: Json<'_>, survey: &mut Survey<'_>) -> Result<(), Fault> {
    let mut cap = None;
    let mut choices = None;
    for member in config.as_object()?.members() {
        if member.value.is_null() {
            continue;
        }
        let (slot, name) = match &*member.name() {
            "maxOutputTokens" | "max_output_tokens" => (&mut cap, "maxOutputTokens"),
            "candidateCount" | "candidate_count" => (&mut choices, "candidateCount"),
            _ => continue,
        };
        let number = names::whole(member.value).filter(|number| *number >= 1);
        let number = number.and_then(|number| u32::try_from(number).ok());
        if slot.is_some() {
            return Err(names::twice(member.value, name));
        }
        *slot = Some(number.ok_or_else(|| member.value.expected("a whole number from 1"))?);
    }
    survey.output_tokens_max = cap.map(u64::from);
    survey.choices = choices.unwrap_or(0);
    Ok(())
}

fn embed(route: &Route, model: &str, body: Json<'_>, survey: &mut Survey<'_>) -> Result<(), Fault> {
    if route.variant != route::EMBED_BATCH {
        body.as_object()?.need("content")?.as_object()?;
        survey.turns = 1;
        return match body.field("model") {
            Some(named) => same_model(named, model),
            None => Ok(()),
        };
    }
    let requests = body.as_object()?.need("requests")?.as_array()?;
    for request in requests.items() {
        if let Some(named) = request.as_object()?.field("model") {
            same_model(named, model)?;
        }
        survey.turns += 1;
    }
    if survey.turns == 0 {
        return Err(requests.fault("there must be something to embed"));
    }
    Ok(())
}

/// The path decides which model is used; a body that names another one is
/// refused by the vendor as well.
fn same_model(named: Json<'_>, model: &str) -> Result<(), Fault> {
    let name = named.as_str()?;
    if name == model || name.strip_prefix("models/") == Some(model) {
        return Ok(());
    }
    Err(named.fault(format_args!(
        "the path names the model `{model}`, the body another one; name the same in both"
    )))
}

fn tools(tools: Json<'_>) -> Result<u32, Fault> {
    let mut sum: u32 = 0;
    for tool in names::list(tools)? {
        for member in tool.as_object()?.members() {
            let declared = match &*member.name() {
                "functionDeclarations" | "function_declarations" if !member.value.is_null() => {
                    count(member.value)?
                }
                _ => 1,
            };
            sum = sum.saturating_add(declared);
        }
    }
    Ok(sum)
}

fn count(value: Json<'_>) -> Result<u32, Fault> {
    let items = match value.kind() {
        Kind::Array => value.items().count(),
        Kind::Object => 1,
        Kind::Null
        | Kind::True
        | Kind::False
        | Kind::Number
        | Kind::String
        | Kind::EscapedString => return Err(value.expected("an array")),
    };
    Ok(u32::try_from(items).unwrap_or(u32::MAX))
}

/// See [`crate::Dialect::cap_output`].
pub(super) fn cap_output(body: Json<'_>, tokens: u64) -> Vec<Edit> {
    let names = ["generationConfig", "generation_config"];
    match names.iter().find_map(|name| body.field(name)) {
        Some(config) => splice::cap(config, &["maxOutputTokens", "max_output_tokens"], tokens),
        None => {
            let config = format!("{{\"maxOutputTokens\":{tokens}}}");
            vec![splice::put(body, "generationConfig", config)]
        }
    }
}

/// The model also stands in the bodies of embeddings and of counts of whole
/// requests, as `models/<name>`.
pub(crate) fn rename_model(body: Json<'_>, model: &str) -> Vec<Edit> {
    let name = json::string(&format!("models/{model}"));
    let whole = ["generateContentRequest", "generate_content_request"];
    let inner = whole.iter().filter_map(|key| body.field(key));
    let each = body
        .field("requests")
        .into_iter()
        .flat_map(|list| list.items());
    std::iter::once(body)
        .chain(inner)
        .chain(each)
        .filter_map(|holder| holder.field("model"))
        .map(|place| splice::replace(place, name.clone()))
        .collect()
}
