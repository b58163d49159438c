//! Cases of lanes: one record of each exchange in the main journal, whenever
//! a process ends.

use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::records::STARTING;

const HANG: Duration = Duration::from_secs(20);

fn payload(number: u64) -> Vec<u8> {
    Record::begin(RequestId::mint(number, number), number).encode()
}

fn write(journal: &dyn Journal, number: u64) {
    drop(journal.try_slot().unwrap().send(&payload(number)));
    assert!(journal.flush(HANG));
}

fn read(dir: &Path) -> Vec<u64> {
    let log = SegmentLog::open(dir, LogOptions::default()).unwrap();
    let mut cursor = log.cursor(1, None).unwrap();
    let mut read = Vec::new();
    while let Some(entry) = cursor.next_entry().unwrap() {
        read.push(Record::decode(&entry.payload).unwrap().arrived_us);
    }
    read
}

fn keeper(lanes: &Arc<Lanes>, dir: &Path) -> (Keeper, Receiver<()>) {
    let (tell, told) = channel();
    let moved = move || tell.send(()).unwrap();
    let under_way = UnderWay::open(dir.parent().unwrap(), 0, Arc::default()).unwrap();
    let both = (lanes.clone(), under_way);
    let keeper = Keeper::start(both, dir.to_owned(), LogOptions::default(), moved);
    (keeper.unwrap(), told)
}

fn until_gone(lane: &Path) {
    let deadline = std::time::Instant::now() + HANG;
    while lane.exists() {
        assert!(std::time::Instant::now() < deadline, "{lane:?} stays");
        std::thread::yield_now();
    }
}

#[test]
fn a_successor_moves_into_the_main_journal_and_brings_its_records() {
    let _none_starts = STARTING.read().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("journal");
    let old = Lanes::open(&dir, &LogOptions::default()).unwrap();
    write(&*old, 1);
    let new = Lanes::open(&dir, &LogOptions::default()).unwrap();
    assert!(!old.is_aside() && new.is_aside());
    let (keeper, moved) = keeper(&new, &dir);
    write(&*new, 2);
    write(&*old, 3);
    // An exchange that begins in the lane and ends after the move.
    let late = new.try_slot().unwrap();
    drop(old);
    moved.recv_timeout(HANG).unwrap();
    assert!(!new.is_aside());
    write(&*new, 4);
    drop(late.send(&payload(5)));
    until_gone(&folder.path().join("journal-2"));
    keeper.stop();
    drop(new);
    let mut all = read(&dir);
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3, 4, 5]);
    assert_eq!(store::verify(&dir, None).unwrap().findings, []);
}

#[test]
fn what_a_dead_process_left_is_brought_in_once() {
    let _none_starts = STARTING.read().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("journal");
    let lane = folder.path().join("journal-2");
    let main = SegmentLog::open(&dir, LogOptions::default()).unwrap();
    write(&main, 1);
    // The copy of record 2 was done when the process died, that of 3 was not.
    let side = SegmentLog::open(&lane, LogOptions::default()).unwrap();
    for number in [2, 3] {
        write(&side, number);
    }
    std::fs::write(lane.join(COPY_MARK), "1").unwrap();
    write(&main, 2);
    drop((main, side));
    let next = Lanes::open(&dir, &LogOptions::default()).unwrap();
    assert!(!next.is_aside());
    let (keeper, moved) = keeper(&next, &dir);
    moved.recv_timeout(HANG).unwrap();
    until_gone(&lane);
    keeper.stop();
    drop(next);
    assert_eq!(read(&dir), [1, 2, 3]);
}
