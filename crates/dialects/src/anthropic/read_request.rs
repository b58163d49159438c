//! Reading a Messages request.

use contract::chat::{
    Chat, Effort, OutputFormat, Reasoning, ReasoningMode, Role, Tool, ToolChoice, ToolKind, Turn,
};
use contract::request::Task;
use contract::{Fault, Operation, Request};

use super::ID;
use super::content_read::BlockReader;
use crate::dialect::{GATEWAY_FIELD, Route};
use crate::json::Json;

/// See [`crate::Dialect::read_request`].
pub(super) fn read(route: &Route, body: Json<'_>) -> Result<Request, Fault> {
    let mut reader = RequestReader::default();
    for member in body.as_object()?.members() {
        let name = member.name();
        if name == GATEWAY_FIELD {
            continue;
        }
        if !reader.conversation(&name, member.value)? && !reader.setting(&name, member.value)? {
            let extras = &mut reader.blocks.extras;
            extras
                .fields
                .push((name.into_owned(), member.value.to_raw()));
        }
    }
    reader.finish(route, body)
}

#[derive(Debug, Default)]
struct RequestReader {
    blocks: BlockReader,
    chat: Chat,
    model: String,
    stream: bool,
    system: Option<Turn>,
}

impl RequestReader {
    fn finish(mut self, route: &Route, body: Json<'_>) -> Result<Request, Fault> {
        if self.model.is_empty() {
            body.need("model")?;
        }
        body.need("messages")?;
        if route.operation == Operation::Chat {
            body.need("max_tokens")?;
        }
        if let Some(system) = self.system {
            self.chat.turns.insert(0, system);
        }
        let chat = Box::new(self.chat);
        Ok(Request {
            dialect: ID,
            model: self.model,
            task: if route.operation == Operation::CountTokens {
                Task::CountTokens(chat)
            } else {
                Task::Chat(chat)
            },
            stream: self.stream,
            extras: self.blocks.extras,
        })
    }

    /// The envelope and what is said; `false` if the field is none of these.
    fn conversation(&mut self, name: &str, value: Json<'_>) -> Result<bool, Fault> {
        let known = matches!(name, "model" | "stream" | "messages" | "system" | "tools");
        if !known || value.is_null() {
            return Ok(known);
        }
        match name {
            "model" => {
                self.model = value.as_str()?.into_owned();
                if self.model.is_empty() {
                    return Err(value.fault("the name of the model is empty"));
                }
            }
            "stream" => self.stream = value.as_bool()?,
            "messages" => {
                if value.as_array()?.is_empty() {
                    return Err(value.fault("at least one message is required"));
                }
                for message in value.items() {
                    let turn = self.turn(message)?;
                    self.chat.turns.push(turn);
                }
            }
            "system" => {
                let parts = self.blocks.content(value)?;
                if !parts.is_empty() {
                    self.system = Some(Turn {
                        role: Role::System,
                        parts,
                        name: None,
                    });
                }
            }
            _ => {
                for tool in value.as_array()?.items() {
                    let tool = self.tool(tool)?;
                    self.chat.tools.push(tool);
                }
            }
        }
        Ok(true)
    }

    /// Everything else; `false` if the field is unknown.
    fn setting(&mut self, name: &str, value: Json<'_>) -> Result<bool, Fault> {
        const KNOWN: [&str; 12] = [
            "max_tokens",
            "stop_sequences",
            "temperature",
            "top_p",
            "top_k",
            "service_tier",
            "metadata",
            "cache_control",
            "tool_choice",
            "thinking",
            "output_config",
            "output_format",
        ];
        let known = KNOWN.contains(&name);
        if !known || value.is_null() {
            return Ok(known);
        }
        let chat = &mut self.chat;
        match name {
            "max_tokens" => chat.output_tokens_max = Some(value.as_u32()?),
            "stop_sequences" => {
                for stop in value.as_array()?.items() {
                    chat.stop.push(stop.as_str()?.into_owned());
                }
            }
            "temperature" => chat.sampling.temperature = Some(value.as_f64()?),
            "top_p" => chat.sampling.top_p = Some(value.as_f64()?),
            "top_k" => chat.sampling.top_k = Some(value.as_u32()?),
            "service_tier" => chat.service_tier = Some(value.as_str()?.into_owned()),
            "metadata" => {
                chat.user = value.as_object()?.opt_string("user_id")?;
                self.blocks.keep(value, &["user_id"]);
            }
            "tool_choice" => self.tool_choice(value)?,
            "thinking" => self.thinking(value)?,
            "output_config" => self.output_config(value)?,
            "output_format" => self.chat.format = self.format(value)?,
            _ => chat.cache = Some(self.blocks.mark(value)?),
        }
        Ok(true)
    }

