//! Usage figures. The prompt's count includes what was read from the cache;
//! the candidates' count excludes thoughts; the lists by modality tell which
//! tokens of a figure were sound or images.

use std::borrow::Cow;

use contract::{ServiceTier, Usage, UsageSource};

use crate::figures::Figures;
use crate::json::{Json, Kind, ObjectWriter};
use crate::loss::Losses;

/// Tokens of one figure by modality.
#[derive(Clone, Copy, Debug, Default)]
struct Split {
    audio: u64,
    image: u64,
}

/// The figures of a report.
#[derive(Clone, Copy, Debug, Default)]
struct Report {
    prompt: Option<u64>,
    tools: u64,
    cached: u64,
    output: Option<u64>,
    reasoning: Option<u64>,
    total: Option<u64>,
    prompt_split: Split,
    cached_split: Split,
    output_split: Split,
}

/// Reads what an answer, or a piece of one, tells: its `usageMetadata` and
/// its searches of the web. `None` if it tells nothing of use.
pub(super) fn of_answer(body: Json<'_>) -> Option<Usage> {
    let told = body.field("usageMetadata").map(read);
    let searches = searches(body);
    if told.is_none() && searches == 0 {
        return None;
    }
    Some(Usage {
        web_searches: searches,
        ..told.unwrap_or_default()
    })
}

/// Searches of the web that grounded an answer. Some models are billed by
/// search, some by answer that was grounded at all.
fn searches(body: Json<'_>) -> u64 {
    let candidates = body.field("candidates");
    let queries = candidates
        .iter()
        .flat_map(Json::items)
        .filter_map(|candidate| {
            candidate
                .field("groundingMetadata")?
                .field("webSearchQueries")
        });
    let count = queries.map(|queries| queries.items().filter(is_query).count() as u64);
    count.fold(0, u64::saturating_add)
}

fn is_query(query: &Json<'_>) -> bool {
    query.str().is_some_and(|text| !text.is_empty())
}

/// The vendor's own word for the tier that served.
pub(super) fn tier_word(body: Json<'_>) -> Option<Cow<'_, str>> {
    let told = body.field("usageMetadata")?;
    let word = told
        .field("trafficType")
        .or_else(|| told.field("serviceTier"))?;
    word.str()
}

/// The word for the tier that served, as most dialects have it.
pub(super) fn tier(body: Json<'_>) -> Option<String> {
    let word = tier_word(body)?;
    let served = ServiceTier::of(&word)?;
    Some(match served {
        // Words that every dialect knows.
        ServiceTier::Default
        | ServiceTier::Flex
        | ServiceTier::Priority
        | ServiceTier::Fast
        | ServiceTier::Batch
        | ServiceTier::Provisioned => served.name().to_owned(),
        ServiceTier::Other => word.into_owned(),
    })
}

/// Reads a `usageMetadata` object.
pub(super) fn read(usage: Json<'_>) -> Usage {
    let mut figures = Figures::default();
    let mut report = Report::default();
    let object = figures.group(usage, Kind::Object);
    for member in object.iter().flat_map(|object| object.members()) {
        report.take(&member.name_bytes(), member.value, &mut figures);
    }
    let Report { cached, .. } = report;
    // A count of zero is left out; the total tells that it is one.
    let has_output =
        report.output.is_some() || report.reasoning.is_some() || report.total.is_some();
    let prompt = report.prompt.unwrap_or(0).saturating_add(report.tools);
    // Cached sound and images are counted as cached.
    let audio_in = report
        .prompt_split
        .audio
        .saturating_sub(report.cached_split.audio);
    let image_in = report
        .prompt_split
        .image
        .saturating_sub(report.cached_split.image);
    let apart = cached.saturating_add(audio_in).saturating_add(image_in);
    let Split { audio, image } = report.output_split;
    Usage {
        input: prompt.saturating_sub(apart),
        cached_read: cached,
        output: report
            .output
            .unwrap_or(0)
            .saturating_sub(audio.saturating_add(image)),
        reasoning: report.reasoning.unwrap_or(0),
        audio_in,
        audio_out: audio,
        image_in,
        image_out: image,
        flawed: figures.flawed,
        source: UsageSource::of(
            report.prompt.is_some(),
            has_output && !report.lies(&figures),
        ),
        ..Usage::default()
    }
}

/// Reads the `usageMetadata` of an embedding, which has no output.
pub(super) fn read_embed(usage: Json<'_>) -> Usage {
    let told = read(usage);
    let has_input = told.source.has_input();
    Usage {
        source: UsageSource::of(has_input, has_input),
        ..told
    }
}

impl Report {
    fn take(&mut self, name: &[u8], value: Json<'_>, figures: &mut Figures) {
        match name {
            b"promptTokenCount" => self.prompt = figures.count(value),
            // What tools added to the prompt is counted beside it.
            b"toolUsePromptTokenCount" => self.tools = figures.part(value),
            b"cachedContentTokenCount" => self.cached = figures.part(value),
            b"candidatesTokenCount" => self.output = figures.count(value),
            b"thoughtsTokenCount" => self.reasoning = figures.count(value),
            b"totalTokenCount" => self.total = figures.count(value),
            b"promptTokensDetails" | b"toolUsePromptTokensDetails" => {
                self.prompt_split.add(value, figures);
            }
            b"cacheTokensDetails" => self.cached_split.add(value, figures),
            b"candidatesTokensDetails" => self.output_split.add(value, figures),
            _ => {}
        }
    }

    /// Whether the count of the output was told and is none.
    fn lies(&self, figures: &Figures) -> bool {
        figures.flawed && self.output.is_none()
    }
}

impl Split {
    fn add(&mut self, details: Json<'_>, figures: &mut Figures) {
        let details = figures.group(details, Kind::Array);
        for detail in details.iter().flat_map(Json::items) {
            let tokens = detail.get("tokenCount");
            let tokens = tokens.map_or(0, |count| figures.part(count));
            let modality = detail.get("modality").and_then(|modality| modality.str());
            match modality.as_deref() {
                Some("AUDIO") => self.audio = self.audio.saturating_add(tokens),
                Some("IMAGE") => self.image = self.image.saturating_add(tokens),
                // Text, video and documents have no class of their own.
                Some(_) | None => {}
            }
        }
    }
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
    let media_out = usage.audio_out.saturating_add(usage.image_out);
    let output = usage.output.saturating_add(media_out);
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
    if media_out > 0 {
        let split = [
            ("TEXT", usage.output),
            ("AUDIO", usage.audio_out),
            ("IMAGE", usage.image_out),
        ];
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
