//! Approvals on the path: pending, given, used once, bound to the body and
//! the caller, waited for, and for what the model gives back.

mod records;
mod revoked;
mod servers;
mod stores;
mod streams;

use std::sync::Arc;

use access::approval::{Approved, Reading, Standing, covers};
use access::{Consumer, Mode};
use contract::Secret;
use dialects::DIALECTS;
use serde_json::{Value, json};
use store::{
    ApprovalFilter, ApprovalLane, ApprovalRow, ApprovalState, Approvals, ApprovalsError,
    MemoryApprovals, Vote,
};

use super::rules::{answer, ask, world};
use super::world::{Got, Script, World};
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

/// Approvals in a state, or all.
fn open(world: &World, state: Option<ApprovalState>) -> Vec<ApprovalRow> {
    let filter = ApprovalFilter {
        limit: 9,
        state,
        now_us: world.flow.clock.unix_us(),
        ..ApprovalFilter::default()
    };
    store(world).list(&filter).expect("readable")
}

fn again(world: &World, path: &str, body: &str, id: &str) -> Got {
    world.call_with(path, body, &[AUTH, ("tollgate-approval", id)])
}

fn script(world: &World, script: Script) {
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
            let given = world.call(&path, &body);
            assert_eq!(pending(&given), id, "{case}");
            assert!(
                given.body.contains("has been given"),
                "{case}: {}",
                given.body
            );
            let other = body.replace("hi", "ho");
            let refused = again(&world, &path, &other, &id);
            assert_eq!(refused.status, 403, "{case}");
            assert!(refused.body.contains("another request"), "{}", refused.body);
            let got = again(&world, &path, &body, &id);
            assert_eq!(got.status, 200, "{case}: {}", got.body);
            assert_eq!(got.headers["tollgate-approval"], *id, "{case}");
            assert_eq!(world.sent().len(), 1, "{case}");
            let seen = world.wire.seen.lock().expect("unpoisoned");
            assert!(!seen[0].headers.contains_key("tollgate-approval"), "{case}");
            drop(seen);
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

/// The decision about an approval in a record, and what was read for it.
fn decided(record: &evidence::Record) -> Option<(&evidence::Decision, Reading)> {
    let mut decisions = record.decisions.iter();
    let found = decisions.find(|it| it.stage == "approval")?;
    let words = |name: &str| -> Vec<String> {
        let read = found.readings.iter().filter(|it| it.name == name);
        read.map(|it| match &it.value {
            evidence::Value::Int(number) => number.to_string(),
            evidence::Value::Word(word) => word.to_string(),
            evidence::Value::Name(name) => name.to_string(),
        })
        .collect()
    };
    let first = |name: &str| words(name).into_iter().next().unwrap_or_default();
    let state = ApprovalState::of(&first("state"));
    let things = words("rule").into_iter().zip(words("layer"));
    let what = things
        .zip(words("what"))
        .map(|((rule, layer), what)| Approved {
            rule: rule.into(),
            layer: layer.into(),
            what,
            approvers: first("approved_by").parse().unwrap_or_default(),
        });
    let reading = Reading {
        standing: match state {
            Some(ApprovalState::Approved) => Standing::Approved,
            Some(ApprovalState::Pending) | None => Standing::Pending,
            Some(ApprovalState::Denied) => Standing::Denied,
            Some(ApprovalState::Expired) => Standing::Expired,
            Some(ApprovalState::Used) => Standing::Used,
        },
        is_own: state.is_some(),
        is_same: first("same_call") == "1",
        what: what.collect(),
    };
    Some((found, reading))
}

/// What was approved for a call, by its record.
pub(super) fn approved_in(record: &evidence::Record) -> Vec<Approved> {
    decided(record)
        .and_then(|(_, reading)| covers(Some(&reading)).ok().map(<[_]>::to_vec))
        .unwrap_or_default()
}

#[test]
fn a_decision_with_an_approval_made_again_from_its_record_is_the_same() {
    let settings = json!({"models": ["m"], "data_classes": ["*"]});
    let world = world(&rule(settings.clone()), answer(false, false));
    let id = pending(&world.call(CHAT, BARE));
    again(&world, CHAT, BARE, &id);
    again(&world, CHAT, BARE, "apr-none");
    vote(&world, &id, "bob", true).expect("a vote");
    again(&world, CHAT, &BARE.replace("hi", "ho"), &id);
    // The approval is for the model only.
    let class = ("tollgate-data-class", "restricted");
    let more = [AUTH, ("tollgate-approval", &*id), class];
    let more = pending(&world.call_with(CHAT, BARE, &more));
    assert_eq!(again(&world, CHAT, BARE, &id).status, 200);
    again(&world, CHAT, BARE, &id);
    vote(&world, &more, "bob", false).expect("a vote");
    again(&world, CHAT, BARE, &more);
    let waits = json!({"models": ["m"], "data_classes": ["*"], "wait_ms": 30_000});
    let waited = with_slow(
        super::rules::world(&rule(waits), answer(false, false)),
        true,
    );
    assert_eq!(waited.call(CHAT, BARE).status, 200);
    let mut codes = Vec::new();
    for world in [&world, &waited] {
        let plan = world.flow.plan.load_full();
        for record in world.records() {
            let (found, reading) = decided(&record).expect("a decision");
            let code = match covers(Some(&reading)) {
                Ok(_) => "approval_given",
                Err(why) => why.code(),
            };
            assert_eq!(code, found.reason, "{record:?}");
            codes.push(code);
            let (verdict, broken) = super::rules::again(&plan, &record);
            let policy = record.decisions.iter().find(|it| it.stage == "policy");
            assert_eq!(verdict, policy.expect("a verdict").verdict, "{record:?}");
            assert_eq!(verdict == "allow", code == "approval_given", "{record:?}");
            assert_eq!(broken.is_empty(), verdict == "allow");
        }
    }
    let expected = [
        "approval_pending",
        "approval_pending",
        "approval_unknown",
        "approval_of_another_call",
        "approval_pending",
        "approval_given",
        "approval_used",
        "approval_denied",
        "approval_given",
    ];
    assert_eq!(codes, expected);
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
    world.flow.plan.store(Arc::new(plan.into()));
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
    /// A key that is revoked at the same look.
    revokes: Option<Arc<access::KeyLife>>,
    /// It is withdrawn just before it is used.
    withdraws: bool,
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
            self.revokes.iter().for_each(|life| life.revoke());
        }
        self.inner.find(id)
    }
    fn vote(&self, id: &str, vote: &Vote) -> Result<ApprovalRow, ApprovalsError> {
        self.inner.vote(id, vote)
    }
    fn spend(&self, id: &str, by: &str, now_us: u64) -> Result<bool, ApprovalsError> {
        if self.withdraws {
            let denial = Vote {
                by: "cat".into(),
                at_us: now_us,
                approves: false,
                note: None,
            };
            self.inner.vote(id, &denial)?;
        }
        self.inner.spend(id, by, now_us)
    }
    fn list(&self, filter: &ApprovalFilter) -> Result<Vec<ApprovalRow>, ApprovalsError> {
        self.inner.list(filter)
    }
    fn pending(&self, now_us: u64) -> Result<u64, ApprovalsError> {
        self.inner.pending(now_us)
    }
}