    fn turn(&mut self, message: Json<'_>) -> Result<Turn, Fault> {
        let role = message.as_object()?.need("role")?;
        let role = match &*role.as_str()? {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => return Err(role.fault("a role is `user`, `assistant` or `system`")),
        };
        self.blocks.keep(message, &["role", "content"]);
        Ok(Turn {
            role,
            parts: self.blocks.content(message.need("content")?)?,
            name: None,
        })
    }

    fn tool(&mut self, tool: Json<'_>) -> Result<Tool, Fault> {
        let word = tool.as_object()?.opt_str("type")?;
        if let Some(word) = word.filter(|word| word != "custom") {
            let json = tool.to_raw();
            return Ok(Tool {
                name: word.into_owned(),
                description: None,
                kind: ToolKind::Hosted { dialect: ID, json },
                strict: None,
                cache: None,
            });
        }
        self.blocks.keep(
            tool,
            &[
                "type",
                "name",
                "description",
                "input_schema",
                "strict",
                "cache_control",
            ],
        );
        let schema = tool.need("input_schema")?.as_object()?;
        Ok(Tool {
            name: tool.need_str("name")?.into_owned(),
            description: tool.opt_string("description")?,
            kind: ToolKind::Function {
                schema: Some(schema.to_raw()),
            },
            strict: tool.opt_bool("strict")?,
            cache: self.blocks.cache_mark(tool)?,
        })
    }

    fn tool_choice(&mut self, choice: Json<'_>) -> Result<(), Fault> {
        let word = choice.as_object()?.need("type")?;
        self.chat.tool_choice = Some(match &*word.as_str()? {
            "auto" => ToolChoice::Auto,
            "any" => ToolChoice::Required,
            "none" => ToolChoice::None,
            "tool" => ToolChoice::Tool {
                name: choice.need_str("name")?.into_owned(),
            },
            _ => return Err(word.fault("a tool choice is `auto`, `any`, `tool` or `none`")),
        });
        let single = choice.opt_bool("disable_parallel_tool_use")?;
        self.chat.parallel_tool_calls = single.map(|single| !single);
        self.blocks
            .keep(choice, &["type", "name", "disable_parallel_tool_use"]);
        Ok(())
    }

    fn thinking(&mut self, thinking: Json<'_>) -> Result<(), Fault> {
        let word = thinking.as_object()?.need("type")?;
        let mode = match &*word.as_str()? {
            "adaptive" => ReasoningMode::Adaptive,
            "enabled" => ReasoningMode::Enabled,
            "disabled" => ReasoningMode::Disabled,
            "between_tools" => {
                // No other vendor has it: carried whole.
                let raw = thinking.to_raw();
                self.blocks.extras.fields.push(("thinking".to_owned(), raw));
                return Ok(());
            }
            _ => {
                return Err(word.fault(
                    "a thinking type is `adaptive`, `enabled`, `disabled` or `between_tools`",
                ));
            }
        };
        let reasoning = self.reasoning();
        reasoning.mode = Some(mode);
        if mode == ReasoningMode::Enabled {
            reasoning.budget_tokens = Some(thinking.need("budget_tokens")?.as_u32()?);
        }
        if let Some(display) = thinking.field("display") {
            reasoning.summary = Some(match &*display.as_str()? {
                "summarized" => "auto".to_owned(),
                "omitted" => "none".to_owned(),
                _ => return Err(display.fault("a display is `summarized` or `omitted`")),
            });
        }
        self.blocks
            .keep(thinking, &["type", "budget_tokens", "display"]);
        Ok(())
    }

    fn output_config(&mut self, config: Json<'_>) -> Result<(), Fault> {
        if let Some(effort) = config.as_object()?.field("effort") {
            let word = Effort::parse(&effort.as_str()?);
            let known = word.filter(|word| *word >= Effort::Low);
            self.reasoning().effort = Some(known.ok_or_else(|| {
                effort.fault("an effort is `low`, `medium`, `high`, `xhigh` or `max`")
            })?);
        }
        if let Some(format) = config.field("format") {
            self.chat.format = self.format(format)?;
        }
        self.blocks.keep(config, &["effort", "format"]);
        Ok(())
    }

    fn format(&mut self, format: Json<'_>) -> Result<OutputFormat, Fault> {
        let word = format.as_object()?.need("type")?;
        if word.as_str()? != "json_schema" {
            return Err(word.fault("the only output format is `json_schema`"));
        }
        self.blocks.keep(format, &["type", "schema"]);
        Ok(OutputFormat::JsonSchema {
            name: None,
            description: None,
            schema: format.need("schema")?.as_object()?.to_raw(),
            // The vendor always enforces it.
            strict: Some(true),
        })
    }

    fn reasoning(&mut self) -> &mut Reasoning {
        self.chat.reasoning.get_or_insert_with(Reasoning::default)
    }
}
