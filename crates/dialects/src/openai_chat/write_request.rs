//! Writing a request for an upstream: everything but the messages.

use contract::chat::{
    Chat, Effort, OutputFormat, Reasoning, ReasoningMode, Tool, ToolChoice, ToolKind,
};
use contract::model::ReasoningStyle;
use contract::request::Task;
use contract::{Fault, Request};

use super::{ID, embed, quirks, write_turns};
use crate::dialect::{Target, Written};
use crate::json::{self, ArrayWriter, ObjectWriter};
use crate::nested::Nested;
use crate::openai::{COMMON_EXTRAS, Losses, grammar, is_sibling, strict};

/// Fields below the top level, which no other format has at that place.
const NESTED: &[&str] = &[
    "messages[",
    "tools[",
    "functions[",
    "response_format.",
    "stream_options.",
];

const NO_SUCH_FIELD: &str = "the target's format has no such field";

/// Writes a request.
pub(super) fn write(request: &Request, target: &Target<'_>) -> Result<Written, Fault> {
    let chat = match &request.task {
        Task::Chat(chat) => chat,
        Task::Embed(embed) => return embed::write_request(request, embed, target),
        Task::CountTokens(_) => {
            return Err(Fault::unsupported(
                "Chat Completions cannot count tokens. Choose a model that is served through \
                 another format, or count from the usage of an answer.",
            ));
        }
    };
    let nested = Nested::of_own(request, ID);
    let mut writer = Writer {
        request,
        chat,
        target,
        own: request.dialect == ID,
        nested: &nested,
        losses: Losses::told_to(request.dialect),
    };
    writer.refuse()?;
    let own_nested = writer.own.then_some(&nested);
    let marks = is_sibling(request.dialect);
    let messages = write_turns::write(chat, own_nested, marks, target, &mut writer.losses)?;
    let body = json::object(|root| {
        root.str("model", &request.model);
        root.array("messages", |array| {
            for message in &messages {
                array.raw(message);
            }
        });
        writer.tools(root);
        writer.output(root);
        writer.sampling(root);
        writer.reasoning(root);
        writer.labels(root);
        writer.stream(root);
        writer.extras(root);
    });
    Ok(Written {
        body: body.into(),
        losses: writer.losses.settled(target.unsupported)?,
    })
}

struct Writer<'r> {
    request: &'r Request,
    chat: &'r Chat,
    target: &'r Target<'r>,
    /// The request came in this dialect.
    own: bool,
    nested: &'r Nested<'r>,
    losses: Losses,
}

