//! A plan that is tried on a share of the callers: chosen, counted, promoted,
//! aborted by hand and by its condition, and still there after a power cut.

use std::fs;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};

use serde_json::{Value, json};

use crate::client::Client;
use crate::gateway::{Gateway, Home, KEY, ask, chat, post};
use crate::reload::Load;
use crate::upstream::{Event, Upstream, await_end, gated, json as answer};
use crate::{HANG, until};

const DOOR: &str = "/v1/chat/completions";
/// Callers beside [`KEY`]; the last two are of tenant `acme`. So many that no
/// share of them is ever empty by chance.
const CALLERS: usize = 60;
const ACME: usize = CALLERS - 2;
/// What the candidate adds.
const DENY: &str = "policy: {rules: [{name: no-fast, models: {deny: [fast]}}]}";

fn key(caller: usize) -> String {
    format!("tg-caller-{caller:02}-0123456789abcdef")
}

/// A document with all keys from files, and this.
fn document(up: &Upstream, more: &str) -> String {
    let mut keys = String::from("{id: test, secret: '${file:test.key}'}");
    for caller in 0..CALLERS {
        let tenant = if caller < ACME { "others" } else { "acme" };
        keys +=
            &format!(", {{id: c{caller}, secret: '${{file:c{caller}.key}}', tenant: {tenant}}}");
    }
    up.config(&format!(
        "keys: [{keys}]\nplans: {{owner: api}}\nmodels: {{m: up/m, fast: up/m}}\n\
         listen: {{data: {{address: '127.0.0.1:0'}}, admin: {{address: '127.0.0.1:0'}}}}\n{more}"
    ))
}

fn home(up: &Upstream) -> Home {
    let home = Home::new();
    fs::write(home.path("test.key"), KEY).unwrap();
    for caller in 0..CALLERS {
        fs::write(home.path(&format!("c{caller}.key")), key(caller)).unwrap();
    }
    home.configure(&document(up, ""));
    fs::write(home.path("new.yaml"), document(up, DENY)).unwrap();
    home
}

/// What a command of `tollgate plan` says that must succeed.
fn plan(gateway: &Gateway, home: &Home, words: &[&str]) -> String {
    let (code, out, err) = tried(gateway, home, words);
    assert_eq!(code, 0, "{words:?}: {err}");
    out
}

fn tried(gateway: &Gateway, home: &Home, words: &[&str]) -> (i32, String, String) {
    let admin = format!("http://{}", gateway.admin());
    home.run(&[&["plan"], words, &["--admin", &admin]].concat())
}

/// The status of a caller's call, and the plan that it ran under.
fn call(gateway: &Gateway, caller: usize, model: &str) -> (u16, String) {
    let answer = ask(gateway.data(), &key(caller), DOOR, &chat(model, false)).unwrap();
    (answer.status, answer.header("tollgate-plan").to_owned())
}

/// The plan of each caller.
fn plans(gateway: &Gateway) -> Vec<String> {
    (0..CALLERS)
        .map(|caller| {
            let (status, plan) = call(gateway, caller, "m");
            assert_eq!(status, 200);
            plan
        })
        .collect()
}

/// The entries of the audit journal, oldest first.
fn audit(gateway: &Gateway, home: &Home) -> Vec<Value> {
    let page = gateway.admin_call(home, "GET", "/v1/audit").json();
    let mut entries = page["entries"].as_array().unwrap().clone();
    entries.reverse();
    entries
}

