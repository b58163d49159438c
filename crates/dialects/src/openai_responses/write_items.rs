//! Writing turns as input items.

use contract::Fault;
use contract::chat::{
    CacheMark, CacheTtl, Media, Part, PartKind, Role, ToolCall, ToolResult, Turn,
};

use super::ID;
use super::proof::{self, Proof};
use super::read_items::is_said;
use crate::dialect::Target;
use crate::json::{self, ObjectWriter};
use crate::nested::Nested;
use crate::openai::{Losses, is_foreign, media};

/// Why a cache marker of another dialect is not written: only the newest
/// models of the vendor take markers, others refuse them.
pub(super) const NO_CACHE_MARK: &str = "the target caches prefixes by itself, without markers";

/// Writes items, each as JSON text. `nested` is given for requests that came
/// in this dialect; `marks` says that cache markers are of this vendor.
pub(super) fn write(
    turns: &[Turn],
    nested: Option<&Nested<'_>>,
    marks: bool,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<Vec<String>, Fault> {
    let mut writer = Writer {
        own: nested.is_some(),
        nested,
        marks,
        target,
        losses,
        items: Vec::new(),
    };
    for turn in turns {
        writer.turn(turn)?;
    }
    Ok(writer.items)
}

struct Writer<'w> {
    /// The request came in this dialect.
    own: bool,
    /// Then: its unknown fields, to be put back.
    nested: Option<&'w Nested<'w>>,
    /// Cache markers are of this vendor and can be written.
    marks: bool,
    target: &'w Target<'w>,
    losses: &'w mut Losses,
    items: Vec<String>,
}

