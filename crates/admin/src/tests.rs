//! Cases of the admin API, over a journal in memory and an index in a folder
//! of the test.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use contract::Secret;
use evidence::{FaultNote, LogLine, Meter, Outcome, Record, RequestId, RouteKey};
use http::HeaderValue;
use serde_json::Value;
use store::{IndexOptions, MemoryJournal};
use tempfile::TempDir;

use super::*;

mod approvals;
mod audit;
mod keys;
mod pages;
mod plans;
mod policy;
mod roles;
mod rollouts;
mod spend;

/// How long one question for the index may take, and how many there may be
/// before a test is given up.
const CATCH_UP: Duration = Duration::from_millis(50);
const CATCH_UPS_MAX: usize = 1_000;
/// 2025-11-21T10:00:00Z.
const NOW_US: u64 = 1_763_719_200_000_000;
const KEY: &str = "tg-admin-0123456789abcdef";
const DOCUMENT: &str = r#"
providers:
  box: {kind: sandbox}
models:
  small: box/echo
keys:
  - {id: k1, secret: '${env:CALLER}', tenant: acme, app: shop}
"#;

struct NoSources;

impl plan::Sources for NoSources {
    fn env(&self, name: &str) -> Option<String> {
        match name {
            "CALLER" => Some("tg-0123456789012345678".to_owned()),
            // `OP_VIEWER_1` is a credential of 24 characters or more.
            name => name
                .strip_prefix("OP_")
                .map(|who| format!("tg-op-{who}-0123456789012345678901")),
        }
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("there are no files here".to_owned())
    }
}

fn figures() -> Figures {
    Figures {
        plan_loaded_us: NOW_US - 2_000_000,
        connections: ConnectionFigures {
            accepted: 9,
            turned_away: 1,
            tls_failed: 0,
        },
        listeners: vec![ListenerFigures {
            name: "data".to_owned(),
            address: "127.0.0.1:4100".to_owned(),
            open: 5,
        }],
        pools: vec![PoolFigures {
            provider: Some("box".to_owned()),
            address: "up.example:443".to_owned(),
            open: 4,
            idle: 1,
            in_use: 3,
            waiting: 2,
            limit: 8,
        }],
        issuers: vec![IssuerFigures {
            name: "login".to_owned(),
            keys: 2,
            fetched_s: 1_700_000_000,
            failures: 3,
            trouble: Some("it is down".to_owned()),
        }],
    }
}

struct World {
    api: Api,
    plan: Arc<ArcSwap<InForce>>,
    plans: Arc<Plans>,
    evidence: Evidence,
    index: Option<Arc<RecordIndex>>,
    dir: TempDir,
    /// What the admin key that is in force can be asked with, and when.
    now_us: u64,
}

fn compile(text: &str) -> Result<(plan::Compiled, plan::Kept), Vec<plan::Diagnostic>> {
    let given = plan::Given {
        sources: &NoSources,
        ring_key: [1; 32],
        digest_key: [2; 32],
    };
    let draft = plan::read(text, &NoSources)?;
    let kept = plan::keep(&draft.document);
    plan::compile(&draft, &given).map(|compiled| (compiled, kept))
}

/// Makes plans and puts them in force in this cell and this meter.
fn hands(cell: &Arc<ArcSwap<InForce>>, meter: &Arc<Meter>) -> Hands {
    let (cell, meter) = (cell.clone(), meter.clone());
    Hands {
        compile: Arc::new(|text| compile(text).map(candidate)),
        put: Arc::new(move |in_force, ended| {
            if in_force.rollout.is_some() && meter.sides().is_none() {
                meter.rollout_begins();
            }
            if let Some(ended) = ended {
                meter.rollout_share(None);
                meter.rollout_ended(ended.name());
            }
            cell.store(Arc::new(in_force));
        }),
    }
}

