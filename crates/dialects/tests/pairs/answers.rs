//! Canonical answers, one for each thing an answer can say.

use contract::answer::{Choice, Finish, FinishReason, TokenLogprob};
use contract::chat::{
    Citation, CitationTarget, Media, Part, PartKind, RangeUnit, Signature, ToolCall,
};
use contract::text::Extras;
use contract::{ChatAnswer, DialectId, Usage, UsageSource};

use crate::requests::{PNG, call};

/// Every reason for which an answer can end.
pub(crate) const REASONS: [FinishReason; 9] = [
    FinishReason::Stop,
    FinishReason::StopSequence,
    FinishReason::Length,
    FinishReason::ContextWindow,
    FinishReason::ToolCalls,
    FinishReason::ContentFilter,
    FinishReason::Refusal,
    FinishReason::Pause,
    FinishReason::Error,
];

/// Every canonical answer of a vendor of `own`, named.
pub(crate) fn all(own: DialectId) -> Vec<(String, ChatAnswer)> {
    let mut all: Vec<(String, ChatAnswer)> = contents(own)
        .into_iter()
        .map(|(name, parts, reason)| (name.to_owned(), of(parts, reason)))
        .collect();
    all.extend(REASONS.map(|reason| (format!("finish_{}", reason.name()), finished(reason))));
    all.extend(usages().map(|(name, usage)| {
        let mut answer = of(vec![Part::text("Hello")], FinishReason::Stop);
        answer.usage = Some(usage);
        (format!("usage_{name}"), answer)
    }));
    all.push(("logprobs".to_owned(), with_logprobs()));
    all.push(("choices".to_owned(), two_choices()));
    let mut tier = of(vec![Part::text("Hello")], FinishReason::Stop);
    tier.service_tier = Some("default".to_owned());
    all.push(("tier".to_owned(), tier));
    all
}

