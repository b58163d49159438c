//! Cases of the log of changes.

use std::fs;
use std::sync::Arc;

use super::*;
use crate::verify;

fn all(log: &ChangeLog, before: u64, most: usize) -> Vec<(u64, String)> {
    let mut seen = Vec::new();
    log.newest_first(before, &mut |entry| {
        seen.push((
            entry.sequence,
            String::from_utf8(entry.payload.clone()).unwrap(),
        ));
        match seen.len() < most {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })
    .unwrap();
    seen
}

#[test]
fn entries_of_several_processes_make_one_chain() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("audit");
    let logs: Vec<_> = (0..3)
        .map(|node| Arc::new(ChangeLog::new(&dir, [node; 16])))
        .collect();
    assert_eq!(all(&logs[0], u64::MAX, 9), []);
    let threads: Vec<_> = logs
        .iter()
        .cloned()
        .map(|log| {
            std::thread::spawn(move || (0..5).for_each(|_| assert!(log.append(b"x").is_ok())))
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    let seen = all(&logs[1], u64::MAX, 99);
    let sequences: Vec<u64> = seen.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(sequences, (1..=15).rev().collect::<Vec<_>>());
    assert!(verify(&dir, None).unwrap().findings.is_empty());
}

#[test]
fn pages_go_across_segments_newest_first() {
    let home = tempfile::tempdir().unwrap();
    let log = ChangeLog::new(&home.path().join("audit"), [1; 16]);
    let long = "x".repeat(400_000);
    for n in 1..=7 {
        assert_eq!(log.append(format!("{n}{long}").as_bytes()).unwrap(), n);
    }
    assert!(fs::read_dir(log.dir()).unwrap().count() > 2, "segments");
    let first = |seen: Vec<(u64, String)>| -> Vec<(u64, char)> {
        seen.into_iter()
            .map(|(sequence, text)| (sequence, text.chars().next().unwrap()))
            .collect()
    };
    assert_eq!(first(all(&log, u64::MAX, 2)), [(7, '7'), (6, '6')]);
    assert_eq!(
        first(all(&log, 6, 9)),
        [(5, '5'), (4, '4'), (3, '3'), (2, '2'), (1, '1')]
    );
    assert_eq!(all(&log, 1, 9), []);
}

#[test]
fn what_cannot_be_written_is_said() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("audit");
    fs::write(&path, "a file").unwrap();
    let log = ChangeLog::new(&path, [1; 16]);
    assert!(matches!(log.append(b"x"), Err(ChangeError::Open(_))));
    let log = ChangeLog::new(&home.path().join("other"), [1; 16]);
    let long = vec![0; PAYLOAD_BYTES_MAX + 1];
    assert!(matches!(log.append(&long), Err(ChangeError::TooLarge(_))));
    assert_eq!(log.append(b"x").unwrap(), 1);
}