fn candidate((compiled, kept): (plan::Compiled, plan::Kept)) -> Candidate {
    Candidate {
        kept,
        restart_needed: match compiled.workers {
            Some(_) => vec!["workers"],
            None => Vec::new(),
        },
        plan: Arc::new(compiled.plan),
    }
}

/// The plans of a folder, of which this document is the first.
fn plans(
    dir: &std::path::Path,
    document: &str,
    owner: plan::Owner,
    meter: &Arc<Meter>,
) -> (Arc<Plans>, Audit, Arc<ArcSwap<InForce>>) {
    let (compiled, kept) = compile(document).unwrap();
    let cell = Arc::new(ArcSwap::from_pointee(InForce::from(compiled.plan)));
    let audit = Audit::new(&dir.join("audit"), [7; 16]);
    let versions = Versions::open(&dir.join("plans")).unwrap();
    let now = (cell.load().plan.clone(), kept);
    let plans = Plans::new(versions, audit.clone(), owner, hands(&cell, meter), now);
    let file = Author::itself("file", NOW_US);
    plans.begin(&file).unwrap();
    plans.resume(&file).unwrap();
    (Arc::new(plans), audit, cell)
}

impl World {
    fn new() -> Self {
        Self::with(true)
    }

    /// The index sleeps for an hour after each look, unless a test waits for
    /// it: so its lag is what the test makes it.
    fn with(has_index: bool) -> Self {
        Self::of(has_index, DOCUMENT, plan::Owner::File)
    }

    /// With this document and owner of the plan.
    fn of(has_index: bool, document: &str, owner: plan::Owner) -> Self {
        let approvals = Arc::new(store::MemoryApprovals::default());
        Self::keeping(has_index, (document, owner), approvals)
    }

    /// With this store of approvals.
    fn keeping(
        has_index: bool,
        (document, owner): (&str, plan::Owner),
        approvals: Arc<dyn store::Approvals>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = Arc::new(MemoryJournal::new(1_000, 100_000));
        let index = has_index.then(|| {
            let options = IndexOptions {
                interval_ms: 3_600_000,
                ..IndexOptions::default()
            };
            let path = dir.path().join("index.sqlite");
            let extract = Arc::new(evidence::extract);
            Arc::new(RecordIndex::open(&path, journal.clone(), extract, options).unwrap())
        });
        let meter = Arc::new(Meter::new());
        let (plans, audit, plan) = plans(dir.path(), document, owner, &meter);
        let evidence = Evidence::new(journal, meter, LogLine::Off, None);
        let api = Api::new(AdminState {
            evidence: evidence.clone(),
            index: Arc::new(index.clone().into()),
            plan: plan.clone(),
            reload: Arc::new(|_| {
                let told = "line 3: `kind: antrophic` is unknown";
                Err(Reply::fault(422, "configuration_refused", told))
            }),
            figures: Arc::new(figures),
            key: AdminKey::new(&Secret::new(KEY.to_owned())),
            audit,
            keys: crate::keys::tests::desk(),
            find_key: Arc::new(policy::find),
            counted: Arc::new(spend::counted),
            spent_by_all: Some(Arc::new(spend::by_all)),
            approvals,
            plans: plans.clone(),
            started_us: NOW_US - 5_000_000,
            workers: 2,
        });
        Self {
            api,
            plan,
            plans,
            evidence,
            index,
            dir,
            now_us: NOW_US + 100_000,
        }
    }

    /// Writes record `n`, which ended `n` milliseconds after [`NOW_US`].
    fn write(&self, n: u64, change: impl FnOnce(&mut Record)) -> RequestId {
        let id = RequestId::mint(NOW_US + n * 1_000, n);
        let mut record = Record::begin(id, NOW_US + n * 1_000);
        record.status = 200;
        record.outcome = Outcome::Complete;
        record.who.tenant = Some(if n.is_multiple_of(2) { "even" } else { "odd" }.into());
        change(&mut record);
        let route = self.evidence.meter().route(&RouteKey::default());
        let slot = self.evidence.admit().unwrap();
        drop(slot.write(&mut record, &route));
        id
    }

