//! Cases of roll-outs: who runs under the candidate, and what is counted.

use std::future::Future as _;
use std::sync::Arc;
use std::task::{Context, Waker};

use access::{Consumer, KeyRing};
use bytes::Bytes;
use contract::Secret;
use evidence::{End, SidesCount, Value};
use http::{HeaderValue, Method, Request};
use plan::{InForce, Plan, Rollout, Share};

use super::world::{Got, Script, Step, World, plan};
use super::{ANSWER, ASK, ASK_STREAM, CHAT, DONE, FRAMES};
use crate::Caller;

const OLD: &str = "0123456789abcdef";
const NEW: &str = "fedcba9876543210";

/// Keys by their tenants.
fn keys(of: &[(&str, &str)]) -> KeyRing {
    let mut ring = KeyRing::new([1; 32]);
    for (key, tenant) in of {
        let consumer = Consumer::new(*key, *tenant, "app");
        assert!(ring.add(&Secret::new(format!("tg-{key}")), consumer));
    }
    ring
}

/// The usual plan with these keys and this digest.
fn with(digest: &'static str, keys: KeyRing) -> Arc<Plan> {
    Arc::new(Plan {
        digest: digest.into(),
        digest_header: HeaderValue::from_static(digest),
        keys,
        ..plan(&[("openai", "openai_chat")])
    })
}

const KEYS: &[(&str, &str)] = &[("a", "acme"), ("b", "acme"), ("c", "globex")];

/// A world in which this share tries a candidate with these keys.
fn world(percent: f64, tenants: &[&str], candidate: &[(&str, &str)]) -> World {
    let script = || Ok(Script::json(200, ANSWER));
    let world = World::new(
        &[("openai", "openai_chat")],
        (0..64).map(|_| script()).collect(),
    );
    let tenants = tenants.iter().map(|name| (*name).to_owned()).collect();
    roll_out(
        &world,
        Some(Arc::new(Rollout {
            candidate: with(NEW, keys(candidate)),
            share: Share::new(NEW, percent, tenants).expect("a share"),
            abort: None,
        })),
    );
    world.flow.evidence.meter().rollout_begins();
    world
}

fn roll_out(world: &World, rollout: Option<Arc<Rollout>>) {
    world.flow.plan.store(Arc::new(InForce {
        plan: with(OLD, keys(KEYS)),
        rollout,
    }));
}

fn ask(world: &World, key: &str) -> Got {
    let bearer = format!("Bearer tg-{key}");
    world.call_with(CHAT, ASK, &[("authorization", &bearer)])
}

fn digest(got: &Got) -> &str {
    got.headers["tollgate-plan"].to_str().expect("text")
}

fn counted(world: &World) -> SidesCount {
    let sides = world.flow.evidence.meter().sides();
    sides.expect("a roll-out is on").now()
}

#[test]
fn a_named_tenant_runs_under_the_candidate_and_the_others_do_not() {
    let world = world(0.0, &["acme"], KEYS);
    for (key, plan) in [("a", NEW), ("b", NEW), ("c", OLD), ("a", NEW)] {
        let got = ask(&world, key);
        assert_eq!((got.status, digest(&got)), (200, plan), "{key}");
    }
    let now = counted(&world);
    assert_eq!((now.candidate.calls(), now.in_force.calls()), (3, 1));
    let records = world.records();
    assert_eq!(records[0].plan.as_deref(), Some(NEW));
    assert_eq!(records[2].plan.as_deref(), Some(OLD));
    let told = &records[0].decisions[0];
    assert_eq!(
        (&*told.stage, &*told.verdict, &*told.reason),
        ("rollout", "candidate", "tenant")
    );
    let names: Vec<&str> = told.readings.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["salt", "bucket", "share_hundredths", "in_force"]);
    assert_eq!(told.readings[3].value, Value::Word(OLD.into()));
    assert_eq!(records[2].decisions[0].verdict, "in_force");
}

