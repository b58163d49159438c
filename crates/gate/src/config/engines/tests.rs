//! Ports with an inference server, with something else, and with nobody.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::answering;

/// A server that gives each caller this answer; its port.
fn server(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = [0; 1024];
            // What is asked does not matter; a caller that left neither.
            let _ = stream.read(&mut head);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

#[test]
fn only_inference_servers_are_found() {
    let engine = server("HTTP/1.1 200 OK\r\n\r\n{\"object\":\"list\",\"data\":[]}");
    let site = server("HTTP/1.1 200 OK\r\n\r\n<html>hello</html>");
    let locked = server("HTTP/1.1 401 Unauthorized\r\n\r\n{\"data\":1}");
    let rubbish = server("\u{0}\u{1}");
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("bound").port()
    };
    let found = answering([nobody, site, engine, locked, rubbish].into_iter());
    assert_eq!(found, [engine]);
}
