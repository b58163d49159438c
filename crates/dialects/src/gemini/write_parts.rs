//! Writing parts: for upstreams, in requests, and for clients, in answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::chat::{Media, Part, PartKind, ToolCall, ToolResult};
use contract::model::ReasoningStyle;
use contract::{Fault, ModelCard};

use super::read_parts::{MINTED, guess};
use super::{ID, signature};
use crate::json::{self, Json, Kind, ObjectWriter, Rules, Tape};
use crate::loss::Losses;
use crate::nested::Nested;
use crate::{stand_in, tool_id};

/// The vendor's documented stand-in for a signature that does not exist,
/// because another model made the call. Models with levels refuse a turn
/// whose first call has none.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Writes parts of a request, and keeps account of what they could not carry.
pub(super) struct PartWriter<'a> {
    pub(super) card: &'a ModelCard,
    pub(super) losses: Losses,
    pub(super) nested: Nested<'a>,
    /// The request was read from this dialect: written as it came.
    pub(super) own: bool,
    /// Ids and names of the calls so far.
    pub(super) calls: Vec<(String, String)>,
    /// The turn has no call yet: the next one needs a signature.
    pub(super) unsigned: bool,
}

impl PartWriter<'_> {
    /// Appends what stands for one part. `at` is its path.
    pub(super) fn part(
        &mut self,
        part: &Part,
        at: &str,
        out: &mut Vec<String>,
    ) -> Result<(), Fault> {
        if part.cache.is_some() {
            self.losses
                .declare("cache_control", "this vendor caches prefixes on its own");
        }
        match &part.kind {
            PartKind::Text { text, citations } => {
                if !citations.is_empty() {
                    self.losses
                        .declare(format!("{at}.citations"), "requests have no place for them");
                }
                self.text(part, text, at, out);
            }
            PartKind::Refusal { text } => self.text(part, text, at, out),
            PartKind::Thinking { text } => self.thinking(part, text, at, out),
            PartKind::RedactedThinking => self.foreign_thinking(at),
            PartKind::Image { .. } | PartKind::Audio { .. } | PartKind::File { .. } => {
                let data = self.media(part, at)?;
                out.push(self.object(part, at, |out| data.write(out, &self.nested, at)));
            }
            PartKind::ToolCall(call) => self.call(part, call, at, out),
            PartKind::ToolResult(result) => self.result(part, result, at, out)?,
            PartKind::Opaque {
                dialect,
                what,
                json,
            } => {
                if *dialect == ID {
                    out.push(json.as_str().to_owned());
                } else {
                    self.losses.declare(
                        format!("{at} ({what})"),
                        "only its own vendor understands it",
                    );
                }
            }
        }
        Ok(())
    }

    /// An object with the part's signature and the fields that came with it.
    fn object(&self, part: &Part, at: &str, write: impl FnOnce(&mut ObjectWriter<'_>)) -> String {
        json::object(|out| {
            write(out);
            out.opt_str("thoughtSignature", own_token(part));
            self.nested.put(at, out);
        })
    }

    fn text(&mut self, part: &Part, text: &str, at: &str, out: &mut Vec<String>) {
        if own_token(part).is_none() {
            if part.signature.is_some() {
                self.losses.declare(
                    format!("{at}.signature"),
                    "a token of another vendor proves nothing here",
                );
            }
            if text.is_empty() && !self.own {
                // The vendor refuses a turn that holds only empty text.
                return;
            }
        }
        out.push(self.object(part, at, |out| out.str("text", text)));
    }

    fn thinking(&mut self, part: &Part, text: &str, at: &str, out: &mut Vec<String>) {
        if part.signature.is_some() && own_token(part).is_none() {
            self.foreign_thinking(at);
            return;
        }
        // Summaries of this vendor bear no token themselves: it stands on
        // what follows them. So a thought without one may go back.
        if text.is_empty() && part.signature.is_none() && !self.own {
            return;
        }
        out.push(self.object(part, at, |out| {
            out.str("text", text);
            out.bool("thought", true);
        }));
    }

    fn foreign_thinking(&mut self, at: &str) {
        self.losses.declare(
            format!("{at}.thinking"),
            "thinking of another vendor cannot be replayed here",
        );
    }

    fn call(&mut self, part: &Part, call: &ToolCall, at: &str, out: &mut Vec<String>) {
        self.calls.push((call.id.clone(), call.name.clone()));
        let first = std::mem::take(&mut self.unsigned);
        let levels = self.card.capabilities.reasoning == ReasoningStyle::Effort;
        let stand_in = first && levels && !self.own && own_token(part).is_none();
        if stand_in {
            self.losses.declare(
                format!("{at}.signature"),
                "the call was made by another model; the check of its signature was switched off",
            );
        }
        let id = self.id(&call.id);
        let path = format!("{at}.functionCall");
        out.push(self.object(part, at, |out| {
            out.object("functionCall", |out| {
                out.opt_str("id", id.as_deref());
                out.str("name", &call.name);
                out.raw("args", &stand_in::input(&call.arguments));
                self.nested.put(&path, out);
            });
            if stand_in {
                out.str("thoughtSignature", NO_SIGNATURE);
            }
        }));
    }

    /// The id of a call as the vendor gets it.
    fn id(&self, id: &str) -> Option<String> {
        if id.starts_with(MINTED) {
            None
        } else if self.own {
            Some(id.to_owned())
        } else {
            Some(tool_id::safe(id).into_owned())
        }
    }

    fn result(
        &mut self,
        part: &Part,
        result: &ToolResult,
        at: &str,
        out: &mut Vec<String>,
    ) -> Result<(), Fault> {
        let name = self.name_of(result, at);
        let mut media = Vec::new();
        let mut texts = Vec::new();
        for (index, inner) in result.parts.iter().enumerate() {
            let at = format!("{at}.content[{index}]");
            match &inner.kind {
                PartKind::Text { text, .. } | PartKind::Refusal { text } => {
                    texts.push(text.as_str())
                }
                PartKind::Image { .. } | PartKind::Audio { .. } | PartKind::File { .. } => {
                    media.push((inner, self.media(inner, &at)?));
                }
                PartKind::Thinking { .. }
                | PartKind::RedactedThinking
                | PartKind::ToolCall(_)
                | PartKind::ToolResult(_)
                | PartKind::Opaque { .. } => {
                    self.losses
                        .declare(at, "results hold text and media only here");
                }
            }
        }
        let response = self.response(result, &texts);
        // Older models read media of a result only beside it.
        let inside = self.own || self.card.capabilities.reasoning == ReasoningStyle::Effort;
        let id = self.id(&result.call_id);
        let path = format!("{at}.functionResponse");
        out.push(self.object(part, at, |out| {
            out.object("functionResponse", |out| {
                out.opt_str("id", id.as_deref());
                out.str("name", &name);
                out.raw("response", &response);
                if inside && !media.is_empty() {
                    out.array("parts", |array| {
                        for (index, (_, data)) in media.iter().enumerate() {
                            let at = format!("{path}.parts[{index}]");
                            array.object(|out| {
                                data.write(out, &self.nested, &at);
                                self.nested.put(&at, out);
                            });
                        }
                    });
                }
                self.nested.put(&path, out);
            });
        }));
        if !inside {
            for (inner, data) in &media {
                out.push(self.object(inner, "", |out| data.write(out, &self.nested, at)));
            }
        }
        Ok(())
    }

    /// The name of the function, which this vendor demands in a result. Where
    /// the conversation was cut and the call is gone, nobody knows it: the id
    /// stands for it, and the vendor says what it thinks of that.
    fn name_of(&mut self, result: &ToolResult, at: &str) -> String {
        let mut calls = self.calls.iter().rev();
        let called = calls.find(|(id, _)| *id == result.call_id);
        if let Some(name) = called.map(|(_, name)| name).or(result.name.as_ref()) {
            return name.clone();
        }
        self.losses.declare(
            format!("{at}.name"),
            "no earlier message holds the call, so the name of its tool is unknown",
        );
        tool_id::safe(&result.call_id).into_owned()
    }

    fn response(&self, result: &ToolResult, texts: &[&str]) -> String {
        let key = if result.is_error { "error" } else { "result" };
        match &result.json {
            Some(json) if self.own => return json.as_str().to_owned(),
            Some(json) if texts.is_empty() => {
                let text = json.as_str();
                let mut tape = Tape::default();
                let is_object = tape.rescan(text.as_bytes(), &Rules::ANSWER).is_ok()
                    && tape.root(text.as_bytes()).kind() == Kind::Object;
                return if is_object && !result.is_error {
                    text.to_owned()
                } else {
                    json::object(|out| out.raw(key, text))
                };
            }
            Some(_) | None => {}
        }
        json::object(|out| out.str(key, &texts.join("\n")))
    }

    /// Media of a part, checked against what the model takes.
    fn media<'p>(&mut self, part: &'p Part, at: &str) -> Result<Data<'p>, Fault> {
        let takes = self.card.capabilities;
        let (what, taken, source, name) = match &part.kind {
            PartKind::Image { source, detail } => {
                if detail.as_deref().is_some_and(|word| word != "auto") {
                    self.losses
                        .declare(format!("{at}.detail"), "images have no such detail here");
                }
                ("images", takes.vision, source, None)
            }
            PartKind::Audio {
                source,
                transcript: Some(said),
            } if is_foreign(source) => {
                self.losses
                    .declare(at.to_owned(), "the sound was replaced by its transcript");
                return Ok(Data::Said(said));
            }
            PartKind::Audio { source, .. } => ("audio", takes.audio, source, None),
            PartKind::File {
                source,
                name,
                citations,
                context,
            } => {
                if *citations {
                    self.losses
                        .declare(format!("{at}.citations"), "files are not cited here");
                }
                if context.is_some() {
                    self.losses
                        .declare(format!("{at}.context"), "files have no context here");
                }
                let is_text = matches!(source, Media::Text { .. });
                ("files", takes.files || is_text, source, name.as_deref())
            }
            PartKind::Text { .. }
            | PartKind::Thinking { .. }
            | PartKind::RedactedThinking
            | PartKind::ToolCall(_)
            | PartKind::ToolResult(_)
            | PartKind::Refusal { .. }
            | PartKind::Opaque { .. } => ("this part", false, NO_MEDIA, None),
        };
        if !taken && !self.own {
            return Err(cannot(what, at));
        }
        if is_foreign(source) {
            return Err(Fault::unsupported(format!(
                "`{at}`: the file is stored at another vendor, where this model cannot read it. \
                 Send its content instead of its id."
            ))
            .at(at));
        }
        if name.is_some() && !self.own {
            self.losses
                .declare(format!("{at}.filename"), "files have no names here");
        }
        Ok(Data::Media {
            source,
            name: name.filter(|_| self.own),
        })
    }
}

