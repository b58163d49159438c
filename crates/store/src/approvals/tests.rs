//! Cases of the stores of approvals: the suite, what only a disk shows, and
//! the lane.

use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::conformance::{self, LIMITS, row, vote};
use super::*;

#[test]
fn memory_and_disk_pass_the_suite() {
    conformance::check(&|| Arc::new(MemoryApprovals::with_limits(LIMITS)));
    let dir = tempfile::tempdir().unwrap();
    let made = std::cell::Cell::new(0);
    conformance::check(&|| {
        made.set(made.get() + 1);
        let path = dir.path().join(format!("{}.sqlite", made.get()));
        Arc::new(SqliteApprovals::with_limits(&path, LIMITS).unwrap())
    });
}

#[test]
fn approvals_outlive_the_process_and_only_their_owner_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("approvals.sqlite");
    let store = SqliteApprovals::open(&path).unwrap();
    store.ask(&row("a")).unwrap();
    let voted = store.vote("a", &vote("bob")).unwrap();
    // Another process uses it; this one sees that.
    let other = SqliteApprovals::open(&path).unwrap();
    assert_eq!(other.find("a").unwrap(), Some(voted));
    assert!(other.spend("a", "r2", 1_500_000).unwrap());
    assert!(!store.spend("a", "r2", 1_500_000).unwrap());
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{entry:?}");
    }
}

#[test]
fn a_file_of_another_version_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("approvals.sqlite");
    drop(SqliteApprovals::open(&path).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 9).unwrap();
    let refused = SqliteApprovals::open(&path).err().unwrap();
    assert!(refused.to_string().contains("version 9"), "{refused}");
}

#[test]
fn a_damaged_file_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("approvals.sqlite");
    std::fs::write(&path, "not a database ".repeat(100)).unwrap();
    let refused = SqliteApprovals::open(&path).err().unwrap().to_string();
    assert!(refused.contains("approvals.sqlite"), "{refused}");
    assert!(refused.contains("damaged"), "{refused}");
    assert!(refused.contains("backup"), "{refused}");
}

#[test]
fn a_question_is_the_same_if_all_it_is_bound_to_is() {
    let changes: [fn(&mut ApprovalRow); 10] = [
        |it| it.tenant = "other".into(),
        |it| it.key_id = "k2".into(),
        |it| it.user = None,
        |it| it.owner = None,
        |it| it.operation = "count_tokens".into(),
        |it| it.dialect = "bedrock".into(),
        |it| it.model = "n".into(),
        |it| it.body = [1; 32],
        |it| it.needs.clear(),
        |it| it.approvers = 2,
    ];
    for (nth, change) in changes.iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let disk = SqliteApprovals::open(&dir.path().join("approvals.sqlite")).unwrap();
        let memory = MemoryApprovals::default();
        for store in [&disk as &dyn Approvals, &memory] {
            store.ask(&row("a")).unwrap();
            let mut other = ApprovalRow {
                id: "b".into(),
                needs: row("a").needs,
                ..row("b")
            };
            assert_eq!(store.ask(&other).unwrap().id, "a");
            change(&mut other);
            assert_eq!(store.ask(&other).unwrap().id, "b", "change {nth}");
        }
    }
}

/// Wakes a thread.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait<T>(asked: impl Future<Output = T>) -> T {
    let mut asked = pin!(asked);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match asked.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(found) => return found,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn the_lane_asks_and_tells() {
    let lane = ApprovalLane::new(Arc::new(MemoryApprovals::default())).unwrap();
    let asked = wait(lane.ask(row("a"))).unwrap();
    assert_eq!(wait(lane.find("a".into())).unwrap(), Some(asked));
    assert_eq!(wait(lane.find("b".into())).unwrap(), None);
    lane.store().vote("a", &vote("bob")).unwrap();
    assert!(wait(lane.spend("a".into(), "r2".into(), 1_500_000)).unwrap());
    assert!(!wait(lane.spend("a".into(), "r2".into(), 1_500_000)).unwrap());
}

#[test]
fn calls_that_wait_have_seats_and_there_are_so_many() {
    let lane = ApprovalLane::new(Arc::new(MemoryApprovals::default())).unwrap();
    let seats: Vec<_> = std::iter::from_fn(|| lane.seat()).take(10_000).collect();
    assert!(seats.len() < 10_000);
    assert!(lane.seat().is_none());
    drop(seats);
    assert!(lane.seat().is_some());
}
