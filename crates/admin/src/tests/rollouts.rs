//! Roll-outs: begun, changed, promoted, aborted by people and by themselves,
//! and taken up again.

use evidence::Side;
use plan::{Breach, SideFigures};
use serde_json::json;

use super::*;

const FIRST: &str = "providers: {box: {kind: sandbox}}\nmodels: {small: box/echo}\n";
const SECOND: &str = "providers: {box: {kind: sandbox}}\nmodels: {large: box/echo}\n";

fn world() -> World {
    World::of(false, FIRST, plan::Owner::Api)
}

fn digest_of(document: &str) -> String {
    compile(document).unwrap().0.plan.digest.to_string()
}

fn begin(world: &World, document: &str, rollout: Value) -> (u16, Value) {
    let body = json!({
        "document": document, "note": "why", "expected": digest_of(FIRST), "rollout": rollout
    });
    world.post("/v1/plans", KEY, &body.to_string())
}

fn post(world: &World, target: &str, body: Value) -> (u16, Value) {
    world.post(target, KEY, &body.to_string())
}

/// The plan in force, and the candidate with its share.
fn runs(world: &World) -> (String, Option<(String, f64)>) {
    let in_force = world.plan.load();
    let rollout = in_force.rollout.as_ref();
    let rollout = rollout.map(|it| (it.candidate.digest.to_string(), it.share.percent()));
    (in_force.plan.digest.to_string(), rollout)
}

fn last_entry(world: &World) -> Value {
    world.json("/v1/audit?limit=1")["entries"][0].clone()
}

#[test]
fn a_roll_out_is_begun_changed_and_promoted() {
    let world = world();
    let (first, second) = (digest_of(FIRST), digest_of(SECOND));
    assert_eq!(world.json("/v1/rollout")["rollout"], Value::Null);
    assert_eq!(world.json("/v1/status")["rollout"], Value::Null);
    let (status, told) = begin(&world, SECOND, json!({"percent": 10, "tenants": ["acme"]}));
    assert_eq!(status, 200, "{told}");
    assert_eq!(
        (&told["plan"], &told["rollout"]["candidate"]),
        (&json!(first), &json!(second))
    );
    assert!(
        told["diff"]
            .as_str()
            .unwrap()
            .contains("+  large: box/echo")
    );
    assert_eq!(runs(&world), (first.clone(), Some((second.clone(), 10.0))));
    let entry = last_entry(&world);
    assert_eq!(
        (&entry["action"], &entry["note"]),
        (&json!("plan.rollout"), &json!("why"))
    );
    assert_eq!(entry["after"]["tenants"], json!(["acme"]));

    let (status, told) = post(
        &world,
        "/v1/rollout",
        json!({"percent": 50.5, "tenants": []}),
    );
    assert_eq!(status, 200, "{told}");
    assert_eq!(runs(&world).1, Some((second.clone(), 50.5)));
    let entry = last_entry(&world);
    assert_eq!(entry["action"], "plan.rollout_set");
    assert_eq!(
        (&entry["before"]["percent"], &entry["after"]["percent"]),
        (&json!(10.0), &json!(50.5))
    );
    assert_eq!(world.json("/v1/status")["rollout"]["percent"], 50.5);
    // What is rolled out is no version yet.
    let list = world.json("/v1/plans");
    assert_eq!(
        (list["versions"].as_array().unwrap().len(), &list["plan"]),
        (1, &json!(first))
    );
    assert_eq!(list["rollouts"][0]["ended"], Value::Null);

    let wrong = json!({"expected": first});
    for target in ["promote", "abort"] {
        let (status, told) = post(&world, &format!("/v1/rollout/{target}"), wrong.clone());
        assert_eq!(
            (status, &told["error"]["code"]),
            (409, &json!("rollout_conflict"))
        );
    }
    let (status, told) = post(&world, "/v1/rollout/promote", json!({"expected": second}));
    assert_eq!((status, &told["plan"]), (200, &json!(second)), "{told}");
    assert_eq!(runs(&world), (second.clone(), None));
    let list = world.json("/v1/plans");
    assert_eq!(
        (&list["versions"][0]["how"], &list["plan"]),
        (&json!("promote"), &json!(second))
    );
    assert_eq!(list["rollouts"][0]["ended"]["how"], "promoted");
    assert_eq!(last_entry(&world)["action"], "plan.promote");
    let (status, _) = post(&world, "/v1/rollout/promote", json!({}));
    assert_eq!(status, 409, "there is none any more");
    // It can be undone as any version.
    assert_eq!(
        world
            .post(&format!("/v1/plans/{first}/rollback"), KEY, "")
            .0,
        200
    );
}

