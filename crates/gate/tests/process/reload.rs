//! A new configuration while calls go on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use rustix::process::Signal;

use crate::gateway::{Home, KEY, ask, chat};
use crate::until;
use crate::upstream::Upstream;

const OLD: &str = "tg-old-0123456789abcdef0123";
const NEW: &str = "tg-new-0123456789abcdef0123";
const DOOR: &str = "/v1/chat/completions";
const APPLIED: &str = "tollgate_reloads_total{outcome=\"applied\"}";
const REJECTED: &str = "tollgate_reloads_total{outcome=\"rejected\"}";

/// Calls without a pause until it is stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    failures: JoinHandle<Vec<String>>,
}

impl Load {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let (stop, calls) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (told, counted) = (stop.clone(), calls.clone());
        let failures = std::thread::spawn(move || {
            let mut failures = Vec::new();
            while !told.load(Ordering::Relaxed) {
                match ask(address, KEY, DOOR, &chat("m", false)) {
                    Ok(answer) if answer.status == 200 => {}
                    other => failures.push(format!("{other:?}")),
                }
                counted.fetch_add(1, Ordering::Relaxed);
            }
            failures
        });
        Self {
            stop,
            calls,
            failures,
        }
    }

    pub(crate) fn more(&self) {
        let enough = self.calls.load(Ordering::Relaxed) + 5;
        until("the load goes on", || {
            self.calls.load(Ordering::Relaxed) >= enough
        });
    }

    pub(crate) fn stop(self) {
        self.more();
        self.stop.store(true, Ordering::Relaxed);
        let failures = self.failures.join().unwrap();
        assert_eq!(failures, Vec::<String>::new());
    }
}

fn keys(other: &str) -> String {
    format!("keys: [{{id: test, secret: {KEY}}}, {{id: other, secret: {other}}}]")
}

#[test]
fn a_changed_file_and_a_hang_up_take_effect_without_a_failed_call() {
    let up = Upstream::good();
    let home = Home::with(&up.config(&keys(OLD)));
    let gateway = home.start();
    let plan = |key| {
        let answer = ask(gateway.data(), key, DOOR, &chat("m", false)).unwrap();
        (answer.status, answer.header("tollgate-plan").to_owned())
    };
    let (_, first) = plan(KEY);
    assert_eq!(first, gateway.told("plan"));
    assert_eq!((plan(OLD).0, plan(NEW).0), (200, 401));
    let load = Load::start(gateway.data());
    load.more();
    home.configure(&up.config(&keys(NEW)));
    until("the new plan is in force", || plan(KEY).1 != first);
    assert_eq!((plan(OLD).0, plan(NEW).0), (401, 200));
    assert_eq!(gateway.metric(APPLIED), 1.0);
    gateway.hears(&format!("plan {} is in force", plan(KEY).1));
    gateway.signal(Signal::HUP);
    until("a hang-up reloads, whether a file changed or not", || {
        gateway.metric(APPLIED) == 2.0
    });
    let second = plan(KEY).1;
    let answer = gateway.admin_call(&home, "POST", "/v1/reload");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains(&second), "{}", answer.text());
    assert_eq!(gateway.metric(APPLIED), 3.0);
    load.stop();
    let who = gateway.logs(&home, &["--key", "other"]);
    assert_eq!(who.len(), 2);
    for (line, plan) in who.iter().zip([first, second]) {
        let told = line["plan"].as_str().unwrap();
        assert!(
            !told.is_empty() && plan.starts_with(told),
            "{told} is not {plan}"
        );
    }
    gateway.stop();
}

#[test]
fn a_bad_file_leaves_the_last_good_plan_in_force() {
    let up = Upstream::good();
    let home = Home::with(&up.config(""));
    let gateway = home.start();
    let plan = gateway.told("plan");
    let load = Load::start(gateway.data());
    home.configure(&up.config("modells: {}"));
    until("it is rejected", || gateway.metric(REJECTED) >= 1.0);
    gateway.hears(&format!("plan {plan} stays in force"));
    assert!(gateway.complaints().contains("`modells`"));
    assert_eq!(gateway.chat("m").header("tollgate-plan"), plan);
    let answer = gateway.admin_call(&home, "POST", "/v1/reload");
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("modells"), "{}", answer.text());
    assert!(
        answer.text().contains("tollgate.yaml:"),
        "{}",
        answer.text()
    );
    home.configure(&up.config("models: {fast: up/m, m: up/m}"));
    until("the mended one is applied", || {
        gateway.metric(APPLIED) == 1.0
    });
    assert_ne!(gateway.chat("fast").header("tollgate-plan"), plan);
    home.configure(&up.config("workers: 1").replacen("workers: 2\n", "", 1));
    gateway.hears("take effect at the next start");
    load.stop();
    gateway.stop();
}

#[test]
fn a_rotated_secret_file_is_seen() {
    let up = Upstream::good();
    let home = Home::new();
    std::fs::write(home.path("key"), OLD).unwrap();
    home.configure(&up.config("keys: [{id: test, secret: '${file:key}'}]"));
    let gateway = home.start();
    let status = |key| {
        ask(gateway.data(), key, DOOR, &chat("m", false))
            .unwrap()
            .status
    };
    assert_eq!((status(OLD), status(NEW)), (200, 401));
    std::fs::write(home.path("key.new"), NEW).unwrap();
    std::fs::rename(home.path("key.new"), home.path("key")).unwrap();
    until("the new key works", || status(NEW) == 200);
    assert_eq!(status(OLD), 401);
    gateway.stop();
}
