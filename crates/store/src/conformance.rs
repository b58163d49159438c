//! The one suite that every [`Journal`] passes.
//!
//! Each check panics with what it expected. Deliberately not here: what only
//! a disk can show (tears, tampering, failing writes).

use std::sync::Arc;
use std::time::Duration;

use crate::journal::{EntryKind, Journal};
use crate::segment::{self, PAYLOAD_BYTES_MAX};

/// Longest wait for an entry to become visible.
const WAIT: Duration = Duration::from_secs(30);

/// Slots that a journal under test must have.
pub const SLOTS: u64 = 8;

/// Runs every check on journals made by `make`, each empty, with [`SLOTS`]
/// slots and room for a thousand entries.
pub fn check(make: &dyn Fn() -> Arc<dyn Journal>) {
    begins_empty(&*make());
    keeps_order_and_chain(&*make());
    reads_from_anywhere(&*make());
    is_full_at_its_limit(&*make());
    counts_abandoned_slots(&*make());
    clips_what_is_too_long(&*make());
    takes_from_many_threads(&make());
}

fn send(journal: &dyn Journal, payload: &[u8]) -> u64 {
    loop {
        if let Ok(slot) = journal.try_slot() {
            return slot.send(payload).sequence();
        }
        assert!(journal.flush(WAIT), "a full journal drains");
    }
}

fn begins_empty(journal: &dyn Journal) {
    assert_eq!(journal.head().sequence, 0);
    assert!(journal.flush(WAIT));
    let mut cursor = journal
        .cursor(1, None)
        .expect("an empty journal can be read");
    assert_eq!(cursor.next_entry().expect("and holds nothing"), None);
    assert!(journal.cursor(0, None).is_err(), "sequences begin at 1");
}

fn keeps_order_and_chain(journal: &dyn Journal) {
    let payloads: Vec<Vec<u8>> = (0u8..100).map(|n| vec![n; usize::from(n) * 7]).collect();
    let mut cursor = journal
        .cursor(1, None)
        .expect("readable before the first entry");
    assert_eq!(cursor.next_entry().expect("readable"), None);
    for (payload, sequence) in payloads.iter().zip(1..) {
        assert_eq!(send(journal, payload), sequence);
    }
    assert!(journal.flush(WAIT));
    let mut previous = [0; 32];
    for (payload, sequence) in payloads.iter().zip(1..) {
        let entry = cursor
            .next_entry()
            .expect("readable")
            .expect("flushed entries are visible");
        assert_eq!((entry.sequence, entry.kind), (sequence, EntryKind::Record));
        assert_eq!(&entry.payload, payload);
        let hash = segment::chain(&previous, sequence, EntryKind::Record, payload);
        assert_eq!(entry.hash, hash, "the chain covers entry {sequence}");
        let alone = journal
            .entry_at(entry.place, sequence)
            .expect("entries can be fetched");
        assert_eq!(alone, entry);
        assert!(journal.entry_at(entry.place, sequence + 1_000).is_err());
        previous = hash;
    }
    assert_eq!(cursor.next_entry().expect("readable"), None);
    assert_eq!(
        (journal.head().sequence, journal.head().hash),
        (100, previous)
    );
    // A cursor at the end goes on when more comes.
    send(journal, b"late");
    assert!(journal.flush(WAIT));
    let entry = cursor
        .next_entry()
        .expect("readable")
        .expect("the late entry");
    assert_eq!(entry.payload, b"late");
}

fn reads_from_anywhere(journal: &dyn Journal) {
    (0..20).for_each(|n| {
        send(journal, format!("{n}").as_bytes());
    });
    assert!(journal.flush(WAIT));
    let mut hint = None;
    for from in 1..=20 {
        for hint in [None, hint] {
            let mut cursor = journal.cursor(from, hint).expect("readable");
            let entry = cursor.next_entry().expect("readable").expect("there");
            assert_eq!(entry.sequence, from);
        }
        let mut cursor = journal.cursor(from, hint).expect("readable");
        hint = cursor
            .next_entry()
            .expect("readable")
            .map(|entry| entry.after);
    }
    for beyond in [21, 500] {
        let mut cursor = journal.cursor(beyond, None).expect("readable");
        assert_eq!(cursor.next_entry().expect("readable"), None);
    }
}

fn is_full_at_its_limit(journal: &dyn Journal) {
    let slots: Vec<_> = (0..SLOTS)
        .map(|_| journal.try_slot().expect("below the limit"))
        .collect();
    let full = journal.try_slot().expect_err("at the limit");
    assert_eq!((full.in_use, full.max), (SLOTS, SLOTS));
    assert_eq!(journal.health().refused, 1);
    for slot in slots {
        slot.send(b"x");
    }
    assert!(journal.flush(WAIT));
    assert_eq!(
        journal.health().slots_in_use,
        0,
        "written entries free their slots"
    );
    assert_eq!(journal.head().sequence, SLOTS);
    assert_eq!(journal.health().queued(), 0);
}

fn counts_abandoned_slots(journal: &dyn Journal) {
    drop(journal.try_slot().expect("free"));
    let health = journal.health();
    assert_eq!(
        (health.abandoned, health.slots_in_use, health.sent),
        (1, 0, 0)
    );
}

fn clips_what_is_too_long(journal: &dyn Journal) {
    let longest = vec![7; PAYLOAD_BYTES_MAX];
    send(journal, &longest);
    send(journal, &[&longest[..], b"more"].concat());
    assert!(journal.flush(WAIT));
    let mut cursor = journal.cursor(1, None).expect("readable");
    for kind in [EntryKind::Record, EntryKind::Clipped] {
        let entry = cursor.next_entry().expect("readable").expect("there");
        assert!(entry.kind == kind && entry.payload == longest, "{kind:?}");
    }
    assert_eq!(journal.health().clipped, 1);
}

fn takes_from_many_threads(journal: &Arc<dyn Journal>) {
    let threads: Vec<_> = (0..4u8)
        .map(|thread| {
            let journal = journal.clone();
            std::thread::spawn(move || {
                (0..100u8)
                    .map(|n| send(&*journal, &[thread, n]))
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let mut sent = std::collections::BTreeMap::new();
    for (thread, handle) in (0u8..).zip(threads) {
        let sequences = handle.join().expect("a sender does not panic");
        assert!(
            sequences.is_sorted(),
            "one sender's entries keep their order"
        );
        sent.extend(sequences.into_iter().zip((0u8..).map(|n| vec![thread, n])));
    }
    assert!(journal.flush(WAIT));
    let mut cursor = journal.cursor(1, None).expect("readable");
    for (sequence, payload) in sent {
        let entry = cursor.next_entry().expect("readable").expect("there");
        assert_eq!((entry.sequence, entry.payload), (sequence, payload));
    }
    assert_eq!(cursor.next_entry().expect("readable"), None);
}