#[test]
fn while_one_is_on_nothing_else_changes_the_plan() {
    let world = world();
    let first = digest_of(FIRST);
    assert_eq!(begin(&world, SECOND, json!({"percent": 1})).0, 200);
    let again = begin(&world, SECOND, json!({"percent": 1}));
    let third = format!("{SECOND}plans: {{owner: api}}\n");
    let body = json!({"document": third, "expected": first});
    let apply = post(&world, "/v1/plans", body);
    let rollback = world.post(&format!("/v1/plans/{first}/rollback"), KEY, "");
    for (status, told) in [again, apply, rollback] {
        assert_eq!(
            (status, &told["error"]["code"]),
            (409, &json!("rollout_is_on")),
            "{told}"
        );
        assert_eq!(told["error"]["candidate"], digest_of(SECOND));
    }
    let (status, told) = world.post("/v1/rollout/abort", KEY, "");
    assert_eq!(status, 200, "{told}");
    assert_eq!(told["rollout"]["ended"]["how"], "aborted");
    assert_eq!(runs(&world), (first, None));
    assert_eq!(last_entry(&world)["action"], "plan.rollout_abort");
    let shown = world.json(&format!("/v1/plans/{}", digest_of(SECOND)));
    assert!(
        shown["document"].as_str().unwrap().contains("large"),
        "one can look what it was"
    );
}

#[test]
fn what_cannot_be_rolled_out_is_refused() {
    let world = world();
    let restart = format!("{SECOND}workers: 3\n");
    for (document, rollout, status, says) in [
        (SECOND, json!({}), 400, "names nobody"),
        (SECOND, json!({"percent": 101}), 400, "from 0 to 100"),
        (SECOND, json!({"percent": "10"}), 400, "cannot be read"),
        (SECOND, json!({"percent": 1, "to": "all"}), 400, "to"),
        (SECOND, json!({"tenants": [""]}), 400, "empty"),
        (
            SECOND,
            json!({"percent": 1, "abort": {"denials": 1}}),
            400,
            "`denials` is no condition",
        ),
        (
            SECOND,
            json!({"percent": 1, "abort": {}}),
            400,
            "No condition is stated",
        ),
        (
            &*restart,
            json!({"percent": 1}),
            422,
            "need a restart and cannot be rolled out: workers",
        ),
        (FIRST, json!({"percent": 1}), 422, "nothing to roll out"),
        ("providers: 1", json!({"percent": 1}), 422, "cannot be used"),
    ] {
        let (code, told) = begin(&world, document, rollout.clone());
        let message = told["error"]["message"].as_str().unwrap();
        assert!(
            code == status && message.contains(says),
            "{rollout}: {told}"
        );
    }
    assert_eq!(post(&world, "/v1/rollout", json!({"percent": 5})).0, 409);
    assert_eq!(post(&world, "/v1/rollout", json!({})).0, 400);
    assert_eq!(runs(&world), (digest_of(FIRST), None));
    let entries = world.json("/v1/audit")["entries"].as_array().unwrap().len();
    assert_eq!(entries, 1, "what was refused is no change");
    let dry = json!({"document": SECOND, "dry_run": true, "rollout": {"percent": 1}});
    assert_eq!(post(&world, "/v1/plans", dry).0, 200);
    assert_eq!(runs(&world).1, None);

    let of_file = World::of(false, FIRST, plan::Owner::File);
    for (status, told) in [
        begin(&of_file, SECOND, json!({"percent": 1})),
        post(&of_file, "/v1/rollout/abort", json!({})),
    ] {
        assert_eq!(
            (status, &told["error"]["code"]),
            (409, &json!("file_owns_the_plan"))
        );
    }
}

