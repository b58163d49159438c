//! Cases of recovery: each exchange once, whoever dies when.

use store::inflight::conformance::SlowJournal;
use store::{LogOptions, Tag};

use super::*;
use crate::records::STARTING;

mod kill;

fn record(number: u64) -> Record {
    Record::begin(RequestId::mint(number, number), number)
}

fn log(home: &Path) -> SegmentLog {
    // Nothing is synced before the close, so that tables stay.
    let options = LogOptions {
        sync_ms: 0,
        ..LogOptions::default()
    };
    SegmentLog::open(&home.join("journal"), options).unwrap()
}

fn send(journal: &SegmentLog, record: &Record) {
    drop(journal.try_slot().unwrap().send(&record.encode()));
    assert!(journal.flush(WRITE_MAX));
}

/// All records of a journal: number and outcome.
fn read(home: &Path) -> Vec<(u64, Outcome)> {
    let mut reader = Reader::open(&home.join("journal"), 1, Check::Chain).unwrap();
    let mut read = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let record = Record::decode(&entry.payload).unwrap();
        assert_eq!(
            record.id,
            RequestId::mint(record.arrived_us, record.arrived_us)
        );
        read.push((record.arrived_us, record.outcome));
    }
    read.sort_by_key(|(number, _)| *number);
    read
}

fn under_way(home: &Path, mark: u64) -> Arc<UnderWay> {
    UnderWay::open(home, mark, Arc::default()).unwrap()
}

fn begin(under_way: &UnderWay, number: u64) -> Tag {
    under_way
        .inflight()
        .begin(&record(number).encode())
        .unwrap()
}

fn ended(number: u64) -> Record {
    Record {
        outcome: Outcome::Complete,
        ..record(number)
    }
}

fn tables(home: &Path) -> usize {
    std::fs::read_dir(home.join(DIR)).unwrap().count()
}

/// Leaves a table as a process does that is killed.
fn left_behind(home: &Path, mark: u64) {
    let dying = under_way(home, mark);
    let journal = SlowJournal::default();
    std::mem::forget(begin(&dying, 1));
    for number in [2, 3] {
        let (tag, row) = (begin(&dying, number), ended(number).encode());
        dying.inflight().end(tag, &row, &journal.send());
    }
    // Sent and written; the row was not.
    std::mem::forget(begin(&dying, 4));
    dying.inflight().cancel(begin(&dying, 5));
}

#[test]
fn what_died_under_way_comes_into_the_journal_once() {
    let _none_starts = STARTING.read().unwrap();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let journal = log(home);
    send(&journal, &ended(9));
    left_behind(home, 1);
    // The records of these had been written.
    send(&journal, &ended(3));
    send(&journal, &ended(4));
    let expected = [
        (1, Outcome::Lost),
        (2, Outcome::Complete),
        (3, Outcome::Complete),
        (4, Outcome::Complete),
        (9, Outcome::Complete),
    ];
    // The journal is not synced, so the table stays when this one dies too,
    // and again.
    for _ in 0..3 {
        let next = under_way(home, 3);
        next.recover(&journal, &[]).unwrap();
        assert_eq!(tables(home), 2 * super::tables());
        assert!(next.inflight().others().unwrap().is_empty());
        next.recover(&journal, &[]).unwrap();
        assert_eq!(read(home), expected);
        next.close(true);
    }
    assert_eq!(tables(home), super::tables());
}

#[test]
fn a_recovery_that_is_broken_off_is_taken_up_again() {
    let _none_starts = STARTING.read().unwrap();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    left_behind(home, 0);
    let journal = log(home);
    // The one before came as far as this.
    let before = Record {
        outcome: Outcome::Lost,
        ..record(1)
    };
    send(&journal, &before);
    let next = under_way(home, 0);
    next.recover(&journal, &[]).unwrap();
    let lost = |(_, outcome): &(u64, Outcome)| *outcome == Outcome::Lost;
    assert_eq!(read(home).iter().filter(|row| lost(row)).count(), 2);
    assert_eq!(read(home).len(), 4);
    let page = next.meter.render();
    assert!(
        page.contains("tollgate_inflight_recovered_total 3"),
        "{page}"
    );
    assert!(page.contains("tollgate_outcomes_total{outcome=\"lost\"} 1"));
}

#[test]
fn a_record_in_a_lane_is_in_the_journal() {
    let _none_starts = STARTING.read().unwrap();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    left_behind(home, 0);
    let lanes = [home.join("journal-2"), home.join("journal-3")];
    let lane = SegmentLog::open(&lanes[0], LogOptions::default()).unwrap();
    send(&lane, &ended(2));
    drop(lane);
    let journal = log(home);
    under_way(home, 0).recover(&journal, &lanes).unwrap();
    let numbers: Vec<_> = read(home).into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [1, 3, 4]);
}

#[test]
fn a_journal_that_lost_its_end_gets_no_record_twice() {
    let _none_starts = STARTING.read().unwrap();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    left_behind(home, 1_000);
    let journal = log(home);
    for _ in 0..3 {
        under_way(home, 0).recover(&journal, &[]).unwrap();
    }
    assert_eq!(read(home).len(), 4);
}

#[test]
fn a_process_that_lives_is_left_alone_until_it_dies() {
    let _none_starts = STARTING.read().unwrap();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let journal = log(home);
    let (old, new) = (under_way(home, 0), under_way(home, 0));
    std::mem::forget(begin(&old, 1));
    new.recover(&journal, &[]).unwrap();
    assert_eq!(read(home), []);
    let rows = new.inflight().others().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(Record::decode(&rows[0].bytes).unwrap(), record(1));
    // It leaves without having written its journal, then it is gone.
    old.close(false);
    drop(old);
    new.recover(&journal, &[]).unwrap();
    assert_eq!(read(home), []);
    let other = under_way(home, 0);
    std::mem::forget(begin(&other, 2));
    drop(other);
    new.recover(&journal, &[]).unwrap();
    assert_eq!(read(home), [(2, Outcome::Lost)]);
}

#[test]
fn what_cannot_be_written_is_tried_again() {
    let _none_starts = STARTING.read().unwrap();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    left_behind(home, 0);
    let options = LogOptions {
        slots_max: 2,
        ..LogOptions::default()
    };
    let journal = SegmentLog::open(&home.join("journal"), options).unwrap();
    let slot = journal.try_slot().unwrap();
    let next = under_way(home, 0);
    let mut tries = 0;
    while next.recover(&journal, &[]).is_err() {
        tries += 1;
        assert!(tries < 10, "each try brings one");
    }
    assert!(tries > 0);
    drop(slot);
    assert_eq!(read(home).len(), 4);
}

#[test]
fn rubbish_in_a_row_stops_nothing() {
    let _none_starts = STARTING.read().unwrap();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let dying = under_way(home, 0);
    std::mem::forget(dying.inflight().begin(b"no record").unwrap());
    std::mem::forget(begin(&dying, 1));
    drop(dying);
    let journal = log(home);
    under_way(home, 0).recover(&journal, &[]).unwrap();
    assert_eq!(read(home), [(1, Outcome::Lost)]);
}
