//! Writing tools, the tool choice and the output format.

use contract::RawJson;
use contract::chat::{Chat, OutputFormat, Tool, ToolChoice, ToolKind};

use super::ID;
use super::content_write::BlockWriter;
use crate::closed::closed;
use crate::json;
use crate::stand_in::{CUSTOM_SCHEMA, EMPTY_SCHEMA, FORMAT_TOOL, FORMAT_TOOL_USE, object_schema};

/// Tools and how they may be called.
#[derive(Debug, Default)]
pub(super) struct ToolSet {
    pub(super) tools: Vec<String>,
    pub(super) choice: Option<String>,
    /// The schema of the native output format.
    pub(super) format: Option<RawJson>,
    /// The answer must be JSON, which only words can ask for.
    pub(super) json_only: bool,
}

impl BlockWriter<'_> {
    /// Tools, tool choice and output format of a chat.
    pub(super) fn tool_set(&mut self, chat: &Chat) -> ToolSet {
        let mut set = ToolSet::default();
        for (index, tool) in chat.tools.iter().enumerate() {
            if is_allowed(chat, tool) {
                set.tools.extend(self.tool(tool, index));
            }
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
                schema,
                description,
                ..
            } => {
                if self.card.capabilities.json_schema || self.own {
                    if description.is_some() {
                        self.losses.declare(
                            "response_format.description",
                            "the native output format has no description",
                        );
                    }
                    set.format = Some(if self.own {
                        schema.clone()
                    } else {
                        closed(schema).schema
                    });
                } else {
                    set.tools.push(format_tool(schema, description.as_deref()));
                    forced = Some(set.tools.len() == 1);
                }
            }
        }
        if !set.tools.is_empty() || self.own {
            set.choice = self.choice(chat, forced);
        }
        set
    }

    fn tool(&mut self, tool: &Tool, index: usize) -> Option<String> {
        let at = format!("tools[{index}]");
        let schema = match &tool.kind {
            ToolKind::Hosted { dialect, json } => {
                if *dialect == ID {
                    return Some(json.as_str().to_owned());
                }
                self.losses
                    .declare(format!("{at} ({})", tool.name), "another vendor runs it");
                return None;
            }
            ToolKind::Function { schema } => schema
                .as_ref()
                .map_or_else(|| EMPTY_SCHEMA.to_owned(), object_schema),
            ToolKind::Custom { format } => {
                if format.is_some() {
                    self.losses
                        .declare(format!("{at}.format"), "there are no grammars here");
                }
                CUSTOM_SCHEMA.to_owned()
            }
        };
        Some(json::object(|out| {
            out.str("name", &tool.name);
            out.opt_str("description", tool.description.as_deref());
            out.raw("input_schema", &schema);
            // `false` is the vendor's default and is said only by its own
            // callers.
            if self.own || tool.strict == Some(true) {
                out.opt_bool("strict", tool.strict);
            }
            self.cache(tool.cache, &at, out);
            self.nested.put(&at, out);
        }))
    }

    /// `forced` tells that the output-format tool is on offer, and whether it
    /// is the only one.
    fn choice(&self, chat: &Chat, forced: Option<bool>) -> Option<String> {
        let one_at_a_time = chat.parallel_tool_calls.map(|parallel| !parallel);
        let (word, name) = match (forced, &chat.tool_choice) {
            (Some(true), _) | (Some(false), Some(ToolChoice::None)) => ("tool", Some(FORMAT_TOOL)),
            (Some(false), Some(ToolChoice::Tool { name }))
            | (None, Some(ToolChoice::Tool { name })) => ("tool", Some(name.as_str())),
            (Some(false), _) => ("any", None),
            (None, Some(ToolChoice::Auto)) => ("auto", None),
            (None, Some(ToolChoice::None)) => ("none", None),
            (None, Some(ToolChoice::Required)) => ("any", None),
            (None, Some(ToolChoice::Allowed { required, .. })) => {
                (if *required { "any" } else { "auto" }, None)
            }
            // The flag needs a choice to ride on.
            (None, None) if one_at_a_time == Some(true) => ("auto", None),
            (None, None) => return None,
        };
        Some(json::object(|out| {
            out.str("type", word);
            out.opt_str("name", name);
            if word != "none" {
                out.opt_bool("disable_parallel_tool_use", one_at_a_time);
            }
            self.nested.put("tool_choice", out);
        }))
    }
}

fn is_allowed(chat: &Chat, tool: &Tool) -> bool {
    match &chat.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => names.contains(&tool.name),
        Some(
            ToolChoice::Auto | ToolChoice::None | ToolChoice::Required | ToolChoice::Tool { .. },
        )
        | None => true,
    }
}

fn format_tool(schema: &RawJson, description: Option<&str>) -> String {
    json::object(|out| {
        out.str("name", FORMAT_TOOL);
        out.str("description", description.unwrap_or(FORMAT_TOOL_USE));
        out.raw("input_schema", &object_schema(schema));
    })
}
