//! Policy on the path: every kind of rule, in every mode, for streams and
//! whole answers, on every front door.

use std::sync::Arc;

use access::policy::{Layer, Named, Policy};
use access::{Mode, rule_kind};
use contract::{ModelCard, Operation};
use dialects::json::Doc;
use dialects::{Call, DIALECTS, Dialect, Quirks, Route, Target, Unsupported};
use serde_json::{Value, json};

use super::world::{Got, Script, World, plan};
use super::{ANSWER, CHAT, DONE, FRAMES};

/// A call with everything in it that rules look at.
const FULL: &str = r#"{"model":"m","max_tokens":50,"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"What is at https://evil.example/x ?"}],"tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]}"#;
pub(super) const TOOL_ANSWER: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"up-m","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"t1","type":"function","function":{"name":"get_weather","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}"#;
pub(super) const TOOL_FRAMES: [&str; 3] = [
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up-m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"look\"},\"finish_reason\":null}]}\n\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up-m\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"arguments\":\"{}\"}}]},\"finish_reason\":null}]}\n\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up-m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}],\"usage\":null}\n\n",
];

/// What a rule is broken by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// Any call like [`FULL`].
    Asking,
    /// A call like [`FULL`] that streams.
    Streaming,
    /// A text that fits no schema.
    Answering,
}

/// Settings of each kind that [`FULL`] or its answer breaks.
fn cases() -> Vec<(&'static str, Value, By)> {
    vec![
        ("models", json!({"allow": ["other-*"]}), By::Asking),
        ("operations", json!({"allow": ["embeddings"]}), By::Asking),
        ("providers", json!({"deny": ["openai"]}), By::Asking),
        ("regions", json!({"allow": ["eu-*"]}), By::Asking),
        (
            "data_class",
            json!({"classes": {"public": {}}, "missing": "deny"}),
            By::Asking,
        ),
        ("tools", json!({"deny": ["get_*"]}), By::Asking),
        ("context_length", json!({"tokens_max": 1}), By::Asking),
        (
            "output_length",
            json!({"tokens_max": 1, "over": "deny"}),
            By::Asking,
        ),
        (
            "output_schema",
            json!({"schema": {"type": "object"}}),
            By::Answering,
        ),
        ("streaming", json!({"allowed": false}), By::Streaming),
        ("system_prompt", json!({"locked": true}), By::Asking),
        ("sources", json!({"deny": ["evil.example"]}), By::Asking),
        (
            "time_window",
            // 2023-11-14 22:13 UTC, a Tuesday, when this world stands still.
            json!({"zone": "UTC", "windows": [{"days": ["mon"], "from": "00:00", "to": "24:00"}]}),
            By::Asking,
        ),
        (
            "required_metadata",
            json!({"fields": ["use_case"]}),
            By::Asking,
        ),
        ("approval", json!({"models": ["m"]}), By::Asking),
        (
            "condition",
            json!({"deny_if": "model == \"m\" && size(tools) > 0"}),
            By::Asking,
        ),
    ]
}

pub(super) fn policy(rules: &[(&str, &str, Value, Mode)]) -> Policy {
    let rules = rules.iter().map(|(name, kind, settings, mode)| {
        let kind = rule_kind(kind).expect("a kind");
        Named {
            name: (*name).into(),
            kind,
            mode: *mode,
            contact: Some("Ask in #ai.".into()),
            rule: (kind.compile)(settings).expect("good settings"),
        }
    });
    // As compiling does.
    let rules = rules.filter(|rule| rule.mode != Mode::Off);
    let layer = Layer::new("organisation", rules.collect());
    Policy {
        organisation: Arc::new(layer),
        ..Policy::default()
    }
}

pub(super) fn world(rules: &[(&str, &str, Value, Mode)], script: Script) -> World {
    let plan = plan::Plan {
        policy: policy(rules),
        ..plan(&[("openai", "openai_chat")])
    };
    World::of(plan, vec![Ok(script)])
}

