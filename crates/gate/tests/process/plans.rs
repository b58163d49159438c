//! Versions of the plan in a running gateway: applied and rolled back while
//! calls go on, back after a restart, and never by way of the listener for
//! calls.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::client::Client;
use crate::gateway::{Gateway, Home, KEY};
use crate::reload::Load;
use crate::until;
use crate::upstream::Upstream;

/// The key of callers, from a file, so that the document can be kept.
const KEYS: &str = "keys: [{id: test, secret: '${file:test.key}'}]";

fn home(document: &str) -> Home {
    let home = Home::new();
    fs::write(home.path("test.key"), KEY).unwrap();
    home.configure(document);
    home
}

/// These models, and `m` of the load.
fn models(more: &str) -> String {
    format!("models: {{m: up/m{more}}}")
}

fn tollgate(gateway: &Gateway, home: &Home, words: &[&str]) -> (i32, String, String) {
    let admin = format!("http://{}", gateway.admin());
    home.run(&[words, &["--admin", &admin]].concat())
}

/// What a command prints that must succeed.
fn said(gateway: &Gateway, home: &Home, words: &[&str]) -> String {
    let (code, out, err) = tollgate(gateway, home, words);
    assert_eq!(code, 0, "{words:?}: {err}");
    out
}

fn actions(gateway: &Gateway, home: &Home) -> Vec<String> {
    said(gateway, home, &["audit", "list", "--json"])
        .lines()
        .map(|line| {
            let entry: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
            format!("{} by {}", text("action"), text("actor"))
        })
        .collect()
}

#[test]
fn plans_come_and_go_by_the_admin_api_without_a_failed_call() {
    let up = Upstream::good();
    let with = |more: &str| up.config(&format!("{KEYS}\nplans: {{owner: api}}\n{more}"));
    let home = home(&with(&models("")));
    let gateway = home.start();
    let first = gateway.told("plan");
    let load = Load::start(gateway.data());
    load.more();
    fs::write(home.path("new.yaml"), with(&models(", fast: up/m"))).unwrap();
    let out = said(&gateway, &home, &["plan", "diff", "--file", "new.yaml"]);
    assert!(
        out.contains("+  fast: up/m") && out.contains("nothing was changed"),
        "{out}"
    );
    assert_eq!(gateway.chat("m").header("tollgate-plan"), first);
    let out = said(
        &gateway,
        &home,
        &["plan", "apply", "new.yaml", "--note", "a fast one"],
    );
    assert!(out.contains("+  fast: up/m"), "{out}");
    let second = gateway.chat("fast").header("tollgate-plan").to_owned();
    assert!(out.contains(&format!("plan {second} is in force")), "{out}");
    load.more();

    // Somebody who has not seen that is told.
    fs::write(home.path("other.yaml"), with(&models(", slow: up/m"))).unwrap();
    let late = ["plan", "apply", "other.yaml", "--expected", &first];
    let (code, _, err) = tollgate(&gateway, &home, &late);
    assert_eq!(code, 1);
    assert!(
        err.contains(&second) && err.contains("+  fast: up/m"),
        "{err}"
    );

    // The file does not overrule it.
    home.configure(&with(&models(", of_file: up/m")));
    gateway.hears("The admin API owns the plan");
    assert_eq!(gateway.chat("m").header("tollgate-plan"), second);

    let out = said(&gateway, &home, &["plan", "rollback", &first]);
    assert!(out.contains("-  fast: up/m"), "{out}");
    assert_eq!(gateway.chat("m").header("tollgate-plan"), first);
    let out = said(
        &gateway,
        &home,
        &["plan", "rollback", &second, "--note", "after all"],
    );
    assert!(out.contains("+  fast: up/m"), "{out}");
    load.stop();
    let list = said(&gateway, &home, &["plan", "list"]);
    for words in [
        "a fast one",
        "after all",
        "owned by the admin API",
        "rollback  admin.key",
    ] {
        assert!(list.contains(words), "no {words:?} in {list}");
    }
    assert!(said(&gateway, &home, &["plan", "show", &second]).contains("fast: up/m"));
    gateway.stop();

    let gateway = home.start();
    assert_eq!(gateway.told("plan"), second, "the last applied one is back");
    assert_eq!(gateway.chat("fast").status, 200);
    assert_eq!(
        actions(&gateway, &home),
        [
            "plan.start by file",
            "plan.apply by admin.key",
            "plan.rollback by admin.key",
            "plan.rollback by admin.key",
        ]
    );
    gateway.stop();
}

