//! Approvals on the path: pending, given, used once, bound to the body and
//! the caller, waited for, and for what the model gives back.

use std::sync::Arc;

use access::{Consumer, Mode};
use contract::Secret;
use dialects::DIALECTS;
use serde_json::{Value, json};
use store::{
    ApprovalFilter, ApprovalLane, ApprovalRow, ApprovalState, Approvals, ApprovalsError,
    MemoryApprovals, Vote,
};

use super::rules::{answer, ask, world};
use super::world::{Got, World};
use super::{ANSWER, CHAT};

const BARE: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
const AUTH: (&str, &str) = ("authorization", "Bearer tg-test");

fn rule(settings: Value) -> [(&'static str, &'static str, Value, Mode); 1] {
    [("r", "approval", settings, Mode::Enforce)]
}

fn store(world: &World) -> Arc<dyn Approvals> {
    world
        .flow
        .approvals
        .as_ref()
        .expect("a lane")
        .store()
        .clone()
}

fn vote(world: &World, id: &str, by: &str, approves: bool) -> Result<ApprovalRow, ApprovalsError> {
    let vote = Vote {
        by: by.into(),
        at_us: world.flow.clock.unix_us(),
        approves,
        note: None,
    };
    store(world).vote(id, &vote)
}

/// The id of a pending answer.
fn pending(got: &Got) -> String {
    assert_eq!(got.status, 403, "{}", got.body);
    let id = got.headers["tollgate-approval"].to_str().expect("ASCII");
    assert!(got.body.contains(id), "{}", got.body);
    assert_eq!(got.headers["x-should-retry"], "false");
    id.to_owned()
}

fn again(world: &World, path: &str, body: &str, id: &str) -> Got {
    world.call_with(path, body, &[AUTH, ("tollgate-approval", id)])
}

fn script(world: &World, script: super::world::Script) {
    let mut scripts = world.wire.scripts.lock().expect("unpoisoned");
    scripts.push_back(Ok(script));
}

#[test]
fn a_call_is_pending_approved_and_goes_on_once_on_every_door() {
    for door in DIALECTS.iter().copied() {
        for stream in [false, true] {
            let case = format!("{} stream={stream}", door.id());
            let (path, body) = ask(door, BARE, stream);
            let world = world(&rule(json!({"models": ["m"]})), answer(stream, false));
            let id = pending(&world.call(&path, &body));
            assert!(world.sent().is_empty(), "{case}");
            // The same question is asked once.
            assert_eq!(pending(&world.call(&path, &body)), id, "{case}");
            let early = again(&world, &path, &body, &id);
            assert_eq!(early.status, 403, "{case}");
            assert!(early.body.contains("still pending"), "{}", early.body);
            vote(&world, &id, "bob", true).expect("a vote");
            let other = body.replace("hi", "ho");
            let refused = again(&world, &path, &other, &id);
            assert_eq!(refused.status, 403, "{case}");
            assert!(refused.body.contains("another body"), "{}", refused.body);
            let got = again(&world, &path, &body, &id);
            assert_eq!(got.status, 200, "{case}: {}", got.body);
            assert_eq!(got.headers["tollgate-approval"], *id, "{case}");
            assert_eq!(world.sent().len(), 1, "{case}");
            let twice = again(&world, &path, &body, &id);
            assert_eq!(twice.status, 403, "{case}");
            assert!(twice.body.contains("works once"), "{}", twice.body);
            assert_ne!(pending(&world.call(&path, &body)), id, "{case}");
        }
    }
}

#[test]
fn the_record_says_what_was_read_of_the_approval() {
    let world = world(&rule(json!({"models": ["m"]})), answer(false, false));
    let id = pending(&world.call(CHAT, BARE));
    vote(&world, &id, "bob", true).expect("a vote");
    assert_eq!(again(&world, CHAT, BARE, &id).status, 200);
    let told: Vec<(String, String, Vec<String>)> = world
        .records()
        .iter()
        .map(|record| {
            let mut decisions = record.decisions.iter();
            let found = decisions.find(|it| it.stage == "approval");
            let found = found.expect("a decision");
            let readings = found.readings.iter();
            let readings = readings.map(|it| format!("{}={:?}", it.name, it.value));
            (
                found.verdict.to_string(),
                found.reason.to_string(),
                readings.collect(),
            )
        })
        .collect();
    assert_eq!((&*told[0].0, &*told[0].1), ("deny", "approval_pending"));
    assert_eq!((&*told[1].0, &*told[1].1), ("allow", "approval_given"));
    for (_, _, readings) in &told {
        let all = readings.join(" ");
        assert!(all.contains(&id) && all.contains("model m"), "{all}");
    }
}