impl Writer<'_> {
    fn turn(&mut self, turn: &Turn) -> Result<(), Fault> {
        if turn.name.is_some() {
            self.losses.add("name", "items name no participants");
        }
        if turn.role == Role::Assistant {
            return self.assistant(&turn.parts);
        }
        // Results must stand before what the user says about them.
        for part in &turn.parts {
            if let PartKind::ToolResult(result) = &part.kind {
                self.output(result, part)?;
            }
        }
        let said = turn.parts.iter();
        let said: Vec<&Part> = said
            .filter(|part| !matches!(part.kind, PartKind::ToolResult(_)))
            .collect();
        if said.is_empty() && !turn.parts.is_empty() {
            return Ok(());
        }
        let role = match turn.role {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User | Role::Assistant => "user",
        };
        let content = self.content(&said, "content")?;
        self.push(|item| {
            item.str("type", "message");
            item.str("role", role);
            item.raw("content", &content);
        });
        Ok(())
    }

    /// The path of the item that is written next.
    fn path(&self) -> String {
        format!("input[{}]", self.items.len())
    }

    fn push(&mut self, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        let path = self.path();
        let nested = self.nested;
        self.items.push(json::object(|item| {
            write(item);
            if let Some(nested) = nested {
                nested.put(&path, item);
            }
        }));
    }

    fn assistant(&mut self, parts: &[Part]) -> Result<(), Fault> {
        let mut parts = parts;
        while let Some(part) = parts.first() {
            let mut taken = 1;
            match &part.kind {
                PartKind::Text { .. } | PartKind::Refusal { .. } => {
                    taken = parts.iter().take_while(|part| is_said(part)).count();
                    self.said(&parts[..taken]);
                }
                PartKind::Thinking { text } => self.thinking(part, text),
                PartKind::RedactedThinking => self.losses.add(
                    "redacted_thinking",
                    "reasoning of another vendor means nothing to this target",
                ),
                PartKind::ToolCall(call) => self.call(call, part),
                PartKind::Opaque { dialect, json, .. } if *dialect == ID => {
                    // Already as it came, its unknown fields included.
                    self.items.push(json.as_str().to_owned());
                }
                PartKind::Opaque { what, .. } => self
                    .losses
                    .add(what.clone(), "only its own vendor understands it"),
                PartKind::Image { .. }
                | PartKind::Audio { .. }
                | PartKind::File { .. }
                | PartKind::ToolResult(_) => self
                    .losses
                    .add("assistant media", "the model's own items hold text only"),
            }
            parts = &parts[taken..];
        }
        Ok(())
    }

    /// A message of the model: with its id as the vendor made it, else in
    /// the short form.
    fn said(&mut self, parts: &[Part]) {
        for part in parts {
            self.note(part);
        }
        let id = parts.first().and_then(|part| part.id.as_deref());
        let id = id.filter(|_| self.own);
        let refused = parts
            .iter()
            .any(|part| matches!(part.kind, PartKind::Refusal { .. }));
        if id.is_none() && !refused {
            let text: String = parts.iter().filter_map(text_of).collect();
            return self.push(|item| {
                item.str("type", "message");
                item.str("role", "assistant");
                item.str("content", &text);
            });
        }
        let own = self.own;
        self.push(|item| {
            item.str("type", "message");
            item.opt_str("id", id);
            item.str("role", "assistant");
            item.str("status", "completed");
            item.array("content", |array| {
                for part in parts {
                    array.object(|object| write_said(object, part, own));
                }
            });
        });
    }

    fn thinking(&mut self, part: &Part, text: &str) {
        let proof = part.signature.as_ref().and_then(Proof::of);
        // Without the encrypted form the vendor would look for the item among
        // those it stores; only a caller of our own dialect can mean that.
        let usable = proof.filter(|proof| self.own || !proof.encrypted.is_empty());
        let Some(proof) = usable else {
            return self.losses.add(
                "thinking",
                "reasoning of another vendor means nothing to this target",
            );
        };
        let encrypted = Some(proof.encrypted).filter(|text| !text.is_empty());
        self.push(|item| proof::write(item, proof.id, text, proof.place, encrypted));
    }

    fn call(&mut self, call: &ToolCall, part: &Part) {
        if is_foreign(part.signature.as_ref(), ID) {
            self.losses
                .add("thought signature", "a token of another vendor");
        }
        let id = part.id.as_deref().filter(|_| self.own);
        self.push(|item| {
            write_call(item, call, &call.id, id);
        });
    }

    fn output(&mut self, result: &ToolResult, part: &Part) -> Result<(), Fault> {
        if part.cache.is_some() && !self.marks {
            self.losses.add("cache_control", NO_CACHE_MARK);
        }
        if result.is_error {
            self.losses
                .add("is_error", "an output item cannot be marked as failed");
        }
        let parts: Vec<&Part> = result.parts.iter().collect();
        let output = match &result.json {
            Some(raw) if parts.is_empty() => json::string(raw.as_str()),
            Some(_) | None => self.content(&parts, "output")?,
        };
        let kind = if result.custom {
            "custom_tool_call_output"
        } else {
            "function_call_output"
        };
        let own = self.own;
        self.push(|item| {
            item.str("type", kind);
            item.opt_str("id", part.id.as_deref().filter(|_| own));
            item.str("call_id", &result.call_id);
            item.opt_str("name", result.name.as_deref().filter(|_| own));
            item.raw("output", &output);
        });
        Ok(())
    }

    /// Content as a string where plain text allows it, else as parts.
    fn content(&mut self, parts: &[&Part], list: &str) -> Result<String, Fault> {
        let path = format!("{}.{list}", self.path());
        if parts.is_empty() {
            return Ok(json::string(""));
        }
        let bare = self
            .nested
            .is_none_or(|nested| !nested.has(&format!("{path}[0]")));
        if let [one] = parts
            && let PartKind::Text { text, .. } = &one.kind
            && bare
            && (one.cache.is_none() || !self.marks)
        {
            self.note(one);
            return Ok(json::string(text));
        }
        let mut written = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            written.extend(self.part(part, &format!("{path}[{at}]"))?);
        }
        Ok(json::array(|array| {
            for part in &written {
                array.raw(part);
            }
        }))
    }

    /// Declares what a part cannot take along.
    fn note(&mut self, part: &Part) {
        if part.cache.is_some() && !self.marks {
            self.losses.add("cache_control", NO_CACHE_MARK);
        }
        if let PartKind::Text { citations, .. } = &part.kind
            && !citations.is_empty()
            && !self.own
        {
            self.losses
                .add("citations", "sources of another vendor's answer");
        }
        if is_foreign(part.signature.as_ref(), ID) {
            self.losses
                .add("thought signature", "a token of another vendor");
        }
    }

    fn part(&mut self, part: &Part, path: &str) -> Result<Option<String>, Fault> {
        self.note(part);
        let nested = self.nested;
        let cache = part.cache.filter(|_| self.marks);
        let finish = |object: &mut ObjectWriter<'_>| {
            write_cache(object, cache);
            if let Some(nested) = nested {
                nested.put(path, object);
            }
        };
        let capable = self.target.card.capabilities;
        match &part.kind {
            PartKind::Text { text, .. } | PartKind::Refusal { text } => {
                Ok(Some(json::object(|object| {
                    object.str("type", "input_text");
                    object.str("text", text);
                    finish(object);
                })))
            }
            PartKind::Image { source, detail } => {
                self.needs(capable.vision, "images")?;
                let (key, value) = image_source(source)?;
                Ok(Some(json::object(|object| {
                    object.str("type", "input_image");
                    object.str(key, &value);
                    object.str("detail", detail.as_deref().unwrap_or("auto"));
                    finish(object);
                })))
            }
            PartKind::File { .. } => {
                self.needs(capable.files, "files")?;
                self.file(&part.kind, finish).map(Some)
            }
            PartKind::Audio { .. } => Err(Fault::unsupported(
                "The chosen model is served through Responses, which takes no audio. Send a \
                 transcript, or choose another model.",
            )),
            PartKind::Opaque { dialect, json, .. } if *dialect == ID => {
                Ok(Some(json.as_str().to_owned()))
            }
            PartKind::Opaque { what, .. } => {
                self.losses
                    .add(what.clone(), "only its own vendor understands it");
                Ok(None)
            }
            PartKind::Thinking { .. }
            | PartKind::RedactedThinking
            | PartKind::ToolCall(_)
            | PartKind::ToolResult(_) => {
                self.losses
                    .add("misplaced part", "the item cannot hold such a part");
                Ok(None)
            }
        }
    }

    fn needs(&self, capable: bool, what: &str) -> Result<(), Fault> {
        if capable {
            return Ok(());
        }
        Err(Fault::unsupported(format!(
            "The model `{}` does not take {what}. Leave them out, or choose a model that does.",
            self.target.card.name
        )))
    }

    fn file(
        &mut self,
        kind: &PartKind,
        finish: impl FnOnce(&mut ObjectWriter<'_>),
    ) -> Result<String, Fault> {
        let PartKind::File {
            source,
            name,
            citations,
            context,
        } = kind
        else {
            return Err(no_way("file"));
        };
        if *citations {
            self.losses
                .add("document.citations", "the target does not cite files");
        }
        if context.is_some() && !matches!(source, Media::Text { .. }) {
            self.losses
                .add("document.context", "a file part has no such field");
        }
        if let Media::Text { text } = source {
            let head = [name, context].into_iter().flatten();
            let head: String = head.map(|line| format!("{line}\n")).collect();
            return Ok(json::object(|object| {
                object.str("type", "input_text");
                object.str("text", &format!("{head}{text}"));
                finish(object);
            }));
        }
        let (key, value) = file_source(source)?;
        Ok(json::object(|object| {
            object.str("type", "input_file");
            // The vendor demands a name beside data.
            let unnamed = (key == "file_data").then_some("document");
            object.opt_str("filename", name.as_deref().or(unnamed));
            object.str(key, &value);
            finish(object);
        }))
    }
}

