//! Cases of the record index: it equals a rebuilt one, pages by key, survives
//! damage, and shows its lag.

use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::log::SegmentLog;
use crate::memory::MemoryJournal;
use crate::options::LogOptions;

const WAIT: Duration = Duration::from_secs(30);

fn options() -> IndexOptions {
    IndexOptions {
        interval_ms: 1,
        batch_rows: 16,
        ..IndexOptions::default()
    }
}

/// Reads a payload `n tenant status`; anything else is not a record.
fn extract() -> Extract {
    Arc::new(|payload| {
        let text = std::str::from_utf8(payload).map_err(|error| error.to_string())?;
        let mut words = text.split(' ');
        let mut word = || words.next().ok_or("too short".to_owned());
        let n: u64 = word()?.parse().map_err(|_| "no number".to_owned())?;
        let tenant = word()?.to_owned();
        let status = word()?.parse().map_err(|_| "no status".to_owned())?;
        let mut request_id = [0; 16];
        request_id[8..].copy_from_slice(&n.to_be_bytes());
        Ok(Row {
            request_id,
            arrived_us: n * 1_000,
            // The clock steps back at every tenth record.
            ended_us: if n.is_multiple_of(10) {
                n
            } else {
                n * 1_000 + 500
            },
            tenant,
            model: format!("m{}", n % 3),
            status,
            fault: (status >= 400).then(|| "over_budget".to_owned()),
            origin: (status >= 400).then(|| "gateway".to_owned()),
            input_tokens: u64::MAX,
            cost_nanos: n.is_multiple_of(2).then_some(-5),
            ..Row::default()
        })
    })
}

fn send(journal: &dyn Journal, numbers: std::ops::Range<u64>) {
    for n in numbers {
        let (tenant, status) = (
            if n % 4 == 0 {
                "acme"
            } else {
                "Zoë's \"shop\""
            },
            200 + n % 5 * 50,
        );
        let payload = format!("{n} {tenant} {status}").replace("Zoë's \"", "Zoë's-\"");
        journal.try_slot().unwrap().send(payload.as_bytes());
    }
    assert!(journal.flush(WAIT));
}

fn log(dir: &TempDir) -> Arc<dyn Journal> {
    let options = LogOptions {
        flush_ms: 1,
        segment_bytes: 2_000,
        ..LogOptions::default()
    };
    Arc::new(SegmentLog::open(&dir.path().join("journal"), options).unwrap())
}

fn all(index: &RecordIndex) -> Vec<Found> {
    index.find(&Filter::default()).unwrap()
}

#[test]
fn incremental_equals_rebuilt_equals_another_one() {
    let dir = TempDir::new().unwrap();
    let journal = log(&dir);
    let path = dir.path().join("index.db");
    let index = RecordIndex::open(&path, journal.clone(), extract(), options()).unwrap();
    for part in 0..10 {
        send(&*journal, part * 20..(part + 1) * 20);
    }
    journal.try_slot().unwrap().send(b"rubbish");
    send(&*journal, 200..210);
    assert!(index.catch_up(WAIT));
    let incremental = all(&index);
    assert_eq!(incremental.len(), 210);
    let status = index.status();
    assert_eq!(
        (status.lag(), status.undecodable, status.rebuilds),
        (0, 1, 0)
    );

    index.rebuild();
    assert!(index.catch_up(WAIT));
    assert_eq!(all(&index), incremental);
    let status = index.status();
    assert_eq!((status.undecodable, status.rebuilds), (1, 1));

    let other = dir.path().join("other.db");
    let other = RecordIndex::open(&other, journal.clone(), extract(), options()).unwrap();
    assert!(other.catch_up(WAIT));
    assert_eq!(all(&other), incremental);

    // Every row leads to its record.
    for found in incremental {
        let entry = index.entry(&found).unwrap();
        assert_eq!(
            extract()(&entry.payload).unwrap().request_id,
            found.row.request_id
        );
        assert_eq!(
            index.by_request_id(&found.row.request_id).unwrap(),
            Some(found)
        );
    }
    assert_eq!(index.by_request_id(&[9; 16]).unwrap(), None);
}

#[test]
fn it_goes_on_where_it_stopped() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("index.db");
    let journal = log(&dir);
    for part in 0..4 {
        let index = RecordIndex::open(&path, journal.clone(), extract(), options()).unwrap();
        send(&*journal, part * 30..(part + 1) * 30);
        assert!(index.catch_up(WAIT));
        assert_eq!(index.status().rebuilds, 0);
        assert_eq!(all(&index).len() as u64, (part + 1) * 30);
    }
}

