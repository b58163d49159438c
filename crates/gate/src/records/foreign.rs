//! Records of other processes that this one brings into the main journal:
//! whoever reads it knows by them what this process did not settle itself.
//!
//! Deliberately not here: what becomes of that.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use evidence::{Record, RequestId};

/// Ids of records that were brought in and not read since. Only those that
/// say something of a limit or budget are kept.
#[derive(Debug, Default)]
pub(crate) struct Foreign(Mutex<HashSet<RequestId>>);

impl Foreign {
    /// This record is about to be brought in.
    pub(super) fn note(&self, payload: &[u8]) {
        if let Ok((id, rows)) = Record::decode_rows(payload)
            && !rows.is_empty()
        {
            self.ids().insert(id);
        }
    }

    /// Whether this record, which was read, was brought in. Asked once.
    pub(crate) fn take(&self, id: &RequestId) -> bool {
        self.ids().remove(id)
    }

    fn ids(&self) -> MutexGuard<'_, HashSet<RequestId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
