//! Usage: inclusive sums on the wire, disjoint classes inside.

use contract::Usage;
use contract::usage::UsageSource;

use crate::json::{Json, ObjectWriter};

/// Reads a usage object; `None` if it holds no figures.
pub(super) fn read(usage: Json<'_>) -> Option<Usage> {
    let (mut input, mut output) = (None, None);
    let mut split = Usage {
        source: UsageSource::Provider,
        ..Usage::default()
    };
    for member in usage.members() {
        match &*member.name() {
            "input_tokens" => input = member.value.u64(),
            "output_tokens" => output = member.value.u64(),
            "input_tokens_details" => read_input(member.value, &mut split),
            "output_tokens_details" => {
                let reasoning = member.value.get("reasoning_tokens");
                split.reasoning = reasoning.and_then(|tokens| tokens.u64()).unwrap_or(0);
            }
            _ => {}
        }
    }
    if input.is_none() && output.is_none() {
        return None;
    }
    split.input = input.unwrap_or(0).saturating_sub(split.input_total());
    split.output = output.unwrap_or(0).saturating_sub(split.reasoning);
    Some(split)
}

fn read_input(details: Json<'_>, split: &mut Usage) {
    let mut written = 0;
    for member in details.members() {
        match &*member.name() {
            "cached_tokens" => split.cached_read = member.value.u64().unwrap_or(0),
            "cache_write_tokens" => written = member.value.u64().unwrap_or(0),
            // The longer of the vendor's two lifetimes is dearer.
            "cache_write_tokens_details" => {
                let long = member.value.get("ttl_12h_tokens");
                split.cached_write_1h = long.and_then(|tokens| tokens.u64()).unwrap_or(0);
            }
            _ => {}
        }
    }
    split.cached_write_1h = split.cached_write_1h.min(written);
    split.cached_write = written - split.cached_write_1h;
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
    });
    object.int("output_tokens", output);
    object.object("output_tokens_details", |details| {
        details.int("reasoning_tokens", usage.reasoning);
    });
    object.int("total_tokens", input.saturating_add(output));
}
