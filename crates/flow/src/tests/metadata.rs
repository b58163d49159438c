//! What a caller tells about a call, on the path: where it ends up, what it
//! changes, and that nothing of it goes upstream.

use std::sync::Arc;

use access::metadata::{Rollout, Settings, VERSIONS};
use access::policy::{Layer, Named};
use access::{Asserts, Consumer, KeyRing, Mode};
use contract::Secret;
use evidence::Record;
use plan::{LossPolicy, Plan};

use super::world::{Got, Script, World, plan};
use super::{ANSWER, ASK, ASK_STREAM, CHAT, FRAMES};

type Headers<'a> = &'a [(&'a str, &'a str)];

/// The doors: path, a body without its outer braces.
const DOORS: [(&str, &str, &str); 5] = [
    (
        "openai_chat",
        CHAT,
        r#""model":"m","messages":[{"role":"user","content":"hi"}]"#,
    ),
    (
        "openai_responses",
        "/v1/responses",
        r#""model":"m","input":"hi""#,
    ),
    (
        "anthropic",
        "/v1/messages",
        r#""model":"m","max_tokens":4096,"messages":[{"role":"user","content":"hi"}]"#,
    ),
    (
        "gemini",
        "/v1beta/models/m:generateContent",
        r#""contents":[{"role":"user","parts":[{"text":"hi"}]}]"#,
    ),
    (
        "bedrock",
        "/model/m/converse",
        r#""messages":[{"role":"user","content":[{"text":"hi"}]}]"#,
    ),
];

const KINDS: [(&str, &str); 5] = [
    ("openai", "openai_chat"),
    ("openai", "openai_responses"),
    ("anthropic", "anthropic"),
    ("gemini", "gemini"),
    ("bedrock", "bedrock"),
];

fn changed(providers: &[(&str, &str)], change: impl FnOnce(&mut Plan)) -> World {
    let world = World::new(providers, vec![Ok(Script::json(200, ANSWER))]);
    let mut plan = plan(providers);
    change(&mut plan);
    world.flow.plan.store(Arc::new(plan.into()));
    world
}

fn openai() -> World {
    changed(&KINDS[..1], |_| {})
}

fn call(world: &World, headers: Headers<'_>, body: &str) -> Got {
    let key = [("authorization", "Bearer tg-test")];
    world.call_with(CHAT, body, &[&key, headers].concat())
}

fn only(world: &World) -> Record {
    let mut records = world.records();
    assert_eq!(records.len(), 1, "each call leaves one record");
    records.remove(0)
}

fn told(record: &Record) -> Vec<(&str, &str)> {
    let pairs = record.metadata.iter();
    pairs.map(|(name, value)| (&**name, &**value)).collect()
}

