//! Addresses, and answers as a server may frame them.

use std::net::TcpListener;

use super::*;

#[test]
fn addresses() {
    let tcp = |host: &str, port, tls| {
        Some(Target::Tcp {
            host: host.to_owned(),
            port,
            tls,
        })
    };
    for (url, target, is_local) in [
        ("http://127.0.0.1:4101", tcp("127.0.0.1", 4101, false), true),
        (
            "http://127.0.0.1:4101/",
            tcp("127.0.0.1", 4101, false),
            true,
        ),
        ("localhost:4101", tcp("localhost", 4101, false), true),
        ("http://[::1]:4101", tcp("::1", 4101, false), true),
        (
            "https://gate.example",
            tcp("gate.example", 443, true),
            false,
        ),
        ("http://10.0.0.7", tcp("10.0.0.7", 80, false), false),
        (
            "http://localhost.example",
            tcp("localhost.example", 80, false),
            false,
        ),
        (
            "unix:/run/admin.sock",
            Some(Target::Unix("/run/admin.sock".into())),
            true,
        ),
    ] {
        assert_eq!(Target::parse(url), target, "{url}");
        assert_eq!(target.expect("a target").is_local(), is_local, "{url}");
    }
    for wrong in [
        "",
        "http://",
        "http://a b",
        "http://a:x",
        "http://a/path",
        "unix:relative",
        "ftp://a",
        "http://u@a",
    ] {
        assert_eq!(Target::parse(wrong), None, "{wrong}");
    }
}

/// The body of an answer that a server sends as `wire`.
fn answer(wire: &'static str) -> io::Result<(u16, String)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client");
        let mut head = BufReader::new(socket.try_clone().expect("a second handle"));
        while !line(&mut head).expect("a head").is_empty() {}
        socket.write_all(wire.as_bytes()).expect("the client reads");
    });
    let target = Target::Tcp {
        host: "127.0.0.1".to_owned(),
        port,
        tls: false,
    };
    let read = || {
        let mut response = get(&target, "/x", None)?;
        let mut text = String::new();
        response.body.read_to_string(&mut text)?;
        Ok((response.status, text))
    };
    let result = read();
    server.join().expect("the server is done");
    result
}

#[test]
fn bodies_in_every_framing() {
    for (wire, status, body) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcdef",
            200,
            "abc",
        ),
        ("HTTP/1.0 503 No\r\n\r\nabc", 503, "abc"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\nt: x\r\n\r\n",
            200,
            "abc",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, ""),
    ] {
        let got = answer(wire).unwrap_or_else(|error| panic!("{wire:?}: {error}"));
        assert_eq!(got, (status, body.to_owned()), "{wire:?}");
    }
}

#[test]
fn what_is_cut_or_broken_is_an_error() {
    for wire in [
        "",
        "hello\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nab",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    ] {
        assert!(answer(wire).is_err(), "{wire:?}");
    }
}
