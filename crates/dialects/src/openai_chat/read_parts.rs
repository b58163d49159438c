//! Reading content parts and assistant messages, which look alike in the
//! history of a request and in an answer.

use contract::Fault;
use contract::chat::{
    CacheMark, CacheTtl, Citation, CitationTarget, Media, Part, PartKind, ToolCall,
};
use contract::text::Extras;

use super::ID;
use super::echo::{self, Sender};
use crate::json::Json;
use crate::openai::media;

/// Members of a part that mark the end of a cached prefix: the vendor's own,
/// and the one that servers in front of other vendors take.
const CACHE_KEYS: [&str; 2] = ["prompt_cache_breakpoint", "cache_control"];

/// Keeps members that are not known, under their full path, so that every
/// writer can name them.
pub(super) fn keep_rest(object: Json<'_>, known: &[&str], extras: &mut Extras) {
    for member in object.members() {
        if !member.value.is_null() && !known.iter().any(|key| member.is(key)) {
            extras
                .fields
                .push((member.value.path(), member.value.to_raw()));
        }
    }
}

/// Content that is a string, an array of parts, or absent.
pub(super) fn read_content(
    content: Option<Json<'_>>,
    extras: &mut Extras,
) -> Result<Vec<Part>, Fault> {
    let Some(content) = content else {
        return Ok(Vec::new());
    };
    if let Some(text) = content.str() {
        return Ok(vec![Part::text(text)]);
    }
    content
        .as_array()
        .map_err(|_| content.expected("a string or an array of content parts"))?
        .items()
        .map(|part| read_part(part, extras))
        .collect()
}

/// One content part.
pub(super) fn read_part(part: Json<'_>, extras: &mut Extras) -> Result<Part, Fault> {
    let word = part.as_object()?.need_str("type")?;
    let kind = match &*word {
        "text" => PartKind::Text {
            text: part.need_str("text")?.into_owned(),
            citations: Vec::new(),
        },
        "refusal" => PartKind::Refusal {
            text: part.need_str("refusal")?.into_owned(),
        },
        "image_url" => read_image(part.need("image_url")?, extras)?,
        "input_audio" => read_audio(part.need("input_audio")?, extras)?,
        "file" => read_file(part.need("file")?, extras)?,
        _ => {
            return Ok(PartKind::Opaque {
                dialect: ID,
                what: word.into_owned(),
                json: part.to_raw(),
            }
            .into());
        }
    };
    keep_rest(part, &["type", &word, CACHE_KEYS[0], CACHE_KEYS[1]], extras);
    Ok(Part {
        cache: read_cache(part)?,
        ..kind.into()
    })
}

/// A cache marker. The vendor's `30m` is its default; its `12h` is the long
/// one of two, as one hour is elsewhere.
pub(super) fn read_cache(part: Json<'_>) -> Result<Option<CacheMark>, Fault> {
    if let Some(mark) = part.opt_object(CACHE_KEYS[0])? {
        let ttl = match mark.opt_str("ttl")?.as_deref() {
            None | Some("30m") => CacheTtl::Default,
            Some("12h") => CacheTtl::Hour1,
            Some(_) => return Err(mark.need("ttl")?.fault("expected `30m` or `12h`")),
        };
        return Ok(Some(CacheMark { ttl }));
    }
    let Some(mark) = part.opt_object(CACHE_KEYS[1])? else {
        return Ok(None);
    };
    let ttl = match mark.opt_str("ttl")?.as_deref() {
        None | Some("5m") => CacheTtl::Minutes5,
        Some("1h") => CacheTtl::Hour1,
        Some(_) => return Err(mark.need("ttl")?.fault("expected `5m` or `1h`")),
    };
    Ok(Some(CacheMark { ttl }))
}

fn read_image(image: Json<'_>, extras: &mut Extras) -> Result<PartKind, Fault> {
    if let Some(url) = image.str() {
        return Ok(PartKind::Image {
            source: media::read_url(&url),
            detail: None,
        });
    }
    keep_rest(image.as_object()?, &["url", "detail"], extras);
    Ok(PartKind::Image {
        source: media::read_url(&image.need_str("url")?),
        detail: image.opt_string("detail")?,
    })
}

fn read_audio(audio: Json<'_>, extras: &mut Extras) -> Result<PartKind, Fault> {
    keep_rest(audio.as_object()?, &["data", "format"], extras);
    Ok(PartKind::Audio {
        source: Media::Base64 {
            mime: media::audio_mime(&audio.need_str("format")?),
            data: audio.need_str("data")?.into_owned(),
        },
        transcript: None,
    })
}

fn read_file(file: Json<'_>, extras: &mut Extras) -> Result<PartKind, Fault> {
    keep_rest(
        file.as_object()?,
        &["file_data", "file_id", "filename"],
        extras,
    );
    let name = file.opt_string("filename")?;
    let source = match (file.opt_str("file_data")?, file.opt_string("file_id")?) {
        (Some(data), _) => media::read_file_data(&data, name.as_deref()),
        (None, Some(id)) => Media::Id {
            dialect: ID,
            id,
            mime: None,
        },
        (None, None) => return Err(file.fault("`file_data` or `file_id` is required")),
    };
    Ok(PartKind::File {
        source,
        name,
        citations: false,
        context: None,
    })
}