/// A call of a front door that says what the chat call says.
pub(super) fn ask(door: &'static dyn Dialect, chat: &str, stream: bool) -> (String, String) {
    let body = chat.replacen('{', &format!("{{\"stream\":{stream},"), 1);
    let reader = dialects::by_name("openai_chat").expect("it exists");
    let doc = Doc::request(body.clone().into()).expect("JSON");
    let route = Route::new(reader.id(), Operation::Chat);
    let request = reader.read_request(&route, doc.root()).expect("a request");
    let card = ModelCard::unknown("m");
    let target = Target {
        card: &card,
        unsupported: Unsupported::Drop,
        quirks: Quirks::default(),
    };
    let written = door
        .write_request(&request, &target)
        .expect("it can be said");
    let call = Call {
        operation: Operation::Chat,
        model: "m",
        stream,
        variant: 0,
        query: None,
    };
    let path = door.destination(&call).path;
    let base = match door.id().0 {
        "openai_chat" | "openai_responses" => "/v1",
        "gemini" if !path.starts_with("/v1") => "/v1beta",
        "anthropic" if !path.starts_with("/v1") => "/v1",
        _ => "",
    };
    let body = String::from_utf8(written.body.to_vec()).expect("UTF-8");
    (format!("{base}{path}"), body)
}

/// The upstream's answer; `tool`: it calls one.
pub(super) fn answer(stream: bool, tool: bool) -> Script {
    match (stream, tool) {
        (false, false) => Script::json(200, ANSWER),
        (false, true) => Script::json(200, TOOL_ANSWER),
        (true, false) => {
            let frames: Vec<&str> = FRAMES.into_iter().chain([DONE]).collect();
            Script::sse(&frames)
        }
        (true, true) => {
            let frames: Vec<&str> = TOOL_FRAMES.into_iter().chain([DONE]).collect();
            Script::sse(&frames)
        }
    }
}

/// The answer without what differs from call to call: nothing, as ids come
/// from dice that begin anew in each world.
pub(super) fn told(got: &Got) -> (u16, Vec<(String, String)>, String) {
    let headers = got.headers.iter();
    let headers = headers
        .filter(|(name, _)| *name != "tollgate-warn")
        .map(|(name, value)| (name.to_string(), value.to_str().expect("ASCII").to_owned()))
        .collect();
    (got.status, headers, got.body.clone())
}

#[test]
fn every_rule_has_a_case() {
    for kind in access::RULES {
        let cases = cases();
        let found = cases.iter().any(|(name, ..)| *name == kind.name);
        assert!(found, "`{}` has no case", kind.name);
    }
}

#[test]
fn every_rule_in_every_mode_on_every_door() {
    for (kind, settings, by) in cases() {
        for door in DIALECTS.iter().copied() {
            for stream in [false, true] {
                if by == By::Streaming && !stream {
                    continue;
                }
                let case = format!("{kind} on {} stream={stream}", door.id());
                let (path, body) = ask(door, FULL, stream);
                let run = |mode| {
                    let world = world(
                        &[("r", kind, settings.clone(), mode)],
                        answer(stream, false),
                    );
                    let got = world.call(&path, &body);
                    (world, got)
                };
                let (off, plain) = run(Mode::Off);
                assert_eq!(plain.status, 200, "{case}: {}", plain.body);
                assert!(!plain.headers.contains_key("tollgate-warn"), "{case}");
                for mode in [Mode::Shadow, Mode::Warn] {
                    let (world, got) = run(mode);
                    assert_eq!(told(&got), told(&plain), "{case} in {mode:?}");
                    assert_eq!(world.sent(), off.sent(), "{case} in {mode:?}");
                    let warned = got.headers.contains_key("tollgate-warn");
                    assert_eq!(warned, mode == Mode::Warn, "{case} in {mode:?}");
                    let wanted = if mode == Mode::Warn {
                        "warn"
                    } else {
                        "would_deny"
                    };
                    let record = &world.records()[0];
                    let mut decisions = record.decisions.iter();
                    let noted =
                        decisions.any(|it| it.rule.as_deref() == Some("r") && it.verdict == wanted);
                    assert!(noted, "{case} in {mode:?}: {:?}", record.decisions);
                }
                let (world, got) = run(Mode::Enforce);
                assert_eq!(got.status, 403, "{case}: {}", got.body);
                assert!(
                    got.body.contains("`r`") && got.body.contains("Ask in #ai."),
                    "{case}: {}",
                    got.body
                );
                assert!(
                    world.sent().is_empty() == (by != By::Answering),
                    "{case}: {:?}",
                    world.sent()
                );
            }
        }
    }
}

