//! Usage figures. `inputTokens` excludes what was read from or written to
//! the cache; `totalTokens` includes it.

use contract::{Fault, Usage, UsageSource};

use crate::json::{Json, ObjectWriter};

/// Reads a usage object.
pub(super) fn read(usage: Json<'_>) -> Result<Usage, Fault> {
    let mut now = Usage {
        source: UsageSource::Provider,
        ..Usage::default()
    };
    let mut written = 0;
    for member in usage.as_object()?.members() {
        let value = member.value;
        if value.is_null() {
            continue;
        }
        match &*member.name() {
            "inputTokens" => now.input = value.as_u64()?,
            "outputTokens" => now.output = value.as_u64()?,
            "cacheReadInputTokens" => now.cached_read = value.as_u64()?,
            "cacheWriteInputTokens" => written = value.as_u64()?,
            "cacheDetails" => {
                for detail in value.as_array()?.items() {
                    let tokens = detail.need("inputTokens")?.as_u64()?;
                    match &*detail.need_str("ttl")? {
                        "1h" => now.cached_write_1h = tokens,
                        _ => now.cached_write = tokens,
                    }
                }
            }
            _ => {}
        }
    }
    // What no detail accounts for was written with the default, short ttl.
    let known = now.cached_write.saturating_add(now.cached_write_1h);
    now.cached_write += written.saturating_sub(known);
    Ok(now)
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
