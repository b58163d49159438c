//! A caller that goes away takes its upstream call along.

use std::io::Write;
use std::sync::mpsc::channel;

use crate::gateway::{Home, KEY, chat, post};
use crate::upstream::{Upstream, await_end, piece, sse_head};
use crate::{HANG, until};

#[test]
fn a_caller_that_leaves_ends_the_upstream_call_at_once() {
    let (tell, told) = channel();
    let up = Upstream::start(move |asked, socket| {
        if asked.is_stream() {
            let first = sse_head() + &piece("first");
            socket.write_all(first.as_bytes()).unwrap();
        }
        tell.send("asked").unwrap();
        await_end(socket);
        tell.send("ended").unwrap();
        false
    });
    let home = Home::with(&up.config(""));
    let gateway = home.start();
    for stream in [true, false] {
        let mut client = gateway.connect();
        let body = chat("m", stream);
        post(&mut client, KEY, "/v1/chat/completions", &body).unwrap();
        assert_eq!(told.recv_timeout(HANG), Ok("asked"));
        if stream {
            client.head().unwrap();
            client.chunks_until("first");
        }
        drop(client);
        assert_eq!(told.recv_timeout(HANG), Ok("ended"));
    }
    until("both are recorded", || {
        gateway.logs(&home, &["--outcome", "cancelled"]).len() == 2
    });
    let logs = gateway.logs(&home, &[]);
    assert!(
        logs.iter()
            .all(|line| line["status"] == 499 && line["fault"] == "cancelled")
    );
    assert_eq!(gateway.metric("tollgate_in_flight"), 0.0);
    assert_eq!(gateway.metric("tollgate_open_streams"), 0.0);
    gateway.stop();
}
