//! Callers without a key of the gateway: tokens of a real issuer, its
//! rotation and its outages; networks, proxies and anonymous listeners.

use serde_json::{Map, Value, json};

use crate::client::Answer;
use crate::gateway::{Gateway, Home, KEY, chat, read};
use crate::issuer::Issuer;
use crate::until;

const DOOR: &str = "/v1/chat/completions";
const MODEL: &str = "sandbox/echo";

fn issuer() -> Issuer {
    Issuer::start("127.0.0.1:0").unwrap()
}

/// A configuration that trusts this issuer, with these fields besides.
fn config(issuer: &Issuer, more: &str) -> String {
    let url = issuer.url();
    format!(
        "providers: {{sandbox: {{}}}}\nidentity:\n  issuers:\n    - name: login\n      issuer: {url}\n      \
         audience: tollgate\n      algorithms: [ES256]\n      claims: {{tenant: org, user: email}}\n      \
         fixed: {{app: portal}}\n{more}"
    )
}

fn claims() -> Map<String, Value> {
    let claims = json!({
        "aud": "tollgate", "sub": "ada", "org": "acme", "email": "ada@example.com",
    });
    claims.as_object().unwrap().clone()
}

/// One chat with these headers besides.
fn call(gateway: &Gateway, headers: &[(&str, &str)]) -> Answer {
    let mut client = gateway.connect();
    let mut all = vec![("content-type", "application/json")];
    all.extend(headers);
    let body = chat(MODEL, false);
    let sent = client.send("POST", DOOR, &all, body.as_bytes());
    sent.and_then(|()| client.answer()).unwrap()
}

fn bearer(gateway: &Gateway, token: &str) -> Answer {
    call(gateway, &[("authorization", &format!("Bearer {token}"))])
}

fn status(gateway: &Gateway, home: &Home) -> Value {
    gateway.admin_call(home, "GET", "/v1/status").json()
}

/// Whether a file below a folder holds this text.
fn holds(folder: &std::path::Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().any(|entry| {
        let path = entry.path();
        match path.is_dir() {
            true => holds(&path, text),
            false => read(&path).is_some_and(|bytes| {
                bytes
                    .windows(text.len())
                    .any(|part| part == text.as_bytes())
            }),
        }
    })
}

#[test]
fn a_token_of_an_issuer_is_a_credential() {
    let issuer = issuer();
    let home = Home::with(&config(&issuer, "log: {requests: full}\n"));
    let gateway = home.start();
    let token = issuer.token(&claims());
    let answer = bearer(&gateway, &token);
    assert_eq!(answer.status, 200, "{}", answer.text());
    // The headers of other SDKs carry it as well.
    assert_eq!(call(&gateway, &[("x-api-key", &token)]).status, 200);
    // A key is still a key.
    assert_eq!(bearer(&gateway, KEY).status, 200);
    let changed = format!(
        "{}A{}",
        &token[..token.len() - 9],
        &token[token.len() - 8..]
    );
    let other = issuer.token(&{
        let mut claims = claims();
        claims.insert("aud".into(), "another".into());
        claims
    });
    let expired = issuer.token(&{
        let mut claims = claims();
        claims.insert("exp".into(), 1_000.into());
        claims
    });
    for (bad, words) in [
        (&changed, "signature"),
        (&other, "another audience"),
        (&expired, "has expired"),
    ] {
        let answer = bearer(&gateway, bad);
        assert_eq!(answer.status, 401, "{words}");
        assert_eq!(answer.json()["error"]["code"], "invalid_api_key");
        assert!(answer.text().contains(words), "{}", answer.text());
        assert_eq!(answer.header("x-should-retry"), "false");
    }
    assert_eq!(issuer.fetches(), 1, "one fetch for all of them");
    let lines = gateway.logs(&home, &[]);
    let ids = lines.iter().map(|line| line["key_id"].as_str().unwrap());
    let expected = ["login:ada", "login:ada", "test", "", "", ""];
    assert_eq!(ids.collect::<Vec<_>>(), expected, "{lines:?}");
    assert_eq!(
        (&lines[0]["tenant"], &lines[0]["app"]),
        (&"acme".into(), &"portal".into())
    );
    until("the log names the user", || {
        let lines = gateway.banner();
        lines.matches("\"user\":\"ada@example.com\"").count() >= 2
    });
    let (told, complaints) = (gateway.banner(), gateway.complaints());
    gateway.stop();
    // Nothing of a token is kept or said anywhere: neither its parts nor the
    // claims that were not mapped.
    for part in [&token, &changed, &other, &expired]
        .iter()
        .flat_map(|token| token.split('.'))
    {
        let part = part.trim_end_matches('\n');
        assert!(!told.contains(part) && !complaints.contains(part));
        assert!(!holds(&home.path("data"), part), "{part}");
    }
}

#[test]
fn a_rotated_key_is_fetched_when_it_is_needed() {
    let issuer = issuer();
    let home = Home::with(&config(&issuer, ""));
    let gateway = home.start();
    let old = issuer.token(&claims());
    assert_eq!(bearer(&gateway, &old).status, 200);
    issuer.rotate();
    let new = issuer.token(&claims());
    until("the new key is known", || {
        let answer = bearer(&gateway, &new);
        assert!(
            [200, 401, 503].contains(&answer.status),
            "{}",
            answer.text()
        );
        if answer.status == 503 {
            assert_eq!(answer.header("x-should-retry"), "true");
            assert_eq!(answer.header("retry-after"), "1");
        }
        answer.status == 200
    });
    assert_eq!(
        bearer(&gateway, &old).status,
        200,
        "both keys are published"
    );
    assert_eq!(
        issuer.fetches(),
        2,
        "it was asked once more, not with each call"
    );
    gateway.stop();
}

