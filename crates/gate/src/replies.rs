//! Replies of this gateway to calls with an idempotency key: where they are
//! kept, and how much of them there is.
//!
//! Deliberately not here: what a repeat is told.

use std::io;
use std::path::Path;
use std::sync::Arc;

use contract::seams::Dice;
use evidence::{Meter, Sample};
use store::{Replies, ReplyLane, SqliteReplies};
use transport::{RealClock, RealDice};

/// File of the data folder with the replies.
const STORE_FILE: &str = "replies.sqlite";

/// The way to the replies of a data folder.
///
/// # Errors
/// The store cannot be used, or no thread can be started.
pub(crate) fn open(data_dir: &Path, meter: &Meter) -> io::Result<ReplyLane> {
    let store = SqliteReplies::open(&data_dir.join(STORE_FILE)).map_err(io::Error::other)?;
    let store: Arc<dyn Replies> = Arc::new(store);
    // The next process may get the number of this one, but not this name.
    let dice = RealDice::new();
    let owner = format!("{:016x}{:016x}", dice.roll(), dice.roll());
    let lane = ReplyLane::new(store.clone(), Arc::new(RealClock::new()), owner)?;
    let keys = store.clone();
    let help = "Idempotency keys that are kept";
    meter.watch("tollgate_idempotency_keys", help, move || {
        sample(keys.held().ok().map(|held| held.keys))
    });
    let help = "Bytes of answers that are kept for repeats";
    meter.watch("tollgate_idempotency_bytes", help, move || {
        sample(store.held().ok().map(|held| held.bytes))
    });
    let waiting = lane.clone();
    let help = "Repeats that wait for the first call with their key";
    meter.watch("tollgate_idempotency_waiting", help, move || {
        sample(Some(waiting.waiting() as u64))
    });
    Ok(lane)
}

/// A store that fails leaves a gap.
fn sample(value: Option<u64>) -> Vec<Sample> {
    let sample = value.map(|value| Sample {
        labels: Vec::new(),
        value: value as f64,
    });
    sample.into_iter().collect()
}
