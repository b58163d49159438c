//! Reading tools, their configuration and `generationConfig`.

use contract::chat::{Chat, OutputFormat, Tool, ToolChoice, ToolKind};
use contract::text::Extras;
use contract::{Fault, RawJson};

use super::{ID, names, schema, thinking};
use crate::json::{self, Json};

/// Where the generation settings stand.
const CONFIG: &str = "generationConfig";
/// Where the settings of function calls stand.
const CALLING: &str = "toolConfig.functionCallingConfig";

/// Reads `tools`. Functions of all its entries are told one by one; what the
/// vendor runs itself is kept as it came.
pub(super) fn tools(tools: Json<'_>, extras: &mut Extras) -> Result<Vec<Tool>, Fault> {
    let mut read = Vec::new();
    for tool in names::list(tools)? {
        for member in tool.as_object()?.members() {
            if member.value.is_null() {
                continue;
            }
            if names::is(&member, "functionDeclarations") {
                for declared in names::list(member.value)? {
                    let at = format!("tools[{}]", read.len());
                    read.push(function(declared, &at, extras)?);
                }
                continue;
            }
            let name = member.name().into_owned();
            let hosted = json::object(|out| out.raw(&name, member.value.raw()));
            read.push(Tool {
                kind: ToolKind::Hosted {
                    dialect: ID,
                    json: RawJson::new(hosted),
                },
                name,
                description: None,
                strict: None,
                cache: None,
            });
        }
    }
    Ok(read)
}

fn function(declared: Json<'_>, at: &str, extras: &mut Extras) -> Result<Tool, Fault> {
    let own = names::field(declared, "parameters")?;
    let schema = match names::field(declared, "parametersJsonSchema")? {
        Some(_) if own.is_some() => {
            return Err(declared.fault(
                "`parameters` and `parametersJsonSchema` exclude each other; send one of them",
            ));
        }
        Some(schema) => Some(schema.as_object()?.to_raw()),
        None => own
            .map(|own| Ok::<_, Fault>(schema::to_json_schema(own.as_object()?)))
            .transpose()?,
    };
    names::keep(
        declared,
        at,
        &["name", "description", "parameters", "parametersJsonSchema"],
        extras,
    );
    Ok(Tool {
        name: names::need_string(declared, "name")?,
        description: names::opt_string(declared, "description")?,
        kind: ToolKind::Function { schema },
        strict: None,
        cache: None,
    })
}

/// Reads a `toolConfig`.
pub(super) fn tool_config(
    config: Json<'_>,
    extras: &mut Extras,
) -> Result<Option<ToolChoice>, Fault> {
    names::keep(
        config.as_object()?,
        "toolConfig",
        &["functionCallingConfig"],
        extras,
    );
    let Some(calling) = names::field(config, "functionCallingConfig")? else {
        return Ok(None);
    };
    let mut allowed = Vec::new();
    if let Some(list) = names::field(calling, "allowedFunctionNames")? {
        for name in list.as_array()?.items() {
            allowed.push(name.as_str()?.into_owned());
        }
    }
    names::keep(calling, CALLING, &["mode", "allowedFunctionNames"], extras);
    let mode = names::field(calling, "mode")?;
    let word = match mode {
        Some(mode) => mode.as_str()?.to_ascii_uppercase(),
        None => String::new(),
    };
    let choice = match (word.as_str(), allowed.len()) {
        ("ANY", 0) => ToolChoice::Required,
        ("ANY", 1) => ToolChoice::Tool {
            name: allowed.remove(0),
        },
        ("ANY", _) => ToolChoice::Allowed {
            names: allowed,
            required: true,
        },
        ("VALIDATED", 0) => {
            // The model decides, under the schemas: no other vendor has it.
            let raw = RawJson::new("\"VALIDATED\"");
            extras.fields.push((format!("{CALLING}.mode"), raw));
            return Ok(None);
        }
        ("VALIDATED", _) => ToolChoice::Allowed {
            names: allowed,
            required: false,
        },
        ("AUTO" | "NONE" | "MODE_UNSPECIFIED" | "", 1..) => {
            return Err(calling.fault(
                "`allowedFunctionNames` needs the mode `ANY` or `VALIDATED`; set it, or leave \
                 the names out",
            ));
        }
        ("AUTO" | "MODE_UNSPECIFIED" | "", _) => ToolChoice::Auto,
        ("NONE", _) => ToolChoice::None,
        (_, _) => {
            let mode = mode.unwrap_or(calling);
            return Err(mode.fault("a mode is `AUTO`, `ANY`, `NONE` or `VALIDATED`"));
        }
    };
    Ok(Some(choice))
}

