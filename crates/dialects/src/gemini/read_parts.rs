//! Parts of contents, in requests and answers. Known kinds become canonical
//! parts; every other kind (code execution, server-side tools, new kinds) is
//! opaque and kept as it came.

use contract::chat::{Media, Part, PartKind, Role, Signature, ToolCall, ToolResult, Turn};
use contract::text::Extras;
use contract::{Fault, RawJson};

use super::{ID, names, signature};
use crate::json::{Json, Kind};
use crate::tool_id;

/// Marks the id of a call that the vendor left without one. It is never sent
/// to the vendor, who then matches by name and order.
pub(super) const MINTED: &str = "tgcall_";

/// What a part can hold; one of them.
const DATA: [&str; 9] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
];

/// Reads parts, and keeps the fields that have no place.
#[derive(Debug, Default)]
pub(super) struct PartReader {
    pub(super) extras: Extras,
    /// Calls so far: id, name, whether a result came.
    calls: Vec<(String, String, bool)>,
}

impl PartReader {
    /// The turn of a content. `number` is its place among the contents.
    pub(super) fn turn(&mut self, content: Json<'_>, number: usize) -> Result<Turn, Fault> {
        let role = match names::field(content, "role")? {
            None => Role::User,
            Some(role) => match &*role.as_str()? {
                // Older clients send results under a role of their own.
                "user" | "function" | "" => Role::User,
                "model" => Role::Assistant,
                _ => return Err(role.fault("a role is `user` or `model`")),
            },
        };
        let at = format!("contents[{number}]");
        names::keep(content, &at, &["role", "parts"], &mut self.extras);
        let mut turn = Turn {
            role,
            parts: Vec::new(),
            name: None,
        };
        if let Some(parts) = names::field(content, "parts")? {
            for part in names::list(parts)? {
                // Counted as they are kept, which is how the writer counts.
                let at = format!("{at}.parts[{}]", turn.parts.len());
                let mint = format!("{MINTED}{number}_{}", turn.parts.len());
                let read = self.part(part, &at, &mint)?;
                turn.parts.push(read);
            }
        }
        Ok(turn)
    }

    /// One part. `at` is its path, `mint` an id for a call without one.
    pub(super) fn part(&mut self, part: Json<'_>, at: &str, mint: &str) -> Result<Part, Fault> {
        let mut data = None;
        for key in DATA {
            if let Some(value) = names::field(part, key)? {
                if data.is_some() {
                    return Err(part.fault("a part holds one thing: text, media, a call, .."));
                }
                data = Some((key, value));
            }
        }
        let thought = names::opt_bool(part, "thought")?.unwrap_or(false);
        let token = names::field(part, "thoughtSignature")?
            .map(|token| token.as_str())
            .transpose()?
            .filter(|token| !token.is_empty())
            .map(|token| signature::read(&token));
        let (kind, riding) = match data {
            Some(("text", text)) => (text_kind(text, thought, token.as_ref())?, None),
            Some((key, _)) if thought => return Ok(opaque(key, part.to_raw())),
            Some(("inlineData", blob)) => (self.blob(blob, at)?, None),
            Some(("fileData", file)) => (self.file(file, at)?, None),
            Some(("functionCall", call)) => self.call(call, at, mint)?,
            Some(("functionResponse", response)) => (self.result(response, at, mint)?, None),
            Some((key, _)) => return Ok(opaque(key, part.to_raw())),
            // A signature may come on its own, behind the text it proves.
            None if token.is_some() => (text_part(String::new()), None),
            None => {
                let what = part.members().next().map(|first| first.name());
                return Ok(opaque(what.as_deref().unwrap_or("part"), part.to_raw()));
            }
        };
        let known = [
            data.map_or("text", |(key, _)| key),
            "thought",
            "thoughtSignature",
        ];
        names::keep(part, at, &known, &mut self.extras);
        Ok(Part {
            signature: token.map(|(signature, _)| signature).or(riding),
            ..kind.into()
        })
    }

    fn blob(&mut self, blob: Json<'_>, at: &str) -> Result<PartKind, Fault> {
        let mime = names::need_string(blob, "mimeType")?;
        let data = names::need(blob, "data")?.as_str()?;
        let media = Media::Base64 {
            mime: mime.clone(),
            data: signature::standard_base64(&data),
        };
        let name = names::opt_string(blob, "displayName")?;
        let kind = media_kind(media, Some(&mime), name);
        let known = known_media(&kind, "data");
        names::keep(blob, &format!("{at}.inlineData"), known, &mut self.extras);
        Ok(kind)
    }