#[test]
fn a_file_that_owns_the_plan_is_the_only_one_who_changes_it() {
    let up = Upstream::good();
    let home = home(&up.config(&format!("{KEYS}\n{}", models(""))));
    let gateway = home.start();
    fs::write(home.path("new.yaml"), up.config(KEYS)).unwrap();
    let (code, _, err) = tollgate(&gateway, &home, &["plan", "apply", "new.yaml"]);
    assert_eq!(code, 1);
    assert!(err.contains("owns the plan"), "{err}");
    home.configure(&up.config(&format!("{KEYS}\n{}", models(", fast: up/m"))));
    until("the file's change is in force", || {
        gateway.chat("fast").status == 200
    });
    let out = said(&gateway, &home, &["plan", "list"]);
    assert!(
        out.contains("reload") && out.contains("owned by the configuration file"),
        "{out}"
    );
    let answer = gateway.admin_call(&home, "POST", "/v1/reload");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.header("tollgate-request-id").is_empty());
    assert_eq!(
        actions(&gateway, &home),
        [
            "plan.start by file",
            "plan.reload by file",
            "plan.reload by admin.key"
        ]
    );
    gateway.stop();

    // Whoever alters the journal is found out.
    let verify = || home.run(&["logs", "verify"]);
    assert_eq!(verify().0, 0);
    let segment = fs::read_dir(home.path("data/audit"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "seg"))
        .unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes
        .windows(9)
        .position(|text| text == b"admin.key")
        .unwrap();
    bytes[at..at + 9].copy_from_slice(b"admin.kex");
    fs::write(&segment, bytes).unwrap();
    let (code, out, _) = verify();
    assert_eq!(code, 1);
    assert!(out.contains("audit: DAMAGED OR ALTERED"), "{out}");
}

#[test]
fn without_the_audit_journal_a_changed_file_is_not_put_in_force() {
    let up = Upstream::good();
    let home = home(&up.config(&format!("{KEYS}\n{}", models(""))));
    let gateway = home.start();
    let first = gateway.told("plan");
    let audit = home.path("data/audit");
    fs::rename(&audit, home.path("aside")).unwrap();
    fs::write(&audit, "not a folder").unwrap();
    home.configure(&up.config(&format!("{KEYS}\n{}", models(", fast: up/m"))));
    gateway.hears(&format!("so plan {first} stays"));
    assert_eq!(gateway.chat("m").header("tollgate-plan"), first);
    fs::remove_file(&audit).unwrap();
    fs::rename(home.path("aside"), &audit).unwrap();
    gateway.signal(Signal::HUP);
    until("it is in force now", || gateway.chat("fast").status == 200);
    gateway.stop();
}