#[test]
fn a_plan_is_tried_on_a_share_of_the_callers_and_then_on_all() {
    let up = Upstream::good();
    let home = home(&up);
    let gateway = home.start();
    let first = gateway.told("plan");
    let load = Load::start(gateway.data());
    let words = ["apply", "new.yaml", "--percent", "40", "--tenant", "acme"];
    let out = plan(&gateway, &home, &words);
    assert!(
        out.contains("no-fast") && out.contains("40 % of the callers and tenants acme"),
        "{out}"
    );
    let sides = plans(&gateway);
    let second = sides[ACME].clone();
    assert_ne!(second, first);
    assert_eq!(sides[ACME + 1], second, "its whole tenant");
    let tries = |sides: &[String]| -> Vec<bool> {
        sides[..ACME].iter().map(|plan| *plan == second).collect()
    };
    let some = tries(&sides);
    assert!(some.contains(&true) && some.contains(&false), "{some:?}");
    for (caller, side) in sides.iter().enumerate() {
        let (status, plan) = call(&gateway, caller, "fast");
        let wanted = if plan == second { 403 } else { 200 };
        assert_eq!((status, &plan), (wanted, side));
    }
    let line = format!("tollgate_plan_rollout_share{{candidate=\"{second}\"}}");
    assert_eq!(gateway.metric(&line), 0.4);
    let tried_by = sides.iter().filter(|plan| **plan == second).count() as f64;
    let counted = |side: &str, outcome: &str| {
        let labels = format!("{{side=\"{side}\",outcome=\"{outcome}\"}}");
        gateway.metric(&format!("tollgate_plan_calls_total{labels}"))
    };
    assert_eq!(counted("candidate", "denied"), tried_by);
    assert_eq!(counted("in_force", "denied"), 0.0);
    assert!(counted("candidate", "ok") >= tried_by && counted("in_force", "ok") > 0.0);

    // Only one at a time, nothing beside it, and nothing that needs a restart.
    let restart = document(&up, DENY).replace("workers: 2", "workers: 3");
    fs::write(home.path("restart.yaml"), restart).unwrap();
    let (code, _, err) = tried(
        &gateway,
        &home,
        &["apply", "restart.yaml", "--percent", "1"],
    );
    assert!(
        code == 1 && err.contains("cannot be rolled out: workers"),
        "{err}"
    );
    let (code, _, err) = tried(&gateway, &home, &["apply", "new.yaml"]);
    assert!(code == 1 && err.contains("plan rollout promote"), "{err}");
    load.stop();
    gateway.kill();

    let gateway = home.start();
    gateway.hears(&format!(
        "the roll-out of plan {second} goes on: 40 % of the callers"
    ));
    assert_eq!(gateway.told("plan"), first);
    assert_eq!(plans(&gateway), sides, "everyone is where they were");
    let load = Load::start(gateway.data());
    plan(&gateway, &home, &["rollout", "set", "--percent", "75"]);
    let more = tries(&plans(&gateway));
    let pairs = some.iter().zip(&more);
    assert!(
        pairs.clone().all(|(before, now)| !before || *now),
        "nobody goes back"
    );
    assert!(pairs.clone().any(|(before, now)| before != now));
    let out = plan(&gateway, &home, &["rollout", "show"]);
    assert!(
        out.contains("75 % of the callers and tenants acme"),
        "{out}"
    );
    let out = plan(
        &gateway,
        &home,
        &["rollout", "promote", "--note", "it is good"],
    );
    assert!(out.contains(&format!("plan {second} is in force")), "{out}");
    assert!(plans(&gateway).iter().all(|plan| *plan == second));
    load.stop();
    let out = plan(&gateway, &home, &["list"]);
    for words in [
        "promote",
        "it is good",
        "promoted by admin.key",
        &format!("in force: {second}"),
    ] {
        assert!(out.contains(words), "no {words:?} in {out}");
    }
    gateway.stop();

    let gateway = home.start();
    assert_eq!(gateway.told("plan"), second);
    let actions: Vec<Value> = audit(&gateway, &home)
        .iter()
        .map(|entry| entry["action"].clone())
        .collect();
    assert_eq!(
        actions,
        [
            "plan.start",
            "plan.rollout",
            "plan.rollout_set",
            "plan.promote"
        ]
    );
    plan(&gateway, &home, &["rollback", &first]);
    assert_eq!(call(&gateway, 0, "fast"), (200, first));
    gateway.stop();
}

