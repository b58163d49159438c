//! Reading input items into turns. An item joins the turn before it where
//! both are the same speaker's and the turn can still take it: calls follow
//! the text they belong to, results follow one another.

use contract::Fault;
use contract::chat::{
    CacheMark, CacheTtl, Citation, CitationTarget, Media, Part, PartKind, Role, ToolCall,
    ToolResult, Turn,
};
use contract::text::Extras;

use super::{ID, proof};
use crate::carry;
use crate::json::{Json, Kind};
use crate::openai::media;

/// Reads the items of `input` behind turns that are already there; tools
/// among them are handed to `tools`.
pub(super) fn read<'a>(
    input: Json<'a>,
    turns: Vec<Turn>,
    extras: &mut Extras,
    tools: &mut Vec<Json<'a>>,
) -> Result<Vec<Turn>, Fault> {
    let mut reader = Reader {
        turns,
        place: 0,
        extras,
    };
    if let Some(text) = input.str() {
        reader.push(Role::User, vec![Part::text(text)]);
        return Ok(reader.turns);
    }
    let items = input
        .as_array()
        .map_err(|_| input.expected("a string or an array of items"))?;
    for item in items.items() {
        let kind = kind_of(item)?;
        if kind == "additional_tools" {
            // Coding agents send their tools as an item. They are tools like
            // others; the item itself says nothing more.
            tools.extend(item.need("tools")?.as_array()?.items());
        } else {
            reader.item(item, &kind)?;
        }
    }
    Ok(reader.turns)
}

/// The type word of an item; a message may leave it out.
fn kind_of(item: Json<'_>) -> Result<String, Fault> {
    match item.as_object()?.opt_string("type")? {
        Some(kind) => Ok(kind),
        None if item.field("role").is_some() => Ok("message".to_owned()),
        None if item.field("id").is_some() => Ok("item_reference".to_owned()),
        None => Err(item.fault("an item needs a `type` or a `role`")),
    }
}

/// Keeps members that are not known, named by where the item will stand when
/// it is written again.
fn keep_rest(object: Json<'_>, known: &[&str], path: &str, extras: &mut Extras) {
    for member in object.members() {
        if !member.value.is_null() && !known.iter().any(|key| member.is(key)) {
            let full = format!("{path}.{}", member.name());
            extras.fields.push((full, member.value.to_raw()));
        }
    }
}

struct Reader<'e> {
    turns: Vec<Turn>,
    /// Number of the item among those that are kept.
    place: usize,
    extras: &'e mut Extras,
}

