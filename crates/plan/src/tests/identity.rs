//! Credentials beside keys: what becomes of them, and what is said of bad
//! ones.

use access::addresses::HopsIn;
use access::certificate::Match;
use access::jwt::{Algorithm, NameFrom};

use super::{good, try_with};
use crate::*;

const ISSUER: &str = "name: a, issuer: 'https://a.example', audience: x, algorithms: [RS256]";

fn issuer(fields: &str) -> String {
    format!("identity: {{issuers: [{{{ISSUER}, {fields}}}]}}\n")
}

/// Path and words of the only finding.
fn refused(text: &str, path: &str, words: &str) {
    let Err(found) = try_with(text, &super::Fake::default()) else {
        panic!("accepted:\n{text}");
    };
    let rendered = render(&found, "tollgate.yaml", false);
    assert_eq!(found.len(), 1, "{rendered}");
    assert!(
        found[0].path == path && rendered.contains(words),
        "{path}: {rendered}"
    );
}

#[test]
fn issuers_are_compiled() {
    let text = "
identity:
  issuers:
    - name: login
      issuer: https://login.example.com/
      audience: [tollgate, api]
      algorithms: [ES256, EdDSA]
      claims: {tenant: org.id, app: azp, user: sub, groups: roles}
      required_claims: [{claim: verified, values: [true]}]
      addresses: [10.0.0.0/8]
    - name: ci
      issuer: https://ci.example.com
      audience: tollgate
      algorithms: [RS256]
      fixed: {tenant: acme, app: ci}
      clock_skew_s: 0
";
    let (_, compiled) = good(text);
    let [login, ci] = compiled.plan.identity.issuers.0.as_slice() else {
        panic!("two issuers");
    };
    assert_eq!(login.audience, ["tollgate".into(), "api".into()]);
    assert_eq!(login.algorithms, [Algorithm::Es256, Algorithm::EdDsa]);
    assert_eq!((login.skew_s, ci.skew_s), (60, 0));
    assert_eq!(
        (login.source.refresh_s(), login.source.stale_s()),
        (600, 21_600)
    );
    assert!(matches!(&login.claims.tenant, NameFrom::Claim(path) if &*path.0 == "org.id"));
    assert!(matches!(&ci.claims.tenant, NameFrom::Fixed(name) if &**name == "acme"));
    assert_eq!(login.required[0].values, ["true".into()]);
    assert!(login.addresses.is_some() && ci.addresses.is_none());
    assert_ne!(login.source.id(), ci.source.id());
}

#[test]
fn algorithms_with_shared_secrets_cannot_be_configured() {
    for name in ["none", "HS256", "HS512", "rs256"] {
        let text = format!(
            "identity: {{issuers: [{{name: a, issuer: 'https://a.example', audience: x, \
             algorithms: [{name}], fixed: {{tenant: t, app: a}}}}]}}\n"
        );
        refused(&text, "identity.issuers[0].algorithms[0]", name);
    }
}

#[test]
fn what_makes_an_issuer_useless_or_dangerous_is_refused() {
    let fixed = "fixed: {tenant: t, app: a}";
    let one = |fields: &str| issuer(&format!("{fixed}, {fields}"));
    let at = |field: &str| format!("identity.issuers[0]{field}");
    let cases = [
        (issuer("fixed: {tenant: t}"), at(""), "which app"),
        (issuer("claims: {app: azp}"), at(""), "which tenant"),
        (
            issuer(&format!("{fixed}, claims: {{app: azp}}")),
            at(".fixed.app"),
            "from a claim",
        ),
        (one("clock_skew_s: 301"), at(".clock_skew_s"), "at most 300"),
        (one("stale_s: 600"), at(".stale_s"), "too old"),
        (
            one("jwks_uri: 'http://keys.example/k'"),
            at(".jwks_uri"),
            "https",
        ),
        (one("addresses: []"), at(".addresses"), "nobody could call"),
        (
            one("addresses: [10.0.0.1/8]"),
            at(".addresses[0]"),
            "`10.0.0.0/8`",
        ),
        (one("addresses: [here]"), at(".addresses[0]"), "neither"),
        (one("ca_file: none.pem"), at(".ca_file"), "no such file"),
        (
            one("required_claims: [{claim: ''}]"),
            at(".required_claims[0].claim"),
            "empty",
        ),
        (
            issuer(fixed).replace("audience: x", "audience: []"),
            at(".audience"),
            "any other service",
        ),
        (
            issuer(fixed).replace("audience: x, ", ""),
            at(""),
            "`audience` is missing",
        ),
        (
            issuer(fixed).replace("[RS256]", "[]"),
            at(".algorithms"),
            "no algorithm",
        ),
        (
            issuer(fixed).replace("https://", "http://"),
            at(".issuer"),
            "https",
        ),
        (
            issuer(fixed).replace("name: a", "name: 'a:b'"),
            at(".name"),
            "subject",
        ),
    ];
    for (text, path, words) in cases {
        refused(&text, &path, words);
    }
    let entry = format!("{{{ISSUER}, {fixed}}}");
    let other = entry.replace("name: a", "name: b");
    let twice = format!("identity: {{issuers: [{entry}, {other}]}}\n");
    refused(
        &twice,
        "identity.issuers[1].issuer",
        "taken by identity.issuers[0]",
    );
}

