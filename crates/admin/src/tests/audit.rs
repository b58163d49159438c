//! The audit journal: what is in it, who sees it, and what happens without it.

use plan::Role;
use serde_json::json;

use super::*;

fn author(id: &str, minute: u64) -> Author {
    Author {
        id: id.into(),
        role: Some(Role::Operator),
        peer: remote(4),
        request_id: Some(RequestId::mint(NOW_US, 9)),
        now_us: NOW_US + minute * 60_000_000,
    }
}

fn change(action: &'static str, object: &str, tenant: Option<&str>) -> Change {
    Change {
        action,
        object: object.to_owned(),
        tenant: tenant.map(str::to_owned),
        before: json!(null),
        after: json!({"id": object}),
        note: None,
    }
}

fn world() -> World {
    let document = "
providers: {box: {kind: sandbox}}
admin:
  credentials:
    - {id: auditor, secret: '${env:OP_auditor}', role: auditor}
    - {id: odd-auditor, secret: '${env:OP_odd_auditor}', role: auditor, tenant: odd}
";
    let world = World::of(false, document, plan::Owner::File);
    for n in 0..12 {
        let tenant = ["odd", "even"][n % 2];
        let by = author(["ann", "bob"][n / 6], n as u64);
        let change = change("key.create", &format!("key/k{n}"), Some(tenant));
        world.api.state.audit.record(&by, &change).unwrap();
    }
    world
}

fn objects(page: &Value) -> Vec<&str> {
    let entries = page["entries"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| entry["object"].as_str().unwrap())
        .collect()
}

#[test]
fn entries_are_found_page_by_page_and_by_every_filter() {
    let mut world = world();
    world.now_us += 3_600_000_000;
    let all = world.json("/v1/audit");
    assert_eq!(
        all["entries"].as_array().unwrap().len(),
        13,
        "and the start"
    );
    assert_eq!(all["next"], Value::Null);
    let first = &all["entries"][0];
    for (field, value) in [
        ("sequence", json!(13)),
        ("actor", json!("bob")),
        ("role", json!("operator")),
        ("peer", json!("203.0.113.4")),
        ("action", json!("key.create")),
        ("object", json!("key/k11")),
        ("tenant", json!("even")),
        ("before", json!(null)),
        ("after", json!({"id": "key/k11"})),
        ("time", json!("2025-11-21T10:11:00.000000Z")),
        ("request_id", json!(RequestId::mint(NOW_US, 9).to_string())),
    ] {
        assert_eq!(first[field], value, "{field}");
    }
    let page = world.json("/v1/audit?limit=2&tenant=odd");
    assert_eq!(objects(&page), ["key/k10", "key/k8"]);
    let next = page["next"].as_u64().unwrap();
    let page = world.json(&format!("/v1/audit?limit=2&tenant=odd&before={next}"));
    assert_eq!(objects(&page), ["key/k6", "key/k4"]);
    for (target, found) in [
        ("/v1/audit?actor=ann&limit=1", "key/k5"),
        ("/v1/audit?role=operator&limit=1", "key/k11"),
        ("/v1/audit?action=plan.start", "plan/"),
        ("/v1/audit?object=key/k3", "key/k3"),
        ("/v1/audit?until=2025-11-21T10:03:00Z&limit=1", "key/k2"),
        ("/v1/audit?since=2025-11-21T10:11:00Z", "key/k11"),
    ] {
        let page = world.json(target);
        assert!(objects(&page)[0].starts_with(found), "{target}: {page}");
        assert_eq!(objects(&page).len(), 1, "{target}");
    }
    for target in ["/v1/audit?actr=x", "/v1/audit?limit=0", "/v1/audit?since=x"] {
        assert_eq!(world.get(target).status, 400, "{target}");
    }
    assert_eq!(
        objects(&world.json("/v1/audit?actor=x'%20OR%201=1--")),
        [""; 0]
    );
}

#[test]
fn an_auditor_of_one_tenant_sees_the_changes_of_that_tenant() {
    let world = world();
    let get = |id: &str, target: &str| {
        let key = format!("tg-op-{}-0123456789012345678901", id.replace('-', "_"));
        parse(&world.call(&Method::GET, target, Some(&key), remote(1)))
    };
    assert_eq!(
        get("auditor", "/v1/audit")["entries"]
            .as_array()
            .unwrap()
            .len(),
        13
    );
    for target in ["/v1/audit", "/v1/audit?limit=6"] {
        let page = get("odd-auditor", target);
        let tenants: BTreeSet<&str> = page["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["tenant"].as_str().unwrap())
            .collect();
        assert_eq!(tenants, BTreeSet::from(["odd"]), "{target}");
    }
    assert_eq!(
        objects(&get("odd-auditor", "/v1/audit?tenant=even")),
        [""; 0]
    );
    assert_eq!(
        objects(&get("odd-auditor", "/v1/audit?action=plan.start")),
        [""; 0]
    );
}

#[test]
fn hostile_words_stay_words_and_long_values_are_named_by_digest() {
    let world = world();
    let hostile = "\u{1b}[2J\r\n{\"actor\":\"boss\"}'; DROP TABLE audit;--\u{202e}";
    let by = Author {
        id: hostile.into(),
        ..author("x", 0)
    };
    let change = Change {
        before: json!("x".repeat(300_000)),
        after: json!({"note": hostile}),
        note: Some(hostile.repeat(50)),
        ..change("key.create", hostile, None)
    };
    world.api.state.audit.record(&by, &change).unwrap();
    let reply = world.get("/v1/audit?limit=1");
    let text = std::str::from_utf8(&reply.body).unwrap();
    assert!(text.chars().all(|c| !evidence::dangerous(c)), "{text}");
    let entry = parse(&reply)["entries"][0].clone();
    assert_eq!(entry["actor"], hostile);
    assert_eq!(entry["object"], hostile);
    assert_eq!(entry["after"]["note"], hostile);
    assert_eq!(entry["before"]["left_out"], "300002 bytes");
    assert_eq!(
        entry["note"].as_str().unwrap().chars().count(),
        NOTE_CHARS_MAX
    );
    assert!(
        store::verify(&world.dir.path().join("audit"), None)
            .unwrap()
            .findings
            .is_empty()
    );
}

#[test]
fn what_cannot_be_written_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("audit");
    std::fs::write(&path, "not a folder").unwrap();
    let audit = Audit::new(&path, [1; 16]);
    let refused = audit
        .record(&author("ann", 0), &change("key.create", "key/k", None))
        .unwrap_err();
    assert_eq!(refused.status, 503);
    assert!(
        refused
            .body
            .windows(19)
            .any(|text| text == b"nothing was changed")
    );
}