    fn write_all(&self, numbers: std::ops::RangeInclusive<u64>) {
        for n in numbers {
            self.write(n, |_| {});
        }
    }

    fn catch_up(&self) {
        // Asked again and again, because a look of the index that had begun
        // before the records came may end after the question.
        let index = self.index.as_ref().unwrap();
        assert!((0..CATCH_UPS_MAX).any(|_| index.catch_up(CATCH_UP)));
    }

    fn get(&self, target: &str) -> Reply {
        self.call(&Method::GET, target, Some(KEY), None)
    }

    fn call(
        &self,
        method: &Method,
        target: &str,
        key: Option<&str>,
        peer: Option<IpAddr>,
    ) -> Reply {
        self.call_with(method, target, &headers(key), peer)
    }

    fn call_with(
        &self,
        method: &Method,
        target: &str,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
    ) -> Reply {
        match self.open(method, target, headers, peer) {
            Answer::Reply(reply) => reply,
            Answer::Work(work) => work.run(),
            Answer::Body(taking) => taking.with(Bytes::new()).run(),
            Answer::Probe => Reply::text("text/plain", "probe".to_owned()),
            Answer::Follow(_) => panic!("{target} follows"),
        }
    }

    fn open(
        &self,
        method: &Method,
        target: &str,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
    ) -> Answer {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        self.api.open(&Call {
            method,
            path,
            query,
            headers,
            peer,
            now_us: self.now_us,
            request_id: RequestId::mint(self.now_us, 1),
        })
    }

    /// Sends a body with a key.
    fn post(&self, target: &str, key: &str, body: &str) -> (u16, Value) {
        let answer = self.open(&Method::POST, target, &headers(Some(key)), None);
        let reply = match answer {
            Answer::Body(taking) => taking.with(Bytes::from(body.to_owned())).run(),
            Answer::Reply(reply) => reply,
            Answer::Work(_) | Answer::Probe | Answer::Follow(_) => panic!("{target} takes no body"),
        };
        (reply.status.as_u16(), parse(&reply))
    }

    fn json(&self, target: &str) -> Value {
        let reply = self.get(target);
        assert_eq!(reply.status, 200, "{target}: {:?}", reply.body);
        parse(&reply)
    }

    fn sequences(&self, target: &str) -> Vec<u64> {
        sequences(&self.json(target))
    }

    fn follow(&self, target: &str) -> Box<Follow> {
        match self.open(&Method::GET, target, &headers(Some(KEY)), None) {
            Answer::Follow(follow) => follow,
            Answer::Reply(reply) => panic!("{:?}", reply.body),
            Answer::Probe | Answer::Work(_) | Answer::Body(_) => panic!("{target} does not follow"),
        }
    }
}

fn headers(key: Option<&str>) -> HeaderMap {
    let value = key.map(|key| HeaderValue::try_from(format!("Bearer {key}")).unwrap());
    value
        .into_iter()
        .map(|value| (http::header::AUTHORIZATION, value))
        .collect()
}

fn parse(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

fn sequences(page: &Value) -> Vec<u64> {
    let records = page["records"].as_array().unwrap();
    records
        .iter()
        .map(|record| record["sequence"].as_u64().unwrap())
        .collect()
}

fn remote(last: u8) -> Option<IpAddr> {
    Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, last)))
}

#[test]
fn a_record_just_written_is_found_before_the_index_has_it() {
    let world = World::new();
    world.write_all(1..=3);
    world.catch_up();
    let id = world.write(4, |_| {});
    let page = world.json("/v1/records");
    assert_eq!(sequences(&page), [4, 3, 2, 1]);
    assert_eq!(page["index_lag"], 1);
    assert_eq!(page["unsearched"], 0);
    for name in [
        id.to_string(),
        "4".to_owned(),
        id.to_string().replace('-', ""),
    ] {
        let record = world.json(&format!("/v1/records/{name}"));
        assert_eq!(record["request_id"], id.to_string());
    }
    world.catch_up();
    let page = world.json("/v1/records");
    assert_eq!(page["index_lag"], 0);
    assert_eq!(sequences(&page), [4, 3, 2, 1]);
    assert_eq!(
        world.json(&format!("/v1/records/{id}"))["request_id"],
        id.to_string()
    );
}

