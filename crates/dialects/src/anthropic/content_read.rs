//! Content blocks of requests and answers. Known blocks become parts; every
//! other block (server tools, search results, new kinds) is opaque and kept
//! as it came.

use contract::chat::{CacheMark, CacheTtl, Media, Part, PartKind, ToolCall, ToolResult};
use contract::text::Extras;
use contract::{Fault, RawJson};

use super::{ID, citation};
use crate::json::{Json, Kind};
use crate::{carry, nested, tool_id};

/// Reads blocks and keeps the fields that have no place.
#[derive(Debug, Default)]
pub(super) struct BlockReader {
    pub(super) extras: Extras,
}

impl BlockReader {
    /// Content that is a string or an array of blocks.
    pub(super) fn content(&mut self, content: Json<'_>) -> Result<Vec<Part>, Fault> {
        if let Some(text) = content.str() {
            return Ok(vec![Part::text(text)]);
        }
        if content.kind() != Kind::Array {
            return Err(content.expected("a string or an array of content blocks"));
        }
        content.items().map(|block| self.block(block)).collect()
    }

    /// One block.
    pub(super) fn block(&mut self, block: Json<'_>) -> Result<Part, Fault> {
        let kind = block.as_object()?.need_str("type")?;
        match &*kind {
            "text" => self.text(block),
            "image" => self.image(block),
            "document" => self.document(block),
            "thinking" => self.thinking(block),
            "redacted_thinking" => self.redacted(block),
            "tool_use" => self.tool_use(block),
            "tool_result" => self.tool_result(block),
            _ => Ok(opaque(block, &kind)),
        }
    }

    /// The marker at `cache_control` of an object.
    pub(super) fn cache_mark(&mut self, owner: Json<'_>) -> Result<Option<CacheMark>, Fault> {
        owner
            .opt_object("cache_control")?
            .map(|mark| self.mark(mark))
            .transpose()
    }

    /// A cache marker itself.
    pub(super) fn mark(&mut self, mark: Json<'_>) -> Result<CacheMark, Fault> {
        let kind = mark.as_object()?.need("type")?;
        if kind.as_str()? != "ephemeral" {
            return Err(kind.fault("the only cache type is `ephemeral`"));
        }
        let ttl = match mark.field("ttl") {
            None => CacheTtl::Default,
            Some(ttl) => match &*ttl.as_str()? {
                "5m" => CacheTtl::Minutes5,
                "1h" => CacheTtl::Hour1,
                _ => return Err(ttl.fault("a cache lives for `5m` or `1h`")),
            },
        };
        self.keep(mark, &["type", "ttl"]);
        Ok(CacheMark { ttl })
    }

    /// Keeps the members of an object that are not in `known`.
    pub(super) fn keep(&mut self, object: Json<'_>, known: &[&str]) {
        nested::keep_rest(object, known, &mut self.extras);
    }

    fn text(&mut self, block: Json<'_>) -> Result<Part, Fault> {
        let mut citations = Vec::new();
        if let Some(cited) = block.opt_array("citations")? {
            for item in cited.items() {
                citations.push(citation::read(item)?);
            }
        }
        self.keep(block, &["type", "text", "citations", "cache_control"]);
        let kind = PartKind::Text {
            text: block.need_str("text")?.into_owned(),
            citations,
        };
        self.marked(block, kind)
    }

    fn image(&mut self, block: Json<'_>) -> Result<Part, Fault> {
        let source = block.need("source")?.as_object()?;
        let Some(media) = self.media(source, None)? else {
            return Ok(opaque(block, "image"));
        };
        self.keep(block, &["type", "source", "cache_control"]);
        let kind = PartKind::Image {
            source: media,
            detail: None,
        };
        self.marked(block, kind)
    }

