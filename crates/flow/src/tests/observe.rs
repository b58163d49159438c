//! Listeners that only watch, on the path: what goes up, what comes back, and
//! that nothing of the caller's key stays.

use std::sync::Arc;

use access::identity::Standing;
use access::observe::Observe;
use access::policy::{Layer, Named, Policy};
use access::{Mode, rule_kind};
use contract::seams::WireFaultKind;
use evidence::{Outcome, Record};
use http::Method;
use plan::Plan;
use serde_json::{Value, json};

use super::world::{Got, Script, Step, World, plan};
use super::{ANSWER, CHAT, DONE, FRAMES};
use crate::Caller;

const THEIRS: &str = "sk-theirs-0123456789";
const BODY: &str = r#"{ "model" : "gpt-x", "max_tokens":50, "tollgate":{"use_case":"x"}, "messages":[{"role":"user","content":"hi"}], "x_unknown": 1 }"#;
const STREAM: &str =
    r#"{"model":"gpt-x","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
const INTAKE: &str = "/v1/observe/exchanges";

pub(super) fn watching(provider: Option<&str>) -> Caller {
    let observe = Observe {
        tenant: "acme".into(),
        app: "shop".into(),
        provider: provider.map(Into::into),
        intake: true,
        other: Some("the listener `data` (127.0.0.1:4100)".into()),
    };
    Caller {
        standing: Arc::new(Standing {
            observe: Some(Arc::new(observe)),
            ..Standing::default()
        }),
        ..Caller::default()
    }
}

/// A plan whose rules break on every call, and whose answers are looked at.
fn strict(providers: &[(&str, &str)]) -> Plan {
    let rule = |kind: &str, settings: Value, mode| Named {
        name: kind.into(),
        kind: rule_kind(kind).expect("a kind"),
        mode,
        contact: None,
        rule: (rule_kind(kind).expect("a kind").compile)(&settings).expect("settings"),
    };
    let layer = Layer::new(
        "organisation",
        vec![
            rule("models", json!({"allow": ["other-*"]}), Mode::Enforce),
            rule("providers", json!({"deny": ["openai"]}), Mode::Enforce),
            rule("output_length", json!({"tokens_max": 1}), Mode::Enforce),
            rule("streaming", json!({"allowed": false}), Mode::Warn),
            rule(
                "output_schema",
                json!({"schema": {"type": "object"}}),
                Mode::Enforce,
            ),
        ],
    );
    Plan {
        policy: Policy {
            organisation: Arc::new(layer),
            ..Policy::default()
        },
        ..plan(providers)
    }
}

fn world(scripts: Vec<Result<Script, WireFaultKind>>) -> World {
    World::of(strict(&[("openai", "openai_chat")]), scripts)
}

fn call(world: &World, body: &str) -> Got {
    let bearer = format!("Bearer {THEIRS}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("openai-organization", "org-theirs"),
        ("cookie", "a=b"),
        ("tollgate-use-case", "support"),
    ];
    world.ask_as(watching(None), (Method::POST, CHAT, body), &headers)
}

/// The only record; nothing in it or in the metrics holds the key.
fn record(world: &World) -> Record {
    let mut records = world.records();
    assert_eq!(records.len(), 1);
    let record = records.remove(0);
    assert!(!format!("{record:?}").contains(THEIRS), "{record:?}");
    let metrics = world.flow.evidence.meter().render();
    assert!(!metrics.contains(THEIRS), "{metrics}");
    record
}

fn would_deny(record: &Record) -> Vec<&str> {
    let decisions = record.decisions.iter();
    decisions
        .filter(|it| it.verdict == "would_deny")
        .filter_map(|it| it.rule.as_deref())
        .collect()
}

fn mark(record: &Record) -> &str {
    let mut marks = record.metadata.iter().filter(|(name, _)| name == "observe");
    marks.next().map_or("", |(_, how)| how)
}

