//! The way out: unready first, then no new callers, then the end of those who
//! are there.

use rustix::process::Signal;

use crate::client::Client;
use crate::gateway::{Gateway, Home, KEY, chat, post};
use crate::until;
use crate::upstream::{Event, gated};

fn open_stream(gateway: &Gateway) -> Client {
    let mut client = gateway.connect();
    post(&mut client, KEY, "/v1/chat/completions", &chat("m", true)).unwrap();
    assert_eq!(client.head().unwrap().status, 200);
    client.chunks_until("first");
    client
}

fn readiness(address: std::net::SocketAddr) -> Option<u16> {
    let mut client = Client::connect(address).ok()?;
    client.send("GET", "/readyz", &[], b"").ok()?;
    Some(client.answer().ok()?.status)
}

#[test]
fn a_drain_lets_open_streams_finish_and_takes_nobody_new() {
    let gate = Event::default();
    let up = gated(&gate);
    let home = Home::with(&up.config(""));
    let mut gateway = home.start();
    gateway.await_ready();
    let mut stream = open_stream(&gateway);
    gateway.signal(Signal::TERM);
    until("nobody new is taken", || !gateway.is_listening());
    assert_eq!(
        readiness(gateway.admin()),
        Some(503),
        "operators can look in"
    );
    assert!(gateway.is_running());
    gate.happen();
    let rest = stream.chunks_until("[DONE]");
    assert!(rest.contains("second"), "{rest}");
    assert_eq!(
        stream.chunk().unwrap(),
        None,
        "the stream has its proper end"
    );
    assert!(gateway.wait().success());
    let gateway = home.start();
    let logs = gateway.logs(&home, &[]);
    assert_eq!(logs.len(), 1);
    assert_eq!(logs[0]["outcome"], "complete");
    gateway.stop();
}

#[test]
fn unready_comes_before_closed_and_a_second_signal_ends_at_once() {
    let gate = Event::default();
    let up = gated(&gate);
    let home = Home::with(&up.config("drain: {unready_before: 10m, max: 10m}"));
    let mut gateway = home.start();
    gateway.await_ready();
    let mut stream = open_stream(&gateway);
    gateway.signal(Signal::TERM);
    until("it is unready and still takes calls", || {
        readiness(gateway.data()) == Some(503)
    });
    assert_eq!(gateway.chat("m").status, 200);
    gateway.signal(Signal::TERM);
    assert!(gateway.wait().success());
    assert!(stream.is_ended(), "what was open is cut");
    gate.happen();
    let gateway = home.start();
    let outcomes: Vec<String> = gateway
        .logs(&home, &[])
        .iter()
        .map(|line| line["outcome"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        outcomes,
        ["complete", "cancelled"],
        "the cut one is recorded too"
    );
}