/// What an assistant said: reasoning, text, refusal, audio, images, calls.
pub(super) fn read_assistant(
    message: Json<'_>,
    sender: Sender,
    extras: &mut Extras,
) -> Result<Vec<Part>, Fault> {
    let mut parts = echo::read(message, sender)?;
    let mut said = read_content(message.field("content"), extras)?;
    said.retain(|part| !matches!(&part.kind, PartKind::Text { text, .. } if text.is_empty()));
    if let Some(annotations) = message.opt_array("annotations")? {
        cite(&mut said, annotations)?;
    }
    parts.append(&mut said);
    if let Some(text) = message.opt_string("refusal")?
        && !text.is_empty()
    {
        parts.push(PartKind::Refusal { text }.into());
    }
    if let Some(audio) = message.opt_object("audio")? {
        parts.push(read_spoken(audio)?);
    }
    for image in message.opt_array("images")?.iter().flat_map(Json::items) {
        parts.push(read_part(image, extras)?);
    }
    for call in message
        .opt_array("tool_calls")?
        .iter()
        .flat_map(Json::items)
    {
        parts.push(read_call(call, sender, extras)?);
    }
    Ok(parts)
}

/// Puts citations on the text; without text there is nothing to cite.
fn cite(said: &mut [Part], annotations: Json<'_>) -> Result<(), Fault> {
    let text = said.iter_mut().find_map(|part| match &mut part.kind {
        PartKind::Text { citations, .. } => Some(citations),
        _ => None,
    });
    if let Some(citations) = text {
        for annotation in annotations.items() {
            citations.extend(read_citation(annotation)?);
        }
    }
    Ok(())
}

/// One annotation; kinds other than citations of pages are passed over, for
/// the vendor may add some.
pub(super) fn read_citation(annotation: Json<'_>) -> Result<Option<Citation>, Fault> {
    let Some(cited) = annotation.opt_object("url_citation")? else {
        return Ok(None);
    };
    let span = cited
        .opt_u32("start_index")?
        .zip(cited.opt_u32("end_index")?);
    Ok(Some(Citation {
        target: CitationTarget::Url {
            url: cited.need_str("url")?.into_owned(),
            title: cited.opt_string("title")?,
        },
        cited_text: None,
        span,
        raw: Some((ID, annotation.to_raw())),
    }))
}

/// Spoken output: with its data in an answer, by its id in a history.
fn read_spoken(audio: Json<'_>) -> Result<Part, Fault> {
    let id = audio.opt_string("id")?;
    let source = match (audio.opt_string("data")?, &id) {
        // The format is the one that was asked for; an answer does not say.
        (Some(data), _) => Media::Base64 {
            mime: "audio/wav".to_owned(),
            data,
        },
        (None, Some(id)) => Media::Id {
            dialect: ID,
            id: id.clone(),
            mime: None,
        },
        (None, None) => return Err(audio.fault("`id` is required")),
    };
    Ok(Part {
        id,
        ..PartKind::Audio {
            source,
            transcript: audio.opt_string("transcript")?,
        }
        .into()
    })
}

/// A call of a function or of a custom tool.
fn read_call(call: Json<'_>, sender: Sender, extras: &mut Extras) -> Result<Part, Fault> {
    let word = call.opt_str("type")?;
    let custom = match word.as_deref() {
        None | Some("function") => false,
        Some("custom") => true,
        Some(_) => return Err(call.need("type")?.fault("expected `function` or `custom`")),
    };
    let (member, text) = if custom {
        ("custom", "input")
    } else {
        ("function", "arguments")
    };
    let called = call.need(member)?;
    let (id, rode) = sender.call_id(&call.opt_str("id")?.unwrap_or_default());
    let extra = call
        .field("extra_content")
        .map(|extra| echo::of_extra(extra.raw()));
    // `index` is the place in the list, which the order tells.
    keep_rest(
        call,
        &["id", "type", "index", "extra_content", member],
        extras,
    );
    Ok(Part {
        signature: rode.or(extra),
        ..PartKind::ToolCall(ToolCall {
            id,
            name: called.need_str("name")?.into_owned(),
            arguments: read_arguments(called.field(text), custom)?,
            custom,
        })
        .into()
    })
}

/// Arguments as JSON text; some servers send the object itself.
pub(super) fn read_arguments(value: Option<Json<'_>>, custom: bool) -> Result<String, Fault> {
    let text = match value {
        None => String::new(),
        Some(value) => match value.str() {
            Some(text) => text.into_owned(),
            None => value
                .as_object()
                .map_err(|_| value.expected("a string of JSON"))?
                .raw()
                .to_owned(),
        },
    };
    Ok(if text.trim().is_empty() && !custom {
        "{}".to_owned()
    } else {
        text
    })
}