#[test]
fn an_issuer_that_is_down_is_a_declared_degradation() {
    let issuer = issuer();
    let times = "      refresh_s: 1\n      stale_s: 3\n";
    let home = Home::with(&config(&issuer, times));
    let gateway = home.start();
    let token = issuer.token(&claims());
    assert_eq!(bearer(&gateway, &token).status, 200);
    issuer.set_down(true);
    until("the status tells", || {
        let status = status(&gateway, &home);
        status["issuers"][0]["trouble"].is_string()
    });
    // The last good keys count until they are too old; then nothing does.
    until("it fails closed", || {
        let answer = bearer(&gateway, &token);
        assert!([200, 503].contains(&answer.status), "{}", answer.text());
        answer.status == 503
    });
    let answer = bearer(&gateway, &token);
    assert!(
        answer.text().contains("no current keys"),
        "{}",
        answer.text()
    );
    assert_eq!(answer.header("x-should-retry"), "true");
    assert_eq!(
        bearer(&gateway, KEY).status,
        200,
        "keys do not depend on it"
    );
    gateway.hears("the keys of issuer login cannot be fetched");
    issuer.set_down(false);
    until("it is back", || bearer(&gateway, &token).status == 200);
    gateway.hears("the keys of issuer login are there again");
    gateway.stop();
}

#[test]
fn a_gateway_starts_without_its_issuer() {
    let issuer = issuer();
    issuer.set_down(true);
    let home = Home::with(&config(&issuer, "      refresh_s: 1\n"));
    let gateway = home.start();
    let token = issuer.token(&claims());
    assert_eq!(bearer(&gateway, &token).status, 503);
    assert_eq!(bearer(&gateway, KEY).status, 200);
    issuer.set_down(false);
    until("its keys come", || bearer(&gateway, &token).status == 200);
    gateway.stop();
}

#[test]
fn a_reload_changes_what_a_token_stands_for() {
    let issuer = issuer();
    let home = Home::with(&config(&issuer, ""));
    let gateway = home.start();
    let token = issuer.token(&claims());
    assert_eq!(bearer(&gateway, &token).status, 200);
    home.configure(&config(&issuer, "").replace("audience: tollgate", "audience: other"));
    until("the new audience is in force", || {
        bearer(&gateway, &token).status == 401
    });
    home.configure("providers: {sandbox: {}}\n");
    until("the issuer is gone", || {
        bearer(&gateway, &token)
            .text()
            .contains("Incorrect API key")
    });
    gateway.stop();
}

#[test]
fn networks_and_proxies_are_held_to() {
    let office = "tg-office-0123456789abcdef";
    let text = |proxies: &str| {
        format!(
            "providers: {{sandbox: {{}}}}\nkeys:\n  - {{id: office, secret: {office}, \
             addresses: [198.51.100.0/24]}}\n  - {{id: test, secret: {KEY}, loopback_only: true}}\n\
             {proxies}"
        )
    };
    let home = Home::with(&text(""));
    let gateway = home.start();
    let via = |key: &str, hops: &str| {
        let authorization = format!("Bearer {key}");
        call(
            &gateway,
            &[("authorization", &authorization), ("x-forwarded-for", hops)],
        )
        .status
    };
    // Nobody is trusted, so nobody can say where they are.
    assert_eq!(via(office, "198.51.100.7"), 403);
    assert_eq!(via(KEY, "198.51.100.7"), 200);
    home.configure(&text("identity: {trusted_proxies: [127.0.0.1]}\n"));
    until("the proxy is trusted", || {
        via(office, "198.51.100.7") == 200
    });
    assert_eq!(via(office, "198.51.100.7, 203.0.113.9"), 403);
    assert_eq!(via(office, "198.51.100.7, rubbish"), 400);
    assert_eq!(
        via(KEY, "198.51.100.7"),
        401,
        "not from this machine any more"
    );
    assert_eq!(via(KEY, "127.0.0.1, 203.0.113.9"), 401);
    gateway.stop();
}

#[test]
fn only_a_listener_that_says_so_takes_anonymous_callers() {
    let listen = |more: &str| {
        format!(
            "providers: {{sandbox: {{}}}}\nlisten: {{data: {{address: '127.0.0.1:0'{more}}}, \
             admin: {{address: '127.0.0.1:0'}}}}\n"
        )
    };
    let home = Home::with(&listen(", anonymous: {tenant: public, app: demo}"));
    let gateway = home.start();
    assert_eq!(call(&gateway, &[]).status, 200);
    assert_eq!(bearer(&gateway, KEY).status, 200);
    assert_eq!(bearer(&gateway, "tg-wrong-0123456789abcdef").status, 401);
    assert_eq!(bearer(&gateway, "a.b.c").status, 401);
    let lines = gateway.logs(&home, &[]);
    assert_eq!(
        (&lines[0]["key_id"], &lines[0]["tenant"], &lines[0]["app"]),
        (&"anonymous".into(), &"public".into(), &"demo".into())
    );
    assert_eq!(lines[2]["tenant"], "", "a wrong key is nobody");
    gateway.stop();
    let home = Home::with(&listen(""));
    let gateway = home.start();
    assert_eq!(call(&gateway, &[]).status, 401);
    gateway.stop();
    let home = Home::with(&listen(", addresses: [203.0.113.0/24]"));
    let gateway = home.start();
    assert_eq!(bearer(&gateway, KEY).status, 403);
    gateway.stop();
}