/// A body with the object `tollgate`.
fn telling(members: &str) -> String {
    ASK.replacen('{', &format!(r#"{{"tollgate":{{{members}}},"#), 1)
}

#[test]
fn each_source_reaches_record_and_metrics() {
    let cases: [(Headers<'_>, String); 3] = [
        (
            &[("tollgate-user", "ann"), ("tollgate-use-case", "triage")],
            ASK.to_owned(),
        ),
        (&[], telling(r#""user_id":"ann","use_case":"triage""#)),
        (
            &[("baggage", "x=1,tollgate.user=ann,tollgate.use-case=triage")],
            ASK.to_owned(),
        ),
    ];
    for (headers, body) in cases {
        let world = openai();
        let got = call(&world, headers, &body);
        assert_eq!(got.status, 200, "{}", got.body);
        assert_eq!(got.headers["tollgate-contract"], "2026-11-01");
        assert!(!got.headers.contains_key("tollgate-loss"));
        let record = only(&world);
        assert_eq!(told(&record), [("user", "ann"), ("use_case", "triage")]);
        assert_eq!(record.who.user.as_deref(), Some("ann"));
        assert_eq!(record.who.use_case.as_deref(), Some("triage"));
        assert_eq!(record.contract, 20_261_101);
        let page = world.flow.evidence.meter().render();
        let sample = r#"tollgate_use_case_requests_total{tenant="t",use_case="triage"} 1"#;
        assert!(page.contains(sample), "{page}");
        // Nothing of it goes upstream.
        let sent = match body == ASK {
            true => ASK.to_owned(),
            false => ASK.replacen("{ ", "{", 1),
        };
        assert_eq!(world.sent(), [sent.replace("\"m\"", "\"up-m\"")]);
        let seen = world.wire.seen.lock().expect("unpoisoned");
        let mut names = seen[0].headers.keys();
        assert!(names.all(|name| !name.as_str().starts_with("tollgate") && name != "baggage"));
    }
}

#[test]
fn no_call_carries_the_object_to_any_provider() {
    let object = r#""tollgate":{"user":"ann-in-object","tags":{"a":"b"}}"#;
    for provider in KINDS {
        for (door, path, body) in DOORS {
            let sent = |body: &str| {
                let world = World::new(&[provider], vec![Ok(Script::json(500, "{}"))]);
                let got = world.call(path, body);
                assert!(!got.headers.contains_key("tollgate-loss"), "{door}");
                (world.sent(), got.status)
            };
            let without = sent(&format!("{{{body}}}"));
            for with in [
                format!("{{{object},{body}}}"),
                format!("{{{body},{object}}}"),
            ] {
                assert_eq!(sent(&with), without, "{door} to {provider:?}");
            }
        }
    }
}

#[test]
fn what_is_wrong_is_refused_before_anything_is_sent() {
    let cases: [(Headers<'_>, String, u16, &str); 6] = [
        (
            &[("tollgate-quality", "best")],
            ASK.into(),
            400,
            "`high`, `standard` or `cheap`",
        ),
        (
            &[("tollgate-user", "a")],
            telling(r#""user":"b""#),
            400,
            "tollgate.user",
        ),
        (
            &[("tollgate_tenant", "x")],
            ASK.into(),
            400,
            "Write the name with `-`",
        ),
        (
            &[],
            telling(r#""tenant_id":"other""#),
            403,
            "come from the credential",
        ),
        (&[], telling(r#""usecase":"x""#), 400, "Write `use_case`"),
        (
            &[],
            ASK.replacen('{', r#"{"tollgate":5,"#, 1),
            400,
            "an object",
        ),
    ];
    for (headers, body, status, words) in cases {
        let world = openai();
        let got = call(&world, headers, &body);
        assert_eq!(got.status, status, "{}", got.body);
        assert!(got.body.contains(words), "{}", got.body);
        assert!(world.sent().is_empty(), "nothing goes upstream");
        let record = only(&world);
        assert!(record.fault.is_some_and(|fault| fault.field.is_some()));
        assert_eq!(record.who.tenant.as_deref(), Some("t"));
    }
    // A list of models is held to the same.
    let world = openai();
    let headers = [("authorization", "Bearer tg-test"), ("tollgate-usr", "x")];
    assert_eq!(
        world
            .ask(http::Method::GET, "/v1/models", "", &headers)
            .status,
        400
    );
}

#[test]
fn max_tokens_caps_the_output_on_every_door() {
    for provider in KINDS {
        for (door, path, body) in DOORS {
            let world = World::new(&[provider], vec![Ok(Script::json(500, "{}"))]);
            let headers = [
                ("authorization", "Bearer tg-test"),
                ("tollgate-max-tokens", "37"),
            ];
            world.call_with(path, &format!("{{{body}}}"), &headers);
            let sent = world.sent();
            let cap = [
                "\"max_completion_tokens\":37",
                "\"max_output_tokens\":37",
                "\"max_tokens\":37",
                "\"maxOutputTokens\":37",
                "\"maxTokens\":37",
            ];
            assert!(
                cap.iter().any(|cap| sent[0].contains(cap)),
                "{door} to {provider:?}: {}",
                sent[0]
            );
            assert!(
                !sent[0].contains("4096"),
                "{door} to {provider:?}: {}",
                sent[0]
            );
            assert_eq!(only(&world).request.output_tokens_max, Some(37));
        }
    }
    // Of two caps the smaller one.
    let world = openai();
    let body = telling(r#""max_tokens":50"#).replace("\"x_unknown\": 1", "\"max_tokens\": 9");
    assert_eq!(
        call(&world, &[("tollgate-max-tokens", "40")], &body).status,
        200
    );
    assert!(
        world.sent()[0].contains("\"max_tokens\": 9"),
        "{:?}",
        world.sent()
    );
    assert_eq!(only(&world).request.output_tokens_max, Some(9));
}

#[test]
fn what_nothing_acts_on_is_a_loss() {
    let headers = [
        ("tollgate-pii-mode", "mask"),
        ("tollgate-redaction", "strict"),
        ("tollgate-retention", "none"),
    ];
    let world = openai();
    let got = call(&world, &headers, ASK);
    assert_eq!(
        got.headers["tollgate-loss"],
        "tollgate.redaction, tollgate.pii_mode"
    );
    let record = only(&world);
    assert_eq!(record.losses.len(), 2);
    assert!(told(&record).contains(&("redaction", "strict")));
    // On streams as well.
    let script = Script::sse(&[&FRAMES.concat(), super::DONE]);
    let world = World::new(&KINDS[..1], vec![Ok(script)]);
    let got = call(&world, &headers[..1], ASK_STREAM);
    assert_eq!(got.headers["tollgate-loss"], "tollgate.pii_mode");
    assert_eq!(only(&world).losses.len(), 1);
    // And refused where losses are.
    let world = changed(&KINDS[..1], |plan| {
        plan.settings.losses = LossPolicy::Refuse
    });
    let got = call(&world, &headers[..1], ASK);
    assert_eq!(got.status, 400, "{}", got.body);
    assert!(got.body.contains("tollgate.pii_mode"), "{}", got.body);
    assert!(world.sent().is_empty(), "nothing goes upstream");
}

#[test]
fn an_older_version_is_served_in_its_own_words() {
    let old = VERSIONS[1];
    let words = [("tollgate-end-user", "ann"), ("tollgate-quality", "bronze")];
    let chosen = [&[("tollgate-contract", old.date)], &words[..]].concat();
    let by_document: fn(&mut Plan) = |plan| plan.metadata.contract = VERSIONS[1];
    let by_share: fn(&mut Plan) = |plan| {
        plan.metadata.rollout = Some(Rollout {
            version: VERSIONS[1],
            percent: 100,
        });
    };
    let by_key: fn(&mut Plan) = |plan| {
        plan.keys = ring(Consumer {
            contract: Some(VERSIONS[1]),
            ..Consumer::new("k", "t", "a")
        });
    };
    let none: fn(&mut Plan) = |plan| plan.metadata = Settings::default();
    for (change, headers) in [
        (none, &chosen[..]),
        (by_document, &words),
        (by_share, &words),
        (by_key, &words),
    ] {
        let world = changed(&KINDS[..1], change);
        let got = call(&world, headers, ASK);
        assert_eq!(got.status, 200, "{}", got.body);
        assert_eq!(got.headers["tollgate-contract"], old.date);
        let record = only(&world);
        assert_eq!(record.contract, old.number);
        assert_eq!(record.who.user.as_deref(), Some("ann"));
        assert!(told(&record).contains(&("quality", "cheap")));
    }
    // Calls that tell nothing get the version of their consumer, too.
    let world = changed(&KINDS[..1], by_document);
    assert_eq!(
        call(&world, &[], ASK).headers["tollgate-contract"],
        old.date
    );
    assert_eq!(only(&world).contract, old.number);
    // Taken back by taking it out.
    let world = changed(&KINDS[..1], none);
    let got = call(&world, &words, ASK);
    assert_eq!(got.status, 400, "{}", got.body);
    assert!(got.body.contains("2026-06-01"), "{}", got.body);
    let got = call(&openai(), &[("tollgate-contract", "2020-01-01")], ASK);
    assert_eq!(got.status, 400);
    assert!(
        got.body.contains("`2026-11-01`, `2026-06-01`"),
        "{}",
        got.body
    );
}

fn ring(consumer: Consumer) -> KeyRing {
    let mut keys = KeyRing::new([1; 32]);
    assert!(keys.add(&Secret::new("tg-test".into()), consumer));
    keys
}

#[test]
fn a_trusted_backend_speaks_for_another_tenant() {
    let asserts = Asserts {
        tenant: true,
        app: true,
        user: false,
    };
    let world = changed(&KINDS[..1], |plan| {
        plan.keys = ring(Consumer {
            asserts,
            ..Consumer::new("k", "t", "a")
        });
    });
    let headers = [("tollgate-tenant", "other"), ("tollgate-app", "till")];
    assert_eq!(call(&world, &headers, ASK).status, 200);
    let record = only(&world);
    assert_eq!(record.who.tenant.as_deref(), Some("other"));
    assert_eq!(record.who.app.as_deref(), Some("till"));
    assert_eq!(record.who.key_id.as_deref(), Some("k"));
    // Whose credential it was stands there, too.
    let decision = &record.decisions[0];
    assert_eq!(
        (&*decision.stage, &*decision.verdict),
        ("identity", "assert")
    );
    let own: Vec<_> = decision
        .readings
        .iter()
        .map(|it| it.value.clone())
        .collect();
    assert_eq!(
        own,
        [
            evidence::Value::Word("t".into()),
            evidence::Value::Word("a".into())
        ]
    );
}

fn rule(kind: &str, settings: serde_json::Value) -> Arc<Layer> {
    let kind = access::rule_kind(kind).expect("a kind");
    let named = Named {
        name: kind.name.into(),
        kind,
        mode: Mode::Enforce,
        contact: None,
        rule: (kind.compile)(&settings).expect("good settings"),
    };
    Arc::new(Layer::new("here", vec![named]))
}

/// Rules go by what was told, in whichever place, in the words of whichever
/// version.
#[test]
fn policy_goes_by_what_was_told() {
    let world = || {
        changed(&KINDS[..1], |plan| {
            let fields = serde_json::json!({"fields": ["use_case"]});
            let models = serde_json::json!({"deny": ["m"]});
            plan.policy.organisation = rule("required_metadata", fields);
            let triage = ("triage".to_owned(), rule("models", models));
            plan.policy.use_cases = [triage].into();
        })
    };
    let old = [
        ("tollgate-contract", "2026-06-01"),
        ("tollgate-purpose", "triage"),
    ];
    let cases: [(Headers<'_>, String, u16); 6] = [
        (&[], ASK.into(), 403),
        (&[("tollgate-use-case", "chat")], ASK.into(), 200),
        (&[("tollgate-use-case", "triage")], ASK.into(), 403),
        (&[], telling(r#""use_case":"triage""#), 403),
        (&[("baggage", "tollgate.use_case=triage")], ASK.into(), 403),
        (&old, ASK.into(), 403),
    ];
    for (headers, body, status) in cases {
        let got = call(&world(), headers, &body);
        assert_eq!(got.status, status, "{headers:?}: {}", got.body);
    }
}

#[test]
fn the_smaller_of_the_caps_of_policy_and_caller_counts() {
    for (told, sent) in [("50", 20), ("9", 9)] {
        let world = changed(&KINDS[..1], |plan| {
            let settings = serde_json::json!({"tokens_max": 20, "over": "cap"});
            plan.policy.organisation = rule("output_length", settings);
        });
        let got = call(&world, &[("tollgate-max-tokens", told)], ASK);
        assert_eq!(got.status, 200, "{}", got.body);
        let cap = format!("\"max_completion_tokens\":{sent}");
        assert!(world.sent()[0].contains(&cap), "{:?}", world.sent());
    }
}

/// Texts that aim at whoever reads them next are kept and shown as texts.
#[test]
fn hostile_texts_end_up_inert() {
    let hostile = [
        "'; DROP TABLE records; --",
        r#"","outcome":"complete","x":""#,
        "a%0d%0alevel=error",
        "<img src=x onerror=alert(1)>",
        "${jndi:ldap://x} {{7*7}}",
        "\"} 1 tollgate_forged_total 1",
    ];
    for text in hostile {
        for field in [
            "user",
            "channel",
            "use_case",
            "session",
            "family",
            "region",
            "redaction",
        ] {
            let world = openai();
            let quoted = dialects::json::string(text);
            let got = call(&world, &[], &telling(&format!("\"{field}\":{quoted}")));
            assert_eq!(got.status, 200, "{}", got.body);
            let record = only(&world);
            assert_eq!(told(&record), [(field, text)]);
            let shown: serde_json::Value = serde_json::from_str(&record.to_json()).expect("JSON");
            assert_eq!(shown["metadata"][field], text);
            let page = world.flow.evidence.meter().render();
            assert!(!page.lines().any(|line| line.starts_with("tollgate_forged")));
        }
    }
    // What would break a line is refused, in every field.
    for field in access::metadata::Field::ALL {
        let world = openai();
        let body = telling(&format!("\"{}\":\"a\\nlevel=error\"", field.name()));
        let got = call(&world, &[], &body);
        assert_eq!(got.status, 400, "{}: {}", field.name(), got.body);
        assert!(got.body.contains("control character"), "{}", got.body);
        let long = telling(&format!("\"{}\":\"{}\"", field.name(), "x".repeat(5_000)));
        let got = call(&world, &[], &long);
        assert_eq!(got.status, 400);
        assert!(got.body.contains("5000 bytes"), "{}", got.body);
        assert!(world.sent().is_empty());
    }
}

/// A call that tells nothing goes up as the very bytes that came.
#[test]
fn a_call_that_tells_nothing_is_passed_as_it_came() {
    let world = openai();
    let mut plan = plan(&KINDS[..1]);
    plan.models
        .name("m", vec![routing::Candidate::new(0, "m", None)]);
    world.flow.plan.store(Arc::new(plan.into()));
    assert_eq!(world.call(CHAT, ASK).status, 200);
    let seen = world.wire.seen.lock().expect("unpoisoned");
    assert_eq!(seen[0].body.len(), 1, "one piece, not spliced");
    drop(seen);
    assert_eq!(world.sent(), [ASK]);
    assert!(only(&world).metadata.is_empty());
}