#[test]
fn a_tool_call_of_the_model_is_held_to_the_rules() {
    let bare = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    for door in DIALECTS.iter().copied() {
        for stream in [false, true] {
            let case = format!("{} stream={stream}", door.id());
            let (path, body) = ask(door, bare, stream);
            let rule = ("r", "tools", json!({"deny": ["get_*"]}), Mode::Enforce);
            let world = world(&[rule], answer(stream, true));
            let got = world.call(&path, &body);
            let status = if stream { 200 } else { 403 };
            assert_eq!(got.status, status, "{case}: {}", got.body);
            assert!(
                !got.body.contains("\"get_weather\""),
                "{case}: {}",
                got.body
            );
            assert!(got.body.contains("rule `r`"), "{case}: {}", got.body);
            assert!(
                !got.body.contains("tool_calls\"}") && !got.body.contains("[DONE]"),
                "{case}: {}",
                got.body
            );
            let record = &world.records()[0];
            let fault = record.fault.as_ref().expect("a fault");
            assert_eq!(
                (&*fault.kind, &*fault.origin),
                ("forbidden", "gateway"),
                "{case}"
            );
            let denied = |it: &evidence::Decision| it.verdict == "deny" && it.rule.is_some();
            assert!(
                record.decisions.iter().any(denied),
                "{case}: {:?}",
                record.decisions
            );
        }
    }
}

#[test]
fn a_tool_call_in_shadow_passes_untouched() {
    let bare = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let (path, body) = ask(
        dialects::by_name("openai_chat").expect("it exists"),
        bare,
        true,
    );
    let rule = |mode| ("r", "tools", json!({"deny": ["get_*"]}), mode);
    let off = world(&[rule(Mode::Off)], answer(true, true));
    let plain = off.call(&path, &body);
    let shadow = world(&[rule(Mode::Shadow)], answer(true, true));
    let got = shadow.call(&path, &body);
    assert_eq!(told(&got), told(&plain));
    let decisions = &shadow.records()[0].decisions;
    assert!(
        decisions.iter().any(|it| it.verdict == "would_deny"),
        "{decisions:?}"
    );
}

#[test]
fn a_model_that_is_denied_is_not_listed() {
    let rule = ("r", "models", json!({"deny": ["m"]}), Mode::Enforce);
    let world = world(&[rule], Script::json(200, ANSWER));
    let got = world.ask(
        http::Method::GET,
        "/v1/models",
        "",
        &[("authorization", "Bearer tg-test")],
    );
    assert_eq!(got.status, 200, "{}", got.body);
    assert!(!got.body.contains("\"m\""), "{}", got.body);
    let got = world.ask(
        http::Method::GET,
        "/v1/models/m",
        "",
        &[("authorization", "Bearer tg-test")],
    );
    assert_eq!(got.status, 404, "{}", got.body);
}

#[test]
fn a_candidate_that_is_denied_is_left_out_and_told() {
    let rules = [("r", "providers", json!({"deny": ["openai"]}), Mode::Enforce)];
    let plan = plan::Plan {
        policy: policy(&rules),
        ..plan(&[("openai", "openai_chat"), ("mistral", "openai_chat")])
    };
    let world = World::of(plan, vec![Ok(Script::json(200, ANSWER))]);
    let got = world.call(CHAT, FULL);
    assert_eq!(got.status, 200, "{}", got.body);
    assert_eq!(got.headers["tollgate-provider"], "mistral");
    let record = &world.records()[0];
    let [excluded] = &record.candidates[..] else {
        panic!("{:?}", record.candidates)
    };
    assert_eq!(&*excluded.provider, "openai");
    assert_eq!(excluded.excluded.as_deref(), Some("policy: r"));
}

