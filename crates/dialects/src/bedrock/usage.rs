//! Usage figures. `inputTokens` excludes what was read from or written to
//! the cache; `totalTokens` includes it.

use contract::{Usage, UsageSource};

use crate::figures::Figures;
use crate::json::{Json, Kind, ObjectWriter};

/// Reads a usage object.
pub(super) fn read(usage: Json<'_>) -> Usage {
    let mut now = Usage::default();
    let mut figures = Figures::default();
    let (mut input, mut output, mut written) = (None, None, 0_u64);
    let report = figures.group(usage, Kind::Object);
    for member in report.iter().flat_map(|report| report.members()) {
        let value = member.value;
        match &*member.name_bytes() {
            b"inputTokens" => input = figures.count(value),
            b"outputTokens" => output = figures.count(value),
            b"cacheReadInputTokens" => now.cached_read = figures.part(value),
            b"cacheWriteInputTokens" => written = figures.part(value),
            b"cacheDetails" => split_writes(value, &mut now, &mut figures),
            _ => {}
        }
    }
    now.input = input.unwrap_or(0);
    now.output = output.unwrap_or(0);
    // What no detail accounts for was written with the default, short ttl.
    let known = now.cached_write.saturating_add(now.cached_write_1h);
    now.cached_write = now
        .cached_write
        .saturating_add(written.saturating_sub(known));
    now.flawed = figures.flawed;
    now.source = UsageSource::of(input.is_some(), output.is_some());
    now
}

fn split_writes(details: Json<'_>, now: &mut Usage, figures: &mut Figures) {
    let Some(details) = figures.group(details, Kind::Array) else {
        return;
    };
    for detail in details.items() {
        let tokens = detail.get("inputTokens");
        let tokens = tokens.map_or(0, |tokens| figures.part(tokens));
        let ttl = detail.get("ttl").and_then(|ttl| ttl.str());
        let class = match ttl.as_deref() {
            Some("1h") => &mut now.cached_write_1h,
            Some(_) | None => &mut now.cached_write,
        };
        *class = class.saturating_add(tokens);
    }
}

/// The word for the tier that served.
pub(super) fn tier(body: Json<'_>) -> Option<String> {
    let word = body.field("serviceTier")?.field("type")?.str()?;
    Some(word.into_owned())
}

/// Writes the members of a usage object.
pub(super) fn write(usage: &Usage, out: &mut ObjectWriter<'_>) {
    let plain = usage
        .input
        .saturating_add(usage.audio_in)
        .saturating_add(usage.image_in);
    out.int("inputTokens", plain);
    out.int("outputTokens", usage.output_total());
    out.int(
        "totalTokens",
        usage.input_total().saturating_add(usage.output_total()),
    );
    out.int("cacheReadInputTokens", usage.cached_read);
    let written = usage.cached_write.saturating_add(usage.cached_write_1h);
    out.int("cacheWriteInputTokens", written);
    if written > 0 {
        out.array("cacheDetails", |array| {
            for (ttl, tokens) in [("1h", usage.cached_write_1h), ("5m", usage.cached_write)] {
                if tokens > 0 {
                    array.object(|out| {
                        out.str("ttl", ttl);
                        out.int("inputTokens", tokens);
                    });
                }
            }
        });
    }
}
