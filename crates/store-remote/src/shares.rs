//! The shares of one replica: what it holds of each shared counter, what it
//! has settled and reserved of it, and what it has to ask for. Pure.
//!
//! A replica admits a call where it fits into what it holds, so no call waits
//! for another machine as long as the shares last. Over all replicas, what is
//! held is never more than the limit.
//!
//! Deliberately not here: the way to the server (`line`), and the arithmetic
//! there (`lease.lua`).

mod admit;
mod asks;
mod levels;
mod tend;

use std::collections::HashMap;
use std::sync::Arc;

use meter::{Draw, Measure, Pace, Span, Want, Window};
use smallvec::SmallVec;

use crate::call::{Kind, Status, Told, amount, grains_up};

pub(crate) use admit::Mode;

/// How long the word of the server that there is no more room holds,
/// microseconds: callers of a budget that is used up ask no more often.
const TOLD_US: u64 = 20_000;
/// How long cells can be used after they were leased, microseconds.
const CELLS_US: u64 = 1_000_000;
/// Most cells that are leased at once.
const CELLS_MAX: i64 = 64;

/// A moment on both clocks of a replica.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    /// Wall clock, microseconds since the Unix epoch.
    pub(crate) now_us: u64,
    /// Monotonic, microseconds.
    pub(crate) mono_us: u64,
}

/// All shares of a replica.
#[derive(Debug)]
pub(crate) struct Shares {
    replica: Arc<str>,
    lease_us: u64,
    buckets_max: usize,
    buckets: HashMap<u128, Bucket>,
    seq: i64,
    /// When the server last lost something, as far as we know.
    lost: i64,
    /// The server's clock less our own, microseconds.
    skew_us: i64,
    /// When the last call that was answered was sent.
    synced_us: Option<u64>,
    debts: [i64; Measure::ALL.len()],
}

#[derive(Debug)]
struct Bucket {
    quota: Arc<str>,
    measure: Measure,
    scope: Arc<str>,
    sums: Kind,
    after_us: u64,
    /// As it was when it was last asked about.
    limit: i64,
    pieces: SmallVec<[Piece; 1]>,
    cells: Cells,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    span: Span,
    settled: i64,
    reserved: i64,
    /// What of the limit is this replica's, used or not.
    held: i64,
    /// What of that the server gave or was told of.
    granted: i64,
    /// The most that one slice came to.
    slice: i64,
    others_held: i64,
    others_used: i64,
    /// The last call that asked about it, and the last that was answered.
    asked: i64,
    acked: i64,
    /// When the last call about it that was answered was sent; `None` if none
    /// was.
    synced_us: Option<u64>,
    /// When that answer came.
    told_us: Option<u64>,
    /// The server has to be told.
    is_dirty: bool,
    /// It was used since it was last looked after.
    is_touched: bool,
}

/// What is held of an even rate.
#[derive(Clone, Copy, Debug, Default)]
struct Cells {
    stock: i64,
    until_us: u64,
    /// Before this moment of the server there is no cell.
    free_us: u64,
    /// When all are there again.
    whole_us: u64,
    /// Of the period that began then, so many were let in without the server.
    open: (u64, i64),
    is_touched: bool,
}

impl Shares {
    /// Nothing yet, under the name of a replica that no other ever had.
    pub(crate) fn new(replica: &str, lease_us: u64, buckets_max: usize) -> Self {
        Self {
            replica: replica.into(),
            lease_us,
            buckets_max,
            buckets: HashMap::new(),
            seq: 0,
            lost: 0,
            skew_us: 0,
            synced_us: None,
            debts: [0; Measure::ALL.len()],
        }
    }

    /// Our wall clock as the server's.
    fn server_us(&self, now_us: u64) -> u64 {
        now_us.saturating_add_signed(self.skew_us)
    }

