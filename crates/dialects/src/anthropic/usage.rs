//! Usage figures. `input_tokens` excludes what was read from or written to
//! the cache; `output_tokens` includes thinking.

use contract::{Usage, UsageSource};

use crate::figures::Figures;
use crate::json::{Json, Kind, ObjectWriter};

/// Reads a usage object. Later reports in a stream are cumulative but may
/// leave fields out (the split of cache writes by ttl among them), so
/// `before` fills what is not told.
pub(super) fn read(usage: Json<'_>, before: &Usage) -> Usage {
    let mut now = *before;
    let mut figures = Figures {
        flawed: before.flawed,
    };
    let (mut input, mut output) = (None, None);
    let mut written = None;
    let report = figures.group(usage, Kind::Object);
    for member in report.iter().flat_map(|report| report.members()) {
        let value = member.value;
        match &*member.name_bytes() {
            b"input_tokens" => input = figures.count(value),
            b"output_tokens" => output = figures.count(value),
            b"cache_read_input_tokens" => {
                now.cached_read = figures.count(value).unwrap_or(now.cached_read);
            }
            b"cache_creation_input_tokens" => written = figures.count(value),
            b"cache_creation" => split_writes(value, &mut now, &mut figures),
            b"server_tool_use" => {
                let searches = value.get("web_search_requests");
                let searches = searches.map_or(0, |count| figures.part(count));
                now.web_searches = now.web_searches.max(searches);
            }
            _ => {}
        }
    }
    now.input = input.unwrap_or(now.input);
    if let Some(written) = written {
        // What no split accounts for was written with the default, short ttl.
        let known = now.cached_write.saturating_add(now.cached_write_1h);
        now.cached_write = now
            .cached_write
            .saturating_add(written.saturating_sub(known));
    }
    let thinking = usage
        .field("output_tokens_details")
        .and_then(|details| details.get("thinking_tokens"))
        .and_then(|thinking| figures.count(thinking));
    if let Some(output) = output {
        now.reasoning = thinking.unwrap_or(0);
        now.output = output.saturating_sub(now.reasoning);
    }
    now.flawed = figures.flawed;
    now.source = UsageSource::of(
        input.is_some() || before.source.has_input(),
        output.is_some() || before.source.has_output(),
    );
    now
}

fn split_writes(split: Json<'_>, now: &mut Usage, figures: &mut Figures) {
    for member in split.members() {
        let count = figures.count(member.value);
        match &*member.name_bytes() {
            b"ephemeral_5m_input_tokens" => now.cached_write = count.unwrap_or(now.cached_write),
            b"ephemeral_1h_input_tokens" => {
                now.cached_write_1h = count.unwrap_or(now.cached_write_1h);
            }
            _ => {}
        }
    }
}

/// Reads the first report of a stream. Its output counts the opening token
/// only; the real figures come with `message_delta`.
pub(super) fn read_opening(usage: Json<'_>) -> Usage {
    let told = read(usage, &Usage::default());
    Usage {
        output: 0,
        reasoning: 0,
        source: UsageSource::of(told.source.has_input(), false),
        ..told
    }
}

/// The word for the tier that served: the faster machines are dearer than any
/// tier.
pub(super) fn tier(usage: Json<'_>) -> Option<String> {
    let word = |key| {
        let word = usage.field(key).and_then(|word| word.str());
        word.map(|word| word.into_owned())
    };
    word("speed")
        .filter(|speed| speed == "fast")
        .or_else(|| word("service_tier"))
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
    if usage.web_searches > 0 {
        out.object("server_tool_use", |out| {
            out.int("web_search_requests", usage.web_searches);
            // The vendor's types demand it; nobody else tells it.
            out.int("web_fetch_requests", 0_u64);
        });
    }
}
