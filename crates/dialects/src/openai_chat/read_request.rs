//! Reading a request: one walk over the top-level members.

use contract::chat::{
    Chat, Effort, OutputFormat, Reasoning, ReasoningMode, Tool, ToolChoice, ToolKind,
};
use contract::request::Task;
use contract::text::Extras;
use contract::{Fault, Operation, Request};

use super::read_parts::{keep_rest, read_cache};
use super::{ID, embed, read_turns};
use crate::dialect::Route;
use crate::json::Json;
use crate::openai::GATEWAY_FIELD;

/// Reads a request.
pub(super) fn read(route: &Route, body: Json<'_>) -> Result<Request, Fault> {
    body.as_object()?;
    let (task, extras) = match route.operation {
        Operation::Embed => {
            let (embed, extras) = embed::read_request(body)?;
            (Task::Embed(embed), extras)
        }
        Operation::Chat | Operation::CountTokens | Operation::ListModels | Operation::GetModel => {
            let mut reader = Reader::default();
            reader.read(body)?;
            (Task::Chat(Box::new(reader.chat)), reader.extras)
        }
    };
    let model = match &route.model {
        Some(model) => model.clone(),
        None => body.need_str("model")?.into_owned(),
    };
    Ok(Request {
        dialect: ID,
        model,
        task,
        stream: body.opt_bool("stream")?.unwrap_or(false),
        extras,
    })
}

#[derive(Default)]
struct Reader {
    chat: Chat,
    extras: Extras,
    logprobs: bool,
    top_logprobs: Option<u32>,
    safety_identifier: Option<String>,
}

impl Reader {
    fn read(&mut self, body: Json<'_>) -> Result<(), Fault> {
        body.need("messages")?;
        for member in body.members() {
            // `null` stands for absent everywhere in this format.
            if !member.value.is_null() {
                self.member(&member.name(), member.value)?;
            }
        }
        if self.logprobs || self.top_logprobs.is_some() {
            self.chat.logprobs = Some(self.top_logprobs.unwrap_or(0));
        }
        // The newer name of `user`; beside it, it rides along.
        if let Some(id) = self.safety_identifier.take() {
            if self.chat.user.is_none() {
                self.chat.user = Some(id);
            } else {
                let raw = contract::text::RawJson::new(crate::json::string(&id));
                self.extras
                    .fields
                    .push(("safety_identifier".to_owned(), raw));
            }
        }
        Ok(())
    }

    fn member(&mut self, key: &str, value: Json<'_>) -> Result<(), Fault> {
        let chat = &mut self.chat;
        match key {
            // Read by the caller of this, or by the gateway.
            "model" | "stream" | GATEWAY_FIELD => {}
            "messages" => chat.turns = read_turns::read(value, &mut self.extras)?,
            "max_tokens" | "max_completion_tokens" => {
                let tokens = value.as_u32()?;
                if tokens == 0 {
                    return Err(value.expected("a whole number from 1"));
                }
                let known = chat.output_tokens_max.unwrap_or(tokens);
                chat.output_tokens_max = Some(known.min(tokens));
            }
            "stop" => chat.stop = read_stop(value)?,
            "n" => chat.n = Some(value.as_u32()?),
            "tools" => self.tools(value)?,
            "functions" => self.functions(value)?,
            "tool_choice" => chat.tool_choice = Some(read_choice(value)?),
            "function_call" => chat.tool_choice = Some(read_legacy_choice(value)?),
            "parallel_tool_calls" => chat.parallel_tool_calls = Some(value.as_bool()?),
            "response_format" => chat.format = read_format(value, &mut self.extras)?,
            "reasoning_effort" => chat.reasoning = Some(read_effort(value)?),
            "logprobs" => self.logprobs = value.as_bool()?,
            "top_logprobs" => self.top_logprobs = Some(value.as_u32()?),
            "modalities" => chat.modalities = read_strings(value)?,
            "audio" => chat.audio_out = Some(value.as_object()?.to_raw()),
            "user" => chat.user = Some(value.as_str()?.into_owned()),
            "safety_identifier" => self.safety_identifier = Some(value.as_str()?.into_owned()),
            "metadata" => chat.metadata = read_metadata(value)?,
            "service_tier" => chat.service_tier = Some(value.as_str()?.into_owned()),
            "prompt_cache_key" => chat.prompt_cache_key = Some(value.as_str()?.into_owned()),
            "store" => self.chat.store = Some(value.as_bool()?),
            "verbosity" => chat.verbosity = Some(value.as_str()?.into_owned()),
            "stream_options" => {
                chat.stream_usage = value
                    .as_object()?
                    .opt_bool("include_usage")?
                    .unwrap_or(false);
                keep_rest(value, &["include_usage"], &mut self.extras);
            }
            _ => return self.sampling(key, value),
        }
        Ok(())
    }