#[test]
fn without_an_index_the_journal_is_read() {
    let world = World::with(false);
    world.write_all(1..=5);
    assert_eq!(world.sequences("/v1/records?limit=2&tenant=odd"), [5, 3]);
    assert_eq!(world.json("/v1/records")["index_lag"], Value::Null);
    assert_eq!(world.json("/v1/records/2")["status"], 200);
}

#[test]
fn pages_stay_the_same_while_records_arrive() {
    for indexed in [0, 3, 7, 10] {
        let world = World::new();
        for n in 1..=10 {
            world.write(n, |_| {});
            if n == indexed {
                world.catch_up();
            }
        }
        let mut seen = Vec::new();
        let mut target = "/v1/records?limit=4".to_owned();
        loop {
            let page = world.json(&target);
            seen.extend(sequences(&page));
            let Some(next) = page["next"].as_u64() else {
                break;
            };
            world.write_all(100..=102);
            target = format!("/v1/records?limit=4&before={next}");
        }
        assert_eq!(
            seen,
            (1..=10).rev().collect::<Vec<_>>(),
            "{indexed} indexed"
        );
    }
}

#[test]
fn index_and_tail_filter_alike() {
    let world = World::new();
    let fault = FaultNote {
        kind: "over_budget".into(),
        origin: "gateway".into(),
        ..FaultNote::default()
    };
    let write = |n: u64| {
        world.write(n, |record| {
            record.who.app = Some(format!("app {}", n % 3).into());
            record.who.key_id = Some(format!("k{}", n % 5).into());
            record.request.model = Some(format!("m{}", n % 4).into());
            record.operation = "chat".into();
            if n.is_multiple_of(5) {
                record.status = 402;
                record.outcome = Outcome::Refused;
                record.fault = Some(fault.clone());
            }
        });
    };
    (1..=20).for_each(write);
    let targets = [
        "tenant=odd",
        "app=app%201",
        "app=app+1",
        "key=k2",
        "model=m3",
        "operation=chat",
        "operation=embed",
        "status=402",
        "status=4xx",
        "status=2xx",
        "outcome=refused",
        "fault=over_budget",
        "fault=any",
        "fault=timeout",
        "origin=gateway",
        "after=7",
        "after=7&before=12",
        "since=2025-11-21T10:00:00.015Z",
        "until=2025-11-21T10:00:00.015Z",
        "since=90ms",
        "since=1d",
        "tenant=even&status=200&limit=3",
        "tenant=%27%20OR%201=1",
    ];
    let ask = || targets.map(|query| world.sequences(&format!("/v1/records?{query}")));
    let from_tail = ask();
    world.catch_up();
    assert_eq!(from_tail, ask());
    assert_eq!(
        from_tail[0],
        (1..=20)
            .rev()
            .step_by(2)
            .map(|n| n - 1)
            .collect::<Vec<u64>>()
    );
    assert_eq!(from_tail[1], [19, 16, 13, 10, 7, 4, 1]);
    assert_eq!(from_tail[7], [20, 15, 10, 5]);
    assert_eq!(from_tail[8], from_tail[12]);
    assert_eq!(from_tail[16], [11, 10, 9, 8]);
    assert_eq!(from_tail[17], [20, 19, 18, 17, 16, 15]);
    assert_eq!(from_tail[19], [20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10]);
    assert_eq!(from_tail[22], [0; 0]);
}

