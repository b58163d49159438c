//! Writing tools, the tool choice and the output format.

use contract::RawJson;
use contract::chat::{Chat, OutputFormat, PartKind, Tool, ToolChoice, ToolKind};

use super::ID;
use super::content_write::{BlockWriter, cache_point};
use crate::closed::closed;
use crate::json;
use crate::stand_in::{CUSTOM_SCHEMA, EMPTY_SCHEMA, FORMAT_TOOL, FORMAT_TOOL_USE, object_schema};

/// Tools and how they may be called.
#[derive(Debug, Default)]
pub(super) struct ToolSet {
    pub(super) tools: Vec<String>,
    pub(super) choice: Option<String>,
    /// The native output format.
    pub(super) format: Option<String>,
    /// The answer must be JSON, which only words can ask for.
    pub(super) json_only: bool,
}

impl BlockWriter<'_> {
    /// Tools, tool choice and output format of a chat.
    pub(super) fn tool_set(&mut self, chat: &Chat) -> ToolSet {
        let mut set = ToolSet::default();
        let mut choice = chat.tool_choice.clone();
        if choice == Some(ToolChoice::None) {
            choice = None;
            if has_tool_blocks(chat) {
                self.losses.declare(
                    "tool_choice",
                    "there is no `none`, and earlier tool calls need the tools declared",
                );
                self.tools(chat, &mut set);
            }
        } else {
            self.tools(chat, &mut set);
        }
        if set.tools.is_empty() && !self.own {
            self.stand_ins(chat, &mut set);
        }
        let mut forced = None;
        match &chat.format {
            OutputFormat::Text => {}
            OutputFormat::JsonObject => {
                self.losses.declare(
                    "response_format",
                    "JSON is asked for in words, not enforced",
                );
                set.json_only = true;
            }
            OutputFormat::JsonSchema {
                name,
                description,
                schema,
                ..
            } => {
                if self.own || self.card.capabilities.json_schema {
                    let shut = (!self.own).then(|| closed(schema).schema);
                    let schema = shut.as_ref().unwrap_or(schema);
                    set.format = Some(text_format(name.as_deref(), description.as_deref(), schema));
                } else {
                    let alone = set.tools.is_empty();
                    let what = description.as_deref().unwrap_or(FORMAT_TOOL_USE);
                    set.tools.push(tool_spec(
                        FORMAT_TOOL,
                        Some(what),
                        &object_schema(schema),
                        None,
                    ));
                    forced = Some(alone);
                }
            }
        }
        if !set.tools.is_empty() {
            set.choice = choice_word(choice.as_ref(), forced);
        }
        if chat.parallel_tool_calls == Some(false) && !set.tools.is_empty() {
            self.losses
                .declare("parallel_tool_calls", "the Converse API cannot forbid them");
        }
        set
    }

    fn tools(&mut self, chat: &Chat, set: &mut ToolSet) {
        for (index, tool) in chat.tools.iter().enumerate() {
            let allowed = match &chat.tool_choice {
                Some(ToolChoice::Allowed { names, .. }) => names.contains(&tool.name),
                Some(
                    ToolChoice::Auto
                    | ToolChoice::None
                    | ToolChoice::Required
                    | ToolChoice::Tool { .. },
                )
                | None => true,
            };
            if !allowed {
                continue;
            }
            if let Some(written) = self.tool(tool, index) {
                set.tools.push(written);
                set.tools.extend(tool.cache.map(cache_point));
            }
        }
    }

    fn tool(&mut self, tool: &Tool, index: usize) -> Option<String> {
        let schema = match &tool.kind {
            ToolKind::Hosted { dialect, json } => {
                if *dialect == ID {
                    return Some(json.as_str().to_owned());
                }
                let what = format!("tools[{index}] ({})", tool.name);
                self.losses.declare(what, "another vendor runs it");
                return None;
            }
            ToolKind::Function { schema } => schema
                .as_ref()
                .map_or_else(|| EMPTY_SCHEMA.to_owned(), object_schema),
            ToolKind::Custom { format } => {
                if format.is_some() {
                    let what = format!("tools[{index}].format");
                    self.losses.declare(what, "there are no grammars here");
                }
                CUSTOM_SCHEMA.to_owned()
            }
        };
        let strict = tool.strict.filter(|strict| *strict || self.own);
        let description = tool.description.as_deref();
        let at = format!("toolConfig.tools[{index}].toolSpec");
        if !self.nested.has(&at) {
            return Some(tool_spec(&tool.name, description, &schema, strict));
        }
        Some(json::object(|out| {
            out.object("toolSpec", |out| {
                put_spec(out, &tool.name, description, &schema, strict);
                self.nested.put(&at, out);
            });
        }))
    }

    /// Declares the tools of earlier calls where the caller offers none any
    /// more: the vendor refuses tool blocks without declarations.
    fn stand_ins(&mut self, chat: &Chat, set: &mut ToolSet) {
        let mut names: Vec<&str> = Vec::new();
        for part in chat.turns.iter().flat_map(|turn| &turn.parts) {
            if let PartKind::ToolCall(call) = &part.kind
                && !names.contains(&call.name.as_str())
            {
                names.push(&call.name);
            }
        }
        if names.is_empty() {
            return;
        }
        self.losses.declare(
            "tools",
            "earlier tool calls need the tools declared; they are offered without a schema",
        );
        for name in names {
            set.tools.push(tool_spec(name, None, EMPTY_SCHEMA, None));
        }
    }
}

fn has_tool_blocks(chat: &Chat) -> bool {
    let parts = chat.turns.iter().flat_map(|turn| &turn.parts);
    parts
        .into_iter()
        .any(|part| matches!(part.kind, PartKind::ToolCall(_) | PartKind::ToolResult(_)))
}

/// `forced` tells that the output-format tool is on offer, and whether it is
/// the only one.
fn choice_word(choice: Option<&ToolChoice>, forced: Option<bool>) -> Option<String> {
    let (word, name) = match (forced, choice) {
        (Some(true), _) => ("tool", Some(FORMAT_TOOL)),
        (_, Some(ToolChoice::Tool { name })) => ("tool", Some(name.as_str())),
        (Some(false), _) | (None, Some(ToolChoice::Required)) => ("any", None),
        (None, Some(ToolChoice::Allowed { required: true, .. })) => ("any", None),
        (None, Some(ToolChoice::Auto | ToolChoice::Allowed { .. })) => ("auto", None),
        (None, Some(ToolChoice::None) | None) => return None,
    };
    Some(json::object(|out| {
        out.object(word, |out| out.opt_str("name", name));
    }))
}

fn tool_spec(name: &str, description: Option<&str>, schema: &str, strict: Option<bool>) -> String {
    json::object(|out| {
        out.object("toolSpec", |out| {
            put_spec(out, name, description, schema, strict);
        });
    })
}

fn put_spec(
    out: &mut json::ObjectWriter<'_>,
    name: &str,
    description: Option<&str>,
    schema: &str,
    strict: Option<bool>,
) {
    out.str("name", name);
    // An empty description is refused.
    out.opt_str("description", description.filter(|text| !text.is_empty()));
    out.object("inputSchema", |out| out.raw("json", schema));
    out.opt_bool("strict", strict);
}

fn text_format(name: Option<&str>, description: Option<&str>, schema: &RawJson) -> String {
    json::object(|out| {
        out.str("type", "json_schema");
        out.object("structure", |out| {
            out.object("jsonSchema", |out| {
                // The schema is told as a string here.
                out.str("schema", schema.as_str());
                out.opt_str("name", name);
                out.opt_str("description", description);
            });
        });
    })
}
