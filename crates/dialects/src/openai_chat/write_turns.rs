//! Writing the conversation of a request as messages. Tool results become
//! `tool` messages right behind the calls; their images, which such a message
//! cannot hold, go into the user message that follows.

use contract::Fault;
use contract::chat::{
    CacheMark, CacheTtl, Chat, Media, Part, PartKind, Role, ToolCall, ToolResult, Turn,
};

use super::ID;
use super::echo::{self, Echo};
use crate::dialect::Target;
use crate::json::{self, ObjectWriter};
use crate::nested::Nested;
use crate::openai::{Losses, is_foreign, media};

/// Why a cache marker of another dialect is not written: only the newest
/// models of the vendor take markers, others refuse them.
pub(super) const NO_CACHE_MARK: &str = "the target caches prefixes by itself, without markers";

/// Writes all messages, each as JSON text. `nested` is given for requests that
/// came in this dialect; `marks` says that cache markers are of this vendor.
pub(super) fn write(
    chat: &Chat,
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
        messages: Vec::new(),
    };
    let mut turns = chat.turns.as_slice();
    while let Some(turn) = turns.first() {
        let taken = match turn.role {
            Role::User => {
                let run = turns.iter().take_while(|turn| turn.role == Role::User);
                let run = run.count();
                writer.user_run(&turns[..run])?;
                run
            }
            Role::System => writer.plain("system", turn)?,
            Role::Developer => writer.plain("developer", turn)?,
            Role::Assistant => {
                // Calls must stand in one message; our own turns already do.
                let run = turns.iter().take_while(|turn| turn.role == Role::Assistant);
                let run = if writer.own { 1 } else { run.count() };
                writer.assistant(&turns[..run])?;
                run
            }
        };
        turns = &turns[taken..];
    }
    Ok(writer.messages)
}

struct Writer<'w> {
    /// The request came in this dialect.
    own: bool,
    /// Then: its unknown fields, to be put back. Messages keep their places,
    /// so the paths of the reader hold here too.
    nested: Option<&'w Nested<'w>>,
    /// Cache markers are of this vendor and can be written.
    marks: bool,
    target: &'w Target<'w>,
    losses: &'w mut Losses,
    messages: Vec<String>,
}