#[test]
fn one_that_breaks_its_condition_is_noted_with_its_figures() {
    let world = world();
    let abort = json!({"deny_rate": 0.1, "calls_min": 4});
    let (status, told) = begin(&world, SECOND, json!({"percent": 10, "abort": abort}));
    assert_eq!(status, 200, "{told}");
    assert_eq!(told["rollout"]["abort"]["deny_rate"], 0.1);
    let meter = world.evidence.meter();
    let sides = meter.sides().unwrap();
    let denied = Record {
        fault: Some(FaultNote {
            kind: "forbidden".into(),
            ..FaultNote::default()
        }),
        ..Record::default()
    };
    (0..4).for_each(|_| meter.count_side(&sides, Side::Candidate, &denied));
    meter.count_side(&sides, Side::InForce, &Record::default());
    let shown = world.json("/v1/rollout")["rollout"]["calls"].clone();
    assert_eq!(
        (&shown["candidate"]["denied"], &shown["in_force"]["calls"]),
        (&json!(4), &json!(1))
    );
    let figures = rollout_figures(&sides.now());
    let in_force = world.plan.load_full();
    let rollout = in_force.rollout.as_ref().unwrap();
    let broken = |figures| rollout.abort.as_ref().unwrap().broken(figures);
    let breach = broken(&figures).unwrap();
    let gateway = Author::itself("gateway", NOW_US + 1);
    let end = |candidate: &str| {
        let broken = (breach.clone(), figures);
        world
            .plans
            .abort_broken(candidate, broken, &gateway)
            .unwrap();
    };
    end("0000000000000000");
    assert!(runs(&world).1.is_some(), "of another candidate");
    end(&digest_of(SECOND));
    assert_eq!(runs(&world), (digest_of(FIRST), None));
    end(&digest_of(SECOND));

    let line = world.json("/v1/plans")["rollouts"][0]["ended"].clone();
    assert_eq!(
        (&line["how"], &line["author"]),
        (&json!("condition_broken"), &json!("gateway"))
    );
    assert_eq!(line["broken"]["bound"], "deny_rate");
    let entry = last_entry(&world);
    assert_eq!(
        (&entry["action"], &entry["actor"]),
        (&json!("plan.rollout_abort"), &json!("gateway"))
    );
    let note = entry["note"].as_str().unwrap();
    assert_eq!(note, "deny_rate is above 0.1: 4 of 4 calls within 300 s");
    // Who reads the journal comes to the same end.
    let noted = serde_json::from_value(entry["after"]["figures"].clone()).unwrap();
    assert_eq!(broken(&noted), Some(breach));
    let text = meter.render();
    assert!(
        text.contains("tollgate_plan_rollouts_total{outcome=\"condition_broken\"} 1"),
        "{text}"
    );
}

#[test]
fn without_the_audit_journal_nothing_is_begun_or_ended() {
    let world = world();
    assert_eq!(begin(&world, SECOND, json!({"percent": 10})).0, 200);
    let audit = world.dir.path().join("audit");
    std::fs::rename(&audit, world.dir.path().join("aside")).unwrap();
    std::fs::write(&audit, "not a folder").unwrap();
    let before = runs(&world);
    for target in ["/v1/rollout/promote", "/v1/rollout/abort"] {
        let (status, told) = world.post(target, KEY, "");
        assert_eq!(
            (status, &told["error"]["code"]),
            (503, &json!("audit_unavailable"))
        );
    }
    assert_eq!(post(&world, "/v1/rollout", json!({"percent": 100})).0, 503);
    let breach = Breach {
        bound: "deny_rate".to_owned(),
        text: String::new(),
    };
    let figures = plan::Figures {
        candidate: SideFigures::default(),
        in_force: SideFigures::default(),
    };
    let gateway = Author::itself("gateway", NOW_US);
    let broken = (breach, figures);
    let ended = world
        .plans
        .abort_broken(&digest_of(SECOND), broken, &gateway);
    assert_eq!(ended.unwrap_err().status, 503);
    assert_eq!(runs(&world), before);
}

