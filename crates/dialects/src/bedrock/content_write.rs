//! Writing parts as content blocks of a request.

use std::collections::{HashMap, HashSet};

use contract::chat::{CacheMark, CacheTtl, Media, Part, PartKind, ToolCall, ToolResult};
use contract::{Fault, ModelCard};

use super::media::{self, Medium};
use super::{ID, citation};
use crate::json::{self, Kind, ObjectWriter, Rules, Tape};
use crate::loss::Losses;
use crate::nested::Nested;
use crate::stand_in::{self, CUSTOM_INPUT};

/// Longest id of a tool call, in characters.
const ID_CHARS_MAX: usize = 64;

/// Writes blocks, and keeps account of what they could not carry.
pub(super) struct BlockWriter<'a> {
    pub(super) card: &'a ModelCard,
    pub(super) losses: Losses,
    pub(super) nested: Nested<'a>,
    /// The request was read from this dialect: written as it came.
    pub(super) own: bool,
    /// Stand-ins for ids of tool calls that the vendor does not take, by
    /// their order in the conversation: stable while it grows.
    ids: HashMap<String, String>,
    /// Names of documents so far; the vendor refuses to see one twice.
    names: HashSet<String>,
}

impl<'a> BlockWriter<'a> {
    pub(super) fn new(
        card: &'a ModelCard,
        losses: Losses,
        nested: Nested<'a>,
        own: bool,
    ) -> BlockWriter<'a> {
        Self {
            card,
            losses,
            nested,
            own,
            ids: HashMap::new(),
            names: HashSet::new(),
        }
    }

    /// The blocks of a part, its cache point among them; none if nothing of
    /// the part can be sent (declared, or empty). `at` is its path.
    pub(super) fn blocks(&mut self, part: &Part, at: &str) -> Result<Vec<String>, Fault> {
        let mut blocks: Vec<String> = self.block(part, at)?.into_iter().collect();
        if let Some(mark) = part.cache.filter(|_| !blocks.is_empty()) {
            blocks.push(cache_point(mark));
        }
        Ok(blocks)
    }

    fn block(&mut self, part: &Part, at: &str) -> Result<Option<String>, Fault> {
        match &part.kind {
            PartKind::Text { text, citations } => {
                if text.trim().is_empty() && !self.own {
                    // The vendor refuses blank text.
                    return Ok(None);
                }
                let cited: Vec<_> = citations.iter().filter_map(citation::write).collect();
                if cited.len() != citations.len() {
                    self.losses.declare(
                        format!("{at}.citations"),
                        "the source has no form this vendor takes",
                    );
                }
                Ok(Some(text_block(text, &cited)))
            }
            PartKind::Refusal { text } => Ok(Some(text_block(text, &[]))),
            PartKind::Image { source, detail } => {
                if !self.card.capabilities.vision {
                    return Err(cannot("images", at));
                }
                self.losses.detail(detail.as_deref(), at);
                self.medium("image", Medium::Image, source, at).map(Some)
            }
            PartKind::Audio { source, transcript } => match transcript {
                Some(text) if !text.trim().is_empty() => {
                    self.losses
                        .declare(at.to_owned(), "the sound was replaced by its transcript");
                    Ok(Some(text_block(text, &[])))
                }
                Some(_) | None if !self.card.capabilities.audio => Err(cannot("audio", at)),
                Some(_) | None => self.medium("audio", Medium::Sound, source, at).map(Some),
            },
            PartKind::File { .. } => self.document(part, at).map(Some),
            PartKind::Thinking { .. } | PartKind::RedactedThinking => Ok(self.reasoning(part, at)),
            PartKind::ToolCall(call) => Ok(Some(self.tool_use(call, at))),
            PartKind::ToolResult(result) => self.tool_result(result, at).map(Some),
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

    /// An object with one member, which takes back the fields that came with
    /// it.
    fn wrapped(&self, name: &str, at: &str, write: impl FnOnce(&mut ObjectWriter<'_>)) -> String {
        json::object(|out| {
            out.object(name, |out| {
                write(out);
                self.nested.put(&format!("{at}.{name}"), out);
            });
        })
    }

    fn medium(
        &mut self,
        name: &str,
        medium: Medium,
        source: &Media,
        at: &str,
    ) -> Result<String, Fault> {
        let mime = match source {
            Media::Base64 { mime, .. } => Some(mime.as_str()),
            Media::Url { mime, .. } | Media::Id { mime, .. } => mime.as_deref(),
            Media::Text { .. } => None,
        };
        // An address rarely tells its type, so it comes first: what is wrong
        // with it is more than that.
        let source = self.source(source, &format!("{at}.{name}.source"))?;
        let word = self.format(medium, mime, at)?;
        Ok(self.wrapped(name, at, |out| {
            out.str("format", &word);
            out.raw("source", &source);
        }))
    }

    /// The format word. A caller of this dialect may know words that are
    /// newer than ours.
    fn format(&self, medium: Medium, mime: Option<&str>, at: &str) -> Result<String, Fault> {
        if let Some(word) = mime.and_then(|mime| medium.word(mime)) {
            return Ok(word.to_owned());
        }
        let newer = mime
            .and_then(|mime| mime.split_once('/'))
            .map(|(_, word)| word);
        match newer {
            Some(word) if self.own => Ok(word.to_owned()),
            Some(_) | None => Err(Fault::unsupported(format!(
                "`{at}`: this vendor does not take the type {}. Convert it, or choose a model \
                 that takes it.",
                mime.unwrap_or("(unknown)")
            ))
            .at(at)),
        }
    }

    fn source(&self, media: &Media, at: &str) -> Result<String, Fault> {
        let refused = |why: &str| Err(Fault::unsupported(format!("`{at}`: {why}")).at(at));
        match media {
            Media::Base64 { data, .. } => Ok(json::object(|out| {
                out.str("bytes", data);
                self.nested.put(at, out);
            })),
            Media::Text { text } => Ok(json::object(|out| {
                out.str("text", text);
                self.nested.put(at, out);
            })),
            Media::Url { url, .. } if url.starts_with("s3://") => Ok(json::object(|out| {
                out.object("s3Location", |out| {
                    out.str("uri", url);
                    self.nested.put(&format!("{at}.s3Location"), out);
                });
                self.nested.put(at, out);
            })),
            Media::Url { .. } => refused(
                "this vendor fetches no URLs. Send the content itself in base64, or \
                 an s3:// address.",
            ),
            Media::Id { .. } => refused(
                "the file is stored at another vendor, where this model cannot read it. Send \
                 its content instead of its id.",
            ),
        }
    }

    fn document(&mut self, part: &Part, at: &str) -> Result<String, Fault> {
        let PartKind::File {
            source,
            name,
            citations,
            context,
        } = &part.kind
        else {
            return Err(cannot("this part", at));
        };
        let mime = match source {
            Media::Text { .. } => Some("text/plain"),
            Media::Base64 { mime, .. } => Some(mime.as_str()),
            Media::Url { mime, .. } | Media::Id { mime, .. } => mime.as_deref(),
        };
        if !self.card.capabilities.files && !matches!(source, Media::Text { .. }) {
            return Err(cannot("files", at));
        }
        let source = self.source(source, &format!("{at}.document.source"))?;
        let word = self.format(Medium::Document, mime, at)?;
        let name = self.document_name(name.as_deref().unwrap_or("document"));
        let cited = format!("{at}.document.citations");
        Ok(self.wrapped("document", at, |out| {
            out.str("format", &word);
            out.str("name", &name);
            out.raw("source", &source);
            out.opt_str("context", context.as_deref());
            if *citations || self.nested.has(&cited) {
                out.object("citations", |out| {
                    out.bool("enabled", *citations);
                    self.nested.put(&cited, out);
                });
            }
        }))
    }

    /// A name that the vendor takes and has not seen yet.
    fn document_name(&mut self, name: &str) -> String {
        if self.own {
            return name.to_owned();
        }
        let plain = media::document_name(name);
        let mut unique = plain.clone();
        let mut copy = 2;
        while !self.names.insert(unique.clone()) {
            unique = format!("{plain} ({copy})");
            copy += 1;
        }
        unique
    }

    fn reasoning(&mut self, part: &Part, at: &str) -> Option<String> {
        let signature = match &part.signature {
            Some(signature) if signature.dialect == ID => Some(signature.value.as_str()),
            None if self.own => None,
            Some(_) | None => {
                self.losses.declare(
                    format!("{at}.thinking"),
                    "thinking without this vendor's proof cannot be replayed here",
                );
                return None;
            }
        };
        Some(self.wrapped("reasoningContent", at, |out| {
            if let PartKind::Thinking { text } = &part.kind {
                out.object("reasoningText", |out| {
                    out.str("text", text);
                    out.opt_str("signature", signature);
                    self.nested
                        .put(&format!("{at}.reasoningContent.reasoningText"), out);
                });
            } else {
                out.str("redactedContent", signature.unwrap_or(""));
            }
        }))
    }

    fn tool_use(&mut self, call: &ToolCall, at: &str) -> String {
        let id = self.id(&call.id);
        self.wrapped("toolUse", at, |out| {
            out.str("toolUseId", &id);
            out.str("name", &call.name);
            if call.custom {
                out.object("input", |out| out.str(CUSTOM_INPUT, &call.arguments));
            } else {
                out.raw("input", &stand_in::input(&call.arguments));
            }
        })
    }

    /// An id that the vendor takes.
    fn id(&mut self, id: &str) -> String {
        let fits = (1..=ID_CHARS_MAX).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte));
        if fits || self.own {
            return id.to_owned();
        }
        let next = self.ids.len() + 1;
        self.ids
            .entry(id.to_owned())
            .or_insert_with(|| format!("tollgate_call_{next}"))
            .clone()
    }

    fn tool_result(&mut self, result: &ToolResult, at: &str) -> Result<String, Fault> {
        let mut items = Vec::with_capacity(result.parts.len());
        for (index, part) in result.parts.iter().enumerate() {
            let inner = format!("{at}.toolResult.content[{index}]");
            items.extend(self.block(part, &inner)?);
        }
        if let Some(json) = &result.json {
            let item = if self.own || is_object(json.as_str()) {
                json::object(|out| out.raw("json", json.as_str()))
            } else {
                text_block(json.as_str(), &[])
            };
            items.push(item);
        }
        let id = self.id(&result.call_id);
        Ok(self.wrapped("toolResult", at, |out| {
            out.str("toolUseId", &id);
            out.array("content", |array| {
                items.iter().for_each(|item| array.raw(item));
            });
            if result.is_error {
                out.str("status", "error");
            }
        }))
    }
}

