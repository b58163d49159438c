//! Cases of tampering: each must be found.

use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::journal::Journal;
use crate::log::SegmentLog;
use crate::options::LogOptions;
use crate::segment::{ENTRY_HEAD_BYTES, HEADER_BYTES};

/// A log of 12 entries, ten bytes each, four to a segment, and its head.
fn seeded() -> (TempDir, Head) {
    let dir = TempDir::new().unwrap();
    let segment_bytes = (HEADER_BYTES + 4 * (ENTRY_HEAD_BYTES + 10)) as u64;
    let options = LogOptions {
        flush_ms: 1,
        segment_bytes,
        ..LogOptions::default()
    };
    let log = SegmentLog::open(dir.path(), options).unwrap();
    for n in 0..12 {
        log.try_slot()
            .unwrap()
            .send(format!("payload {n:02}").as_bytes());
        assert!(log.flush(Duration::from_secs(30)));
    }
    let head = log.head();
    drop(log);
    (dir, head)
}

fn edit(dir: &TempDir, segment: u64, change: impl FnOnce(&mut Vec<u8>)) {
    let path = segment::path(dir.path(), segment);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
}

fn entry(number: usize) -> std::ops::Range<usize> {
    let start = HEADER_BYTES + number * (ENTRY_HEAD_BYTES + 10);
    start..start + ENTRY_HEAD_BYTES + 10
}

/// Gives every entry of a segment the hash and checksum that follow from its
/// bytes, as somebody would who knows the format.
fn reseal(bytes: &mut [u8]) {
    let mut hash = Header::decode(bytes).unwrap().previous;
    segment::seal(&mut bytes[HEADER_BYTES..], &mut hash);
}

use crate::segment::Header;

#[test]
fn an_untouched_log_has_no_findings() {
    let (dir, head) = seeded();
    let report = verify(dir.path(), Some(head)).unwrap();
    assert_eq!(report.findings, []);
    assert_eq!(
        (report.entries, report.segments, report.first, report.head),
        (12, 3, 1, head)
    );
}

#[test]
fn every_flipped_byte_is_found() {
    let (dir, head) = seeded();
    for at in 0..entry(4).start {
        edit(&dir, 5, |bytes| bytes[at] ^= 0x20);
        let report = verify(dir.path(), Some(head)).unwrap();
        // Padding of the header that no checksum covers holds no facts.
        let padding = (84..88).contains(&at);
        assert_eq!(report.findings.is_empty(), padding, "byte {at}");
        edit(&dir, 5, |bytes| bytes[at] ^= 0x20);
    }
}

#[test]
fn a_resealed_change_breaks_the_next_segment() {
    let (dir, head) = seeded();
    edit(&dir, 5, |bytes| {
        bytes[entry(1).end - 1] ^= 1;
        reseal(bytes);
    });
    let report = verify(dir.path(), Some(head)).unwrap();
    assert_eq!(report.findings, [Finding::Unchained { segment: 9 }]);
}

#[test]
fn a_resealed_end_needs_a_checkpoint_to_be_found() {
    let (dir, head) = seeded();
    edit(&dir, 9, |bytes| {
        bytes[entry(3).end - 1] ^= 1;
        reseal(bytes);
    });
    assert_eq!(verify(dir.path(), None).unwrap().findings, []);
    let report = verify(dir.path(), Some(head)).unwrap();
    assert_eq!(report.findings, [Finding::Rewritten { checkpoint: 12 }]);
}

#[test]
fn a_deleted_entry_is_found() {
    let (dir, head) = seeded();
    edit(&dir, 5, |bytes| drop(bytes.drain(entry(1))));
    let report = verify(dir.path(), Some(head)).unwrap();
    let [
        Finding::Altered {
            segment: 5,
            after: 5,
            ..
        },
    ] = report.findings[..]
    else {
        panic!("{report:?}");
    };
}

#[test]
fn a_deleted_segment_is_found() {
    let (dir, head) = seeded();
    fs::remove_file(segment::path(dir.path(), 5)).unwrap();
    let report = verify(dir.path(), Some(head)).unwrap();
    assert_eq!(report.findings, [Finding::Missing { from: 5, to: 8 }]);
}

#[test]
fn a_truncated_log_is_found() {
    let (dir, head) = seeded();
    // In the middle of an entry it shows by itself.
    edit(&dir, 9, |bytes| bytes.truncate(entry(3).start + 20));
    let report = verify(dir.path(), None).unwrap();
    let offset = entry(3).start as u64;
    assert_eq!(report.findings, [Finding::TornTail { segment: 9, offset }]);
    // At the edge of an entry only a checkpoint shows it.
    edit(&dir, 9, |bytes| bytes.truncate(entry(3).start));
    assert_eq!(verify(dir.path(), None).unwrap().findings, []);
    let report = verify(dir.path(), Some(head)).unwrap();
    let early = Finding::EndsEarly {
        head: 11,
        checkpoint: 12,
    };
    assert_eq!(report.findings, [early]);
}

#[test]
fn a_renamed_segment_is_found() {
    let (dir, _) = seeded();
    let (from, to) = (segment::path(dir.path(), 9), segment::path(dir.path(), 10));
    fs::rename(from, to).unwrap();
    let report = verify(dir.path(), None).unwrap();
    assert_eq!(report.findings, [Finding::BadHeader { segment: 10 }]);
}

#[test]
fn removed_old_segments_show_but_are_no_finding() {
    let (dir, head) = seeded();
    fs::remove_file(segment::path(dir.path(), 1)).unwrap();
    let report = verify(dir.path(), Some(head)).unwrap();
    assert_eq!(
        (report.findings, report.first, report.entries),
        (vec![], 5, 8)
    );
}