#[test]
fn following_gives_what_comes_and_misses_nothing() {
    let world = World::new();
    world.write_all(1..=3);
    let mut fresh = world.follow("/v1/records?follow=1&tenant=even");
    let mut resumed = world.follow("/v1/records?follow=1&after=1");
    assert!(!fresh.has_news());
    world.write_all(4..=1_500);
    let drain = |follow: &mut Follow| {
        let mut sequences = Vec::new();
        while follow.has_news() {
            let Step::Lines(lines) = follow.step() else {
                panic!("failed")
            };
            for line in std::str::from_utf8(&lines).unwrap().lines() {
                let record: Value = serde_json::from_str(line).unwrap();
                sequences.push(record["sequence"].as_u64().unwrap());
            }
        }
        sequences
    };
    assert_eq!(
        drain(&mut fresh),
        (4..=1_500).step_by(2).collect::<Vec<_>>()
    );
    assert_eq!(drain(&mut resumed), (2..=1_500).collect::<Vec<_>>());
    world.write_all(1_501..=1_502);
    assert_eq!(drain(&mut fresh), [1_502]);
}

#[test]
fn followers_are_bounded() {
    let world = World::with(false);
    let target = "/v1/records?follow=1";
    let mut seats: Vec<_> = (0..FOLLOWERS_MAX).map(|_| world.follow(target)).collect();
    let refused = world.get(target);
    assert_eq!(refused.status, 503);
    assert_eq!(parse(&refused)["error"]["code"], "too_many_followers");
    seats.pop();
    drop(world.follow(target));
}

#[test]
fn the_key_is_needed_and_wrong_ones_are_counted() {
    let world = World::with(false);
    let get = |key: Option<&str>, peer| {
        world
            .call(&Method::GET, "/v1/status", key, peer)
            .status
            .as_u16()
    };
    assert_eq!(get(None, None), 401);
    assert_eq!(get(Some(KEY), remote(1)), 200);
    for wrong in [
        "",
        "tg-admin-",
        "tg-0123456789012345678",
        &KEY[..KEY.len() - 1],
        &"x".repeat(600),
    ] {
        assert_eq!(get(Some(wrong), remote(1)), 401, "{wrong}");
    }
    (0..5).for_each(|_| assert_eq!(get(Some("wrong"), remote(1)), 401));
    assert_eq!(get(Some("wrong"), remote(1)), 429);
    assert_eq!(get(Some(KEY), remote(1)), 429, "not even the right one now");
    assert_eq!(get(Some(KEY), remote(2)), 200, "others are not concerned");
    for _ in 0..30 {
        get(Some("wrong"), None);
    }
    assert_eq!(get(Some("wrong"), None), 429);
    assert_eq!(
        get(Some(KEY), None),
        200,
        "people on the machine are not locked out"
    );
    for last in 0..=255 {
        for _ in 0..12 {
            get(Some("wrong"), remote(last));
        }
    }
    let refused = world.call(&Method::GET, "/v1/status", Some("wrong"), remote(9));
    assert!(
        refused
            .headers
            .iter()
            .any(|(name, value)| *name == "retry-after" && value == "6")
    );
}