#[test]
fn a_denied_an_expired_and_a_foreign_approval_let_nothing_on() {
    let world = world(&rule(json!({"models": ["m"]})), answer(false, false));
    let id = pending(&world.call(CHAT, BARE));
    let row = store(&world).find(&id).expect("readable").expect("a row");
    vote(&world, &id, "bob", false).expect("a vote");
    let said = |id: &str| {
        let got = again(&world, CHAT, BARE, id);
        assert_eq!(got.status, 403, "{}", got.body);
        got.body
    };
    assert!(said(&id).contains("was denied"));
    let unknown = said("apr-none");
    assert!(unknown.contains("no such approval"), "{unknown}");
    let mut nth = 0;
    let mut with = |change: &dyn Fn(&mut ApprovalRow)| {
        nth += 1;
        let mut other = ApprovalRow {
            id: format!("apr-x{nth}"),
            ..row.clone()
        };
        change(&mut other);
        store(&world).ask(&other).expect("room").id
    };
    let expired = with(&|it| it.expires_us = 1);
    assert!(said(&expired).contains("has expired"));
    // Those of others look like those that do not exist.
    let foreign = [
        with(&|it| it.key_id = "other".into()),
        with(&|it| it.tenant = "other".into()),
        with(&|it| it.user = Some("ann".into())),
    ];
    for id in foreign {
        let about = |text: &str| text.split("request_id").next().map(str::to_owned);
        assert_eq!(about(&said(&id)), about(&unknown));
    }
    let two = again(&world, CHAT, BARE, "x").status;
    assert_eq!(two, 403);
    let twice = world.call_with(
        CHAT,
        BARE,
        &[AUTH, ("tollgate-approval", "a"), ("tollgate-approval", "b")],
    );
    assert_eq!(twice.status, 400, "{}", twice.body);
    assert!(world.sent().is_empty());
}

#[test]
fn another_key_of_the_same_tenant_cannot_use_it() {
    let mut world = world(&rule(json!({"models": ["m"]})), answer(false, false));
    let mut keys = access::KeyRing::new([1; 32]);
    for (secret, id) in [("tg-test", "k"), ("tg-other", "k2")] {
        assert!(keys.add(&Secret::new(secret.into()), Consumer::new(id, "t", "a")));
    }
    let old = world.flow.plan.load_full();
    let plan = plan::Plan {
        keys,
        policy: super::rules::policy(&rule(json!({"models": ["m"]}))),
        ..super::world::plan(&[("openai", "openai_chat")])
    };
    drop(old);
    world.flow.plan.store(Arc::new(plan));
    let id = pending(&world.call(CHAT, BARE));
    vote(&world, &id, "bob", true).expect("a vote");
    let headers = [
        ("authorization", "Bearer tg-other"),
        ("tollgate-approval", &*id),
    ];
    let got = world.call_with(CHAT, BARE, &headers);
    assert!(got.body.contains("no such approval"), "{}", got.body);
    assert_eq!(again(&world, CHAT, BARE, &id).status, 200);
    world.wire = Arc::default();
}

/// Says yes at the third look.
struct Slow {
    inner: MemoryApprovals,
    looks: std::sync::atomic::AtomicU64,
    approves: bool,
}

impl Approvals for Slow {
    fn ask(&self, row: &ApprovalRow) -> Result<ApprovalRow, ApprovalsError> {
        self.inner.ask(row)
    }
    fn find(&self, id: &str) -> Result<Option<ApprovalRow>, ApprovalsError> {
        let looks = self.looks.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        if looks == 2 {
            let vote = Vote {
                by: "bob".into(),
                at_us: 1_700_000_000_000_000,
                approves: self.approves,
                note: None,
            };
            self.inner.vote(id, &vote)?;
        }
        self.inner.find(id)
    }
    fn vote(&self, id: &str, vote: &Vote) -> Result<ApprovalRow, ApprovalsError> {
        self.inner.vote(id, vote)
    }
    fn spend(&self, id: &str, now_us: u64) -> Result<bool, ApprovalsError> {
        self.inner.spend(id, now_us)
    }
    fn list(&self, filter: &ApprovalFilter) -> Result<Vec<ApprovalRow>, ApprovalsError> {
        self.inner.list(filter)
    }
    fn pending(&self, now_us: u64) -> Result<u64, ApprovalsError> {
        self.inner.pending(now_us)
    }
}

