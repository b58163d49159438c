//! Cases of the catalog, classification and signing.

use std::sync::{Arc, LazyLock};

use contract::fault::UpstreamError;
use contract::seams::{Endpoint, HttpVersion, Outbound, Pieces};
use contract::{FaultKind, Origin, Retry, Secret};
use http::{HeaderMap, HeaderValue, Method};

use super::*;

#[test]
fn kinds_have_unique_names_and_known_dialects() {
    let known = [
        "openai_chat",
        "openai_responses",
        "anthropic",
        "gemini",
        "bedrock",
    ];
    let mut names: Vec<&str> = kinds().iter().map(|kind| kind.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "two kinds share a name");
    for kind in kinds() {
        assert!(
            kind.provider.local().is_some() || !kind.dialects.is_empty(),
            "{}",
            kind.name
        );
        assert!(
            kind.dialects.iter().all(|name| known.contains(name)),
            "{}",
            kind.name
        );
        if let Some(url) = kind.base_url {
            assert!(!url.ends_with('/'), "{}", kind.name);
        }
    }
}

fn refusal(status: u16, code: Option<&str>, message: &str) -> Refusal {
    Refusal {
        error: UpstreamError {
            status,
            code: code.map(str::to_owned),
            message: message.to_owned(),
            param: None,
        },
        retry_after_ms: None,
    }
}

#[test]
fn refusals_are_classified() {
    let cases = [
        ("openai", 400, None, "", FaultKind::UpstreamRefused, 400),
        ("openai", 401, None, "", FaultKind::UpstreamBroken, 502),
        ("openai", 403, None, "", FaultKind::UpstreamBroken, 502),
        ("openai", 404, None, "", FaultKind::UpstreamRefused, 404),
        ("openai", 422, None, "", FaultKind::UpstreamRefused, 422),
        ("openai", 429, None, "", FaultKind::UpstreamBusy, 429),
        (
            "openai",
            429,
            Some("insufficient_quota"),
            "",
            FaultKind::UpstreamBroken,
            502,
        ),
        ("openai", 500, None, "", FaultKind::UpstreamBroken, 502),
        ("openai", 503, None, "", FaultKind::UpstreamBroken, 502),
        ("openai", 302, None, "", FaultKind::UpstreamBroken, 502),
        ("anthropic", 529, None, "", FaultKind::UpstreamBroken, 502),
        ("anthropic", 408, None, "", FaultKind::Timeout, 504),
        (
            "anthropic",
            400,
            None,
            "Your credit balance is too low",
            FaultKind::UpstreamBroken,
            502,
        ),
        (
            "gemini",
            400,
            None,
            "API key not valid.",
            FaultKind::UpstreamBroken,
            502,
        ),
        (
            "gemini",
            400,
            None,
            "bad schema",
            FaultKind::UpstreamRefused,
            400,
        ),
    ];
    for (name, status, code, message, expected, shown) in cases {
        let provider = kind(name).expect("it is in the list").provider;
        let fault = provider.classify(refusal(status, code, message));
        assert_eq!(fault.kind, expected, "{name} {status} {code:?} {message}");
        assert_eq!(fault.status(), shown, "{name} {status} {code:?} {message}");
        let blame = if expected == FaultKind::UpstreamRefused {
            Origin::Client
        } else {
            Origin::Provider
        };
        assert_eq!(fault.origin, blame, "{name} {status}");
    }
}

#[test]
fn a_wait_is_read_and_bounded() {
    let wait = |name: &'static str, value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        retry_after_ms(&headers)
    };
    assert_eq!(wait("retry-after", "2"), Some(2_000));
    assert_eq!(wait("retry-after-ms", "1.5"), Some(2));
    assert_eq!(wait("retry-after", "-1"), None);
    assert_eq!(wait("retry-after", "nan"), None);
    assert_eq!(wait("retry-after", "999999999"), Some(3_600_000));
    assert_eq!(wait("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"), None);
    let mut busy = refusal(429, None, "");
    busy.retry_after_ms = Some(7);
    assert_eq!(classify(busy).retry, Retry::After { ms: 7 });
}

fn outbound(path: &str) -> Outbound {
    Outbound {
        endpoint: Arc::new(Endpoint {
            id: "e".into(),
            tls: true,
            host: "example.amazonaws.com".into(),
            port: 443,
            authority: HeaderValue::from_static("example.amazonaws.com"),
            ca_pem: None,
            proxy: None,
            version: HttpVersion::Auto,
            connections_max: 1,
            connect_ms: 1,
        }),
        method: Method::GET,
        path: path.into(),
        headers: HeaderMap::new(),
        body: Pieces::new(),
        head_ms: 1,
    }
}

static NO_LOANS: LazyLock<Loans> = LazyLock::new(Loans::default);

/// What is read at a time, with nothing borrowed.
fn at(unix_us: u64) -> Readings<'static> {
    Readings {
        unix_us,
        loans: &NO_LOANS,
    }
}

