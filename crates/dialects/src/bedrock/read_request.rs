//! Reading a Converse request.

use contract::chat::{
    Chat, Effort, OutputFormat, Reasoning, ReasoningMode, Role, Tool, ToolChoice, ToolKind, Turn,
};
use contract::request::Task;
use contract::{Fault, Operation, RawJson, Request};

use super::content_read::BlockReader;
use super::{ID, survey};
use crate::dialect::{GATEWAY_FIELD, Route};
use crate::json::Json;

/// See [`crate::Dialect::read_request`].
pub(super) fn read(route: &Route, body: Json<'_>) -> Result<Request, Fault> {
    let mut reader = RequestReader::default();
    let counting = route.operation == Operation::CountTokens;
    let body = if counting {
        survey::counted(body)?
    } else {
        body
    };
    for member in body.as_object()?.members() {
        if !member.value.is_null() {
            reader.field(&member.name(), member.value)?;
        }
    }
    body.need("messages")?;
    if let Some(system) = reader.system {
        reader.chat.turns.insert(0, system);
    }
    let chat = Box::new(reader.chat);
    Ok(Request {
        dialect: ID,
        model: survey::model(route)?.to_owned(),
        task: if counting {
            Task::CountTokens(chat)
        } else {
            Task::Chat(chat)
        },
        stream: route.stream.unwrap_or(false),
        extras: reader.blocks.extras,
    })
}

#[derive(Debug, Default)]
struct RequestReader {
    blocks: BlockReader,
    chat: Chat,
    system: Option<Turn>,
}