impl Writer<'_> {
    fn plain(&mut self, role: &str, turn: &Turn) -> Result<usize, Fault> {
        let parts: Vec<&Part> = turn.parts.iter().collect();
        self.message(role, &parts, turn.name.as_deref())?;
        Ok(1)
    }

    fn message(&mut self, role: &str, parts: &[&Part], name: Option<&str>) -> Result<(), Fault> {
        let content = self.content(parts)?;
        let (nested, path) = (self.nested, self.path());
        self.messages.push(json::object(|message| {
            message.str("role", role);
            message.raw("content", &content);
            message.opt_str("name", name);
            put(nested, &path, message);
        }));
        Ok(())
    }

    /// Turns of the user that follow one another: results first, for they
    /// must stand right behind the calls, then what the user says.
    fn user_run(&mut self, run: &[Turn]) -> Result<(), Fault> {
        let mut spilled = Vec::new();
        for part in run.iter().flat_map(|turn| &turn.parts) {
            if let PartKind::ToolResult(result) = &part.kind {
                if part.cache.is_some() {
                    self.losses.add("cache_control", NO_CACHE_MARK);
                }
                self.tool(result, &mut spilled)?;
            }
        }
        for turn in run {
            let mut parts: Vec<&Part> = spilled.iter().collect();
            let said = turn.parts.iter();
            parts.extend(said.filter(|part| !matches!(part.kind, PartKind::ToolResult(_))));
            if !parts.is_empty() || turn.parts.is_empty() {
                self.message("user", &parts, turn.name.as_deref())?;
                spilled = Vec::new();
            }
        }
        Ok(())
    }

    fn tool(&mut self, result: &ToolResult, spilled: &mut Vec<Part>) -> Result<(), Fault> {
        if result.is_error {
            self.losses
                .add("is_error", "a tool message cannot be marked as failed");
        }
        let mut told: Vec<&Part> = Vec::new();
        let mut announced = false;
        for part in &result.parts {
            match &part.kind {
                PartKind::Image { .. } | PartKind::Audio { .. } | PartKind::File { .. } => {
                    if !announced {
                        spilled.push(Part::text(format!(
                            "Attachments of the result of tool call {}:",
                            result.call_id
                        )));
                        announced = true;
                    }
                    spilled.push(part.clone());
                }
                PartKind::Text { .. }
                | PartKind::Thinking { .. }
                | PartKind::RedactedThinking
                | PartKind::ToolCall(_)
                | PartKind::ToolResult(_)
                | PartKind::Refusal { .. }
                | PartKind::Opaque { .. } => told.push(part),
            }
        }
        let content = match &result.json {
            Some(raw) if told.is_empty() => json::string(raw.as_str()),
            _ if told.is_empty() && announced => {
                json::string("The result is attached to the next message.")
            }
            _ => self.content(&told)?,
        };
        let (nested, path) = (self.nested, self.path());
        self.messages.push(json::object(|message| {
            message.str("role", "tool");
            message.str("tool_call_id", &result.call_id);
            message.raw("content", &content);
            if self.own {
                message.opt_str("name", result.name.as_deref());
            }
            put(nested, &path, message);
        }));
        Ok(())
    }

    /// The path of the message that is written next.
    fn path(&self) -> String {
        format!("messages[{}]", self.messages.len())
    }

    fn assistant(&mut self, run: &[Turn]) -> Result<(), Fault> {
        let mut said: Vec<&Part> = Vec::new();
        let mut echo = Echo::default();
        let mut calls = Vec::new();
        let mut audio = None;
        let mut refusal = String::new();
        let name = run.iter().find_map(|turn| turn.name.as_deref());
        for part in run.iter().flat_map(|turn| &turn.parts) {
            match &part.kind {
                PartKind::Thinking { .. } | PartKind::RedactedThinking => {
                    if let Some(loss) = echo.take(part) {
                        self.losses.add(loss.what, loss.why);
                    }
                }
                PartKind::ToolCall(call) => {
                    let call = self.call(call, part, calls.len());
                    calls.push(call);
                }
                PartKind::Refusal { text } => refusal.push_str(text),
                PartKind::Audio {
                    source: Media::Id { dialect, id, .. },
                    ..
                } if *dialect == ID => audio = Some(id),
                PartKind::Audio { .. } | PartKind::Image { .. } | PartKind::File { .. } => self
                    .losses
                    .add("assistant media", "an assistant message holds text only"),
                PartKind::Text { .. } | PartKind::ToolResult(_) | PartKind::Opaque { .. } => {
                    said.push(part);
                }
            }
        }
        let silent = said.is_empty();
        let has_more = !calls.is_empty() || audio.is_some() || !refusal.is_empty();
        let content = if silent && has_more {
            "null".to_owned()
        } else {
            self.content(&said)?
        };
        let (nested, path) = (self.nested, self.path());
        self.messages.push(json::object(|message| {
            message.str("role", "assistant");
            message.raw("content", &content);
            message.opt_str("name", name);
            message.opt_str("refusal", Some(&*refusal).filter(|text| !text.is_empty()));
            if let Some(id) = audio {
                message.object("audio", |audio| audio.str("id", id));
            }
            echo.write(message);
            if !calls.is_empty() {
                message.array("tool_calls", |array| {
                    for call in &calls {
                        array.raw(call);
                    }
                });
            }
            put(nested, &path, message);
        }));
        Ok(())
    }

    fn call(&mut self, call: &ToolCall, part: &Part, at: usize) -> String {
        if is_foreign(part.signature.as_ref(), ID) {
            self.losses
                .add("thought signature", "a token of another vendor");
        }
        json::object(|object| {
            write_call(object, call, &call.id);
            if let Some(raw) = echo::extra_content(part.signature.as_ref()) {
                object.raw("extra_content", raw);
            }
            put(
                self.nested,
                &format!("{}.tool_calls[{at}]", self.path()),
                object,
            );
        })
    }

    /// Content as a string where plain text allows it, else as parts.
    fn content(&mut self, parts: &[&Part]) -> Result<String, Fault> {
        let mut texts = Vec::new();
        for part in parts {
            match &part.kind {
                PartKind::Text { text, citations } if part.cache.is_none() || !self.marks => {
                    self.note(part, !citations.is_empty());
                    texts.push(text.as_str());
                }
                _ => break,
            }
        }
        let path = format!("{}.content[0]", self.path());
        let bare = self.nested.is_none_or(|nested| !nested.has(&path));
        if texts.len() == parts.len() && texts.len() <= 1 && bare {
            return Ok(json::string(texts.first().copied().unwrap_or("")));
        }
        let mut written = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let path = format!("{}.content[{at}]", self.path());
            written.extend(self.part(part, &path)?);
        }
        Ok(json::array(|array| {
            for part in &written {
                array.raw(part);
            }
        }))
    }

    /// Declares what a text part cannot take along.
    fn note(&mut self, part: &Part, cited: bool) {
        if part.cache.is_some() && !self.marks {
            self.losses.add("cache_control", NO_CACHE_MARK);
        }
        if cited {
            self.losses.add(
                "citations",
                "messages of this format hold none in a history",
            );
        }
        if is_foreign(part.signature.as_ref(), ID) {
            self.losses
                .add("thought signature", "a token of another vendor");
        }
    }

    fn part(&mut self, part: &Part, path: &str) -> Result<Option<String>, Fault> {
        let kind = &part.kind;
        let cited = matches!(kind, PartKind::Text { citations, .. } if !citations.is_empty());
        self.note(part, cited);
        let cache = part.cache.filter(|_| self.marks);
        let written = match kind {
            PartKind::Text { text, .. } => {
                text_part(text, cache, self.nested.map(|nested| (nested, path)))
            }
            PartKind::Refusal { text } => json::object(|object| {
                object.str("type", "refusal");
                object.str("refusal", text);
            }),
            PartKind::Image { source, detail } => {
                self.needs(self.target.card.capabilities.vision, "images")?;
                let url = image_url(source)?;
                json::object(|object| {
                    object.str("type", "image_url");
                    object.object("image_url", |image| {
                        image.str("url", &url);
                        image.opt_str("detail", detail.as_deref());
                        put(self.nested, &format!("{path}.image_url"), image);
                    });
                    write_cache(object, cache);
                    put(self.nested, path, object);
                })
            }
            PartKind::Audio { source, .. } => {
                self.needs(self.target.card.capabilities.audio, "audio")?;
                audio_part(source, cache)?
            }
            PartKind::File { .. } => {
                self.needs(self.target.card.capabilities.files, "files")?;
                self.file_part(kind, cache)?
            }
            PartKind::Opaque { dialect, json, .. } if *dialect == ID => json.as_str().to_owned(),
            PartKind::Opaque { what, .. } => {
                self.losses
                    .add(what.clone(), "only its own vendor understands it");
                return Ok(None);
            }
            PartKind::Thinking { .. }
            | PartKind::RedactedThinking
            | PartKind::ToolCall(_)
            | PartKind::ToolResult(_) => {
                self.losses
                    .add("misplaced part", "the message cannot hold such a part");
                return Ok(None);
            }
        };
        Ok(Some(written))
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

    fn file_part(&mut self, kind: &PartKind, cache: Option<CacheMark>) -> Result<String, Fault> {
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
        let (member, value) = match source {
            Media::Base64 { mime, data } => ("file_data", media::data_url(mime, data)),
            Media::Id { dialect, id, .. } if crate::openai::is_sibling(*dialect) => {
                ("file_id", id.clone())
            }
            Media::Text { text } => {
                let head = [name, context].into_iter().flatten();
                let head: String = head.map(|line| format!("{line}\n")).collect();
                return Ok(text_part(&format!("{head}{text}"), cache, None));
            }
            Media::Id { .. } | Media::Url { .. } => return Err(no_way("file")),
        };
        Ok(json::object(|object| {
            object.str("type", "file");
            object.object("file", |file| {
                // The vendor demands a name beside data.
                let name = name.as_deref();
                let data = member == "file_data";
                file.opt_str("filename", name.or(data.then_some("document")));
                file.str(member, &value);
            });
            write_cache(object, cache);
        }))
    }
}