    fn sampling(&mut self, key: &str, value: Json<'_>) -> Result<(), Fault> {
        let sampling = &mut self.chat.sampling;
        match key {
            "temperature" => sampling.temperature = Some(value.as_f64()?),
            "top_p" => sampling.top_p = Some(value.as_f64()?),
            // Not the vendor's, but many servers of this format take it.
            "top_k" if value.u64().is_some() => sampling.top_k = Some(value.as_u32()?),
            "frequency_penalty" => sampling.frequency_penalty = Some(value.as_f64()?),
            "presence_penalty" => sampling.presence_penalty = Some(value.as_f64()?),
            "seed" => {
                let seed = value
                    .i64()
                    .ok_or_else(|| value.expected("a whole number"))?;
                sampling.seed = Some(seed);
            }
            "logit_bias" => {
                // An empty bias, which some clients always send, is none.
                let bias = value.as_object()?;
                sampling.logit_bias = (!bias.is_empty()).then(|| bias.to_raw());
            }
            _ => self.extras.fields.push((key.to_owned(), value.to_raw())),
        }
        Ok(())
    }

    fn tools(&mut self, tools: Json<'_>) -> Result<(), Fault> {
        for tool in tools.as_array()?.items() {
            let read = self.tool(tool)?;
            self.chat.tools.push(read);
        }
        Ok(())
    }

    fn tool(&mut self, tool: Json<'_>) -> Result<Tool, Fault> {
        let word = tool.as_object()?.need_str("type")?;
        match &*word {
            "function" => {
                keep_rest(
                    tool,
                    &["type", "function", "cache_control"],
                    &mut self.extras,
                );
                let mut read = self.function(tool.need("function")?)?;
                read.cache = read_cache(tool)?;
                Ok(read)
            }
            "custom" => {
                let custom = tool.need("custom")?;
                keep_rest(custom, &["name", "description", "format"], &mut self.extras);
                Ok(Tool {
                    name: custom.need_str("name")?.into_owned(),
                    description: custom.opt_string("description")?,
                    kind: ToolKind::Custom {
                        format: custom.opt_object("format")?.map(|format| format.to_raw()),
                    },
                    strict: None,
                    cache: None,
                })
            }
            _ => Ok(Tool {
                name: word.into_owned(),
                description: None,
                kind: ToolKind::Hosted {
                    dialect: ID,
                    json: tool.to_raw(),
                },
                strict: None,
                cache: None,
            }),
        }
    }

    fn function(&mut self, function: Json<'_>) -> Result<Tool, Fault> {
        const KNOWN: &[&str] = &["name", "description", "parameters", "strict"];
        keep_rest(function.as_object()?, KNOWN, &mut self.extras);
        let schema = function.opt_object("parameters")?;
        Ok(Tool {
            name: function.need_str("name")?.into_owned(),
            description: function.opt_string("description")?,
            kind: ToolKind::Function {
                schema: schema.map(|schema| schema.to_raw()),
            },
            strict: function.opt_bool("strict")?,
            cache: None,
        })
    }

    /// The tools of before there were tools.
    fn functions(&mut self, functions: Json<'_>) -> Result<(), Fault> {
        for function in functions.as_array()?.items() {
            let read = self.function(function)?;
            self.chat.tools.push(read);
        }
        Ok(())
    }
}

