//! Cases of credentials and keys.

use contract::Secret;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::from_static(name);
        headers.append(name, HeaderValue::from_static(value));
    }
    headers
}

#[test]
fn every_sdk_header_is_read() {
    let cases: &[&[(&str, &str)]] = &[
        &[("authorization", "Bearer k")],
        &[("authorization", "bearer  k")],
        &[("x-api-key", "k")],
        &[("x-goog-api-key", "k")],
        &[("api-key", "k")],
        &[("authorization", "Bearer k"), ("x-api-key", "k")],
    ];
    for case in cases {
        assert_eq!(present(&headers(case)).expect("one key"), "k", "{case:?}");
    }
}

#[test]
fn what_is_no_single_key_is_refused() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "No key was sent"),
        (&[("authorization", "Bearer ")], "No key was sent"),
        (&[("x-api-key", "")], "No key was sent"),
        (&[("authorization", "Basic abc")], "scheme"),
        (
            &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
            "Two different keys",
        ),
        (
            &[("x-api-key", "a"), ("x-api-key", "b")],
            "Two different keys",
        ),
        (
            &[("authorization", "Bearer a"), ("x-api-key", "b")],
            "Two different keys",
        ),
        (
            &[("authorization", "AWS4-HMAC-SHA256 Credential=x")],
            "AWS_BEARER_TOKEN_BEDROCK",
        ),
    ];
    for (case, words) in cases {
        let fault = present(&headers(case)).expect_err("not one key");
        assert_eq!(fault.status(), 401, "{case:?}");
        assert!(fault.public.contains(words), "{case:?}: {}", fault.public);
    }
}

fn ring() -> KeyRing {
    let mut ring = KeyRing::new([7; 32]);
    let consumer = Consumer {
        models: Some(vec!["gpt-*".into()]),
        ..Consumer::new("a", "t", "x")
    };
    let dev = Consumer {
        loopback_only: true,
        ..Consumer::new("dev", "t", "x")
    };
    assert!(ring.add(&Secret::new("tg-a".into()), consumer.clone()));
    assert!(ring.add(&Secret::new("tg-dev".into()), dev));
    assert!(
        !ring.add(&Secret::new("tg-a".into()), consumer),
        "the same key twice"
    );
    ring
}

#[test]
fn keys_identify() {
    let ring = ring();
    assert_eq!(&*ring.identify("tg-a", false).expect("known").key_id, "a");
    assert_eq!(
        &*ring.identify("tg-dev", true).expect("from here").key_id,
        "dev"
    );
    assert!(
        ring.identify("tg-dev", false).is_err(),
        "a development key from elsewhere"
    );
    for wrong in ["", "tg-", "tg-a ", "TG-A", "tg-b"] {
        assert!(ring.identify(wrong, true).is_err(), "{wrong:?}");
    }
    assert!(
        !format!("{ring:?}").contains("7, 7"),
        "the digest key must not be printed"
    );
}

#[test]
fn a_key_sees_its_models_only() {
    let ring = ring();
    let consumer = ring.identify("tg-a", false).expect("known");
    assert!(consumer.may_use("gpt-5"));
    assert!(!consumer.may_use("claude-5"));
}