/// A text block, or one with its sources.
pub(super) fn text_block(text: &str, cited: &[contract::RawJson]) -> String {
    json::object(|out| {
        if cited.is_empty() {
            out.str("text", text);
            return;
        }
        out.object("citationsContent", |out| {
            out.array("content", |array| {
                array.object(|out| out.str("text", text));
            });
            out.array("citations", |array| {
                cited.iter().for_each(|raw| array.raw(raw.as_str()));
            });
        });
    })
}

/// A cache point, which marks what stands before it.
pub(super) fn cache_point(mark: CacheMark) -> String {
    json::object(|out| {
        out.object("cachePoint", |out| {
            out.str("type", "default");
            match mark.ttl {
                CacheTtl::Default => {}
                CacheTtl::Minutes5 => out.str("ttl", "5m"),
                CacheTtl::Hour1 => out.str("ttl", "1h"),
            }
        });
    })
}

fn is_object(text: &str) -> bool {
    let mut tape = Tape::default();
    tape.rescan(text.as_bytes(), &Rules::ANSWER).is_ok()
        && tape.root(text.as_bytes()).kind() == Kind::Object
}

fn cannot(what: &str, at: &str) -> Fault {
    Fault::unsupported(format!(
        "`{at}`: the model that serves this request does not take {what}. Leave the part out, \
         or choose a model that takes it."
    ))
    .at(at)
}
