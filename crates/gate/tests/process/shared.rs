//! Two gateways that share virtual keys and plans by a real database, which is
//! killed in the middle and comes back.

use std::fs;

use serde_json::Value;

use crate::gateway::{Gateway, Home, KEY, ask, chat, post};
use crate::postgres::Server;
use crate::until;
use crate::upstream::{Event, Upstream, gated};

const DOOR: &str = "/v1/chat/completions";
const SECRET: &str = "a secret of all replicas: 0123456789abcdef";

/// A home with what replicas share, and this configuration.
fn home(server: &Server, config: &str) -> Home {
    let home = Home::new();
    for (name, text) in [
        ("db.url", &*server.url()),
        ("shared.secret", SECRET),
        ("test.key", KEY),
    ] {
        fs::write(home.path(name), text).unwrap();
    }
    home.configure(&document(config));
    home
}

fn document(config: &str) -> String {
    format!(
        "{config}\nkeys: [{{id: test, secret: '${{file:test.key}}'}}]\n\
         database: {{url: '${{file:db.url}}', shared_secret: '${{file:shared.secret}}'}}\n"
    )
}

fn tollgate(home: &Home, gateway: &Gateway, words: &[&str]) -> (i32, String, String) {
    let admin = format!("http://{}", gateway.admin());
    home.run(&[words, &["--admin", &admin]].concat())
}

fn said(home: &Home, gateway: &Gateway, words: &[&str]) -> String {
    let (code, out, err) = tollgate(home, gateway, words);
    assert_eq!(code, 0, "{words:?}: {err}");
    out
}

/// Makes a key; its id and its secret.
fn make(home: &Home, gateway: &Gateway, words: &[&str]) -> (String, String) {
    let out = said(
        home,
        gateway,
        &[&["keys", "create", "--json"], words].concat(),
    );
    let made: Value = serde_json::from_str(&out).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["key"]["id"]), text(&made["secret"]))
}

fn status(gateway: &Gateway, secret: &str) -> u16 {
    ask(gateway.data(), secret, DOOR, &chat("m", false))
        .unwrap()
        .status
}

#[test]
fn a_key_of_one_replica_is_one_of_all_until_it_is_revoked() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let gate = Event::default();
    let up = gated(&gate);
    let homes = [(); 2].map(|()| home(&server, &up.config("models: {m: up/m}")));
    let [here, there] = &homes;
    let (one, other) = (here.start(), there.start());
    let (id, secret) = make(here, &one, &["--on-revoke", "cut"]);
    let (stays, kept) = make(there, &other, &[]);
    until("the other knows it", || status(&other, &secret) == 200);
    until("and the other way", || status(&one, &kept) == 200);

    // Revoked on one: refused on the other, and its open streams there end.
    let mut stream = other.connect();
    post(&mut stream, &secret, DOOR, &chat("m", true)).unwrap();
    assert_eq!(stream.head().unwrap().status, 200);
    stream.chunks_until("first");
    said(here, &one, &["keys", "revoke", &id]);
    assert_eq!(status(&one, &secret), 401, "at once");
    until("it is refused", || status(&other, &secret) == 401);
    let told = stream.chunks_until("revoked");
    assert!(
        told.contains("\"error\"") && !told.contains("[DONE]"),
        "{told}"
    );
    gate.happen();

    // Without the database keys stay as they are, and none is changed.
    server.kill();
    for gateway in [&one, &other] {
        assert_eq!(
            (status(gateway, &kept), status(gateway, &secret)),
            (200, 401)
        );
    }
    for words in [&["keys", "create"] as &[&str], &["keys", "revoke", &stays]] {
        let (code, _, err) = tollgate(here, &one, words);
        assert_eq!(code, 1, "{words:?}");
        assert!(err.contains("database cannot be used"), "{err}");
    }
    until("it shows", || {
        one.metric("tollgate_virtual_keys_behind_seconds") > 1.0
    });
    // One that starts meanwhile has its copy.
    other.kill();
    let other = there.start();
    assert!(other.complaints().contains("its copy of the virtual keys"));
    assert_eq!((status(&other, &kept), status(&other, &secret)), (200, 401));

    server.start_again();
    other.hears("the store of virtual keys works again");
    one.hears("the store of virtual keys works again");
    said(here, &one, &["keys", "revoke", &stays]);
    until("it is refused", || status(&other, &kept) == 401);
    until("both are in step", || {
        let behind = |gateway: &Gateway| gateway.metric("tollgate_virtual_keys_behind_seconds");
        let revoked = other.metric("tollgate_virtual_keys{state=\"revoked\"}");
        behind(&one) < 1.0 && behind(&other) < 1.0 && revoked > 1.5
    });
    one.stop();
    other.stop();
}