#[test]
fn certificates_and_proxies_are_compiled() {
    let text = "
providers: {sandbox: {}}
listen:
  data: {address: '127.0.0.1:0', tls: {cert: c, key: k, client_ca: ca, client_auth: optional}}
identity:
  certificates:
    - {match: {spiffe: 'spiffe://acme/ns/*'}, tenant: acme, app: batch, user: u, groups: [g]}
    - {match: {san_dns: '*.Apps.example'}, tenant: acme, app: apps}
    - {match: {subject_cn: 'old-*'}, tenant: acme, app: old, addresses: ['::1']}
  trusted_proxies: [10.0.0.0/8, unix]
  forwarded_in: forwarded
";
    let (_, compiled) = good(text);
    assert!(compiled.warnings.is_empty());
    let trust = &compiled.plan.identity;
    let matches: Vec<&Match> = trust
        .holders
        .0
        .iter()
        .map(|holder| &holder.matches)
        .collect();
    assert_eq!(
        matches,
        [
            &Match::Spiffe("spiffe://acme/ns/*".into()),
            &Match::Dns("*.apps.example".into()),
            &Match::SubjectCn("old-*".into()),
        ]
    );
    assert_eq!(trust.holders.0[0].consumer.user.as_deref(), Some("u"));
    assert!(trust.holders.0[2].consumer.addresses.is_some());
    assert!(trust.proxies.unix && trust.proxies.networks.is_some());
    assert_eq!(trust.proxies.hops_in, HopsIn::Forwarded);
    let tls = compiled.data[0].tls.as_ref().expect("tls");
    let ca = tls.client_ca.as_ref().expect("authorities");
    assert!(ca.optional && ca.file.ends_with("ca"));
}

#[test]
fn certificates_that_match_too_much_or_nothing_are_refused() {
    let listen =
        "listen: {data: {address: '127.0.0.1:0', tls: {cert: c, key: k, client_ca: ca}}}\n";
    let one = |matches: &str| {
        format!(
            "{listen}identity: {{certificates: [{{match: {{{matches}}}, tenant: t, app: a}}]}}\n"
        )
    };
    let path = "identity.certificates[0].match";
    for (matches, words) in [
        ("", "by which name"),
        ("spiffe: 'spiffe://a/x', subject_cn: b", "by which name"),
        ("spiffe: 'spiffe://*/ns/x'", "trust domain"),
        ("spiffe: 'spiffe://acme*/ns/x'", "trust domain"),
        ("spiffe: '*'", "trust domain"),
        ("spiffe: 'https://acme/x'", "trust domain"),
        ("san_dns: '*'", "first label"),
        ("san_dns: 'a.*.example'", "first label"),
        ("subject_cn: ''", "by which name"),
    ] {
        refused(&one(matches), path, words);
    }
    let (_, unasked) = good(
        "identity: {certificates: [{match: {subject_cn: a}, tenant: t, app: a}]}\n\
         providers: {sandbox: {}}\n",
    );
    assert_eq!(unasked.warnings.len(), 1);
    assert_eq!(unasked.warnings[0].path, "identity.certificates");
}

#[test]
fn listeners_say_who_may_call_them() {
    let (_, compiled) = good(
        "listen: {data: [{address: '127.0.0.1:1', anonymous: {tenant: t, app: a}}, \
         {address: '127.0.0.1:2', addresses: ['10.0.0.0/8']}, {address: '127.0.0.1:3'}]}\n",
    );
    let standing: Vec<(bool, bool)> = compiled
        .data
        .iter()
        .map(|it| {
            (
                it.standing.anonymous.is_some(),
                it.standing.addresses.is_some(),
            )
        })
        .collect();
    assert_eq!(standing, [(true, false), (false, true), (false, false)]);
    let cases = [
        (
            "listen: {admin: {address: '127.0.0.1:1', anonymous: {tenant: t, app: a}}}\n",
            "listen.admin.anonymous",
            "listeners for calls only",
        ),
        (
            "listen: {data: {unix: s, addresses: ['::1']}}\n",
            "listen.data.addresses",
            "have no address",
        ),
        (
            "listen: {data: {address: '127.0.0.1:1', anonymous: {tenant: '', app: a}}}\n",
            "listen.data.anonymous.tenant",
            "empty",
        ),
        (
            "listen: {data: {address: '127.0.0.1:1', tls: {cert: c, key: k, client_auth: required}}}\n",
            "listen.data.tls.client_auth",
            "client_ca",
        ),
        (
            "keys: [{id: a, secret: tg-0123456789012345678, addresses: [x]}]\n",
            "keys[0].addresses[0]",
            "neither",
        ),
    ];
    for (text, path, words) in cases {
        refused(text, path, words);
    }
}
