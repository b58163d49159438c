//! Adding up, letting go, and writing down.

use proptest::prelude::*;
use store::{Journal as _, MemoryJournal};

use super::*;

fn row(counter: u128, span: (u64, u64), amounts: (i64, Option<i64>)) -> Reservation {
    Reservation {
        quota: "b".into(),
        kind: "budget".into(),
        measure: "tokens".into(),
        counter,
        from_us: span.0,
        until_us: span.1,
        reserved: amounts.0,
        settled: amounts.1,
        ..Reservation::default()
    }
}

fn journal(records: &[Vec<Reservation>]) -> Vec<Entry> {
    let journal = MemoryJournal::new(1_000, 1_000);
    for (nth, rows) in records.iter().enumerate() {
        let record = Record {
            reservations: rows.clone(),
            ..Record::begin(RequestId::mint(nth as u64, 1), nth as u64)
        };
        drop(journal.try_slot().unwrap().send(&record.encode()));
    }
    assert!(journal.flush(std::time::Duration::from_secs(10)));
    let mut cursor = journal.cursor(1, None).unwrap();
    std::iter::from_fn(|| cursor.next_entry().unwrap()).collect()
}

fn folded(entries: &[Entry], now_us: u64) -> Ledger {
    let mut ledger = Ledger::default();
    for entry in entries {
        ledger.take(entry, now_us);
    }
    ledger
}

fn settled(ledger: &Ledger, counter: u128) -> Option<i64> {
    let mut all = ledger.totals();
    all.find(|(window, _)| window.counter == counter)
        .map(|(_, total)| total.settled)
}

#[test]
fn what_was_settled_counts_else_what_was_reserved_and_neither_cells_nor_permits() {
    let permit = Reservation {
        measure: "concurrency".into(),
        ..row(4, (0, u64::MAX), (1, Some(1)))
    };
    let entries = journal(&[
        vec![row(1, (0, 10), (100, Some(40))), row(2, (0, 10), (7, None))],
        vec![row(1, (0, 10), (100, Some(130))), permit],
        vec![
            row(3, (0, 0), (1, Some(1))),
            row(1, (0, 10), (5, Some(-50))),
        ],
        vec![],
    ]);
    let mut ledger = folded(&entries, 0);
    assert_eq!(settled(&ledger, 1), Some(170));
    assert_eq!(settled(&ledger, 2), Some(7), "its end is not known");
    assert_eq!(settled(&ledger, 3), None);
    assert_eq!(settled(&ledger, 4), None);
    assert_eq!(ledger.head(), entries[3].head());
    // An entry that is seen again adds nothing.
    assert_eq!(ledger.take(&entries[1], 0), None);
    assert_eq!(ledger, folded(&entries, 0));
}

#[test]
fn what_is_no_record_is_counted_and_moves_the_position() {
    let rows = vec![row(1, (0, 10), (1, None))];
    let mut entries = journal(&[rows.clone(), rows]);
    entries[0].payload = b"nonsense".to_vec();
    let ledger = folded(&entries, 0);
    assert_eq!(
        (ledger.unreadable(), ledger.head().sequence, ledger.len()),
        (1, 2, 1)
    );
}

#[test]
fn windows_that_have_passed_go_and_those_without_an_end_stay() {
    let sliding = Reservation {
        after_us: 1_000,
        ..row(2, (0, 10), (1, None))
    };
    let entries = journal(&[vec![
        row(1, (0, 10), (1, None)),
        sliding,
        row(3, (0, u64::MAX), (1, None)),
    ]]);
    let mut ledger = folded(&entries, 0);
    assert_eq!(ledger.len(), 3);
    ledger.prune(GRACE_US + 9);
    assert_eq!(ledger.len(), 3);
    ledger.prune(GRACE_US + 10);
    assert_eq!((settled(&ledger, 1), ledger.len()), (None, 2));
    ledger.prune(GRACE_US + 1_010);
    assert_eq!((settled(&ledger, 2), ledger.len()), (None, 1));
    ledger.prune(u64::MAX - 1);
    assert_eq!(settled(&ledger, 3), Some(1));
    // A late start leaves out what has passed.
    assert_eq!(folded(&entries, GRACE_US + 10).len(), 2);
}

#[test]
fn a_checkpoint_that_is_torn_or_altered_anywhere_is_none() {
    let ledger = folded(&journal(&[vec![row(1, (0, 10), (100, Some(40)))]]), 0);
    let bytes = ledger.encode();
    assert_eq!(Ledger::decode(&bytes).unwrap(), ledger);
    for end in 0..bytes.len() {
        assert!(Ledger::decode(&bytes[..end]).is_err(), "torn at {end}");
    }
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        assert!(Ledger::decode(&altered).is_err(), "altered at {at}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(matches!(
        Ledger::decode(&longer),
        Err(CheckpointError::Damaged)
    ));
}

proptest! {
    /// Written down anywhere and read on from there, it is the same.
    #[test]
    fn a_checkpoint_anywhere_changes_nothing(
        rows in proptest::collection::vec(
            (0_u128..4, 0_u64..3, 0_i64..1_000, proptest::option::of(-5_i64..1_000)), 0..40),
        at in 0_usize..40,
    ) {
        let records: Vec<Vec<Reservation>> = rows
            .iter()
            .map(|(counter, nth, reserved, settled)| {
                vec![row(*counter, (nth * 10, nth * 10 + 10), (*reserved, *settled))]
            })
            .collect();
        let entries = journal(&records);
        let at = at.min(entries.len());
        let before = folded(&entries[..at], 0);
        let mut on = Ledger::decode(&before.encode()).unwrap();
        prop_assert_eq!(&on, &before);
        for entry in &entries {
            on.take(entry, 0);
        }
        prop_assert_eq!(on, folded(&entries, 0));
    }
}
