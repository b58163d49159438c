//! The narrowing property: whatever the rules, a further layer never permits
//! more than there was without it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::*;
use crate::RULES;
use crate::rule::Finding;

const MODELS: &[&str] = &["gpt-5", "gpt-4-preview", "claude-5", "o4", "llama3:8b", ""];
const PATTERNS: &[&str] = &[
    "*", "gpt-*", "*-5", "claude-5", "o*", "eu-*", "us-*", "kind:s*",
];
const NAMES: &[&str] = &[
    "get",
    "search_web",
    "Delete",
    "delete\u{200b}",
    "*x",
    "eu-one",
];
const WORDS: &[&str] = &["public", "secret", "gpt", "web", "eu-1"];
const URLS: &[&str] = &[
    "https://example.com/",
    "https://a.example.com/",
    "http://10.0.0.1/",
    "data:,x",
    "nonsense",
];
const EXPRESSIONS: &[&str] = &[
    "stream",
    "model.startsWith('gpt-')",
    "has(metadata.user) && metadata.user == 'public'",
    "metadata.data_class == 'secret'",
    "input_tokens > 500 || output_tokens_max > 10",
    "tools.exists(t, t == 'get')",
    "size(urls) > 0 && !system",
    "weekday in ['sat', 'sun'] || hour < 8",
];
const SCHEMAS: &[&str] = &[
    r#"{"type": "object"}"#,
    r#"{"type": "integer", "maximum": 5}"#,
    r#"{"required": ["a"]}"#,
];
const TEXTS: &[&str] = &["", "4", "9", "{}", r#"{"a": 1}"#, "no JSON"];

fn list(of: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(of.to_vec(), 0..=3)
}

/// Settings for a kind; some of them are refused when they are compiled.
fn settings(kind: &'static str) -> BoxedStrategy<Value> {
    let both = |of| (list(of), list(of));
    let lists = |(allow, deny): (Vec<&str>, Vec<&str>)| {
        let mut lists = json!({});
        for (name, list) in [("allow", allow), ("deny", deny)] {
            if !list.is_empty() {
                lists[name] = json!(list);
            }
        }
        lists
    };
    match kind {
        "models" => (both(PATTERNS), list(WORDS))
            .prop_map(move |(both, families)| {
                let mut settings = lists(both);
                if !families.is_empty() {
                    settings["families"] = json!(families);
                }
                settings
            })
            .boxed(),
        "operations" => both(&["chat", "embeddings", "count_tokens", "list_models"])
            .prop_map(lists)
            .boxed(),
        "tools" => (both(&["get", "search_*", "delete*", "*"]), any::<bool>())
            .prop_map(move |(both, function)| {
                let mut settings = lists(both);
                if function {
                    settings["kinds"] = json!(["function"]);
                }
                settings
            })
            .boxed(),
        "sources" => (
            both(&["example.com", "*.example.com", "*", "10.0.0.1"]),
            any::<bool>(),
        )
            .prop_map(move |(both, open)| {
                let mut settings = lists(both);
                settings["ip_addresses"] = json!(open);
                settings
            })
            .boxed(),
        "providers" | "regions" => both(PATTERNS).prop_map(lists).boxed(),
        "data_class" => (
            both(PATTERNS),
            select(&["deny", "allow"][..]),
            select(&["deny", "allow", "secret"][..]),
        )
            .prop_map(|((regions, providers), others, missing)| {
                let mut class = json!({});
                for (name, list) in [("regions", regions), ("providers", providers)] {
                    if !list.is_empty() {
                        class[name] = json!(list);
                    }
                }
                json!({"classes": {"secret": class}, "others": others, "missing": missing})
            })
            .boxed(),
        "context_length" => (1..2_000_u64, proptest::option::of(1..4_000_u64))
            .prop_map(|(input, total)| match total {
                Some(total) => json!({"total_tokens_max": total}),
                None => json!({"tokens_max": input}),
            })
            .boxed(),
        "output_length" => (1..2_000_u64, select(&["cap", "deny"][..]))
            .prop_map(|(most, over)| json!({"tokens_max": most, "over": over}))
            .boxed(),
        "output_schema" => select(SCHEMAS)
            .prop_map(|schema| json!({"schema": schema}))
            .boxed(),
        "streaming" => Just(json!({"allowed": false})).boxed(),
        "system_prompt" => Just(json!({"locked": true})).boxed(),
        "time_window" => (0..24_u8, 0..24_u8, select(&["mon", "tue", "sat"][..]))
            .prop_map(|(from, to, day)| {
                let hour = |hour| format!("{hour:02}:00");
                json!({"windows": [{"days": [day], "from": hour(from), "to": hour(to)}]})
            })
            .boxed(),
        "required_metadata" => subsequence(vec!["user", "use_case", "data_class"], 1..=3)
            .prop_map(|fields| json!({"fields": fields}))
            .boxed(),
        "condition" => (select(EXPRESSIONS), select(&["deny_if", "allow_if"][..]))
            .prop_map(|(expression, way)| json!({way: expression}))
            .boxed(),
        "approval" => (list(PATTERNS), list(NAMES), list(WORDS))
            .prop_map(|(models, tools, classes)| {
                let mut settings = json!({});
                for (name, list) in [
                    ("models", models),
                    ("tools", tools),
                    ("data_classes", classes),
                ] {
                    if !list.is_empty() {
                        settings[name] = json!(list);
                    }
                }
                settings
            })
            .boxed(),
        other => panic!("the property does not know the kind `{other}` yet"),
    }
}

/// A rule of any kind, in any mode.
fn rule() -> impl Strategy<Value = (&'static str, Value, Mode)> {
    let kinds: Vec<&'static str> = RULES.iter().map(|kind| kind.name).collect();
    let modes = [Mode::Shadow, Mode::Warn, Mode::Enforce, Mode::Enforce];
    select(kinds).prop_flat_map(move |kind| (Just(kind), settings(kind), select(modes.to_vec())))
}

/// Rules of a layer, as settings, so that it can be compiled again.
type Described = Vec<(&'static str, Value, Mode)>;

fn build(layers: &[Described]) -> Chain {
    let named = |(kind, settings, mode): &(&'static str, Value, Mode)| {
        Some(Named {
            name: kind.to_owned().into(),
            kind: rule_kind(kind)?,
            mode: *mode,
            contact: None,
            rule: compile(kind, settings).ok()?,
        })
    };
    of_layers(
        layers
            .iter()
            .map(|rules| rules.iter().filter_map(named).collect())
            .collect(),
    )
}

fn call() -> impl Strategy<Value = Call> {
    let operations = vec![
        Operation::Chat,
        Operation::Chat,
        Operation::Embed,
        Operation::CountTokens,
        Operation::ListModels,
        Operation::GetModel,
    ];
    let content = (
        vec((select(NAMES), select(&["function", "hosted"][..])), 0..3),
        vec(select(URLS), 0..3),
        any::<bool>(),
    );
    let fields = vec![Field::User, Field::UseCase, Field::DataClass, Field::Family];
    let told = vec((select(fields), select(WORDS)), 0..4);
    let numbers = (
        0..3_000_u64,
        proptest::option::of(0..3_000_u64),
        0..2_000_000_000_u64,
    );
    (
        select(operations),
        select(MODELS),
        any::<bool>(),
        numbers,
        told,
        proptest::option::weighted(0.9, content),
    )
        .prop_map(|(operation, model, stream, numbers, told, content)| {
            let mut call = Call {
                operation,
                model,
                stream,
                input_tokens: numbers.0,
                output_tokens_max: numbers.1,
                now_s: numbers.2,
                ..Call::chat()
            };
            call.content = content.map(|(tools, urls, system)| Content {
                tools: tools
                    .into_iter()
                    .map(|(name, kind)| ToolFact {
                        name: name.into(),
                        kind,
                    })
                    .collect(),
                servers: Vec::new(),
                urls: urls.into_iter().map(Into::into).collect(),
                system,
            });
            told.into_iter()
                .fold(call, |call, (field, word)| call.told(field, word))
        })
}

fn places() -> Vec<Place<'static>> {
    let mut places = Vec::new();
    for provider in ["eu-one", "us-one"] {
        for model in MODELS {
            for region in [None, Some("eu-1"), Some("us-1")] {
                places.push(Place {
                    provider,
                    kind: "sandbox",
                    model,
                    region,
                    context_tokens: None,
                });
            }
        }
    }
    places
}

/// Every question that a chain can be asked of a call.
fn verdicts(chain: &Chain, call: &Call) -> Vec<Verdict> {
    let facts = call.facts();
    let mut verdicts = vec![chain.request(&facts)];
    verdicts.extend(places().iter().map(|place| chain.place(&facts, place)));
    for name in NAMES {
        verdicts.push(chain.given(&facts, &Given::ToolCall(name)));
    }
    for text in TEXTS {
        verdicts.push(chain.given(&facts, &Given::Text((*text).into())));
    }
    verdicts
}

fn cap_of(verdict: &Verdict) -> u64 {
    verdict
        .output_cap
        .as_ref()
        .map_or(u64::MAX, |(cap, _)| *cap)
}

proptest! {
    #[test]
    fn a_further_layer_never_permits_more(
        layers in vec(vec(rule(), 0..4), 0..4),
        further in vec(rule(), 0..4),
        at in any::<prop::sample::Index>(),
        call in call(),
    ) {
        let before = build(&layers);
        let mut more = layers.clone();
        more.insert(at.index(layers.len() + 1), further);
        let after = build(&more);
        // The same holds once all that the rules wanted approved is approved.
        let all = verdicts(&before, &call);
        let wanted = crate::policy::Ruling::wanted(all.iter().flat_map(|it| &it.rulings));
        let (given, more) = (before.approving(wanted.clone()), after.approving(wanted));
        for (given, more) in verdicts(&given, &call).iter().zip(verdicts(&more, &call)) {
            prop_assert!(given.needs().is_empty());
            prop_assert!(given.denied().is_none() || more.denied().is_some());
        }
        let pairs = verdicts(&before, &call).into_iter().zip(verdicts(&after, &call));
        for (before, after) in pairs {
            prop_assert!(before.denied().is_none() || after.denied().is_some());
            prop_assert!(cap_of(&after) <= cap_of(&before));
            for ruling in &before.rulings {
                let still = |it: &&crate::policy::Ruling| {
                    it.breach == ruling.breach && it.mode == ruling.mode
                };
                prop_assert!(after.rulings.iter().any(|it| still(&it)), "a ruling is lost");
            }
        }
        for model in MODELS {
            prop_assert!(before.shows_model(model) || !after.shows_model(model));
        }
        prop_assert!(after.needs_content() || !before.needs_content());
        prop_assert!(after.reads_answers() || !before.reads_answers());
    }

    /// What is not asked about places has nothing to object to any of them.
    #[test]
    fn a_rule_that_does_not_look_at_places_passes_all(rule in rule(), call in call()) {
        let Ok(compiled) = compile(rule.0, &rule.1) else {
            return Ok(());
        };
        let facts = call.facts();
        let all = places();
        let mut found = all.iter().map(|place| compiled.place(&facts, place));
        prop_assert!(compiled.looks_at_places() || found.all(|it| it == Finding::Pass));
        // Asked or not, the verdict is that of the rule.
        let chain = build(&[vec![rule]]);
        for place in &all {
            let verdict = chain.place(&facts, place);
            let is_pass = compiled.place(&facts, place) == Finding::Pass;
            prop_assert_eq!(verdict.asked, 1);
            prop_assert_eq!(verdict.rulings.is_empty(), is_pass);
        }
    }

    #[test]
    fn the_same_facts_give_the_same_verdict(
        layers in vec(vec(rule(), 0..4), 1..4),
        call in call(),
    ) {
        let (one, other) = (build(&layers), build(&layers));
        prop_assert_eq!(verdicts(&one, &call), verdicts(&other, &call));
        prop_assert_eq!(verdicts(&one, &call), verdicts(&one, &call));
    }
}

/// The property says nothing of rules that never deny, or always do.
#[test]
fn what_is_drawn_meets_every_kind_from_both_sides() {
    let mut runner = TestRunner::deterministic();
    let calls = call();
    for kind in RULES {
        let (mut passed, mut objected) = (0, 0);
        for _ in 0..60 {
            let settings = settings(kind.name).new_tree(&mut runner).expect("drawn");
            let call = calls.new_tree(&mut runner).expect("drawn").current();
            let chain = build(&[vec![(kind.name, settings.current(), Mode::Enforce)]]);
            for verdict in verdicts(&chain, &call) {
                let free = verdict.rulings.is_empty() && verdict.output_cap.is_none();
                passed += u32::from(free && verdict.asked == 1);
                objected += u32::from(!free);
            }
        }
        assert!(passed > 10, "{} passes {passed} times", kind.name);
        assert!(objected > 10, "{} objects {objected} times", kind.name);
    }
}