    /// Settles what was reserved. More than was reserved is taken too, and is
    /// debt, which is told to the server whatever there is.
    pub(crate) fn settle(&mut self, draw: &Draw, actual: i64) -> i64 {
        if draw.span == Span::NONE {
            return 0;
        }
        let actual = actual.max(0);
        let bucket = self.buckets.entry(draw.counter).or_insert_with(|| Bucket {
            quota: draw.quota.clone(),
            measure: draw.measure,
            scope: draw.scope.clone(),
            sums: match (draw.measure, draw.after_us) {
                (Measure::Concurrency, _) => Kind::Permits,
                (_, 0) => Kind::Window,
                (_, _) => Kind::Sliding,
            },
            after_us: draw.after_us,
            limit: draw.limit,
            pieces: SmallVec::new(),
            cells: Cells::default(),
        });
        let piece = bucket.piece(draw.span);
        piece.reserved = piece.reserved.saturating_sub(draw.amount).max(0);
        piece.is_touched = true;
        if draw.measure == Measure::Concurrency {
            return 0;
        }
        piece.settled = piece.settled.saturating_add(actual);
        let over = piece.used().saturating_sub(piece.held);
        if over > 0 {
            piece.held = piece.used();
            piece.is_dirty = true;
            if bucket.sums == Kind::Sliding {
                bucket.repay(over);
            }
        }
        let debt = actual.saturating_sub(draw.amount).max(0);
        let all = &mut self.debts[draw.measure as usize];
        *all = all.saturating_add(debt);
        debt
    }

    /// Takes in what the server said to a call, which was sent and answered
    /// at these moments.
    pub(crate) fn apply(&mut self, call: &crate::call::Call, told: &Told, sent: At, at: At) {
        let server = i64::try_from(at.now_us).unwrap_or(i64::MAX);
        self.skew_us = told.now_us.saturating_sub(server);
        if told.lost != self.lost {
            // Another server, or one that has lost everything: it is told all.
            self.lost = told.lost;
            let pieces = self.buckets.values_mut().flat_map(|it| &mut it.pieces);
            pieces.for_each(|piece| piece.is_dirty = true);
        }
        match told.status {
            Status::Granted | Status::Short | Status::Settling => {}
            Status::Stale => return self.failed(call),
        }
        self.synced_us = self.synced_us.max(Some(sent.mono_us));
        let lately = told.status != Status::Settling;
        for (item, share) in call.items.iter().zip(&told.shares) {
            let Some(bucket) = self.buckets.get_mut(&item.counter) else {
                continue;
            };
            if item.kind == Kind::Cells {
                bucket.cells.take(item, share, sent);
                continue;
            }
            let measure = bucket.measure;
            let slot = u64::try_from(item.slot).unwrap_or_default();
            let mut pieces = bucket.pieces.iter_mut();
            let Some(piece) = pieces.find(|it| it.span.from_us == slot && it.asked == call.seq)
            else {
                continue;
            };
            piece.acked = call.seq;
            piece.synced_us = Some(sent.mono_us);
            // While others have not said what they hold, nobody knows.
            piece.told_us = lately.then_some(at.mono_us);
            piece.others_held = amount(measure, share.others_held);
            piece.others_used = amount(measure, share.others_used);
            let held = amount(measure, share.held);
            piece.slice = piece.slice.max(held.saturating_sub(piece.held));
            piece.granted = held;
            piece.held = held.max(piece.used());
        }
    }

    /// A call was not answered: what it said may not have been heard.
    pub(crate) fn failed(&mut self, call: &crate::call::Call) {
        for item in &call.items {
            let bucket = self.buckets.get_mut(&item.counter);
            let pieces = bucket.into_iter().flat_map(|it| &mut it.pieces);
            pieces
                .filter(|it| it.asked == call.seq)
                .for_each(|it| it.is_dirty = true);
        }
    }
}

impl Cells {
    fn take(&mut self, item: &crate::call::Item, share: &crate::call::Share, sent: At) {
        let time = |us: i64| u64::try_from(us).unwrap_or_default();
        self.whole_us = time(share.others_held);
        self.free_us = time(share.others_held.saturating_add(item.limit) - item.held);
        if share.held > 0 {
            if sent.mono_us >= self.until_us {
                self.stock = 0;
            }
            self.stock += share.held;
            self.until_us = sent.mono_us.saturating_add(CELLS_US);
        }
    }
}

