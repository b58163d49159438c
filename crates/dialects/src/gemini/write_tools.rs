//! Writing tools and how they may be called.

use contract::RawJson;
use contract::chat::{Tool, ToolChoice, ToolKind};

use super::write_parts::PartWriter;
use super::{ID, schema};
use crate::json::{self, ArrayWriter, ObjectWriter};
use crate::stand_in;

/// Tools as the vendor gets them.
#[derive(Debug, Default)]
pub(super) struct ToolSet {
    functions: Vec<String>,
    hosted: Vec<String>,
}

impl ToolSet {
    /// Whether no tool is on offer.
    pub(super) fn is_empty(&self) -> bool {
        self.functions.is_empty() && self.hosted.is_empty()
    }

    /// Writes the items of `tools`.
    pub(super) fn write(&self, array: &mut ArrayWriter<'_>) {
        if !self.functions.is_empty() {
            array.object(|out| {
                out.array("functionDeclarations", |array| {
                    self.functions.iter().for_each(|one| array.raw(one));
                });
            });
        }
        self.hosted.iter().for_each(|one| array.raw(one));
    }
}

impl PartWriter<'_> {
    /// The tools of a chat.
    pub(super) fn tools(&mut self, tools: &[Tool]) -> ToolSet {
        let mut set = ToolSet::default();
        for (index, tool) in tools.iter().enumerate() {
            let at = format!("tools[{index}]");
            if tool.cache.is_some() {
                self.losses
                    .declare("cache_control", "this vendor caches prefixes on its own");
            }
            if tool.strict == Some(true) {
                self.losses.declare(
                    format!("{at}.strict"),
                    "arguments follow the schema as well as the model can",
                );
            }
            match &tool.kind {
                ToolKind::Hosted { dialect, json } if *dialect == ID => {
                    set.hosted.push(json.as_str().to_owned());
                }
                ToolKind::Hosted { .. } => self
                    .losses
                    .declare(format!("{at} ({})", tool.name), "another vendor runs it"),
                ToolKind::Custom { format } => {
                    if format.is_some() {
                        self.losses
                            .declare(format!("{at}.format"), "there are no grammars here");
                    }
                    let schema = RawJson::new(stand_in::CUSTOM_SCHEMA);
                    set.functions.push(self.function(tool, Some(&schema), &at));
                }
                ToolKind::Function { schema } => {
                    set.functions
                        .push(self.function(tool, schema.as_ref(), &at));
                }
            }
        }
        set
    }

    fn function(&mut self, tool: &Tool, schema: Option<&RawJson>, at: &str) -> String {
        let schema = schema.map(|schema| self.schema(schema, &format!("{at}.parameters")));
        json::object(|out| {
            out.str("name", &tool.name);
            out.opt_str("description", tool.description.as_deref());
            match &schema {
                Some(Written::Json(schema)) => out.raw("parametersJsonSchema", schema),
                Some(Written::Own(schema)) => out.raw("parameters", schema),
                None => {}
            }
            self.nested.put(at, out);
        })
    }

    /// A schema in the form that the model takes; `at` names it in losses.
    pub(super) fn schema(&mut self, schema: &RawJson, at: &str) -> Written {
        if self.own || self.card.capabilities.json_schema {
            return Written::Json(schema.as_str().to_owned());
        }
        let mut lost = Vec::new();
        let own = schema::from_json_schema(schema, &mut lost);
        for keyword in lost {
            self.losses.declare(
                format!("{at} ({keyword})"),
                "older models do not know this keyword",
            );
        }
        Written::Own(own)
    }

    /// Writes `toolConfig`, if there is anything to say.
    pub(super) fn put_choice(
        &self,
        choice: Option<&ToolChoice>,
        offered: bool,
        out: &mut ObjectWriter<'_>,
    ) {
        let told = choice
            .filter(|_| offered || self.own)
            .map(|choice| match choice {
                ToolChoice::Auto => ("AUTO", &[][..]),
                ToolChoice::None => ("NONE", &[][..]),
                ToolChoice::Required => ("ANY", &[][..]),
                ToolChoice::Tool { name } => ("ANY", std::slice::from_ref(name)),
                ToolChoice::Allowed { names, required } => (
                    if *required { "ANY" } else { "VALIDATED" },
                    names.as_slice(),
                ),
            });
        let config = json::object(|out| {
            let calling = json::object(|out| {
                if let Some((mode, names)) = told {
                    out.str("mode", mode);
                    if !names.is_empty() {
                        out.strs("allowedFunctionNames", names);
                    }
                }
                self.nested.put("toolConfig.functionCallingConfig", out);
            });
            if calling != "{}" {
                out.raw("functionCallingConfig", &calling);
            }
            self.nested.put("toolConfig", out);
        });
        if config != "{}" {
            out.raw("toolConfig", &config);
        }
    }
}

/// A schema, written.
#[derive(Debug)]
pub(super) enum Written {
    /// As JSON Schema.
    Json(String),
    /// In the vendor's own form.
    Own(String),
}
