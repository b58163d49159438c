//! The one suite that every [`Inflight`] passes.
//!
//! Each check panics with what it expected. Deliberately not here: torn and
//! failing writes, and what happens between processes.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::task::Waker;

use super::{Inflight, InflightError, InflightRow, InflightState, ROW_BYTES_MAX};
use crate::journal::{Intake, Slot, Ticket};

/// Rows that a table under test has room for.
pub const SLOTS: u32 = 8;

/// A table under test, and how what lies in it is read.
pub struct Subject {
    /// The table, empty, of [`SLOTS`] rows.
    pub table: Arc<dyn Inflight>,
    /// What a recovery would find.
    pub rows: Box<dyn Fn() -> Vec<InflightRow>>,
}

impl Subject {
    fn sorted(&self) -> Vec<(InflightState, Vec<u8>)> {
        let rows = (self.rows)().into_iter();
        let mut rows: Vec<_> = rows.map(|row| (row.state, row.bytes)).collect();
        rows.sort_by(|a, b| a.1.cmp(&b.1));
        rows
    }

    fn begun(&self, row: &[u8]) -> super::Tag {
        self.table.begin(row).expect("a row is free")
    }
}

/// A journal that writes when it is told to.
#[derive(Clone, Default)]
pub struct SlowJournal(Arc<Sequences>);

#[derive(Default)]
struct Sequences {
    sent: AtomicU64,
    written: AtomicU64,
}

impl SlowJournal {
    /// The ticket of a new entry, which is not written.
    pub fn send(&self) -> Ticket {
        Slot::new(self.0.clone()).send(b"")
    }

    /// Writes what was sent. Returns the last sequence.
    pub fn write(&self) -> u64 {
        let sent = self.0.sent.load(Relaxed);
        self.0.written.store(sent, Release);
        sent
    }
}

impl Intake for Sequences {
    fn take(&self, _: &[u8]) -> u64 {
        self.sent.fetch_add(1, Relaxed) + 1
    }

    fn give_back(&self) {}

    fn poll_durable(&self, sequence: u64, _: &Waker) -> bool {
        self.is_written(sequence)
    }

    fn is_written(&self, sequence: u64) -> bool {
        sequence <= self.written.load(Acquire)
    }
}

/// Runs every check on tables made by `make`.
pub fn check(make: &dyn Fn() -> Subject) {
    keeps_the_latest_row(&make());
    frees_a_row_once_the_journal_has_it(&make());
    knows_tickets_of_two_journals(&make());
    ends_an_entry_that_is_written(&make());
    refuses_what_does_not_fit(&make());
    keeps_the_row_of_a_dropped_tag(&make());
    takes_no_tag_of_another(&make(), &make());
    serves_many_threads(&make());
}

fn keeps_the_latest_row(subject: &Subject) {
    use InflightState::{Begun, Ended};
    assert_eq!(subject.sorted(), []);
    let mut first = subject.begun(b"1");
    let second = subject.begun(b"2");
    for row in [&b"1a"[..], b"1", b"1 with more behind it", b"1b"] {
        subject.table.amend(&mut first, row).expect("it fits");
        let expected = [(Begun, row.to_vec()), (Begun, b"2".to_vec())];
        assert_eq!(subject.sorted(), expected);
    }
    subject.table.cancel(second);
    assert_eq!(subject.sorted(), [(Begun, b"1b".to_vec())]);
    let journal = SlowJournal::default();
    subject.table.end(first, b"1 ended", &journal.send());
    assert_eq!(subject.sorted(), [(Ended, b"1 ended".to_vec())]);
    let health = subject.table.health();
    assert_eq!((health.rows, health.ending, health.errors), (0, 1, 0));
    assert!(subject.table.others().expect("readable").is_empty());
}

fn frees_a_row_once_the_journal_has_it(subject: &Subject) {
    let journal = SlowJournal::default();
    for round in 0..50 {
        let tags: Vec<_> = (0..SLOTS).map(|n| subject.begun(&[n as u8])).collect();
        for tag in tags {
            subject.table.end(tag, b"end", &journal.send());
        }
        let full = subject.table.begin(b"more").expect_err("none is free");
        let InflightError::Full { in_use, max } = full else {
            panic!("{full}");
        };
        assert_eq!((in_use, max), (u64::from(SLOTS), u64::from(SLOTS)));
        assert_eq!(subject.table.health().refused, round + 1);
        journal.write();
    }
}

