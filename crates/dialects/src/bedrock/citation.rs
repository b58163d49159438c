//! Citations, both ways.

use contract::chat::{Citation, CitationTarget, RangeUnit};
use contract::{Fault, RawJson};

use super::ID;
use crate::json::{self, Json};

/// Reads a citation of an answer, or of a delta (the same shape).
pub(super) fn read(citation: Json<'_>) -> Result<Citation, Fault> {
    let title = citation.as_object()?.opt_string("title")?;
    let location = citation.opt_object("location")?;
    let place = location.and_then(|location| location.members().next());
    let target = match place {
        Some(place) => target(&place.name(), place.value, title, citation)?,
        None => web(None, title, citation)?,
    };
    let mut cited = String::new();
    for piece in citation
        .opt_array("sourceContent")?
        .iter()
        .flat_map(Json::items)
    {
        cited.push_str(&piece.opt_str("text")?.unwrap_or_default());
    }
    Ok(Citation {
        target,
        cited_text: (!cited.is_empty()).then_some(cited),
        span: None,
        raw: Some((ID, citation.to_raw())),
    })
}

fn target(
    kind: &str,
    place: Json<'_>,
    title: Option<String>,
    citation: Json<'_>,
) -> Result<CitationTarget, Fault> {
    let unit = match kind {
        "documentChar" => RangeUnit::Chars,
        "documentPage" => RangeUnit::Pages,
        "documentChunk" => RangeUnit::Blocks,
        "web" => return web(place.as_object()?.opt_string("url")?, title, citation),
        // Search results of the request, and kinds that are newer than this.
        _ => return web(None, title, citation),
    };
    let range = match (place.as_object()?.opt_u32("start")?, place.opt_u32("end")?) {
        (Some(start), Some(end)) => Some((start, end)),
        (None | Some(_), None | Some(_)) => None,
    };
    Ok(CitationTarget::Document {
        index: place.opt_u32("documentIndex")?.unwrap_or(0),
        title,
        range,
        unit,
    })
}

fn web(
    url: Option<String>,
    title: Option<String>,
    citation: Json<'_>,
) -> Result<CitationTarget, Fault> {
    let url = match url {
        Some(url) => url,
        None => citation.opt_string("source")?.unwrap_or_default(),
    };
    Ok(CitationTarget::Url { url, title })
}

/// The citation in this dialect; `None` if it has no form here.
pub(super) fn write(citation: &Citation) -> Option<RawJson> {
    if let Some((dialect, raw)) = &citation.raw
        && *dialect == ID
    {
        return Some(raw.clone());
    }
    let title = match &citation.target {
        CitationTarget::Url { title, .. } | CitationTarget::Document { title, .. } => title,
        CitationTarget::File { .. } => return None,
    };
    Some(RawJson::new(json::object(|out| {
        out.opt_str("title", title.as_deref());
        if let Some(cited) = &citation.cited_text {
            out.array("sourceContent", |array| {
                array.object(|out| out.str("text", cited));
            });
        }
        out.object("location", |out| match &citation.target {
            CitationTarget::Url { url, .. } => out.object("web", |out| out.str("url", url)),
            CitationTarget::Document {
                index, range, unit, ..
            } => {
                let kind = match unit {
                    RangeUnit::Chars => "documentChar",
                    RangeUnit::Pages => "documentPage",
                    RangeUnit::Blocks => "documentChunk",
                };
                out.object(kind, |out| {
                    out.int("documentIndex", *index);
                    out.opt_int("start", range.map(|(start, _)| start));
                    out.opt_int("end", range.map(|(_, end)| end));
                });
            }
            CitationTarget::File { .. } => {}
        });
    })))
}
