//! Cases of reading while the log grows and where it is damaged.

use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::journal::Journal;
use crate::log::SegmentLog;
use crate::options::LogOptions;

const WAIT: Duration = Duration::from_secs(30);

fn log(segment_bytes: u64) -> (TempDir, SegmentLog) {
    let dir = TempDir::new().unwrap();
    let options = LogOptions {
        flush_ms: 1,
        segment_bytes,
        ..LogOptions::default()
    };
    let log = SegmentLog::open(dir.path(), options).unwrap();
    (dir, log)
}

fn send(log: &SegmentLog, payload: &[u8]) {
    log.try_slot().unwrap().send(payload);
    assert!(log.flush(WAIT));
}

#[test]
fn a_reader_follows_across_segments() {
    // Every batch begins a segment.
    let (dir, log) = log(1);
    let mut reader = Reader::open(dir.path(), 1, Check::Chain).unwrap();
    for n in 1..=5u8 {
        assert_eq!(reader.next_entry().unwrap(), None);
        send(&log, &[n]);
        send(&log, &[n, n]);
        for payload in [vec![n], vec![n, n]] {
            assert_eq!(reader.next_entry().unwrap().unwrap().payload, payload);
        }
    }
    assert_eq!(segment::list(dir.path()).unwrap().len(), 10);
}

#[test]
fn a_missing_segment_is_an_error_and_not_an_end() {
    let (dir, log) = log(1);
    (0..4u8).for_each(|n| send(&log, &[n]));
    std::fs::remove_file(segment::path(dir.path(), 2)).unwrap();
    let mut reader = Reader::open(dir.path(), 1, Check::Checksum).unwrap();
    assert_eq!(reader.next_entry().unwrap().unwrap().sequence, 1);
    let missing = reader.next_entry();
    assert!(
        matches!(
            missing,
            Err(ReadError::Missing {
                sequence: 2,
                first: 3
            })
        ),
        "{missing:?}"
    );
    std::fs::remove_file(segment::path(dir.path(), 1)).unwrap();
    let missing = Reader::open(dir.path(), 1, Check::Checksum);
    assert!(matches!(
        missing,
        Err(ReadError::Missing {
            sequence: 1,
            first: 3
        })
    ));
}

#[test]
fn damage_is_an_error_with_its_place() {
    let (dir, log) = log(1 << 20);
    (0..3u8).for_each(|n| send(&log, &[n; 10]));
    let path = segment::path(dir.path(), 1);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() - 1;
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let mut reader = Reader::open(dir.path(), 2, Check::Checksum).unwrap();
    assert_eq!(reader.next_entry().unwrap().unwrap().sequence, 2);
    let offset = (HEADER_BYTES + 2 * (segment::ENTRY_HEAD_BYTES + 10)) as u64;
    match reader.next_entry() {
        Err(ReadError::Damaged {
            segment: 1,
            offset: place,
            ..
        }) => assert_eq!(place, offset),
        other => panic!("{other:?}"),
    }
}
