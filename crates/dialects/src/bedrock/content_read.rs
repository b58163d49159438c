//! Content blocks of requests and answers. Each is an object with one member
//! that names its kind. Known kinds become parts, a cache point marks the
//! part before it, and everything else is opaque and kept as it came.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::chat::{CacheMark, CacheTtl, Media, Part, PartKind, ToolCall, ToolResult};
use contract::text::Extras;
use contract::{Fault, RawJson};

use super::media::Medium;
use super::{ID, citation};
use crate::json::Json;
use crate::{carry, nested, tool_id};

/// Reads blocks and keeps the fields that have no place.
#[derive(Debug, Default)]
pub(super) struct BlockReader {
    pub(super) extras: Extras,
}

impl BlockReader {
    /// An array of blocks.
    pub(super) fn content(&mut self, content: Json<'_>) -> Result<Vec<Part>, Fault> {
        let mut parts: Vec<Part> = Vec::new();
        for block in content.as_array()?.items() {
            if let Some(point) = block.as_object()?.field("cachePoint") {
                let mark = self.cache_point(point)?;
                match parts.last_mut().filter(|part| part.cache.is_none()) {
                    Some(part) => part.cache = Some(mark),
                    // It marks nothing that we know; only the vendor may
                    // make sense of it.
                    None => parts.push(opaque("cachePoint", block.to_raw())),
                }
            } else {
                parts.push(self.block(block)?);
            }
        }
        Ok(parts)
    }

    /// Keeps the members of an object that are not in `known`.
    pub(super) fn keep(&mut self, object: Json<'_>, known: &[&str]) {
        nested::keep_rest(object, known, &mut self.extras);
    }

    /// A cache point.
    pub(super) fn cache_point(&mut self, point: Json<'_>) -> Result<CacheMark, Fault> {
        let kind = point.as_object()?.need("type")?;
        if kind.as_str()? != "default" {
            return Err(kind.fault("the only type of a cache point is `default`"));
        }
        let ttl = match point.field("ttl") {
            None => CacheTtl::Default,
            Some(ttl) => match &*ttl.as_str()? {
                "5m" => CacheTtl::Minutes5,
                "1h" => CacheTtl::Hour1,
                _ => return Err(ttl.fault("a cache lives for `5m` or `1h`")),
            },
        };
        self.keep(point, &["type", "ttl"]);
        Ok(CacheMark { ttl })
    }

    /// One block other than a cache point.
    pub(super) fn block(&mut self, block: Json<'_>) -> Result<Part, Fault> {
        // A client may spell the members that it does not use as null.
        let mut members = block
            .as_object()?
            .members()
            .filter(|member| !member.value.is_null());
        let (Some(member), None) = (members.next(), members.next()) else {
            return Err(block.fault("a content block is an object with exactly one member"));
        };
        let (name, value) = (member.name(), member.value);
        match &*name {
            "text" => Ok(Part::text(value.as_str()?)),
            "image" => self.image(value),
            "audio" => self.audio(value),
            "document" => self.document(block, value),
            "reasoningContent" => self.reasoning(block, value),
            "citationsContent" => self.cited(value),
            "toolUse" => self.tool_use(block, value),
            "toolResult" => self.tool_result(value),
            _ => Ok(opaque(&name, block.to_raw())),
        }
    }

    fn image(&mut self, image: Json<'_>) -> Result<Part, Fault> {
        let mime = Medium::Image.mime(&image.as_object()?.need_str("format")?);
        self.keep(image, &["format", "source"]);
        let source = image.need("source")?;
        let media = self.media(source, mime)?;
        Ok(PartKind::Image {
            source: media.ok_or_else(|| source.expected("`bytes` or `s3Location`"))?,
            detail: None,
        }
        .into())
    }

    fn audio(&mut self, audio: Json<'_>) -> Result<Part, Fault> {
        let mime = Medium::Sound.mime(&audio.as_object()?.need_str("format")?);
        self.keep(audio, &["format", "source"]);
        let source = audio.need("source")?;
        let media = self.media(source, mime)?;
        Ok(PartKind::Audio {
            source: media.ok_or_else(|| source.expected("`bytes` or `s3Location`"))?,
            transcript: None,
        }
        .into())
    }

    fn document(&mut self, block: Json<'_>, document: Json<'_>) -> Result<Part, Fault> {
        let format = document.as_object()?.opt_str("format")?;
        let mime = Medium::Document.mime(format.as_deref().unwrap_or("txt"));
        let source = document.need("source")?.as_object()?;
        let Some(media) = self.media(source, mime)? else {
            // A document made of blocks is cited block by block; flattening
            // it would move every citation.
            return Ok(opaque("document", block.to_raw()));
        };
        let citations = match document.opt_object("citations")? {
            None => false,
            Some(config) => {
                self.keep(config, &["enabled"]);
                config.opt_bool("enabled")?.unwrap_or(false)
            }
        };
        let known = ["format", "name", "source", "context", "citations"];
        self.keep(document, &known);
        Ok(PartKind::File {
            source: media,
            name: Some(document.need_str("name")?.into_owned()),
            citations,
            context: document.opt_string("context")?,
        }
        .into())
    }

