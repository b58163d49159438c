//! Citations, both ways: `citationSources` of a candidate, with places that
//! are counted in bytes of its text.

use contract::chat::{Citation, CitationTarget};
use contract::{Fault, RawJson};

use super::ID;
use crate::json::{self, Json};

/// The sources in a `citationMetadata`. SDK types call them `citations`.
pub(super) fn sources(metadata: Json<'_>) -> Result<Vec<Json<'_>>, Fault> {
    let list = match metadata.as_object()?.opt_array("citationSources")? {
        Some(list) => Some(list),
        None => metadata.opt_array("citations")?,
    };
    Ok(list.iter().flat_map(Json::items).collect())
}

/// Reads a source. `span_of` turns bytes of the candidate's text into
/// characters of the part, where that is possible.
pub(super) fn read(
    source: Json<'_>,
    span_of: impl FnOnce(u32, u32) -> Option<(u32, u32)>,
) -> Result<Citation, Fault> {
    // Protobuf JSON leaves out a start of zero.
    let start = source.as_object()?.opt_u32("startIndex")?.unwrap_or(0);
    let end = source.opt_u32("endIndex")?;
    Ok(Citation {
        target: CitationTarget::Url {
            url: source.opt_string("uri")?.unwrap_or_default(),
            title: source.opt_string("title")?,
        },
        cited_text: None,
        span: end.and_then(|end| span_of(start, end)),
        raw: Some((ID, source.to_raw())),
    })
}

/// The source for a client; `None` if it has no form here. Places of other
/// vendors are left out: they count characters of one part.
pub(super) fn write(citation: &Citation) -> Option<RawJson> {
    if let Some((dialect, raw)) = &citation.raw
        && *dialect == ID
    {
        return Some(raw.clone());
    }
    match &citation.target {
        CitationTarget::Url { url, title } => Some(RawJson::new(json::object(|out| {
            out.str("uri", url);
            out.opt_str("title", title.as_deref());
        }))),
        CitationTarget::Document { .. } | CitationTarget::File { .. } => None,
    }
}