#[test]
fn a_replica_with_another_secret_or_keys_of_its_own_does_not_start() {
    let Some(server) = Server::start() else {
        return;
    };
    let up = Upstream::good();
    let first = home(&server, &up.config("models: {m: up/m}"));
    let gateway = first.start();
    make(&first, &gateway, &[]);
    let stranger = home(&server, &up.config("models: {m: up/m}"));
    fs::write(stranger.path("shared.secret"), SECRET.to_uppercase()).unwrap();
    let (code, _, err) = stranger.run(&["serve"]);
    assert_eq!(code, 1);
    assert!(err.contains("give all replicas the same one"), "{err}");
    // Keys that were made before there was a database are not forgotten.
    let before = Home::with(&up.config("models: {m: up/m}"));
    let alone = before.start();
    let (_, secret) = make(&before, &alone, &[]);
    alone.stop();
    for name in ["db.url", "shared.secret", "test.key"] {
        fs::copy(first.path(name), before.path(name)).unwrap();
    }
    before.configure(&document(&up.config("models: {m: up/m}")));
    let (code, _, err) = before.run(&["serve"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("1 virtual keys") && err.contains("hex:"),
        "{err}"
    );
    // With their key as the secret, they are brought into a database.
    let key = fs::read(before.path("data/keys.key")).unwrap();
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(before.path("shared.secret"), format!("hex:{digits}")).unwrap();
    let text = document(&up.config("models: {m: up/m}"));
    before.configure(&text.replace("database: {", "database: {schema: other, "));
    let moved = before.start();
    assert!(
        moved
            .complaints()
            .contains("1 virtual keys of this data folder")
    );
    assert_eq!(status(&moved, &secret), 200);
    moved.stop();
    gateway.stop();
}

#[test]
fn a_plan_of_one_replica_is_in_force_on_all() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let up = Upstream::good();
    let with = |models: &str| {
        let more = format!("models: {{m: up/m{models}}}\nplans: {{owner: api}}");
        document(&up.config(&more))
    };
    let homes = [(); 2].map(|()| {
        let home = home(&server, "");
        home.configure(&with(""));
        home
    });
    let [here, there] = &homes;
    let (one, other) = (here.start(), there.start());
    let listen = "\nlisten: {data: {address: '127.0.0.1:0'}, admin: {address: '127.0.0.1:0'}}\n";
    let apply = |home: &Home, gateway: &Gateway, models: &str, more: &[&str]| {
        fs::write(home.path("new.yaml"), with(models) + listen).unwrap();
        tollgate(
            home,
            gateway,
            &[&["plan", "apply", "new.yaml"], more].concat(),
        )
    };
    let has = |gateway: &Gateway, model: &str| gateway.chat(model).status == 200;
    let (code, _, err) = apply(here, &one, ", fast: up/m", &[]);
    assert_eq!(code, 0, "{err}");
    assert!(has(&one, "fast"));
    until("the other has it", || has(&other, "fast"));
    other.hears("another replica changed the plan");
    assert!((other.metric("tollgate_plan_number") - 2.0).abs() < 0.5);

    // A roll-out is one of all, whoever ends it.
    let (code, _, err) = apply(there, &other, ", tried: up/m", &["--percent", "100"]);
    assert_eq!(code, 0, "{err}");
    until("it is tried here too", || has(&one, "tried"));
    said(here, &one, &["plan", "rollout", "promote"]);
    until("it is in force", || {
        other.metric("tollgate_plan_number") > 2.5 && has(&other, "tried")
    });

    // What a replica lacks keeps its last good plan, and it says so.
    fs::write(here.path("more.key"), "tg-ffffffffffffffffffffffff").unwrap();
    let lacking = ", more: up/m}\nmetadata: {}\nbudgets: []\nadmin: {credentials: [{id: ops, \
                   secret: '${file:more.key}', role: viewer}]";
    let (code, _, err) = apply(here, &one, lacking, &[]);
    assert_eq!(code, 0, "{err}");
    other.hears("cannot be taken in");
    assert!(has(&other, "tried") && !has(&other, "more"));
    until("the newest is known", || {
        other.metric("tollgate_plan_number_newest") > 3.5
    });
    assert!((other.metric("tollgate_plan_number") - 3.0).abs() < 0.5);
    fs::copy(here.path("more.key"), there.path("more.key")).unwrap();
    until("it is taken in", || has(&other, "more"));

    // Without the database plans stay, and start again.
    server.kill();
    until("a change is refused", || {
        let (code, _, err) = apply(here, &one, "", &[]);
        code == 1 && err.contains("the database cannot be used")
    });
    other.kill();
    let other = there.start();
    assert!(has(&other, "more"));
    server.start_again();
    until("it is changed again", || apply(here, &one, "", &[]).0 == 0);
    until("on both", || !has(&other, "more"));
    assert!(has(&other, "m") && has(&one, "m") && !has(&one, "more"));
    one.stop();
    other.stop();
}
