//! Cases of credentials that callers bring for their providers.

use std::sync::Arc;

use contract::{FaultKind, Secret};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Observe, missing};

fn observe() -> Observe {
    Observe {
        tenant: "acme".into(),
        app: "shop".into(),
        provider: None,
        intake: false,
        other: Some("the listener `data` (127.0.0.1:4100)".into()),
    }
}

fn identify(headers: &[(&'static str, &str)]) -> Result<Arc<crate::Consumer>, contract::Fault> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).unwrap();
        map.append(HeaderName::from_static(name), value);
    }
    let digest =
        |key: &Secret<String>| *blake3::keyed_hash(&[7; 32], key.expose().as_bytes()).as_bytes();
    observe().identify(&map, &digest, &|key| key == "ours")
}

#[test]
fn of_the_key_only_a_digest_is_told_and_it_is_the_same_in_every_header() {
    let first = identify(&[("authorization", "Bearer sk-theirs")]).unwrap();
    assert_eq!((&*first.tenant, &*first.app), ("acme", "shop"));
    let id = first.key_id.strip_prefix("observe:").unwrap();
    assert!(id.len() == 12 && id.chars().all(|c| c.is_ascii_hexdigit()));
    assert!(!format!("{first:?}").contains("sk-theirs"));
    for header in ["x-api-key", "x-goog-api-key", "api-key"] {
        assert_eq!(
            identify(&[(header, "sk-theirs")]).unwrap().key_id,
            first.key_id
        );
    }
    let other = identify(&[("api-key", "sk-other")]).unwrap();
    assert_ne!(other.key_id, first.key_id);
    assert_eq!(&*identify(&[]).unwrap().key_id, "observe");
}

#[test]
fn what_must_not_be_passed_on_is_refused() {
    let cases: [(&[(&'static str, &str)], &str); 7] = [
        (
            &[("authorization", "Bearer tg-abc-secret")],
            "listener `data`",
        ),
        (
            &[("authorization", "bearer  tg-abc-secret")],
            "listener `data`",
        ),
        (&[("x-api-key", "tg-abc-secret")], "listener `data`"),
        (
            &[("x-goog-api-key", "sk-a"), ("api-key", "tg-abc")],
            "Two different",
        ),
        (&[("authorization", "Bearer ours")], "never passed on"),
        (
            &[("authorization", "AWS4-HMAC-SHA256 Credential=a")],
            "signed",
        ),
        (
            &[("x-api-key", "sk-a"), ("x-api-key", "sk-b")],
            "Two different",
        ),
    ];
    for (headers, words) in cases {
        let fault = identify(headers).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unauthenticated);
        assert!(
            fault.public.contains(words),
            "{headers:?}: {}",
            fault.public
        );
        assert!(!fault.public.contains("tg-abc"), "{}", fault.public);
    }
    assert_eq!(missing().kind, FaultKind::Unauthenticated);
}