fn with_slow(world: World, approves: bool) -> World {
    let slow = Slow {
        inner: MemoryApprovals::default(),
        looks: 0.into(),
        approves,
        revokes: None,
        withdraws: false,
    };
    with_store(world, slow)
}

fn with_store(mut world: World, store: impl Approvals + 'static) -> World {
    let flow = Arc::get_mut(&mut world.flow).expect("nobody else has it");
    flow.approvals = Some(ApprovalLane::new(Arc::new(store)).expect("a thread"));
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
            let rows = open(&world, Some(ApprovalState::Pending));
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
fn a_whole_answer_waits_for_the_approval_of_all_its_tools_at_once() {
    let settings = json!({"tools": ["get_*", "put_*"], "wait_ms": 30_000});
    let both = super::rules::TOOL_ANSWER.replace(
        "\"tool_calls\":[",
        "\"tool_calls\":[{\"id\":\"t0\",\"type\":\"function\",\"function\":{\"name\":\"put_it\",\"arguments\":\"{}\"}},",
    );
    for approves in [true, false] {
        let plain = world(&rule(settings.clone()), Script::json(200, &both));
        let world = with_slow(plain, approves);
        let got = world.call(CHAT, BARE);
        assert_eq!(got.status, if approves { 200 } else { 403 }, "{}", got.body);
        assert_eq!(got.body.contains("get_weather"), approves, "{}", got.body);
        let asked = open(&world, None);
        let things: Vec<&str> = asked[0].needs.iter().map(|it| it.what.as_str()).collect();
        assert_eq!(things, ["tool put_it", "tool get_weather"]);
        assert_eq!(asked.len(), 1, "one question for both");
    }
}

#[test]
fn a_model_needs_its_approval_under_every_name() {
    let rules = rule(json!({"models": ["UP-*"]}));
    for name in ["m", "openai/up-m", "up-m"] {
        let world = world(&rules, answer(false, false));
        let body = BARE.replace("\"m\"", &format!("\"{name}\""));
        let got = world.call(CHAT, &body);
        assert!(matches!(got.status, 403 | 404), "{name}: {}", got.body);
        assert!(world.sent().is_empty(), "{name}");
        if name == "m" {
            let id = pending(&got);
            assert_eq!(open(&world, None)[0].needs[0].what, "model up-m");
            vote(&world, &id, "bob", true).expect("a vote");
            assert_eq!(again(&world, CHAT, &body, &id).status, 200);
        }
    }
}

#[test]
fn a_candidate_that_needs_an_approval_is_left_out_while_there_is_another() {
    let with = |patterns: Value| {
        let mut plan = plan::Plan {
            policy: super::rules::policy(&rule(json!({"models": patterns}))),
            ..super::world::plan(&[("openai", "openai_chat"), ("mistral", "openai_chat")])
        };
        let of = |index, name| routing::Candidate::new(index, name, None);
        plan.models.name("m", vec![of(0, "big"), of(1, "small")]);
        World::of(plan, vec![Ok(answer(false, false))])
    };
    let world = with(json!(["big"]));
    let got = world.call(CHAT, BARE);
    assert_eq!(got.status, 200, "{}", got.body);
    assert_eq!(got.headers["tollgate-provider"], "mistral");
    let world = with(json!(["big", "small"]));
    pending(&world.call(CHAT, BARE));
    let needs = &open(&world, None)[0].needs;
    let things: Vec<&str> = needs.iter().map(|it| it.what.as_str()).collect();
    assert_eq!(things, ["model big", "model small"]);
}

#[test]
fn the_same_body_for_another_model_or_by_another_user_is_another_call() {
    let gemini = DIALECTS.iter().copied().find(|it| it.id().0 == "gemini");
    let (path, body) = ask(gemini.expect("it exists"), BARE, false);
    let mut plan = plan::Plan {
        policy: super::rules::policy(&rule(json!({"models": ["*"]}))),
        ..super::world::plan(&[("openai", "openai_chat")])
    };
    let candidate = routing::Candidate::new(0, "up-m", None);
    plan.models.name("n", vec![candidate]);
    let world = World::of(plan, vec![Ok(answer(false, false))]);
    let id = pending(&world.call(&path, &body));
    vote(&world, &id, "bob", true).expect("a vote");
    let other = path.replace("/m:", "/n:");
    assert_ne!(other, path);
    let refused = again(&world, &other, &body, &id);
    assert!(
        refused.body.contains("model or the body"),
        "{}",
        refused.body
    );
    // To count its tokens is another thing than to have it answered.
    let counts = path.replace(":generateContent", ":countTokens");
    assert_ne!(counts, path);
    let refused = again(&world, &counts, &body, &id);
    assert!(refused.body.contains("another request"), "{}", refused.body);
    let counted = pending(&world.call(&counts, &body));
    assert_ne!(counted, id);
    vote(&world, &counted, "bob", true).expect("a vote");
    assert_eq!(again(&world, &path, &body, &counted).status, 403);
    assert!(world.sent().is_empty());
    let headers = [AUTH, ("tollgate-approval", &*id), ("tollgate-user", "ann")];
    let refused = world.call_with(&path, &body, &headers);
    assert!(
        refused.body.contains("no such approval"),
        "{}",
        refused.body
    );
    assert_eq!(again(&world, &path, &body, &id).status, 200);
}

#[test]
fn what_is_denied_anyway_asks_nobody_and_uses_nothing() {
    let needs = ("r", "approval", json!({"models": ["m"]}), Mode::Enforce);
    let plain = world(std::slice::from_ref(&needs), answer(false, false));
    let id = pending(&plain.call(CHAT, BARE));
    vote(&plain, &id, "bob", true).expect("a vote");
    let denies = ("d", "operations", json!({"deny": ["chat"]}), Mode::Enforce);
    let plan = plan::Plan {
        policy: super::rules::policy(&[needs, denies]),
        ..super::world::plan(&[("openai", "openai_chat")])
    };
    let before = plain.flow.plan.swap(Arc::new(plan.into()));
    for got in [plain.call(CHAT, BARE), again(&plain, CHAT, BARE, &id)] {
        assert_eq!(got.status, 403);
        assert!(got.body.contains("`d`"), "{}", got.body);
        assert!(!got.headers.contains_key("tollgate-approval"));
    }
    plain.flow.plan.store(before);
    assert_eq!(again(&plain, CHAT, BARE, &id).status, 200, "still unused");
}

#[test]
fn a_key_has_so_many_open_questions() {
    let world = world(&rule(json!({"models": ["m"]})), answer(false, false));
    let full = (0..1_000).find_map(|nth| {
        let got = world.call(CHAT, &BARE.replace("hi", &format!("hi {nth}")));
        assert_eq!(got.status, 403, "{}", got.body);
        (!got.headers.contains_key("tollgate-approval")).then_some(got)
    });
    let full = full.expect("a limit");
    assert!(
        full.body.contains("approvals of this key are open"),
        "{}",
        full.body
    );
    assert_eq!(full.headers["x-should-retry"], "false");
    let records = world.records();
    let last = records.last().expect("a record");
    assert!(
        last.decisions
            .iter()
            .any(|it| it.reason == "approvals_full")
    );
    // What has been asked is still told.
    pending(&world.call(CHAT, &BARE.replace("hi", "hi 0")));
}