    fn file(&mut self, file: Json<'_>, at: &str) -> Result<PartKind, Fault> {
        let url = names::need_string(file, "fileUri")?;
        let mime = names::opt_string(file, "mimeType")?;
        let name = names::opt_string(file, "displayName")?;
        let guessed = mime.clone().or_else(|| guess(&url).map(str::to_owned));
        let media = if is_stored(&url) {
            Media::Id {
                dialect: ID,
                id: url,
                mime,
            }
        } else {
            Media::Url { url, mime }
        };
        let kind = media_kind(media, guessed.as_deref(), name);
        let known = known_media(&kind, "fileUri");
        names::keep(file, &format!("{at}.fileData"), known, &mut self.extras);
        Ok(kind)
    }

    fn call(
        &mut self,
        call: Json<'_>,
        at: &str,
        mint: &str,
    ) -> Result<(PartKind, Option<Signature>), Fault> {
        let name = names::need_string(call, "name")?;
        let told = names::opt_string(call, "id")?.filter(|id| !id.is_empty());
        let (id, riding) = match told {
            Some(id) => tool_id::read(&id),
            None => (mint.to_owned(), None),
        };
        let arguments = match names::field(call, "args")? {
            Some(args) => args.as_object()?.raw().to_owned(),
            None => "{}".to_owned(),
        };
        names::keep(
            call,
            &format!("{at}.functionCall"),
            &["id", "name", "args"],
            &mut self.extras,
        );
        self.calls.push((id.clone(), name.clone(), false));
        let call = ToolCall {
            id,
            name,
            arguments,
            custom: false,
        };
        Ok((PartKind::ToolCall(call), riding))
    }

    fn result(&mut self, response: Json<'_>, at: &str, mint: &str) -> Result<PartKind, Fault> {
        let name = names::need_string(response, "name")?;
        let told = names::opt_string(response, "id")?.filter(|id| !id.is_empty());
        let call_id = match told {
            Some(id) => tool_id::read(&id).0,
            None => self.call_of(&name).unwrap_or_else(|| mint.to_owned()),
        };
        if let Some(call) = self.calls.iter_mut().rev().find(|call| call.0 == call_id) {
            call.2 = true;
        }
        let at = format!("{at}.functionResponse");
        let known = ["id", "name", "response", "parts"];
        names::keep(response, &at, &known, &mut self.extras);
        let mut media = Vec::new();
        if let Some(parts) = names::field(response, "parts")? {
            for part in names::list(parts)? {
                let at = format!("{at}.parts[{}]", media.len());
                media.push(self.part(part, &at, mint)?);
            }
        }
        let told = names::field(response, "response")?
            .map(|told| told.as_object())
            .transpose()?;
        let mut result = ToolResult {
            call_id,
            name: Some(name),
            parts: Vec::new(),
            json: None,
            is_error: false,
            custom: false,
        };
        match told.and_then(lone_text) {
            Some((text, is_error)) => {
                result.is_error = is_error;
                result.parts.push(Part::text(text));
            }
            None => {
                let raw = told.map_or_else(|| RawJson::new("{}"), |told| told.to_raw());
                result.is_error = told.is_some_and(|told| told.field("error").is_some());
                // Where parts stand, other writers take the text from them.
                if !media.is_empty() {
                    result.parts.push(Part::text(raw.as_str()));
                }
                result.json = Some(raw);
            }
        }
        result.parts.extend(media);
        Ok(PartKind::ToolResult(result))
    }

    /// The first call of this name that has no result yet.
    fn call_of(&self, name: &str) -> Option<String> {
        let open = |call: &&(String, String, bool)| call.1 == name && !call.2;
        self.calls.iter().find(open).map(|call| call.0.clone())
    }
}

/// The text of a response that says nothing else, and whether it is an error.
fn lone_text(response: Json<'_>) -> Option<(String, bool)> {
    let mut members = response.members();
    let (first, rest) = (members.next()?, members.next());
    if rest.is_some() {
        return None;
    }
    let is_error = match &*first.name() {
        "result" => false,
        "error" => true,
        _ => return None,
    };
    Some((first.value.str()?.into_owned(), is_error))
}

fn text_part(text: String) -> PartKind {
    PartKind::Text {
        text,
        citations: Vec::new(),
    }
}

fn text_kind(
    text: Json<'_>,
    thought: bool,
    token: Option<&(Signature, bool)>,
) -> Result<PartKind, Fault> {
    let text = text.as_str()?.into_owned();
    Ok(match (thought, token) {
        (true, Some((_, true))) => PartKind::RedactedThinking,
        (true, _) => PartKind::Thinking { text },
        (false, _) => text_part(text),
    })
}

/// A part that only this vendor understands.
pub(super) fn opaque(what: &str, json: RawJson) -> Part {
    PartKind::Opaque {
        dialect: ID,
        what: what.to_owned(),
        json,
    }
    .into()
}