#[test]
fn a_plan_that_cannot_be_noted_or_used_again_is_no_plan_to_start_with() {
    let up = Upstream::good();
    let with = |key: &str| {
        let keys = format!("keys: [{{id: test, secret: '${{file:{key}}}'}}]");
        up.config(&format!("{keys}\nplans: {{owner: api}}\n{}", models("")))
    };
    let home = home(&with("test.key"));
    fs::write(home.path("other.key"), KEY.replace("01234", "43210")).unwrap();
    fs::write(home.path("new.yaml"), with("other.key")).unwrap();
    let gateway = home.start();
    said(&gateway, &home, &["plan", "apply", "new.yaml"]);
    assert_eq!(gateway.chat("m").status, 401, "the old key is out");
    gateway.stop();

    fs::remove_file(home.path("other.key")).unwrap();
    let (code, _, err) = home.run(&["serve"]);
    assert_eq!(code, 1);
    for words in [
        "which the admin API put in force last",
        "other.key",
        "--plan-owner file",
    ] {
        assert!(err.contains(words), "no {words:?} in {err}");
    }
    let gateway = Gateway::start(home.command(&["serve", "--plan-owner", "file"]));
    assert_eq!(gateway.chat("m").status, 200, "the file's key");
    gateway.stop();

    // It was the last in force; now another would be, and cannot be noted.
    home.configure(&with("test.key").replace("m: up/m", "m: up/m, n: up/n"));
    fs::remove_dir_all(home.path("data/audit")).unwrap();
    fs::write(home.path("data/audit"), "not a folder").unwrap();
    let (code, _, err) = home.run(&["serve"]);
    assert_eq!(code, 1);
    assert!(err.contains("audit journal cannot be written"), "{err}");
}

#[test]
fn a_document_by_the_api_reads_no_file_elsewhere() {
    let up = Upstream::good();
    let home = home(&up.config(&format!("{KEYS}\nplans: {{owner: api}}")));
    let gateway = home.start();
    for path in ["/etc/passwd", "../test.key", "data/../../x"] {
        let document = up.config(&format!("{KEYS}\ndata_dir: '${{file:{path}}}'"));
        fs::write(home.path("evil.yaml"), document).unwrap();
        let (code, out, err) = tollgate(&gateway, &home, &["plan", "apply", "evil.yaml"]);
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(err.contains("in the folder of the configuration"), "{err}");
        assert!(!err.contains("root:"), "{err}");
    }
    gateway.stop();
}

/// The listener for calls leads nowhere else, whatever is asked and with the
/// best of credentials.
#[test]
fn the_admin_api_cannot_be_reached_from_the_listener_for_calls() {
    let up = Upstream::good();
    let home = home(&up.config(&format!("{KEYS}\n{}", models(""))));
    let gateway = home.start();
    let key = fs::read_to_string(home.path("data/admin.key")).unwrap();
    let bearer = format!("Bearer {}", key.trim());
    let admin = gateway.admin();
    for path in [
        "/v1/plans",
        "/v1/audit",
        "/v1/status",
        "/v1/plan",
        "/v1/records",
        "/v1/keys",
        "/metrics",
        "/openapi.json",
        "//v1/status",
        "/v1//status",
        "/v1/./status",
        "/v1/chat/../status",
        "/v1/chat/%2e%2e/status",
        "/v1/chat/..%2fstatus",
        "/%76%31/status",
        "/v1/status/",
        "/v1/status;a=b",
        "/v1/status%00",
        "/v1\\status",
        &format!("http://{admin}/v1/status"),
        &format!("http://user@{admin}/v1/plans"),
    ] {
        for host in [
            "127.0.0.1".to_owned(),
            admin.to_string(),
            "localhost:4101".to_owned(),
        ] {
            for method in ["GET", "POST"] {
                let mut client = Client::connect(gateway.data()).unwrap();
                let headers = [
                    ("authorization", bearer.as_str()),
                    ("x-forwarded-host", host.as_str()),
                    ("x-original-url", "/v1/status"),
                    ("x-rewrite-url", "/v1/status"),
                ];
                client.send(method, path, &headers, b"").unwrap();
                let answer = client.answer().unwrap();
                assert!(answer.status >= 400, "{method} {path}: {}", answer.status);
                for word in [
                    "uptime_ms",
                    "entries",
                    "\"versions\"",
                    "openapi\":",
                    "# HELP",
                ] {
                    assert!(!answer.text().contains(word), "{path}: {}", answer.text());
                }
            }
        }
    }
    gateway.stop();
}
