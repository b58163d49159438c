//! Usage figures. The prompt's count includes what was read from the cache;
//! the candidates' count excludes thoughts; the lists by modality tell which
//! tokens of a figure were sound or images.

use contract::{Fault, Usage, UsageSource};

use crate::json::{Json, ObjectWriter};
use crate::loss::Losses;

/// Tokens of one figure by modality.
#[derive(Clone, Copy, Debug, Default)]
struct Split {
    audio: u64,
    image: u64,
}

/// Reads a `usageMetadata` object.
pub(super) fn read(usage: Json<'_>) -> Result<Usage, Fault> {
    let (mut prompt, mut cached, mut output, mut reasoning) = (0, 0, 0, 0);
    let (mut prompt_split, mut cached_split, mut output_split) =
        (Split::default(), Split::default(), Split::default());
    for member in usage.as_object()?.members() {
        let value = member.value;
        if value.is_null() {
            continue;
        }
        match &*member.name() {
            "promptTokenCount" => prompt += value.as_u64()?,
            // What tools added to the prompt is counted beside it.
            "toolUsePromptTokenCount" => prompt += value.as_u64()?,
            "cachedContentTokenCount" => cached = value.as_u64()?,
            "candidatesTokenCount" => output = value.as_u64()?,
            "thoughtsTokenCount" => reasoning = value.as_u64()?,
            "promptTokensDetails" | "toolUsePromptTokensDetails" => {
                let more = split(value)?;
                prompt_split.audio += more.audio;
                prompt_split.image += more.image;
            }
            "cacheTokensDetails" => cached_split = split(value)?,
            "candidatesTokensDetails" => output_split = split(value)?,
            _ => {}
        }
    }
    // Cached sound and images are counted as cached.
    let audio_in = prompt_split.audio.saturating_sub(cached_split.audio);
    let image_in = prompt_split.image.saturating_sub(cached_split.image);
    let apart = cached.saturating_add(audio_in).saturating_add(image_in);
    Ok(Usage {
        input: prompt.saturating_sub(apart),
        cached_read: cached,
        output: output.saturating_sub(output_split.audio),
        reasoning,
        audio_in,
        audio_out: output_split.audio,
        image_in,
        source: UsageSource::Provider,
        ..Usage::default()
    })
}

fn split(details: Json<'_>) -> Result<Split, Fault> {
    let mut split = Split::default();
    for detail in details.as_array()?.items() {
        let tokens = detail
            .field("tokenCount")
            .map_or(Ok(0), |count| count.as_u64())?;
        match detail.opt_str("modality")?.as_deref() {
            Some("AUDIO") => split.audio = split.audio.saturating_add(tokens),
            Some("IMAGE") => split.image = split.image.saturating_add(tokens),
            // Text, video and documents have no class of their own.
            Some(_) | None => {}
        }
    }
    Ok(split)
}

/// Declares what a `usageMetadata` object cannot tell apart.
pub(super) fn declare(usage: &Usage, losses: &mut Losses) {
    if usage.cached_write > 0 || usage.cached_write_1h > 0 {
        losses.declare(
            "usage.cache_write",
            "what was written to a cache is counted as prompt",
        );
    }
}

/// Writes the members of a `usageMetadata` object.
pub(super) fn write(usage: &Usage, out: &mut ObjectWriter<'_>) {
    let prompt = usage.input_total();
    let output = usage.output.saturating_add(usage.audio_out);
    out.int("promptTokenCount", prompt);
    if usage.cached_read > 0 {
        out.int("cachedContentTokenCount", usage.cached_read);
    }
    out.int("candidatesTokenCount", output);
    if usage.reasoning > 0 {
        out.int("thoughtsTokenCount", usage.reasoning);
    }
    let total = prompt
        .saturating_add(output)
        .saturating_add(usage.reasoning);
    out.int("totalTokenCount", total);
    let media_in = usage.audio_in.saturating_add(usage.image_in);
    if media_in > 0 {
        let split = [
            ("TEXT", prompt.saturating_sub(media_in)),
            ("AUDIO", usage.audio_in),
            ("IMAGE", usage.image_in),
        ];
        write_split("promptTokensDetails", &split, out);
    }
    if usage.audio_out > 0 {
        let split = [("TEXT", usage.output), ("AUDIO", usage.audio_out)];
        write_split("candidatesTokensDetails", &split, out);
    }
}

fn write_split(key: &str, split: &[(&str, u64)], out: &mut ObjectWriter<'_>) {
    out.array(key, |array| {
        for (modality, tokens) in split.iter().filter(|(_, tokens)| *tokens > 0) {
            array.object(|out| {
                out.str("modality", modality);
                out.int("tokenCount", *tokens);
            });
        }
    });
}