#[test]
fn metrics_need_no_key_on_this_machine_only() {
    let world = World::new();
    world.write_all(1..=1);
    let near = world.call(&Method::GET, "/metrics", None, None);
    assert_eq!(
        (near.status.as_u16(), near.content_type),
        (200, evidence::CONTENT_TYPE)
    );
    assert!(near.body.starts_with(b"# HELP"));
    assert_eq!(
        world.call(&Method::GET, "/metrics", None, remote(1)).status,
        401
    );
    assert_eq!(
        world
            .call(&Method::GET, "/metrics", Some(KEY), remote(1))
            .status,
        200
    );
    for (name, value, status) in [
        ("host", "localhost:4101", 200),
        ("host", "127.0.0.1", 200),
        ("host", "[::1]:4101", 200),
        ("host", "rebound.example", 401),
        ("x-forwarded-for", "203.0.113.7", 401),
    ] {
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )]);
        let reply = world.call_with(&Method::GET, "/metrics", &headers, None);
        assert_eq!(reply.status, status, "{name}: {value}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let world = World::with(false);
    for (target, status, says) in [
        ("/v1/nothing", 404, "/openapi.json"),
        ("/v1/records/", 404, "nothing at"),
        ("/v1/records/1/2", 404, "nothing at"),
        ("/v1/records/zzz", 400, "tollgate-request-id"),
        ("/v1/records/0", 400, "names no record"),
        ("/v1/records/99999999999999999999", 400, "names no record"),
        ("/v1/records/7", 404, "no such record"),
        ("/v1/records?tenat=x", 400, "There are: tenant, app"),
        ("/v1/records?limit=0", 400, "from 1 to 1000"),
        ("/v1/records?limit=1001", 400, "from 1 to 1000"),
        ("/v1/records?status=6xx", 400, "429 or 5xx"),
        ("/v1/records?since=yesterday", 400, "90s"),
        ("/v1/records?since=2025-13-01", 400, "90s"),
        ("/v1/records?tenant=a&tenant=b", 400, "twice"),
        ("/v1/records?tenant=%ff", 400, "percent-encoded"),
        ("/v1/records?tenant=%4", 400, "percent-encoded"),
        ("/v1/records?follow=1&before=3", 400, "leave out"),
        ("/v1/plan?x=1", 400, "takes none"),
    ] {
        let reply = world.get(target);
        assert_eq!(reply.status, status, "{target}");
        let message = parse(&reply)["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(message.contains(says), "{target}: {message}");
    }
    for (method, target, allow) in [
        (Method::POST, "/v1/records", "GET, HEAD"),
        (Method::GET, "/v1/reload", "POST"),
        (Method::DELETE, "/v1/records/7", "GET, HEAD"),
        (Method::OPTIONS, "/v1/reload", "POST"),
    ] {
        let reply = world.call(&method, target, None, None);
        assert_eq!(reply.status, 405, "{method} {target}");
        assert_eq!(reply.headers, [("allow", allow.to_owned())]);
    }
}

#[test]
fn plan_and_status_show_no_secret() {
    let world = World::new();
    world.write_all(1..=2);
    let plan = world.json("/v1/plan");
    assert_eq!(plan["providers"][0]["name"], "box");
    assert_eq!(plan["models"][0]["candidates"][0]["model"], "echo");
    assert_eq!(plan["keys"][0]["id"], "k1");
    assert!(!plan.to_string().contains("tg-0123"));
    let status = world.json("/v1/status");
    assert_eq!(status["uptime_ms"], 5_100);
    assert_eq!(status["journal"]["written"], 2);
    assert_eq!(status["index"]["head"], 2);
    assert_eq!(status["plan_loaded"], "2025-11-21T09:59:58.000000Z");
    assert_eq!(
        status["pools"],
        serde_json::json!([{
            "provider": "box", "address": "up.example:443", "open": 4, "idle": 1, "in_use": 3,
            "waiting": 2, "limit": 8
        }])
    );
    assert_eq!(
        status["listeners"],
        serde_json::json!([{"name": "data", "address": "127.0.0.1:4100", "open": 5}])
    );
    assert_eq!(
        status["issuers"],
        serde_json::json!([{
            "name": "login", "keys": 2, "fetched_s": 1_700_000_000, "failures": 3,
            "trouble": "it is down"
        }])
    );
    assert_eq!(status["connections"]["turned_away"], 1);
    assert!(!status.to_string().contains(KEY));
}

#[test]
fn a_refused_reload_gives_the_diagnostics() {
    let world = World::with(false);
    let reply = world.call(&Method::POST, "/v1/reload", Some(KEY), None);
    assert_eq!(reply.status, 422);
    assert!(
        parse(&reply)["error"]["message"]
            .as_str()
            .unwrap()
            .contains("line 3")
    );
    assert_eq!(
        world.call(&Method::POST, "/v1/reload", None, None).status,
        401
    );
}

#[test]
fn hostile_texts_stay_texts() {
    let world = World::new();
    let hostile = "\u{1b}[2J\u{9b}31m</script>\u{202e}\r\n\"\\";
    world.write(1, |record| {
        record.who.tenant = Some(hostile.into());
        record.request.model = Some(hostile.into());
        record.path = Some(hostile.into());
    });
    for _ in 0..2 {
        for target in ["/v1/records", "/v1/records/1"] {
            let reply = world.get(target);
            let text = std::str::from_utf8(&reply.body).unwrap();
            assert!(text.chars().all(|c| !evidence::dangerous(c)), "{text}");
            let tenant = match &parse(&reply)["records"] {
                Value::Null => parse(&reply)["tenant"].clone(),
                records => records[0]["tenant"].clone(),
            };
            assert_eq!(tenant, hostile);
        }
        world.catch_up();
    }
    let reply = world.get("/v1/\u{1b}[2J");
    assert!(!reply.body.contains(&0x1b));
}

#[test]
fn the_document_lists_exactly_what_is_served() {
    let world = World::new();
    let document = world.json("/openapi.json");
    let mut listed = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            listed.insert((method.to_uppercase(), path.clone()));
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let path = path
                .replace("{record}", "1")
                .replace("{digest}", "0123456789abcdef");
            let status = world.call(&method, &path, Some(KEY), None).status.as_u16();
            let told = operation["responses"].as_object().unwrap();
            assert!(
                told.contains_key(&status.to_string()),
                "{method} {path}: {status}"
            );
            let without = world.call(&method, &path, None, remote(1)).status.as_u16();
            let is_open = operation["security"].as_array().unwrap().is_empty();
            assert_eq!(
                is_open,
                without != 401,
                "{method} {path} without a key: {without}"
            );
            let wrong = world.call(&Method::PUT, &path, None, None);
            assert_eq!(wrong.status, 405, "{path}");
        }
    }
    let routes = ROUTES
        .iter()
        .map(|route| (route.method.to_owned(), route.path.to_owned()));
    assert_eq!(listed, routes.collect());
    for param in ["tenant", "follow", "before"] {
        let params = document["paths"]["/v1/records"]["get"]["parameters"].to_string();
        assert!(params.contains(&format!("\"{param}\"")));
    }
}

