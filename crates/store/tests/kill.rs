//! A process is killed with SIGKILL while it writes: every record that it
//! acknowledged must be found.

use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use tollgate_store::{
    Check, Cursor, Durability, EntryKind, Journal, LogOptions, Reader, SegmentLog, Ticket, verify,
};

/// Set in the child; the folder of its log.
const DIR: &str = "TOLLGATE_KILL_TEST_DIR";
/// Acknowledgements after which the child is killed.
const ACKNOWLEDGED: usize = 3_000;

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait(ticket: Ticket) {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut ticket = pin!(ticket);
    while ticket
        .as_mut()
        .poll(&mut Context::from_waker(&waker))
        .is_pending()
    {
        std::thread::park();
    }
}

fn payload(n: u64) -> Vec<u8> {
    let filler = (0..n * 37 % 700).map(|at| at.to_le_bytes()[0]);
    n.to_le_bytes().into_iter().chain(filler).collect()
}

fn options() -> LogOptions {
    LogOptions {
        durability: Durability::Written,
        segment_bytes: 200_000,
        ..LogOptions::default()
    }
}

/// The child: writes for ever, several entries at a time, and says after each
/// group which it may say. Does nothing when run as an ordinary test.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let log = SegmentLog::open(Path::new(&dir), options()).unwrap();
    let mut out = std::io::stdout();
    for group in 0.. {
        let numbers = group * 7..(group + 1) * 7;
        let tickets = numbers.map(|n| (n, log.try_slot().unwrap().send(&payload(n))));
        for (n, ticket) in tickets.collect::<Vec<_>>() {
            let sequence = ticket.sequence();
            wait(ticket);
            writeln!(out, "ack {n} {sequence}").unwrap();
        }
    }
}

#[test]
fn every_acknowledged_record_survives_a_kill() {
    let dir = tempfile::TempDir::new().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(DIR, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        // The last line may be torn by the kill, and the test harness talks
        // on the same stream.
        let line = line.unwrap();
        let Some(words) = line.split_once("ack ").map(|(_, words)| words) else {
            continue;
        };
        if let Some((n, sequence)) = words.split_once(' ') {
            let (n, sequence): (u64, u64) = (n.parse().unwrap(), sequence.parse().unwrap());
            // A torn number would not follow the one before.
            if sequence == acknowledged.len() as u64 + 1 {
                acknowledged.push((n, sequence));
            }
        }
        if acknowledged.len() == ACKNOWLEDGED {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success());
    assert!(acknowledged.len() >= ACKNOWLEDGED);

    let log = SegmentLog::open(dir.path(), options()).unwrap();
    let mut reader = Reader::open(dir.path(), 1, Check::Chain).unwrap();
    for (n, sequence) in acknowledged {
        let entry = reader
            .next_entry()
            .unwrap()
            .expect("an acknowledged record is there");
        assert_eq!((entry.sequence, entry.kind), (sequence, EntryKind::Record));
        assert_eq!(entry.payload, payload(n));
    }
    // And the log goes on.
    wait(log.try_slot().unwrap().send(b"on"));
    let head = log.head();
    drop(log);
    assert_eq!(verify(dir.path(), Some(head)).unwrap().findings, []);
}