impl Writer<'_> {
    /// What cannot be asked for at all.
    fn refuse(&self) -> Result<(), Fault> {
        let foreign = |modality: &&String| !self.own && modality.as_str() != "text";
        match self.chat.modalities.iter().find(foreign) {
            Some(modality) => Err(Fault::unsupported(format!(
                "The chosen model is served through Chat Completions, which cannot be asked for \
                 `{modality}` output from here. Ask for text, or choose another model."
            ))
            .at("modalities")),
            None => Ok(()),
        }
    }

    fn tools(&mut self, root: &mut ObjectWriter<'_>) {
        let chat = self.chat;
        let mut written = Vec::new();
        for (at, tool) in chat.tools.iter().enumerate() {
            if let ToolKind::Hosted { dialect, .. } = &tool.kind
                && *dialect != ID
            {
                self.losses.add(
                    format!("tools.{}", tool.name),
                    "the tool is run by another vendor",
                );
                continue;
            }
            if tool.cache.is_some() && !self.own {
                self.losses.add("cache_control", write_turns::NO_CACHE_MARK);
            }
            written.push((at, tool));
        }
        if !written.is_empty() {
            root.array("tools", |array| {
                for (at, tool) in &written {
                    self.tool(array, *at, tool);
                }
            });
        }
        // Without tools the vendor refuses both of these.
        if !written.is_empty() || self.own {
            if let Some(choice) = &chat.tool_choice {
                write_choice(root, choice, &written);
            }
            root.opt_bool("parallel_tool_calls", chat.parallel_tool_calls);
        }
    }

    /// A tool, with its unknown fields where they stood if it is our own.
    fn tool(&self, array: &mut ArrayWriter<'_>, at: usize, tool: &Tool) {
        let put = |path: String, object: &mut ObjectWriter<'_>| {
            if self.own {
                self.nested.put(&path, object);
            }
        };
        match &tool.kind {
            ToolKind::Function { schema } => array.object(|object| {
                object.str("type", "function");
                object.object("function", |function| {
                    function.str("name", &tool.name);
                    function.opt_str("description", tool.description.as_deref());
                    function.opt_raw("parameters", schema.as_ref());
                    function.opt_bool("strict", tool.strict);
                    put(format!("tools[{at}].function"), function);
                    put(format!("functions[{at}]"), function);
                });
                write_turns::write_cache(object, tool.cache.filter(|_| self.own));
                put(format!("tools[{at}]"), object);
            }),
            ToolKind::Custom { format } => array.object(|object| {
                object.str("type", "custom");
                let nested = format.as_ref().map(grammar::nested);
                object.object("custom", |custom| {
                    custom.str("name", &tool.name);
                    custom.opt_str("description", tool.description.as_deref());
                    custom.opt_raw("format", nested.as_ref());
                    put(format!("tools[{at}].custom"), custom);
                });
            }),
            ToolKind::Hosted { json, .. } => array.raw(json.as_str()),
        }
    }

    fn output(&mut self, root: &mut ObjectWriter<'_>) {
        let chat = self.chat;
        match &chat.format {
            OutputFormat::Text => {}
            OutputFormat::JsonSchema { .. } if !self.target.card.capabilities.json_schema => {
                self.losses.add(
                    "json_schema",
                    "the model has no schema output; it is asked for a JSON object instead",
                );
                root.object("response_format", |format| {
                    format.str("type", "json_object")
                });
            }
            format if self.own => root.object("response_format", |object| {
                write_format(object, format, Some(self.nested));
            }),
            format => {
                let fitted = strict::fitted(format, &mut self.losses);
                root.object("response_format", |object| {
                    write_format(object, &fitted, None)
                });
            }
        }
        let cap = self.target.quirks.output_cap.unwrap_or(quirks::OUTPUT_CAP);
        root.opt_int(cap, chat.output_tokens_max);
        match chat.stop.as_slice() {
            [] => {}
            [one] => root.str("stop", one),
            several => root.strs("stop", several),
        }
        root.opt_int("n", chat.n.filter(|n| *n > 1));
        if let Some(top) = chat.logprobs {
            root.bool("logprobs", true);
            root.opt_int("top_logprobs", Some(top).filter(|top| *top > 0));
        }
        if !chat.modalities.is_empty() {
            root.strs("modalities", &chat.modalities);
        }
        if self.own {
            root.opt_raw("audio", chat.audio_out.as_ref());
        } else if chat.audio_out.is_some() {
            self.losses.add("audio", "the voice of another vendor");
        }
        root.opt_str("verbosity", chat.verbosity.as_deref());
    }

    fn sampling(&mut self, root: &mut ObjectWriter<'_>) {
        let sampling = &self.chat.sampling;
        if self.target.card.capabilities.sampling {
            root.opt_float("temperature", sampling.temperature);
            root.opt_float("top_p", sampling.top_p);
            if self.own {
                root.opt_int("top_k", sampling.top_k);
            } else if sampling.top_k.is_some() {
                self.losses
                    .add("top_k", "Chat Completions has no such field");
            }
        } else {
            let refused = [
                ("temperature", sampling.temperature.is_some()),
                ("top_p", sampling.top_p.is_some()),
                ("top_k", sampling.top_k.is_some()),
            ];
            for (name, _) in refused.iter().filter(|(_, asked)| *asked) {
                self.losses
                    .add(*name, "the model refuses sampling parameters");
            }
        }
        root.opt_float("frequency_penalty", sampling.frequency_penalty);
        root.opt_float("presence_penalty", sampling.presence_penalty);
        root.opt_int("seed", sampling.seed);
        if self.own {
            root.opt_raw("logit_bias", sampling.logit_bias.as_ref());
        } else if sampling.logit_bias.is_some() {
            self.losses
                .add("logit_bias", "token ids differ among vendors");
        }
    }

    fn reasoning(&mut self, root: &mut ObjectWriter<'_>) {
        let Some(reasoning) = &self.chat.reasoning else {
            return;
        };
        if let Some(summary) = &reasoning.summary
            && summary != "none"
        {
            self.losses
                .add("reasoning.summary", "Chat Completions has no such field");
        }
        let effort = effort_of(reasoning);
        match self.target.card.capabilities.reasoning {
            ReasoningStyle::Effort | ReasoningStyle::Budget => {
                root.opt_str("reasoning_effort", effort.map(Effort::word));
            }
            // A model that cannot reason satisfies a wish for none.
            ReasoningStyle::None if effort.is_none_or(|effort| effort == Effort::None) => {}
            ReasoningStyle::None => self.losses.add("reasoning", "the model cannot reason"),
        }
    }

    fn labels(&mut self, root: &mut ObjectWriter<'_>) {
        let chat = self.chat;
        root.opt_str("user", chat.user.as_deref());
        if !chat.metadata.is_empty() {
            root.object("metadata", |object| {
                for (key, value) in &chat.metadata {
                    object.str(key, value);
                }
            });
        }
        match chat.service_tier.as_deref() {
            None => {}
            Some("standard_only") => root.str("service_tier", "default"),
            Some(tier) if self.own || is_sibling(self.request.dialect) || tier == "auto" => {
                root.str("service_tier", tier);
            }
            Some(_) => self.losses.add("service_tier", "a tier of another vendor"),
        }
        // Only siblings say it; a target of this format keeps nothing unasked.
        root.opt_bool("store", chat.store.filter(|store| *store || self.own));
        root.opt_str("prompt_cache_key", chat.prompt_cache_key.as_deref());
        if chat.cache.is_some() {
            self.losses.add("cache_control", write_turns::NO_CACHE_MARK);
        }
    }

    fn stream(&mut self, root: &mut ObjectWriter<'_>) {
        if !self.request.stream {
            return;
        }
        root.bool("stream", true);
        if self.target.quirks.usage_unasked {
            return;
        }
        // Usage settles the books; every translated stream asks for it.
        root.object("stream_options", |object| {
            object.bool("include_usage", true);
            if self.own {
                self.nested.put("stream_options", object);
            }
        });
    }

    fn extras(&mut self, root: &mut ObjectWriter<'_>) {
        let sibling = is_sibling(self.request.dialect);
        let is_nested = |key: &str| NESTED.iter().any(|place| key.starts_with(place));
        for (key, value) in &self.request.extras.fields {
            if (self.own && !is_nested(key)) || (sibling && COMMON_EXTRAS.contains(&key.as_str())) {
                root.raw(key, value.as_str());
            } else if !self.own {
                self.losses.add(key.clone(), NO_SUCH_FIELD);
            }
        }
        if self.own {
            for key in self.nested.left().filter(|key| is_nested(key)) {
                self.losses.add(key.to_owned(), NO_SUCH_FIELD);
            }
        }
    }
}

