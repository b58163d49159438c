//! The closed loop: N connections, each with one request in flight.

use super::client::Connection;
use super::{Bounds, Report, Target};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

/// Pause after an error, so that a dead server is not hammered.
const ERROR_PAUSE: Duration = Duration::from_millis(20);

/// Runs until `bounds`; requests in flight at the end are finished and counted.
pub async fn closed(target: Target, connections: usize, bounds: Bounds) -> Report {
    let target = Rc::new(target);
    let report = Rc::new(RefCell::new(Report::default()));
    let left = Rc::new(Cell::new(bounds.requests));
    let started = Instant::now();
    let tasks = LocalSet::new();
    for _ in 0..connections {
        let (target, report, left) = (target.clone(), report.clone(), left.clone());
        tasks.spawn_local(async move {
            let mut connection = Connection::default();
            while left.get() > 0 && started.elapsed() < bounds.time {
                left.set(left.get() - 1);
                let outcome = connection.exchange(&target).await;
                let failed = outcome.is_err();
                report.borrow_mut().record(outcome);
                if failed {
                    tokio::time::sleep(ERROR_PAUSE).await;
                }
            }
        });
    }
    tasks.await;
    let mut report = report.take();
    report.elapsed = started.elapsed();
    report
}
