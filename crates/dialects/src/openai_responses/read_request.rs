//! Reading a request: one walk over the top-level members.

use contract::chat::{
    Chat, Effort, OutputFormat, Part, Reasoning, ReasoningMode, Role, Tool, ToolChoice, ToolKind,
    Turn,
};
use contract::request::Task;
use contract::text::Extras;
use contract::{Fault, Operation, Request};

use super::{ID, read_items};
use crate::dialect::Route;
use crate::json::Json;
use crate::nested;
use crate::openai::GATEWAY_FIELD;

/// What `include` asks for that the canonical form has a place for.
const SEALED: &str = "reasoning.encrypted_content";
const LOGPROBS: &str = "message.output_text.logprobs";

/// Reads a request.
pub(super) fn read(route: &Route, body: Json<'_>) -> Result<Request, Fault> {
    body.as_object()?;
    let mut reader = Reader::default();
    // Instructions come first, wherever they stand in the body.
    if let Some(text) = body.opt_string("instructions")? {
        reader.chat.turns.push(Turn {
            role: Role::System,
            parts: vec![Part::text(text)],
            name: None,
        });
    }
    body.need("input")?;
    for member in body.members() {
        if !member.value.is_null() {
            reader.member(&member.name(), member.value)?;
        }
    }
    let mut inside = std::mem::take(&mut reader.inside);
    for tool in inside.drain(..) {
        reader.tool(tool)?;
    }
    let Reader {
        mut chat,
        extras,
        logprobs,
        top_logprobs,
        safety_identifier,
        ..
    } = reader;
    if logprobs || top_logprobs.is_some() {
        chat.logprobs = Some(top_logprobs.unwrap_or(0));
    }
    chat.user = chat.user.or(safety_identifier);
    chat.stream_usage = true;
    let task = match route.operation {
        Operation::CountTokens => Task::CountTokens(Box::new(chat)),
        Operation::Chat | Operation::Embed | Operation::ListModels | Operation::GetModel => {
            Task::Chat(Box::new(chat))
        }
    };
    Ok(Request {
        dialect: ID,
        model: body.need_str("model")?.into_owned(),
        task,
        stream: body.opt_bool("stream")?.unwrap_or(false),
        extras,
    })
}

#[derive(Default)]
struct Reader<'a> {
    chat: Chat,
    extras: Extras,
    /// Tools among the items of the input.
    inside: Vec<Json<'a>>,
    logprobs: bool,
    top_logprobs: Option<u32>,
    safety_identifier: Option<String>,
}

impl<'a> Reader<'a> {
    fn member(&mut self, key: &str, value: Json<'a>) -> Result<(), Fault> {
        let chat = &mut self.chat;
        match key {
            "model" | "stream" | "instructions" | GATEWAY_FIELD => {}
            "input" => {
                let turns = std::mem::take(&mut chat.turns);
                chat.turns = read_items::read(value, turns, &mut self.extras, &mut self.inside)?;
            }
            "previous_response_id" | "conversation" | "prompt" => return Err(stored(value, key)),
            "background" if value.as_bool()? => {
                return Err(value.unsupported(
                    "a background response is kept by the provider and cannot be translated; \
                     leave `background` out and stream instead",
                ));
            }
            "background" => {}
            // The default, said explicitly.
            "truncation" if &*value.as_str()? == "disabled" => {}
            "max_output_tokens" => {
                let tokens = value.as_u32()?;
                if tokens == 0 {
                    return Err(value.expected("a whole number from 1"));
                }
                chat.output_tokens_max = Some(tokens);
            }
            "tools" => {
                for tool in value.as_array()?.items() {
                    self.tool(tool)?;
                }
            }
            "tool_choice" => self.choice(value)?,
            "parallel_tool_calls" => chat.parallel_tool_calls = Some(value.as_bool()?),
            "text" => self.text(value)?,
            "reasoning" => self.reasoning(value)?,
            "include" => self.include(value)?,
            "top_logprobs" => self.top_logprobs = Some(value.as_u32()?),
            "temperature" => chat.sampling.temperature = Some(value.as_f64()?),
            "top_p" => chat.sampling.top_p = Some(value.as_f64()?),
            "stream_options" => {
                nested::keep_rest(value.as_object()?, &[], &mut self.extras);
            }
            _ => return self.label(key, value),
        }
        Ok(())
    }

    fn label(&mut self, key: &str, value: Json<'_>) -> Result<(), Fault> {
        let chat = &mut self.chat;
        match key {
            "user" => chat.user = Some(value.as_str()?.into_owned()),
            "safety_identifier" => self.safety_identifier = Some(value.as_str()?.into_owned()),
            "metadata" => {
                let pairs = value.as_object()?.members();
                chat.metadata = pairs
                    .map(|pair| Ok((pair.name().into_owned(), pair.value.as_str()?.into_owned())))
                    .collect::<Result<_, Fault>>()?;
            }
            "service_tier" => chat.service_tier = Some(value.as_str()?.into_owned()),
            "prompt_cache_key" => chat.prompt_cache_key = Some(value.as_str()?.into_owned()),
            "store" => chat.store = Some(value.as_bool()?),
            _ => self.extras.fields.push((key.to_owned(), value.to_raw())),
        }
        Ok(())
    }