impl RequestReader {
    fn field(&mut self, name: &str, value: Json<'_>) -> Result<(), Fault> {
        match name {
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
                    self.system = Some(turn(Role::System, parts));
                }
            }
            "inferenceConfig" => self.inference(value)?,
            "toolConfig" => self.tools(value)?,
            "outputConfig" => self.output(value)?,
            "additionalModelRequestFields" => self.additional(value)?,
            "requestMetadata" => {
                for member in value.as_object()?.members() {
                    let said = member.value.as_str()?.into_owned();
                    self.chat.metadata.push((member.name().into_owned(), said));
                }
            }
            "serviceTier" => {
                self.blocks.keep(value.as_object()?, &["type"]);
                self.chat.service_tier = Some(value.need_str("type")?.into_owned());
            }
            GATEWAY_FIELD => {}
            _ => {
                let extras = &mut self.blocks.extras;
                extras.fields.push((name.to_owned(), value.to_raw()));
            }
        }
        Ok(())
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
        let content = message.need("content")?.as_array()?;
        if content.is_empty() {
            return Err(content.fault("a message holds at least one content block"));
        }
        Ok(turn(role, self.blocks.content(content)?))
    }

    fn inference(&mut self, config: Json<'_>) -> Result<(), Fault> {
        let config = config.as_object()?;
        if let Some(cap) = config.field("maxTokens") {
            let tokens = cap.as_u32()?;
            if tokens == 0 {
                return Err(cap.fault("at least one output token must be allowed"));
            }
            self.chat.output_tokens_max = Some(tokens);
        }
        self.chat.sampling.temperature = config.opt_f64("temperature")?;
        self.chat.sampling.top_p = config.opt_f64("topP")?;
        for stop in config
            .opt_array("stopSequences")?
            .iter()
            .flat_map(Json::items)
        {
            self.chat.stop.push(stop.as_str()?.into_owned());
        }
        self.blocks.keep(
            config,
            &["maxTokens", "temperature", "topP", "stopSequences"],
        );
        Ok(())
    }

    fn tools(&mut self, config: Json<'_>) -> Result<(), Fault> {
        for tool in config.as_object()?.need("tools")?.as_array()?.items() {
            self.tool(tool)?;
        }
        if let Some(choice) = config.opt_object("toolChoice")? {
            let known = choice
                .members()
                .find(|member| !member.value.is_null())
                .map(|member| (member.name(), member.value));
            self.chat.tool_choice = Some(match known {
                Some((word, _)) if word == "auto" => ToolChoice::Auto,
                Some((word, _)) if word == "any" => ToolChoice::Required,
                Some((word, tool)) if word == "tool" => ToolChoice::Tool {
                    name: tool.as_object()?.need_str("name")?.into_owned(),
                },
                Some(_) | None => {
                    return Err(choice.fault("a tool choice is `auto`, `any` or `tool`"));
                }
            });
        }
        self.blocks.keep(config, &["tools", "toolChoice"]);
        Ok(())
    }

    fn tool(&mut self, tool: Json<'_>) -> Result<(), Fault> {
        if let Some(point) = tool.as_object()?.field("cachePoint") {
            let mark = self.blocks.cache_point(point)?;
            if let Some(last) = self.chat.tools.last_mut() {
                last.cache = Some(mark);
                return Ok(());
            }
        }
        let Some(spec) = tool.field("toolSpec") else {
            let kind = tool.members().find(|member| !member.value.is_null());
            let name = kind.map_or_else(String::new, |member| member.name().into_owned());
            let json = tool.to_raw();
            self.chat.tools.push(Tool {
                name,
                description: None,
                kind: ToolKind::Hosted { dialect: ID, json },
                strict: None,
                cache: None,
            });
            return Ok(());
        };
        let known = ["name", "description", "inputSchema", "strict"];
        self.blocks.keep(spec.as_object()?, &known);
        let schema = spec.need("inputSchema")?.as_object()?;
        self.chat.tools.push(Tool {
            name: spec.need_str("name")?.into_owned(),
            description: spec.opt_string("description")?,
            kind: ToolKind::Function {
                schema: Some(schema.need("json")?.as_object()?.to_raw()),
            },
            strict: spec.opt_bool("strict")?,
            cache: None,
        });
        Ok(())
    }

    fn output(&mut self, config: Json<'_>) -> Result<(), Fault> {
        if let Some(effort) = config.as_object()?.field("effort") {
            let word = Effort::parse(&effort.as_str()?);
            self.reasoning().effort = Some(word.ok_or_else(|| {
                effort.fault("an effort is `low`, `medium`, `high`, `xhigh` or `max`")
            })?);
        }
        if let Some(format) = config.opt_object("textFormat")? {
            let kind = format.need("type")?;
            if kind.as_str()? != "json_schema" {
                return Err(kind.fault("the only text format is `json_schema`"));
            }
            let told = format.need("structure")?.as_object()?.need("jsonSchema")?;
            let schema = told.as_object()?.need("schema")?;
            self.chat.format = OutputFormat::JsonSchema {
                name: told.opt_string("name")?,
                description: told.opt_string("description")?,
                schema: embedded(schema)?,
                // The vendor always enforces it.
                strict: Some(true),
            };
            self.blocks.keep(format, &["type", "structure"]);
        }
        self.blocks.keep(config, &["effort", "textFormat"]);
        Ok(())
    }

    /// Fields of the model's own vendor. What the most used models take here
    /// is understood; the rest rides along.
    fn additional(&mut self, fields: Json<'_>) -> Result<(), Fault> {
        for member in fields.as_object()?.members() {
            let (name, value) = (member.name(), member.value);
            let understood = match &*name {
                "top_k" => {
                    let top_k = value.u64().and_then(|number| u32::try_from(number).ok());
                    self.chat.sampling.top_k = top_k;
                    top_k.is_some()
                }
                "thinking" => self.thinking(value),
                _ => false,
            };
            if !understood {
                self.blocks.extras.fields.push((
                    format!("additionalModelRequestFields.{name}"),
                    value.to_raw(),
                ));
            }
        }
        Ok(())
    }

    /// Whether the configuration was understood; others pass as they are.
    fn thinking(&mut self, thinking: Json<'_>) -> bool {
        let members = thinking.members().count();
        let word = thinking.field("type").and_then(|word| word.str());
        let budget = thinking
            .field("budget_tokens")
            .and_then(|budget| u32::try_from(budget.u64()?).ok());
        let (mode, budget) = match (word.as_deref(), members, budget) {
            (Some("adaptive"), 1, None) => (ReasoningMode::Adaptive, None),
            (Some("disabled"), 1, None) => (ReasoningMode::Disabled, None),
            (Some("enabled"), 2, Some(budget)) => (ReasoningMode::Enabled, Some(budget)),
            _ => return false,
        };
        let reasoning = self.reasoning();
        reasoning.mode = Some(mode);
        reasoning.budget_tokens = budget;
        true
    }

    fn reasoning(&mut self) -> &mut Reasoning {
        self.chat.reasoning.get_or_insert_with(Reasoning::default)
    }
}

fn turn(role: Role, parts: Vec<contract::Part>) -> Turn {
    Turn {
        role,
        parts,
        name: None,
    }
}

/// A schema that is told as a string of JSON.
fn embedded(schema: Json<'_>) -> Result<RawJson, Fault> {
    let text = schema.as_str()?;
    let mut tape = crate::json::Tape::default();
    tape.rescan(text.as_bytes(), &crate::json::Rules::REQUEST)
        .map_err(|flaw| {
            schema.fault(format_args!(
                "the schema is a string that must hold JSON, but {}",
                flaw.message()
            ))
        })?;
    Ok(RawJson::new(text.into_owned()))
}