/// Fields of `generationConfig` that are read.
const KNOWN: [&str; 16] = [
    "temperature",
    "topP",
    "topK",
    "candidateCount",
    "maxOutputTokens",
    "stopSequences",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseLogprobs",
    "logprobs",
    "thinkingConfig",
    "responseModalities",
];

/// Reads `generationConfig` into a chat.
pub(super) fn generation(
    config: Json<'_>,
    chat: &mut Chat,
    extras: &mut Extras,
) -> Result<(), Fault> {
    let sampling = &mut chat.sampling;
    sampling.temperature = names::opt_f64(config, "temperature")?;
    sampling.top_p = names::opt_f64(config, "topP")?;
    sampling.top_k = names::opt_u32(config, "topK")?;
    sampling.presence_penalty = names::opt_f64(config, "presencePenalty")?;
    sampling.frequency_penalty = names::opt_f64(config, "frequencyPenalty")?;
    sampling.seed = match names::field(config, "seed")? {
        Some(seed) => Some(names::whole(seed).ok_or_else(|| seed.expected("a whole number"))?),
        None => None,
    };
    chat.n = names::opt_u32(config, "candidateCount")?;
    chat.output_tokens_max = names::opt_u32(config, "maxOutputTokens")?;
    if let Some(stop) = names::field(config, "stopSequences")? {
        for stop in stop.as_array()?.items() {
            chat.stop.push(stop.as_str()?.into_owned());
        }
    }
    if let Some(list) = names::field(config, "responseModalities")? {
        for word in list.as_array()?.items() {
            chat.modalities.push(word.as_str()?.to_ascii_lowercase());
        }
    }
    let top = names::field(config, "logprobs")?;
    if names::opt_bool(config, "responseLogprobs")? == Some(true) {
        chat.logprobs = Some(top.map_or(Ok(0), names::as_u32)?);
    } else if let Some(top) = top {
        // Without the switch the number means nothing, but it is the caller's.
        extras
            .fields
            .push((format!("{CONFIG}.logprobs"), top.to_raw()));
    }
    if let Some(thinking) = names::field(config, "thinkingConfig")? {
        chat.reasoning = Some(thinking::read(thinking, extras)?);
    }
    chat.format = format(config, extras)?;
    names::keep(config, CONFIG, &KNOWN, extras);
    Ok(())
}

fn format(config: Json<'_>, extras: &mut Extras) -> Result<OutputFormat, Fault> {
    let mime = names::opt_string(config, "responseMimeType")?;
    let own = names::field(config, "responseSchema")?;
    let schema = match names::field(config, "responseJsonSchema")? {
        Some(_) if own.is_some() => {
            return Err(config.fault(
                "`responseSchema` and `responseJsonSchema` exclude each other; send one of them",
            ));
        }
        Some(schema) => Some(schema.as_object()?.to_raw()),
        None => own
            .map(|own| Ok::<_, Fault>(schema::to_json_schema(own.as_object()?)))
            .transpose()?,
    };
    match (mime.as_deref(), schema) {
        (Some("application/json"), Some(schema)) => Ok(OutputFormat::JsonSchema {
            name: None,
            description: None,
            schema,
            // The vendor always enforces it.
            strict: Some(true),
        }),
        (Some("application/json"), None) => Ok(OutputFormat::JsonObject),
        (None | Some("text/plain" | ""), None) => Ok(OutputFormat::Text),
        // An enumeration as bare text (`text/x.enum`) and its like.
        (Some(_), schema) => {
            for (name, raw) in [
                ("responseMimeType", mime.map(|mime| json::string(&mime))),
                (
                    "responseJsonSchema",
                    schema.map(|schema| schema.as_str().to_owned()),
                ),
            ] {
                if let Some(raw) = raw {
                    let raw = RawJson::new(raw);
                    extras.fields.push((format!("{CONFIG}.{name}"), raw));
                }
            }
            Ok(OutputFormat::Text)
        }
        (None, Some(_)) => {
            Err(config.fault("a response schema needs `responseMimeType` to be `application/json`"))
        }
    }
}