#[test]
fn the_callers_own_key_goes_up_with_its_own_bytes() {
    let world = world(vec![Ok(Script::json(200, ANSWER))]);
    let got = call(&world, BODY);
    assert_eq!((got.status, got.body.as_str()), (200, ANSWER));
    assert_eq!(world.sent(), [BODY]);
    let seen = world.wire.seen.lock().expect("unpoisoned");
    let headers = &seen[0].headers;
    assert_eq!(headers["authorization"], format!("Bearer {THEIRS}"));
    assert_eq!(headers["openai-organization"], "org-theirs");
    assert!(!format!("{headers:?}").contains(THEIRS), "marked sensitive");
    assert!(!headers.contains_key("cookie") && !headers.contains_key("tollgate-use-case"));
    assert!(headers.get_all("authorization").iter().count() == 1);
    assert!(!got.headers.contains_key("tollgate-warn"));
    let record = record(&world);
    assert_eq!(mark(&record), "proxy");
    let who = &record.who;
    assert!(
        who.key_id
            .as_deref()
            .expect("an id")
            .starts_with("observe:")
    );
    assert_eq!(
        (
            who.tenant.as_deref(),
            who.app.as_deref(),
            who.use_case.as_deref()
        ),
        (Some("acme"), Some("shop"), Some("support"))
    );
    assert_eq!(
        (
            record.usage.input + record.usage.cached_read,
            record.usage.output
        ),
        (7, 2)
    );
    assert_eq!(record.outcome, Outcome::Complete);
    assert_eq!(
        would_deny(&record),
        ["models", "output_length", "providers", "output_schema"]
    );
    let decisions = record.decisions.iter();
    assert!(
        decisions
            .clone()
            .all(|it| it.verdict != "deny" && it.verdict != "cap")
    );
}

#[test]
fn each_header_passes_as_it_came() {
    for name in ["x-api-key", "x-goog-api-key", "api-key"] {
        let world = world(vec![Ok(Script::json(200, ANSWER))]);
        let headers = [(name, THEIRS)];
        let got = world.ask_as(watching(None), (Method::POST, CHAT, BODY), &headers);
        assert_eq!(got.status, 200, "{}", got.body);
        let seen = world.wire.seen.lock().expect("unpoisoned");
        assert_eq!(seen[0].headers[name], THEIRS);
        assert!(!seen[0].headers.contains_key("authorization"));
    }
}

#[test]
fn a_watched_stream_passes_verbatim() {
    let odd = "data: {\"choices\":7}\n\n: odd\n\n";
    for chunks in [
        [FRAMES.concat(), DONE.to_owned()].concat(),
        [FRAMES[0], odd, FRAMES[2], DONE].concat(),
        "data: {\"error\":{\"message\":\"no\"}}\n\n".to_owned(),
    ] {
        let world = world(vec![Ok(Script::sse(&[&chunks]))]);
        let got = call(&world, STREAM);
        assert_eq!((got.status, &got.body), (200, &chunks));
        assert_eq!(world.sent(), [STREAM]);
        let record = record(&world);
        assert_eq!(record.bytes_out, chunks.len() as u64);
        let told = would_deny(&record);
        assert!(
            told.contains(&"models") && told.contains(&"streaming"),
            "{told:?}"
        );
    }
    let all = [&FRAMES[..], &[DONE]].concat();
    let world = world(vec![Ok(Script::sse(&all))]);
    call(&world, STREAM);
    let record = record(&world);
    assert_eq!(record.outcome, Outcome::Complete);
    assert_eq!((record.usage.input, record.usage.output), (7, 2));
    assert!(would_deny(&record).contains(&"output_schema"));
    assert!(record.attempts[0].times.first_token_us.is_some());
}

#[test]
fn a_watched_stream_that_breaks_is_cut_and_not_completed() {
    let script = Script::sse(&FRAMES[..2]).then(Step::Reset);
    let world = world(vec![Ok(script)]);
    let bearer = format!("Bearer {THEIRS}");
    let request = http::Request::builder()
        .method(Method::POST)
        .uri(CHAT)
        .header("authorization", bearer);
    let (head, ()) = request.body(()).expect("a request").into_parts();
    let Ok(exchange) = world.flow.open(head, watching(None)) else {
        panic!("refused");
    };
    let reply = futures_executor::block_on(exchange.run(Ok(STREAM.into())));
    let crate::ReplyBody::Stream(mut stream) = reply.body else {
        panic!("no stream");
    };
    let mut got = Vec::new();
    let cut = loop {
        let next = std::future::poll_fn(|cx| stream.poll_next(cx));
        match futures_executor::block_on(next) {
            Some(Ok(bytes)) => got.extend_from_slice(&bytes),
            Some(Err(cut)) => break Some(cut),
            None => break None,
        }
    };
    assert!(cut.is_some());
    assert_eq!(got, FRAMES[..2].concat().into_bytes());
    assert_eq!(record(&world).outcome, Outcome::Cut);
}