/// The words in backquotes at the start of the rows of a table of the page.
fn rows(page: &str, heading: &str) -> BTreeSet<String> {
    let (_, section) = page.split_once(heading).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`'))
        .map(str::trim)
        .filter(|word| !word.is_empty() && *word != ",")
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_page_about_logs_lists_every_metric_and_every_route() {
    let page = include_str!("../../../docs/logs.md");
    let world = World::new();
    let meter = world.evidence.meter();
    meter.plan_in_force("0123");
    meter.rollout_share(Some(("4567", 0.1)));
    meter.watch_index(world.index.clone().unwrap());
    let table = store::InflightTable::in_memory(store::InflightOptions::default());
    meter.watch_inflight(Arc::new(table));
    let lines = Arc::new(store::LineWriter::start(std::io::sink(), 1).unwrap());
    let journal = world.evidence.journal().clone();
    let _watched = Evidence::new(journal, meter.clone(), LogLine::Off, Some(lines));
    let rendered = meter.render();
    let metrics = rendered
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .map(str::to_owned);
    assert_eq!(rows(page, "## Metrics"), metrics.collect());
    // It leads to the page that has them.
    assert!(page.contains("](admin.md)"));
    let routes = ROUTES
        .iter()
        .map(|route| format!("{} {}", route.method, route.path));
    let page = include_str!("../../../docs/admin.md");
    assert_eq!(rows(page, "## Routes"), routes.collect());
}
