//! The facade from admission to the index, over both journals.

pub(crate) mod sample;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use store::{
    IndexOptions, Journal, LineWriter, LogOptions, MemoryJournal, RecordIndex, SegmentLog,
};
use tempfile::TempDir;

use crate::{Evidence, LogLine, Meter, Record, RequestId, RouteKey, extract, row};

const WAIT: Duration = Duration::from_secs(30);

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_record_reaches_journal_index_metrics_and_log() {
    let dir = TempDir::new().unwrap();
    let options = LogOptions {
        flush_ms: 1,
        ..LogOptions::default()
    };
    let journal: Arc<dyn Journal> =
        Arc::new(SegmentLog::open(&dir.path().join("journal"), options).unwrap());
    let index = RecordIndex::open(
        &dir.path().join("index.db"),
        journal.clone(),
        Arc::new(extract),
        IndexOptions::default(),
    );
    let index = Arc::new(index.unwrap());
    let (meter, out) = (Arc::new(Meter::new()), Shared::default());
    let lines = Arc::new(LineWriter::start(out.clone(), 1 << 20).unwrap());
    let evidence = Evidence::new(
        journal.clone(),
        meter.clone(),
        LogLine::Full,
        Some(lines.clone()),
    );
    meter.watch_index(index.clone());
    let route = meter.route(&RouteKey::default());
    let mut written = Vec::new();
    for n in 0..20 {
        let mut record = if n % 2 == 0 {
            sample::usual()
        } else {
            sample::full()
        };
        record.id = RequestId::mint(1_763_000_000_000_000 + n, n);
        evidence.admit().unwrap().write(&mut record, &route);
        written.push(record);
    }
    assert!(journal.flush(WAIT) && index.catch_up(WAIT));
    for record in &written {
        let found = index.by_request_id(record.id.as_bytes()).unwrap().unwrap();
        let columns = store::Row {
            legs: Vec::new(),
            ..row(record)
        };
        assert_eq!(found.row, columns);
        let entry = index.entry(&found).unwrap();
        assert_eq!(&Record::decode(&entry.payload).unwrap(), record);
    }
    let page = meter.render();
    for line in ["tollgate_journal_head 20", "tollgate_index_lag 0"] {
        assert!(page.contains(line), "{page}");
    }
    drop((evidence, meter, lines));
    let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    let expected: String = written
        .iter()
        .map(|record| record.to_json() + "\n")
        .collect();
    assert_eq!(text, expected);
}

#[test]
fn without_a_slot_there_is_no_exchange() {
    let meter = Arc::new(Meter::new());
    let evidence = Evidence::new(
        Arc::new(MemoryJournal::new(2, 100)),
        meter.clone(),
        LogLine::Off,
        None,
    );
    let route = meter.route(&RouteKey::default());
    let (first, second) = (evidence.admit().unwrap(), evidence.admit().unwrap());
    assert_eq!(evidence.admit().map(drop).unwrap_err().max, 2);
    first.write(&mut sample::usual(), &route);
    evidence
        .admit()
        .unwrap()
        .write(&mut sample::usual(), &route);
    // An exchange that forgets its record shows.
    drop(second);
    let page = meter.render();
    for line in [
        "tollgate_journal_refused_total 1",
        "tollgate_journal_abandoned_total 1",
        "tollgate_journal_slots_in_use 0",
        "tollgate_journal_head 2",
    ] {
        assert!(page.contains(line), "{page}");
    }
}

#[test]
fn what_is_under_way_shows() {
    let journal = Arc::new(MemoryJournal::new(2, 100));
    let meter = Arc::new(Meter::new());
    let evidence = Evidence::new(journal.clone(), meter.clone(), LogLine::Off, None);
    let options = store::InflightOptions { slots_max: 3 };
    let table = Arc::new(store::InflightTable::in_memory(options));
    meter.watch_inflight(table.clone());
    let inflight: &dyn store::Inflight = &*table;
    let mut record = sample::usual();
    drop(inflight.begin(&record.encode()).unwrap());
    let _open = inflight.begin(&record.encode()).unwrap();
    let tag = inflight.begin(&record.encode()).unwrap();
    assert!(inflight.begin(b"one more").is_err());
    let route = meter.route(&RouteKey::default());
    let slot = evidence.admit().unwrap();
    let mut seen = Vec::new();
    slot.write_seen(&mut record, &route, |row, ticket| {
        seen = row.to_vec();
        inflight.end(tag, row, ticket);
    });
    assert_eq!(
        journal
            .cursor(1, None)
            .unwrap()
            .next_entry()
            .unwrap()
            .unwrap()
            .payload,
        seen
    );
    meter.recovered(3, 2);
    let page = meter.render();
    for line in [
        "tollgate_inflight_rows 2",
        "tollgate_inflight_rows_ending 0",
        "tollgate_inflight_rows_max 3",
        "tollgate_inflight_errors_total 0",
        "tollgate_inflight_refused_total 1",
        "tollgate_inflight_dropped_total 1",
        "tollgate_inflight_recovered_total 3",
        "tollgate_outcomes_total{outcome=\"lost\"} 2",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
}

#[test]
fn a_record_can_be_written_from_a_drop_at_the_end_of_a_thread() {
    struct Last(Evidence);
    impl Drop for Last {
        fn drop(&mut self) {
            let route = self.0.meter().route(&RouteKey::default());
            self.0.admit().unwrap().write(&mut sample::usual(), &route);
        }
    }
    thread_local! {
        static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
    }
    let journal = Arc::new(MemoryJournal::new(2, 100));
    let evidence = Evidence::new(journal.clone(), Arc::new(Meter::new()), LogLine::Off, None);
    let thread = std::thread::spawn(move || {
        LAST.set(Some(Last(evidence.clone())));
        let route = evidence.meter().route(&RouteKey::default());
        evidence
            .admit()
            .unwrap()
            .write(&mut sample::usual(), &route);
    });
    thread.join().unwrap();
    assert_eq!(journal.head().sequence, 2);
}
