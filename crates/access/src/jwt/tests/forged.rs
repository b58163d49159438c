//! Tokens that are no good, and the one reason why.

use aws_lc_rs::hmac;

use super::*;

#[test]
fn a_changed_token_is_refused() {
    let good = token(json!({}), json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let others = token(json!({}), json!({"org": {"id": "evil"}}));
    let other: Vec<&str> = others.split('.').collect();
    refused(
        &format!("{}.{}.{}", parts[0], other[1], parts[2]),
        "signature",
    );
    refused(
        &format!("{}.{}.{}", parts[0], parts[1], other[2]),
        "signature",
    );
    refused(&format!("{}.{}.", parts[0], parts[1]), "signature");
    refused(
        &format!("{}.{}.{}", parts[0], parts[1], encode([0; 64])),
        "signature",
    );
    // Zeros for r and s were once accepted by a well-known library.
    refused(
        &format!("{}.{}.{}", parts[0], parts[1], encode([0; 96])),
        "signature",
    );
    refused(&format!("{good}="), "form");
    refused(&format!("{good}.x"), "form");
    refused(&format!(" {good}"), "form");
}

proptest::proptest! {
    #[test]
    fn any_changed_byte_is_refused(at in 0..10_000_usize, to in proptest::prelude::any::<u8>()) {
        let mut bytes = GOOD.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] = if bytes[at] == to { b'.' } else { to };
        if let Ok(text) = String::from_utf8(bytes)
            && text != *GOOD
        {
            proptest::prop_assert!(ask(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn rubbish_is_refused(text in "[A-Za-z0-9_{}\":,.-]{0,80}(\\.[ -~]{0,40}){0,3}") {
        is_token(&text);
        proptest::prop_assert!(ask(&text).is_err());
    }
}

static GOOD: LazyLock<String> = LazyLock::new(|| token(json!({}), json!({})));

#[test]
fn no_algorithm_is_none() {
    for name in ["none", "None", "NONE", "", "nOnE"] {
        let head = encode(json!({"alg": name, "kid": "rsa"}).to_string());
        let claims = encode(json!({"iss": ISSUER, "aud": "tollgate", "sub": "x"}).to_string());
        refused(&format!("{head}.{claims}."), "algorithm");
    }
    let without = signed("{}", &json!({"iss": ISSUER}).to_string(), Algorithm::Es256);
    refused(&without, "form");
}

/// Key confusion: the public key, which everybody has, as the secret of an
/// HMAC.
#[test]
fn a_public_key_is_no_secret() {
    let public = KEYS.rsa.public_key().as_ref().to_vec();
    let jwk = jwks()["keys"][0].to_string().into_bytes();
    let modulus = jwks()["keys"][0]["n"]
        .as_str()
        .expect("a text")
        .as_bytes()
        .to_vec();
    for secret in [public, jwk, modulus] {
        for name in ["HS256", "HS384", "hs256"] {
            let head = json!({"alg": name, "kid": "rsa", "typ": "JWT"}).to_string();
            let claims = json!({
                "iss": ISSUER, "aud": "tollgate", "sub": "x", "exp": NOW + 60,
                "org": {"id": "acme"},
            });
            let message = format!("{}.{}", encode(head), encode(claims.to_string()));
            let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
            let tag = hmac::sign(&key, message.as_bytes());
            refused(&format!("{message}.{}", encode(tag)), "algorithm");
        }
    }
}

#[test]
fn an_algorithm_that_is_not_pinned_is_refused() {
    let mut issuers = issuers();
    issuers.0[0].algorithms = vec![Algorithm::Rs256];
    for algorithm in Algorithm::ALL {
        let token = token_by(algorithm, json!({}), json!({}));
        let asked = ask_at(&issuers, &token, &key_sets(), NOW);
        assert_eq!(
            asked.is_ok(),
            algorithm == Algorithm::Rs256,
            "{algorithm:?}"
        );
    }
}

#[test]
fn a_key_signs_with_its_own_algorithm_only() {
    // The head names another algorithm, or the key of another one.
    let head = json!({"alg": "ES384", "kid": "p384"}).to_string();
    let claims = json!({"iss": ISSUER, "sub": "x"}).to_string();
    refused(&signed(&head, &claims, Algorithm::Es256), "signature");
    let head = json!({"alg": "PS256", "kid": "rsa"}).to_string();
    refused(&signed(&head, &claims, Algorithm::Rs256), "signature");
    let mut pinned = jwks();
    pinned["keys"][0]["alg"] = json!("RS512");
    let keys = KeySets::default().with(source().id().clone(), held(&pinned));
    let by = |algorithm| {
        ask_at(
            &issuers(),
            &token_by(algorithm, json!({}), json!({})),
            &keys,
            NOW,
        )
    };
    assert!(by(Algorithm::Rs512).is_ok());
    assert!(by(Algorithm::Rs256).is_err());
}

#[test]
fn a_key_that_the_token_brings_is_not_looked_at() {
    let evil = rsa_jwk("evil", &KEYS.other_rsa);
    let head = json!({
        "alg": "RS256", "typ": "JWT", "kid": "rsa", "jwk": evil,
        "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/cert",
    });
    let claims = json!({"iss": ISSUER, "aud": "tollgate", "sub": "x", "exp": NOW + 60});
    let message = format!(
        "{}.{}",
        encode(head.to_string()),
        encode(claims.to_string())
    );
    let mut signature = vec![0; KEYS.other_rsa.public_modulus_len()];
    KEYS.other_rsa
        .sign(
            &lc::RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            message.as_bytes(),
            &mut signature,
        )
        .expect("a signature");
    refused(&format!("{message}.{}", encode(signature)), "signature");
}

#[test]
fn what_the_claims_must_say() {
    let cases = [
        (json!({"exp": NOW - 60}), "expired"),
        (json!({"exp": 0}), "expired"),
        (json!({"exp": null}), "no_expiry"),
        (json!({"exp": "4000000000"}), "claim"),
        (json!({"exp": -1}), "claim"),
        (json!({"exp": 1e300}), "claim"),
        (json!({"nbf": NOW + 61}), "not_yet"),
        (json!({"iss": "https://login.example.com"}), "issuer"),
        (json!({"iss": "https://evil.example.com/"}), "issuer"),
        (json!({"iss": null}), "issuer"),
        (json!({"iss": [ISSUER]}), "issuer"),
        (json!({"aud": "other"}), "audience"),
        (json!({"aud": "tollgate2"}), "audience"),
        (json!({"aud": []}), "audience"),
        (json!({"aud": null}), "audience"),
        (json!({"aud": {"tollgate": true}}), "audience"),
        (json!({"sub": null}), "claim"),
        (json!({"sub": ""}), "claim"),
        (json!({"sub": 7}), "claim"),
        (json!({"sub": "a\nlevel=info forged=true"}), "claim"),
        (json!({"org": null}), "claim"),
        (json!({"org": "acme"}), "claim"),
        (json!({"org": {"id": ""}}), "claim"),
        (json!({"org": {"id": ["acme"]}}), "claim"),
        (json!({"org": {"id": "x".repeat(257)}}), "claim"),
        (json!({"org": {"id": "a\u{1b}[31m"}}), "claim"),
        (json!({"email": 1.5}), "claim"),
        (json!({"groups": [["staff"]]}), "claim"),
        (json!({"groups": vec!["g"; 257]}), "claim"),
    ];
    for (claims, reason) in cases {
        println!("{claims}");
        refused(&token(json!({}), claims), reason);
    }
}

#[test]
fn what_the_head_must_say() {
    let cases = [
        (json!({"kid": "nobody"}), "unknown_key"),
        (json!({"kid": "secret"}), "unknown_key"),
        (json!({"kid": "rsa"}), "unknown_key"),
        (json!({"kid": 7}), "form"),
        (json!({"alg": 7}), "form"),
        (json!({"alg": "ES512"}), "algorithm"),
        (json!({"typ": "logout+jwt"}), "type"),
        (json!({"typ": "dpop+jwt"}), "type"),
        (json!({"crit": ["exp"], "exp": 1}), "form"),
        (json!({"crit": []}), "form"),
    ];
    for (head, reason) in cases {
        refused(&token(head, json!({})), reason);
    }
}

#[test]
fn without_a_key_id_there_must_be_one_key() {
    assert!(ask(&token(json!({"kid": null}), json!({}))).is_ok());
    let mut two = jwks();
    let second = EcdsaKeyPair::generate(&lc::ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let keys = two["keys"].as_array_mut().expect("keys");
    keys.push(ec_jwk("p256-2", "P-256", &second));
    let keys = KeySets::default().with(source().id().clone(), held(&two));
    let asked = ask_at(
        &issuers(),
        &token(json!({"kid": null}), json!({})),
        &keys,
        NOW,
    );
    assert!(asked.expect_err("two").fault.private.contains("ambiguous"));
}

#[test]
fn names_that_stand_twice_are_refused() {
    let good = format!(
        "\"iss\":\"{ISSUER}\",\"aud\":\"tollgate\",\"exp\":{}",
        NOW + 60
    );
    let head = "{\"alg\":\"ES256\",\"kid\":\"p256\"}";
    let claims = [
        format!("{{{good},\"sub\":\"a\",\"sub\":\"b\",\"org\":{{\"id\":\"acme\"}}}}"),
        format!("{{{good},\"sub\":\"a\",\"org\":{{\"id\":\"acme\",\"id\":\"evil\"}}}}"),
        // The same name, once with an escape.
        format!("{{{good},\"sub\":\"a\",\"s\\u0075b\":\"b\",\"org\":{{\"id\":\"acme\"}}}}"),
        format!("{{{good},\"sub\":\"a\",\"x\":[{{\"y\":1,\"y\":2}}],\"org\":{{\"id\":\"acme\"}}}}"),
    ];
    for claims in &claims {
        refused(&signed(head, claims, Algorithm::Es256), "form");
    }
    let once = format!("{{{good},\"sub\":\"a\",\"org\":{{\"id\":\"acme\"}}}}");
    assert!(ask(&signed(head, &once, Algorithm::Es256)).is_ok());
    let twice = "{\"alg\":\"none\",\"alg\":\"ES256\",\"kid\":\"p256\"}";
    refused(&signed(twice, &once, Algorithm::Es256), "form");
}

#[test]
fn what_is_no_token_at_all_is_refused() {
    let long = token(json!({}), json!({"pad": "x".repeat(17_000)}));
    refused(&long, "too_long");
    let deep = "[".repeat(20_000);
    refused(
        &format!("{}.{}.x", encode("{}"), &encode(deep)[..9_000]),
        "form",
    );
    for text in ["", "..", "a.b.c", "{}.{}.{}", "\u{fffd}.x.y"] {
        refused(text, "form");
    }
    let bom = signed("\u{feff}{\"alg\":\"ES256\"}", "{}", Algorithm::Es256);
    refused(&bom, "form");
}

#[test]
fn keys_of_one_issuer_do_not_sign_for_another() {
    let mut issuers = issuers();
    let mut second = issuers.0[0].clone();
    let ages = Ages {
        refresh_s: 600,
        stale_s: 3_600,
    };
    second.name = "second".into();
    second.issuer = "https://second.example.com".into();
    second.source =
        Source::new(&second.name, &second.issuer, None, None, ages).expect("an address");
    let other =
        json!({"keys": [rsa_jwk("p256", &KEYS.other_rsa), rsa_jwk("rsa", &KEYS.other_rsa)]});
    let keys = key_sets().with(second.source.id().clone(), held(&other));
    issuers.0.push(second);
    let claims = json!({"iss": "https://second.example.com"});
    let token = token_by(Algorithm::Rs256, json!({}), claims);
    let asked = ask_at(&issuers, &token, &keys, NOW).expect_err("signed by the first");
    assert_eq!(asked.fault.private, "a token of second: signature");
}