#[test]
fn the_vendors_refusal_of_the_callers_key_passes_as_it_came() {
    let refusal = format!(r#"{{ "error" : {{"message":"Incorrect API key: {THEIRS}","odd":1}} }}"#);
    for status in [401, 429, 500] {
        let world = world(vec![Ok(Script::json(status, &refusal))]);
        let got = call(&world, BODY);
        assert_eq!((got.status, &got.body), (status, &refusal));
        assert_eq!(got.headers["x-request-id"], "up-1");
        let record = record(&world);
        assert_eq!((record.outcome, record.status), (Outcome::Failed, status));
        assert_eq!(record.attempts[0].status, Some(status));
    }
    let world = world(vec![Err(WireFaultKind::Connect)]);
    assert_eq!(call(&world, BODY).status, 502);
    assert_eq!(record(&world).outcome, Outcome::Failed);
}

#[test]
fn nothing_is_sent_of_what_must_not_go_up() {
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], u16, &'a str);
    let cases: [Case<'_>; 5] = [
        (
            CHAT,
            &[("authorization", "Bearer tg-test")],
            401,
            "listener `data` (127.0.0.1:4100)",
        ),
        (
            CHAT,
            &[("api-key", "tg-another-key")],
            401,
            "never passed on",
        ),
        (CHAT, &[], 401, "key of your provider"),
        (
            CHAT,
            &[("authorization", "AWS4-HMAC-SHA256 Credential=a")],
            401,
            "signed",
        ),
        (
            "/v1/messages",
            &[("x-api-key", THEIRS)],
            400,
            "dialect `anthropic`",
        ),
    ];
    for (path, headers, status, words) in cases {
        let world = world(Vec::new());
        let body = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
        let got = world.ask_as(watching(None), (Method::POST, path, body), headers);
        assert!(got.body.contains(words), "{path} {headers:?}: {}", got.body);
        assert_eq!(got.status, status, "{}", got.body);
        assert!(world.sent().is_empty());
        assert_eq!(record(&world).outcome, Outcome::Refused);
    }
    // The same key, and a listener that does not watch: it stays here.
    let world = world(Vec::new());
    let bearer = format!("Bearer {THEIRS}");
    let got = world.call_with(CHAT, BODY, &[("authorization", &bearer)]);
    assert_eq!(got.status, 401);
    assert!(world.sent().is_empty());
}

#[test]
fn no_provider_is_guessed_for_a_key() {
    let two = [("openai", "openai_chat"), ("groq", "openai_chat")];
    let world = World::of(strict(&two), vec![Ok(Script::json(200, ANSWER))]);
    let got = call(&world, BODY);
    assert_eq!(got.status, 400);
    assert!(got.body.contains("observe.provider"), "{}", got.body);
    assert!(world.sent().is_empty());
    let headers = [("x-api-key", THEIRS)];
    let got = world.ask_as(watching(Some("groq")), (Method::POST, CHAT, BODY), &headers);
    assert_eq!(got.status, 200);
    assert_eq!(got.headers["tollgate-provider"], "groq");
}

fn pair(more: &[(&str, Value)]) -> String {
    let mut pair = json!({
        "dialect": "openai_chat",
        "request": serde_json::from_str::<Value>(BODY).expect("JSON"),
        "response": serde_json::from_str::<Value>(ANSWER).expect("JSON"),
        "status": 200,
        "started_at": 1_699_999_000_000_u64,
        "duration_ms": 1_500,
        "provider": "openai",
    });
    for (field, value) in more {
        match value {
            Value::Null => drop(pair.as_object_mut().expect("an object").remove(*field)),
            value => pair[*field] = value.clone(),
        }
    }
    pair.to_string()
}

fn mirror(world: &World, body: &str) -> Got {
    world.ask_as(watching(None), (Method::POST, INTAKE, body), &[])
}

#[test]
fn a_mirrored_pair_is_recorded_and_nothing_is_called() {
    let world = world(Vec::new());
    let got = mirror(&world, &pair(&[]));
    assert_eq!(got.status, 202, "{}", got.body);
    let record = record(&world);
    assert_eq!(
        got.body,
        format!("{{\"request_id\":\"{}\"}}", record.id.text().as_str())
    );
    assert_eq!(mark(&record), "mirrored");
    assert_eq!((record.outcome, record.status), (Outcome::Complete, 200));
    assert_eq!(
        (record.arrived_us, record.duration_us),
        (1_699_999_000_000_000, 1_500_000)
    );
    assert_eq!(
        (
            record.usage.input + record.usage.cached_read,
            record.usage.output
        ),
        (7, 2)
    );
    assert_eq!(record.who.tenant.as_deref(), Some("acme"));
    assert_eq!(&*record.attempts[0].provider, "openai");
    assert_eq!(&*record.attempts[0].model, "gpt-x");
    assert_eq!(
        would_deny(&record),
        ["models", "output_length", "providers", "output_schema"]
    );
    assert!(world.sent().is_empty());
}

