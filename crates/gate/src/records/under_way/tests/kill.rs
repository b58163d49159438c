//! A process is killed with SIGKILL while calls are under way, again and
//! again, and so is the one that recovers: what was begun is in the journal,
//! once, and what had ended has the record that it ended with.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use evidence::RouteKey;
use plan::{Durability, EvidenceSettings, LogEntry};

use super::*;
use crate::records::Records;

/// Set in a child: the data directory, and which round it is.
const HOME: &str = "TOLLGATE_UNDER_WAY_TEST_HOME";
const ROUND: &str = "TOLLGATE_UNDER_WAY_TEST_ROUND";
/// A round of a child that only opens the records.
const RECOVERS: &str = "recovers";
/// Lines of a child after which it is killed.
const LINES: [usize; 5] = [1, 250, 1_000, 3_000, 7_000];
/// Most calls that a thread of a child leaves open.
const HELD_MAX: usize = 40;
/// Status of a record whose row was amended.
const AMENDED: u16 = 1;

fn open(home: &Path) -> Records {
    let settings = EvidenceSettings {
        dir: None,
        durability: Durability::Batch,
        flush_ms: 5,
        index: false,
    };
    Records::open(&settings, &LogEntry::default(), home).unwrap()
}

fn spawn(home: &Path, round: &str) -> Child {
    let name = "records::under_way::tests::kill::child";
    let _nobody_waits_for_a_lock = STARTING.write().unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(HOME, home)
        .env(ROUND, round)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn say(what: &str, number: u64) {
    let line = format!("call {what} {number:020}\n");
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).unwrap();
    out.flush().unwrap();
}

/// The child: makes calls for ever and says after each step that it is done.
/// Does nothing when run as an ordinary test.
#[test]
fn child() {
    let Some(home) = std::env::var_os(HOME) else {
        return;
    };
    let records = open(Path::new(&home));
    let round = std::env::var(ROUND).unwrap();
    if round == RECOVERS {
        std::thread::park();
    }
    let round: u64 = round.parse().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let records = &records;
            scope.spawn(move || call_for_ever(records, ((round << 8) | thread) << 32));
        }
        // Far more often than in a gateway, so that it is met by the kills.
        loop {
            let journal = records.evidence.journal();
            records.under_way.table.tidy(journal.head().sequence);
            std::thread::yield_now();
        }
    });
}

fn call_for_ever(records: &Records, base: u64) {
    let (inflight, evidence) = (records.inflight(), &records.evidence);
    let route = evidence.meter().route(&RouteKey::default());
    let mut held = Vec::new();
    for number in base + 1.. {
        let mut record = record(number);
        let length = usize::try_from(number * 37 % 500).unwrap();
        record.path = Some("x".repeat(length).into());
        let mut tag = inflight.begin(&record.encode()).unwrap();
        say("begun", number);
        match number % 8 {
            0 => {
                say("cancelling", number);
                inflight.cancel(tag);
                say("cancelled", number);
            }
            1 | 2 if held.len() < HELD_MAX => {
                if number % 8 == 2 {
                    record.status = AMENDED;
                    inflight.amend(&mut tag, &record.encode()).unwrap();
                    say("amended", number);
                } else {
                    say("held", number);
                }
                held.push(tag);
            }
            _ => {
                record.status = 200;
                record.outcome = Outcome::Complete;
                let slot = evidence.admit().unwrap();
                slot.write_seen(&mut record, &route, |row, ticket| {
                    inflight.end(tag, row, ticket);
                });
                say("ended", number);
            }
        }
    }
}

/// Kills a child after so many lines; notes the last word on each call.
fn kill(home: &Path, round: usize, lines: usize, told: &mut BTreeMap<u64, String>) {
    let mut child = spawn(home, &round.to_string());
    let mut read = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        // The test harness talks on the same stream.
        let line = line.unwrap();
        let Some((_, words)) = line.split_once("call ") else {
            continue;
        };
        let (what, number) = words.split_once(' ').unwrap();
        assert_eq!(number.len(), 20, "a line is written whole");
        told.insert(number.parse().unwrap(), what.to_owned());
        read += 1;
        if read == lines {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success());
    assert!(read >= lines);
}

#[test]
fn a_kill_loses_no_call_that_was_begun_or_ended() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let mut told = BTreeMap::new();
    for (round, lines) in LINES.into_iter().enumerate() {
        kill(home, round, lines, &mut told);
        // And somewhere in the recovery.
        let mut child = spawn(home, RECOVERS);
        let spins = 1_usize << (round * 3 + 4);
        (0..spins).for_each(|_| std::thread::yield_now());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let records = open(home);
    let deadline = std::time::Instant::now() + WRITE_MAX;
    while tables(home) > crate::records::under_way::tables() {
        assert!(std::time::Instant::now() < deadline, "a table stays");
        std::thread::yield_now();
    }
    records.close();
    assert_eq!(tables(home), 0);
    check(home, &told);
}

fn check(home: &Path, told: &BTreeMap<u64, String>) {
    let mut reader = Reader::open(&home.join("journal"), 1, Check::Checksum).unwrap();
    let mut found = BTreeMap::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        // A torn end that was cut off is noted by an entry that is no record.
        let Ok(record) = Record::decode(&entry.payload) else {
            continue;
        };
        let number = record.arrived_us;
        let before = found.insert(number, (record.outcome, record.status));
        assert_eq!(before, None, "{number} twice");
    }
    let mut lost = 0;
    for (number, what) in told {
        let found = found.get(number).copied();
        let is_right = match (what.as_str(), found) {
            ("ended", Some((Outcome::Complete, 200)))
            | ("cancelling", Some((Outcome::Lost, 0)) | None)
            | ("cancelled", None)
            | ("begun", Some((Outcome::Complete, 200) | (Outcome::Lost, 0 | AMENDED))) => true,
            ("held", Some((Outcome::Lost, 0))) | ("amended", Some((Outcome::Lost, AMENDED))) => {
                lost += 1;
                true
            }
            _ => false,
        };
        assert!(is_right, "{number} was {what}, and is {found:?}");
    }
    assert!(lost > HELD_MAX, "{lost}");
}