fn media_kind(source: Media, mime: Option<&str>, name: Option<String>) -> PartKind {
    match mime.and_then(|mime| mime.split('/').next()) {
        Some("image") => PartKind::Image {
            source,
            detail: None,
        },
        Some("audio") => PartKind::Audio {
            source,
            transcript: None,
        },
        Some(_) | None => PartKind::File {
            source,
            name,
            citations: false,
            context: None,
        },
    }
}

/// Only files have a name in the canonical form.
fn known_media(kind: &PartKind, data: &'static str) -> &'static [&'static str] {
    match (kind, data) {
        (PartKind::File { .. }, "data") => &["mimeType", "data", "displayName"],
        (PartKind::File { .. }, _) => &["mimeType", "fileUri", "displayName"],
        (_, "data") => &["mimeType", "data"],
        (_, _) => &["mimeType", "fileUri"],
    }
}

/// Whether an address is in the vendor's own store, where no other vendor can
/// fetch it.
fn is_stored(url: &str) -> bool {
    url.starts_with("https://generativelanguage.googleapis.com/")
        || url.starts_with("gs://")
        || url.starts_with("files/")
}

/// The mime type that the ending of an address tells.
pub(super) fn guess(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        "txt" => "text/plain",
        _ => return None,
    })
}

/// Joins thoughts that came to the client in pieces, as streams bring them:
/// the token of another vendor proves the whole text, and only the last piece
/// bears it. Pieces may stand in turns of their own.
pub(super) fn join_thoughts(turns: &mut [Turn]) {
    for at in 0..turns.len() {
        let mut from = 0;
        while let Some(place) = next_signed(&turns[at], from) {
            let before = loose_thoughts(&turns[at].parts[from..place]);
            let first = place - before;
            let mut pieces: Vec<Part> = turns[at].parts.drain(first..place).collect();
            if first == 0 {
                for earlier in turns[..at].iter_mut().rev() {
                    let loose = loose_thoughts(&earlier.parts);
                    let whole = loose == earlier.parts.len();
                    if earlier.role != Role::Assistant || loose == 0 {
                        break;
                    }
                    let kept = earlier.parts.len() - loose;
                    pieces.splice(0..0, earlier.parts.drain(kept..));
                    if !whole {
                        break;
                    }
                }
            }
            let told: String = pieces.iter().filter_map(thought_of).collect();
            if let PartKind::Thinking { text } = &mut turns[at].parts[first].kind {
                text.insert_str(0, &told);
            }
            from = first + 1;
        }
    }
}

/// The next thought that bears the token of another vendor.
fn next_signed(turn: &Turn, from: usize) -> Option<usize> {
    let signed = |part: &Part| {
        let foreign = part
            .signature
            .as_ref()
            .is_some_and(|signature| signature.dialect != ID);
        foreign && thought_of(part).is_some()
    };
    let found = turn.parts.get(from..)?.iter().position(signed)?;
    (turn.role == Role::Assistant).then_some(from + found)
}

/// How many thoughts without a token stand at the end.
fn loose_thoughts(parts: &[Part]) -> usize {
    let loose = |part: &&Part| part.signature.is_none() && thought_of(part).is_some();
    parts.iter().rev().take_while(loose).count()
}

fn thought_of(part: &Part) -> Option<&str> {
    match &part.kind {
        PartKind::Thinking { text } => Some(text),
        PartKind::Text { .. }
        | PartKind::Image { .. }
        | PartKind::Audio { .. }
        | PartKind::File { .. }
        | PartKind::RedactedThinking
        | PartKind::ToolCall(_)
        | PartKind::ToolResult(_)
        | PartKind::Refusal { .. }
        | PartKind::Opaque { .. } => None,
    }
}

/// The parts of a system instruction: a content, a list of parts or a bare
/// string, all of which clients send.
pub(super) fn instruction(reader: &mut PartReader, value: Json<'_>) -> Result<Vec<Part>, Fault> {
    if let Some(text) = value.str() {
        return Ok(vec![Part::text(text)]);
    }
    let at = "systemInstruction";
    let parts = match value.kind() {
        Kind::Object if names::field(value, "text")?.is_some() => vec![value],
        Kind::Array => value.items().collect(),
        Kind::Object
        | Kind::Null
        | Kind::True
        | Kind::False
        | Kind::Number
        | Kind::String
        | Kind::EscapedString => {
            names::keep(
                value.as_object()?,
                at,
                &["role", "parts"],
                &mut reader.extras,
            );
            match names::field(value, "parts")? {
                Some(parts) => names::list(parts)?,
                None => Vec::new(),
            }
        }
    };
    let parts = parts.into_iter().enumerate();
    parts
        .map(|(index, part)| match part.str() {
            Some(text) => Ok(Part::text(text)),
            None => reader.part(part, &format!("{at}.parts[{index}]"), MINTED),
        })
        .collect()
}