impl Reader<'_> {
    fn item(&mut self, item: Json<'_>, kind: &str) -> Result<(), Fault> {
        let path = format!("input[{}]", self.place);
        match kind {
            "message" => return self.message(item, &path),
            "function_call" => self.call(item, false, &path)?,
            "custom_tool_call" => self.call(item, true, &path)?,
            "function_call_output" => self.output(item, false, &path)?,
            "custom_tool_call_output" => self.output(item, true, &path)?,
            "reasoning" => {
                const KNOWN: &[&str] = &[
                    "type",
                    "id",
                    "summary",
                    "content",
                    "encrypted_content",
                    "status",
                ];
                keep_rest(item, KNOWN, &path, self.extras);
                let part = proof::read_item(item)?;
                self.join_assistant(part);
            }
            "item_reference" => {
                return Err(item.unsupported(
                    "a reference to an item that a provider stores cannot be followed here; \
                     send the item itself",
                ));
            }
            hosted => {
                let part = PartKind::Opaque {
                    dialect: ID,
                    what: hosted.to_owned(),
                    json: item.to_raw(),
                };
                self.join_assistant(part.into());
            }
        }
        self.place += 1;
        Ok(())
    }

    fn message(&mut self, item: Json<'_>, path: &str) -> Result<(), Fault> {
        const KNOWN: &[&str] = &["type", "role", "content", "id", "status"];
        let word = item.need("role")?;
        let role = match &*word.as_str()? {
            "system" => Role::System,
            "developer" => Role::Developer,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            _ => {
                return Err(word
                    .fault("unknown role; expected `system`, `developer`, `user` or `assistant`"));
            }
        };
        keep_rest(item, KNOWN, path, self.extras);
        let id = item.opt_string("id")?;
        let mut parts = read_content(item.need("content")?, path, self.extras)?;
        for part in &mut parts {
            part.id = id.clone();
        }
        // What becomes `instructions` when it is written is no item there.
        let leads = role == Role::System && self.turns.is_empty() && is_plain(&parts);
        if role == Role::Assistant {
            self.say(parts);
        } else {
            self.push(role, parts);
        }
        self.place += usize::from(!leads);
        Ok(())
    }

    fn call(&mut self, item: Json<'_>, custom: bool, path: &str) -> Result<(), Fault> {
        let key = if custom { "input" } else { "arguments" };
        keep_rest(
            item,
            &["type", "id", "call_id", "name", "status", key],
            path,
            self.extras,
        );
        let loaded = item.need_str("call_id")?;
        let (id, signature) = carry::unload_id(&loaded);
        let text = item.opt_str(key)?.unwrap_or_default();
        let arguments = match text.trim() {
            "" if !custom => "{}".to_owned(),
            _ => text.into_owned(),
        };
        let call = ToolCall {
            id: id.into_owned(),
            name: item.need_str("name")?.into_owned(),
            arguments,
            custom,
        };
        self.join_assistant(Part {
            id: item.opt_string("id")?,
            signature,
            ..PartKind::ToolCall(call).into()
        });
        Ok(())
    }

    fn output(&mut self, item: Json<'_>, custom: bool, path: &str) -> Result<(), Fault> {
        keep_rest(
            item,
            &["type", "id", "call_id", "name", "output", "status"],
            path,
            self.extras,
        );
        let loaded = item.need_str("call_id")?;
        let result = ToolResult {
            call_id: carry::unload_id(&loaded).0.into_owned(),
            name: item.opt_string("name")?,
            parts: read_content(item.need("output")?, path, self.extras)?,
            json: None,
            is_error: false,
            custom,
        };
        let part = Part {
            id: item.opt_string("id")?,
            ..PartKind::ToolResult(result).into()
        };
        match self.turns.last_mut() {
            Some(turn) if is_answering(turn) => turn.parts.push(part),
            _ => self.push(Role::User, vec![part]),
        }
        Ok(())
    }

    /// Adds what the model did to its turn.
    fn join_assistant(&mut self, part: Part) {
        match self.turns.last_mut() {
            Some(turn) if turn.role == Role::Assistant => turn.parts.push(part),
            _ => self.push(Role::Assistant, vec![part]),
        }
    }

    /// Adds what the model said; a second message is a turn of its own, so
    /// that the two stay apart.
    fn say(&mut self, parts: Vec<Part>) {
        match self.turns.last_mut() {
            Some(turn) if turn.role == Role::Assistant && !has_said(turn) => {
                turn.parts.extend(parts);
            }
            _ => self.push(Role::Assistant, parts),
        }
    }

    fn push(&mut self, role: Role, parts: Vec<Part>) {
        self.turns.push(Turn {
            role,
            parts,
            name: None,
        });
    }
}

fn is_answering(turn: &Turn) -> bool {
    turn.role == Role::User
        && turn
            .parts
            .last()
            .is_some_and(|part| matches!(part.kind, PartKind::ToolResult(_)))
}

fn has_said(turn: &Turn) -> bool {
    turn.parts.iter().any(is_said)
}

/// Whether a part is one of a message.
pub(super) fn is_said(part: &Part) -> bool {
    matches!(part.kind, PartKind::Text { .. } | PartKind::Refusal { .. })
}

/// Whether parts are one text without a marker: what `instructions` can say.
pub(super) fn is_plain(parts: &[Part]) -> bool {
    matches!(parts, [one] if one.cache.is_none() && matches!(one.kind, PartKind::Text { .. }))
}

/// Content that is a string or an array of parts.
fn read_content(content: Json<'_>, path: &str, extras: &mut Extras) -> Result<Vec<Part>, Fault> {
    if let Some(text) = content.str() {
        return Ok(vec![Part::text(text)]);
    }
    if content.kind() != Kind::Array {
        return Err(content.expected("a string or an array of content parts"));
    }
    let list = if content.path().ends_with("output") {
        "output"
    } else {
        "content"
    };
    let parts = content.items().enumerate();
    parts
        .map(|(at, part)| read_part(part, &format!("{path}.{list}[{at}]"), extras))
        .collect()
}

