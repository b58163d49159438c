//! The counters: what was settled, what is reserved, and whether more fits.
//!
//! Admission is all or nothing over every counter of a call. For each of them
//! settled + reserved + new <= limit holds at the moment of admission, so
//! calls at the same time overspend nothing. What is reserved in a window is
//! settled in that window, under the very key that was touched.

mod breach;
mod cells;
mod keyed;

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::quota::{Hold, Measure, Pace, Quota, QuotaKind};
use crate::subject::{Dimension, Subject};
use crate::window::Span;
use cells::{cell, per_call};
use keyed::Keyed;

pub use breach::{Breach, Standing};

/// Most counters that are kept at once. Values of some dimensions come from
/// callers, who must not fill the memory.
pub const COUNTERS_MAX: usize = 1_000_000;
/// Least time between two searches for room, which look at every counter.
const LET_GO_EVERY_US: u64 = 1_000_000;
/// Most quotas that one call, or one attempt, is counted by.
pub const DRAWS_MAX: usize = 32;

/// What a call wants of a quota.
#[derive(Clone, Copy, Debug)]
pub struct Want<'q> {
    /// The quota.
    pub quota: &'q Arc<Quota>,
    /// The counter, of [`Quota::counter`].
    pub counter: u128,
    /// How much.
    pub amount: i64,
}

/// What was taken of a counter. It must be settled, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Name of the quota.
    pub quota: Arc<str>,
    /// Rate limit or budget.
    pub kind: QuotaKind,
    /// What is counted.
    pub measure: Measure,
    /// The counter.
    pub counter: u128,
    /// Whose counter, for people.
    pub scope: Arc<str>,
    /// The window, or the piece of a sliding one; [`Span::NONE`] where nothing
    /// is left to be settled.
    pub span: Span,
    /// How long what is settled counts after the end of its piece,
    /// microseconds; 0 except in sliding windows.
    pub after_us: u64,
    /// How much is reserved.
    pub amount: i64,
    /// What was settled and reserved before.
    pub level: i64,
    /// The limit at that moment.
    pub limit: i64,
    /// When the counter is as if nothing had been taken, as far as that is
    /// known; microseconds since the Unix epoch.
    pub whole_us: Option<u64>,
}

/// All that one admission took.
pub type Draws = SmallVec<[Draw; 6]>;

/// What came of an admission.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// What was taken.
    pub draws: Draws,
    /// What would have been refused, had the quota been enforced.
    pub would_refuse: Vec<Breach>,
}

/// Nothing was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It does not fit. The first breach that refuses, and all others.
    Breached(Vec<Breach>),
    /// There are too many counters; see [`COUNTERS_MAX`].
    Full,
    /// It may fit, but others have to be asked first; see
    /// [`Counters::fetch`](crate::Counters::fetch).
    Short,
    /// The counters cannot be asked.
    Unavailable,
}

/// What stands in a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// Name of the quota.
    pub quota: Arc<str>,
    /// What is counted.
    pub measure: Measure,
    /// The counter.
    pub counter: u128,
    /// Whose counter, for people.
    pub scope: Arc<str>,
    /// The window.
    pub span: Span,
    /// Settled.
    pub settled: i64,
    /// Reserved.
    pub reserved: i64,
    /// What other replicas have settled and reserved, as far as it was told.
    pub elsewhere: i64,
}

/// All counters of one process.
#[derive(Debug)]
pub struct Book {
    buckets: HashMap<u128, Bucket, Keyed>,
    buckets_max: usize,
    /// When room was last made.
    let_go_us: u64,
    /// Draws that were not counted, for want of room.
    uncounted: u64,
    /// The sum of what calls cost beyond what was reserved for them, by
    /// measure: estimation debt.
    debts: [i64; Measure::ALL.len()],
}

#[derive(Debug)]
struct Bucket {
    quota: Arc<str>,
    measure: Measure,
    scope: Arc<str>,
    /// The theoretical arrival time of the next cell, microseconds.
    next_us: u64,
    /// As [`Draw::after_us`].
    after_us: u64,
    pieces: SmallVec<[Piece; 1]>,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    span: Span,
    settled: i64,
    reserved: i64,
}

impl Default for Book {
    fn default() -> Self {
        Self::new(COUNTERS_MAX)
    }
}

/// What a counter would be after an admission.
enum Next {
    /// The cell after this one.
    Cell(u64),
    /// So much more in this piece.
    Piece(Span),
}

/// What was found about one want.
struct Look {
    next: Next,
    level: i64,
    limit: i64,
    fits: bool,
    free_us: Option<u64>,
    never: bool,
}

impl Book {
    /// With room for so many counters.
    pub fn new(buckets_max: usize) -> Self {
        Self {
            buckets: HashMap::default(),
            buckets_max,
            let_go_us: 0,
            uncounted: 0,
            debts: [0; Measure::ALL.len()],
        }
    }