fn with_slow(mut world: World, approves: bool) -> World {
    let slow = Slow {
        inner: MemoryApprovals::default(),
        looks: 0.into(),
        approves,
    };
    let flow = Arc::get_mut(&mut world.flow).expect("nobody else has it");
    flow.approvals = Some(ApprovalLane::new(Arc::new(slow)).expect("a thread"));
    world
}

#[test]
fn a_call_waits_and_goes_on_if_it_is_approved_meanwhile() {
    let settings = json!({"models": ["m"], "wait_ms": 30_000});
    for (approves, status) in [(true, 200), (false, 403)] {
        let world = with_slow(
            world(&rule(settings.clone()), answer(false, false)),
            approves,
        );
        let got = world.call(CHAT, BARE);
        assert_eq!(got.status, status, "{}", got.body);
        assert_eq!(world.sent().len(), usize::from(approves));
    }
    // Nobody says anything: it is pending when the wait is over.
    let short = json!({"models": ["m"], "wait_ms": 100});
    let world = world(&rule(short), answer(false, false));
    pending(&world.call(CHAT, BARE));
}

#[test]
fn a_tool_call_of_the_model_is_not_given_out_before_it_is_approved() {
    for door in DIALECTS.iter().copied() {
        for stream in [false, true] {
            let case = format!("{} stream={stream}", door.id());
            let (path, body) = ask(door, BARE, stream);
            let world = world(&rule(json!({"tools": ["get_*"]})), answer(stream, true));
            let got = world.call(&path, &body);
            assert_eq!(got.status, if stream { 200 } else { 403 }, "{case}");
            assert!(
                !got.body.contains("\"get_weather\""),
                "{case}: {}",
                got.body
            );
            assert!(
                !got.body.contains("tool_calls\"}") && !got.body.contains("[DONE]"),
                "{case}: {}",
                got.body
            );
            let all = ApprovalFilter {
                limit: 9,
                state: Some(ApprovalState::Pending),
                now_us: world.flow.clock.unix_us(),
                ..ApprovalFilter::default()
            };
            let rows = store(&world).list(&all).expect("readable");
            assert_eq!(rows.len(), 1, "{case}");
            assert_eq!(rows[0].needs[0].what, "tool get_weather", "{case}");
            assert!(got.body.contains(&rows[0].id), "{case}: {}", got.body);
            // Once it is approved, the same call may give it out.
            vote(&world, &rows[0].id, "bob", true).expect("a vote");
            script(&world, answer(stream, true));
            let got = again(&world, &path, &body, &rows[0].id);
            assert_eq!(got.status, 200, "{case}: {}", got.body);
            assert!(got.body.contains("get_weather"), "{case}: {}", got.body);
        }
    }
}

#[test]
fn a_tool_call_waits_for_its_approval() {
    let settings = json!({"tools": ["get_*"], "wait_ms": 30_000});
    for stream in [false, true] {
        let body = BARE.replacen('{', &format!("{{\"stream\":{stream},"), 1);
        for approves in [true, false] {
            let plain = world(&rule(settings.clone()), answer(stream, true));
            let world = with_slow(plain, approves);
            let got = world.call(CHAT, &body);
            assert_eq!(got.status, if approves { 200 } else { 403 }, "{}", got.body);
            assert_eq!(got.body.contains("get_weather"), approves, "{}", got.body);
        }
    }
}

#[test]
fn a_gateway_that_keeps_no_approvals_refuses_what_needs_one() {
    let mut world = world(&rule(json!({"models": ["m"]})), answer(false, false));
    let flow = Arc::get_mut(&mut world.flow).expect("nobody else has it");
    flow.approvals = None;
    let got = world.call(CHAT, BARE);
    assert_eq!(got.status, 403, "{}", got.body);
    assert!(!got.headers.contains_key("tollgate-approval"));
    assert!(world.sent().is_empty() && !got.body.contains(ANSWER));
}
