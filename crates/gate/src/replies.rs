//! Replies of this gateway to calls with an idempotency key: where they are
//! kept, and how much of them there is.
//!
//! Deliberately not here: what a repeat is told.

use std::io;
use std::path::Path;
use std::sync::Arc;

use contract::seams::Dice;
use evidence::{Meter, Sample};
use store::replies::Held;
use store::{Replies, ReplyLane, SqliteReplies};
use store_remote::PostgresReplies;
use transport::{RealClock, RealDice};

use crate::database::Database;

/// File of the data folder with the replies.
const STORE_FILE: &str = "replies.sqlite";

/// The way to the replies of a data folder, or of the database that replicas
/// share, where there is one.
///
/// # Errors
/// The store cannot be used, or no thread can be started. A database need not
/// be there yet.
pub(crate) fn open(
    data_dir: &Path,
    database: Option<&Database>,
    meter: &Meter,
) -> io::Result<ReplyLane> {
    let (store, held): (Arc<dyn Replies>, Looks) = match database {
        Some(database) => {
            let store = Arc::new(PostgresReplies::new(database.postgres.clone()));
            // Metrics do not wait for another machine.
            let look = store.clone();
            (store, Arc::new(move || Some(look.last_held())))
        }
        None => {
            let store = SqliteReplies::open(&data_dir.join(STORE_FILE));
            let store = Arc::new(store.map_err(io::Error::other)?);
            let look = store.clone();
            (store, Arc::new(move || look.held().ok()))
        }
    };
    // The next process may get the number of this one, but not this name.
    let dice = RealDice::new();
    let owner = format!("{:016x}{:016x}", dice.roll(), dice.roll());
    let lane = ReplyLane::new(store, Arc::new(RealClock::new()), owner)?;
    let keys = held.clone();
    let help = "Idempotency keys that are kept";
    meter.watch("tollgate_idempotency_keys", help, move || {
        sample(keys().map(|held| held.keys))
    });
    let help = "Bytes of answers that are kept for repeats";
    meter.watch("tollgate_idempotency_bytes", help, move || {
        sample(held().map(|held| held.bytes))
    });
    let waiting = lane.clone();
    let help = "Repeats that wait for the first call with their key";
    meter.watch("tollgate_idempotency_waiting", help, move || {
        sample(Some(waiting.waiting() as u64))
    });
    Ok(lane)
}

/// How much there is.
type Looks = Arc<dyn Fn() -> Option<Held> + Send + Sync>;

/// A store that fails leaves a gap.
fn sample(value: Option<u64>) -> Vec<Sample> {
    let sample = value.map(|value| Sample {
        labels: Vec::new(),
        value: value as f64,
    });
    sample.into_iter().collect()
}
