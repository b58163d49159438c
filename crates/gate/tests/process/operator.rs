//! What an operator asks a gateway and its data folder from the command line:
//! how it is, where it is, and whether its records are the ones it wrote.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::client::Client;
use crate::gateway::{Gateway, Home, KEY, ask, chat, post};
use crate::records::all_records;
use crate::until;
use crate::upstream::{Event, Upstream, gated};

/// The status as JSON, by the command line.
fn status(gateway: &Gateway, home: &Home) -> Value {
    let admin = format!("http://{}", gateway.admin());
    let (code, out, err) = home.run(&["status", "--json", "--admin", &admin]);
    assert_eq!(code, 0, "{err}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn the_status_shows_pools_listeners_journal_index_and_plan() {
    let gate = Event::default();
    let up = gated(&gate);
    let home = Home::with(&up.config(""));
    let gateway = home.start();
    let before = status(&gateway, &home);
    let pool = &before["pools"][0];
    assert_eq!((&pool["open"], &pool["limit"]), (&0.into(), &2048.into()));
    let mut client = gateway.connect();
    let body = chat("m", true);
    post(&mut client, KEY, "/v1/chat/completions", &body).unwrap();
    client.head().unwrap();
    client.chunks_until("first");
    let during = status(&gateway, &home);
    assert_eq!(during["in_flight"], 1, "{during}");
    assert_eq!(during["plan"], gateway.told("plan"));
    assert!(during["plan_loaded"].as_str().unwrap().starts_with("20"));
    let pool = &during["pools"][0];
    for (figure, value) in [("open", 1), ("in_use", 1), ("idle", 0), ("waiting", 0)] {
        assert_eq!(pool[figure], value, "{figure}: {during}");
    }
    let listener = |status: &Value, name: &str| {
        let all = status["listeners"].as_array().unwrap();
        let one = all.iter().find(|one| one["name"] == name);
        one.unwrap_or_else(|| panic!("{status}")).clone()
    };
    let data = listener(&during, "data");
    assert_eq!(data["address"], gateway.data().to_string());
    assert_eq!(data["open"], 1, "{during}");
    assert_eq!(listener(&during, "admin")["open"], 1, "the one that asks");
    assert_eq!(during["journal"]["failing"], Value::Null);
    gate.happen();
    drop(client);
    until("the connection is counted off", || {
        listener(&status(&gateway, &home), "data")["open"] == 0
    });
    all_records(&gateway, &home);
    until("the index has caught up", || {
        let status = status(&gateway, &home);
        status["index"]["lag"] == 0 && status["journal"]["written"].as_u64() >= Some(1)
    });
    let admin = format!("http://{}", gateway.admin());
    let (code, out, err) = home.run(&["status", "--admin", &admin]);
    assert_eq!(code, 0, "{err}");
    for words in ["journal", "index", "provider", "waiting", "up "] {
        assert!(out.contains(words), "no {words:?} in {out}");
    }
    gateway.stop();
}

/// A home whose folder and admin socket stand in its configuration only.
fn configured() -> (Home, PathBuf) {
    let home = Home::new();
    let socket = home.path("admin.sock");
    let elsewhere = home.path("elsewhere");
    let config = format!(
        "data_dir: '{}'\nproviders: {{sandbox: {{}}}}\n\
         listen: {{data: {{address: '127.0.0.1:0'}}, admin: {{unix: '{}'}}}}\n\
         keys: [{{id: a, secret: '${{env:A_SECRET_OF_THE_GATEWAY}}'}}]\n",
        elsewhere.display(),
        socket.display()
    );
    fs::create_dir(home.path("etc")).unwrap();
    fs::write(home.path("etc/gate.yaml"), config).unwrap();
    (home, elsewhere)
}

#[test]
fn commands_find_the_gateway_by_its_configuration() {
    let (home, elsewhere) = configured();
    let config = ["--config", "etc/gate.yaml"];
    let mut command = home.command(&config);
    command
        .env_remove("TOLLGATE_DATA_DIR")
        .env("A_SECRET_OF_THE_GATEWAY", KEY);
    let gateway = Gateway::start(command);
    assert_eq!(gateway.chat("sandbox/echo").status, 200);
    assert!(elsewhere.join("admin.key").exists());
    for words in [
        &["logs", "--json", "--config", "etc/gate.yaml"][..],
        &["status", "--json", "--config", "etc/gate.yaml"],
        &["logs", "verify", "--json", "--config", "etc/gate.yaml"],
    ] {
        let mut command = home.command(words);
        // The secret of a caller is not known in an operator's shell.
        let output = command.env_remove("TOLLGATE_DATA_DIR").output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {err}");
        let out = String::from_utf8(output.stdout).unwrap();
        assert!(!out.is_empty(), "{words:?}: {err}");
    }
    gateway.stop();
}

#[test]
fn a_configuration_that_was_named_must_be_usable_to_find_a_gateway() {
    let home = Home::new();
    fs::write(home.path("broken.yaml"), "datadir: x\n").unwrap();
    let (code, out, err) = home.run(&["logs", "--config", "broken.yaml"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        err.contains("broken.yaml:1:1") && err.contains("data_dir"),
        "{err}"
    );
}

/// Flips one byte.
fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_altered_journal_is_found_and_placed() {
    let up = Upstream::good();
    let home = Home::with(&up.config(""));
    let gateway = home.start();
    for _ in 0..3 {
        gateway.chat("good");
    }
    // While a gateway runs, too.
    all_records(&gateway, &home);
    assert_eq!(home.run(&["logs", "verify"]).0, 0);
    gateway.stop();
    let (code, out, err) = home.run(&["logs", "verify"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("journal: sound") && out.contains("entries   4"),
        "{out}"
    );
    let segment = home.path("data/journal/000000000001.seg");
    let length = fs::metadata(&segment).unwrap().len() as usize;
    flip(&segment, length / 2);
    let (code, out, _) = home.run(&["logs", "verify"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("DAMAGED OR ALTERED"), "{out}");
    assert!(out.contains("FIRST     segment 1, byte "), "{out}");
    let (code, out, _) = home.run(&["logs", "verify", "--json"]);
    assert_eq!(code, 1, "{out}");
    let told: Value = serde_json::from_str(&out).unwrap();
    let first = &told["journals"][0]["findings"][0];
    assert_eq!(
        (&told["sound"], &first["segment"]),
        (&false.into(), &1.into())
    );
    let offset = first["offset"].as_u64().unwrap() as usize;
    assert!(offset <= length / 2, "{first}");
    flip(&segment, length / 2);
    assert_eq!(home.run(&["logs", "verify"]).0, 0);
}

#[test]
fn a_folder_without_a_journal_is_told_apart_from_a_damaged_one() {
    let home = Home::new();
    let (code, out, err) = home.run(&["logs", "verify", "--data-dir", "nowhere"]);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(
        err.contains("nowhere/journal") && err.contains("--data-dir"),
        "{err}"
    );
}

#[test]
fn the_development_key_stays_after_a_restart() {
    let home = Home::new();
    home.configure("providers: {sandbox: {}}\nkeys: []\n");
    let gateway = home.start();
    let (key, plan) = (gateway.told("key"), gateway.told("plan"));
    gateway.stop();
    let file = home.path("data/development.key");
    assert_eq!(fs::read_to_string(&file).unwrap().trim(), key);
    let gateway = home.start();
    assert_eq!(
        (gateway.told("key"), gateway.told("plan")),
        (key.clone(), plan)
    );
    let path = "/v1/chat/completions";
    let body = chat("sandbox/echo", false);
    assert_eq!(ask(gateway.data(), &key, path, &body).unwrap().status, 200);
    gateway.stop();
    // With keys of one's own there is none, and the old one opens nothing.
    home.configure("providers: {sandbox: {}}\n");
    let gateway = home.start();
    assert!(
        !gateway.banner().contains("tg-dev-"),
        "{}",
        gateway.banner()
    );
    assert_eq!(ask(gateway.data(), &key, path, &body).unwrap().status, 401);
    gateway.stop();
    let fresh = Home::with("providers: {sandbox: {}}");
    fresh.start().stop();
    assert!(!fresh.path("data/development.key").exists());
}

#[test]
fn nobody_else_reads_what_lies_in_the_data_folder() {
    let home = Home::with("providers: {sandbox: {}}");
    let gateway = home.start();
    gateway.chat("sandbox/echo");
    all_records(&gateway, &home);
    // As an older version left them.
    let (journal, index) = (home.path("data/journal"), home.path("data/index.sqlite"));
    fs::set_permissions(&journal, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&index, fs::Permissions::from_mode(0o644)).unwrap();
    gateway.stop();
    let gateway = home.start();
    until("the index is open", || {
        fs::metadata(&index).unwrap().permissions().mode() & 0o077 == 0
    });
    let mut folders = vec![home.path("data")];
    while let Some(folder) = folders.pop() {
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
    }
    gateway.stop();
}

#[test]
fn without_providers_the_start_says_what_to_write() {
    let home = Home::with("providers:\n");
    let gateway = home.start();
    gateway.hears("no model can be called");
    let banner = gateway.banner();
    for words in [
        "No provider is configured",
        "providers: auto",
        "{sandbox: {}}",
    ] {
        assert!(banner.contains(words), "no {words:?} in {banner}");
    }
    assert!(!banner.contains("<model>"), "{banner}");
    let mut client = Client::connect(gateway.data()).unwrap();
    let bearer = format!("Bearer {KEY}");
    let headers = [("authorization", bearer.as_str())];
    client.send("GET", "/v1/models", &headers, b"").unwrap();
    assert_eq!(client.answer().unwrap().status, 200);
    gateway.stop();
    let (code, out, err) = home.run(&["config", "check"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        err.contains("tollgate.yaml:1:10") && err.contains("warning"),
        "{err}"
    );
    assert!(out.contains("no providers"), "{out}");
}
