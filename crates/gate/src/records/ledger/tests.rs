//! What was spent counts, once, whatever happened to the process before.

use evidence::{Outcome, Record};
use plan::{Durability, EvidenceSettings, LogEntry};
use store::{COPY_MARK, Journal, LogOptions, SegmentLog};

use super::*;
use crate::records::{Records, STARTING};

const HANG: Duration = Duration::from_secs(20);
const COUNTER: u128 = 7;

fn open(home: &Path) -> Records {
    let settings = EvidenceSettings {
        dir: None,
        durability: Durability::Batch,
        flush_ms: 5,
        index: false,
    };
    Records::open(&settings, &LogEntry::default(), home).unwrap()
}

/// A record that reserved 100 tokens of the one budget.
fn record(number: u64, settled: Option<i64>) -> Record {
    let row = Reservation {
        quota: "b".into(),
        kind: "budget".into(),
        measure: "tokens".into(),
        counter: COUNTER,
        until_us: u64::MAX,
        reserved: 100,
        settled,
        ..Reservation::default()
    };
    Record {
        outcome: Outcome::Complete,
        reservations: vec![row],
        ..Record::begin(RequestId::mint(number, number), number)
    }
}

fn send(journal: &dyn Journal, record: &Record) {
    drop(journal.try_slot().unwrap().send(&record.encode()));
    assert!(journal.flush(HANG));
}

/// What is settled and reserved of the one budget.
fn level(counters: &LocalCounters) -> (i64, i64) {
    let book = counters.book();
    let mut levels = book.levels();
    let found = levels.find(|level| level.counter == COUNTER);
    found.map_or((0, 0), |level| (level.settled, level.reserved))
}

fn filled(records: &mut Records) -> (Follower, LocalCounters) {
    let mut follower = records.ledger.take().unwrap();
    let counters = LocalCounters::default();
    follower.fill(&counters).unwrap();
    (follower, counters)
}

/// Spends as the calls of this process do.
fn spend(records: &Records, counters: &LocalCounters, record: &Record) {
    let draw = draw_of_row(&record.reservations[0]).unwrap();
    counters.book().restore(&draw);
    counters
        .book()
        .settle(&draw, record.reservations[0].amount());
    send(&**records.evidence.journal(), record);
}

fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + HANG;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came to be");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_start_counts_all_whatever_became_of_the_checkpoint() {
    let _none_starts = STARTING.read().unwrap();
    let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (home, settled) in [(&home, 40), (&other, 41)] {
        let mut records = open(home.path());
        for number in 1..=3 {
            send(
                &**records.evidence.journal(),
                &record(number, Some(settled)),
            );
        }
        records.follow_ledger(&Arc::default()).unwrap();
        records.close();
    }
    let path = home.path().join(checkpoint::FILE);
    let dir = home.path().join("journal");
    let good = std::fs::read(&path).unwrap();
    let foreign = std::fs::read(other.path().join(checkpoint::FILE)).unwrap();
    let (found, _) = checkpoint::load(&path, &dir).unwrap();
    assert_eq!(found.head().sequence, 3);
    let mut altered = good.clone();
    altered[70] ^= 1;
    let starts = [
        (true, Some(&good[..])),
        (false, None),
        (false, Some(&good[..good.len() / 2])),
        (false, Some(&b""[..])),
        (false, Some(&altered[..])),
        (false, Some(&foreign[..])),
        (true, Some(&good[..])),
    ];
    for (nth, (is_used, bytes)) in (0..).zip(starts) {
        match bytes {
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        assert_eq!(checkpoint::load(&path, &dir).is_ok(), is_used);
        let mut records = open(home.path());
        let (_, counters) = filled(&mut records);
        assert_eq!(level(&counters), (120 + nth, 0));
        // The journal grows beyond the checkpoint.
        send(
            &**records.evidence.journal(),
            &record(4 + nth as u64, Some(1)),
        );
        records.close();
    }
}

#[test]
fn what_this_process_settles_is_not_counted_again() {
    let _none_starts = STARTING.read().unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut records = open(home.path());
    let (mut follower, counters) = filled(&mut records);
    assert_eq!(follower.compare(&counters), Some(0));
    spend(&records, &counters, &record(1, Some(40)));
    spend(&records, &counters, &record(2, Some(140)));
    follower.look(&counters).unwrap();
    assert_eq!(level(&counters), (180, 0));
    assert_eq!(follower.compare(&counters), Some(0));
    // What is under way, or was counted twice, shows.
    let slot = records.evidence.journal().try_slot().unwrap();
    assert_eq!(follower.compare(&counters), None);
    drop(slot);
    let row = record(3, Some(1)).reservations;
    credit(&mut counters.book(), &row, 1);
    assert_eq!(follower.compare(&counters), Some(1));
    records.close();
}