/// One content part, of a message or of a tool's output.
pub(super) fn read_part(part: Json<'_>, path: &str, extras: &mut Extras) -> Result<Part, Fault> {
    let word = part.as_object()?.need_str("type")?;
    let (kind, known): (PartKind, &[&str]) = match &*word {
        "input_text" | "text" | "output_text" | "summary_text" => (
            PartKind::Text {
                text: part.need_str("text")?.into_owned(),
                citations: read_citations(part)?,
            },
            &["text", "annotations", "logprobs"],
        ),
        "refusal" => (
            PartKind::Refusal {
                text: part.need_str("refusal")?.into_owned(),
            },
            &["refusal"],
        ),
        "input_image" => (
            PartKind::Image {
                source: read_image(part)?,
                detail: part.opt_string("detail")?,
            },
            &["image_url", "file_id", "detail"],
        ),
        "input_file" => (
            read_file(part)?,
            &["file_data", "file_id", "file_url", "filename"],
        ),
        "input_audio" => (read_audio(part.need("input_audio")?)?, &["input_audio"]),
        _ => {
            return Ok(PartKind::Opaque {
                dialect: ID,
                what: word.into_owned(),
                json: part.to_raw(),
            }
            .into());
        }
    };
    let known = [known, &["type", "prompt_cache_breakpoint"]].concat();
    keep_rest(part, &known, path, extras);
    Ok(Part {
        cache: read_cache(part)?,
        ..kind.into()
    })
}

fn read_cache(part: Json<'_>) -> Result<Option<CacheMark>, Fault> {
    let Some(mark) = part.opt_object("prompt_cache_breakpoint")? else {
        return Ok(None);
    };
    let ttl = match mark.opt_str("ttl")?.as_deref() {
        None | Some("30m") => CacheTtl::Default,
        Some("12h") => CacheTtl::Hour1,
        Some(_) => return Err(mark.need("ttl")?.fault("expected `30m` or `12h`")),
    };
    Ok(Some(CacheMark { ttl }))
}

fn own_file(id: String) -> Media {
    Media::Id {
        dialect: ID,
        id,
        mime: None,
    }
}

fn read_image(part: Json<'_>) -> Result<Media, Fault> {
    match (part.opt_str("image_url")?, part.opt_string("file_id")?) {
        (Some(url), _) => Ok(media::read_url(&url)),
        (None, Some(id)) => Ok(own_file(id)),
        (None, None) => Err(part.fault("`image_url` or `file_id` is required")),
    }
}

fn read_file(part: Json<'_>) -> Result<PartKind, Fault> {
    let name = part.opt_string("filename")?;
    let source = match (
        part.opt_str("file_data")?,
        part.opt_string("file_id")?,
        part.opt_string("file_url")?,
    ) {
        (Some(data), _, _) => media::read_file_data(&data, name.as_deref()),
        (None, Some(id), _) => own_file(id),
        (None, None, Some(url)) => Media::Url { url, mime: None },
        (None, None, None) => {
            return Err(part.fault("`file_data`, `file_id` or `file_url` is required"));
        }
    };
    Ok(PartKind::File {
        source,
        name,
        citations: false,
        context: None,
    })
}

fn read_audio(audio: Json<'_>) -> Result<PartKind, Fault> {
    Ok(PartKind::Audio {
        source: Media::Base64 {
            mime: media::audio_mime(&audio.need_str("format")?),
            data: audio.need_str("data")?.into_owned(),
        },
        transcript: None,
    })
}

fn read_citations(part: Json<'_>) -> Result<Vec<Citation>, Fault> {
    let annotations = part.opt_array("annotations")?;
    let annotations = annotations.iter().flat_map(Json::items);
    annotations
        .filter_map(|annotation| read_citation(annotation).transpose())
        .collect()
}

/// One annotation; kinds that cite nothing outside the answer's own files
/// keep only their raw form, and new kinds are passed over.
pub(super) fn read_citation(annotation: Json<'_>) -> Result<Option<Citation>, Fault> {
    let target = match &*annotation.need_str("type")? {
        "url_citation" => CitationTarget::Url {
            url: annotation.need_str("url")?.into_owned(),
            title: annotation.opt_string("title")?,
        },
        "file_citation" | "container_file_citation" | "file_path" => CitationTarget::File {
            id: annotation.need_str("file_id")?.into_owned(),
            name: annotation.opt_string("filename")?,
        },
        _ => return Ok(None),
    };
    let start = annotation.opt_u32("start_index")?;
    Ok(Some(Citation {
        target,
        cited_text: None,
        span: start.zip(annotation.opt_u32("end_index")?),
        raw: Some((ID, annotation.to_raw())),
    }))
}