/// A tool call under the id to show.
pub(super) fn write_call(object: &mut ObjectWriter<'_>, call: &ToolCall, id: &str) {
    object.str("id", id);
    if call.custom {
        object.str("type", "custom");
        object.object("custom", |custom| {
            custom.str("name", &call.name);
            custom.str("input", &call.arguments);
        });
        return;
    }
    let arguments = match call.arguments.as_str() {
        "" => "{}",
        arguments => arguments,
    };
    object.str("type", "function");
    object.object("function", |function| {
        function.str("name", &call.name);
        function.str("arguments", arguments);
    });
}

/// Puts unknown fields of the object at this path back.
fn put(nested: Option<&Nested<'_>>, path: &str, object: &mut ObjectWriter<'_>) {
    if let Some(nested) = nested {
        nested.put(path, object);
    }
}

fn text_part(text: &str, cache: Option<CacheMark>, at: Option<(&Nested<'_>, &str)>) -> String {
    json::object(|object| {
        object.str("type", "text");
        object.str("text", text);
        write_cache(object, cache);
        if let Some((nested, path)) = at {
            nested.put(path, object);
        }
    })
}

/// The marker as it was read: see `read_cache`.
pub(super) fn write_cache(object: &mut ObjectWriter<'_>, cache: Option<CacheMark>) {
    match cache.map(|mark| mark.ttl) {
        None => {}
        Some(CacheTtl::Minutes5) => {
            object.object("cache_control", |mark| mark.str("type", "ephemeral"));
        }
        Some(CacheTtl::Default) => {
            object.object("prompt_cache_breakpoint", |mark| {
                mark.str("mode", "explicit")
            });
        }
        Some(CacheTtl::Hour1) => object.object("prompt_cache_breakpoint", |mark| {
            mark.str("mode", "explicit");
            mark.str("ttl", "12h");
        }),
    }
}

/// The URL of an image.
pub(super) fn image_url(source: &Media) -> Result<String, Fault> {
    match source {
        Media::Base64 { mime, data } => Ok(media::data_url(mime, data)),
        Media::Url { url, .. } => Ok(url.clone()),
        Media::Id { .. } | Media::Text { .. } => Err(no_way("image")),
    }
}

fn audio_part(source: &Media, cache: Option<CacheMark>) -> Result<String, Fault> {
    let Media::Base64 { mime, data } = source else {
        return Err(no_way("audio"));
    };
    Ok(json::object(|object| {
        object.str("type", "input_audio");
        object.object("input_audio", |audio| {
            audio.str("data", data);
            audio.str("format", media::audio_format(mime));
        });
        write_cache(object, cache);
    }))
}

fn no_way(what: &str) -> Fault {
    Fault::unsupported(format!(
        "The chosen model is served through Chat Completions, which cannot take this {what} by \
         reference. Send its bytes as base64, or choose another model."
    ))
}
