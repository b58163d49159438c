//! Cases: where keys come from, how old they get, and what an unknown key
//! causes.

use super::*;

fn answer(status: u16, body: &str) -> Heard {
    Heard::Answer {
        status,
        body: body.as_bytes().to_vec(),
    }
}

fn described(issuer: &str, jwks_uri: &str) -> Heard {
    answer(
        200,
        &json!({"issuer": issuer, "jwks_uri": jwks_uri}).to_string(),
    )
}

fn url(step: Step) -> String {
    match step {
        Step::Send(outbound) => {
            let scheme = if outbound.endpoint.tls {
                "https"
            } else {
                "http"
            };
            let authority = outbound.endpoint.authority.to_str().expect("a text");
            format!("{scheme}://{authority}{}", outbound.path)
        }
        other => panic!("nothing is sent: {other:?}"),
    }
}

fn failed(step: Step) -> String {
    match step {
        Step::Failed(why) => why,
        other => panic!("it did not fail: {other:?}"),
    }
}

#[test]
fn an_issuer_is_discovered() {
    let source = source();
    assert_eq!(
        url(source.next(&[])),
        "https://login.example.com/.well-known/openid-configuration"
    );
    let mut heard = vec![described(ISSUER, "https://keys.example.com:8443/jwks?v=1")];
    assert_eq!(
        url(source.next(&heard)),
        "https://keys.example.com:8443/jwks?v=1"
    );
    heard.push(answer(200, &jwks().to_string()));
    match source.next(&heard) {
        Step::Done(set) => {
            assert_eq!(set.fitting(Algorithm::Es256, Some("p256")).count(), 1);
            assert_eq!(set.fitting(Algorithm::Es256, Some("rsa")).count(), 0);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_address_of_keys_needs_no_discovery() {
    let ages = Ages {
        refresh_s: 600,
        stale_s: 3_600,
    };
    let at = |url| Source::new(&"a".into(), "anything", Some(url), None, ages);
    let source = at("https://x.example/keys").expect("an address");
    assert_eq!(url(source.next(&[])), "https://x.example/keys");
    assert!(matches!(
        source.next(&[answer(200, &jwks().to_string())]),
        Step::Done(_)
    ));
    for here in [
        "http://127.0.0.1:9/k",
        "http://[::1]:9/k",
        "http://localhost/k",
    ] {
        assert!(at(here).is_ok(), "{here}");
    }
    for bad in [
        "http://x.example/k",
        "ftp://x.example",
        "x.example",
        "",
        "https://a@b/k",
    ] {
        assert!(at(bad).is_err(), "{bad}");
    }
}

#[test]
fn answers_that_are_no_use_are_told() {
    let source = source();
    let cases = [
        (answer(500, ""), "status 500"),
        (answer(301, ""), "status 301"),
        (answer(200, "<html>"), "cannot be read"),
        (Heard::Nothing("nobody is there".into()), "nobody is there"),
        (
            described("https://login.example.com", "https://x/k"),
            "another issuer",
        ),
        (described(ISSUER, "http://127.0.0.1/k"), "not `https`"),
        (
            described(ISSUER, "http://169.254.169.254/latest"),
            "use `https`",
        ),
        (described(ISSUER, "file:///etc/passwd"), "cannot be used"),
    ];
    for (heard, words) in cases {
        let why = failed(source.next(&[heard]));
        assert!(why.contains(words), "{why}");
    }
    let secret = json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}).to_string();
    let short = json!({"keys": [{"kty": "RSA", "n": encode([255; 128]), "e": "AQAB"}]});
    let many = json!({"keys": vec![jwks()["keys"][1].clone(); 129]});
    for (body, words) in [
        ("[]".to_owned(), "not a set of keys"),
        ("{\"keys\":[]}".to_owned(), "no key for signatures"),
        (secret, "no key for signatures"),
        (short.to_string(), "no key for signatures"),
        (many.to_string(), "more than 128"),
    ] {
        let heard = [described(ISSUER, "https://x.example/k"), answer(200, &body)];
        let why = failed(source.next(&heard));
        assert!(why.contains(words), "{why}");
    }
}

#[test]
fn keys_are_fetched_again_in_time() {
    let good = held(&jwks());
    for roll in [0, 59, 60, 61, u64::MAX] {
        let due = good.due_s(600, roll);
        assert!((NOW + 540..=NOW + 600).contains(&due), "{roll}: {due}");
    }
    let mut down = good;
    let mut waits = Vec::new();
    for _ in 0..7 {
        down = down.settle(Err("down".into()), NOW);
        waits.push(down.due_s(600, 7) - NOW);
    }
    assert_eq!(waits, [5, 10, 20, 40, 60, 60, 60]);
    assert_eq!(down.fetched_s, NOW, "the last good set stays");
    assert!(down.set.is_some());
}

#[test]
fn an_unknown_key_has_the_keys_fetched_once() {
    let token = token(json!({"kid": "new"}), json!({}));
    let keys = key_sets();
    // Just fetched: the key does not exist.
    let refused = ask_at(&issuers(), &token, &keys, NOW + 4).expect_err("unknown");
    assert_eq!((refused.fault.status(), refused.ask.clone()), (401, None));
    // A while ago: it may be new.
    let later = ask_at(&issuers(), &token, &keys, NOW + 5).expect_err("unknown");
    assert_eq!(later.fault.status(), 503);
    assert_eq!(later.ask.as_ref(), Some(source().id()));
    assert_eq!(later.fault.retry, Retry::After { ms: 1_000 });
    // The fetch failed: nothing can be said, and nothing more is asked.
    let down = keys.of(source().id()).settle(Err("down".into()), NOW + 6);
    let keys = keys.with(source().id().clone(), down);
    let refused = ask_at(&issuers(), &token, &keys, NOW + 7).expect_err("unknown");
    assert_eq!((refused.fault.status(), refused.ask.clone()), (503, None));
}

#[test]
fn without_keys_nothing_is_believed() {
    let token = token(json!({}), json!({}));
    let refused = ask_at(&issuers(), &token, &KeySets::default(), NOW).expect_err("no keys");
    assert_eq!(refused.fault.status(), 503);
    assert_eq!(refused.fault.origin, Origin::Gateway);
}