    fn document(&mut self, block: Json<'_>) -> Result<Part, Fault> {
        let source = block.need("source")?.as_object()?;
        let Some(media) = self.media(source, Some("application/pdf"))? else {
            // A document made of blocks is cited block by block; flattening
            // it would move every citation.
            return Ok(opaque(block, "document"));
        };
        let citations = match block.opt_object("citations")? {
            None => false,
            Some(config) => {
                self.keep(config, &["enabled"]);
                config.opt_bool("enabled")?.unwrap_or(false)
            }
        };
        self.keep(
            block,
            &[
                "type",
                "source",
                "cache_control",
                "citations",
                "title",
                "context",
            ],
        );
        let kind = PartKind::File {
            source: media,
            name: block.opt_string("title")?,
            citations,
            context: block.opt_string("context")?,
        };
        self.marked(block, kind)
    }

    /// A source of an image or document; `None` for kinds that have no
    /// canonical form. URLs of documents are PDFs (`url_mime`).
    fn media(&mut self, source: Json<'_>, url_mime: Option<&str>) -> Result<Option<Media>, Fault> {
        let known: &[&str];
        let media = match &*source.need_str("type")? {
            "base64" => {
                known = &["type", "media_type", "data"];
                Media::Base64 {
                    mime: source.need_str("media_type")?.into_owned(),
                    data: source.need_str("data")?.into_owned(),
                }
            }
            "url" => {
                known = &["type", "url"];
                Media::Url {
                    url: source.need_str("url")?.into_owned(),
                    mime: url_mime.map(str::to_owned),
                }
            }
            "file" => {
                known = &["type", "file_id"];
                Media::Id {
                    dialect: ID,
                    id: source.need_str("file_id")?.into_owned(),
                    mime: None,
                }
            }
            "text" => {
                known = &["type", "media_type", "data"];
                Media::Text {
                    text: source.need_str("data")?.into_owned(),
                }
            }
            _ => return Ok(None),
        };
        self.keep(source, known);
        Ok(Some(media))
    }

    fn thinking(&mut self, block: Json<'_>) -> Result<Part, Fault> {
        self.keep(block, &["type", "thinking", "signature", "cache_control"]);
        let kind = PartKind::Thinking {
            text: block.need_str("thinking")?.into_owned(),
        };
        let signature = block.opt_str("signature")?.filter(|text| !text.is_empty());
        Ok(Part {
            signature: signature.map(|text| carry::read_signature(&text, ID)),
            ..self.marked(block, kind)?
        })
    }

    fn redacted(&mut self, block: Json<'_>) -> Result<Part, Fault> {
        self.keep(block, &["type", "data", "cache_control"]);
        Ok(Part {
            signature: Some(carry::read_signature(&block.need_str("data")?, ID)),
            ..self.marked(block, PartKind::RedactedThinking)?
        })
    }

    fn tool_use(&mut self, block: Json<'_>) -> Result<Part, Fault> {
        self.keep(block, &["type", "id", "name", "input", "cache_control"]);
        let (id, signature) = tool_id::read(&block.need_str("id")?);
        let call = ToolCall {
            id,
            name: block.need_str("name")?.into_owned(),
            arguments: block.need("input")?.as_object()?.raw().to_owned(),
            custom: false,
        };
        Ok(Part {
            signature,
            ..self.marked(block, PartKind::ToolCall(call))?
        })
    }

    fn tool_result(&mut self, block: Json<'_>) -> Result<Part, Fault> {
        self.keep(
            block,
            &[
                "type",
                "tool_use_id",
                "content",
                "is_error",
                "cache_control",
            ],
        );
        let parts = match block.field("content") {
            Some(content) => self.content(content)?,
            None => Vec::new(),
        };
        let result = ToolResult {
            call_id: tool_id::read(&block.need_str("tool_use_id")?).0,
            name: None,
            parts,
            json: None,
            is_error: block.opt_bool("is_error")?.unwrap_or(false),
            custom: false,
        };
        self.marked(block, PartKind::ToolResult(result))
    }

    fn marked(&mut self, block: Json<'_>, kind: PartKind) -> Result<Part, Fault> {
        Ok(Part {
            cache: self.cache_mark(block)?,
            ..kind.into()
        })
    }
}

fn opaque(block: Json<'_>, what: &str) -> Part {
    opaque_raw(what, block.to_raw())
}

/// A block that only this vendor understands.
pub(super) fn opaque_raw(what: &str, json: RawJson) -> Part {
    PartKind::Opaque {
        dialect: ID,
        what: what.to_owned(),
        json,
    }
    .into()
}