/// What runs, and its plans, of a gateway that starts in the folder of another
/// one; and what it says.
fn beside(
    world: &World,
    document: &str,
    owner: plan::Owner,
) -> (Arc<ArcSwap<InForce>>, Plans, Option<String>) {
    let (compiled, kept) = compile(document).unwrap();
    let cell = Arc::new(ArcSwap::from_pointee(InForce::from(compiled.plan)));
    let meter = Arc::new(Meter::new());
    let dir = world.dir.path();
    let now = (cell.load().plan.clone(), kept);
    let versions = Versions::open(&dir.join("plans")).unwrap();
    let audit = Audit::new(&dir.join("audit"), [7; 16]);
    let plans = Plans::new(versions, audit, owner, hands(&cell, &meter), now);
    let author = Author::itself("file", NOW_US);
    plans.begin(&author).unwrap();
    let told = plans.resume(&author).unwrap();
    (cell, plans, told)
}

fn restarted(world: &World, document: &str, owner: plan::Owner) -> (Arc<InForce>, Option<String>) {
    let (cell, _, told) = beside(world, document, owner);
    (cell.load_full(), told)
}

#[test]
fn what_the_process_before_changes_during_a_hand_over_is_taken_in() {
    let author = Author::itself("file", NOW_US);
    let (first, second) = (digest_of(FIRST), digest_of(SECOND));
    let shown = |cell: &ArcSwap<InForce>| {
        let now = cell.load();
        let rollout = now.rollout.as_ref();
        let rollout = rollout.map(|it| (it.candidate.digest.to_string(), it.share.percent()));
        (now.plan.digest.to_string(), rollout)
    };
    let world = world();
    assert_eq!(begin(&world, SECOND, json!({"percent": 10})).0, 200);
    let (cell, plans, _) = beside(&world, FIRST, plan::Owner::Api);
    assert_eq!(plans.catch_up(&author).unwrap(), None, "nothing changed");
    let on = |percent| (first.clone(), Some((second.clone(), percent)));
    assert_eq!(shown(&cell), on(10.0));

    assert_eq!(post(&world, "/v1/rollout", json!({"percent": 20})).0, 200);
    assert!(plans.catch_up(&author).unwrap().is_some());
    assert_eq!(shown(&cell), on(20.0));
    assert_eq!(world.post("/v1/rollout/abort", KEY, "").0, 200);
    let told = plans.catch_up(&author).unwrap().unwrap();
    assert!(told.contains("no plan is being rolled out"), "{told}");
    assert_eq!(shown(&cell), (first.clone(), None));
    assert_eq!(begin(&world, SECOND, json!({"percent": 30})).0, 200);
    assert!(plans.catch_up(&author).unwrap().is_some());
    assert_eq!(shown(&cell), on(30.0));
    assert_eq!(world.post("/v1/rollout/promote", KEY, "").0, 200);
    let told = plans.catch_up(&author).unwrap().unwrap();
    assert!(told.contains(&second), "{told}");
    assert_eq!(shown(&cell), (second, None));
    assert_eq!(plans.catch_up(&author).unwrap(), None);
    let lines = world.json("/v1/plans")["versions"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(lines, 2, "the start and the promotion");
}

#[test]
fn what_another_process_ended_cannot_be_changed_any_more() {
    let world = world();
    assert_eq!(begin(&world, SECOND, json!({"percent": 10})).0, 200);
    let (_, plans, _) = beside(&world, FIRST, plan::Owner::Api);
    let breach = Breach {
        bound: "deny_rate".to_owned(),
        text: String::new(),
    };
    let gateway = Author::itself("gateway", NOW_US);
    let broken = (breach, plan::Figures::default());
    let ended = plans.abort_broken(&digest_of(SECOND), broken.clone(), &gateway);
    assert!(ended.is_ok());
    let before = runs(&world);
    assert!(!world.plans.is_behind());
    for (target, body) in [
        ("/v1/rollout", json!({"percent": 100})),
        ("/v1/rollout/promote", json!({})),
        ("/v1/rollout/abort", json!({})),
    ] {
        let (status, told) = post(&world, target, body);
        assert_eq!(
            (status, &told["error"]["code"]),
            (409, &json!("rollout_conflict")),
            "{target}"
        );
        assert_eq!(last_entry(&world)["action"], "plan.not_applied");
        assert_eq!(runs(&world), before);
    }
    let again = world
        .plans
        .abort_broken(&digest_of(SECOND), broken, &gateway);
    assert_eq!(again.unwrap_err().status, 409);
    let listed = world.json("/v1/plans");
    assert_eq!(listed["versions"].as_array().unwrap().len(), 1);
    assert_eq!(listed["rollouts"][0]["ended"]["how"], "condition_broken");
    assert!(world.plans.is_behind());
    assert!(world.plans.catch_up(&gateway).unwrap().is_some());
    assert_eq!(runs(&world), (digest_of(FIRST), None));
    assert!(!world.plans.is_behind());
}

#[test]
fn it_goes_on_after_a_restart_or_is_ended_with_a_note() {
    let world = world();
    let abort = json!({"error_rate": 0.5, "window_s": 60});
    let wish = json!({"percent": 12.5, "tenants": ["acme"], "abort": abort});
    assert_eq!(begin(&world, SECOND, wish).0, 200);
    let before = world.plan.load_full();
    for _ in 0..2 {
        let (now, told) = restarted(&world, FIRST, plan::Owner::Api);
        assert!(
            told.unwrap()
                .contains("goes on: 12.5 % of the callers, and the tenants acme")
        );
        let (now, before) = (
            now.rollout.as_ref().unwrap(),
            before.rollout.as_ref().unwrap(),
        );
        assert_eq!(now.candidate.digest, before.candidate.digest);
        assert_eq!((&now.share, &now.abort), (&before.share, &before.abort));
    }
    let (now, told) = restarted(&world, FIRST, plan::Owner::File);
    assert!(now.rollout.is_none());
    assert!(
        told.unwrap()
            .contains("the configuration file owns the plan")
    );
    let line = world.json("/v1/plans")["rollouts"][0]["ended"].clone();
    assert_eq!(
        (&line["how"], &line["author"]),
        (&json!("lost"), &json!("file"))
    );
    assert_eq!(
        restarted(&world, FIRST, plan::Owner::Api).1,
        None,
        "it is over"
    );
}

#[test]
fn one_whose_document_cannot_be_used_any_more_is_ended() {
    for (document, says) in [
        ("providers: 1\n", "cannot be used any more"),
        ("workers: 3\n", "these differ from what runs: workers"),
        (FIRST, "it is in force already"),
    ] {
        let world = world();
        assert_eq!(begin(&world, SECOND, json!({"percent": 10})).0, 200);
        let path = world
            .dir
            .path()
            .join(format!("plans/{}.json", digest_of(SECOND)));
        let mut content: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        content["document"] = json!(document);
        std::fs::write(&path, content.to_string()).unwrap();
        let (now, told) = restarted(&world, FIRST, plan::Owner::Api);
        assert!(now.rollout.is_none());
        assert_eq!(*now.plan.digest, digest_of(FIRST));
        assert!(told.clone().unwrap().contains(says), "{told:?}");
    }
}
