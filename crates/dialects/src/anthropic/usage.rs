//! Usage figures. `input_tokens` excludes what was read from or written to
//! the cache; `output_tokens` includes thinking.

use contract::{Fault, Usage, UsageSource};

use crate::json::{Json, ObjectWriter};

/// Reads a usage object. Later reports in a stream are cumulative but may
/// leave fields out (the split of cache writes by ttl among them), so
/// `before` fills what is not told.
pub(super) fn read(usage: Json<'_>, before: &Usage) -> Result<Usage, Fault> {
    let mut now = Usage {
        source: UsageSource::Provider,
        ..*before
    };
    let mut written = None;
    let mut split = None;
    for member in usage.as_object()?.members() {
        let value = member.value;
        if value.is_null() {
            continue;
        }
        match &*member.name() {
            "input_tokens" => now.input = value.as_u64()?,
            "cache_read_input_tokens" => now.cached_read = value.as_u64()?,
            "cache_creation_input_tokens" => written = Some(value.as_u64()?),
            "cache_creation" => split = Some(value),
            "output_tokens" => {
                now.output = value.as_u64()?;
                now.reasoning = 0;
            }
            _ => {}
        }
    }
    if let Some(split) = split {
        let short = split.field("ephemeral_5m_input_tokens");
        let long = split.field("ephemeral_1h_input_tokens");
        now.cached_write = short.map_or(Ok(0), |count| count.as_u64())?;
        now.cached_write_1h = long.map_or(Ok(0), |count| count.as_u64())?;
    }
    if let Some(written) = written {
        // What no split accounts for was written with the default, short ttl.
        let known = now.cached_write.saturating_add(now.cached_write_1h);
        now.cached_write += written.saturating_sub(known);
    }
    let thinking = usage
        .field("output_tokens_details")
        .and_then(|details| details.field("thinking_tokens"));
    if let Some(thinking) = thinking {
        now.reasoning = thinking.as_u64()?.min(now.output);
        now.output -= now.reasoning;
    }
    Ok(now)
}

/// Reads the first report of a stream. Its output counts the opening token
/// only; the real figures come with `message_delta`.
pub(super) fn read_opening(usage: Json<'_>) -> Result<Usage, Fault> {
    let told = read(usage, &Usage::default())?;
    Ok(Usage {
        output: 0,
        reasoning: 0,
        ..told
    })
}

/// Writes the members of a usage object.
pub(super) fn write(usage: &Usage, out: &mut ObjectWriter<'_>) {
    let plain = usage
        .input
        .saturating_add(usage.audio_in)
        .saturating_add(usage.image_in);
    out.int("input_tokens", plain);
    out.int(
        "cache_creation_input_tokens",
        usage.cached_write.saturating_add(usage.cached_write_1h),
    );
    out.int("cache_read_input_tokens", usage.cached_read);
    // Clients keep the split of the first report, so none is told before it
    // is known.
    if usage.source != UsageSource::Missing {
        out.object("cache_creation", |out| {
            out.int("ephemeral_5m_input_tokens", usage.cached_write);
            out.int("ephemeral_1h_input_tokens", usage.cached_write_1h);
        });
    }
    out.int("output_tokens", usage.output_total());
    if usage.reasoning > 0 {
        out.object("output_tokens_details", |out| {
            out.int("thinking_tokens", usage.reasoning);
        });
    }
}
