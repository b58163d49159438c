//! Evidence: exactly one record for each exchange, its compact encoding, the
//! log line, and the metrics. Law 7 of the house lives here: nothing is
//! dropped silently.
//!
//! Deliberately not here: the disk, threads and clocks (room `store`), bodies
//! and prompts, and any secret: headers enter a record only by the allow-list
//! of [`Record::note_header`].
//!
//! # How an exchange leaves its evidence
//!
//! ```
//! # use std::sync::Arc;
//! # use tollgate_evidence::{Evidence, LogLine, Meter, Outcome, Record, RequestId, RouteKey};
//! # let journal = Arc::new(store::MemoryJournal::new(8, 8));
//! # let meter = Arc::new(Meter::new());
//! let evidence = Evidence::new(journal, meter.clone(), LogLine::Off, None);
//!
//! // At admission: no slot, no exchange (the caller answers 503).
//! let slot = evidence.admit()?;
//! let live = meter.enter(); // in-flight gauge; leaves when dropped
//! let id = RequestId::mint(1_700_000_000_000_000, 42);
//! let mut record = Record::begin(id, 1_700_000_000_000_000);
//! record.dialect = "openai".into();
//! record.operation = "chat".into();
//!
//! // Handles are resolved once per route and cached by the caller.
//! let route = meter.route(&RouteKey {
//!     dialect: "openai", operation: "chat", provider: "acme", model: "a-1", tenant: "t1",
//!     use_case: "triage",
//! });
//!
//! // At the end, also from a `Drop`: encodes, appends, counts, logs.
//! record.status = 200;
//! record.outcome = Outcome::Complete;
//! record.duration_us = 1_500;
//! let ticket = slot.write(&mut record, &route);
//! drop(live);
//! # let _ = ticket;
//! # Ok::<(), store::Full>(())
//! ```
//!
//! The returned [`store::Ticket`] is a future that is ready once the entry is
//! as durable as configured; with the default `batch` it may be ignored.

mod codec;
mod evidence;
pub mod histogram;
pub mod id;
mod index_row;
mod json;
pub mod ledger;
mod log_line;
mod meter;
pub mod record;
mod sides;
#[cfg(test)]
mod tests;

pub use codec::{DecodeError, RECORD_VERSION};
pub use evidence::{Evidence, Slot};
pub use id::RequestId;
pub use index_row::{extract, row};
pub use json::{dangerous, rfc3339};
pub use ledger::{CheckpointError, Ledger, LedgerTotal, LedgerWindow};
pub use log_line::LogLine;
pub use meter::{CONTENT_TYPE, InFlight, Meter, OpenStream, RouteHandles, RouteKey, Sample};
pub use record::{
    Attempt, AttemptTimes, Candidate, Decision, FaultNote, HEADERS_KEPT, Identity, LossNote, Name,
    Outcome, Reading, Record, RequestFacts, Reservation, Trace, Value, Word,
};
pub use sides::{End, Quantiles, Side, SideCount, Sides, SidesCount, Window};