#[test]
fn a_cap_on_the_output_goes_upstream() {
    let cases = [
        (
            r#"{"model":"m","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}"#,
            "\"max_tokens\":5,",
        ),
        (
            r#"{"model":"m","max_tokens":3,"messages":[{"role":"user","content":"hi"}]}"#,
            "\"max_tokens\":3,",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#,
            ":5",
        ),
    ];
    for (body, wanted) in cases {
        for (mode, capped) in [
            (Mode::Enforce, true),
            (Mode::Warn, false),
            (Mode::Shadow, false),
        ] {
            let rule = (
                "r",
                "output_length",
                json!({"tokens_max": 5, "over": "cap"}),
                mode,
            );
            let world = world(&[rule], answer(false, false));
            let got = world.call(CHAT, body);
            assert_eq!(got.status, 200, "{}", got.body);
            let sent = &world.sent()[0];
            if capped {
                assert!(sent.contains(wanted), "{body} in {mode:?}: {sent}");
            } else {
                assert_eq!(*sent, body.replace("\"m\"", "\"up-m\""), "{mode:?}");
            }
        }
    }
    let rule = (
        "r",
        "output_length",
        json!({"tokens_max": 5, "over": "cap"}),
        Mode::Enforce,
    );
    let world = world(&[rule], answer(false, false));
    let messages = dialects::by_name("anthropic").expect("it exists");
    let (path, body) = ask(messages, cases[0].0, false);
    assert_eq!(world.call(&path, &body).status, 200);
    assert!(
        world.sent()[0].contains("\"max_completion_tokens\":5"),
        "{:?}",
        world.sent()
    );
}

/// What policy decides from a record and the plan alone: the verdict, and the
/// rules that were broken with their codes.
pub(super) fn again(
    plan: &plan::Plan,
    record: &evidence::Record,
) -> (String, Vec<(String, String)>) {
    let decisions = record.decisions.iter();
    let read = decisions
        .clone()
        .find(|it| it.stage == "policy" && it.rule.is_none());
    let readings = &read.expect("policy was asked").readings;
    let words = |name: &str| -> Vec<String> {
        let found = readings.iter().filter(|it| it.name == name);
        found
            .map(|it| match &it.value {
                evidence::Value::Int(number) => number.to_string(),
                evidence::Value::Word(word) => word.to_string(),
                evidence::Value::Name(name) => name.to_string(),
            })
            .collect()
    };
    let number = |name: &str| {
        words(name)
            .first()
            .map(|it| it.parse::<u64>().expect("a number"))
    };
    let mut metadata = access::Metadata::default();
    for (name, value) in &record.metadata {
        metadata.set(
            access::metadata::Field::named(name).expect("a field"),
            value.clone(),
        );
    }
    let content = number("system").map(|system| access::Content {
        tools: words("tool")
            .iter()
            .map(|told| {
                let (kind, name) = told.split_once(' ').expect("kind and name");
                let kinds = ["function", "custom", "hosted"];
                access::ToolFact {
                    name: name.into(),
                    kind: kinds
                        .into_iter()
                        .find(|known| *known == kind)
                        .expect("a kind"),
                }
            })
            .collect(),
        servers: words("server").into_iter().map(Into::into).collect(),
        system: system == 1,
        urls: Vec::new(),
    });
    let groups: Vec<Box<str>> = words("group").into_iter().map(Into::into).collect();
    let who = &record.who;
    let text = |name: &Option<Arc<str>>| name.as_deref().unwrap_or_default().to_owned();
    let consumer = access::Consumer {
        groups: groups.into(),
        ..access::Consumer::new(text(&who.key_id), text(&who.tenant), text(&who.app))
    };
    let model = text(&record.request.model);
    let facts = access::Facts {
        tenant: &consumer.tenant,
        app: &consumer.app,
        key_id: &consumer.key_id,
        groups: &consumer.groups,
        metadata: &metadata,
        operation: Operation::Chat,
        model: &model,
        stream: record.request.stream,
        input_tokens: number("input_tokens")
            .or(number("input_bytes"))
            .expect("it is recorded"),
        output_tokens_max: record.request.output_tokens_max.map(u64::from),
        address: None,
        now_s: record.arrived_us / 1_000_000,
        content: content.as_ref(),
    };
    let chain = judge::chain(plan, &consumer, who.use_case.as_deref());
    let chain = chain.approving(super::approvals::approved_in(record));
    let admission = judge::admit(plan, &consumer, &chain, &facts);
    let verdict = match admission.verdict.denied() {
        Some(_) if admission.outcome.is_err() => "deny",
        Some(_) | None => "allow",
    };
    let rulings = admission.verdict.rulings.iter();
    let broken = rulings.map(|it| (it.rule.to_string(), it.breach.code.to_owned()));
    (verdict.to_owned(), broken.collect())
}

