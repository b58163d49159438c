//! What the records say of approvals of calls whose caller goes away.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Method, Request};

use super::*;
use crate::Caller;

/// Stops in the middle of what uses an approval until it may go on.
#[derive(Default)]
struct Stopping {
    inner: MemoryApprovals,
    reached: Arc<AtomicBool>,
    go_on: Arc<AtomicBool>,
}

impl Approvals for Stopping {
    fn ask(&self, row: &ApprovalRow) -> Result<ApprovalRow, ApprovalsError> {
        self.inner.ask(row)
    }
    fn find(&self, id: &str) -> Result<Option<ApprovalRow>, ApprovalsError> {
        self.inner.find(id)
    }
    fn vote(&self, id: &str, vote: &Vote) -> Result<ApprovalRow, ApprovalsError> {
        self.inner.vote(id, vote)
    }
    fn spend(&self, id: &str, by: &str, now_us: u64) -> Result<bool, ApprovalsError> {
        self.reached.store(true, SeqCst);
        while !self.go_on.load(SeqCst) {
            std::thread::yield_now();
        }
        self.inner.spend(id, by, now_us)
    }
    fn list(&self, filter: &ApprovalFilter) -> Result<Vec<ApprovalRow>, ApprovalsError> {
        self.inner.list(filter)
    }
    fn pending(&self, now_us: u64) -> Result<u64, ApprovalsError> {
        self.inner.pending(now_us)
    }
}

/// Calls with these headers, and goes away once this is so.
fn left(world: &World, headers: &[(&str, &str)], once: impl Fn() -> bool) {
    let mut request = Request::builder().method(Method::POST).uri(CHAT);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (head, ()) = request.body(()).expect("a request").into_parts();
    let Ok(exchange) = world.flow.open(head, Caller::default()) else {
        panic!("refused");
    };
    let mut call = pin!(exchange.run(Ok(Bytes::from_static(BARE.as_bytes()))));
    let mut cx = Context::from_waker(Waker::noop());
    while !once() {
        match call.as_mut().poll(&mut cx) {
            Poll::Pending => std::thread::yield_now(),
            Poll::Ready(reply) => panic!("it is over: {}", reply.status),
        }
    }
}

/// The record of the call that was left, and what it says was under way.
fn under_way(world: &World) -> (evidence::Record, String, Vec<String>) {
    let record = world.records().pop().expect("a record");
    assert_eq!(record.outcome, evidence::Outcome::Cancelled);
    let facts = |it: &evidence::Decision| {
        it.stage == "policy" && it.readings.iter().any(|it| it.name == "rules")
    };
    assert!(record.decisions.iter().any(facts), "{record:?}");
    let (found, _) = decided(&record).expect("a decision");
    assert_eq!(found.verdict, "open");
    let readings = found.readings.iter();
    let readings = readings
        .map(|it| format!("{}={:?}", it.name, it.value))
        .collect();
    (record.clone(), found.reason.to_string(), readings)
}

#[test]
fn a_caller_who_goes_away_while_an_approval_is_used_is_known() {
    let stopping = Stopping::default();
    let (reached, go_on) = (stopping.reached.clone(), stopping.go_on.clone());
    let plain = world(&rule(json!({"models": ["m"]})), answer(false, false));
    let world = with_store(plain, stopping);
    let id = pending(&world.call(CHAT, BARE));
    vote(&world, &id, "bob", true).expect("a vote");
    let headers = [AUTH, ("tollgate-approval", &*id)];
    left(&world, &headers, || reached.load(SeqCst));
    go_on.store(true, SeqCst);
    let (record, reason, readings) = under_way(&world);
    assert_eq!(reason, "approval_using");
    assert!(readings.join(" ").contains(&id), "{readings:?}");
    let lane = world.flow.approvals.clone().expect("a lane");
    // It is asked behind what uses the approval.
    let row = futures_executor::block_on(lane.find(id)).expect("readable");
    let row = row.expect("a row");
    assert!(row.used_us.is_some());
    let call = record.id.text().as_str().to_owned();
    assert_eq!(row.used_by, Some(call));
    assert!(world.sent().is_empty());
}

#[test]
fn a_caller_who_goes_away_while_people_are_asked_is_known() {
    let settings = json!({"models": ["m"], "wait_ms": 30_000});
    let stopping = Stopping::default();
    let (reached, go_on) = (stopping.reached.clone(), stopping.go_on.clone());
    let world = with_store(world(&rule(settings), answer(false, false)), stopping);
    let said = std::cell::Cell::new(false);
    left(&world, &[AUTH], || {
        if let Some(row) = open(&world, None).first()
            && !said.replace(true)
        {
            vote(&world, &row.id, "bob", true).expect("a vote");
        }
        reached.load(SeqCst)
    });
    go_on.store(true, SeqCst);
    let (record, reason, readings) = under_way(&world);
    assert_eq!(reason, "approval_asked");
    let id = open(&world, None)[0].id.clone();
    let all = readings.join(" ");
    assert!(all.contains(&id) && all.contains("model m"), "{all}");
    let lane = world.flow.approvals.clone().expect("a lane");
    let row = futures_executor::block_on(lane.find(id)).expect("readable");
    let call = record.id.text().as_str().to_owned();
    assert_eq!(row.expect("a row").used_by, Some(call));
}