#[test]
fn damage_another_version_and_another_journal_begin_it_anew() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("index.db");
    let journal = log(&dir);
    send(&*journal, 0..50);
    let reopen = |journal: &Arc<dyn Journal>| {
        let index = RecordIndex::open(&path, journal.clone(), extract(), options()).unwrap();
        assert!(index.catch_up(WAIT));
        (all(&index), index.status().rebuilds)
    };
    let (rows, rebuilds) = reopen(&journal);
    assert_eq!((rows.len(), rebuilds), (50, 0));
    std::fs::write(
        &path,
        b"this is no database, but long enough to be looked at as one",
    )
    .unwrap();
    assert!(reopen(&journal) == (rows.clone(), 1));
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    assert!(reopen(&journal) == (rows, 1));
    // A journal that is shorter, and one that is another.
    let shorter: Arc<dyn Journal> = Arc::new(MemoryJournal::new(100, 100));
    send(&*shorter, 0..5);
    let (found, rebuilds) = reopen(&shorter);
    assert_eq!((found.len(), rebuilds), (5, 1));
    let another: Arc<dyn Journal> = Arc::new(MemoryJournal::new(100, 100));
    send(&*another, 10..20);
    let (found, rebuilds) = reopen(&another);
    assert_eq!((found.len(), rebuilds), (10, 1));
}

#[test]
fn pages_follow_each_other_without_holes() {
    let dir = TempDir::new().unwrap();
    let journal = log(&dir);
    send(&*journal, 0..100);
    let path = dir.path().join("index.db");
    let index = RecordIndex::open(&path, journal, extract(), options()).unwrap();
    assert!(index.catch_up(WAIT));
    for filter in [
        Filter::default(),
        Filter {
            tenant: Some("acme".to_owned()),
            ..Filter::default()
        },
        Filter {
            faulty: true,
            model: Some("m1".to_owned()),
            ..Filter::default()
        },
        Filter {
            since_us: Some(20_000),
            until_us: Some(80_000),
            ..Filter::default()
        },
    ] {
        let whole: Vec<_> = index.find(&filter).unwrap();
        assert!(!whole.is_empty());
        let mut paged: Vec<Found> = Vec::new();
        loop {
            let page = Filter {
                before: paged.last().map(|found| found.sequence),
                limit: 7,
                ..filter.clone()
            };
            let page = index.find(&page).unwrap();
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= 7);
            paged.extend(page);
        }
        assert_eq!(paged, whole, "{filter:?}");
        assert!(paged.is_sorted_by(|a, b| a.sequence > b.sequence));
    }
}

#[test]
fn filters_select_what_they_say() {
    let dir = TempDir::new().unwrap();
    let journal = log(&dir);
    send(&*journal, 0..100);
    let path = dir.path().join("index.db");
    let index = RecordIndex::open(&path, journal, extract(), options()).unwrap();
    assert!(index.catch_up(WAIT));
    let rows = all(&index);
    let check = |filter: Filter, wanted: &dyn Fn(&Found) -> bool| {
        let expected: Vec<_> = rows.iter().filter(|found| wanted(found)).cloned().collect();
        assert_eq!(index.find(&filter).unwrap(), expected, "{filter:?}");
    };
    let text = |text: &str| Some(text.to_owned());
    check(
        Filter {
            status_min: Some(400),
            status_max: Some(400),
            ..Filter::default()
        },
        &|found| found.row.status == 400,
    );
    check(
        Filter {
            faulty: true,
            ..Filter::default()
        },
        &|found| found.row.fault.is_some(),
    );
    check(
        Filter {
            fault: text("over_budget"),
            ..Filter::default()
        },
        &|found| found.row.fault.is_some(),
    );
    check(
        Filter {
            tenant: text("x' OR '1'='1"),
            ..Filter::default()
        },
        &|_| false,
    );
    check(
        Filter {
            after: Some(95),
            ..Filter::default()
        },
        &|found| found.sequence > 95,
    );
    for (since, until) in [
        (0, 1),
        (0, 50_000),
        (33_500, 33_501),
        (99_000, u64::MAX),
        (7, 7),
    ] {
        let filter = Filter {
            since_us: Some(since),
            until_us: Some(until),
            ..Filter::default()
        };
        check(filter, &|found| (since..until).contains(&found.recorded_us));
    }
}

#[test]
fn a_query_that_takes_too_long_is_stopped() {
    let dir = TempDir::new().unwrap();
    let (mut connection, _) = schema::open_or_begin_anew(&dir.path().join("index.db")).unwrap();
    let endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) \
                   SELECT count(*) FROM c";
    let stopped = query::within(&mut connection, 0, |connection| {
        connection.query_row(endless, [], |row| row.get::<_, i64>(0))
    });
    assert!(matches!(stopped, Err(IndexError::TooSlow(0))));
    // And the connection is as good as before.
    let one = query::within(&mut connection, 1_000, |connection| {
        connection.query_row("SELECT 1", [], |row| row.get::<_, i64>(0))
    });
    assert_eq!(one.unwrap(), 1);
}
