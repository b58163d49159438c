//! Short ways to say what happened on the wire, in words for operators. Not
//! here: what a fault means for a request; that is the caller's to judge.

use std::fmt::Display;

use contract::seams::{WireFault, WireFaultKind};

/// An attempt that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    /// What the caller is told if nothing else is tried.
    pub(crate) fault: WireFault,
    /// The request was certainly not processed, and another connection may
    /// serve it.
    pub(crate) again: bool,
}

/// A fault of which the upstream saw nothing.
pub(crate) fn unsent(kind: WireFaultKind, detail: impl Display) -> WireFault {
    WireFault {
        kind,
        detail: detail.to_string(),
        sent: false,
    }
}

/// A fault after which the upstream may have seen the request.
pub(crate) fn sent(kind: WireFaultKind, detail: impl Display) -> WireFault {
    WireFault {
        kind,
        detail: detail.to_string(),
        sent: true,
    }
}
