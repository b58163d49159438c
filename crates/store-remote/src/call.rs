//! What a replica asks of the shared counters, and what it is told: the words
//! of the script in `lease.lua`.
//!
//! Deliberately not here: what is asked when (`shares`), how it gets there
//! (`valkey`).

use std::sync::Arc;

use meter::Measure;

/// The largest whole number that the script counts exactly: 2^53 - 1.
pub(crate) const MAX: i64 = (1 << 53) - 1;
/// Of what is left, the part that a replica takes at once.
pub(crate) const SHARE: i64 = 16;
/// Nano-dollars in the unit in which money is shared, a micro-dollar. What is
/// taken is rounded up and what there is down, so nothing is counted short.
const COST_GRAIN: i64 = 1_000;

/// How the rows of a counter add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Each window for itself.
    Window,
    /// All pieces that have not ended together.
    Sliding,
    /// Permits, which end with the lease of their replica.
    Permits,
    /// Cells of an even rate.
    Cells,
}

impl Kind {
    /// The letter in the script.
    pub(crate) fn letter(self) -> &'static str {
        match self {
            Self::Window => "w",
            Self::Sliding => "s",
            Self::Permits => "p",
            Self::Cells => "c",
        }
    }
}

/// One counter of a call. For cells, `limit` is the time of one, `held` that
/// of all together, and `high` how many are wished for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) counter: u128,
    pub(crate) kind: Kind,
    /// Begin of the window or piece.
    pub(crate) slot: i64,
    /// Until when it counts, microseconds.
    pub(crate) ends: i64,
    pub(crate) limit: i64,
    /// What the replica holds, used or not.
    pub(crate) held: i64,
    /// What it has settled and reserved.
    pub(crate) used: i64,
    /// What it must hold for the admission; 0 where nothing is admitted.
    pub(crate) need: i64,
    /// Least and most of a slice; `high` 0: nothing more is wanted.
    pub(crate) low: i64,
    pub(crate) high: i64,
    /// The last sequence number that it knows to be written.
    pub(crate) acked: i64,
}

/// One call of the script: all that is needed, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) replica: Arc<str>,
    pub(crate) seq: i64,
    pub(crate) lease_us: i64,
    pub(crate) items: Vec<Item>,
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// What was needed is held now.
    Granted,
    /// Something that was needed is not there; nothing was taken.
    Short,
    /// Counters were lost. Replicas say what they hold, and nobody is given
    /// more until all have had the time.
    Settling,
    /// A later call was there before it; nothing changed.
    Stale,
}

/// The answer to one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// What the replica holds; for cells, how many it was given.
    pub(crate) held: i64,
    /// What others hold; for cells, the theoretical arrival time.
    pub(crate) others_held: i64,
    /// What others have settled and reserved.
    pub(crate) others_used: i64,
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) status: Status,
    /// When the server last lost something: another number than before means
    /// that it has to be told everything.
    pub(crate) lost: i64,
    /// The server's time, microseconds.
    pub(crate) now_us: i64,
    /// In the order of the items; empty where the call was stale.
    pub(crate) shares: Vec<Share>,
}

impl Told {
    /// Reads the numbers of the script.
    pub(crate) fn read(numbers: &[i64]) -> Option<Self> {
        let (head, shares) = numbers.split_at_checked(3)?;
        let status = match head[0] {
            0 => Status::Granted,
            1 => Status::Short,
            2 => Status::Settling,
            3 => Status::Stale,
            _ => return None,
        };
        let shares = shares.chunks(3).map(|share| match share {
            &[held, others_held, others_used] => Some(Share {
                held,
                others_held,
                others_used,
            }),
            _ => None,
        });
        Some(Self {
            status,
            lost: head[1],
            now_us: head[2],
            shares: shares.collect::<Option<_>>()?,
        })
    }
}

/// How many units of a measure are counted as one.
pub(crate) fn grain(measure: Measure) -> i64 {
    match measure {
        Measure::Cost => COST_GRAIN,
        Measure::Requests
        | Measure::InputTokens
        | Measure::OutputTokens
        | Measure::Tokens
        | Measure::Concurrency => 1,
    }
}

/// What is taken, in shared units: rounded up.
pub(crate) fn grains_up(measure: Measure, amount: i64) -> i64 {
    let grain = grain(measure);
    let whole = amount.max(0) / grain;
    (whole + i64::from(amount.max(0) % grain > 0)).min(MAX)
}

/// What there is, in shared units: rounded down.
pub(crate) fn grains_down(measure: Measure, amount: i64) -> i64 {
    (amount.max(0) / grain(measure)).min(MAX)
}

/// Shared units as an amount.
pub(crate) fn amount(measure: Measure, grains: i64) -> i64 {
    grains.saturating_mul(grain(measure))
}
