//! Cases: lists of networks, and hops of proxies.

use http::HeaderValue;

use super::*;

fn list(texts: &[&str]) -> Addresses {
    Addresses::read(texts.iter().copied()).expect("networks")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn lists_let_in_what_they_name() {
    let cases: &[(&[&str], &str, bool)] = &[
        (&["10.0.0.0/8"], "10.255.0.1", true),
        (&["10.0.0.0/8"], "11.0.0.1", false),
        (&["10.0.0.0/8"], "::ffff:10.1.2.3", true),
        (&["::ffff:10.0.0.0/104"], "10.1.2.3", true),
        (&["::ffff:10.0.0.1"], "10.0.0.1", true),
        (&["192.0.2.7"], "192.0.2.7", true),
        (&["192.0.2.7"], "192.0.2.8", false),
        (&["2001:db8::/32"], "2001:db8:1::1", true),
        (&["2001:db8::/32"], "2001:db9::1", false),
        (&["0.0.0.0/0"], "2001:db8::1", false),
        (&["::/0"], "192.0.2.1", false),
        (&["10.0.0.0/8", "192.0.2.0/24"], "192.0.2.9", true),
        (&[], "127.0.0.1", false),
    ];
    for (networks, address, expected) in cases {
        let allowed = list(networks).allow(Some(ip(address)));
        assert_eq!(allowed, *expected, "{address} in {networks:?}");
    }
}

#[test]
fn a_unix_socket_counts_as_this_machine() {
    assert!(list(&["127.0.0.0/8"]).allow(None));
    assert!(list(&["::1"]).allow(None));
    assert!(!list(&["10.0.0.0/8"]).allow(None));
}

#[test]
fn what_is_no_network_is_named() {
    let cases = [
        ("10.0.0.0/33", NotANetwork::Unreadable),
        ("localhost", NotANetwork::Unreadable),
        ("", NotANetwork::Unreadable),
        ("10.0.0.5/8", NotANetwork::HostBits("10.0.0.0/8".into())),
    ];
    for (text, why) in cases {
        assert_eq!(Addresses::read(["::1", text]), Err((1, why)), "{text}");
    }
}

fn proxies(hops_in: HopsIn) -> Proxies {
    Proxies {
        networks: Some(list(&["10.0.0.0/8", "127.0.0.1"])),
        unix: true,
        hops_in,
    }
}

/// Peer, lines of the header, and the address; `Err` is a refusal.
type Hops = (
    &'static str,
    &'static [&'static str],
    Result<Option<&'static str>, ()>,
);

fn check(hops_in: HopsIn, cases: &[Hops]) {
    let name = match hops_in {
        HopsIn::XForwardedFor => &X_FORWARDED_FOR,
        HopsIn::Forwarded => &http::header::FORWARDED,
    };
    for (peer, lines, expected) in cases {
        let mut headers = HeaderMap::new();
        for line in *lines {
            headers.append(
                name,
                HeaderValue::from_bytes(line.as_bytes()).expect("a value"),
            );
        }
        let peer = (!peer.is_empty()).then(|| ip(peer));
        let found = proxies(hops_in).caller(peer, &headers);
        let expected = expected.map(|address| address.map(ip));
        assert_eq!(
            found.map_err(|fault| assert_eq!(fault.status(), 400)),
            expected,
            "{lines:?}"
        );
    }
}

#[test]
fn x_forwarded_for_counts_from_trusted_proxies_only() {
    check(
        HopsIn::XForwardedFor,
        &[
            // A stranger's word is nothing, whatever it says.
            ("203.0.113.9", &["10.0.0.1"], Ok(Some("203.0.113.9"))),
            ("203.0.113.9", &["rubbish"], Ok(Some("203.0.113.9"))),
            ("10.0.0.1", &[], Ok(Some("10.0.0.1"))),
            ("10.0.0.1", &["203.0.113.9"], Ok(Some("203.0.113.9"))),
            ("::ffff:10.0.0.1", &["203.0.113.9"], Ok(Some("203.0.113.9"))),
            ("", &["203.0.113.9"], Ok(Some("203.0.113.9"))),
            // What the caller wrote stands left of what the proxy saw.
            (
                "10.0.0.1",
                &["127.0.0.1, 203.0.113.9"],
                Ok(Some("203.0.113.9")),
            ),
            (
                "10.0.0.1",
                &["127.0.0.1", "203.0.113.9"],
                Ok(Some("203.0.113.9")),
            ),
            (
                "10.0.0.1",
                &["rubbish, 203.0.113.9"],
                Ok(Some("203.0.113.9")),
            ),
            (
                "10.0.0.1",
                &["203.0.113.9, 10.2.2.2,10.3.3.3"],
                Ok(Some("203.0.113.9")),
            ),
            ("10.0.0.1", &["10.9.9.9, 10.2.2.2"], Ok(Some("10.9.9.9"))),
            ("10.0.0.1", &["203.0.113.9:4711"], Ok(Some("203.0.113.9"))),
            ("10.0.0.1", &["[2001:db8::1]:4711"], Ok(Some("2001:db8::1"))),
            ("10.0.0.1", &["[2001:db8::1]"], Ok(Some("2001:db8::1"))),
            ("10.0.0.1", &["203.0.113.9, rubbish"], Err(())),
            ("10.0.0.1", &["203.0.113.9, "], Err(())),
            ("10.0.0.1", &[""], Err(())),
            ("10.0.0.1", &["unknown"], Err(())),
            ("10.0.0.1", &["127.1"], Err(())),
            ("10.0.0.1", &["\u{a0}"], Err(())),
            (
                "10.0.0.1",
                &[
                    "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1",
                ],
                Err(()),
            ),
        ],
    );
}

#[test]
fn forwarded_is_read_where_it_is_configured() {
    check(
        HopsIn::Forwarded,
        &[
            ("203.0.113.9", &["for=10.0.0.1"], Ok(Some("203.0.113.9"))),
            (
                "10.0.0.1",
                &["for=203.0.113.9;proto=https"],
                Ok(Some("203.0.113.9")),
            ),
            (
                "10.0.0.1",
                &["for=127.0.0.1, For=\"[2001:db8::1]:80\""],
                Ok(Some("2001:db8::1")),
            ),
            (
                "10.0.0.1",
                &["for=\"127.0.0.1,10.0.0.1\", for=203.0.113.9"],
                Ok(Some("203.0.113.9")),
            ),
            ("10.0.0.1", &["for=203.0.113.9;for=10.0.0.1"], Err(())),
            ("10.0.0.1", &["for=_hidden"], Err(())),
            ("10.0.0.1", &["proto=https"], Err(())),
            ("10.0.0.1", &["for=\"203.0.113.9"], Err(())),
        ],
    );
}

#[test]
fn the_other_header_is_not_looked_at() {
    let mut headers = HeaderMap::new();
    headers.append(
        http::header::FORWARDED,
        HeaderValue::from_static("for=127.0.0.1"),
    );
    let found = proxies(HopsIn::XForwardedFor).caller(Some(ip("10.0.0.1")), &headers);
    assert_eq!(found, Ok(Some(ip("10.0.0.1"))));
}
