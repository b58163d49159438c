//! The open loop: requests are due at a fixed rate, whatever the server does.
//!
//! Threads with blocking sockets, since a timer of an event loop is only good to a millisecond.
//! Latency counts from the moment a request was due when its thread was still busy then; a thread
//! that slept counts from its waking, which keeps the client's own timer out of the figure.

use super::client::Blocking;
use super::{Bounds, Report, Target};
use std::time::{Duration, Instant};

/// Sends `rate` requests a second over `connections` connections, in turn.
///
/// # Errors
/// When the server refuses the first connections.
pub fn open(
    target: &Target,
    rate: f64,
    connections: usize,
    bounds: Bounds,
) -> Result<Report, String> {
    let planned = (rate * bounds.time.as_secs_f64()) as u64;
    let requests = planned.min(bounds.requests);
    let mut clients = Vec::new();
    for _ in 0..connections {
        let mut client = Blocking::default();
        client.connect(target)?;
        clients.push(client);
    }
    let started = Instant::now();
    let step = connections as u64;
    let reports: Vec<Report> = std::thread::scope(|scope| {
        let running: Vec<_> = clients
            .into_iter()
            .enumerate()
            .map(|(first, mut client)| {
                scope.spawn(move || {
                    let mut report = Report::default();
                    let mut n = first as u64;
                    while n < requests {
                        let due = started + Duration::from_secs_f64(n as f64 / rate);
                        report.record(client.exchange(target, wake(due)));
                        n += step;
                    }
                    report
                })
            })
            .collect();
        running
            .into_iter()
            .map(|t| t.join().expect("a client thread does not panic"))
            .collect()
    });
    let mut whole = Report::default();
    reports.into_iter().for_each(|r| whole.merge(r));
    whole.elapsed = started.elapsed();
    Ok(whole)
}

/// Sleeps until `due`; gives the instant that latency counts from.
fn wake(due: Instant) -> Instant {
    let now = Instant::now();
    if now >= due {
        return due;
    }
    std::thread::sleep(due - now);
    Instant::now()
}