fn knows_tickets_of_two_journals(subject: &Subject) {
    let (stuck, quick) = (SlowJournal::default(), SlowJournal::default());
    let tags: Vec<_> = (0..SLOTS).map(|_| subject.begun(b"x")).collect();
    let journals = [&stuck, &quick].into_iter().cycle();
    for (tag, journal) in tags.into_iter().zip(journals) {
        subject.table.end(tag, b"end", &journal.send());
    }
    assert!(subject.table.begin(b"y").is_err());
    // The sequences of the one say nothing of those of the other.
    quick.write();
    let free: Vec<_> = (0..SLOTS / 2).map(|_| subject.begun(b"y")).collect();
    assert!(subject.table.begin(b"y").is_err());
    free.into_iter().for_each(|tag| subject.table.cancel(tag));
    let ended = subject.sorted();
    assert_eq!(ended.len(), SLOTS as usize / 2);
    assert!(ended.iter().all(|(_, row)| row == b"end"));
}

fn ends_an_entry_that_is_written(subject: &Subject) {
    let journal = SlowJournal::default();
    let ticket = journal.send();
    journal.write();
    let tag = subject.begun(b"x");
    subject.table.end(tag, b"end", &ticket);
    assert_eq!(subject.sorted(), []);
    assert_eq!(subject.table.health().ending, 0);
}

fn refuses_what_does_not_fit(subject: &Subject) {
    let longest = vec![7; ROW_BYTES_MAX];
    let longer = vec![8; ROW_BYTES_MAX + 1];
    let is_too_long =
        |error| matches!(error, InflightError::TooLong { bytes, max } if bytes == max + 1);
    assert!(is_too_long(subject.table.begin(&longer).expect_err("long")));
    let mut tag = subject.begun(b"x");
    subject.table.amend(&mut tag, &longest).expect("it fits");
    let refused = subject.table.amend(&mut tag, &longer).expect_err("long");
    assert!(is_too_long(refused));
    assert_eq!(subject.table.health().refused, 2);
    let journal = SlowJournal::default();
    subject.table.end(tag, &longer, &journal.send());
    // What is reserved counts until the journal has the record.
    assert_eq!(subject.sorted(), [(InflightState::Begun, longest)]);
    let health = subject.table.health();
    assert_eq!((health.errors, health.rows, health.ending), (1, 0, 1));
    journal.write();
    for _ in 0..SLOTS {
        std::mem::forget(subject.begun(b"y"));
    }
}

fn keeps_the_row_of_a_dropped_tag(subject: &Subject) {
    drop(subject.begun(b"x"));
    let health = subject.table.health();
    assert_eq!((health.dropped, health.rows), (1, 1));
    assert_eq!(subject.sorted(), [(InflightState::Begun, b"x".to_vec())]);
    let others: Vec<_> = (1..SLOTS).map(|_| subject.begun(b"y")).collect();
    assert!(subject.table.begin(b"z").is_err());
    others.into_iter().for_each(|tag| subject.table.cancel(tag));
    assert_eq!(subject.table.health().dropped, 1);
}

fn takes_no_tag_of_another(subject: &Subject, other: &Subject) {
    let mut tag = other.begun(b"other");
    let _own = subject.begun(b"own");
    let refused = subject.table.amend(&mut tag, b"mixed");
    assert!(matches!(refused, Err(InflightError::Foreign)));
    subject.table.cancel(tag);
    assert_eq!(subject.sorted().len(), 1);
    assert_eq!(subject.table.health().errors, 1);
    assert_eq!(other.table.health().dropped, 1);
}

fn serves_many_threads(subject: &Subject) {
    let journal = SlowJournal::default();
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let (table, journal) = (subject.table.clone(), journal.clone());
            scope.spawn(move || {
                for n in 0..250u8 {
                    let mut tag = loop {
                        match table.begin(&[thread, n]) {
                            Ok(tag) => break tag,
                            Err(InflightError::Full { .. }) => drop(journal.write()),
                            Err(other) => panic!("{other}"),
                        }
                    };
                    table.amend(&mut tag, &[thread, n, 1]).expect("it fits");
                    match n % 3 {
                        0 => table.cancel(tag),
                        _ => table.end(tag, &[thread, n, 2], &journal.send()),
                    }
                }
            });
        }
    });
    journal.write();
    let health = subject.table.health();
    assert_eq!((health.rows, health.errors, health.dropped), (0, 0, 0));
    let tags: Vec<_> = (0..SLOTS).map(|_| subject.begun(b"z")).collect();
    assert!(subject.table.begin(b"z").is_err());
    assert!(subject.sorted().iter().all(|(_, row)| row == b"z"));
    tags.into_iter().for_each(|tag| subject.table.cancel(tag));
}
