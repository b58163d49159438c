//! Approvals of this gateway: where they are kept, and how many are pending.
//!
//! Deliberately not here: what needs one, and who may give it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use contract::seams::Clock;
use evidence::{Meter, Sample};
use store::{ApprovalLane, Approvals, SqliteApprovals};
use transport::RealClock;

/// File of the data folder with the approvals.
const STORE_FILE: &str = "approvals.sqlite";

/// The way to the approvals of a data folder.
///
/// # Errors
/// The store cannot be used, or no thread can be started.
pub(crate) fn open(data_dir: &Path, meter: &Meter) -> io::Result<ApprovalLane> {
    let store = SqliteApprovals::open(&data_dir.join(STORE_FILE)).map_err(io::Error::other)?;
    let store: Arc<dyn Approvals> = Arc::new(store);
    let watched = store.clone();
    let clock = RealClock::new();
    let help = "Calls that wait for an approval";
    meter.watch("tollgate_approvals_pending", help, move || {
        // A store that fails leaves a gap.
        let pending = watched.pending(clock.unix_us()).ok();
        let samples = pending.map(|pending| Sample {
            labels: Vec::new(),
            value: pending as f64,
        });
        samples.into_iter().collect()
    });
    ApprovalLane::new(store)
}
