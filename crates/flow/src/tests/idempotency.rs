//! Calls with an idempotency key: what a repeat gets, whose a key is, and how
//! long it is kept.

mod ends;
mod stores;
mod waits;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll};

use access::Consumer;
use contract::Secret;
use contract::seams::{Alarm, Clock, Ticks, WireFaultKind};
use dialects::DIALECTS;
use evidence::{Decision, Outcome, Record, Value};
use plan::{Idempotency, Plan};
use store::{MemoryReplies, ReplyLane};

use super::rules::{answer, ask};
use super::world::{Got, Script, World};
use super::{ANSWER, ASK, ASK_STREAM, CHAT, DONE, FRAMES};

const BARE: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
const AUTH: (&str, &str) = ("authorization", "Bearer tg-test");
/// A key of another tenant, and of another app of the same one.
const OTHER_TENANT: (&str, &str) = ("authorization", "Bearer tg-other-tenant");
const OTHER_APP: (&str, &str) = ("authorization", "Bearer tg-other-app");

/// A clock whose wall time is set by hand. Alarms of less than a second ring
/// when they are looked at twice, and move the time; the others never do.
#[derive(Default)]
struct Hand {
    now: Arc<AtomicU64>,
    wall_us: AtomicU64,
}

struct HandAlarm {
    now: Arc<AtomicU64>,
    at: Ticks,
    looked: bool,
}

impl Clock for Hand {
    fn now(&self) -> Ticks {
        Ticks(self.now.load(SeqCst))
    }
    fn unix_us(&self) -> u64 {
        1_700_000_000_000_000 + self.wall_us.load(SeqCst)
    }
    fn alarm(&self, at: Ticks) -> Box<dyn Alarm> {
        Box::new(HandAlarm {
            now: self.now.clone(),
            at,
            looked: false,
        })
    }
}

impl Alarm for HandAlarm {
    fn set(&mut self, at: Ticks) {
        self.at = at;
        self.looked = false;
    }
    fn poll_ring(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let left_ns = self.at.since_ns(Ticks(self.now.load(SeqCst)));
        if left_ns == 0 {
            return Poll::Ready(());
        }
        if self.looked && left_ns < 1_000_000_000 {
            self.now.fetch_max(self.at.0, SeqCst);
            return Poll::Ready(());
        }
        self.looked = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A world with these settings, and its clock.
fn world_of(
    settings: Idempotency,
    scripts: Vec<Result<Script, WireFaultKind>>,
) -> (World, Arc<Hand>) {
    world_with(plan(settings), scripts)
}

fn world_with(plan: Plan, scripts: Vec<Result<Script, WireFaultKind>>) -> (World, Arc<Hand>) {
    let mut world = World::of(plan, scripts);
    let clock = Arc::new(Hand::default());
    let replies = Arc::new(MemoryReplies::default());
    let lane = ReplyLane::new(replies, clock.clone(), "p1".into()).expect("a thread");
    let flow = Arc::get_mut(&mut world.flow).expect("nobody else has it");
    flow.clock = clock.clone();
    flow.replies = Some(lane);
    (world, clock)
}

fn plan(settings: Idempotency) -> Plan {
    let mut plan = Plan {
        idempotency: settings,
        ..super::world::plan(&[("openai", "openai_chat")])
    };
    for (secret, tenant, app) in [("tg-other-tenant", "t2", "a"), ("tg-other-app", "t", "a2")] {
        let consumer = Consumer::new("k2", tenant, app);
        assert!(plan.keys.add(&Secret::new(secret.into()), consumer));
    }
    for provider in &mut plan.providers {
        let times = &mut Arc::get_mut(provider).expect("nobody else has it").times;
        // No alarm of theirs ever rings.
        (times.idle_ms, times.total_ms) = (1 << 40, 1 << 40);
        times.first_token_ms = 1 << 40;
    }
    plan
}

fn retaining() -> Idempotency {
    Idempotency {
        retains: true,
        ..Idempotency::default()
    }
}

fn keyed(world: &World, path: &str, body: &str, key: &str) -> Got {
    world.call_with(path, body, &[AUTH, ("idempotency-key", key)])
}

fn header<'a>(got: &'a Got, name: &str) -> &'a str {
    let value = got.headers.get(name).map(|value| value.to_str());
    value.map_or("", |value| value.expect("ASCII"))
}

