//! An answer as leaves. As for requests, a new field of the contract does not
//! compile until it has a leaf here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contract::answer::{Choice, Finish, FinishReason, TokenLogprob};
use contract::chat::{Citation, CitationTarget, Part, PartKind, Signature};
use contract::{ChatAnswer, DialectId, Usage};
use tollgate_dialects::carry;

use crate::account::Leaf;
use crate::request_leaves::{self, Scope};

/// What an answer says to the client of a dialect: tokens of other vendors
/// back in their own form, wrapped ids unwrapped.
pub(crate) fn unwrapped(mut answer: ChatAnswer, shown_in: DialectId) -> ChatAnswer {
    for part in answer
        .choices
        .iter_mut()
        .flat_map(|choice| &mut choice.parts)
    {
        unwrap_part(part, shown_in);
    }
    answer
}

/// As [`unwrapped`], for one part.
pub(crate) fn unwrap_part(part: &mut Part, shown_in: DialectId) {
    if let Some(Signature { dialect, value }) = &part.signature
        && *dialect == shown_in
    {
        part.signature = Some(carry::read_signature(value, shown_in));
    }
    if let PartKind::ToolCall(call) = &mut part.kind {
        let (plain, signature) = carry::unload_id(&call.id);
        let inner = plain
            .strip_prefix("_tgc_id_")
            .and_then(|encoded| String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).ok()?).ok());
        let plain = inner.unwrap_or_else(|| plain.into_owned());
        if signature.is_some() {
            part.signature = signature;
        }
        call.id = plain;
    }
}

pub(crate) fn leaves(answer: &ChatAnswer, scope: Scope) -> Vec<Leaf> {
    let ChatAnswer {
        id: _,
        model: _,
        created_s: _,
        choices,
        usage,
        service_tier,
        extras,
    } = answer;
    let mut out = Vec::new();
    for (index, choice) in choices.iter().enumerate() {
        choice_leaves(index, choice, scope, &mut out);
    }
    out.extend(usage.iter().flat_map(usage_leaves));
    // The tiers of one vendor mean nothing to the clients of another.
    let tier = service_tier.as_ref().filter(|_| scope == Scope::Own);
    out.extend(tier.map(|word| Leaf::new(format!("tier {word}"), &["tier"])));
    for (name, value) in &extras.fields {
        let names: &'static [&'static str] =
            vec![&*name.to_lowercase().replace('_', "").leak()].leak();
        out.push(Leaf::new(format!("extra {name}={}", value.as_str()), names));
    }
    out
}

fn choice_leaves(index: usize, choice: &Choice, scope: Scope, out: &mut Vec<Leaf>) {
    let Choice {
        parts,
        finish,
        logprobs,
    } = choice;
    if index > 0 {
        // One thing stands for the whole: alternatives are lost together.
        out.push(Leaf::new(
            format!("choice {index}: {}", parts.len()),
            &["choices", "n", "candidates"],
        ));
        return;
    }
    let before = out.len();
    for part in parts {
        request_leaves::part_leaves(part, "assistant", scope, out);
    }
    for leaf in &mut out[before..] {
        widen(leaf);
    }
    if let Some(Finish {
        reason,
        stop_sequence,
        native: _,
    }) = finish
    {
        // The matrix compares reasons on its own, see [`nearest`].
        out.push(Leaf::new(format!("finish {}", reason.name()), &[]));
        if let Some(word) = stop_sequence {
            out.push(Leaf::new(
                format!("stop sequence {word}"),
                &["stopsequence"],
            ));
        }
    }
    for TokenLogprob {
        token,
        logprob,
        bytes: _,
        top,
    } in logprobs
    {
        let top: Vec<_> = top
            .iter()
            .map(|other| (&other.token, other.logprob))
            .collect();
        let fact = format!("logprob {token} {logprob} {top:?}");
        out.push(Leaf::new(fact, &["logprobs"]));
    }
}