impl Bucket {
    fn of(want: &Want<'_>, scope: Arc<str>) -> Self {
        let sums = match &want.quota.pace {
            Pace::Gcra { .. } => Kind::Cells,
            Pace::Permits => Kind::Permits,
            Pace::Window(Window::Sliding { .. }) => Kind::Sliding,
            Pace::Window(Window::Fixed { .. } | Window::Calendar { .. } | Window::Forever) => {
                Kind::Window
            }
        };
        Self {
            quota: want.quota.name.clone(),
            measure: want.quota.measure,
            scope,
            sums,
            after_us: after_us(want),
            limit: want.quota.limit,
            pieces: SmallVec::new(),
            cells: Cells::default(),
        }
    }

    /// The piece of a span; made if there is none.
    fn piece(&mut self, span: Span) -> &mut Piece {
        let known = self.pieces.iter().position(|piece| piece.span == span);
        let at = known.unwrap_or_else(|| {
            self.pieces.push(Piece::of(span));
            self.pieces.len() - 1
        });
        &mut self.pieces[at]
    }

    /// What one piece of a sliding window takes beyond its share, the others
    /// give of theirs.
    fn repay(&mut self, over: i64) {
        let mut over = over;
        for piece in &mut self.pieces {
            let given = piece.held.saturating_sub(piece.used()).clamp(0, over);
            piece.held -= given;
            piece.is_dirty |= given > 0;
            over -= given;
        }
    }

    /// The piece of a window that holds a moment, or would.
    fn span(&self, want: &Want<'_>, now_us: u64) -> Span {
        let mut spans = self.pieces.iter().map(|piece| piece.span);
        let known = spans.find(|span| span.holds(now_us));
        known.unwrap_or_else(|| span_of(want, now_us))
    }
}

impl Piece {
    fn of(span: Span) -> Self {
        Self {
            span,
            settled: 0,
            reserved: 0,
            held: 0,
            granted: 0,
            slice: 0,
            others_held: 0,
            others_used: 0,
            asked: 0,
            acked: 0,
            synced_us: None,
            told_us: None,
            is_dirty: false,
            is_touched: false,
        }
    }

    fn used(&self) -> i64 {
        self.settled.saturating_add(self.reserved)
    }

    /// What may still be taken of what is held. A lease that is over holds
    /// nothing more.
    fn slack(&self, mono_us: u64, lease_us: u64) -> i64 {
        match self.is_leased(mono_us, lease_us) {
            true => self.held.saturating_sub(self.used()).max(0),
            false => 0,
        }
    }

    fn is_leased(&self, mono_us: u64, lease_us: u64) -> bool {
        self.synced_us
            .is_some_and(|sent_us| mono_us.saturating_sub(sent_us) < lease_us)
    }

    /// What is used, as the server counts.
    fn used_grains(&self, measure: Measure) -> i64 {
        grains_up(measure, self.used())
    }
}

fn span_of(want: &Want<'_>, now_us: u64) -> Span {
    match &want.quota.pace {
        Pace::Window(window) => window.span(now_us),
        Pace::Permits => Span::ALWAYS,
        Pace::Gcra { .. } => Span::NONE,
    }
}

fn after_us(want: &Want<'_>) -> u64 {
    match &want.quota.pace {
        Pace::Window(window) => window.sliding_us().unwrap_or(0),
        Pace::Gcra { .. } | Pace::Permits => 0,
    }
}

/// The time of one cell and of all together; `None` where there are none.
fn cell_times(want: &Want<'_>, limit: i64) -> Option<(u64, u64)> {
    let Pace::Gcra { period_us, burst } = want.quota.pace else {
        return None;
    };
    let limit = u64::try_from(limit).ok().filter(|limit| *limit > 0)?;
    let one = (period_us / limit).max(1);
    Some((one, one.saturating_mul(burst.max(1))))
}

#[cfg(test)]
mod tests;