/// An answer that ended for this reason, with the content that goes with it.
pub(crate) fn finished(reason: FinishReason) -> ChatAnswer {
    let parts = match reason {
        FinishReason::ToolCalls => vec![call("call_1", "weather", r#"{"city":"Rome"}"#)],
        FinishReason::Refusal => vec![
            PartKind::Refusal {
                text: "No.".to_owned(),
            }
            .into(),
        ],
        FinishReason::Stop
        | FinishReason::StopSequence
        | FinishReason::Length
        | FinishReason::ContextWindow
        | FinishReason::ContentFilter
        | FinishReason::Pause
        | FinishReason::Error => vec![Part::text("Hello")],
    };
    let mut answer = of(parts, reason);
    if reason == FinishReason::StopSequence
        && let Some(finish) = &mut answer.choices[0].finish
    {
        finish.stop_sequence = Some("END".to_owned());
    }
    answer
}

pub(crate) fn of(parts: Vec<Part>, reason: FinishReason) -> ChatAnswer {
    ChatAnswer {
        id: None,
        model: Some("vendor-model:1".to_owned()),
        created_s: Some(1_790_000_000),
        choices: vec![Choice {
            parts,
            finish: Some(Finish::from(reason)),
            logprobs: Vec::new(),
        }],
        usage: Some(usage([11, 0, 0, 0, 7, 0, 0, 0, 0, 0])),
        service_tier: None,
        extras: Extras::default(),
    }
}

pub(crate) fn signed(kind: PartKind, value: &str, dialect: DialectId) -> Part {
    Part {
        signature: Some(Signature {
            dialect,
            value: value.to_owned(),
        }),
        ..kind.into()
    }
}

pub(crate) fn thought() -> PartKind {
    PartKind::Thinking {
        text: "Let me think \u{1F914}.\nYes.".to_owned(),
    }
}

fn contents(own: DialectId) -> Vec<(&'static str, Vec<Part>, FinishReason)> {
    use FinishReason::{Stop, ToolCalls};
    let weather = || call("call_1", "weather", r#"{"city":"Rome","n":1.50}"#);
    let custom = PartKind::ToolCall(ToolCall {
        id: "call_c".to_owned(),
        name: "shell".to_owned(),
        arguments: "ls \"/tmp\"\n".to_owned(),
        custom: true,
    });
    let image = PartKind::Image {
        source: Media::Base64 {
            mime: "image/png".to_owned(),
            data: PNG.to_owned(),
        },
        detail: None,
    };
    let audio = PartKind::Audio {
        source: Media::Base64 {
            mime: "audio/wav".to_owned(),
            data: "UklGRg==".to_owned(),
        },
        transcript: Some("Hello there".to_owned()),
    };
    vec![
        (
            "text",
            vec![Part::text("Hello \u{1F600}\u{2028}\"x\"\\")],
            Stop,
        ),
        ("texts", vec![Part::text("One. "), Part::text("Two.")], Stop),
        ("call", vec![weather()], ToolCalls),
        ("call_empty", vec![call("call_1", "ping", "{}")], ToolCalls),
        (
            // Models and vendors write their JSON over several lines.
            "call_in_lines",
            vec![call(
                "call_1",
                "weather",
                "{\r\n  \"city\": \"Rome\",\n  \"n\": 1.5\n}",
            )],
            ToolCalls,
        ),
        (
            "text_and_calls",
            vec![
                Part::text("Looking."),
                weather(),
                call("call_2", "time", "{}"),
            ],
            ToolCalls,
        ),
        (
            "call_odd_id",
            vec![call("functions.weather:0", "weather", "{}")],
            ToolCalls,
        ),
        ("call_custom", vec![custom.into()], ToolCalls),
        (
            "thinking",
            vec![signed(thought(), "Sig/+w==", own), Part::text("Yes.")],
            Stop,
        ),
        (
            "thinking_unsigned",
            vec![thought().into(), Part::text("Yes.")],
            Stop,
        ),
        (
            "thinking_redacted",
            vec![
                signed(PartKind::RedactedThinking, "UmVkYWN0ZWQ=", own),
                Part::text("Yes."),
            ],
            Stop,
        ),
        (
            "thinking_call",
            vec![signed(thought(), "Sig/+w==", own), weather()],
            ToolCalls,
        ),
        (
            "refusal",
            vec![
                PartKind::Refusal {
                    text: "I will not.".to_owned(),
                }
                .into(),
            ],
            FinishReason::Refusal,
        ),
        ("citations", vec![cited()], Stop),
        ("image", vec![Part::text("Here:"), image.into()], Stop),
        ("audio", vec![audio.into()], Stop),
        ("nothing", Vec::new(), Stop),
    ]
}

fn cited() -> Part {
    let source = |target| Citation {
        target,
        cited_text: Some("Ada".to_owned()),
        span: Some((0, 3)),
        raw: None,
    };
    PartKind::Text {
        text: "Ada was born in 1815.".to_owned(),
        citations: vec![
            source(CitationTarget::Url {
                url: "https://example.com/ada".to_owned(),
                title: Some("Ada".to_owned()),
            }),
            source(CitationTarget::Document {
                index: 0,
                title: Some("Life".to_owned()),
                range: Some((4, 9)),
                unit: RangeUnit::Chars,
            }),
        ],
    }
    .into()
}

fn with_logprobs() -> ChatAnswer {
    let token = |token: &str, logprob| TokenLogprob {
        token: token.to_owned(),
        logprob,
        bytes: Some(token.as_bytes().to_vec()),
        top: Vec::new(),
    };
    let mut answer = of(vec![Part::text("Hi")], FinishReason::Stop);
    answer.choices[0].logprobs = vec![TokenLogprob {
        top: vec![token("Hi", -0.25), token("Yo", -2.5)],
        ..token("Hi", -0.25)
    }];
    answer
}

fn two_choices() -> ChatAnswer {
    let mut answer = of(vec![Part::text("Heads")], FinishReason::Stop);
    let mut other = of(vec![Part::text("Tails")], FinishReason::Length);
    answer.choices.append(&mut other.choices);
    answer
}

/// Input, read from cache, written, written for an hour, output, reasoning,
/// audio in and out, image in and out.
pub(crate) fn usage(counts: [u64; 10]) -> Usage {
    let [
        input,
        cached_read,
        cached_write,
        cached_write_1h,
        output,
        reasoning,
        audio_in,
        audio_out,
        image_in,
        image_out,
    ] = counts;
    Usage {
        input,
        cached_read,
        cached_write,
        cached_write_1h,
        output,
        reasoning,
        audio_in,
        audio_out,
        image_in,
        image_out,
        source: UsageSource::Provider,
        ..Usage::default()
    }
}

/// Usage in every class, one at a time and all at once.
pub(crate) fn usages() -> impl Iterator<Item = (&'static str, Usage)> {
    [
        ("plain", usage([100, 0, 0, 0, 50, 0, 0, 0, 0, 0])),
        ("cached_read", usage([100, 20, 0, 0, 50, 0, 0, 0, 0, 0])),
        ("cached_write", usage([100, 0, 30, 0, 50, 0, 0, 0, 0, 0])),
        ("cached_write_1h", usage([100, 0, 0, 40, 50, 0, 0, 0, 0, 0])),
        ("reasoning", usage([100, 0, 0, 0, 50, 25, 0, 0, 0, 0])),
        ("audio", usage([100, 0, 0, 0, 50, 0, 5, 6, 0, 0])),
        ("image", usage([100, 0, 0, 0, 50, 0, 0, 0, 9, 8])),
        ("all", usage([101, 20, 30, 40, 53, 25, 5, 6, 9, 8])),
    ]
    .into_iter()
}