fn text_of(part: &Part) -> Option<&str> {
    match &part.kind {
        PartKind::Text { text, .. } => Some(text),
        _ => None,
    }
}

fn write_said(object: &mut ObjectWriter<'_>, part: &Part, own: bool) {
    match &part.kind {
        PartKind::Refusal { text } => {
            object.str("type", "refusal");
            object.str("refusal", text);
        }
        PartKind::Text { text, citations } => {
            object.str("type", "output_text");
            object.str("text", text);
            object.array("annotations", |array| {
                let raws = citations.iter().filter_map(|citation| match &citation.raw {
                    Some((dialect, raw)) if own && *dialect == ID => Some(raw),
                    Some(_) | None => None,
                });
                for raw in raws {
                    array.raw(raw.as_str());
                }
            });
        }
        _ => {}
    }
}

/// A tool call under the call id to show; its arguments are JSON at least.
pub(super) fn write_call(
    item: &mut ObjectWriter<'_>,
    call: &ToolCall,
    call_id: &str,
    id: Option<&str>,
) {
    if call.custom {
        item.str("type", "custom_tool_call");
        item.opt_str("id", id);
        item.str("call_id", call_id);
        item.str("name", &call.name);
        item.str("input", &call.arguments);
        return;
    }
    let arguments = match call.arguments.as_str() {
        "" => "{}",
        arguments => arguments,
    };
    item.str("type", "function_call");
    item.opt_str("id", id);
    item.str("call_id", call_id);
    item.str("name", &call.name);
    item.str("arguments", arguments);
}

fn write_cache(object: &mut ObjectWriter<'_>, cache: Option<CacheMark>) {
    if let Some(mark) = cache {
        object.object("prompt_cache_breakpoint", |object| {
            object.str("mode", "explicit");
            match mark.ttl {
                CacheTtl::Default | CacheTtl::Minutes5 => {}
                CacheTtl::Hour1 => object.str("ttl", "12h"),
            }
        });
    }
}

fn image_source(source: &Media) -> Result<(&'static str, String), Fault> {
    match source {
        Media::Base64 { mime, data } => Ok(("image_url", media::data_url(mime, data))),
        Media::Url { url, .. } => Ok(("image_url", url.clone())),
        Media::Id { dialect, id, .. } if crate::openai::is_sibling(*dialect) => {
            Ok(("file_id", id.clone()))
        }
        Media::Id { .. } | Media::Text { .. } => Err(no_way("image")),
    }
}

fn file_source(source: &Media) -> Result<(&'static str, String), Fault> {
    match source {
        Media::Base64 { mime, data } => Ok(("file_data", media::data_url(mime, data))),
        Media::Url { url, .. } => Ok(("file_url", url.clone())),
        Media::Id { dialect, id, .. } if crate::openai::is_sibling(*dialect) => {
            Ok(("file_id", id.clone()))
        }
        Media::Id { .. } | Media::Text { .. } => Err(no_way("file")),
    }
}

fn no_way(what: &str) -> Fault {
    Fault::unsupported(format!(
        "The chosen model is served by another vendor, which does not hold this {what}. Send its \
         bytes as base64 or its URL, or choose another model."
    ))
}
