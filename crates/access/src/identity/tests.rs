//! Cases: credentials beside each other, and the places they are shown from.

use http::HeaderValue;

use super::*;
use crate::certificate::{Holder, Match};
use crate::jwt::KeySets;

const NOW: u64 = 1_800_000_000;

fn list(networks: &[&str]) -> Option<Addresses> {
    Some(Addresses::read(networks.iter().copied()).expect("networks"))
}

fn peer(uri: &str) -> Peer {
    Peer {
        uris: vec![uri.into()],
        from_s: NOW as i64 - 10,
        until_s: NOW as i64 + 10,
        ..Peer::default()
    }
}

fn trust() -> Trust {
    let consumer = Consumer {
        addresses: list(&["10.0.0.0/8"]),
        ..Consumer::new("", "acme", "batch")
    };
    let matches = Match::Spiffe("spiffe://acme/ns/*".to_owned());
    Trust {
        holders: Holders(vec![Holder { matches, consumer }]),
        proxies: Proxies {
            networks: list(&["192.0.2.1"]),
            ..Proxies::default()
        },
        ..Trust::default()
    }
}

/// A call, and who it is found to be, or the status that refuses it.
struct Case {
    peer: Option<&'static str>,
    headers: Vec<(&'static str, &'static str)>,
    certificate: Option<Peer>,
    standing: Standing,
    now_s: u64,
}

impl Case {
    fn from(peer: &'static str) -> Self {
        Self {
            peer: Some(peer),
            headers: Vec::new(),
            certificate: None,
            standing: Standing::default(),
            now_s: NOW,
        }
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn holding(mut self, uri: &str) -> Self {
        self.certificate = Some(peer(uri));
        self
    }

    fn ask(&self) -> Result<String, u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let knock = Knock {
            headers: &headers,
            peer: self.peer.map(|peer| peer.parse().expect("an address")),
            certificate: self.certificate.as_ref(),
            standing: &self.standing,
        };
        let readings = Readings {
            keys: &KeySets::default(),
            now_s: self.now_s,
            plan: &"plan".into(),
        };
        let mut key_of = |key: &str, is_local: bool| match key {
            "tg-known" => Ok(Arc::new(Consumer::new("known", "acme", "chat"))),
            "tg-local" if is_local => Ok(Arc::new(Consumer::new("local", "acme", "chat"))),
            "tg-office" => Ok(Arc::new(Consumer {
                addresses: list(&["198.51.100.0/24", "127.0.0.1"]),
                ..Consumer::new("office", "acme", "chat")
            })),
            _ => Err(Fault::new(FaultKind::Unauthenticated, Origin::Client, "no")),
        };
        let found = trust().identify(&mut key_of, &knock, readings, &mut Memory::default());
        found
            .map(|identity| identity.consumer.key_id.to_string())
            .map_err(|why| why.fault.status())
    }
}

fn ok(id: &str) -> Result<String, u16> {
    Ok(id.to_owned())
}

#[test]
fn a_key_works_from_its_networks_only() {
    let from = |peer| Case::from(peer).with("x-api-key", "tg-office").ask();
    assert_eq!(from("198.51.100.7"), ok("office"));
    assert_eq!(from("::ffff:198.51.100.7"), ok("office"));
    assert_eq!(from("203.0.113.9"), Err(403));
    let unix = Case {
        peer: None,
        ..Case::from("::").with("x-api-key", "tg-office")
    };
    assert_eq!(unix.ask(), ok("office"), "127.0.0.1 is on its list");
}

#[test]
fn nobody_can_say_where_they_are() {
    let spoofed = |peer: &'static str, hops: &'static str| {
        Case::from(peer)
            .with("x-api-key", "tg-office")
            .with("x-forwarded-for", hops)
            .ask()
    };
    assert_eq!(spoofed("203.0.113.9", "198.51.100.7"), Err(403));
    assert_eq!(spoofed("192.0.2.1", "198.51.100.7"), ok("office"));
    assert_eq!(spoofed("192.0.2.1", "198.51.100.7, 203.0.113.9"), Err(403));
    assert_eq!(spoofed("192.0.2.1", "198.51.100.7, rubbish"), Err(400));
    assert_eq!(spoofed("203.0.113.9", "rubbish"), Err(403));
    // A development key must not work through a proxy on this machine.
    let through = |hops: &'static str| {
        Case::from("192.0.2.1")
            .with("x-api-key", "tg-local")
            .with("x-forwarded-for", hops)
            .ask()
    };
    assert_eq!(through("203.0.113.9"), Err(401));
    assert_eq!(through("127.0.0.1, 203.0.113.9"), Err(401));
}

#[test]
fn a_listener_has_networks_of_its_own() {
    let mut case = Case::from("203.0.113.9").with("x-api-key", "tg-known");
    assert_eq!(case.ask(), ok("known"));
    case.standing.addresses = list(&["10.0.0.0/8"]);
    assert_eq!(case.ask(), Err(403));
}

#[test]
fn anonymous_is_only_who_shows_nothing() {
    let who = Anonymous {
        tenant: "public".into(),
        app: "demo".into(),
    };
    let at = |case: Case| Case {
        standing: Standing {
            anonymous: Some(who.clone()),
            ..Standing::default()
        },
        ..case
    };
    let from = || Case::from("203.0.113.9");
    assert_eq!(from().ask(), Err(401), "another listener");
    assert_eq!(at(from()).ask(), ok("anonymous"));
    assert_eq!(at(from().with("x-api-key", "tg-known")).ask(), ok("known"));
    assert_eq!(at(from().with("x-api-key", "tg-wrong")).ask(), Err(401));
    assert_eq!(
        at(from().with("authorization", "Basic eDp5")).ask(),
        Err(401)
    );
    assert_eq!(
        at(from().with("authorization", "Bearer a.b.c")).ask(),
        Err(401)
    );
    assert_eq!(at(from().holding("spiffe://other/x")).ask(), Err(401));
}

#[test]
fn a_certificate_identifies_where_no_key_does() {
    let from = |peer| Case::from(peer).holding("spiffe://acme/ns/batch/sa/nightly");
    assert_eq!(
        from("10.0.0.1").ask(),
        ok("certificate:spiffe://acme/ns/batch/sa/nightly")
    );
    assert_eq!(
        from("203.0.113.9").ask(),
        Err(403),
        "not on the list of the entry"
    );
    assert_eq!(
        from("10.0.0.1").with("x-api-key", "tg-known").ask(),
        ok("known")
    );
    assert_eq!(
        from("10.0.0.1").with("x-api-key", "tg-wrong").ask(),
        Err(401)
    );
    assert_eq!(
        from("203.0.113.9").with("x-api-key", "tg-known").ask(),
        Err(403)
    );
    let other = || Case::from("10.0.0.1").holding("spiffe://evil/ns/batch");
    assert_eq!(other().ask(), Err(401));
    assert_eq!(other().with("x-api-key", "tg-known").ask(), ok("known"));
}

#[test]
fn a_connection_does_not_outlive_its_certificate() {
    for (now_s, expected) in [(NOW - 11, 401), (NOW + 11, 401)] {
        let case = Case {
            now_s,
            ..Case::from("10.0.0.1").holding("spiffe://acme/ns/batch")
        };
        assert_eq!(case.ask(), Err(expected));
        let with_key = case.with("x-api-key", "tg-known");
        assert_eq!(with_key.ask(), Err(expected), "both must be valid");
    }
}
