//! Heads and bodies as bytes: every case is also read at every split.

use std::sync::Arc;

use bytes::Bytes;
use contract::seams::{Endpoint, HttpVersion, Outbound, Proxy};
use http::{HeaderMap, HeaderValue, Method};

use super::{BodyEnd, Head, head_len, read_head, write_head};

fn outbound(method: Method, path: &str, body: &[&'static str]) -> Outbound {
    Outbound {
        endpoint: Arc::new(Endpoint {
            id: "e".into(),
            tls: false,
            host: "host".into(),
            port: 80,
            authority: HeaderValue::from_static("host"),
            ca_pem: None,
            proxy: Some(Proxy {
                host: "proxy".into(),
                port: 3128,
                authorization: Some(contract::Secret::new("Basic eA==".into())),
            }),
            version: HttpVersion::Http1,
            connections_max: 1,
            connect_ms: 1000,
        }),
        method,
        path: path.into(),
        headers: HeaderMap::new(),
        body: body
            .iter()
            .map(|s| Bytes::from_static(s.as_bytes()))
            .collect(),
        head_ms: 1000,
    }
}

fn head(text: &str, to: Method) -> Result<Head, String> {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    assert_eq!(head_len(&bytes), Some(bytes.len()), "{text:?}");
    read_head(&bytes, &to)
}

/// The body's payload and whether it ended, read whole and at each split.
fn body(headers: &str, input: &[u8]) -> Result<(Vec<u8>, bool, usize), String> {
    let head = head(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n"), Method::POST)?;
    let read = |parts: &[&[u8]]| {
        let mut end = head.body;
        let (mut payload, mut taken) = (Vec::new(), 0);
        for part in parts {
            let (bytes, n) = end.read(part)?;
            payload.extend_from_slice(&bytes);
            taken += n;
        }
        Ok((payload, end.is_met(), taken))
    };
    let whole: Result<_, String> = read(&[input]);
    for at in 0..=input.len() {
        assert_eq!(read(&[&input[..at], &input[at..]]), whole, "split at {at}");
    }
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(read(&bytes), whole, "byte by byte");
    whole
}

#[test]
fn a_request_head_has_one_host_and_one_length() {
    let mut request = outbound(Method::POST, "/v1?x=1", &["ab", "c"]);
    let headers = &mut request.headers;
    headers.insert("x-a", HeaderValue::from_static("1"));
    headers.insert("host", HeaderValue::from_static("evil"));
    headers.insert("content-length", HeaderValue::from_static("9"));
    headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
    let text = String::from_utf8(write_head(&request, false).unwrap()).unwrap();
    assert_eq!(
        text,
        "POST /v1?x=1 HTTP/1.1\r\nhost: host\r\nx-a: 1\r\ncontent-length: 3\r\n\r\n"
    );
}

#[test]
fn an_empty_body_has_a_length_only_where_one_is_expected() {
    let of = |method| {
        String::from_utf8(write_head(&outbound(method, "/", &[]), false).unwrap()).unwrap()
    };
    assert!(!of(Method::GET).contains("content-length"));
    assert!(of(Method::POST).contains("content-length: 0\r\n"));
}

#[test]
fn a_proxied_request_is_absolute_and_authorized() {
    let text = String::from_utf8(write_head(&outbound(Method::GET, "/a", &[]), true).unwrap());
    assert_eq!(
        text.unwrap(),
        "GET http://host/a HTTP/1.1\r\nhost: host\r\nproxy-authorization: Basic eA==\r\n\r\n"
    );
}

#[test]
fn a_path_cannot_smuggle() {
    for path in ["a", "/a b", "/a\r\nx: y", "/a\n", "", "/\u{7f}"] {
        assert!(
            write_head(&outbound(Method::GET, path, &[]), false).is_err(),
            "{path:?}"
        );
    }
}

#[test]
fn heads_say_where_the_body_ends_and_whether_the_connection_stays() {
    let cases = [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
            Some(5),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\n",
            Some(5),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: Close\r\n\r\n",
            Some(5),
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\n",
            Some(5),
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\n",
            Some(5),
            true,
        ),
        ("HTTP/1.1 204 No\r\n\r\n", Some(0), true),
        (
            "HTTP/1.1 304 No\r\ncontent-length: 7\r\n\r\n",
            Some(0),
            true,
        ),
        ("HTTP/1.1 200\r\n\r\n", None, false),
        ("HTTP/1.1 200 OK\n\n", None, false),
    ];
    for (text, length, persistent) in cases {
        let head = head(text, Method::POST).unwrap();
        let expected = length.map_or(BodyEnd::Close, BodyEnd::Length);
        assert_eq!(
            (head.body, head.persistent),
            (expected, persistent),
            "{text:?}"
        );
    }
    let to_head = head("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n", Method::HEAD).unwrap();
    assert_eq!(to_head.body, BodyEnd::Length(0));
    let both = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\ntransfer-encoding: chunked\r\n\r\n";
    let both = head(both, Method::POST).unwrap();
    assert!(matches!(both.body, BodyEnd::Chunked(_)) && !both.persistent);
}

#[test]
fn heads_that_readers_could_disagree_on_are_refused() {
    for text in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad name: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: 1\r\n b\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "hello\r\n\r\n",
    ] {
        assert!(head(text, Method::POST).is_err(), "{text:?}");
    }
}