/// What the record says of the key.
fn noted(record: &Record) -> &Decision {
    let mut decisions = record.decisions.iter();
    let found = decisions.find(|it| it.stage == "idempotency");
    found.expect("a decision on the key")
}

fn read(decision: &Decision, name: &str) -> String {
    let found = decision.readings.iter().find(|it| it.name == name);
    match found.map(|it| &it.value) {
        Some(Value::Word(word)) => word.to_string(),
        Some(Value::Name(name)) => name.to_string(),
        Some(Value::Int(number)) => number.to_string(),
        None => String::new(),
    }
}

/// What `/metrics` counts.
fn counted(world: &World, result: &str) -> u64 {
    let sample = format!("tollgate_idempotency_total{{result=\"{result}\"}} ");
    let text = world.flow.evidence.meter().render();
    let line = text.lines().find_map(|line| line.strip_prefix(&sample));
    line.map_or(0, |count| count.parse().expect("a number"))
}

/// A 422 with this code, which no SDK tries again.
fn refused(got: &Got, code: &str) {
    assert_eq!(got.status, 422, "{}", got.body);
    assert!(got.body.contains(code), "{code}: {}", got.body);
    assert_eq!(header(got, "x-should-retry"), "false");
    assert_eq!(header(got, "tollgate-idempotent-replay"), "");
}

#[test]
fn a_repeat_gets_the_answer_again_on_every_door() {
    for door in DIALECTS.iter().copied() {
        for stream in [false, true] {
            let case = format!("{} stream={stream}", door.id());
            let (path, body) = ask(door, BARE, stream);
            let (world, _) = world_of(retaining(), vec![Ok(answer(stream, false))]);
            let first = keyed(&world, &path, &body, "k-1");
            assert_eq!(first.status, 200, "{case}: {}", first.body);
            assert_eq!(header(&first, "tollgate-idempotent-replay"), "");
            let again = keyed(&world, &path, &body, "k-1");
            assert_eq!((again.status, &again.body), (200, &first.body), "{case}");
            for name in [
                "content-type",
                "cache-control",
                "tollgate-provider",
                "tollgate-loss",
            ] {
                assert_eq!(header(&again, name), header(&first, name), "{case} {name}");
            }
            assert_eq!(header(&again, "tollgate-idempotent-replay"), "true");
            let id = header(&first, "tollgate-request-id");
            assert_eq!(header(&again, "tollgate-original-request-id"), id);
            assert_ne!(header(&again, "tollgate-request-id"), id);
            assert_eq!(header(&again, "tollgate-attempts"), "", "{case}");
            assert_eq!(world.sent().len(), 1, "{case}");
            let [one, two] = &world.records()[..] else {
                panic!("two records for {case}")
            };
            assert_eq!(
                (one.outcome, two.outcome),
                (Outcome::Complete, Outcome::Complete)
            );
            assert!(
                two.attempts.is_empty() && two.usage.output_total() == 0,
                "{case}"
            );
            assert!(one.usage.output_total() > 0, "{case}");
            assert_eq!(noted(one).reason, "first");
            assert_eq!(noted(two).verdict, "replay");
            assert_eq!(read(noted(two), "first_call"), id);
            assert_eq!(
                (counted(&world, "first"), counted(&world, "replay")),
                (1, 1)
            );
        }
    }
}

#[test]
fn embeddings_are_kept_as_well() {
    let vectors = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"model":"up-m","usage":{"prompt_tokens":1,"total_tokens":1}}"#;
    let (world, _) = world_of(retaining(), vec![Ok(Script::json(200, vectors))]);
    let body = r#"{"model":"m","input":"hi"}"#;
    let first = keyed(&world, "/v1/embeddings", body, "k");
    let again = keyed(&world, "/v1/embeddings", body, "k");
    assert_eq!((first.status, &first.body), (200, &again.body));
    assert_eq!(header(&again, "tollgate-idempotent-replay"), "true");
}

