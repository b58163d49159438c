//! Writing parts as content blocks of a request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::chat::{CacheMark, CacheTtl, Citation, Media, Part, PartKind, ToolCall, ToolResult};
use contract::{Fault, ModelCard};

use super::{ID, citation};
use crate::json::{self, ArrayWriter, ObjectWriter};
use crate::loss::Losses;
use crate::nested::Nested;
use crate::stand_in::{self, CUSTOM_INPUT};
use crate::tool_id;

/// Writes blocks, and keeps account of what they could not carry.
pub(super) struct BlockWriter<'a> {
    pub(super) card: &'a ModelCard,
    pub(super) losses: Losses,
    pub(super) nested: Nested<'a>,
    /// The request was read from this dialect: written as it came.
    pub(super) own: bool,
}

impl BlockWriter<'_> {
    /// One block; `None` if nothing of the part can be sent (declared, or
    /// empty). `at` is its path.
    pub(super) fn block(&mut self, part: &Part, at: &str) -> Result<Option<String>, Fault> {
        match &part.kind {
            PartKind::Text { text, .. } => {
                if text.is_empty() && !self.own {
                    // The vendor refuses empty text blocks.
                    return Ok(None);
                }
                Ok(Some(self.text(part, text, at)))
            }
            PartKind::Image { source, detail } => {
                if !self.card.capabilities.vision {
                    return Err(cannot("images", at));
                }
                self.losses.detail(detail.as_deref(), at);
                let source = self.source(source, at, false)?;
                Ok(Some(self.object(part, at, |out| {
                    out.str("type", "image");
                    out.raw("source", &source);
                })))
            }
            PartKind::Audio { transcript, .. } => match transcript {
                Some(text) if !text.is_empty() => {
                    self.losses
                        .declare(at.to_owned(), "the sound was replaced by its transcript");
                    Ok(Some(self.text(part, text, at)))
                }
                Some(_) | None => Err(cannot("audio", at)),
            },
            PartKind::File { .. } => self.file(part, at).map(Some),
            PartKind::Thinking { .. } | PartKind::RedactedThinking => Ok(self.thinking(part, at)),
            PartKind::ToolCall(call) => Ok(Some(self.tool_use(part, call, at))),
            PartKind::ToolResult(result) => self.tool_result(part, result, at).map(Some),
            PartKind::Refusal { text } => Ok(Some(self.text(part, text, at))),
            PartKind::Opaque {
                dialect,
                what,
                json,
            } => {
                if *dialect == ID {
                    return Ok(Some(json.as_str().to_owned()));
                }
                self.losses.declare(
                    format!("{at} ({what})"),
                    "only its own vendor understands it",
                );
                Ok(None)
            }
        }
    }

    fn text(&mut self, part: &Part, text: &str, at: &str) -> String {
        let citations: &[Citation] = match &part.kind {
            PartKind::Text { citations, .. } => citations,
            PartKind::Image { .. }
            | PartKind::Audio { .. }
            | PartKind::File { .. }
            | PartKind::Thinking { .. }
            | PartKind::RedactedThinking
            | PartKind::ToolCall(_)
            | PartKind::ToolResult(_)
            | PartKind::Refusal { .. }
            | PartKind::Opaque { .. } => &[],
        };
        let sources = citations.iter().filter_map(citation::write_upstream);
        let cited: Vec<_> = sources.collect();
        if cited.len() != citations.len() {
            self.losses.declare(
                format!("{at}.citations"),
                "the source has no form this vendor takes back",
            );
        }
        self.object(part, at, |out| {
            out.str("type", "text");
            out.str("text", text);
            if !cited.is_empty() {
                out.array("citations", |array| {
                    cited.iter().for_each(|raw| array.raw(raw.as_str()));
                });
            }
        })
    }

    /// An object with the part's cache marker and the fields that came with
    /// it.
    fn object(&self, part: &Part, at: &str, write: impl FnOnce(&mut ObjectWriter<'_>)) -> String {
        json::object(|out| {
            write(out);
            self.cache(part.cache, at, out);
            self.nested.put(at, out);
        })
    }

    /// The cache marker of the object at this path.
    pub(super) fn cache(&self, mark: Option<CacheMark>, at: &str, out: &mut ObjectWriter<'_>) {
        let Some(mark) = mark else { return };
        out.object("cache_control", |out| {
            out.str("type", "ephemeral");
            match mark.ttl {
                CacheTtl::Default => {}
                CacheTtl::Minutes5 => out.str("ttl", "5m"),
                CacheTtl::Hour1 => out.str("ttl", "1h"),
            }
            let path = if at.is_empty() {
                "cache_control".to_owned()
            } else {
                format!("{at}.cache_control")
            };
            self.nested.put(&path, out);
        });
    }

    fn thinking(&mut self, part: &Part, at: &str) -> Option<String> {
        let signature = match &part.signature {
            Some(signature) if signature.dialect == ID => signature.value.as_str(),
            None if self.own => "",
            Some(_) | None => {
                self.losses.declare(
                    format!("{at}.thinking"),
                    "thinking of another vendor cannot be replayed here",
                );
                return None;
            }
        };
        Some(self.object(part, at, |out| {
            if let PartKind::Thinking { text } = &part.kind {
                out.str("type", "thinking");
                out.str("thinking", text);
                out.str("signature", signature);
            } else {
                out.str("type", "redacted_thinking");
                out.str("data", signature);
            }
        }))
    }

    fn tool_use(&mut self, part: &Part, call: &ToolCall, at: &str) -> String {
        self.object(part, at, |out| {
            out.str("type", "tool_use");
            out.str("id", &tool_id::safe(&call.id));
            out.str("name", &call.name);
            if call.custom {
                out.object("input", |out| out.str(CUSTOM_INPUT, &call.arguments));
            } else {
                out.raw("input", &stand_in::input(&call.arguments));
            }
        })
    }

    fn tool_result(&mut self, part: &Part, result: &ToolResult, at: &str) -> Result<String, Fault> {
        let mut blocks = Vec::with_capacity(result.parts.len());
        for (index, inner) in result.parts.iter().enumerate() {
            blocks.extend(self.block(inner, &format!("{at}.content[{index}]"))?);
        }
        let plain = match result.parts.as_slice() {
            [only] => self.plain_text(only, &format!("{at}.content[0]")),
            _ => None,
        };
        Ok(self.object(part, at, |out| {
            out.str("type", "tool_result");
            out.str("tool_use_id", &tool_id::safe(&result.call_id));
            match (plain, &result.json) {
                (Some(text), _) => out.str("content", text),
                (None, Some(json)) if blocks.is_empty() => out.str("content", json.as_str()),
                (None, _) if blocks.is_empty() => {}
                (None, _) => out.array("content", |array| put_all(&blocks, array)),
            }
            if result.is_error {
                out.bool("is_error", true);
            }
        }))
    }

    /// The text of a part that says nothing else, and so may stand as a bare
    /// string.
    pub(super) fn plain_text<'p>(&self, part: &'p Part, at: &str) -> Option<&'p str> {
        match &part.kind {
            PartKind::Text { text, citations }
                if citations.is_empty() && part.cache.is_none() && !self.nested.has(at) =>
            {
                Some(text)
            }
            PartKind::Text { .. }
            | PartKind::Image { .. }
            | PartKind::Audio { .. }
            | PartKind::File { .. }
            | PartKind::Thinking { .. }
            | PartKind::RedactedThinking
            | PartKind::ToolCall(_)
            | PartKind::ToolResult(_)
            | PartKind::Refusal { .. }
            | PartKind::Opaque { .. } => None,
        }
    }

    fn file(&mut self, part: &Part, at: &str) -> Result<String, Fault> {
        let PartKind::File {
            source,
            name,
            citations,
            context,
        } = &part.kind
        else {
            return Err(cannot("this part", at));
        };
        let is_text = matches!(source, Media::Text { .. });
        if !self.card.capabilities.files && !is_text {
            return Err(cannot("files", at));
        }
        let source = self.source(source, at, true)?;
        Ok(self.object(part, at, |out| {
            out.str("type", "document");
            out.raw("source", &source);
            out.opt_str("title", name.as_deref());
            out.opt_str("context", context.as_deref());
            let path = format!("{at}.citations");
            if *citations || self.nested.has(&path) {
                out.object("citations", |out| {
                    out.bool("enabled", *citations);
                    self.nested.put(&path, out);
                });
            }
        }))
    }

    /// The source of an image or document.
    fn source(&self, media: &Media, at: &str, document: bool) -> Result<String, Fault> {
        let text = match media {
            Media::Text { text } => Some(text.clone()),
            // Text files are documents here only in plain text.
            Media::Base64 { mime, data } if document && !self.own && is_text(mime) => {
                Some(decoded(data, at)?)
            }
            Media::Base64 { .. } | Media::Url { .. } | Media::Id { .. } => None,
        };
        if let Media::Id { dialect, .. } = media
            && *dialect != ID
        {
            return Err(Fault::unsupported(format!(
                "`{at}`: the file is stored at another vendor, where this model cannot read it. \
                 Send its content instead of its id."
            ))
            .at(at));
        }
        if let Media::Base64 { mime, .. } = media
            && document
            && !self.own
            && text.is_none()
            && mime != "application/pdf"
        {
            return Err(Fault::unsupported(format!(
                "`{at}`: this vendor reads PDF and plain text, not {mime}. Convert the file, \
                 or choose a model that takes it."
            ))
            .at(at));
        }
        Ok(json::object(|out| {
            match (media, &text) {
                (_, Some(text)) | (Media::Text { text }, None) => {
                    out.str("type", "text");
                    out.str("media_type", "text/plain");
                    out.str("data", text);
                }
                (Media::Base64 { mime, data }, None) => {
                    out.str("type", "base64");
                    out.str("media_type", mime);
                    out.str("data", data);
                }
                (Media::Url { url, .. }, None) => {
                    out.str("type", "url");
                    out.str("url", url);
                }
                (Media::Id { id, .. }, None) => {
                    out.str("type", "file");
                    out.str("file_id", id);
                }
            }
            self.nested.put(&format!("{at}.source"), out);
        }))
    }
}

/// Writes blocks that are already JSON.
pub(super) fn put_all(blocks: &[String], array: &mut ArrayWriter<'_>) {
    for block in blocks {
        array.raw(block);
    }
}

fn is_text(mime: &str) -> bool {
    mime.starts_with("text/") || mime == "application/json"
}

fn decoded(data: &str, at: &str) -> Result<String, Fault> {
    let bytes = STANDARD.decode(data).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| {
            Fault::bad_request(format!(
                "`{at}`: the text file is not base64 of UTF-8 text. Encode it again."
            ))
            .at(at)
        })
}

fn cannot(what: &str, at: &str) -> Fault {
    Fault::unsupported(format!(
        "`{at}`: the model that serves this request does not take {what}. Leave the part out, \
         or choose a model that takes it."
    ))
    .at(at)
}
