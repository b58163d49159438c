//! Cases of several tables of one process.

use std::sync::Arc;

use super::*;
use crate::inflight::conformance::{self, SLOTS, SlowJournal, Subject};
use crate::inflight::{DeadTable, InflightState};

const OPTIONS: InflightOptions = InflightOptions { slots_max: SLOTS };

fn lanes(dir: &Path, id: u8, count: usize) -> InflightLanes {
    InflightLanes::create(dir, [id; 16], 7, (count, OPTIONS)).unwrap()
}

fn files(dir: &Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

/// Begins a row on a thread of its own, and so in the next table.
fn begun_elsewhere(lanes: &InflightLanes, row: &[u8]) -> Tag {
    std::thread::scope(|scope| scope.spawn(|| lanes.begin(row).unwrap()).join().unwrap())
}

#[test]
fn several_tables_behave_like_one() {
    conformance::check(&|| {
        let dir = tempfile::tempdir().unwrap();
        let table = Arc::new(lanes(&dir.path().join("inflight"), 1, 2));
        let rows = table.clone();
        Subject {
            table,
            rows: Box::new(move || {
                assert!(dir.path().is_dir());
                rows.rows().unwrap()
            }),
        }
    });
}

#[test]
fn threads_write_files_of_their_own_and_a_row_stays_where_it_was_begun() {
    let dir = tempfile::tempdir().unwrap();
    let lanes = lanes(dir.path(), 1, 2);
    assert_eq!(files(dir.path()), 2);
    let in_use = || {
        lanes
            .tables
            .iter()
            .filter(|it| it.health().rows > 0)
            .count()
    };
    let own = lanes.begin(b"own").unwrap();
    assert_eq!(in_use(), 1);
    // Of two threads that come one after the other at least one has the other
    // table.
    let mut others: Vec<Tag> = (0..2).map(|_| begun_elsewhere(&lanes, b"other")).collect();
    while in_use() < 2 {
        others.push(begun_elsewhere(&lanes, b"other"));
    }
    for tag in &mut others {
        lanes.amend(tag, b"amended here").unwrap();
    }
    let journal = SlowJournal::default();
    for tag in others {
        lanes.end(tag, b"ended here", &journal.send());
    }
    lanes.cancel(own);
    let health = lanes.health();
    assert_eq!((health.rows, health.errors, health.dropped), (0, 0, 0));
    let states = lanes.rows().unwrap();
    assert!(states.iter().all(|row| row.state == InflightState::Ended));
}

#[test]
fn where_one_table_is_full_the_others_take_rows() {
    let dir = tempfile::tempdir().unwrap();
    let lanes = lanes(dir.path(), 1, 3);
    let max = lanes.health().slots_max;
    assert!(max >= u64::from(SLOTS));
    for _ in 0..max {
        std::mem::forget(lanes.begin(b"row").unwrap());
    }
    let full = lanes.begin(b"one more").unwrap_err();
    assert!(
        matches!(full, InflightError::Full { in_use, max: told } if in_use == max && told == max)
    );
    assert_eq!(lanes.health().refused, 1, "once, not by each table");
}

#[test]
fn none_of_its_own_tables_is_another_s_and_all_are_found_when_it_died() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (lanes(dir.path(), 1, 2), lanes(dir.path(), 9, 2));
    let mut tags = vec![old.begin(b"a").unwrap()];
    while old.tables.iter().any(|table| table.health().rows == 0) {
        tags.push(begun_elsewhere(&old, b"a"));
    }
    assert!(old.others().unwrap().is_empty());
    assert_eq!(new.others().unwrap().len(), tags.len());
    let count = tags.len();
    // It dies: its locks are free.
    tags.into_iter().for_each(std::mem::forget);
    drop(old);
    let dead = Tables::new(dir.path()).dead().unwrap();
    let dead: Vec<DeadTable> = dead.into_iter().map(Result::unwrap).collect();
    assert_eq!(dead.len(), 2);
    let rows: usize = dead.iter().map(|table| table.rows().unwrap().len()).sum();
    assert_eq!(rows, count);
    drop(dead);
    assert!(new.close());
    assert_eq!(files(dir.path()), 2, "those of the dead one");
}