#[test]
fn without_retained_answers_a_late_repeat_is_told_so_on_every_door() {
    for door in DIALECTS.iter().copied() {
        for stream in [false, true] {
            let (path, body) = ask(door, BARE, stream);
            let scripts = vec![Ok(answer(stream, false))];
            let (world, _) = world_of(Idempotency::default(), scripts);
            let first = keyed(&world, &path, &body, "k-1");
            assert_eq!(first.status, 200, "{}", first.body);
            for _ in 0..2 {
                let again = keyed(&world, &path, &body, "k-1");
                refused(&again, "completed_not_retained");
                let id = header(&first, "tollgate-request-id");
                assert!(again.body.contains(id), "{}", again.body);
            }
            assert_eq!(world.sent().len(), 1);
            assert_eq!(counted(&world, "completed_not_retained"), 2);
            let held = world.flow.replies.as_ref().expect("a lane").store().held();
            assert_eq!(held.expect("readable").bytes, 0);
        }
    }
}

#[test]
fn another_request_under_the_same_key_is_a_conflict() {
    let (world, _) = world_of(retaining(), vec![Ok(Script::json(200, ANSWER))]);
    assert_eq!(keyed(&world, CHAT, BARE, "k").status, 200);
    let spaced = BARE.replace(':', ": ");
    let messages = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
    for (path, body) in [
        (CHAT, ASK),
        (CHAT, spaced.as_str()),
        ("/v1/chat/completions?x=1", BARE),
        ("/v1/messages", messages),
    ] {
        let got = keyed(&world, path, body, "k");
        refused(&got, "idempotency_conflict");
        assert!(!got.body.contains("hello"), "{}", got.body);
    }
    assert_eq!(world.sent().len(), 1);
    assert_eq!(counted(&world, "conflict"), 4);
    let records = world.records();
    let last = records.last().expect("a record");
    assert_eq!((last.status, last.outcome), (422, Outcome::Refused));
    assert_eq!(read(noted(last), "same_request"), "0");
}

#[test]
fn the_same_key_of_another_tenant_or_app_is_another_key() {
    let scripts = (0..3).map(|_| Ok(Script::json(200, ANSWER)));
    let (world, _) = world_of(retaining(), scripts.collect());
    let of = |who, body| world.call_with(CHAT, body, &[who, ("idempotency-key", "k")]);
    assert_eq!(of(AUTH, BARE).status, 200);
    for who in [OTHER_TENANT, OTHER_APP] {
        // Even with another body there is no conflict to learn from.
        let first = of(who, ASK);
        assert_eq!(first.status, 200, "{}", first.body);
        assert_eq!(header(&first, "tollgate-idempotent-replay"), "");
        refused(&of(who, BARE), "idempotency_conflict");
    }
    assert_eq!(world.sent().len(), 3);
    assert_eq!(
        header(&of(AUTH, BARE), "tollgate-idempotent-replay"),
        "true"
    );
}

/// A backend that speaks for several tenants keeps their keys apart.
#[test]
fn a_key_is_of_the_tenant_that_is_spoken_for() {
    let scripts = (0..2).map(|_| Ok(Script::json(200, ANSWER)));
    let mut plan = plan(retaining());
    let trusted = Consumer {
        asserts: access::Asserts {
            tenant: true,
            app: true,
            user: false,
        },
        ..Consumer::new("k3", "t3", "a")
    };
    assert!(plan.keys.add(&Secret::new("tg-trusted".into()), trusted));
    let (world, _) = world_with(plan, scripts.collect());
    let of = |tenant| {
        let auth = ("authorization", "Bearer tg-trusted");
        let headers = [auth, ("idempotency-key", "k"), ("tollgate-tenant", tenant)];
        let got = world.call_with(CHAT, BARE, &headers);
        assert_eq!(got.status, 200, "{}", got.body);
        header(&got, "tollgate-idempotent-replay") == "true"
    };
    let replays = ["acme", "umbrella", "acme", "umbrella"].map(of);
    assert_eq!(replays, [false, false, true, true]);
}