    /// A source; `None` for a kind that has no canonical form.
    fn media(&mut self, source: Json<'_>, mime: String) -> Result<Option<Media>, Fault> {
        if let Some(bytes) = source.as_object()?.field("bytes") {
            self.keep(source, &["bytes"]);
            let data = bytes.as_str()?.into_owned();
            return Ok(Some(Media::Base64 { mime, data }));
        }
        if let Some(place) = source.field("s3Location") {
            self.keep(place, &["uri"]);
            self.keep(source, &["s3Location"]);
            let url = place.as_object()?.need_str("uri")?.into_owned();
            return Ok(Some(Media::Url {
                url,
                mime: Some(mime),
            }));
        }
        if let Some(text) = source.field("text") {
            self.keep(source, &["text"]);
            let text = text.as_str()?.into_owned();
            return Ok(Some(Media::Text { text }));
        }
        Ok(None)
    }

    fn reasoning(&mut self, block: Json<'_>, reasoning: Json<'_>) -> Result<Part, Fault> {
        if let Some(told) = reasoning.as_object()?.field("reasoningText") {
            self.keep(told.as_object()?, &["text", "signature"]);
            let signature = told.opt_str("signature")?.filter(|text| !text.is_empty());
            let kind = PartKind::Thinking {
                text: told.need_str("text")?.into_owned(),
            };
            return Ok(Part {
                signature: signature.map(|text| carry::read_signature(&text, ID)),
                ..kind.into()
            });
        }
        if let Some(data) = reasoning.field("redactedContent") {
            return Ok(redacted(&data.as_str()?));
        }
        Ok(opaque("reasoningContent", block.to_raw()))
    }

    fn cited(&mut self, cited: Json<'_>) -> Result<Part, Fault> {
        let mut text = String::new();
        for piece in cited
            .as_object()?
            .opt_array("content")?
            .iter()
            .flat_map(Json::items)
        {
            text.push_str(&piece.opt_str("text")?.unwrap_or_default());
        }
        let mut citations = Vec::new();
        for item in cited.opt_array("citations")?.iter().flat_map(Json::items) {
            citations.push(citation::read(item)?);
        }
        self.keep(cited, &["content", "citations"]);
        Ok(PartKind::Text { text, citations }.into())
    }

    fn tool_use(&mut self, block: Json<'_>, call: Json<'_>) -> Result<Part, Fault> {
        if call.as_object()?.field("type").is_some() {
            // A tool that the vendor runs itself.
            return Ok(opaque("toolUse", block.to_raw()));
        }
        self.keep(call, &["toolUseId", "name", "input", "type"]);
        let (id, signature) = tool_id::read(&call.need_str("toolUseId")?);
        let kind = PartKind::ToolCall(ToolCall {
            id,
            name: call.need_str("name")?.into_owned(),
            arguments: call.need("input")?.as_object()?.raw().to_owned(),
            custom: false,
        });
        Ok(Part {
            signature,
            ..kind.into()
        })
    }

    fn tool_result(&mut self, result: Json<'_>) -> Result<Part, Fault> {
        let status = result.as_object()?.field("status");
        let is_error = match status.map(|status| status.as_str()).transpose()?.as_deref() {
            None | Some("success") => false,
            Some("error") => true,
            Some(_) => return Err(result.fault("a status is `success` or `error`")),
        };
        self.keep(result, &["toolUseId", "content", "status"]);
        let mut parts = Vec::new();
        let mut json = None;
        let content = result.need("content")?.as_array()?;
        let alone = content.items().count() == 1;
        for item in content.items() {
            match item.as_object()?.field("json") {
                Some(value) if alone => json = Some(value.to_raw()),
                // Beside other content it can only be told as text.
                Some(value) => parts.push(Part::text(value.raw())),
                None => parts.push(self.block(item)?),
            }
        }
        Ok(PartKind::ToolResult(ToolResult {
            call_id: tool_id::read(&result.need_str("toolUseId")?).0,
            name: None,
            parts,
            json,
            is_error,
            custom: false,
        })
        .into())
    }
}

/// Reasoning that only the vendor can read.
pub(super) fn redacted(data: &str) -> Part {
    // Another vendor's data was wrapped in base64, which this place demands.
    let foreign = STANDARD
        .decode(data)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(|text| carry::read_signature(&text, ID))
        .filter(|signature| signature.dialect != ID);
    Part {
        signature: Some(foreign.unwrap_or_else(|| carry::read_signature(data, ID))),
        ..PartKind::RedactedThinking.into()
    }
}

/// A block that only this vendor understands.
pub(super) fn opaque(what: &str, json: RawJson) -> Part {
    PartKind::Opaque {
        dialect: ID,
        what: what.to_owned(),
        json,
    }
    .into()
}
