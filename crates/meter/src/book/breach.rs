//! Why something does not fit.

use std::sync::Arc;

use crate::book::Want;
use crate::quota::{Hold, Measure, Queue, QuotaKind};
use crate::subject::Subject;

/// Why something does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The quota.
    pub quota: Arc<str>,
    /// Rate limit or budget.
    pub kind: QuotaKind,
    /// What it does about it.
    pub hold: Hold,
    /// What is counted.
    pub measure: Measure,
    /// The counter.
    pub counter: u128,
    /// Whose counter, for people.
    pub scope: Arc<str>,
    /// What is settled and reserved.
    pub level: i64,
    /// The limit.
    pub limit: i64,
    /// How much was wanted.
    pub wanted: i64,
    /// When it may fit, as far as that is known: the window's end, the next
    /// cell. Microseconds since the Unix epoch. `None` where only another call
    /// that ends makes room, and where it never fits.
    pub free_us: Option<u64>,
    /// It does not fit into an empty window either.
    pub never: bool,
    /// Calls wait for it instead of being refused.
    pub queue: Option<Queue>,
    /// Other tenants may have taken of it: what stands in it is not theirs to
    /// know.
    pub shared: bool,
}

/// What stands in a counter that something does not fit.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// [`Breach::level`].
    pub level: i64,
    /// [`Breach::limit`].
    pub limit: i64,
    /// [`Breach::free_us`].
    pub free_us: Option<u64>,
    /// [`Breach::never`].
    pub never: bool,
}

impl Breach {
    /// What is wanted of this counter does not fit.
    pub fn of(subject: &Subject<'_>, want: &Want<'_>, standing: Standing) -> Self {
        Self {
            quota: want.quota.name.clone(),
            kind: want.quota.kind,
            hold: want.quota.hold,
            measure: want.quota.measure,
            counter: want.counter,
            scope: want.quota.scope.text(subject).into(),
            level: standing.level,
            limit: standing.limit,
            wanted: want.amount,
            free_us: standing.free_us,
            never: standing.never,
            queue: want.quota.queue.clone(),
            shared: want.quota.scope.is_shared(),
        }
    }
}
