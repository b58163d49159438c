//! Citations, both ways.

use contract::chat::{Citation, CitationTarget, RangeUnit};
use contract::{Fault, RawJson};

use super::ID;
use crate::json::{self, Json};

/// Reads a citation. One of an unknown kind keeps only its raw form and
/// points at a source without an address.
pub(super) fn read(citation: Json<'_>) -> Result<Citation, Fault> {
    let kind = citation.need_str("type")?;
    let document = |unit, start: &str, end: &str| {
        let range = match (citation.opt_u32(start)?, citation.opt_u32(end)?) {
            (Some(start), Some(end)) => Some((start, end)),
            (None | Some(_), None | Some(_)) => None,
        };
        Ok::<_, Fault>(CitationTarget::Document {
            index: citation.opt_u32("document_index")?.unwrap_or(0),
            title: citation.opt_string("document_title")?,
            range,
            unit,
        })
    };
    let target = match &*kind {
        "char_location" => document(RangeUnit::Chars, "start_char_index", "end_char_index")?,
        "page_location" => document(RangeUnit::Pages, "start_page_number", "end_page_number")?,
        "content_block_location" => {
            document(RangeUnit::Blocks, "start_block_index", "end_block_index")?
        }
        "search_result_location" => CitationTarget::Url {
            url: citation.opt_string("source")?.unwrap_or_default(),
            title: citation.opt_string("title")?,
        },
        _ => CitationTarget::Url {
            url: citation.opt_string("url")?.unwrap_or_default(),
            title: citation.opt_string("title")?,
        },
    };
    Ok(Citation {
        target,
        cited_text: citation.opt_string("cited_text")?,
        span: None,
        raw: Some((ID, citation.to_raw())),
    })
}

/// The citation in this dialect; `None` if it has no form here.
pub(super) fn write(citation: &Citation) -> Option<RawJson> {
    if let Some((dialect, raw)) = &citation.raw
        && *dialect == ID
    {
        return Some(raw.clone());
    }
    let cited = citation.cited_text.as_deref().unwrap_or("");
    let written = match &citation.target {
        CitationTarget::Url { url, title } => json::object(|out| {
            out.str("type", "web_search_result_location");
            out.str("cited_text", cited);
            // The vendor's own proof of the source; a foreign source has none.
            out.str("encrypted_index", "");
            out.str_or_null("title", title.as_deref());
            out.str("url", url);
        }),
        CitationTarget::Document {
            index,
            title,
            range,
            unit,
        } => {
            let (start, end) = (*range)?;
            let (kind, from, to) = match unit {
                RangeUnit::Chars => ("char_location", "start_char_index", "end_char_index"),
                RangeUnit::Pages => ("page_location", "start_page_number", "end_page_number"),
                RangeUnit::Blocks => (
                    "content_block_location",
                    "start_block_index",
                    "end_block_index",
                ),
            };
            json::object(|out| {
                out.str("type", kind);
                out.str("cited_text", cited);
                out.int("document_index", *index);
                out.str_or_null("document_title", title.as_deref());
                out.int(from, start);
                out.int(to, end);
            })
        }
        CitationTarget::File { .. } => return None,
    };
    Some(RawJson::new(written))
}

/// The citation for an upstream: as [`write()`], but a source without the
/// vendor's own proof is left out, because the vendor refuses it.
pub(super) fn write_upstream(citation: &Citation) -> Option<RawJson> {
    write(citation).filter(|raw| !raw.as_str().contains("\"encrypted_index\":\"\""))
}