#[test]
fn a_decision_made_again_from_its_record_is_the_same() {
    let mut decided = 0;
    for (kind, settings, by) in cases() {
        // A URL is content, so no record holds it.
        if by == By::Answering || kind == "sources" {
            continue;
        }
        for mode in [Mode::Shadow, Mode::Warn, Mode::Enforce] {
            let rules = [("r", kind, settings.clone(), mode)];
            let world = world(&rules, answer(true, false));
            let body = FULL.replacen('{', "{\"stream\":true,", 1);
            world.call(CHAT, &body);
            let record = &world.records()[0];
            let recorded: Vec<(String, String)> = record
                .decisions
                .iter()
                .filter_map(|it| Some((it.rule.as_ref()?.to_string(), it.reason.to_string())))
                .collect();
            assert_eq!(
                recorded.len(),
                1,
                "{kind} in {mode:?}: {:?}",
                record.decisions
            );
            let plan = world.flow.plan.load_full();
            let (verdict, broken) = again(&plan, record);
            assert_eq!(broken, recorded, "{kind} in {mode:?}");
            let first = record.decisions.iter().find(|it| it.stage == "policy");
            assert_eq!(
                verdict,
                first.expect("a verdict").verdict,
                "{kind} in {mode:?}"
            );
            // Under another plan it is another decision.
            let other = plan::Plan {
                policy: Policy::default(),
                ..super::world::plan(&[("openai", "openai_chat")])
            };
            assert!(again(&other, record).1.is_empty(), "{kind} in {mode:?}");
            decided += 1;
        }
    }
    assert!(decided >= 30, "{decided}");
}

#[test]
fn a_denied_model_is_denied_under_another_name() {
    let rule = || ("r", "models", json!({"deny": ["up-*"]}), Mode::Enforce);
    for name in ["m", "openai/up-m", "up-m"] {
        let world = world(&[rule()], answer(false, false));
        let body = format!(r#"{{"model":"{name}","messages":[{{"role":"user","content":"hi"}}]}}"#);
        let got = world.call(CHAT, &body);
        assert!(
            matches!(got.status, 403 | 404),
            "{name}: {} {}",
            got.status,
            got.body
        );
        assert!(world.sent().is_empty(), "{name}");
    }
}

#[test]
fn tools_and_links_hide_in_no_field() {
    let cases = [
        (
            "tools",
            json!({"allow": ["search"]}),
            r#""web_search_options":{},"#,
        ),
        (
            "tools",
            json!({"allow": ["search"]}),
            r#""functions":[{"name":"shell","parameters":{}}],"#,
        ),
        (
            "tools",
            json!({"kinds": ["function"]}),
            r#""tools":[{"type":"custom","custom":{"name":"search"}}],"#,
        ),
        (
            "sources",
            json!({"deny": ["evil.example"]}),
            r#""x_more":{"u":"https:\/\/evil.example"},"#,
        ),
        (
            "system_prompt",
            json!({"locked": true}),
            r#""prompt":{"id":"p"},"#,
        ),
    ];
    for (kind, settings, field) in cases {
        let world = world(
            &[("r", kind, settings, Mode::Enforce)],
            answer(false, false),
        );
        let body =
            format!(r#"{{{field}"model":"m","messages":[{{"role":"user","content":"hi"}}]}}"#);
        let got = world.call(CHAT, &body);
        assert_eq!(got.status, 403, "{kind} {field}: {}", got.body);
    }
}

#[test]
fn lists_of_models_are_held_to_the_rules_of_operations() {
    let rule = ("r", "operations", json!({"allow": ["chat"]}), Mode::Enforce);
    let world = world(&[rule], answer(false, false));
    let key = [("authorization", "Bearer tg-test")];
    let got = world.ask(http::Method::GET, "/v1/models", "", &key);
    assert_eq!(got.status, 403, "{}", got.body);
}

#[test]
fn links_in_texts_to_embed_are_held_to_the_rules() {
    let rule = (
        "r",
        "sources",
        json!({"deny": ["evil.example"]}),
        Mode::Enforce,
    );
    let world = world(&[rule], answer(false, false));
    let body = r#"{"model":"m","input":["see https://evil.example/x"]}"#;
    let got = world.call("/v1/embeddings", body);
    assert_eq!(got.status, 403, "{}", got.body);
    assert!(world.sent().is_empty());
}
