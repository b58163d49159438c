//! Canonical requests, continued: one for each setting of a call.

use contract::RawJson;
use contract::chat::{
    CacheMark, CacheTtl, Chat, Effort, OutputFormat, Reasoning, ReasoningMode, Role, Sampling, Tool,
};

use crate::requests::{SCHEMA, chat, function, named, says, user};

pub(crate) fn settings() -> Vec<(String, Chat)> {
    let hello = || chat(vec![user("Hello")]);
    let sampled = |sampling| Chat {
        sampling,
        ..hello()
    };
    let schema = OutputFormat::JsonSchema {
        name: Some("place".to_owned()),
        description: Some("A place.".to_owned()),
        schema: RawJson::new(SCHEMA),
        strict: Some(true),
    };
    let mark = |ttl| Some(CacheMark { ttl });
    let mut marked = hello();
    marked.tools = vec![Tool {
        cache: mark(CacheTtl::Default),
        ..function("weather")
    }];
    marked.turns.insert(0, says(Role::System, "A long rule."));
    marked.turns[0].parts[0].cache = mark(CacheTtl::Hour1);
    marked.turns[1].parts[0].cache = mark(CacheTtl::Minutes5);
    named(vec![
        (
            "no_cap",
            Chat {
                output_tokens_max: None,
                ..hello()
            },
        ),
        (
            "stop",
            Chat {
                stop: vec!["END".to_owned(), "\n\n".to_owned()],
                ..hello()
            },
        ),
        (
            "temperature",
            sampled(Sampling {
                temperature: Some(0.25),
                ..Sampling::default()
            }),
        ),
        (
            "sampling",
            sampled(Sampling {
                temperature: Some(1.0),
                top_p: Some(0.9),
                top_k: Some(40),
                frequency_penalty: Some(0.5),
                presence_penalty: Some(-0.5),
                seed: Some(7),
                logit_bias: Some(RawJson::new(r#"{"50256":-100}"#)),
            }),
        ),
        (
            "choices",
            Chat {
                n: Some(2),
                ..hello()
            },
        ),
        (
            "logprobs",
            Chat {
                logprobs: Some(3),
                ..hello()
            },
        ),
        (
            "json_object",
            Chat {
                format: OutputFormat::JsonObject,
                ..hello()
            },
        ),
        (
            "json_schema",
            Chat {
                format: schema,
                ..hello()
            },
        ),
        ("cache_marks", marked),
        (
            "cache_top",
            Chat {
                cache: mark(CacheTtl::Default),
                ..hello()
            },
        ),
        (
            "bookkeeping",
            Chat {
                user: Some("user-1".to_owned()),
                metadata: vec![("team".to_owned(), "red".to_owned())],
                service_tier: Some("auto".to_owned()),
                prompt_cache_key: Some("group-7".to_owned()),
                verbosity: Some("low".to_owned()),
                store: Some(true),
                ..hello()
            },
        ),
    ])
}

pub(crate) fn reasoning() -> Vec<(String, Chat)> {
    let with = |reasoning| Chat {
        reasoning: Some(reasoning),
        ..chat(vec![user("Think")])
    };
    let efforts = [
        Effort::None,
        Effort::Minimal,
        Effort::Low,
        Effort::Medium,
        Effort::High,
        Effort::XHigh,
        Effort::Max,
    ];
    let mut cases: Vec<(String, Chat)> = efforts
        .into_iter()
        .map(|effort| {
            let asked = Reasoning {
                effort: Some(effort),
                ..Reasoning::default()
            };
            (format!("effort_{}", effort.word()), with(asked))
        })
        .collect();
    let mode = |mode, budget_tokens| {
        with(Reasoning {
            mode: Some(mode),
            budget_tokens,
            ..Reasoning::default()
        })
    };
    cases.extend(named(vec![
        ("thinking_adaptive", mode(ReasoningMode::Adaptive, None)),
        ("thinking_budget", mode(ReasoningMode::Enabled, Some(4_096))),
        ("thinking_off", mode(ReasoningMode::Disabled, None)),
        (
            "thinking_shown",
            with(Reasoning {
                mode: Some(ReasoningMode::Adaptive),
                effort: Some(Effort::High),
                budget_tokens: None,
                summary: Some("auto".to_owned()),
            }),
        ),
    ]));
    cases
}