#[test]
fn timestamps() {
    assert_eq!(sigv4::timestamp_for_tests(0), "19700101T000000Z");
    assert_eq!(
        sigv4::timestamp_for_tests(1_440_938_160),
        "20150830T123600Z"
    );
    assert_eq!(
        sigv4::timestamp_for_tests(1_709_210_096),
        "20240229T123456Z"
    );
}

/// Computed by botocore 1.44 for the same request (SigV4Auth, service
/// `bedrock`, region us-east-1, the example keys of AWS's documents).
#[test]
fn signs_as_the_vendor_does() {
    let account = Account {
        key: None,
        signing: Some(SigningKeys {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into()),
            session_token: None,
        }),
        region: Some("us-east-1".into()),
        ..Account::default()
    };
    let mut request = outbound("/model/anthropic.claude-v2%3A1/converse");
    request.method = Method::POST;
    request.body.push("{\"a\":1}".into());
    request
        .headers
        .insert("content-type", HeaderValue::from_static("application/json"));
    kind("bedrock")
        .expect("it is in the list")
        .provider
        .authorize(&account, &mut request, at(1_440_938_160_000_000))
        .expect("the account has keys");
    let authorization = request.headers["authorization"].to_str().expect("ASCII");
    assert_eq!(
        authorization,
        include_str!("../tests/sigv4.authorization.txt").trim()
    );
}

#[test]
fn keys_go_where_each_vendor_wants_them() {
    let account = Account {
        key: Some(Secret::new("k".into())),
        ..Account::default()
    };
    let cases = [
        ("openai", None, "authorization", "Bearer k"),
        ("anthropic", Some("2023-06-01"), "x-api-key", "k"),
        ("anthropic", Some("2026-10-21"), "authorization", "Bearer k"),
        ("gemini", None, "x-goog-api-key", "k"),
        ("azure", None, "api-key", "k"),
        ("bedrock", None, "authorization", "Bearer k"),
        ("mistral", None, "authorization", "Bearer k"),
    ];
    for (name, version, header, expected) in cases {
        let mut request = outbound("/");
        if let Some(version) = version {
            request
                .headers
                .insert("anthropic-version", HeaderValue::from_static(version));
        }
        let provider = kind(name).expect("it is in the list").provider;
        provider
            .authorize(&account, &mut request, at(0))
            .expect("the account has a key");
        assert_eq!(request.headers[header], expected, "{name}");
        assert!(request.headers[header].is_sensitive(), "{name}");
    }
}

#[test]
fn borrowed_keys_sign_until_they_end() {
    let around = Around {
        env: &|_| None,
        file: &|_| None,
        region: None,
        proxy: None,
        ca_pem: None,
    };
    let bedrock = kind("bedrock").expect("it is in the list");
    let signing = bedrock.signing.expect("it signs");
    let found = (signing.find)(&Whence::Instance, &around).expect("a source");
    let FoundKeys::Lent(lender) = found.keys else {
        panic!("they are temporary");
    };
    let account = Account {
        lender: Some(lender.clone()),
        region: Some("us-east-1".into()),
        ..Account::default()
    };
    let sign = |loans: &Loans, unix_us: u64| {
        let mut request = outbound("/model/m/converse");
        let readings = Readings { unix_us, loans };
        let signed = bedrock.provider.authorize(&account, &mut request, readings);
        signed.map(|()| request)
    };
    let private = |loans: &Loans, unix_us: u64| {
        let fault = sign(loans, unix_us).expect_err("no keys");
        assert_eq!(
            (fault.kind, fault.status()),
            (FaultKind::UpstreamBroken, 502)
        );
        assert_eq!(fault.origin, Origin::Provider);
        assert_eq!(fault.retry, Retry::Other, "another provider may do");
        assert!(!fault.public.contains("metadata"), "{}", fault.public);
        fault.private
    };
    let name = "temporary credentials by instance metadata at 169.254.169.254";
    let none = Loans::default();
    assert_eq!(
        private(&none, 0),
        format!("{name}: they were not fetched yet")
    );
    let mut loan = Loan {
        trouble: Some("no answer".into()),
        ..Loan::default()
    };
    let failed = none.with(lender.id().clone(), loan.clone());
    assert_eq!(
        private(&failed, 0),
        format!("{name}: there are none: no answer")
    );
    loan.lent = Some(Arc::new(Lent {
        keys: SigningKeys {
            access_key_id: "ASIA".into(),
            secret_access_key: Secret::new("s".into()),
            session_token: Some(Secret::new("session".into())),
        },
        expires_us: Some(1_000),
    }));
    let lent = failed.with(lender.id().clone(), loan);
    let request = sign(&lent, 999).expect("they are valid although the last try failed");
    assert_eq!(request.headers["x-amz-security-token"], "session");
    assert!(request.headers["x-amz-security-token"].is_sensitive());
    assert_eq!(
        private(&lent, 1_000),
        format!("{name}: they have expired: no answer")
    );
    assert!(lent.only(&|_| false).get(lender.id()).is_none());
}