#[test]
fn a_listener_that_observes_leaves_keys_alone() {
    let scripts = (0..2).map(|_| Ok(Script::json(200, ANSWER)));
    let (world, _) = world_of(retaining(), scripts.collect());
    let headers = [
        ("authorization", "Bearer sk-theirs-0123456789"),
        ("idempotency-key", "k"),
    ];
    for _ in 0..2 {
        let caller = super::observe::watching(None);
        let got = world.ask_as(caller, (http::Method::POST, CHAT, BARE), &headers);
        assert_eq!((got.status, got.body.as_str()), (200, ANSWER));
        assert_eq!(header(&got, "tollgate-loss"), "");
    }
    assert_eq!(world.sent().len(), 2);
    let held = world.flow.replies.as_ref().expect("a lane").store().held();
    assert_eq!(held.expect("readable").keys, 0);
}

#[test]
fn a_key_is_new_once_its_time_is_over() {
    let scripts = (0..2).map(|_| Ok(Script::json(200, ANSWER)));
    let settings = Idempotency {
        ttl_us: 60_000_000,
        ..retaining()
    };
    let (world, clock) = world_of(settings, scripts.collect());
    assert_eq!(keyed(&world, CHAT, BARE, "k").status, 200);
    clock.wall_us.store(59_999_999, SeqCst);
    let again = keyed(&world, CHAT, BARE, "k");
    assert_eq!(header(&again, "tollgate-idempotent-replay"), "true");
    clock.wall_us.store(60_000_000, SeqCst);
    let anew = keyed(&world, CHAT, BARE, "k");
    assert_eq!(
        (anew.status, header(&anew, "tollgate-attempts")),
        (200, "1")
    );
    assert_eq!(world.sent().len(), 2);
}

#[test]
fn a_key_that_is_none_is_refused() {
    let long = "k".repeat(256);
    let longest = "k".repeat(255);
    let key = |value| ("idempotency-key", value);
    let bad: [&[(&str, &str)]; 5] = [
        &[AUTH, key("")],
        &[AUTH, key(&long)],
        &[AUTH, key("caf\u{e9}")],
        &[AUTH, key("a"), key("b")],
        &[AUTH, key("a"), key("a")],
    ];
    let (world, _) = world_of(retaining(), vec![Ok(Script::json(200, ANSWER))]);
    for headers in bad {
        let got = world.call_with(CHAT, BARE, headers);
        assert_eq!(got.status, 400, "{headers:?}: {}", got.body);
        assert!(got.body.contains("idempotency-key"), "{}", got.body);
    }
    assert!(world.sent().is_empty());
    assert_eq!(keyed(&world, CHAT, BARE, &longest).status, 200);
}

#[test]
fn calls_without_a_key_and_counts_leave_nothing_behind() {
    let scripts = (0..2).map(|_| Ok(Script::json(200, ANSWER)));
    let (world, _) = world_of(retaining(), scripts.collect());
    for _ in 0..2 {
        assert_eq!(world.call(CHAT, BARE).status, 200);
    }
    assert_eq!(world.sent().len(), 2);
    let count = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    for _ in 0..2 {
        let got = keyed(&world, "/v1/messages/count_tokens", count, "k");
        assert_eq!(got.status, 200, "{}", got.body);
        assert_eq!(header(&got, "tollgate-idempotent-replay"), "");
    }
    let held = world.flow.replies.as_ref().expect("a lane").store().held();
    assert_eq!(held.expect("readable").keys, 0);
}

#[test]
fn a_gateway_that_keeps_no_keys_says_so() {
    let settings = Idempotency {
        enabled: false,
        ..retaining()
    };
    let scripts = (0..2).map(|_| Ok(Script::json(200, ANSWER)));
    let (world, _) = world_of(settings, scripts.collect());
    for _ in 0..2 {
        let got = keyed(&world, CHAT, BARE, "k");
        assert_eq!(got.status, 200, "{}", got.body);
        assert_eq!(header(&got, "tollgate-loss"), "idempotency-key");
    }
    assert_eq!(world.sent().len(), 2);
    let mut strict = plan(settings);
    strict.settings.losses = plan::LossPolicy::Refuse;
    let (world, _) = world_with(strict, Vec::new());
    let got = keyed(&world, CHAT, BARE, "k");
    assert_eq!(got.status, 400, "{}", got.body);
    assert!(
        got.body.contains("a repeat is a second call"),
        "{}",
        got.body
    );
}
