//! Admission within what a replica holds.

use meter::book::Standing;
use meter::{Admitted, Breach, Draw, Hold, Pace, Refused, Span, Subject, Want};
use smallvec::SmallVec;

use super::{At, Bucket, Piece, Shares, TOLD_US, cell_times, span_of};
use crate::call::{Kind, amount, grains_down};

/// What is done where the shares are too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The server is to be asked.
    Ask,
    /// It was asked: what refuses nobody waits no longer.
    Asked,
    /// It cannot be asked: so many percent of each limit may be taken beyond.
    Alone {
        /// Of each limit.
        percent: i64,
    },
}

/// What was found about one want.
struct Look {
    fit: Fit,
    level: i64,
    limit: i64,
    free_us: Option<u64>,
    never: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    Fits,
    /// There is no room, wherever one asks.
    Breach,
    /// It is not held, but others may have it.
    Short,
}

impl Shares {
    /// Takes all that is wanted, or nothing.
    ///
    /// # Errors
    /// What does not fit; [`Refused::Short`] where the server may have more.
    pub(crate) fn admit(
        &mut self,
        at: At,
        subject: &Subject<'_>,
        wants: &[Want<'_>],
        mode: Mode,
    ) -> Result<Admitted, Refused> {
        let mut looks: SmallVec<[Look; 8]> = SmallVec::new();
        let mut breaches = Vec::new();
        let mut is_short = false;
        for want in wants {
            let limit = self.limit_of(at, subject, want);
            let look = self.look(at, want, limit, mode);
            let waits = want.quota.hold == Hold::Enforce || mode == Mode::Ask;
            match look.fit {
                Fit::Fits => {}
                Fit::Breach => breaches.push(breach(subject, want, &look)),
                Fit::Short => is_short |= waits,
            }
            looks.push(look);
        }
        if breaches.iter().any(|it| it.hold == Hold::Enforce) {
            return Err(Refused::Breached(breaches));
        }
        if is_short {
            return Err(match mode {
                Mode::Ask | Mode::Asked => Refused::Short,
                Mode::Alone { .. } => Refused::Unavailable,
            });
        }
        if !self.has_room(at.now_us, wants) {
            return Err(Refused::Full);
        }
        let draws = wants.iter().zip(looks);
        let draws = draws.map(|(want, look)| self.take(at, subject, want, &look));
        Ok(Admitted {
            draws: draws.collect(),
            would_refuse: breaches,
        })
    }

    /// Whether counters for all of these can be kept.
    pub(super) fn has_room(&mut self, now_us: u64, wants: &[Want<'_>]) -> bool {
        let is_new = |want: &&Want<'_>| !self.buckets.contains_key(&want.counter);
        let new = wants.iter().filter(is_new).count();
        if self.buckets.len() + new > self.buckets_max {
            self.sweep(now_us);
        }
        self.buckets.len() + new <= self.buckets_max
    }

    /// The limit at a moment; where it follows what is usual, by that, as far
    /// as it was told.
    pub(super) fn limit_of(&self, at: At, subject: &Subject<'_>, want: &Want<'_>) -> i64 {
        let least = want.quota.limit_at(self.server_us(at.now_us));
        let Some(usual) = &want.quota.usual else {
            return least;
        };
        let baseline = Want {
            quota: &usual.baseline,
            counter: usual.baseline.counter(subject),
            amount: 0,
        };
        let level = self.levels_of(at, &[baseline])[0];
        usual.limit(level).max(least)
    }

    fn look(&self, at: At, want: &Want<'_>, limit: i64, mode: Mode) -> Look {
        let now_us = self.server_us(at.now_us);
        let bucket = self.buckets.get(&want.counter);
        match &want.quota.pace {
            Pace::Gcra { period_us, burst } => {
                let pace = (*period_us, *burst);
                cell((at, now_us), want, (limit, pace), (bucket, mode))
            }
            Pace::Window(_) | Pace::Permits => self.look_at_piece((at, now_us), want, limit, mode),
        }
    }

    fn look_at_piece(&self, at: (At, u64), want: &Want<'_>, limit: i64, mode: Mode) -> Look {
        let (at, now_us) = at;
        let bucket = self.buckets.get(&want.counter);
        let span = bucket.map_or_else(|| span_of(want, now_us), |bucket| bucket.span(want, now_us));
        let known = bucket.and_then(|it| it.pieces.iter().find(|piece| piece.span == span));
        let piece = known.copied().unwrap_or_else(|| Piece::of(span));
        let used = piece.used();
        let after = used.saturating_add(want.amount);
        let never = want.amount > limit;
        let measure = want.quota.measure;
        let room = amount(measure, grains_down(measure, limit)).saturating_sub(piece.others_held);
        let is_fresh = piece
            .told_us
            .is_some_and(|told| at.mono_us.saturating_sub(told) < TOLD_US);
        let held = match mode {
            Mode::Ask | Mode::Asked | Mode::Alone { percent: 0 } => {
                used.saturating_add(piece.slack(at.mono_us, self.lease_us))
            }
            Mode::Alone { percent } => {
                let slack = piece.slack(at.mono_us, self.lease_us);
                let open = piece.granted.saturating_add(share_of(limit, percent));
                used.saturating_add(slack).max(open)
            }
        };
        let own = bucket.map_or(0, |bucket| bucket.own_used(span, now_us));
        let all = own.saturating_add(want.amount);
        let fit = if after <= held && all <= limit {
            Fit::Fits
        } else if all > limit || is_fresh && after > room {
            Fit::Breach
        } else {
            Fit::Short
        };
        Look {
            level: match fit {
                Fit::Breach => own.max(used.saturating_add(piece.others_held)),
                Fit::Fits | Fit::Short => used.saturating_add(piece.others_used),
            },
            limit,
            free_us: (!never && span.until_us != u64::MAX).then_some(span.until_us),
            never,
            fit,
        }
    }

    fn take(&mut self, at: At, subject: &Subject<'_>, want: &Want<'_>, look: &Look) -> Draw {
        let now_us = self.server_us(at.now_us);
        let bucket = self
            .buckets
            .entry(want.counter)
            .or_insert_with(|| Bucket::of(want, want.quota.scope.text(subject).into()));
        let (span, whole_us) = match &want.quota.pace {
            Pace::Gcra { period_us, .. } => {
                bucket.take_cell(at, now_us, (*period_us).max(1));
                (Span::NONE, Some(bucket.cells.whole_us.max(now_us)))
            }
            Pace::Window(_) | Pace::Permits => {
                let span = bucket.span(want, now_us);
                let after_us = bucket.after_us;
                let piece = bucket.piece(span);
                piece.reserved = piece.reserved.saturating_add(want.amount);
                piece.is_touched = true;
                if piece.used() > piece.held {
                    // Taken without a share, and told as soon as possible.
                    piece.held = piece.used();
                    piece.is_dirty = true;
                }
                let ends = span.until_us != u64::MAX;
                (span, ends.then(|| span.until_us.saturating_add(after_us)))
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
}

impl Bucket {
    /// What this replica has used of the limit that a span is part of.
    fn own_used(&self, span: Span, now_us: u64) -> i64 {
        let counts = |piece: &&Piece| match self.sums {
            Kind::Sliding => piece.span.until_us.saturating_add(self.after_us) > now_us,
            Kind::Window | Kind::Permits | Kind::Cells => piece.span == span,
        };
        let counted = self.pieces.iter().filter(counts);
        counted.fold(0, |sum, piece| piece.used().saturating_add(sum))
    }

    /// Takes a cell, one that is held or one that is not.
    fn take_cell(&mut self, at: At, now_us: u64, period_us: u64) {
        let cells = &mut self.cells;
        cells.is_touched = true;
        if at.mono_us < cells.until_us && cells.stock > 0 {
            cells.stock -= 1;
            return;
        }
        let began_us = now_us - now_us % period_us;
        if cells.open.0 != began_us {
            cells.open = (began_us, 0);
        }
        cells.open.1 += 1;
    }
}

fn cell(
    at: (At, u64),
    want: &Want<'_>,
    rate: (i64, (u64, u64)),
    known: (Option<&Bucket>, Mode),
) -> Look {
    let ((at, now_us), (limit, (period_us, burst)), (bucket, mode)) = (at, rate, known);
    let cells = bucket.map(|bucket| bucket.cells).unwrap_or_default();
    let most = i64::try_from(burst.max(1)).unwrap_or(i64::MAX);
    let Some((one, _)) = cell_times(want, limit) else {
        return Look {
            fit: Fit::Breach,
            level: 0,
            limit,
            free_us: None,
            never: true,
        };
    };
    let is_held = at.mono_us < cells.until_us && cells.stock > 0;
    let allowed = match mode {
        Mode::Ask | Mode::Asked => 0,
        Mode::Alone { percent } => share_of(limit, percent).max(percent.min(1)),
    };
    let began_us = now_us - now_us % period_us.max(1);
    let is_open = match cells.open {
        (period, taken) if period == began_us => taken < allowed,
        _ => allowed > 0,
    };
    let used = cells.whole_us.saturating_sub(now_us).div_ceil(one);
    let used = i64::try_from(used).unwrap_or(i64::MAX);
    let fit = if is_held || is_open && cells.free_us <= now_us {
        Fit::Fits
    } else if cells.free_us > now_us {
        Fit::Breach
    } else {
        Fit::Short
    };
    Look {
        fit,
        // Cells that are held are not used yet.
        level: match is_held {
            true => used.saturating_sub(cells.stock).clamp(0, most),
            false => used.min(most),
        },
        limit: most,
        free_us: Some(cells.free_us),
        never: false,
    }
}

/// So many percent.
fn share_of(limit: i64, percent: i64) -> i64 {
    let share = i128::from(limit) * i128::from(percent) / 100;
    i64::try_from(share).unwrap_or(i64::MAX)
}

fn breach(subject: &Subject<'_>, want: &Want<'_>, look: &Look) -> Breach {
    let standing = Standing {
        level: look.level,
        limit: look.limit,
        free_us: look.free_us,
        never: look.never,
    };
    Breach::of(subject, want, standing)
}