    fn tool(&mut self, tool: Json<'_>) -> Result<(), Fault> {
        let path = format!("tools[{}]", self.chat.tools.len());
        let word = tool.as_object()?.need_str("type")?;
        let (kind, known): (ToolKind, &[&str]) = match &*word {
            "function" => {
                let schema = tool.opt_object("parameters")?;
                let kind = ToolKind::Function {
                    schema: schema.map(|schema| schema.to_raw()),
                };
                (
                    kind,
                    &["type", "name", "description", "parameters", "strict"],
                )
            }
            "custom" => {
                let format = tool.opt_object("format")?;
                let kind = ToolKind::Custom {
                    format: format.map(|format| format.to_raw()),
                };
                (kind, &["type", "name", "description", "format"])
            }
            _ => {
                self.chat.tools.push(Tool {
                    name: word.into_owned(),
                    description: None,
                    kind: ToolKind::Hosted {
                        dialect: ID,
                        json: tool.to_raw(),
                    },
                    strict: None,
                    cache: None,
                });
                return Ok(());
            }
        };
        for member in tool.members() {
            if !member.value.is_null() && !known.iter().any(|key| member.is(key)) {
                let full = format!("{path}.{}", member.name());
                self.extras.fields.push((full, member.value.to_raw()));
            }
        }
        self.chat.tools.push(Tool {
            name: tool.need_str("name")?.into_owned(),
            description: tool.opt_string("description")?,
            kind,
            strict: tool.opt_bool("strict")?,
            cache: None,
        });
        Ok(())
    }

    fn choice(&mut self, value: Json<'_>) -> Result<(), Fault> {
        let choice = match value.str().as_deref() {
            Some("auto") => ToolChoice::Auto,
            Some("none") => ToolChoice::None,
            Some("required") => ToolChoice::Required,
            Some(_) => {
                return Err(value.fault("expected `auto`, `none`, `required` or an object"));
            }
            None => match &*value.need_str("type")? {
                "function" | "custom" => ToolChoice::Tool {
                    name: value.need_str("name")?.into_owned(),
                },
                "allowed_tools" => match read_allowed(value)? {
                    Some(choice) => choice,
                    None => return self.keep_choice(value),
                },
                // A hosted tool, which only the vendor knows.
                _ => return self.keep_choice(value),
            },
        };
        self.chat.tool_choice = Some(choice);
        Ok(())
    }

    fn keep_choice(&mut self, value: Json<'_>) -> Result<(), Fault> {
        let field = ("tool_choice".to_owned(), value.to_raw());
        self.extras.fields.push(field);
        Ok(())
    }

    fn text(&mut self, text: Json<'_>) -> Result<(), Fault> {
        nested::keep_rest(
            text.as_object()?,
            &["format", "verbosity"],
            &mut self.extras,
        );
        self.chat.verbosity = text.opt_string("verbosity")?;
        if let Some(format) = text.opt_object("format")? {
            self.chat.format = self.format(format)?;
        }
        Ok(())
    }

    fn format(&mut self, format: Json<'_>) -> Result<OutputFormat, Fault> {
        let word = format.need("type")?;
        match &*word.as_str()? {
            "text" => Ok(OutputFormat::Text),
            "json_object" => Ok(OutputFormat::JsonObject),
            "json_schema" => {
                const KNOWN: &[&str] = &["type", "name", "description", "schema", "strict"];
                nested::keep_rest(format, KNOWN, &mut self.extras);
                Ok(OutputFormat::JsonSchema {
                    name: Some(format.need_str("name")?.into_owned()),
                    description: format.opt_string("description")?,
                    schema: format.need("schema")?.as_object()?.to_raw(),
                    strict: format.opt_bool("strict")?,
                })
            }
            _ => Err(word.fault("expected `text`, `json_object` or `json_schema`")),
        }
    }

    fn reasoning(&mut self, value: Json<'_>) -> Result<(), Fault> {
        const KNOWN: &[&str] = &["effort", "summary", "generate_summary"];
        nested::keep_rest(value.as_object()?, KNOWN, &mut self.extras);
        let effort = match value.opt_str("effort")? {
            None => None,
            Some(word) => Some(Effort::parse(&word).ok_or_else(|| {
                value.get("effort").unwrap_or(value).fault(
                    "unknown effort; expected `none`, `minimal`, `low`, `medium`, `high`, \
                     `xhigh` or `max`",
                )
            })?),
        };
        let summary = match value.opt_string("summary")? {
            Some(word) => Some(word),
            None => value.opt_string("generate_summary")?,
        };
        self.chat.reasoning = Some(Reasoning {
            mode: (effort == Some(Effort::None)).then_some(ReasoningMode::Disabled),
            effort,
            budget_tokens: None,
            summary,
        });
        Ok(())
    }

    fn include(&mut self, value: Json<'_>) -> Result<(), Fault> {
        let mut others = Vec::new();
        for word in value.as_array()?.items() {
            match &*word.as_str()? {
                SEALED => self.chat.reasoning_sealed = true,
                LOGPROBS => self.logprobs = true,
                _ => others.push(word.raw()),
            }
        }
        if !others.is_empty() {
            let raw = contract::RawJson::new(format!("[{}]", others.join(",")));
            self.extras.fields.push(("include".to_owned(), raw));
        }
        Ok(())
    }
}

/// Allowed tools; `None` if hosted ones are among them.
fn read_allowed(value: Json<'_>) -> Result<Option<ToolChoice>, Fault> {
    let mode = value.need("mode")?;
    let required = match &*mode.as_str()? {
        "auto" => false,
        "required" => true,
        _ => return Err(mode.fault("expected `auto` or `required`")),
    };
    let mut names = Vec::new();
    for tool in value.need("tools")?.as_array()?.items() {
        match tool.opt_string("name")? {
            Some(name) => names.push(name),
            None => return Ok(None),
        }
    }
    Ok(Some(ToolChoice::Allowed { names, required }))
}

fn stored(value: Json<'_>, key: &str) -> Fault {
    value.unsupported(format_args!(
        "`{key}` points at something that a provider stores, which cannot be carried to the \
         model that serves this request; send the whole conversation in `input`"
    ))
}
