//! Versions of the plan: applied, compared, refused, rolled back.

use serde_json::json;

use super::*;

const FIRST: &str = "providers: {box: {kind: sandbox}}\nmodels: {small: box/echo}\n";
const SECOND: &str = "providers: {box: {kind: sandbox}}\nmodels: {large: box/echo}\n";
const THIRD: &str = "providers: {box: {kind: sandbox}}\nmodels: {other: box/echo}\nworkers: 3\n";

fn world() -> World {
    World::of(false, FIRST, plan::Owner::Api)
}

fn in_force(world: &World) -> String {
    world.json("/v1/plan")["digest"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn apply(world: &World, document: &str, expected: &str) -> (u16, Value) {
    let body = json!({"document": document, "note": "why", "expected": expected});
    world.post("/v1/plans", KEY, &body.to_string())
}

#[test]
fn a_document_is_applied_listed_compared_and_rolled_back() {
    let world = world();
    let first = in_force(&world);
    let (status, applied) = apply(&world, SECOND, &first);
    assert_eq!(status, 200, "{applied}");
    let second = applied["plan"].as_str().unwrap();
    assert_eq!(in_force(&world), second);
    assert_eq!(applied["before"], first);
    assert_eq!(applied["restart_needed"], json!([]));
    let diff = applied["diff"].as_str().unwrap();
    assert!(
        diff.contains("-  small: box/echo") && diff.contains("+  large: box/echo"),
        "{diff}"
    );
    let (status, applied) = apply(&world, THIRD, second);
    assert_eq!(status, 200, "{applied}");
    assert_eq!(applied["restart_needed"], json!(["workers"]));

    let list = world.json("/v1/plans");
    assert_eq!(list["owner"], "api");
    assert_eq!(list["plan"], in_force(&world));
    let told: Vec<_> = list["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| {
            (
                version["number"].as_u64().unwrap(),
                version["how"].as_str().unwrap(),
                version["author"].as_str().unwrap(),
                version["note"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (3, "apply", "admin.key", Some("why")),
            (2, "apply", "admin.key", Some("why")),
            (1, "start", "file", None),
        ]
    );
    let page = world.json("/v1/plans?limit=1&before=3");
    assert_eq!(
        (&page["versions"][0]["number"], &page["next"]),
        (&json!(2), &json!(2))
    );

    let one = world.json(&format!("/v1/plans/{second}"));
    assert!(
        one["document"]
            .as_str()
            .unwrap()
            .contains("large: box/echo")
    );
    assert_eq!(
        (&one["in_force"], &one["can_be_applied"]),
        (&json!(false), &json!(true))
    );
    let diff = world.json(&format!("/v1/plans/{second}/diff"));
    assert!(
        diff["diff"]
            .as_str()
            .unwrap()
            .contains("+  large: box/echo"),
        "{diff}"
    );
    let diff = world.json(&format!("/v1/plans/{second}/diff?against={first}"));
    assert!(
        diff["diff"]
            .as_str()
            .unwrap()
            .contains("-  small: box/echo"),
        "{diff}"
    );
    assert!(!diff["diff"].as_str().unwrap().contains("workers"));

    let (status, back) = world.post(&format!("/v1/plans/{first}/rollback"), KEY, "");
    assert_eq!((status, &back["plan"]), (200, &json!(first)), "{back}");
    assert_eq!(in_force(&world), first);
    let list = world.json("/v1/plans?limit=1");
    assert_eq!(list["versions"][0]["how"], "rollback");
    let actions: Vec<Value> = world.json("/v1/audit")["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].clone())
        .collect();
    assert_eq!(
        actions,
        ["plan.rollback", "plan.apply", "plan.apply", "plan.start"]
    );
    let entry = world.json("/v1/audit?limit=1")["entries"][0].clone();
    assert_eq!(entry["before"]["plan"], applied["plan"]);
    assert_eq!(entry["after"]["plan"], first);
    assert_eq!(entry["actor"], "admin.key");
}

#[test]
fn of_two_who_start_from_the_same_plan_one_is_told_what_changed() {
    let world = world();
    let first = in_force(&world);
    let (status, applied) = apply(&world, SECOND, &first);
    assert_eq!(status, 200);
    let (status, refused) = apply(&world, THIRD, &first);
    assert_eq!(status, 409, "{refused}");
    assert_eq!(refused["error"]["code"], "plan_conflict");
    assert_eq!(refused["error"]["plan"], applied["plan"]);
    assert_eq!(refused["error"]["diff_is_of_expected"], true);
    let diff = refused["error"]["diff"].as_str().unwrap();
    assert!(diff.contains("+  large: box/echo"), "{diff}");
    assert_eq!(in_force(&world), applied["plan"].as_str().unwrap());
    let body = json!({"expected": first}).to_string();
    let (status, _) = world.post(&format!("/v1/plans/{first}/rollback"), KEY, &body);
    assert_eq!(status, 409);
    let (_, unknown) = apply(&world, THIRD, "ffffffffffffffff");
    assert_eq!(unknown["error"]["diff_is_of_expected"], false);
    let (_, hostile) = apply(&world, THIRD, "../../audit/lock");
    assert_eq!(hostile["error"]["code"], "plan_conflict");
    // Many at once: exactly one wins.
    let expected = in_force(&world);
    let wins = std::thread::scope(|scope| {
        let tries: Vec<_> = (1..=8)
            .map(|n| {
                let document = format!("{FIRST}workers: {n}\n");
                let (world, expected) = (&world, &expected);
                scope.spawn(move || apply(world, &document, expected).0)
            })
            .collect();
        let codes: Vec<u16> = tries.into_iter().map(|one| one.join().unwrap()).collect();
        assert!(
            codes.iter().all(|code| [200, 409].contains(code)),
            "{codes:?}"
        );
        codes.iter().filter(|code| **code == 200).count()
    });
    assert_eq!(wins, 1);
}

#[test]
fn what_is_wrong_with_a_document_is_said_with_its_place() {
    let world = world();
    let first = in_force(&world);
    let (status, refused) = apply(&world, "providers:\n  box: {kind: sandbx}\n", &first);
    assert_eq!(status, 422);
    let told = &refused["error"]["diagnostics"][0];
    assert_eq!((&told["line"], &told["column"]), (&json!(2), &json!(15)));
    assert!(
        refused["error"]["message"]
            .as_str()
            .unwrap()
            .contains("2:15")
    );
    for (body, says) in [
        ("", "cannot be read"),
        ("{}", "document"),
        (r#"{"document": "", "docment": ""}"#, "docment"),
        (r#"{"document": 1}"#, "cannot be read"),
        (r#"{"document": "workers: 2"}"#, "`expected` is missing"),
    ] {
        let (status, told) = world.post("/v1/plans", KEY, body);
        assert_eq!(status, 400, "{body}");
        assert!(
            told["error"]["message"].as_str().unwrap().contains(says),
            "{body}: {told}"
        );
    }
    let long = json!({"document": SECOND, "expected": first, "note": "x".repeat(501)});
    assert_eq!(world.post("/v1/plans", KEY, &long.to_string()).0, 400);
    for (target, status) in [
        ("/v1/plans/ffffffffffffffff", 404),
        ("/v1/plans/FFFFFFFFFFFFFFFF", 400),
        ("/v1/plans/..%2f..%2fadmin.key", 400),
        ("/v1/plans/../admin.key", 404),
        ("/v1/plans/book", 400),
        ("/v1/plans//diff", 404),
        ("/v1/plans/ffffffffffffffff/diff?against=../book", 404),
    ] {
        assert_eq!(world.get(target).status, status, "{target}");
    }
    let diff = format!("/v1/plans/{first}/diff?against=../book");
    assert_eq!(world.get(&diff).status, 400);
    assert_eq!(in_force(&world), first);
    let entries = world.json("/v1/audit")["entries"].as_array().unwrap().len();
    assert_eq!(entries, 1, "what was refused is no change");
}

#[test]
fn hostile_notes_stay_notes_and_the_fields_of_bodies_are_described() {
    let world = world();
    let note = "\u{1b}]0;x\u{7}\r\n'); DROP TABLE plans;-- {\"how\":\"start\"} \u{202e}";
    let body = json!({"document": SECOND, "expected": in_force(&world), "note": note});
    assert_eq!(world.post("/v1/plans", KEY, &body.to_string()).0, 200);
    let reply = world.get("/v1/plans?limit=1");
    let text = std::str::from_utf8(&reply.body).unwrap();
    assert!(text.chars().all(|c| !evidence::dangerous(c)), "{text}");
    assert_eq!(parse(&reply)["versions"][0]["note"], note);
    let document = openapi();
    let fields = |path: &str| {
        let body = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"];
        let fields = body["schema"]["properties"].as_object().unwrap();
        fields.keys().cloned().collect::<Vec<_>>()
    };
    // Each of them is taken, and no other.
    assert_eq!(
        fields("/v1/plans"),
        ["document", "note", "expected", "dry_run", "rollout"]
    );
    assert_eq!(fields("/v1/plans/{digest}/rollback"), ["note", "expected"]);
    assert_eq!(fields("/v1/keys/{key}/rotate"), ["overlap"]);
    assert_eq!(fields("/v1/keys/{key}/revoke"), ["on_revoke"]);
    assert_eq!(fields("/v1/keys/{key}/limits"), ["rate_limits", "budgets"]);
    assert_eq!(fields("/v1/keys").len(), 9);
    let body =
        json!({"document": FIRST, "note": "", "expected": in_force(&world), "dry_run": true});
    assert_eq!(world.post("/v1/plans", KEY, &body.to_string()).0, 200);
}

#[test]
fn two_processes_that_see_one_change_note_it_once() {
    let home = tempfile::tempdir().unwrap();
    let meter = Arc::new(Meter::new());
    let (old, audit, _) = plans(home.path(), FIRST, plan::Owner::File, &meter);
    let (new, ..) = plans(home.path(), FIRST, plan::Owner::File, &meter);
    let candidate = || candidate(compile(SECOND).unwrap());
    let author = Author::itself("file", NOW_US);
    for (plans, number) in [(&new, Some(2)), (&old, None), (&old, None)] {
        let applied = plans
            .take_in(candidate(), &author, How::Reload, None)
            .unwrap();
        assert_eq!(applied.number, number);
    }
    let by = By {
        actor: Actor {
            id: "ops".into(),
            role: plan::Role::Admin,
            tenant: None,
        },
        peer: None,
        request_id: RequestId::mint(NOW_US, 1),
        now_us: NOW_US,
    };
    // Somebody who asks for it is noted even when nothing changes.
    let applied = old
        .take_in(candidate(), &(&by).into(), How::Reload, None)
        .unwrap();
    assert_eq!((applied.number, applied.diff.as_str()), (None, ""));
    let question = params::AuditQuestion::of(
        &params::Params::parse(None, &ROUTES[ROUTES.len() - 1]).unwrap(),
        NOW_US,
    )
    .unwrap();
    let page = parse(&audit.page(&question, &by.actor));
    let actors: Vec<&Value> = page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["actor"])
        .collect();
    assert_eq!(actors, ["ops", "file", "file"]);
}

#[test]
fn a_dry_run_changes_nothing() {
    for owner in [plan::Owner::Api, plan::Owner::File] {
        let world = World::of(false, FIRST, owner);
        let first = in_force(&world);
        let body = json!({"document": THIRD, "dry_run": true}).to_string();
        let (status, told) = world.post("/v1/plans", KEY, &body);
        assert_eq!(status, 200, "{told}");
        assert!(
            told["diff"]
                .as_str()
                .unwrap()
                .contains("+  other: box/echo")
        );
        assert_eq!(told["restart_needed"], json!(["workers"]));
        assert_eq!(in_force(&world), first);
        assert_eq!(
            world.json("/v1/plans")["versions"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
}

#[test]
fn a_file_that_owns_the_plan_is_not_overruled() {
    let world = World::of(false, FIRST, plan::Owner::File);
    let first = in_force(&world);
    let (status, refused) = apply(&world, SECOND, &first);
    assert_eq!(
        (status, &refused["error"]["code"]),
        (409, &json!("file_owns_the_plan"))
    );
    let (status, refused) = world.post(&format!("/v1/plans/{first}/rollback"), KEY, "{}");
    assert_eq!(
        (status, &refused["error"]["code"]),
        (409, &json!("file_owns_the_plan"))
    );
    assert_eq!(in_force(&world), first);
    assert_eq!(world.json("/v1/status")["plan_owner"], "file");
}

#[test]
fn secrets_are_never_kept() {
    let secret = "tg-SECRET-0123456789abcdef";
    let document = format!("{FIRST}keys: [{{id: k, secret: {secret}}}] # {secret}\n");
    let world = World::of(false, &document, plan::Owner::Api);
    let first = in_force(&world);
    let one = world.json(&format!("/v1/plans/{first}"));
    assert_eq!(one["written_out"], json!(["keys[0].secret"]));
    assert_eq!(one["can_be_applied"], false);
    let (status, refused) = apply(&world, &document.replace("id: k", "id: j"), &first);
    assert_eq!(
        (status, &refused["error"]["code"]),
        (422, &json!("secret_written_out"))
    );
    let good = "keys: [{id: k, secret: '${env:CALLER}'}]\n";
    assert_eq!(apply(&world, &format!("{FIRST}{good}"), &first).0, 200);
    let (status, refused) = world.post(&format!("/v1/plans/{first}/rollback"), KEY, "");
    assert_eq!(
        (status, &refused["error"]["fields"]),
        (422, &json!(["keys[0].secret"]))
    );
    for folder in ["audit", "plans"] {
        for file in std::fs::read_dir(world.dir.path().join(folder)).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(
                !text.contains("SECRET") && !text.contains("tg-0123"),
                "{text}"
            );
        }
    }
}

#[test]
fn without_the_audit_journal_nothing_changes() {
    let world = world();
    let first = in_force(&world);
    let audit = world.dir.path().join("audit");
    std::fs::rename(&audit, world.dir.path().join("aside")).unwrap();
    std::fs::write(&audit, "not a folder").unwrap();
    let (status, refused) = apply(&world, SECOND, &first);
    assert_eq!(
        (status, &refused["error"]["code"]),
        (503, &json!("audit_unavailable"))
    );
    assert_eq!(in_force(&world), first);
    std::fs::remove_file(&audit).unwrap();
    std::fs::rename(world.dir.path().join("aside"), &audit).unwrap();
    assert_eq!(
        world.json("/v1/plans")["versions"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // The same if the versions cannot be written, and the journal says so.
    let digest = compile(SECOND).unwrap().0.plan.digest;
    let in_the_way = world.dir.path().join(format!("plans/{digest}.json.draft"));
    std::fs::create_dir(&in_the_way).unwrap();
    let (status, refused) = apply(&world, SECOND, &first);
    assert_eq!(
        (status, &refused["error"]["code"]),
        (503, &json!("versions_unavailable"))
    );
    assert_eq!(in_force(&world), first);
    let last = world.json("/v1/audit?limit=1")["entries"][0].clone();
    assert_eq!(last["action"], "plan.not_applied");
}

#[test]
fn after_a_restart_the_plan_of_the_api_is_known() {
    let home = tempfile::tempdir().unwrap();
    let by = By {
        actor: Actor {
            id: "ops".into(),
            role: plan::Role::Admin,
            tenant: None,
        },
        peer: None,
        request_id: RequestId::mint(NOW_US, 1),
        now_us: NOW_US,
    };
    let (first, ..) = plans(home.path(), FIRST, plan::Owner::Api, &Arc::default());
    let versions = || Versions::open(&home.path().join("plans")).unwrap();
    assert_eq!(
        versions().of_api().unwrap(),
        None,
        "the file's is read again"
    );
    let digest = versions().list().unwrap()[0].digest.clone();
    let body = json!({"document": SECOND, "expected": digest}).to_string();
    assert!(first.apply(body.as_bytes(), &by).is_ok());
    let (version, document) = versions().of_api().unwrap().unwrap();
    assert!(document.contains("large"), "{document}");
    // Starting with it is no change.
    let (_, _, plan) = plans(home.path(), &document, plan::Owner::Api, &Arc::default());
    assert_eq!(*plan.load().digest, *version.digest);
    assert_eq!(versions().list().unwrap().len(), 2);
    // A secret that it refers to changed: another plan, still of the API.
    plans(home.path(), THIRD, plan::Owner::Api, &Arc::default());
    assert_eq!(versions().of_api().unwrap().unwrap().0.how, How::Restart);
    // The file takes it back.
    plans(home.path(), FIRST, plan::Owner::File, &Arc::default());
    assert_eq!(versions().of_api().unwrap(), None);
    let numbers: Vec<u64> = versions()
        .list()
        .unwrap()
        .iter()
        .map(|v| v.number)
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
}