/// Losses of answers name the kind of a part, not its place.
fn widen(leaf: &mut Leaf) {
    const KINDS: &[(&str, &[&str])] = &[
        ("image", &["image", "media", "content"]),
        ("audio", &["audio", "media", "content"]),
        ("file", &["file", "media", "content"]),
        ("signature", &["signature", "thinking", "reasoning"]),
        ("thinking", &[]),
    ];
    for (kind, names) in KINDS {
        if leaf.fact.starts_with(kind) {
            leaf.names = names;
        }
    }
}

/// What a client may see for a reason where its dialect lacks the word.
pub(crate) fn nearest(reason: FinishReason) -> &'static [FinishReason] {
    use FinishReason as F;
    match reason {
        F::Stop => &[F::Stop],
        F::StopSequence => &[F::StopSequence, F::Stop],
        F::Length => &[F::Length],
        F::ContextWindow => &[F::ContextWindow, F::Length],
        F::ToolCalls => &[F::ToolCalls],
        F::ContentFilter => &[F::ContentFilter, F::Refusal],
        F::Refusal => &[F::Refusal, F::ContentFilter],
        F::Pause => &[F::Pause, F::Stop, F::Length, F::Error],
        // It must never look complete.
        F::Error => &[F::Error, F::Length, F::ContentFilter],
    }
}

/// Classes that a dialect has no word for; they are plain tokens there.
const WORDLESS: &[(&str, &[&str])] = &[
    (
        "anthropic",
        &["audio_in", "audio_out", "image_in", "image_out"],
    ),
    ("gemini", &["cache writes"]),
    ("openai_chat", &["image_out"]),
    (
        "bedrock",
        &[
            "reasoning tokens",
            "audio_in",
            "audio_out",
            "image_in",
            "image_out",
        ],
    ),
    (
        "openai_responses",
        &["audio_in", "audio_out", "image_in", "image_out"],
    ),
];

/// Whether this fact is a class of usage that the dialect has no word for.
pub(crate) fn is_wordless(fact: &str, dialect: DialectId) -> bool {
    let rest = fact.strip_prefix("usage ");
    WORDLESS.iter().any(|(name, classes)| {
        let is_class = |class: &&str| rest.is_some_and(|rest| rest.starts_with(*class));
        dialect.0 == *name && classes.iter().any(is_class)
    })
}

/// Each class that is not zero, and both sums.
fn usage_leaves(usage: &Usage) -> Vec<Leaf> {
    let Usage {
        input: _,
        cached_read,
        cached_write,
        cached_write_1h,
        output: _,
        reasoning,
        audio_in,
        audio_out,
        image_in,
        image_out,
        web_searches: _,
        audio_seconds: _,
        told_cost_nanos: _,
        tier: _,
        flawed: _,
        source: _,
    } = usage;
    let mut out = vec![
        Leaf::new(format!("input {}", usage.input_total()), &[]),
        Leaf::new(format!("output {}", usage.output_total()), &[]),
    ];
    let written = cached_write + cached_write_1h;
    for (name, count) in [
        ("cached_read", *cached_read),
        ("cache writes", written),
        ("reasoning tokens", *reasoning),
        ("audio_in", *audio_in),
        ("audio_out", *audio_out),
        ("image_in", *image_in),
        ("image_out", *image_out),
    ] {
        if count > 0 {
            out.push(Leaf::new(format!("usage {name} {count}"), &["usage"]));
        }
    }
    out
}

pub(crate) fn citation(citation: &Citation) -> Leaf {
    const NAMES: &[&str] = &["citation", "annotation"];
    let Citation {
        target,
        cited_text: _,
        span: _,
        raw: _,
    } = citation;
    let target = match target {
        CitationTarget::Url { url, title: _ } => url.clone(),
        CitationTarget::Document {
            index,
            title: _,
            range,
            unit,
        } => format!("document {index} {range:?} {unit:?}"),
        CitationTarget::File { id, name: _ } => id.clone(),
    };
    Leaf::new(format!("cites {target}"), NAMES)
}