#[test]
fn a_roll_out_that_denies_too_much_ends_by_itself() {
    let up = Upstream::good();
    let home = home(&up);
    let gateway = home.start();
    let first = gateway.told("plan");
    let words = [
        "apply",
        "new.yaml",
        "--tenant",
        "acme",
        "--abort-if",
        "deny_rate=0.5",
        "--abort-calls-min",
        "6",
    ];
    let out = plan(&gateway, &home, &words);
    assert!(
        out.contains("deny_rate=0.5") && out.contains("calls_min=6"),
        "{out}"
    );
    let (status, second) = call(&gateway, ACME, "m");
    assert_eq!(status, 200);
    assert_ne!(second, first);
    until("its condition is broken", || {
        call(&gateway, ACME, "fast").1 == first
    });
    gateway.hears(&format!(
        "the roll-out of plan {second} was ended by its condition"
    ));
    assert_eq!(call(&gateway, ACME, "fast"), (200, first.clone()));
    let ended = "tollgate_plan_rollouts_total{outcome=\"condition_broken\"}";
    until("the metrics say so", || gateway.metric(ended) == 1.0);

    let entries = audit(&gateway, &home);
    let entry = entries.last().unwrap();
    assert_eq!(
        (&entry["action"], &entry["actor"]),
        (&"plan.rollout_abort".into(), &"gateway".into())
    );
    assert_eq!(entry["object"], format!("plan/{second}"));
    assert_eq!(entry["after"]["broken"]["bound"], "deny_rate");
    let figures = &entry["after"]["figures"]["candidate"];
    let [calls, denied] = ["calls", "denied"].map(|name| figures[name].as_u64().unwrap());
    assert!(calls >= 6 && denied * 2 > calls, "{figures}");
    let out = plan(&gateway, &home, &["list"]);
    assert!(
        out.contains("condition_broken by gateway") && out.contains("deny_rate is above 0.5"),
        "{out}"
    );
    // One can look at what it was.
    let out = plan(&gateway, &home, &["diff", &second]);
    assert!(out.contains("no-fast"), "{out}");
    gateway.kill();

    let gateway = home.start();
    assert_eq!(call(&gateway, ACME, "fast"), (200, first));
    let out = plan(&gateway, &home, &["rollout", "show"]);
    assert!(out.contains("no plan is being rolled out"), "{out}");
    gateway.stop();
}

#[test]
fn a_candidate_that_fails_more_than_the_plan_in_force_ends_by_itself() {
    let up = Upstream::good();
    let home = home(&up);
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let broken = document(&up, "").replace(&up.url(), &closed);
    fs::write(home.path("new.yaml"), broken).unwrap();
    let gateway = home.start();
    let first = gateway.told("plan");
    let words = [
        "apply",
        "new.yaml",
        "--tenant",
        "acme",
        "--abort-if",
        "error_rate_over=0.2",
    ];
    let few = ["--abort-calls-min", "5", "--abort-window", "3600"];
    plan(&gateway, &home, &[&words[..], &few].concat());
    for _ in 0..10 {
        let (status, plan) = call(&gateway, ACME, "m");
        assert!(status == 502 && plan != first, "{status}");
    }
    let out = plan(&gateway, &home, &["rollout", "show"]);
    assert!(
        out.contains("candidate  10 calls, 0 denied, 10 errors, 0 cancelled"),
        "{out}"
    );
    assert!(
        out.contains("in_force   0 calls"),
        "so there is nothing to go by: {out}"
    );
    until("there is, and it is better", || {
        assert_eq!(call(&gateway, 0, "m"), (200, first.clone()));
        call(&gateway, ACME, "m") == (200, first.clone())
    });
    let out = plan(&gateway, &home, &["list"]);
    assert!(out.contains("error_rate_over is above 0.2"), "{out}");
    gateway.stop();
}

#[test]
fn a_candidate_that_hangs_until_callers_give_up_ends_by_itself() {
    let (tell, told) = channel();
    let hangs = Upstream::start(move |_, socket| {
        tell.send(()).unwrap();
        await_end(socket);
        false
    });
    let up = Upstream::good();
    let home = home(&up);
    let hanging = document(&up, "").replace(&up.url(), &hangs.url());
    fs::write(home.path("new.yaml"), hanging).unwrap();
    let gateway = home.start();
    let first = gateway.told("plan");
    let words = ["apply", "new.yaml", "--tenant", "acme", "--abort-if"];
    let bounds = [
        "cancelled_rate=0.5",
        "--abort-if",
        "error_rate=0.1",
        "--abort-calls-min",
        "5",
    ];
    plan(&gateway, &home, &[&words[..], &bounds].concat());
    for _ in 0..5 {
        let mut client = Client::connect(gateway.data()).unwrap();
        post(&mut client, &key(ACME), DOOR, &chat("m", true)).unwrap();
        assert_eq!(told.recv_timeout(HANG), Ok(()));
        drop(client);
    }
    gateway.hears("was ended by its condition");
    assert_eq!(call(&gateway, ACME, "m"), (200, first));
    let out = plan(&gateway, &home, &["list"]);
    assert!(
        out.contains("cancelled_rate is above 0.5: 5 of 5 calls"),
        "{out}"
    );
    let entry = audit(&gateway, &home).pop().unwrap();
    let figures = &entry["after"]["figures"]["candidate"];
    for counted in ["/cancelled", "/latency/count", "/first_token/count"] {
        assert_eq!(figures.pointer(counted), Some(&5.into()), "{counted}");
    }
    gateway.stop();
}

