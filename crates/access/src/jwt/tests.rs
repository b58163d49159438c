//! Cases of tokens: those that are believed, and all the ways to forge one.

mod fetching;
mod forged;
mod remembered;

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature as lc;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use x509_parser::public_key::RSAPublicKey;

use super::*;

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://login.example.com/";

/// Keys of the tests: slow to make, so made once.
static KEYS: LazyLock<TestKeys> = LazyLock::new(|| TestKeys {
    rsa: RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"),
    other_rsa: RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"),
    p256: EcdsaKeyPair::generate(&lc::ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"),
    p384: EcdsaKeyPair::generate(&lc::ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key"),
    ed25519: Ed25519KeyPair::generate().expect("a key"),
});

struct TestKeys {
    rsa: RsaKeyPair,
    other_rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa_jwk(kid: &str, pair: &RsaKeyPair) -> Value {
    let der = pair.public_key().as_ref();
    let subject = x509_parser::x509::SubjectPublicKeyInfo::from_der(der);
    let der = match &subject {
        Ok((_, info)) => info.subject_public_key.data.to_vec(),
        Err(_) => der.to_vec(),
    };
    let (_, key) = RSAPublicKey::from_der(&der).expect("a public key");
    json!({
        "kty": "RSA", "kid": kid, "use": "sig",
        "n": encode(key.modulus), "e": encode(key.exponent),
    })
}

use x509_parser::prelude::FromDer as _;

fn ec_jwk(kid: &str, curve: &str, pair: &EcdsaKeyPair) -> Value {
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    json!({"kty": "EC", "kid": kid, "crv": curve, "x": encode(x), "y": encode(y)})
}

fn jwks() -> Value {
    json!({"keys": [
        rsa_jwk("rsa", &KEYS.rsa),
        ec_jwk("p256", "P-256", &KEYS.p256),
        ec_jwk("p384", "P-384", &KEYS.p384),
        {
            "kty": "OKP", "kid": "ed", "crv": "Ed25519", "alg": "EdDSA",
            "x": encode(KEYS.ed25519.public_key().as_ref()),
        },
        {"kty": "oct", "kid": "secret", "k": encode("not-for-signatures")},
        {"kty": "RSA", "kid": "enc", "use": "enc", "n": "AQAB", "e": "AQAB"},
    ]})
}

/// Signs with the key that goes with an algorithm.
fn signature(algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
    let rsa = |encoding: &'static dyn lc::RsaEncoding| {
        let mut signature = vec![0; KEYS.rsa.public_modulus_len()];
        let random = SystemRandom::new();
        let signed = KEYS.rsa.sign(encoding, &random, message, &mut signature);
        signed.expect("a signature");
        signature
    };
    let ec = |pair: &EcdsaKeyPair| {
        let signed = pair.sign(&SystemRandom::new(), message);
        signed.expect("a signature").as_ref().to_vec()
    };
    match algorithm {
        Algorithm::Rs256 => rsa(&lc::RSA_PKCS1_SHA256),
        Algorithm::Rs384 => rsa(&lc::RSA_PKCS1_SHA384),
        Algorithm::Rs512 => rsa(&lc::RSA_PKCS1_SHA512),
        Algorithm::Ps256 => rsa(&lc::RSA_PSS_SHA256),
        Algorithm::Ps384 => rsa(&lc::RSA_PSS_SHA384),
        Algorithm::Ps512 => rsa(&lc::RSA_PSS_SHA512),
        Algorithm::Es256 => ec(&KEYS.p256),
        Algorithm::Es384 => ec(&KEYS.p384),
        Algorithm::EdDsa => KEYS.ed25519.sign(message).as_ref().to_vec(),
    }
}

fn kid(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Rs256
        | Algorithm::Rs384
        | Algorithm::Rs512
        | Algorithm::Ps256
        | Algorithm::Ps384
        | Algorithm::Ps512 => "rsa",
        Algorithm::Es256 => "p256",
        Algorithm::Es384 => "p384",
        Algorithm::EdDsa => "ed",
    }
}

/// A token of these parts, signed as `algorithm` says.
fn signed(head: &str, claims: &str, algorithm: Algorithm) -> String {
    let message = format!("{}.{}", encode(head), encode(claims));
    let signature = signature(algorithm, message.as_bytes());
    format!("{message}.{}", encode(signature))
}

/// A good token with these fields of the head and these claims changed;
/// `null` takes one away.
fn token(head: Value, claims: Value) -> String {
    token_by(Algorithm::Es256, head, claims)
}

fn token_by(algorithm: Algorithm, head: Value, claims: Value) -> String {
    let mut all_head = json!({"alg": algorithm.name(), "kid": kid(algorithm), "typ": "JWT"});
    let mut all_claims = json!({
        "iss": ISSUER, "aud": "tollgate", "sub": "user-7", "exp": NOW + 600, "iat": NOW,
        "org": {"id": "acme"}, "email": "ada@example.com", "groups": ["staff", "eu"],
    });
    for (all, changes) in [(&mut all_head, head), (&mut all_claims, claims)] {
        let all = all.as_object_mut().expect("an object");
        for (name, value) in changes.as_object().expect("an object") {
            match value {
                Value::Null => all.remove(name),
                value => all.insert(name.clone(), value.clone()),
            };
        }
    }
    signed(&all_head.to_string(), &all_claims.to_string(), algorithm)
}

fn source() -> Arc<Source> {
    let ages = Ages {
        refresh_s: 600,
        stale_s: 3_600,
    };
    Source::new(&"login".into(), ISSUER, None, None, ages).expect("an address")
}

fn path(name: &str) -> ClaimPath {
    ClaimPath(name.into())
}

fn issuers() -> Issuers {
    Issuers(vec![Issuer {
        name: "login".into(),
        issuer: ISSUER.into(),
        audience: vec!["tollgate".into(), "api".into()],
        algorithms: Algorithm::ALL.to_vec(),
        skew_s: 60,
        claims: Claims {
            tenant: NameFrom::Claim(path("org.id")),
            app: NameFrom::Fixed("portal".into()),
            user: Some(path("email")),
            groups: Some(path("groups")),
        },
        required: Vec::new(),
        addresses: None,
        source: source(),
    }])
}

fn held(jwks: &Value) -> Held {
    let set = KeySet::read(jwks.to_string().as_bytes()).expect("a set");
    Held::default().settle(Ok(set), NOW)
}

fn key_sets() -> KeySets {
    KeySets::default().with(source().id().clone(), held(&jwks()))
}

fn ask_at(
    issuers: &Issuers,
    token: &str,
    keys: &KeySets,
    now_s: u64,
) -> Result<Arc<Consumer>, Box<Unaccepted>> {
    let plan = "plan".into();
    let readings = Readings {
        keys,
        now_s,
        plan: &plan,
    };
    issuers.identify(token, readings, &mut Memory::default())
}

fn ask(token: &str) -> Result<Arc<Consumer>, Box<Unaccepted>> {
    ask_at(&issuers(), token, &key_sets(), NOW)
}

/// Asserts that a token is refused for this reason, and that nothing of it is
/// told to anybody.
fn refused(token: &str, reason: &str) {
    let refusal = ask(token).expect_err(reason);
    let fault = &refusal.fault;
    assert_eq!(fault.status(), 401, "{reason}: {fault:?}");
    assert!(
        fault.private.ends_with(&format!(": {reason}")),
        "{reason}: {fault:?}"
    );
    assert!(refusal.ask.is_none(), "{reason}");
    for part in token.split('.').filter(|part| part.len() > 8) {
        let told = format!("{fault:?}");
        assert!(!told.contains(part) && !told.contains("acme"), "{told}");
    }
}

#[test]
fn every_algorithm_is_verified() {
    for algorithm in Algorithm::ALL {
        let token = token_by(algorithm, json!({}), json!({}));
        assert!(is_token(&token), "{algorithm:?}");
        let consumer = ask(&token).unwrap_or_else(|why| panic!("{algorithm:?}: {why:?}"));
        assert_eq!(&*consumer.key_id, "login:user-7");
    }
}

#[test]
fn claims_become_a_consumer() {
    let consumer = ask(&token(json!({}), json!({}))).expect("good");
    assert_eq!((&*consumer.tenant, &*consumer.app), ("acme", "portal"));
    assert_eq!(consumer.user.as_deref(), Some("ada@example.com"));
    assert_eq!(*consumer.groups, ["staff".into(), "eu".into()]);
    assert_eq!(consumer.asserts, crate::Asserts::default());
    // What is optional may be missing; one group may stand alone.
    let consumer = ask(&token(json!({}), json!({"email": null, "groups": "staff"})));
    let consumer = consumer.expect("good");
    assert_eq!(consumer.user, None);
    assert_eq!(*consumer.groups, ["staff".into()]);
    let good = [
        (json!({"typ": null}), json!({})),
        (json!({"typ": "at+JWT"}), json!({})),
        (json!({}), json!({"aud": ["other", "api"]})),
        (json!({}), json!({"org": {"id": 4711}})),
        (json!({}), json!({"org": null, "org.id": "acme"})),
        (json!({}), json!({"exp": NOW as f64 + 0.5})),
        (json!({}), json!({"iat": null})),
    ];
    for (head, claims) in good {
        let token = token(head.clone(), claims.clone());
        assert!(ask(&token).is_ok(), "{head} {claims}: {:?}", ask(&token));
    }
}

#[test]
fn an_issuer_has_networks_of_its_own() {
    let office = Addresses::read(["198.51.100.0/24"]).expect("a network");
    let mut issuers = issuers();
    issuers.0[0].addresses = Some(office.clone());
    let asked = ask_at(&issuers, &token(json!({}), json!({})), &key_sets(), NOW);
    assert_eq!(asked.expect("good").addresses, Some(office));
}

#[test]
fn long_subjects_stay_apart() {
    let id = |last: char| {
        let subject = format!("{}{last}", "s".repeat(200));
        let consumer = ask(&token(json!({}), json!({"sub": subject}))).expect("good");
        consumer.key_id.clone()
    };
    assert!(id('a').len() <= 160 && id('a').starts_with("login:sss"));
    assert_ne!(id('a'), id('b'));
}

#[test]
fn times_have_edges() {
    // Claims, seconds from NOW, whether it is valid then; the skew is 60 s.
    let cases = [
        (json!({"exp": NOW + 10}), 69, true),
        (json!({"exp": NOW + 10}), 70, false),
        (json!({"nbf": NOW + 60}), 0, true),
        (json!({"nbf": NOW + 61}), 0, false),
        (json!({"nbf": NOW + 61}), 1, true),
        (json!({"iat": NOW + 60}), 0, true),
        (json!({"iat": NOW + 61}), 0, false),
    ];
    for (claims, later, valid) in cases {
        let token = token(json!({}), claims.clone());
        let asked = ask_at(&issuers(), &token, &key_sets(), NOW + later);
        assert_eq!(asked.is_ok(), valid, "{claims} after {later} s: {asked:?}");
    }
}

#[test]
fn required_claims_are_required() {
    let with = |claim: &str, values: &[&str]| {
        let mut issuers = issuers();
        issuers.0[0].required = vec![Required {
            claim: path(claim),
            values: values.iter().map(|value| (*value).into()).collect(),
        }];
        issuers
    };
    let claims = json!({"amr": ["pwd", "mfa"], "plan": "pro", "verified": true, "level": 3});
    let token = token(json!({}), claims);
    let cases: &[(&str, &[&str], bool)] = &[
        ("plan", &[], true),
        ("plan", &["pro"], true),
        ("plan", &["free"], false),
        ("amr", &["mfa"], true),
        ("amr", &["hwk"], false),
        ("verified", &["true"], true),
        ("verified", &["false"], false),
        ("level", &["2", "3"], true),
        ("missing", &[], false),
        ("org.id", &["acme"], true),
        ("org", &["acme"], false),
        ("org.id.deeper", &[], false),
    ];
    for (claim, values, accepted) in cases {
        let asked = ask_at(&with(claim, values), &token, &key_sets(), NOW);
        assert_eq!(asked.is_ok(), *accepted, "{claim} {values:?}");
    }
}

#[test]
fn what_looks_like_a_token_is_one() {
    let good = token(json!({}), json!({}));
    assert!(is_token(&good));
    let head = encode("{\"alg\":\"none\"}");
    let cases = [
        (format!("{head}.."), true),
        (format!("{head}.x.y"), true),
        (format!("{head}.x"), false),
        (format!("{head}.x.y.z"), false),
        (format!("{head}.x.y!"), false),
        (format!("{}.x.y", encode("[1]")), false),
        (format!("{}.x.y", encode("no json")), false),
        ("tg-0123456789012345678901".to_owned(), false),
        ("tg.01234567.8901234567".to_owned(), false),
        (String::new(), false),
        ("..".to_owned(), false),
    ];
    for (text, expected) in cases {
        assert_eq!(is_token(&text), expected, "{text}");
    }
}
