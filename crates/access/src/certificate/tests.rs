//! Cases: names of certificates, and the entries that they match.

use rcgen::{CertificateParams, DnType, KeyPair, SanType};

use super::*;

fn der(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "batch 7");
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    change(&mut params);
    params
        .self_signed(&key)
        .expect("a certificate")
        .der()
        .to_vec()
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().expect("ascii"))
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().expect("ascii"))
}

#[test]
fn names_are_read() {
    let der = der(|params| {
        params.subject_alt_names = vec![dns("Batch.Apps.internal"), uri("spiffe://td/ns/a")];
    });
    let peer = Peer::read(&der).expect("a certificate");
    assert_eq!(peer.subject_cn.as_deref(), Some("batch 7"));
    assert_eq!(peer.dns, ["batch.apps.internal".into()]);
    assert_eq!(peer.spiffe(), Some("spiffe://td/ns/a"));
    // 2026-01-01 and 2027-01-01, UTC.
    assert_eq!((peer.from_s, peer.until_s), (1_767_225_600, 1_798_761_600));
}

#[test]
fn what_cannot_be_read_is_refused() {
    let good = der(|_| {});
    assert!(Peer::read(&good).is_ok());
    assert!(Peer::read(&good[..good.len() - 1]).is_err());
    assert!(Peer::read(&[&good[..], b"x"].concat()).is_err());
    assert!(Peer::read(b"").is_err());
    let many = der(|params| {
        params.subject_alt_names = (0..65)
            .map(|nth| dns(&format!("a{nth}.internal")))
            .collect();
    });
    assert_eq!(Peer::read(&many), Err("it has too many names"));
    let control = der(|params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "a\nb");
    });
    assert_eq!(
        Peer::read(&control),
        Err("one of its names holds a control character")
    );
}

#[test]
fn two_common_names_are_none() {
    let two = Peer {
        uris: vec!["spiffe://td/a".into(), "https://x".into()],
        ..Peer::default()
    };
    assert_eq!(two.spiffe(), None, "an id of SPIFFE stands alone");
}

#[test]
fn entries_match_names() {
    let peer = Peer {
        subject_cn: Some("batch 7".into()),
        dns: vec!["a.apps.internal".into(), "other".into()],
        uris: vec!["spiffe://td/ns/prod/sa/batch".into()],
        from_s: 0,
        until_s: 100,
    };
    let cases = [
        (
            Match::Spiffe("spiffe://td/ns/*".into()),
            Some("spiffe://td/ns/prod/sa/batch"),
        ),
        (Match::Spiffe("spiffe://td/ns/prod".into()), None),
        (Match::Spiffe("spiffe://td2/*".into()), None),
        (
            Match::Dns("a.apps.internal".into()),
            Some("a.apps.internal"),
        ),
        (
            Match::Dns("*.apps.internal".into()),
            Some("a.apps.internal"),
        ),
        (Match::Dns("*.internal".into()), None),
        (Match::Dns("apps.internal".into()), None),
        (Match::SubjectCn("batch *".into()), Some("batch 7")),
        (Match::SubjectCn("Batch 7".into()), None),
    ];
    for (matches, expected) in cases {
        assert_eq!(matches.of(&peer), expected, "{matches:?}");
    }
    // The first entry that matches counts.
    let entry = |pattern: &str, tenant: &str| Holder {
        matches: Match::SubjectCn(pattern.into()),
        consumer: Consumer::new("", tenant, "app"),
    };
    let holders = Holders(vec![
        entry("x*", "no"),
        entry("batch*", "first"),
        entry("*", "second"),
    ]);
    let found = holders.identify(&peer, 50).expect("valid").expect("known");
    assert_eq!(
        (&*found.tenant, &*found.key_id),
        ("first", "certificate:batch 7")
    );
    assert!(holders.identify(&peer, 100).is_ok());
    assert!(holders.identify(&peer, 101).is_err());
}