#[test]
fn an_abort_by_hand_is_at_once_and_cuts_no_call() {
    let gate = Event::default();
    let up = gated(&gate);
    let home = home(&up);
    let gateway = home.start();
    let first = gateway.told("plan");
    plan(&gateway, &home, &["apply", "new.yaml", "--percent", "100"]);
    let mut client = Client::connect(gateway.data()).unwrap();
    post(&mut client, &key(0), DOOR, &chat("m", true)).unwrap();
    let head = client.head().unwrap();
    let second = head.header("tollgate-plan").to_owned();
    assert_ne!(second, first);
    client.chunks_until("first");
    let status = || {
        let admin = format!("http://{}", gateway.admin());
        home.run(&["status", "--admin", &admin]).1
    };
    let told = status();
    assert!(
        told.contains(&format!("roll-out     {second} for 100 %")),
        "{told}"
    );

    let out = plan(&gateway, &home, &["rollout", "abort", "--note", "enough"]);
    assert!(
        out.contains(&format!("plan {first} is in force for all")),
        "{out}"
    );
    assert_eq!(
        call(&gateway, 0, "fast"),
        (200, first.clone()),
        "the very next call"
    );
    assert!(!status().contains("roll-out"));
    gate.happen();
    assert!(client.chunks_until("[DONE]").contains("second"));
    let id = head.header("tollgate-request-id");
    until("its record is there", || {
        let record = gateway.admin_call(&home, "GET", &format!("/v1/records/{id}"));
        record.status == 200
            && record.json()["plan"] == *second
            && record.json()["outcome"] == "complete"
    });
    let entry = audit(&gateway, &home).pop().unwrap();
    assert_eq!(
        (&entry["action"], &entry["note"]),
        (&"plan.rollout_abort".into(), &"enough".into())
    );
    gateway.stop();
}

#[test]
fn an_upgrade_takes_the_roll_out_over() {
    let gate = Event::default();
    let up = gated(&gate);
    let home = home(&up);
    let mut old = home.start();
    old.await_ready();
    let first = old.told("plan");
    let words = [
        "apply",
        "new.yaml",
        "--tenant",
        "acme",
        "--abort-if",
        "deny_rate=0.5",
    ];
    plan(
        &old,
        &home,
        &[&words[..], &["--abort-calls-min", "6"]].concat(),
    );
    let mut client = Client::connect(old.data()).unwrap();
    post(&mut client, &key(ACME), DOOR, &chat("m", true)).unwrap();
    let second = client.head().unwrap().header("tollgate-plan").to_owned();
    assert_ne!(second, first);
    client.chunks_until("first");

    let new = home.start();
    new.hears(&format!("the roll-out of plan {second} goes on"));
    assert_eq!(call(&new, ACME, "m"), (200, second.clone()));
    assert!(old.is_running(), "its stream is open");
    until("its condition is broken", || {
        call(&new, ACME, "fast").1 == first
    });
    gate.happen();
    client.chunks_until("[DONE]");
    assert!(old.wait().success());
    // One process judged, and ended it once.
    new.hears("was ended by its condition");
    assert!(
        !old.complaints().contains("condition"),
        "{}",
        old.complaints()
    );
    let entries = audit(&new, &home);
    let ends = entries
        .iter()
        .filter(|entry| entry["action"] == "plan.rollout_abort");
    assert_eq!(ends.count(), 1);
    assert_eq!(call(&new, ACME, "fast"), (200, first));
    new.stop();
}