/// The effort that stands for a wish, if it names one.
fn effort_of(reasoning: &Reasoning) -> Option<Effort> {
    match (reasoning.mode, reasoning.effort, reasoning.budget_tokens) {
        (Some(ReasoningMode::Disabled), _, _) => Some(Effort::None),
        (_, Some(effort), _) => Some(effort),
        (_, None, Some(tokens)) => Some(Effort::from_budget(tokens)),
        (Some(ReasoningMode::Adaptive | ReasoningMode::Enabled) | None, None, None) => None,
    }
}

fn write_choice(root: &mut ObjectWriter<'_>, choice: &ToolChoice, tools: &[(usize, &Tool)]) {
    match choice {
        ToolChoice::Auto => root.str("tool_choice", "auto"),
        ToolChoice::None => root.str("tool_choice", "none"),
        ToolChoice::Required => root.str("tool_choice", "required"),
        ToolChoice::Tool { name } => {
            root.object("tool_choice", |object| write_named(object, name, tools));
        }
        ToolChoice::Allowed { names, required } => root.object("tool_choice", |object| {
            object.str("type", "allowed_tools");
            object.object("allowed_tools", |allowed| {
                allowed.str("mode", if *required { "required" } else { "auto" });
                allowed.array("tools", |array| {
                    for name in names {
                        array.object(|object| write_named(object, name, tools));
                    }
                });
            });
        }),
    }
}

fn write_named(object: &mut ObjectWriter<'_>, name: &str, tools: &[(usize, &Tool)]) {
    let custom = tools
        .iter()
        .any(|(_, tool)| tool.name == name && matches!(tool.kind, ToolKind::Custom { .. }));
    let kind = if custom { "custom" } else { "function" };
    object.str("type", kind);
    object.object(kind, |named| named.str("name", name));
}

fn write_format(object: &mut ObjectWriter<'_>, format: &OutputFormat, nested: Option<&Nested<'_>>) {
    match format {
        OutputFormat::Text => object.str("type", "text"),
        OutputFormat::JsonObject => object.str("type", "json_object"),
        OutputFormat::JsonSchema {
            name,
            description,
            schema,
            strict,
        } => {
            object.str("type", "json_schema");
            object.object("json_schema", |inner| {
                inner.str("name", name.as_deref().unwrap_or("response"));
                inner.opt_str("description", description.as_deref());
                inner.raw("schema", schema.as_str());
                inner.opt_bool("strict", *strict);
                if let Some(nested) = nested {
                    nested.put("response_format.json_schema", inner);
                }
            });
        }
    }
}
