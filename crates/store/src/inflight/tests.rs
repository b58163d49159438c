//! Cases of the table: both places, every crash point, other processes.

use std::sync::Mutex;

use proptest::prelude::*;

use super::cells::{self, Found, Header, InMemory, Medium};
use super::conformance::{self, SLOTS, SlowJournal, Subject};
use super::*;

mod crash;

const OPTIONS: InflightOptions = InflightOptions { slots_max: SLOTS };

fn id(n: u8) -> [u8; 16] {
    [n; 16]
}

fn begun(bytes: &[u8]) -> InflightRow {
    InflightRow {
        state: InflightState::Begun,
        since: 7,
        bytes: bytes.to_vec(),
    }
}

fn dead(dir: &std::path::Path) -> Vec<DeadTable> {
    let dead = Tables::new(dir).dead().unwrap();
    dead.into_iter().map(Result::unwrap).collect()
}

#[test]
fn a_file_and_memory_behave_alike() {
    conformance::check(&|| {
        let table = Arc::new(InflightTable::in_memory(OPTIONS));
        let rows = table.clone();
        Subject {
            table,
            rows: Box::new(move || rows.rows().unwrap()),
        }
    });
    conformance::check(&|| {
        let dir = tempfile::tempdir().unwrap();
        let table = InflightTable::create(&dir.path().join("inflight"), id(1), 0, OPTIONS);
        let table = Arc::new(table.unwrap());
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
fn the_table_of_a_living_process_is_left_alone_and_readable() {
    let dir = tempfile::tempdir().unwrap();
    let old = InflightTable::create(dir.path(), id(1), 7, OPTIONS).unwrap();
    let new = InflightTable::create(dir.path(), id(2), 7, OPTIONS).unwrap();
    let tag = old.begin(b"old").unwrap();
    std::mem::forget(new.begin(b"new").unwrap());
    assert!(dead(dir.path()).is_empty());
    assert_eq!(new.others().unwrap(), [begun(b"old")]);
    assert_eq!(old.others().unwrap(), [begun(b"new")]);
    // It dies: its lock is free.
    std::mem::forget(tag);
    drop(old);
    let [mut table] = <[DeadTable; 1]>::try_from(dead(dir.path())).unwrap();
    assert_eq!(table.rows().unwrap(), [begun(b"old")]);
    assert!(dead(dir.path()).is_empty(), "somebody has it");
    assert_eq!(new.others().unwrap(), [begun(b"old")]);
    table.set_recovered().unwrap();
    assert!(new.others().unwrap().is_empty());
    // Whoever recovers may die as well.
    drop(table);
    let [table] = <[DeadTable; 1]>::try_from(dead(dir.path())).unwrap();
    assert_eq!(table.rows().unwrap(), [begun(b"old")]);
    table.remove().unwrap();
    assert!(dead(dir.path()).is_empty());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("inflight");
    let _table = InflightTable::create(&folder, id(1), 0, OPTIONS).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&folder) & 0o777, 0o700);
    let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
    assert_eq!(mode(&file.path()) & 0o777, 0o600);
}

#[test]
fn a_table_is_removed_at_the_close_unless_something_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let files = || std::fs::read_dir(dir.path()).unwrap().count();
    let journal = SlowJournal::default();
    let table = InflightTable::create(dir.path(), id(1), 0, OPTIONS).unwrap();
    table.end(table.begin(b"x").unwrap(), b"end", &journal.send());
    assert!(!table.close());
    assert!(matches!(table.begin(b"y"), Err(InflightError::Closed)));
    assert_eq!(files(), 1);
    journal.write();
    assert!(table.close());
    assert_eq!(files(), 0);
    let table = InflightTable::create(dir.path(), id(1), 7, OPTIONS).unwrap();
    drop(table.begin(b"x").unwrap());
    assert!(!table.close());
    drop(table);
    let [table] = <[DeadTable; 1]>::try_from(dead(dir.path())).unwrap();
    assert_eq!(table.rows().unwrap(), [begun(b"x")]);
}

/// Where a recovery of this table would begin to look.
fn mark(dir: &std::path::Path) -> u64 {
    let [table] = <[DeadTable; 1]>::try_from(dead(dir)).unwrap();
    let rows = table.rows().unwrap();
    assert!(!rows.is_empty());
    table.mark(&rows)
}

#[test]
fn the_mark_follows_the_journal_up_to_the_oldest_exchange() {
    let dir = tempfile::tempdir().unwrap();
    let journal = SlowJournal::default();
    let table = InflightTable::create(dir.path(), id(1), 0, OPTIONS).unwrap();
    let begin = || std::mem::forget(table.begin(b"long").unwrap());
    for _ in 0..100 {
        table.end(table.begin(b"x").unwrap(), b"end", &journal.send());
        table.tidy(journal.write());
    }
    assert_eq!(table.rows().unwrap(), []);
    begin();
    let late = table.begin(b"late").unwrap();
    table.tidy(200);
    begin();
    table.tidy(300);
    table.end(late, b"end", &journal.send());
    // The entry is not written.
    table.tidy(300);
    let rows = table.rows().unwrap().into_iter();
    let mut since: Vec<_> = rows.map(|row| row.since).collect();
    since.sort_unstable();
    assert_eq!(since, [100, 100, 200]);
    drop(table);
    assert_eq!(mark(dir.path()), 100);
}

#[test]
fn a_mark_moves_back_and_only_back() {
    let dir = tempfile::tempdir().unwrap();
    let table = InflightTable::create(dir.path(), id(1), 50, OPTIONS).unwrap();
    drop(table.begin(b"x").unwrap());
    drop(table);
    for (to, expected) in [(70, 50), (20, 20), (30, 20)] {
        let [mut table] = <[DeadTable; 1]>::try_from(dead(dir.path())).unwrap();
        table.move_mark_back(to).unwrap();
        drop(table);
        assert_eq!(mark(dir.path()), expected);
    }
}

#[test]
fn what_is_not_a_table_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    write("notes.txt", b"not ours");
    write("empty.tbl", b"");
    write("rubbish.tbl", &[0xa7; 200_000]);
    for table in dead(dir.path()) {
        assert_eq!(table.rows().unwrap(), []);
    }
    drop(InflightTable::create(dir.path(), id(1), 50, OPTIONS).unwrap());
    let path = dir.path().join(format!("{}.tbl", "01".repeat(16)));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8] = 9;
    std::fs::write(&path, bytes).unwrap();
    let found = Tables::new(dir.path()).dead().unwrap();
    let errors: Vec<_> = found.into_iter().filter_map(Result::err).collect();
    let [InflightError::Newer { format: 9, file }] = &errors[..] else {
        panic!("{errors:?}");
    };
    assert_eq!(file, path.to_str().unwrap());
    assert!(
        Tables::new(&dir.path().join("none"))
            .dead()
            .unwrap()
            .is_empty()
    );
}