#[test]
fn each_caller_stays_on_its_side() {
    let names: Vec<String> = (0..16).map(|n| format!("k{n}")).collect();
    let all: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "t")).collect();
    let world = world(50.0, &[], &all);
    let rollout = world.flow.plan.load().rollout.clone();
    world.flow.plan.store(Arc::new(InForce {
        plan: with(OLD, keys(&all)),
        rollout,
    }));
    let sides = || -> Vec<String> {
        let gots = names.iter().map(|name| ask(&world, name));
        gots.map(|got| digest(&got).to_owned()).collect()
    };
    let first = sides();
    assert!(first.iter().any(|plan| plan == OLD) && first.iter().any(|plan| plan == NEW));
    assert_eq!(first, sides());
}

#[test]
fn whom_the_plan_in_force_does_not_know_stays_with_it() {
    let world = world(100.0, &[], &[("a", "acme"), ("new", "acme")]);
    for key in ["new", "nobody"] {
        let got = ask(&world, key);
        assert_eq!((got.status, digest(&got)), (401, OLD), "{key}");
    }
    let now = counted(&world);
    assert_eq!((now.candidate.calls(), now.in_force.calls()), (0, 0));
    assert!(world.records().iter().all(|it| it.decisions.is_empty()));
}

#[test]
fn whom_the_candidate_does_not_know_is_refused_and_counted() {
    let world = world(100.0, &[], &[("a", "acme")]);
    let got = ask(&world, "c");
    assert_eq!((got.status, digest(&got)), (401, NEW));
    assert_eq!(ask(&world, "a").status, 200);
    let now = counted(&world).candidate;
    assert_eq!((now.ended(End::Denied), now.ended(End::Ok)), (1, 1));
    assert_eq!(world.sent().len(), 1);
}

#[test]
fn a_call_ends_on_the_side_on_which_it_began() {
    let script = Script::sse(&[&FRAMES[..], &[DONE]].concat());
    let world = world(100.0, &[], KEYS);
    *world.wire.scripts.lock().expect("unpoisoned") = [Ok(script)].into();
    let request = Request::builder()
        .method(Method::POST)
        .uri(CHAT)
        .header("authorization", "Bearer tg-a");
    let (head, ()) = request.body(()).expect("a request").into_parts();
    let Ok(exchange) = world.flow.open(head, Caller::default()) else {
        panic!("refused");
    };
    let sides = world.flow.evidence.meter().sides().expect("it is on");
    roll_out(&world, None);
    world.flow.evidence.meter().rollout_share(None);
    let body = Bytes::from_static(ASK_STREAM.as_bytes());
    let reply = futures_executor::block_on(exchange.run(Ok(body)));
    assert_eq!(reply.headers["tollgate-plan"], NEW);
    // Its caller goes away before the stream has ended.
    drop(reply);
    let now = sides.now().candidate;
    assert_eq!((now.calls(), now.ended(End::Cancelled)), (1, 1));
    assert_eq!(digest(&ask(&world, "nobody")), OLD);
}

#[test]
fn callers_who_give_up_a_hanging_candidate_say_how_long_they_waited() {
    let world = world(100.0, &[], KEYS);
    let hangs = || Ok(Script::json(200, "").then(Step::Silence));
    *world.wire.scripts.lock().expect("unpoisoned") = [hangs(), hangs()].into();
    for ask in [ASK, ASK_STREAM] {
        let request = Request::builder().method(Method::POST).uri(CHAT);
        let request = request.header("authorization", "Bearer tg-a");
        let (head, ()) = request.body(()).expect("a request").into_parts();
        let Ok(exchange) = world.flow.open(head, Caller::default()) else {
            panic!("refused");
        };
        let body = Bytes::from_static(ask.as_bytes());
        let mut going = Box::pin(exchange.run(Ok(body)));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            assert!(going.as_mut().poll(&mut context).is_pending());
        }
        // Here the caller has had enough.
        drop(going);
    }
    let now = counted(&world).candidate;
    assert_eq!((now.calls(), now.ended(End::Cancelled)), (2, 2));
    assert_eq!(now.latency().count(), 2);
    // Each poll of the alarm took a second.
    assert!(now.latency().percent(1).0 >= 2_000_000);
    assert_eq!(now.first_token().count(), 1, "only one was a stream");
    assert!(now.first_token().percent(95).0 >= 2_000_000);
}
