//! Cases of permissions: made, found, and shared on purpose.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::index::{IndexOptions, RecordIndex, Row};
use crate::journal::Journal;
use crate::log::SegmentLog;
use crate::options::LogOptions;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn loosen(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Writes an entry into the journal in this folder.
fn write(dir: &Path) {
    let log = SegmentLog::open(dir, LogOptions::default()).unwrap();
    log.try_slot().unwrap().send(b"entry");
    assert!(log.flush(Duration::from_secs(30)));
}

fn names(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_journal_is_made_for_its_owner_alone() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("data/journal");
    write(&dir);
    assert_eq!((mode(&dir), mode(dir.parent().unwrap())), (0o700, 0o700));
    assert_eq!(names(&dir).len(), 2);
    for path in names(&dir) {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_journal_that_others_could_read_is_tightened_when_it_is_opened() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("journal");
    write(&dir);
    // What a kill leaves, and what a recovery has put beside it.
    let segment = dir.join("000000000001.seg");
    let bytes = fs::metadata(&segment).unwrap().len();
    let torn = fs::OpenOptions::new().write(true).open(&segment).unwrap();
    torn.set_len(bytes + 7).unwrap();
    fs::write(dir.join("000000000001.torn-9"), "old").unwrap();
    loosen(&dir, 0o755);
    names(&dir).iter().for_each(|path| loosen(path, 0o644));
    write(&dir);
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(names(&dir).len(), 4);
    for path in names(&dir) {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_folder_that_holds_something_else_stays_as_it_is() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("shared");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("notes.txt"), "mine").unwrap();
    loosen(&dir, 0o755);
    loosen(&dir.join("notes.txt"), 0o644);
    write(&dir);
    write(&dir);
    assert_eq!(mode(&dir), 0o755);
    assert_eq!(mode(&dir.join("notes.txt")), 0o644);
    assert_eq!(mode(&dir.join("000000000001.seg")), 0o600);
}

#[test]
fn what_a_link_leads_to_stays_as_it_is() {
    let home = TempDir::new().unwrap();
    let (target, link) = (home.path().join("target"), home.path().join("link"));
    fs::write(&target, "x").unwrap();
    loosen(&target, 0o644);
    std::os::unix::fs::symlink(&target, &link).unwrap();
    file(&link).unwrap();
    assert_eq!(mode(&target), 0o644);
}

#[test]
fn an_index_is_for_its_owner_alone_old_or_new() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("index.sqlite");
    for is_old in [false, true] {
        let log = SegmentLog::open(&home.path().join("journal"), LogOptions::default()).unwrap();
        let extract = Arc::new(|_: &[u8]| Ok(Row::default()));
        let index =
            RecordIndex::open(&path, Arc::new(log), extract, IndexOptions::default()).unwrap();
        let files: Vec<_> = names(home.path())
            .into_iter()
            .filter(|path| path.is_file())
            .collect();
        assert!(files.len() >= 2, "{files:?}");
        for file in files {
            assert_eq!(mode(&file), 0o600, "{} {is_old}", file.display());
        }
        drop(index);
        loosen(&path, 0o644);
    }
}