/// Stands where a part holds no media, which is refused before it is read.
const NO_MEDIA: &Media = &Media::Text {
    text: String::new(),
};

/// What a part with media holds.
#[derive(Clone, Copy, Debug)]
enum Data<'p> {
    Media {
        source: &'p Media,
        name: Option<&'p str>,
    },
    /// The transcript of a sound that cannot be sent.
    Said(&'p str),
}

impl Data<'_> {
    fn write(&self, out: &mut ObjectWriter<'_>, nested: &Nested<'_>, at: &str) {
        match self {
            Data::Said(text) => out.str("text", text),
            Data::Media { source, name } => put_media(out, source, *name, |key, out| {
                nested.put(&format!("{at}.{key}"), out);
            }),
        }
    }
}

/// Writes media as `inlineData` or `fileData`.
fn put_media(
    out: &mut ObjectWriter<'_>,
    source: &Media,
    name: Option<&str>,
    more: impl Fn(&str, &mut ObjectWriter<'_>),
) {
    let (url, mime) = match source {
        Media::Base64 { mime, data } => {
            return put_blob(out, mime, data, name, more);
        }
        Media::Text { text } => {
            return put_blob(out, "text/plain", &STANDARD.encode(text), name, more);
        }
        Media::Url { url, mime } => (url, mime.as_deref().or_else(|| guess(url))),
        Media::Id { id, mime, .. } => (id, mime.as_deref()),
    };
    out.object("fileData", |out| {
        out.opt_str("mimeType", mime);
        out.str("fileUri", url);
        out.opt_str("displayName", name);
        more("fileData", out);
    });
}

fn put_blob(
    out: &mut ObjectWriter<'_>,
    mime: &str,
    data: &str,
    name: Option<&str>,
    more: impl Fn(&str, &mut ObjectWriter<'_>),
) {
    out.object("inlineData", |out| {
        out.str("mimeType", mime);
        out.str("data", data);
        out.opt_str("displayName", name);
        more("inlineData", out);
    });
}

/// The vendor's own token on a part.
fn own_token(part: &Part) -> Option<&str> {
    let signature = part.signature.as_ref()?;
    (signature.dialect == ID).then_some(signature.value.as_str())
}

fn is_foreign(source: &Media) -> bool {
    matches!(source, Media::Id { dialect, .. } if *dialect != ID)
}

fn cannot(what: &str, at: &str) -> Fault {
    Fault::unsupported(format!(
        "`{at}`: the model that serves this request does not take {what}. Leave the part out, \
         or choose a model that takes it."
    ))
    .at(at)
}

/// A part of an answer for a client; `None` if it has no form here (declared).
pub(super) fn shown(part: &Part, losses: &mut Losses) -> Option<String> {
    let redacted = matches!(part.kind, PartKind::RedactedThinking);
    let token = part
        .signature
        .as_ref()
        .map(|token| signature::show(token, redacted));
    let written = |write: &dyn Fn(&mut ObjectWriter<'_>)| {
        Some(json::object(|out| {
            write(out);
            out.opt_str("thoughtSignature", token.as_deref());
        }))
    };
    match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal { text } => {
            written(&|out| out.str("text", text))
        }
        PartKind::Thinking { text } => written(&|out| {
            out.str("text", text);
            out.bool("thought", true);
        }),
        PartKind::RedactedThinking => written(&|out| {
            out.str("text", "");
            out.bool("thought", true);
        }),
        PartKind::ToolCall(call) => {
            if !call.custom && !is_object(&call.arguments) {
                losses.declare(
                    "tool_calls.arguments",
                    "the arguments are not a JSON object; they were put into one",
                );
            }
            written(&|out| put_call(&call.id, &call.name, &call.arguments, out))
        }
        PartKind::Image { source, .. }
        | PartKind::Audio { source, .. }
        | PartKind::File { source, .. }
            if is_foreign(source) =>
        {
            losses.declare(
                "file",
                "it is stored at a vendor that this client cannot ask",
            );
            None
        }
        PartKind::Image { source, .. } | PartKind::Audio { source, .. } => {
            declare_transcript(part, losses);
            written(&|out| put_media(out, source, None, |_, _| {}))
        }
        PartKind::File { source, name, .. } => {
            written(&|out| put_media(out, source, name.as_deref(), |_, _| {}))
        }
        PartKind::Opaque { dialect, json, .. } if *dialect == ID => Some(json.as_str().to_owned()),
        PartKind::Opaque { what, .. } => {
            losses.declare(what.clone(), "only its own vendor's clients understand it");
            None
        }
        PartKind::ToolResult(_) => {
            losses.declare("tool_result", "answers have no results of tools here");
            None
        }
    }
}

fn declare_transcript(part: &Part, losses: &mut Losses) {
    if let PartKind::Audio {
        transcript: Some(_),
        ..
    } = &part.kind
    {
        losses.declare(
            "content.audio.transcript",
            "sound comes without its words here",
        );
    }
}

/// Writes a `functionCall` for a client.
pub(super) fn put_call(id: &str, name: &str, arguments: &str, out: &mut ObjectWriter<'_>) {
    out.object("functionCall", |out| {
        out.str("id", &tool_id::show(id, None));
        out.str("name", name);
        out.raw("args", &stand_in::input(arguments));
    });
}

/// Whether arguments are the JSON object that `args` must be.
pub(super) fn is_object(text: &str) -> bool {
    let text = stand_in::arguments(text);
    let mut tape = Tape::default();
    let scanned = tape.rescan(text.as_bytes(), &Rules::ANSWER).is_ok();
    scanned && Json::kind(&tape.root(text.as_bytes())) == Kind::Object
}
