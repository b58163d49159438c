//! A new process in the place of the old one, and sockets of a service
//! manager.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use crate::client::Client;
use crate::gateway::{Gateway, Home, KEY, chat, post};
use crate::until;
use crate::upstream::{Event, gated};

const DOOR: &str = "/v1/chat/completions";

/// Callers without a pause, each on connections of its own.
#[derive(Clone)]
struct Load {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
}

impl Load {
    /// A caller that keeps its connection for as long as it may, or takes a
    /// fresh one each time; it gives what failed.
    fn caller(&self, keeps: bool) -> JoinHandle<Vec<String>> {
        let this = self.clone();
        std::thread::spawn(move || {
            let mut failures = Vec::new();
            let mut kept: Option<Client> = None;
            while !this.stop.load(Ordering::Relaxed) {
                match this.call(kept.take()) {
                    Ok(client) => kept = client.filter(|_| keeps),
                    Err(why) => failures.push(why),
                }
                this.calls.fetch_add(1, Ordering::Relaxed);
            }
            failures
        })
    }

    /// One call; the connection, if it goes on.
    fn call(&self, kept: Option<Client>) -> Result<Option<Client>, String> {
        let was_kept = kept.is_some();
        let answer = || {
            let mut client = match kept {
                Some(client) => client,
                None => Client::connect(self.address)?,
            };
            post(&mut client, KEY, DOOR, &chat("m", false))?;
            let answer = client.answer()?;
            std::io::Result::Ok((client, answer))
        };
        let (client, answer) = answer().map_err(|why| format!("kept {was_kept}: {why}"))?;
        if answer.status != 200 {
            return Err(answer.text());
        }
        Ok((answer.header("connection") != "close").then_some(client))
    }

    fn more(&self, count: u64) {
        let enough = self.calls.load(Ordering::Relaxed) + count;
        until("the load goes on", || {
            self.calls.load(Ordering::Relaxed) >= enough
        });
    }
}

/// A stream that has begun, and its request id.
fn open_stream(gateway: &Gateway) -> (Client, String) {
    let mut client = gateway.connect();
    post(&mut client, KEY, DOOR, &chat("m", true)).unwrap();
    let head = client.head().unwrap();
    client.chunks_until("first");
    (client, head.header("tollgate-request-id").to_owned())
}

#[test]
fn an_upgrade_under_load_fails_no_call_and_loses_no_record() {
    let gate = Event::default();
    let up = gated(&gate);
    let home = Home::with(&up.config(""));
    let mut old = home.start();
    old.await_ready();
    let load = Load {
        address: old.data(),
        stop: Arc::default(),
        calls: Arc::default(),
    };
    let callers: Vec<_> = [true, true, true, false, false]
        .map(|keeps| load.caller(keeps))
        .into();
    let mut streams = [open_stream(&old), open_stream(&old)];
    load.more(50);
    let new = home.start();
    assert_eq!(
        (new.data(), new.admin()),
        (old.data(), old.admin()),
        "the sockets are the same, port 0 or not"
    );
    load.more(100);
    assert!(old.is_running(), "its streams are open");
    gate.happen();
    for (stream, _) in &mut streams {
        let rest = stream.chunks_until("[DONE]");
        assert!(rest.contains("second"), "{rest}");
        assert_eq!(stream.chunk().unwrap(), None);
    }
    assert!(old.wait().success());
    load.more(50);
    load.stop.store(true, Ordering::Relaxed);
    for caller in callers {
        assert_eq!(caller.join().unwrap(), Vec::<String>::new());
    }
    assert_eq!(new.chat("m").status, 200);
    // Every call, and the two streams, and the last one.
    let expected = load.calls.load(Ordering::Relaxed) + 3;
    until("the records of both are together", || {
        new.metric("tollgate_journal_head ") as u64 >= expected
    });
    let answer = new.admin_call(&home, "GET", "/v1/records?limit=1");
    assert_eq!(answer.json()["head"], expected);
    for (_, id) in &streams {
        let record = new.logs(&home, &["--request-id", id]);
        assert_eq!(record[0]["outcome"], "complete", "{record:?}");
    }
    new.stop();
    let report = store::verify(&home.path("data/journal"), None).unwrap();
    assert_eq!((report.entries, report.findings.len()), (expected, 0));
    assert!(!home.path("data/control.sock").exists());
}

#[test]
fn a_successor_that_cannot_start_changes_nothing() {
    let gate = Event::default();
    let up = gated(&gate);
    let home = Home::with(&up.config(""));
    let gateway = home.start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, err) = home.run(&["--listen", &address]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains(&address), "{err}");
    assert_eq!(gateway.chat("m").status, 200);
    let next = home.start();
    assert_eq!(
        next.data(),
        gateway.data(),
        "and the next one can take over"
    );
    drop(gateway);
    assert_eq!(next.chat("m").status, 200);
    next.stop();
}

/// A service manager in a few lines: sockets from 3 on, meant for the process
/// that it becomes.
const ACTIVATE: &str = "
import os, socket, sys
listening = socket.create_server(('127.0.0.1', 0))
os.dup2(listening.fileno(), 3)
os.environ['LISTEN_FDS'] = '1'
os.environ['LISTEN_PID'] = str(os.getpid())
address = '127.0.0.1:%d' % listening.getsockname()[1]
os.execv(sys.argv[1], [sys.argv[1], '--listen', address])
";

#[test]
fn a_socket_of_the_service_manager_is_taken() {
    let search = std::env::var("PATH").unwrap_or_default();
    let python = std::env::split_paths(&search)
        .map(|folder| folder.join("python3"))
        .find(|path| path.exists());
    let Some(python) = python else {
        eprintln!("skipped: there is no python3 to play the service manager");
        return;
    };
    let gate = Event::default();
    let up = gated(&gate);
    let home = Home::with(&up.config(""));
    let mut command = Command::new(python);
    home.prepare(&mut command);
    command
        .env("PATH", search)
        .args(["-c", ACTIVATE, env!("CARGO_BIN_EXE_tollgate")]);
    // The manager's socket listens already: a second bind would be refused.
    let gateway = Gateway::start(command);
    assert_eq!(gateway.chat("m").status, 200);
    gateway.stop();
}
