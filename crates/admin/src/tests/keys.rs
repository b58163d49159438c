//! Cases of virtual keys over the admin API: what is shown once, who may, what
//! is refused and how, and what the audit journal says.

use super::*;

const OPERATORS: &str = r#"
providers: {box: {kind: sandbox}}
keys: [{id: k1, secret: '${env:CALLER}', tenant: acme, app: shop}]
admin:
  credentials:
    - {id: olga, secret: '${env:OP_OLGA_1}', role: operator}
    - {id: vera, secret: '${env:OP_VERA_1}', role: viewer}
    - {id: tom, secret: '${env:OP_TOM_11}', role: operator, tenant: acme}
"#;

fn credential(name: &str) -> String {
    format!("tg-op-{name}-0123456789012345678901")
}

fn world() -> World {
    World::of(false, OPERATORS, plan::Owner::File)
}

impl World {
    fn as_olga(&self, target: &str, body: &str) -> (u16, Value) {
        self.post(target, &credential("OLGA_1"), body)
    }

    fn made(&self, body: &str) -> (String, String) {
        let (status, answer) = self.as_olga("/v1/keys", body);
        assert_eq!(status, 201, "{answer}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&answer["key"]["id"]), text(&answer["secret"]))
    }

    fn told(&self, target: &str) -> Value {
        let key = credential("OLGA_1");
        let reply = self.call(&Method::GET, target, Some(&key), None);
        assert_eq!(reply.status, 200, "{target}: {:?}", reply.body);
        parse(&reply)
    }

    fn ids(&self, target: &str) -> Vec<String> {
        let page = self.told(target);
        let keys = page["keys"].as_array().unwrap();
        keys.iter()
            .map(|key| key["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn message(answer: &Value) -> &str {
    answer["error"]["message"].as_str().unwrap()
}

#[test]
fn a_key_shows_its_secret_once_and_everything_else_ever_after() {
    let world = world();
    let body = r#"{"name": "night batch", "tenant": "acme", "app": "lab", "groups": ["g"],
        "models": ["fast-*"], "expires_in": "30d", "on_revoke": "cut"}"#;
    let (status, answer) = world.as_olga("/v1/keys", body);
    assert_eq!(status, 201);
    assert_eq!(answer["secret"], "tg-id00001-secret-1");
    let expected = serde_json::json!({
        "id": "id00001", "name": "night batch", "tenant": "acme", "app": "lab",
        "groups": ["g"], "models": ["fast-*"], "state": "active", "on_revoke": "cut",
        "created_at": "2025-11-21T10:00:00.100000Z", "created_by": "olga",
        "expires_at": "2025-12-21T10:00:00.100000Z", "rotated_at": null, "revoked_at": null,
        "revoked_by": null, "last_used_at": null,
        "secrets": [{"created_at": "2025-11-21T10:00:00.100000Z", "until": null}],
        "limits": null, "shadowed": false
    });
    assert_eq!(answer["key"], expected);
    assert_eq!(
        world.told("/v1/keys/id00001"),
        serde_json::json!({"key": expected})
    );
    let page = world.told("/v1/keys");
    assert_eq!(page, serde_json::json!({"keys": [expected], "next": null}));
    // What is left out: all models, for ever, under the names of the document.
    let (id, _) = world.made("");
    let plain = world.told(&format!("/v1/keys/{id}"))["key"].take();
    assert_eq!(
        (&plain["tenant"], &plain["app"]),
        (&"default".into(), &id.into())
    );
    assert!(plain["models"].is_null() && plain["expires_at"].is_null());
    assert_eq!(plain["on_revoke"], "finish");
}

#[test]
fn keys_rotate_and_end() {
    let world = world();
    let (id, first) = world.made("{}");
    let at = |what: &str| format!("/v1/keys/{id}/{what}");
    let (status, answer) = world.as_olga(&at("rotate"), r#"{"overlap": "2h"}"#);
    assert_eq!(status, 200);
    assert_ne!(answer["secret"], first.as_str());
    let secrets = &answer["key"]["secrets"];
    assert_eq!(secrets[0]["until"], Value::Null);
    assert_eq!(secrets[1]["until"], "2025-11-21T12:00:00.100000Z");
    let (status, answer) = world.as_olga(&at("rotate"), "");
    assert_eq!(status, 200, "a day, where nothing is said");
    assert_eq!(
        answer["key"]["secrets"][1]["until"],
        "2025-11-22T10:00:00.100000Z"
    );
    let (status, answer) = world.as_olga(&at("revoke"), r#"{"on_revoke": "cut"}"#);
    assert_eq!((status, &answer["key"]["state"]), (200, &"revoked".into()));
    assert_eq!(answer["key"]["on_revoke"], "cut");
    assert!(answer.get("secret").is_none());
    let (status, again) = world.as_olga(&at("revoke"), "");
    assert_eq!(
        (status, again),
        (200, answer),
        "a second time changes nothing"
    );
    let (status, answer) = world.as_olga(&at("rotate"), "");
    assert_eq!(status, 409);
    assert!(message(&answer).contains("was revoked"));
}

#[test]
fn bodies_are_read_strictly() {
    let world = world();
    let long = "x".repeat(201);
    let many = format!("{:?}", vec!["g"; 65]);
    for (body, words) in [
        ("[", "cannot be used"),
        (r#"{"tenent": "acme"}"#, "`tenent`"),
        (r#"{"tenant": ""}"#, "`tenant`"),
        (r#"{"tenant": " acme"}"#, "`tenant`"),
        (r#"{"tenant": 5}"#, "expected a string"),
        (r#"{"tenant": "a", "tenant": "b"}"#, "duplicate field"),
        (r#"{"tenant": "a\nb"}"#, "`tenant`"),
        (r#"{"app": "a\u001b[31m"}"#, "`app`"),
        (r#"{"name": "\u202eevil"}"#, "`name`"),
        (&format!(r#"{{"name": "{long}"}}"#), "`name`"),
        (&format!(r#"{{"app": "{long}"}}"#), "`app`"),
        (r#"{"groups": ["ok", ""]}"#, "`groups`"),
        (&format!(r#"{{"groups": {many}}}"#), "`groups`"),
        (r#"{"models": []}"#, "allows no model"),
        (r#"{"models": ["a b\u0000"]}"#, "`models`"),
        (r#"{"on_revoke": "explode"}"#, "`finish` or `cut`"),
        (r#"{"expires_in": "soon"}"#, "`expires_in`"),
        (r#"{"expires_in": "0s"}"#, "over already"),
        (r#"{"expires_in": "4000d"}"#, "ten years"),
        (r#"{"expires_in": "99999999999999999999d"}"#, "`expires_in`"),
        (r#"{"expires_at": "2025-11-21T10:00:00Z"}"#, "over already"),
        (r#"{"expires_at": "2025-13-01"}"#, "`expires_at`"),
        (
            r#"{"expires_at": "2026-01-01", "expires_in": "1d"}"#,
            "one of them",
        ),
        (r#"{"secret": "tg-of-my-own-choice"}"#, "`secret`"),
        (r#"{"id": "k1"}"#, "`id`"),
    ] {
        let (status, answer) = world.as_olga("/v1/keys", body);
        assert_eq!(status, 400, "{body}");
        assert!(message(&answer).contains(words), "{body}: {answer}");
    }
    let (id, _) = world.made("{}");
    for (what, body) in [
        ("rotate", r#"{"overlap": "91d"}"#),
        ("rotate", r#"{"overlap": "-1s"}"#),
        ("rotate", r#"{"until": "1d"}"#),
        ("revoke", r#"{"on_revoke": "later"}"#),
        ("revoke", r#"{"force": true}"#),
    ] {
        let (status, _) = world.as_olga(&format!("/v1/keys/{id}/{what}"), body);
        assert_eq!(status, 400, "{what} {body}");
    }
    assert_eq!(world.ids("/v1/keys"), [id], "nothing was made or changed");
}

#[test]
fn hostile_names_are_kept_as_texts_or_refused() {
    let world = world();
    for text in [
        "'; DROP TABLE keys; --",
        "\\\" OR \\\"1\\\"=\\\"1",
        "%27%20OR%201=1",
        "<script>alert(1)</script>",
        "${jndi:ldap://example.com/x}",
        "../../etc/passwd",
        "日本 ünïcode",
    ] {
        let body = format!(
            r#"{{"name": "{text}", "tenant": "{text}", "app": "{text}", "groups": ["{text}"],
                "models": ["{text}"]}}"#
        );
        let (id, _) = world.made(&body);
        let shown = world.told(&format!("/v1/keys/{id}"))["key"].take();
        let meant: Value = serde_json::from_str(&format!("\"{text}\"")).unwrap();
        for field in ["name", "tenant", "app"] {
            assert_eq!(shown[field], meant);
        }
        assert_eq!((&shown["groups"][0], &shown["models"][0]), (&meant, &meant));
        let encoded: String = meant
            .as_str()
            .unwrap()
            .bytes()
            .map(|byte| format!("%{byte:02x}"))
            .collect();
        assert_eq!(world.ids(&format!("/v1/keys?tenant={encoded}")), [id]);
    }
    let raw = world.call(&Method::GET, "/v1/keys", Some(&credential("OLGA_1")), None);
    let raw = String::from_utf8(raw.body.to_vec()).unwrap();
    assert!(!raw.contains('<') && !raw.contains('\n'), "{raw}");
    for id in ["'%20OR%20'1'='1", "%00", "*", "id0000_"] {
        for what in ["", "/rotate", "/revoke"] {
            let target = format!("/v1/keys/{id}{what}");
            let status = match what {
                "" => {
                    let key = credential("OLGA_1");
                    let reply = world.call(&Method::GET, &target, Some(&key), None);
                    reply.status.as_u16()
                }
                _ => world.as_olga(&target, "").0,
            };
            assert_eq!(status, 404, "{target}");
        }
    }
}

#[test]
fn pages_and_filters() {
    let mut world = world();
    for n in 0..6 {
        let tenant = if n % 2 == 0 { "even" } else { "odd" };
        world.made(&format!(r#"{{"tenant": "{tenant}", "app": "a{}"}}"#, n / 3));
    }
    world.as_olga("/v1/keys/id00006/revoke", "");
    world.made(r#"{"tenant": "even", "app": "a9", "expires_in": "1h"}"#);
    let page = world.told("/v1/keys?limit=3");
    let next = page["next"].as_u64().unwrap();
    assert_eq!(
        world.ids("/v1/keys?limit=3"),
        ["id00007", "id00006", "id00005"]
    );
    let rest = format!("/v1/keys?limit=10&before={next}");
    assert_eq!(
        world.ids(&rest),
        ["id00004", "id00003", "id00002", "id00001"]
    );
    assert!(world.told(&rest)["next"].is_null());
    assert_eq!(world.ids("/v1/keys?tenant=odd&app=a0"), ["id00002"]);
    assert_eq!(world.ids("/v1/keys?state=revoked"), ["id00006"]);
    assert!(world.ids("/v1/keys?state=expired").is_empty());
    world.now_us += 3_600_000_000;
    assert_eq!(world.ids("/v1/keys?state=expired"), ["id00007"]);
    assert_eq!(world.ids("/v1/keys?state=active").len(), 5);
    let key = credential("OLGA_1");
    for bad in ["?state=dead", "?limit=0", "?before=x", "?secret=1"] {
        let reply = world.call(&Method::GET, &format!("/v1/keys{bad}"), Some(&key), None);
        assert_eq!(reply.status, 400, "{bad}");
    }
}

#[test]
fn roles_and_tenants_hold() {
    let world = world();
    let (foreign, _) = world.made(r#"{"tenant": "umbrella"}"#);
    let (own, _) = world.made(r#"{"tenant": "acme"}"#);
    let (vera, tom) = (credential("VERA_1"), credential("TOM_11"));
    for target in ["/v1/keys", "/v1/keys/x/rotate", "/v1/keys/x/revoke"] {
        assert_eq!(world.post(target, &vera, "").0, 403, "{target}");
        assert_eq!(world.post(target, "tg-id00001-secret-1", "").0, 401);
    }
    let get = |target: &str, key: &str| world.call(&Method::GET, target, Some(key), None);
    assert_eq!(get("/v1/keys", &vera).status, 200);
    // A key of another tenant looks like one that does not exist.
    for what in ["rotate", "revoke"] {
        assert_eq!(
            world
                .post(&format!("/v1/keys/{foreign}/{what}"), &tom, "")
                .0,
            404
        );
    }
    assert_eq!(get(&format!("/v1/keys/{foreign}"), &tom).status, 404);
    assert_eq!(get("/v1/keys?tenant=umbrella", &tom).status, 403);
    let seen = parse(&get("/v1/keys", &tom));
    assert_eq!(seen["keys"].as_array().unwrap().len(), 1);
    assert_eq!(seen["keys"][0]["id"], own.as_str());
    let (status, _) = world.post("/v1/keys", &tom, r#"{"tenant": "umbrella"}"#);
    assert_eq!(status, 403);
    let (status, made) = world.post("/v1/keys", &tom, "");
    assert_eq!((status, &made["key"]["tenant"]), (201, &"acme".into()));
    assert_eq!(
        world.post(&format!("/v1/keys/{own}/revoke"), &tom, "").0,
        200
    );
}

#[test]
fn every_change_is_in_the_audit_journal_without_secrets() {
    let world = world();
    let (id, first) = world.made(r#"{"tenant": "acme"}"#);
    let (_, answer) = world.as_olga(&format!("/v1/keys/{id}/rotate"), "");
    let second = answer["secret"].as_str().unwrap().to_owned();
    world.as_olga(&format!("/v1/keys/{id}/revoke"), "");
    world.as_olga(&format!("/v1/keys/{id}/revoke"), "");
    let target = format!("/v1/audit?object=key/{id}");
    let entries = world.json(&target)["entries"].take();
    let entries = entries.as_array().unwrap();
    let actions: Vec<&str> = entries
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["key.revoke", "key.rotate", "key.create"]);
    for entry in entries {
        assert_eq!(
            (&entry["actor"], &entry["tenant"]),
            (&"olga".into(), &"acme".into())
        );
    }
    assert_eq!(entries[0]["before"]["state"], "active");
    assert_eq!(entries[0]["after"]["state"], "revoked");
    assert!(entries[2]["before"].is_null());
    let all = serde_json::to_string(entries).unwrap();
    for secret in [first, second] {
        assert!(!all.contains(&secret), "{all}");
    }
}

#[test]
fn the_document_says_who_owns_keys_and_wins() {
    let closed = OPERATORS.replace("admin:", "keys_from: [document]\nadmin:");
    let world = World::of(false, &closed, plan::Owner::File);
    let key = credential("OLGA_1");
    for target in ["/v1/keys", "/v1/keys/x/rotate", "/v1/keys/x/revoke"] {
        let (status, answer) = world.as_olga(target, "");
        assert_eq!(status, 403, "{target}");
        assert!(message(&answer).contains("keys_from"), "{answer}");
    }
    for target in ["/v1/keys", "/v1/keys/x"] {
        let reply = world.call(&Method::GET, target, Some(&key), None);
        assert_eq!(reply.status, 403, "{target}");
    }
    // An id of the document is not given out, and one that the document takes
    // later is shown as shadowed.
    let clash = OPERATORS.replace("id: k1", "id: id00001");
    let world = World::of(false, &clash, plan::Owner::File);
    let (id, _) = world.made("{}");
    assert_eq!(id, "id00002");
    let (status, answer) = world.as_olga("/v1/keys/id00001/revoke", "");
    assert_eq!(status, 409);
    assert!(message(&answer).contains("configuration"));
}

#[test]
fn there_is_a_limit_of_active_keys() {
    let world = world();
    for _ in 0..20 {
        world.made("{}");
    }
    let (status, answer) = world.as_olga("/v1/keys", "{}");
    assert_eq!(status, 409);
    assert!(message(&answer).contains("20 active keys"), "{answer}");
    let entries = world.json("/v1/audit?object=key/id00021")["entries"].take();
    assert_eq!(entries[0]["action"], "key.not_changed");
    assert_eq!(entries[1]["action"], "key.create");
    world.as_olga("/v1/keys/id00001/revoke", "");
    world.made("{}");
}

#[test]
fn limits_of_a_key_are_given_changed_and_taken_away() {
    let world = world();
    let limits = r#"{"rate_limits": [{"limit": 60, "per": "1m"}],
        "budgets": [{"limit": "12.50", "window": "month"}]}"#;
    let (id, _) = world.made(&format!("{{\"tenant\": \"acme\", \"limits\": {limits}}}"));
    let target = format!("/v1/keys/{id}");
    let shown = &world.told(&target)["key"]["limits"];
    assert_eq!(shown["rate_limits"][0]["limit"], "60");
    assert_eq!(shown["budgets"][0]["window"], "month");
    let change = format!("{target}/limits");
    let (status, answer) = world.as_olga(&change, r#"{"budgets":[{"limit":20,"window":"month"}]}"#);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["key"]["limits"]["budgets"][0]["limit"], "20");
    assert!(answer["key"]["limits"]["rate_limits"].is_null());
    for (bad, named) in [
        (
            r#"{"budgets":[{"limit":20,"window":"fortnight"}]}"#,
            "budgets[0].window",
        ),
        (
            r#"{"rate_limits":[{"limit":-1,"per":"1m"}]}"#,
            "rate_limits[0].limit",
        ),
        (r#"{"rpm":60}"#, "unknown field"),
    ] {
        let (status, answer) = world.as_olga(&change, bad);
        assert_eq!(status, 400, "{answer}");
        assert!(message(&answer).contains(named), "{answer}");
    }
    let (status, _) = world.post(&change, &credential("VERA_1"), "{}");
    assert_eq!(status, 403, "a viewer changes nothing");
    let (status, answer) = world.as_olga(&change, "{}");
    assert_eq!(status, 200, "{answer}");
    assert!(world.told(&target)["key"]["limits"].is_null());
    assert_eq!(world.as_olga(&format!("{target}/revoke"), "{}").0, 200);
    assert_eq!(world.as_olga(&change, limits).0, 409);
}