fn read_stop(value: Json<'_>) -> Result<Vec<String>, Fault> {
    match value.str() {
        Some(one) => Ok(vec![one.into_owned()]),
        None => read_strings(value),
    }
}

fn read_strings(value: Json<'_>) -> Result<Vec<String>, Fault> {
    let items = value.as_array()?.items();
    items.map(|item| Ok(item.as_str()?.into_owned())).collect()
}

fn read_metadata(value: Json<'_>) -> Result<Vec<(String, String)>, Fault> {
    let members = value.as_object()?.members();
    members
        .map(|pair| Ok((pair.name().into_owned(), pair.value.as_str()?.into_owned())))
        .collect()
}

fn read_effort(value: Json<'_>) -> Result<Reasoning, Fault> {
    let effort = Effort::parse(&value.as_str()?).ok_or_else(|| {
        value.fault(
            "unknown effort; expected `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`",
        )
    })?;
    Ok(Reasoning {
        mode: (effort == Effort::None).then_some(ReasoningMode::Disabled),
        effort: Some(effort),
        budget_tokens: None,
        summary: None,
    })
}

fn read_format(value: Json<'_>, extras: &mut Extras) -> Result<OutputFormat, Fault> {
    let word = value.as_object()?.need("type")?;
    match &*word.as_str()? {
        "text" => Ok(OutputFormat::Text),
        "json_object" => Ok(OutputFormat::JsonObject),
        "json_schema" => {
            let format = value.need("json_schema")?.as_object()?;
            keep_rest(format, &["name", "description", "schema", "strict"], extras);
            let schema = format.opt_object("schema")?;
            Ok(OutputFormat::JsonSchema {
                name: Some(format.need_str("name")?.into_owned()),
                description: format.opt_string("description")?,
                // The schema may be left out: then any object will do.
                schema: schema.map_or_else(
                    || contract::text::RawJson::new("{}"),
                    |schema| schema.to_raw(),
                ),
                strict: format.opt_bool("strict")?,
            })
        }
        _ => Err(word.fault("expected `text`, `json_object` or `json_schema`")),
    }
}

fn read_choice(value: Json<'_>) -> Result<ToolChoice, Fault> {
    if let Some(word) = value.str() {
        return match &*word {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            _ => Err(value.fault("expected `auto`, `none`, `required` or an object")),
        };
    }
    let word = value
        .as_object()
        .map_err(|_| value.expected("a string or an object"))?
        .need("type")?;
    match &*word.as_str()? {
        kind @ ("function" | "custom") => Ok(ToolChoice::Tool {
            name: value.need(kind)?.need_str("name")?.into_owned(),
        }),
        "allowed_tools" => read_allowed(value.need("allowed_tools")?),
        _ => Err(word.fault("expected `function`, `custom` or `allowed_tools`")),
    }
}

fn read_allowed(allowed: Json<'_>) -> Result<ToolChoice, Fault> {
    let mode = allowed.need("mode")?;
    let required = match &*mode.as_str()? {
        "auto" => false,
        "required" => true,
        _ => return Err(mode.fault("expected `auto` or `required`")),
    };
    let tools = allowed.need("tools")?.as_array()?.items();
    let names = tools.map(|tool| {
        let named = match tool.field("custom") {
            Some(custom) => custom,
            None => tool.need("function")?,
        };
        Ok(named.need_str("name")?.into_owned())
    });
    Ok(ToolChoice::Allowed {
        names: names.collect::<Result<_, Fault>>()?,
        required,
    })
}

fn read_legacy_choice(value: Json<'_>) -> Result<ToolChoice, Fault> {
    match value.str().as_deref() {
        Some("auto") => Ok(ToolChoice::Auto),
        Some("none") => Ok(ToolChoice::None),
        Some(_) => Err(value.fault("expected `auto`, `none` or an object")),
        None => Ok(ToolChoice::Tool {
            name: value.need_str("name")?.into_owned(),
        }),
    }
}