#[test]
fn a_mirrored_stream_or_failure_is_read() {
    let frames = [&FRAMES[..], &[DONE]].concat().concat();
    let more = [("request", json!(STREAM)), ("response", json!(frames))];
    let world1 = world(Vec::new());
    assert_eq!(mirror(&world1, &pair(&more)).status, 202);
    let told = record(&world1);
    assert!(told.request.stream && told.outcome == Outcome::Complete);
    assert_eq!((told.usage.input, told.usage.output), (7, 2));
    assert!(would_deny(&told).contains(&"output_schema"));
    let cut = [("request", json!(STREAM)), ("response", json!(FRAMES[0]))];
    let world2 = world(Vec::new());
    assert_eq!(mirror(&world2, &pair(&cut)).status, 202);
    assert_eq!(record(&world2).outcome, Outcome::Cut);
    let world3 = world(Vec::new());
    let failed = [("status", json!(429)), ("response", json!({"error": {}}))];
    assert_eq!(mirror(&world3, &pair(&failed)).status, 202);
    let told = record(&world3);
    assert_eq!((told.outcome, told.status), (Outcome::Failed, 429));
    let by_path = [
        ("dialect", json!("gemini")),
        ("path", json!("/v1beta/models/gem-1:generateContent")),
        (
            "request",
            json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
        ),
        (
            "response",
            json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "ho"}]}, "finishReason": "STOP"}]}),
        ),
    ];
    let world4 = world(Vec::new());
    let got = mirror(&world4, &pair(&by_path));
    assert_eq!(got.status, 202, "{}", got.body);
    let told = record(&world4);
    assert_eq!(told.request.model.as_deref(), Some("gem-1"));
    assert_eq!(told.dialect, "gemini");
}

#[test]
fn a_malformed_pair_is_told_which_field() {
    let cases = [
        (vec![("dialect", json!("x"))], "dialect"),
        (vec![("dialect", Value::Null)], "dialect"),
        (vec![("request", Value::Null)], "request"),
        (vec![("request", json!("{"))], "request"),
        (vec![("request", json!(7))], "request"),
        (vec![("response", Value::Null)], "response"),
        (vec![("status", json!(99))], "status"),
        (vec![("status", json!("200"))], "status"),
        (
            vec![("started_at", json!(1_800_000_000_000_u64))],
            "started_at",
        ),
        (vec![("started_at", json!("today"))], "started_at"),
        (vec![("duration_ms", json!(-1))], "duration_ms"),
        (vec![("operation", json!("sing"))], "operation"),
        (vec![("path", json!("/etc/passwd"))], "path"),
        (vec![("provider", json!("a\nb"))], "provider"),
        (vec![("model", json!(""))], "model"),
        (vec![("colour", json!("red"))], "colour"),
        (
            vec![
                ("dialect", json!("bedrock")),
                ("response", json!("data: x")),
            ],
            "response",
        ),
    ];
    for (more, field) in cases {
        let world = world(Vec::new());
        let got = mirror(&world, &pair(&more));
        assert_eq!(got.status, 400, "{more:?}: {}", got.body);
        let body: Value = serde_json::from_str(&got.body).expect("JSON");
        let said = body["error"]["message"].as_str().expect("a message");
        assert!(said.contains(&format!("`{field}")), "{more:?}: {said}");
        assert_eq!(record(&world).outcome, Outcome::Refused);
    }
}

#[test]
fn nothing_is_taken_in_where_that_is_not_allowed() {
    let world1 = world(Vec::new());
    let caller = watching(None);
    let get = world1.ask_as(caller, (Method::GET, INTAKE, ""), &[]);
    assert_eq!(
        (get.status, &get.headers["allow"]),
        (405, &"POST".parse().expect("a value"))
    );
    let key = [("authorization", "Bearer tg-test")];
    let world2 = world(Vec::new());
    let got = world2.ask_as(watching(None), (Method::POST, INTAKE, &pair(&[])), &key);
    assert_eq!(got.status, 401);
    let world3 = world(Vec::new());
    assert_eq!(world3.call(INTAKE, &pair(&[])).status, 404);
    let mut observe = watching(None)
        .standing
        .observe
        .as_deref()
        .expect("it watches")
        .clone();
    observe.intake = false;
    let caller = Caller {
        standing: Arc::new(Standing {
            observe: Some(Arc::new(observe)),
            ..Standing::default()
        }),
        ..Caller::default()
    };
    let world4 = world(Vec::new());
    let got = world4.ask_as(caller, (Method::POST, INTAKE, &pair(&[])), &[]);
    assert_eq!(got.status, 404);
}
