//! Usage: inclusive sums on the wire, disjoint classes inside.

use contract::Usage;
use contract::usage::UsageSource;

use crate::json::{Json, ObjectWriter};

/// Reads a usage object; `None` if it holds no figures.
pub(super) fn read(usage: Json<'_>) -> Option<Usage> {
    let (mut prompt, mut completion, mut total) = (None, None, None);
    let mut split = Usage {
        source: UsageSource::Provider,
        ..Usage::default()
    };
    let mut hits = 0;
    for member in usage.members() {
        match &*member.name_bytes() {
            b"prompt_tokens" => prompt = member.value.u64(),
            b"completion_tokens" => completion = member.value.u64(),
            b"total_tokens" => total = member.value.u64(),
            b"prompt_tokens_details" => read_prompt(member.value, &mut split),
            b"completion_tokens_details" => read_completion(member.value, &mut split),
            // Some vendors count cache hits beside the details.
            b"prompt_cache_hit_tokens" => hits = member.value.u64().unwrap_or(0),
            _ => {}
        }
    }
    if prompt.is_none() && completion.is_none() {
        return None;
    }
    let (prompt, completion) = (prompt.unwrap_or(0), completion.unwrap_or(0));
    if split.cached_read == 0 {
        split.cached_read = hits;
    }
    split.input = prompt.saturating_sub(split.input_total());
    // Some vendors count reasoning beside the completion; their total shows it.
    let reasoning_apart = split.reasoning > 0
        && total
            == Some(
                prompt
                    .saturating_add(completion)
                    .saturating_add(split.reasoning),
            );
    let inside = if reasoning_apart {
        split.audio_out
    } else {
        split.audio_out.saturating_add(split.reasoning)
    };
    split.output = completion.saturating_sub(inside);
    Some(split)
}

fn read_prompt(details: Json<'_>, split: &mut Usage) {
    for member in details.members() {
        let figure = member.value.u64().unwrap_or(0);
        match &*member.name_bytes() {
            b"cached_tokens" => split.cached_read = figure,
            b"cache_write_tokens" => split.cached_write = figure,
            b"audio_tokens" => split.audio_in = figure,
            b"image_tokens" => split.image_in = figure,
            _ => {}
        }
    }
}

fn read_completion(details: Json<'_>, split: &mut Usage) {
    for member in details.members() {
        let figure = member.value.u64().unwrap_or(0);
        match &*member.name_bytes() {
            b"reasoning_tokens" => split.reasoning = figure,
            b"audio_tokens" => split.audio_out = figure,
            _ => {}
        }
    }
}

/// Writes a usage object.
pub(super) fn write(object: &mut ObjectWriter<'_>, usage: &Usage) {
    let (prompt, completion) = (usage.input_total(), usage.output_total());
    object.int("prompt_tokens", prompt);
    object.int("completion_tokens", completion);
    object.int("total_tokens", prompt.saturating_add(completion));
    object.object("prompt_tokens_details", |details| {
        details.int("cached_tokens", usage.cached_read);
        let written = usage.cached_write.saturating_add(usage.cached_write_1h);
        details.int("cache_write_tokens", written);
        details.int("audio_tokens", usage.audio_in);
        if usage.image_in > 0 {
            details.int("image_tokens", usage.image_in);
        }
    });
    object.object("completion_tokens_details", |details| {
        details.int("reasoning_tokens", usage.reasoning);
        details.int("audio_tokens", usage.audio_out);
        // The vendor's predicted outputs: no other vendor has them.
        details.int("accepted_prediction_tokens", 0_u64);
        details.int("rejected_prediction_tokens", 0_u64);
    });
}
