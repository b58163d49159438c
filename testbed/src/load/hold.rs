//! Many slow streams held open at once: for memory per stream.

use super::client::Progress;
use super::{Bounds, Target};
use serde_json::{Value, json};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// Read buffer of one stream: small, there are thousands.
const BUFFER: usize = 2048;
/// Streams that may be opening at once; more would overflow listen backlogs.
const OPENING_MAX: usize = 128;

/// Opens `streams` streams and holds them for `bounds.time` after the last has begun.
///
/// `ready` is called once, when all have had their first byte or have failed.
pub async fn hold(
    target: Target,
    streams: usize,
    bounds: Bounds,
    ready: impl FnOnce(&Value),
) -> Value {
    let target = Rc::new(target);
    let opening = Rc::new(tokio::sync::Semaphore::new(OPENING_MAX));
    let counts = Rc::new(Counts::default());
    let tasks = LocalSet::new();
    let started = Instant::now();
    for _ in 0..streams {
        let (target, opening, counts) = (target.clone(), opening.clone(), counts.clone());
        tasks.spawn_local(async move {
            match one(&target, &opening, &counts).await {
                Ok(()) => add(&counts.ended),
                Err(_) => add(&counts.failed),
            }
        });
    }
    let outcome = tasks.run_until(async {
        while counts.begun.get() + counts.failed.get() < streams
            && started.elapsed() < 10 * bounds.time.max(std::time::Duration::from_secs(6))
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        ready(&counts.json());
        tokio::time::sleep(bounds.time).await;
        counts.json()
    });
    outcome.await
}

#[derive(Debug, Default)]
struct Counts {
    begun: Cell<usize>,
    ended: Cell<usize>,
    failed: Cell<usize>,
}

impl Counts {
    fn json(&self) -> Value {
        json!({
            "begun": self.begun.get(), "ended": self.ended.get(), "failed": self.failed.get(),
            "open": self.begun.get().saturating_sub(self.ended.get() + self.failed.get()),
        })
    }
}

fn add(counter: &Cell<usize>) {
    counter.set(counter.get() + 1);
}

async fn one(
    target: &Target,
    opening: &tokio::sync::Semaphore,
    counts: &Counts,
) -> std::io::Result<()> {
    let mut permit = opening.acquire().await.ok();
    let mut stream = TcpStream::connect(target.addr).await?;
    stream.write_all(&target.request).await?;
    let mut progress = Progress::new(Instant::now());
    let mut buffer = [0; BUFFER];
    loop {
        let n = stream.read(&mut buffer).await?;
        let done = n == 0 || progress.feed(&buffer[..n]);
        if progress.begun() && permit.take().is_some() {
            add(&counts.begun);
        }
        if done {
            return Ok(());
        }
    }
}