    /// Takes all that is wanted, or nothing.
    ///
    /// # Errors
    /// What does not fit.
    pub fn admit(
        &mut self,
        now_us: u64,
        subject: &Subject<'_>,
        wants: &[Want<'_>],
    ) -> Result<Admitted, Refused> {
        let mut looks: SmallVec<[Look; 8]> = SmallVec::new();
        let mut breaches = Vec::new();
        let mut new = 0;
        for want in wants {
            self.set_back(now_us, want);
            let bucket = self.buckets.get(&want.counter);
            new += usize::from(bucket.is_none());
            let limit = self.limit_of(now_us, subject, want);
            let look = look(now_us, want, limit, bucket);
            if !look.fits {
                let standing = Standing {
                    level: look.level,
                    limit: look.limit,
                    free_us: look.free_us,
                    never: look.never,
                };
                breaches.push(Breach::of(subject, want, standing));
            }
            looks.push(look);
        }
        if breaches.iter().any(|it| it.hold == Hold::Enforce) {
            return Err(Refused::Breached(breaches));
        }
        let is_full = new > 0 && self.is_full(now_us, new);
        let is_uncounted =
            |book: &Self, want: &Want<'_>| is_full && !book.buckets.contains_key(&want.counter);
        let must = |want: &Want<'_>| {
            let by_content = want.quota.scope.by.contains(&Dimension::Content);
            want.quota.hold == Hold::Enforce && !by_content
        };
        if wants.iter().any(|it| must(it) && is_uncounted(self, it)) {
            return Err(Refused::Full);
        }
        // What refuses nobody must not do so for want of room.
        let counted: SmallVec<[bool; 8]> = wants.iter().map(|it| !is_uncounted(self, it)).collect();
        let left = counted.iter().filter(|is_counted| !**is_counted).count() as u64;
        self.uncounted = self.uncounted.saturating_add(left);
        let draws = wants.iter().zip(looks).zip(counted);
        let draws = draws.filter(|(_, is_counted)| *is_counted);
        let draws = draws.map(|((want, look), _)| self.take(subject, want, &look));
        Ok(Admitted {
            draws: draws.collect(),
            would_refuse: breaches,
        })
    }

    /// Whether there is no room for so many new counters. What has passed is
    /// let go for that, at most once a second.
    fn is_full(&mut self, now_us: u64, new: usize) -> bool {
        if self.buckets.len() + new <= self.buckets_max {
            return false;
        }
        if now_us.abs_diff(self.let_go_us) >= LET_GO_EVERY_US {
            self.let_go_us = now_us;
            self.let_go(now_us, |bucket| bucket.drop_passed(now_us));
        }
        self.buckets.len() + new > self.buckets_max
    }

    /// The limit at a moment; where it follows what is usual, by that.
    fn limit_of(&self, now_us: u64, subject: &Subject<'_>, want: &Want<'_>) -> i64 {
        let least = want.quota.limit_at(now_us);
        let Some(usual) = &want.quota.usual else {
            return least;
        };
        let baseline = Want {
            quota: &usual.baseline,
            counter: usual.baseline.counter(subject),
            amount: 0,
        };
        usual.limit(self.level(now_us, &baseline)).max(least)
    }

    /// A clock that was set back must not lock callers out for that long: the
    /// next cell is never further away than all cells together.
    fn set_back(&mut self, now_us: u64, want: &Want<'_>) {
        if let Pace::Gcra { period_us, burst } = want.quota.pace
            && let Some(per_call) = per_call(want.quota.limit_at(now_us), period_us)
            && let Some(bucket) = self.buckets.get_mut(&want.counter)
        {
            let latest = now_us.saturating_add(per_call.saturating_mul(burst.max(1)));
            bucket.next_us = bucket.next_us.min(latest);
        }
    }

    fn take(&mut self, subject: &Subject<'_>, want: &Want<'_>, look: &Look) -> Draw {
        let bucket = self.buckets.entry(want.counter).or_insert_with(|| Bucket {
            quota: want.quota.name.clone(),
            measure: want.quota.measure,
            scope: want.quota.scope.text(subject).into(),
            next_us: 0,
            after_us: after_us(want.quota),
            pieces: SmallVec::new(),
        });
        let (span, whole_us) = match look.next {
            Next::Cell(next_us) => {
                bucket.next_us = next_us;
                (Span::NONE, Some(next_us))
            }
            Next::Piece(span) => {
                let piece = bucket.piece(span);
                piece.reserved = piece.reserved.saturating_add(want.amount);
                let ends = span.until_us != u64::MAX;
                (
                    span,
                    ends.then(|| span.until_us.saturating_add(bucket.after_us)),
                )
            }
        };
        Draw {
            quota: bucket.quota.clone(),
            kind: want.quota.kind,
            measure: want.quota.measure,
            counter: want.counter,
            scope: bucket.scope.clone(),
            span,
            after_us: bucket.after_us,
            amount: want.amount,
            level: look.level,
            limit: look.limit,
            whole_us,
        }
    }