/// Keys of an issuer, which a fetch waits for at `gate` once `is_held`.
fn issuer(is_held: &Arc<AtomicBool>, gate: &Event, tell: Sender<()>) -> Upstream {
    let (is_held, gate) = (is_held.clone(), gate.clone());
    Upstream::start(move |_, socket| {
        if is_held.load(Ordering::SeqCst) {
            tell.send(()).unwrap();
            gate.wait();
        }
        let key = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        });
        let keys = json!({"keys": [key]}).to_string();
        let _ = socket.write_all(answer(200, &keys).as_bytes());
        true
    })
}

#[test]
fn what_ends_the_roll_out_during_an_upgrade_holds_in_the_new_process() {
    for end in ["abort", "promote"] {
        let (is_held, gate) = (Arc::new(AtomicBool::new(false)), Event::default());
        let (tell, told) = channel();
        let url = issuer(&is_held, &gate, tell).url();
        let login = format!(
            "identity: {{issuers: [{{name: login, issuer: '{url}', jwks_uri: '{url}/keys', \
             audience: tollgate, algorithms: [ES256], claims: {{tenant: org}}, \
             fixed: {{app: portal}}}}]}}"
        );
        let up = Upstream::good();
        let home = home(&up);
        home.configure(&document(&up, &login));
        let next = document(&up, &format!("{login}\n{DENY}"));
        fs::write(home.path("new.yaml"), next).unwrap();
        let mut old = home.start();
        old.await_ready();
        let first = old.told("plan");
        plan(&old, &home, &["apply", "new.yaml", "--tenant", "acme"]);
        let second = call(&old, ACME, "m").1;
        assert_ne!(second, first);

        is_held.store(true, Ordering::SeqCst);
        let new = Gateway::spawn(home.command(&[]));
        // It knows the roll-out, and waits for the keys of the issuer.
        assert_eq!(told.recv_timeout(HANG), Ok(()));
        plan(&old, &home, &["rollout", end]);
        is_held.store(false, Ordering::SeqCst);
        gate.happen();
        new.comes_up();
        new.hears("another process changed the plan meanwhile");
        assert!(old.wait().success());
        let (status, digest) = match end {
            "abort" => (200, &first),
            _ => (403, &second),
        };
        for caller in [0, ACME] {
            let got = call(&new, caller, "fast");
            assert_eq!(got, (status, digest.clone()), "{end}, {caller}");
        }
        let out = plan(&new, &home, &["rollout", "show"]);
        assert!(out.contains("no plan is being rolled out"), "{out}");
        assert_eq!(new.told("plan"), *digest);
        new.stop();
    }
}

#[test]
fn a_candidate_is_tried_by_the_same_when_its_secret_changed_and_given_up_without_it() {
    let up = Upstream::good();
    let home = home(&up);
    fs::write(home.path("c0-new.key"), key(0)).unwrap();
    let changed = document(&up, DENY).replace("c0.key", "c0-new.key");
    fs::write(home.path("new.yaml"), changed).unwrap();
    let gateway = home.start();
    let first = gateway.told("plan");
    plan(&gateway, &home, &["apply", "new.yaml", "--percent", "50"]);
    let is_in = |gateway: &Gateway| -> Vec<bool> {
        let callers = 1..CALLERS;
        callers
            .map(|caller| call(gateway, caller, "m").1 != first)
            .collect()
    };
    let before = is_in(&gateway);
    let status = gateway.admin_call(&home, "GET", "/v1/status").json();
    gateway.stop();
    fs::write(home.path("c0-new.key"), key(CALLERS)).unwrap();

    let gateway = home.start();
    let now = gateway.admin_call(&home, "GET", "/v1/status").json();
    let digest = |status: &Value| status["rollout"]["candidate"].clone();
    assert_ne!(digest(&now), digest(&status), "a digest covers secrets");
    assert_eq!(is_in(&gateway), before, "and the same try it");
    gateway.kill();
    fs::remove_file(home.path("c0-new.key")).unwrap();

    let gateway = home.start();
    gateway.hears(&format!(
        "does not go on, and plan {first} is in force for all"
    ));
    assert!(
        gateway.complaints().contains("c0-new.key"),
        "{}",
        gateway.complaints()
    );
    assert_eq!(call(&gateway, 0, "fast"), (200, first));
    let out = plan(&gateway, &home, &["list"]);
    assert!(out.contains("lost by file"), "{out}");
    gateway.stop();
}
