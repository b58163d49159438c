//! Usage: inclusive sums on the wire, disjoint classes inside.

use contract::Usage;
use contract::usage::UsageSource;

use crate::figures::Figures;
use crate::json::{Json, Kind, ObjectWriter};
use crate::openai::beside;

/// Reads a usage object; `None` if it holds nothing of use.
pub(super) fn read(usage: Json<'_>) -> Option<Usage> {
    read_totals(usage, Totals::default())
}

/// Reads the usage of an embedding, which has no output.
pub(super) fn read_embed(usage: Json<'_>) -> Option<Usage> {
    let totals = Totals {
        completion: Some(0),
        ..Totals::default()
    };
    let mut told = read_totals(usage, totals)?;
    if !told.source.has_input() {
        told.source = UsageSource::Missing;
    }
    (told != Usage::default()).then_some(told)
}

/// The inclusive figures of a report.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
}

impl Totals {
    /// What the sum and one side tell of a side that is left out.
    fn complete(&mut self) {
        let Some(total) = self.total else { return };
        match (self.prompt, self.completion) {
            (Some(prompt), None) => self.completion = Some(total.saturating_sub(prompt)),
            (None, Some(completion)) => self.prompt = Some(total.saturating_sub(completion)),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
}

fn read_totals(usage: Json<'_>, mut totals: Totals) -> Option<Usage> {
    let mut figures = Figures::default();
    let mut split = Usage::default();
    let mut hits = 0;
    let report = figures.group(usage, Kind::Object);
    for member in report.iter().flat_map(|report| report.members()) {
        let value = member.value;
        match &*member.name_bytes() {
            b"prompt_tokens" => totals.prompt = figures.count(value),
            b"completion_tokens" => {
                totals.completion = figures.count(value).or(totals.completion);
            }
            b"total_tokens" => totals.total = figures.count(value),
            b"prompt_tokens_details" => read_prompt(value, &mut split, &mut figures),
            b"completion_tokens_details" => read_completion(value, &mut split, &mut figures),
            // Some vendors count cache hits beside the details.
            b"prompt_cache_hit_tokens" | b"cached_tokens" => hits = figures.part(value),
            name => beside::take(name, value, &mut split, &mut figures),
        }
    }
    if split.cached_read == 0 {
        split.cached_read = hits;
    }
    // A figure that was told and is none is not made up from the others.
    if !figures.flawed {
        totals.complete();
    }
    split.flawed = figures.flawed;
    divide(totals, &mut split);
    (split != Usage::default()).then_some(split)
}

/// Takes the parts out of the inclusive figures.
fn divide(totals: Totals, split: &mut Usage) {
    split.source = UsageSource::of(totals.prompt.is_some(), totals.completion.is_some());
    let (prompt, completion) = (totals.prompt.unwrap_or(0), totals.completion.unwrap_or(0));
    split.input = prompt.saturating_sub(split.input_total());
    let apart = prompt
        .saturating_add(completion)
        .saturating_add(split.reasoning);
    // Some vendors count reasoning beside the completion; their total shows it.
    let inside = match split.reasoning > 0 && totals.total == Some(apart) {
        true => split.output_total().saturating_sub(split.reasoning),
        false => split.output_total(),
    };
    split.output = completion.saturating_sub(inside);
}

fn read_prompt(details: Json<'_>, split: &mut Usage, figures: &mut Figures) {
    for member in details.members() {
        let value = member.value;
        match &*member.name_bytes() {
            b"cached_tokens" => split.cached_read = figures.part(value),
            b"cache_write_tokens" => split.cached_write = figures.part(value),
            b"audio_tokens" => split.audio_in = figures.part(value),
            b"image_tokens" => split.image_in = figures.part(value),
            _ => {}
        }
    }
}

fn read_completion(details: Json<'_>, split: &mut Usage, figures: &mut Figures) {
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
        // The vendor's types have no place for images: they are in the sum.
        // The vendor's predicted outputs: no other vendor has them.
        details.int("accepted_prediction_tokens", 0_u64);
        details.int("rejected_prediction_tokens", 0_u64);
    });
}