    /// Settles what was reserved to what it came to. More than was reserved is
    /// taken too, and is debt. Returns the debt.
    pub fn settle(&mut self, draw: &Draw, actual: i64) -> i64 {
        let actual = actual.max(0);
        let Some(bucket) = self.counted(draw) else {
            return 0;
        };
        let piece = bucket.piece(draw.span);
        piece.reserved = piece.reserved.saturating_sub(draw.amount).max(0);
        if draw.measure == Measure::Concurrency {
            return 0;
        }
        piece.settled = piece.settled.saturating_add(actual);
        let debt = actual.saturating_sub(draw.amount).max(0);
        let all = &mut self.debts[draw.measure as usize];
        *all = all.saturating_add(debt);
        debt
    }

    /// Reserves again what a call holds that another process, or one that
    /// died, began.
    pub fn restore(&mut self, draw: &Draw) {
        if let Some(bucket) = self.counted(draw) {
            let piece = bucket.piece(draw.span);
            piece.reserved = piece.reserved.saturating_add(draw.amount);
        }
    }

    /// Adds to what is settled what the ledger has and this book does not: the
    /// calls of earlier processes, and of others beside this one. To be called
    /// once for each amount; nothing of it is taken back. Only
    /// [`Draw::counter`], [`Draw::span`], the name and what is counted matter.
    /// Permits and cells leave nothing that is settled. More than the limit is
    /// taken too: it was spent.
    pub fn credit(&mut self, draw: &Draw, settled: i64) {
        if draw.measure == Measure::Concurrency {
            return;
        }
        if let Some(bucket) = self.counted(draw) {
            let piece = bucket.piece(draw.span);
            piece.settled = piece.settled.saturating_add(settled.max(0));
        }
    }

    /// How many windows have another settled amount than `ledger` says, which
    /// names each window once. Windows that have passed are left out; one that
    /// is not named has nothing. To be asked while nothing is under way.
    pub fn differing(&self, now_us: u64, ledger: impl Iterator<Item = (u128, Span, i64)>) -> usize {
        let mut expected: HashMap<(u128, u64, u64), i64> = ledger
            .map(|(counter, span, settled)| ((counter, span.from_us, span.until_us), settled))
            .collect();
        let mut differing = 0;
        for (counter, bucket) in &self.buckets {
            for piece in &bucket.pieces {
                let span = piece.span;
                let known = expected.remove(&(*counter, span.from_us, span.until_us));
                let is_over = span.until_us.saturating_add(bucket.after_us) <= now_us;
                differing += usize::from(!is_over && known.unwrap_or(0) != piece.settled);
            }
        }
        differing + expected.values().filter(|settled| **settled != 0).count()
    }

    /// The bucket of a draw; `None` for cells, which are not given back.
    fn counted(&mut self, draw: &Draw) -> Option<&mut Bucket> {
        if draw.span == Span::NONE {
            return None;
        }
        Some(self.buckets.entry(draw.counter).or_insert_with(|| Bucket {
            quota: draw.quota.clone(),
            measure: draw.measure,
            scope: draw.scope.clone(),
            next_us: 0,
            after_us: draw.after_us,
            pieces: SmallVec::new(),
        }))
    }

    /// What stands in the counters of a call, without taking anything.
    pub fn level(&self, now_us: u64, want: &Want<'_>) -> i64 {
        let limit = want.quota.limit_at(now_us);
        look(now_us, want, limit, self.buckets.get(&want.counter)).level
    }

    /// Estimation debt of a measure since the start: what calls came to beyond
    /// what was reserved for them.
    pub fn debt(&self, measure: Measure) -> i64 {
        self.debts[measure as usize]
    }

    /// Draws of quotas that refuse nobody, which were not counted because there
    /// was no room for another counter.
    pub fn uncounted(&self) -> u64 {
        self.uncounted
    }

    /// Every counter that is kept.
    pub fn levels(&self) -> impl Iterator<Item = Level> + '_ {
        self.buckets.iter().flat_map(|(counter, bucket)| {
            bucket.pieces.iter().map(|piece| Level {
                quota: bucket.quota.clone(),
                measure: bucket.measure,
                counter: *counter,
                scope: bucket.scope.clone(),
                span: piece.span,
                settled: piece.settled,
                reserved: piece.reserved,
                elsewhere: 0,
            })
        })
    }

    /// How many counters are kept.
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Lets go of windows that passed as long ago as they last and hold nothing
    /// that is reserved. Until then a clock may be set back into them.
    pub fn sweep(&mut self, now_us: u64) {
        self.let_go(now_us, |bucket| bucket.drop_old(now_us));
    }

    fn let_go(&mut self, now_us: u64, drops: impl Fn(&mut Bucket)) {
        self.buckets.retain(|_, bucket| {
            drops(bucket);
            !bucket.pieces.is_empty() || bucket.next_us > now_us
        });
    }
}

