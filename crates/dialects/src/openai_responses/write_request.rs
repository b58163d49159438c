//! Writing a request for an upstream: everything but the items.

use contract::chat::{
    Chat, Effort, OutputFormat, Part, PartKind, Reasoning, ReasoningMode, Role, Tool, ToolChoice,
    ToolKind,
};
use contract::model::ReasoningStyle;
use contract::request::Task;
use contract::{Fault, Request};

use super::read_items::is_plain;
use super::{ID, write_items};
use crate::dialect::{Target, Written};
use crate::json::{self, ArrayWriter, ObjectWriter};
use crate::nested::Nested;
use crate::openai::{COMMON_EXTRAS, Losses, grammar, is_sibling, strict};

/// Fields below the top level, which no other format has at that place.
const NESTED: &[&str] = &["input[", "tools[", "text.", "reasoning.", "stream_options."];
const NO_SUCH_FIELD: &str = "Responses has no such field";

/// Writes a request.
pub(super) fn write(request: &Request, target: &Target<'_>) -> Result<Written, Fault> {
    let (chat, counts) = match &request.task {
        Task::Chat(chat) => (chat, false),
        Task::CountTokens(chat) => (chat, true),
        Task::Embed(_) => {
            return Err(Fault::unsupported(
                "Responses makes no embeddings. Choose a model that is served through the \
                 embeddings of Chat Completions.",
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
    let (instructions, turns) = match chat.turns.split_first() {
        Some((first, rest)) if first.role == Role::System && speaks(&first.parts, writer.own) => {
            if first.parts.iter().any(|part| part.cache.is_some()) {
                writer
                    .losses
                    .add("cache_control", write_items::NO_CACHE_MARK);
            }
            (Some(text_of(&first.parts)), rest)
        }
        _ => (None, chat.turns.as_slice()),
    };
    let own_nested = writer.own.then_some(&nested);
    let marks = is_sibling(request.dialect);
    let items = write_items::write(turns, own_nested, marks, target, &mut writer.losses)?;
    let body = json::object(|root| {
        root.str("model", &request.model);
        root.opt_str("instructions", instructions.as_deref());
        root.array("input", |array| {
            for item in &items {
                array.raw(item);
            }
        });
        writer.tools(root);
        writer.text(root);
        writer.reasoning(root);
        if !counts {
            writer.output(root);
            writer.labels(root);
        }
        writer.extras(root);
    });
    Ok(Written {
        body: body.into(),
        losses: writer.losses.settled(target.unsupported)?,
    })
}

/// Whether a leading system turn can be the instructions: texts only. Of our
/// own dialect, what was more than one plain text was an item and stays one.
fn speaks(parts: &[Part], own: bool) -> bool {
    if own {
        return is_plain(parts);
    }
    let is_text = |part: &Part| matches!(part.kind, PartKind::Text { .. });
    !parts.is_empty() && parts.iter().all(is_text)
}

fn text_of(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(|part| match &part.kind {
        PartKind::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n\n")
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
    /// What cannot be asked for at all, and what has no field.
    fn refuse(&mut self) -> Result<(), Fault> {
        let chat = self.chat;
        if let Some(modality) = chat.modalities.iter().find(|word| *word != "text") {
            return Err(Fault::unsupported(format!(
                "The chosen model is served through Responses, which cannot be asked for \
                 `{modality}` output. Ask for text, or choose another model."
            ))
            .at("modalities"));
        }
        let sampling = &chat.sampling;
        let missing = [
            ("n", chat.n.is_some_and(|n| n > 1)),
            ("stop", !chat.stop.is_empty()),
            ("top_k", sampling.top_k.is_some()),
            ("frequency_penalty", sampling.frequency_penalty.is_some()),
            ("presence_penalty", sampling.presence_penalty.is_some()),
            ("seed", sampling.seed.is_some()),
            ("logit_bias", sampling.logit_bias.is_some()),
            ("audio", chat.audio_out.is_some()),
        ];
        for (name, _) in missing.iter().filter(|(_, asked)| *asked) {
            self.losses.add(*name, NO_SUCH_FIELD);
        }
        if chat.cache.is_some() {
            self.losses.add("cache_control", write_items::NO_CACHE_MARK);
        }
        Ok(())
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
            if tool.cache.is_some() {
                self.losses.add("cache_control", write_items::NO_CACHE_MARK);
            }
            written.push((at, tool));
        }
        if !written.is_empty() {
            root.array("tools", |array| {
                for (at, tool) in &written {
                    let path = format!("tools[{at}]");
                    let nested = Some((self.nested, path.as_str())).filter(|_| self.own);
                    write_tool(array, tool, nested);
                }
            });
        }
        if !written.is_empty() || self.own {
            if let Some(choice) = &chat.tool_choice {
                write_choice(root, choice, &chat.tools);
            }
            root.opt_bool("parallel_tool_calls", chat.parallel_tool_calls);
        }
    }

    fn text(&mut self, root: &mut ObjectWriter<'_>) {
        let chat = self.chat;
        let fallback = OutputFormat::JsonObject;
        let fitted;
        let lacks = !self.target.card.capabilities.json_schema;
        let format = match &chat.format {
            OutputFormat::JsonSchema { .. } if lacks => {
                self.losses.add(
                    "json_schema",
                    "the model has no schema output; it is asked for a JSON object instead",
                );
                &fallback
            }
            format if self.own => format,
            format => {
                fitted = strict::fitted(format, &mut self.losses);
                &fitted
            }
        };
        let nested = self.own && self.nested.has("text");
        if *format == OutputFormat::Text && chat.verbosity.is_none() && !nested {
            return;
        }
        root.object("text", |text| {
            if *format != OutputFormat::Text {
                text.object("format", |object| {
                    write_format(object, format);
                    if self.own {
                        self.nested.put("text.format", object);
                    }
                });
            }
            text.opt_str("verbosity", chat.verbosity.as_deref());
            if self.own {
                self.nested.put("text", text);
            }
        });
    }

    fn reasoning(&mut self, root: &mut ObjectWriter<'_>) {
        let chat = self.chat;
        let Some(reasoning) = &chat.reasoning else {
            return;
        };
        let effort = effort_of(reasoning);
        let none = effort.is_none_or(|effort| effort == Effort::None);
        match self.target.card.capabilities.reasoning {
            // A model that cannot reason satisfies a wish for none.
            ReasoningStyle::None if none => return,
            ReasoningStyle::None => {
                return self.losses.add("reasoning", "the model cannot reason");
            }
            ReasoningStyle::Effort | ReasoningStyle::Budget => {}
        }
        // Other dialects show thoughts by themselves; here they must be asked
        // for.
        let asked = reasoning.summary.as_deref();
        let summary = match asked {
            Some("none") => None,
            Some(word) => Some(word),
            None if self.own || effort == Some(Effort::None) => None,
            None if is_sibling(self.request.dialect) => None,
            None => Some("auto"),
        };
        root.object("reasoning", |object| {
            object.opt_str("effort", effort.map(Effort::word));
            object.opt_str("summary", summary);
            if self.own {
                self.nested.put("reasoning", object);
            }
        });
    }

    fn output(&mut self, root: &mut ObjectWriter<'_>) {
        let chat = self.chat;
        root.opt_int("max_output_tokens", chat.output_tokens_max);
        let sampling = &chat.sampling;
        if self.target.card.capabilities.sampling {
            root.opt_float("temperature", sampling.temperature);
            root.opt_float("top_p", sampling.top_p);
        } else {
            let refused = [
                ("temperature", sampling.temperature.is_some()),
                ("top_p", sampling.top_p.is_some()),
            ];
            for (name, _) in refused.iter().filter(|(_, asked)| *asked) {
                self.losses
                    .add(*name, "the model refuses sampling parameters");
            }
        }
        root.opt_int("top_logprobs", chat.logprobs.filter(|top| *top > 0));
        self.include(root);
        if self.request.stream {
            root.bool("stream", true);
            if self.own && self.nested.has("stream_options") {
                root.object("stream_options", |object| {
                    self.nested.put("stream_options", object);
                });
            }
        }
    }

    /// What the answer should hold besides: encrypted reasoning for callers
    /// who send it back, which models that do not reason refuse.
    fn include(&mut self, root: &mut ObjectWriter<'_>) {
        let chat = self.chat;
        let reasons = chat
            .reasoning
            .as_ref()
            .is_some_and(|reasoning| effort_of(reasoning) != Some(Effort::None))
            && self.target.card.capabilities.reasoning != ReasoningStyle::None;
        let mut words = Vec::new();
        if chat.reasoning_sealed || (!self.own && reasons) {
            words.push(json::string("reasoning.encrypted_content"));
        }
        if chat.logprobs.is_some() {
            words.push(json::string("message.output_text.logprobs"));
        }
        if self.own {
            let others = self.request.extras.fields.iter();
            let others = others.filter(|(key, _)| key == "include");
            for (_, raw) in others {
                let inner = raw.as_str();
                words.push(inner[1..inner.len() - 1].to_owned());
            }
        }
        if !words.is_empty() {
            root.raw("include", &format!("[{}]", words.join(",")));
        }
    }

    fn labels(&mut self, root: &mut ObjectWriter<'_>) {
        let chat = self.chat;
        // Here a response is kept unless that is forbidden; callers of other
        // dialects did not ask for it.
        match chat.store {
            Some(store) => root.bool("store", store),
            None if self.own => {}
            None => root.bool("store", false),
        }
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
            Some(tier) if is_sibling(self.request.dialect) || tier == "auto" => {
                root.str("service_tier", tier);
            }
            Some(_) => self.losses.add("service_tier", "a tier of another vendor"),
        }
        root.opt_str("prompt_cache_key", chat.prompt_cache_key.as_deref());
    }

    fn extras(&mut self, root: &mut ObjectWriter<'_>) {
        let sibling = is_sibling(self.request.dialect);
        let is_nested = |key: &str| NESTED.iter().any(|place| key.starts_with(place));
        for (key, value) in &self.request.extras.fields {
            if self.own && key == "include" {
                continue;
            }
            if (self.own && !is_nested(key)) || (sibling && COMMON_EXTRAS.contains(&key.as_str())) {
                root.raw(key, value.as_str());
            } else if !self.own {
                self.losses.add(key.clone(), NO_SUCH_FIELD);
            }
        }
        if self.own {
            for key in self.nested.left().filter(|key| is_nested(key)) {
                self.losses.add(key.to_owned(), "it could not be put back");
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

/// A tool, with its unknown fields where they stood if it is our own.
pub(super) fn write_tool(
    array: &mut ArrayWriter<'_>,
    tool: &Tool,
    nested: Option<(&Nested<'_>, &str)>,
) {
    let put = |object: &mut ObjectWriter<'_>| {
        if let Some((nested, path)) = nested {
            nested.put(path, object);
        }
    };
    match &tool.kind {
        ToolKind::Function { schema } => array.object(|object| {
            object.str("type", "function");
            object.str("name", &tool.name);
            object.opt_str("description", tool.description.as_deref());
            match schema {
                Some(schema) => object.raw("parameters", schema.as_str()),
                None => object.null("parameters"),
            }
            // Left out, the vendor makes functions strict; no other dialect
            // does.
            let loose = nested.is_none().then_some(false);
            object.opt_bool("strict", tool.strict.or(loose));
            put(object);
        }),
        ToolKind::Custom { format } => array.object(|object| {
            object.str("type", "custom");
            object.str("name", &tool.name);
            object.opt_str("description", tool.description.as_deref());
            let flat = format.as_ref().map(grammar::flat);
            object.opt_raw("format", flat.as_ref());
            put(object);
        }),
        ToolKind::Hosted { json, .. } => array.raw(json.as_str()),
    }
}

/// The `tool_choice` member.
pub(super) fn write_choice(root: &mut ObjectWriter<'_>, choice: &ToolChoice, tools: &[Tool]) {
    match choice {
        ToolChoice::Auto => root.str("tool_choice", "auto"),
        ToolChoice::None => root.str("tool_choice", "none"),
        ToolChoice::Required => root.str("tool_choice", "required"),
        ToolChoice::Tool { name } => {
            root.object("tool_choice", |object| write_named(object, name, tools));
        }
        ToolChoice::Allowed { names, required } => root.object("tool_choice", |object| {
            object.str("type", "allowed_tools");
            object.str("mode", if *required { "required" } else { "auto" });
            object.array("tools", |array| {
                for name in names {
                    array.object(|object| write_named(object, name, tools));
                }
            });
        }),
    }
}

fn write_named(object: &mut ObjectWriter<'_>, name: &str, tools: &[Tool]) {
    let custom = tools
        .iter()
        .any(|tool| tool.name == name && matches!(tool.kind, ToolKind::Custom { .. }));
    object.str("type", if custom { "custom" } else { "function" });
    object.str("name", name);
}

/// The members of a text format.
pub(super) fn write_format(object: &mut ObjectWriter<'_>, format: &OutputFormat) {
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
            object.str("name", name.as_deref().unwrap_or("response"));
            object.opt_str("description", description.as_deref());
            object.raw("schema", schema.as_str());
            object.opt_bool("strict", *strict);
        }
    }
}
