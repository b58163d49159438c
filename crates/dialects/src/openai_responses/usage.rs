//! Usage: inclusive sums on the wire, disjoint classes inside.

use contract::Usage;
use contract::usage::UsageSource;

use crate::figures::Figures;
use crate::json::{Json, Kind, ObjectWriter};
use crate::openai::beside;

/// Reads the usage of a response, and the searches among its items; `None`
/// if it tells nothing of use.
pub(super) fn of_response(response: Json<'_>) -> Option<Usage> {
    let told = response.field("usage").and_then(read);
    let searches = searches(response);
    if told.is_none() && searches == 0 {
        return None;
    }
    let mut usage = told.unwrap_or_default();
    usage.web_searches = usage.web_searches.max(searches);
    Some(usage)
}

/// Searches of the web among the items of a response.
fn searches(response: Json<'_>) -> u64 {
    let items = response.get("output");
    let searches = items.iter().flat_map(Json::items).filter(is_search);
    searches.count() as u64
}

/// Whether an item is a search of the web, which is billed by request. The
/// same tool also opens pages and looks through them, which is not.
pub(super) fn is_search(item: &Json<'_>) -> bool {
    let is = |object: Json<'_>, word: &str| {
        let kind = object.get("type").and_then(|kind| kind.str());
        kind.is_some_and(|kind| kind == word)
    };
    is(*item, "web_search_call") && item.field("action").is_none_or(|it| is(it, "search"))
}

/// Reads a usage object; `None` if it holds nothing of use.
fn read(usage: Json<'_>) -> Option<Usage> {
    let (mut input, mut output) = (None, None);
    let mut figures = Figures::default();
    let mut split = Usage::default();
    let report = figures.group(usage, Kind::Object);
    for member in report.iter().flat_map(|report| report.members()) {
        let value = member.value;
        match &*member.name_bytes() {
            b"input_tokens" => input = figures.count(value),
            b"output_tokens" => output = figures.count(value),
            b"input_tokens_details" => read_input(value, &mut split, &mut figures),
            b"output_tokens_details" => read_output(value, &mut split, &mut figures),
            name => beside::take(name, value, &mut split, &mut figures),
        }
    }
    split.flawed = figures.flawed;
    split.source = UsageSource::of(input.is_some(), output.is_some());
    split.input = input.unwrap_or(0).saturating_sub(split.input_total());
    split.output = output.unwrap_or(0).saturating_sub(split.output_total());
    (split != Usage::default()).then_some(split)
}

fn read_input(details: Json<'_>, split: &mut Usage, figures: &mut Figures) {
    let mut written = 0_u64;
    for member in details.members() {
        let value = member.value;
        match &*member.name_bytes() {
            b"cached_tokens" => split.cached_read = figures.part(value),
            b"cache_write_tokens" => written = figures.part(value),
            // The longer of the vendor's two lifetimes is dearer.
            b"cache_write_tokens_details" => {
                let long = value.get("ttl_12h_tokens");
                split.cached_write_1h = long.map_or(0, |tokens| figures.part(tokens));
            }
            b"audio_tokens" => split.audio_in = figures.part(value),
            b"image_tokens" => split.image_in = figures.part(value),
            _ => {}
        }
    }
    split.cached_write = written.saturating_sub(split.cached_write_1h);
}

fn read_output(details: Json<'_>, split: &mut Usage, figures: &mut Figures) {
    for member in details.members() {
        let value = member.value;
        match &*member.name_bytes() {
            b"reasoning_tokens" => split.reasoning = figures.part(value),
            b"audio_tokens" => split.audio_out = figures.part(value),
            b"image_tokens" => split.image_out = figures.part(value),
            _ => {}
        }
    }
}

/// Writes a usage object.
pub(super) fn write(object: &mut ObjectWriter<'_>, usage: &Usage) {
    let (input, output) = (usage.input_total(), usage.output_total());
    object.int("input_tokens", input);
    object.object("input_tokens_details", |details| {
        details.int("cached_tokens", usage.cached_read);
        let written = usage.cached_write.saturating_add(usage.cached_write_1h);
        details.int("cache_write_tokens", written);
        if usage.cached_write_1h > 0 {
            details.object("cache_write_tokens_details", |details| {
                details.int("ttl_12h_tokens", usage.cached_write_1h);
                details.int("ttl_30m_tokens", usage.cached_write);
            });
        }
        // The vendor's types have no place for audio and images: they are in
        // the sum.
    });
    object.int("output_tokens", output);
    object.object("output_tokens_details", |details| {
        details.int("reasoning_tokens", usage.reasoning);
    });
    object.int("total_tokens", input.saturating_add(output));
}