impl Bucket {
    /// The piece of a span; made if there is none.
    fn piece(&mut self, span: Span) -> &mut Piece {
        let known = self.pieces.iter().position(|piece| piece.span == span);
        let at = known.unwrap_or_else(|| {
            self.drop_old(span.from_us);
            self.pieces.push(Piece {
                span,
                settled: 0,
                reserved: 0,
            });
            self.pieces.len() - 1
        });
        &mut self.pieces[at]
    }

    /// Drops the pieces that count no more.
    fn drop_passed(&mut self, now_us: u64) {
        self.drop_after(now_us, |_| 0);
    }

    /// Drops those that would count no more either if the clock were set back
    /// by as much as their window lasts.
    fn drop_old(&mut self, now_us: u64) {
        let after_us = self.after_us;
        self.drop_after(now_us, |span| {
            span.until_us.saturating_sub(span.from_us).max(after_us)
        });
    }

    fn drop_after(&mut self, now_us: u64, kept_us: impl Fn(&Span) -> u64) {
        let after_us = self.after_us;
        self.pieces.retain(|piece| {
            let ends_us = piece.span.until_us.saturating_add(after_us);
            let is_over = ends_us.saturating_add(kept_us(&piece.span)) <= now_us;
            let is_empty = piece.span == Span::ALWAYS && piece.settled == 0;
            piece.reserved > 0 || !is_over && !is_empty
        });
    }
}

fn after_us(quota: &Quota) -> u64 {
    match &quota.pace {
        Pace::Window(window) => window.sliding_us().unwrap_or(0),
        Pace::Gcra { .. } | Pace::Permits => 0,
    }
}

fn look(now_us: u64, want: &Want<'_>, limit: i64, bucket: Option<&Bucket>) -> Look {
    match &want.quota.pace {
        Pace::Gcra { period_us, burst } => cell(now_us, limit, (*period_us, *burst), bucket),
        Pace::Permits => level_in(want, limit, Span::ALWAYS, bucket, |_| true),
        Pace::Window(window) => {
            let known = bucket.and_then(|bucket| {
                let mut spans = bucket.pieces.iter().map(|piece| piece.span);
                spans.find(|span| span.holds(now_us))
            });
            let span = known.unwrap_or_else(|| window.span(now_us));
            match window.sliding_us() {
                None => level_in(want, limit, span, bucket, |piece| piece.span == span),
                Some(length) => {
                    let from_us = now_us.saturating_sub(length);
                    let within = |piece: &Piece| piece.span.until_us > from_us;
                    let mut look = level_in(want, limit, span, bucket, within);
                    if !look.fits {
                        look.free_us = room_at(want, limit, length, bucket);
                    }
                    look
                }
            }
        }
    }
}

fn level_in(
    want: &Want<'_>,
    limit: i64,
    span: Span,
    bucket: Option<&Bucket>,
    within: impl Fn(&Piece) -> bool,
) -> Look {
    let pieces = bucket.map_or(&[][..], |bucket| &bucket.pieces);
    let level = pieces.iter().filter(|piece| within(piece));
    let level = level.fold(0_i64, |sum, piece| {
        sum.saturating_add(piece.settled)
            .saturating_add(piece.reserved)
    });
    let never = want.amount > limit;
    Look {
        next: Next::Piece(span),
        level,
        limit,
        fits: level.saturating_add(want.amount) <= limit,
        free_us: (!never && span.until_us != u64::MAX).then_some(span.until_us),
        never,
    }
}

/// When enough of a sliding window has left it.
fn room_at(want: &Want<'_>, limit: i64, length: u64, bucket: Option<&Bucket>) -> Option<u64> {
    let mut pieces: Vec<Piece> = bucket?.pieces.to_vec();
    pieces.sort_by_key(|piece| piece.span.from_us);
    let sum = |pieces: &[Piece]| {
        pieces.iter().fold(0_i64, |sum, piece| {
            sum.saturating_add(piece.settled)
                .saturating_add(piece.reserved)
        })
    };
    (0..pieces.len()).find_map(|gone| {
        let left = sum(&pieces[gone + 1..]).saturating_add(want.amount);
        (left <= limit).then(|| pieces[gone].span.until_us.saturating_add(length))
    })
}

#[cfg(test)]
mod tests;