#[test]
fn what_a_dead_process_left_in_a_lane_counts_at_once_and_once() {
    let _none_starts = STARTING.read().unwrap();
    let home = tempfile::tempdir().unwrap();
    let (dir, lane) = (home.path().join("journal"), home.path().join("journal-2"));
    let main = SegmentLog::open(&dir, LogOptions::default()).unwrap();
    let side = SegmentLog::open(&lane, LogOptions::default()).unwrap();
    send(&main, &record(1, Some(1)));
    // The copy of the first was done when the process died.
    send(&side, &record(2, Some(10)));
    send(&side, &record(3, Some(100)));
    std::fs::write(lane.join(COPY_MARK), "1").unwrap();
    send(&main, &record(2, Some(10)));
    drop((main, side));
    let mut records = open(home.path());
    let (mut follower, counters) = filled(&mut records);
    assert_eq!(level(&counters), (111, 0));
    until(|| {
        follower.look(&counters).unwrap();
        assert_eq!(level(&counters), (111, 0));
        follower.in_lanes.is_empty() && !lane.exists()
    });
    assert_eq!(follower.compare(&counters), Some(0));
    assert_eq!(follower.ledger.head().sequence, 3);
    records.close();
}

#[test]
fn what_a_process_beside_this_one_has_under_way_is_reserved_until_it_ends() {
    let _none_starts = STARTING.read().unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut records = open(home.path());
    let (mut follower, counters) = filled(&mut records);
    let options = store::InflightOptions::default();
    let tables = home.path().join("inflight");
    let beside = store::InflightTable::create(&tables, [9; 16], 0, options).unwrap();
    let cancelled = beside.begin(&record(1, None).encode()).unwrap();
    let open = beside.begin(&record(2, None).encode()).unwrap();
    follower.look(&counters).unwrap();
    assert_eq!(level(&counters), (0, 200));
    assert_eq!(
        follower.compare(&counters),
        None,
        "something is under way there"
    );
    beside.cancel(cancelled);
    follower.look(&counters).unwrap();
    assert_eq!(level(&counters), (0, 100));
    // A row that is there still although the journal has its record.
    let late = record(3, Some(1));
    let tag = beside.begin(&record(3, None).encode()).unwrap();
    send(&**records.evidence.journal(), &late);
    follower.look(&counters).unwrap();
    follower.look(&counters).unwrap();
    assert_eq!(level(&counters), (0, 100), "it has ended");
    let ticket = records.evidence.journal().try_slot().unwrap();
    let ticket = ticket.send(&record(4, Some(0)).encode());
    beside.end(tag, &late.encode(), &ticket);
    credit(&mut counters.book(), &late.reservations, 1);
    // It dies, and what it had under way counts as spent.
    std::mem::forget(open);
    drop(beside);
    until(|| {
        follower.look(&counters).unwrap();
        assert_eq!(level(&counters).0 + level(&counters).1, 101);
        follower.leases.is_empty()
    });
    assert_eq!(level(&counters), (101, 0));
    assert_eq!(follower.compare(&counters), Some(0));
    records.close();
}

#[test]
fn a_process_that_takes_over_counts_what_the_one_before_spends_until_its_end() {
    let _none_starts = STARTING.read().unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut old = open(home.path());
    let (_, old_counters) = filled(&mut old);
    spend(&old, &old_counters, &record(1, Some(1)));
    let tag = old.inflight().begin(&record(2, None).encode()).unwrap();
    let mut new = open(home.path());
    let (mut follower, counters) = filled(&mut new);
    assert_eq!(level(&counters), (1, 100), "settled, and under way");
    // A call that was never seen under way, and one of the new process.
    spend(&old, &old_counters, &record(3, Some(10)));
    spend(&new, &counters, &record(4, Some(1_000)));
    follower.look(&counters).unwrap();
    assert_eq!(level(&counters), (1_011, 100));
    let ended = record(2, Some(50));
    let ticket = old.evidence.journal().try_slot().unwrap();
    let ticket = ticket.send(&ended.encode());
    old.inflight().end(tag, &ended.encode(), &ticket);
    assert!(old.evidence.journal().flush(HANG));
    follower.look(&counters).unwrap();
    assert_eq!(level(&counters), (1_061, 0));
    drop(ticket);
    let lanes = follower.lanes.clone();
    old.close();
    until(|| {
        follower.look(&counters).unwrap();
        assert_eq!(level(&counters), (1_061, 0));
        lanes.own_side().is_none()
    });
    spend(&new, &counters, &record(5, Some(1)));
    assert_eq!(follower.compare(&counters), Some(0));
    assert_eq!(level(&counters), (1_062, 0));
    new.close();
}