#[test]
fn a_head_is_found_only_when_it_is_whole() {
    let text = b"HTTP/1.1 200 OK\r\na: b\r\n\r\n";
    for at in 0..text.len() {
        assert_eq!(head_len(&text[..at]), None);
    }
    assert_eq!(head_len(b"HTTP/1.1 200 OK\r\n\r\nbody\r\n\r\n"), Some(19));
}

#[test]
fn bodies_end_where_they_say() {
    type Case = (&'static str, &'static [u8], &'static [u8], bool, usize);
    let cases: [Case; 6] = [
        ("content-length: 3\r\n", b"abcd", b"abc", true, 3),
        ("content-length: 5\r\n", b"abcd", b"abcd", false, 4),
        ("", b"abcd", b"abcd", false, 4),
        (
            "transfer-encoding: chunked\r\n",
            b"3\r\nabc\r\n00\r\n\r\nx",
            b"abc",
            true,
            14,
        ),
        (
            "transfer-encoding: chunked\r\n",
            b"3;a=b\r\nabc\r\nA \r\n0123456789\r\n0\r\nt: 1\r\nu: 2\r\n\r\n",
            b"abc0123456789",
            true,
            45,
        ),
        (
            "transfer-encoding: chunked\r\n",
            b"3\r\nabc\r\n",
            b"abc",
            false,
            8,
        ),
    ];
    for (headers, input, payload, ended, taken) in cases {
        let read = body(headers, input).unwrap();
        assert_eq!(
            read,
            (payload.to_vec(), ended, taken),
            "{headers} {input:?}"
        );
    }
}

#[test]
fn malformed_chunks_are_refused_at_every_split() {
    for input in [
        &b"\r\n"[..],
        b"g\r\n",
        b"3\nabc",
        b"3\r\nabcd\r\n",
        b"3\r\nabc\n",
        b";a\r\n",
        b"-1\r\n",
        b"0x3\r\nabc\r\n",
        b"11111111111111111\r\n",
        b"0\r\n\n",
        b"0\r\na\n",
        b"3;a\nb\r\nabc\r\n",
    ] {
        assert!(
            body("transfer-encoding: chunked\r\n", input).is_err(),
            "{input:?}"
        );
    }
    let long = format!("1;{}\r\n", "x".repeat(5000));
    assert!(body("transfer-encoding: chunked\r\n", long.as_bytes()).is_err());
}
