//! What stands in the shares, for people and metrics.

use meter::{Level, Measure, Want};

use super::{At, Shares};
use crate::call::{SHARE, amount, grains_down};

/// What leases of one measure come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Of what.
    pub(crate) measure: Measure,
    /// Held and not used.
    pub(crate) outstanding: i64,
    /// What it can come to at most.
    pub(crate) bound: i64,
    /// Used beyond what was held, and not told yet.
    pub(crate) overdraft: i64,
}

impl Shares {
    /// What stands in the counters of these wants: our own use, and that of
    /// others as far as it was told.
    pub(crate) fn levels_of(&self, at: At, wants: &[Want<'_>]) -> Vec<i64> {
        let now_us = self.server_us(at.now_us);
        let level = |want: &Want<'_>| {
            let bucket = self.buckets.get(&want.counter)?;
            let span = bucket.span(want, now_us);
            let piece = bucket.pieces.iter().find(|piece| piece.span == span)?;
            Some(piece.used().saturating_add(piece.others_used))
        };
        wants.iter().map(|want| level(want).unwrap_or(0)).collect()
    }

    /// Every counter that is kept here: what this replica did, and what others
    /// had done when the server last spoke of it.
    pub(crate) fn levels(&self) -> Vec<Level> {
        let levels = self.buckets.iter().flat_map(|(counter, bucket)| {
            bucket.pieces.iter().map(|piece| Level {
                quota: bucket.quota.clone(),
                measure: bucket.measure,
                counter: *counter,
                scope: bucket.scope.clone(),
                span: piece.span,
                settled: piece.settled,
                reserved: piece.reserved,
                elsewhere: piece.others_used,
            })
        });
        levels.collect()
    }

    /// Estimation debt since the start.
    pub(crate) fn debt(&self, measure: Measure) -> i64 {
        self.debts[measure as usize]
    }

    /// What leases come to, by measure.
    pub(crate) fn held(&self) -> Vec<Held> {
        let mut all = Measure::ALL.map(|measure| Held {
            measure,
            outstanding: 0,
            bound: 0,
            overdraft: 0,
        });
        for bucket in self.buckets.values() {
            let held = &mut all[bucket.measure as usize];
            let whole = grains_down(bucket.measure, bucket.limit);
            let slice = amount(bucket.measure, (whole / SHARE).max(1));
            for piece in &bucket.pieces {
                let slack = piece.held.saturating_sub(piece.used());
                let over = piece.used().saturating_sub(piece.granted);
                held.outstanding = held.outstanding.saturating_add(slack.max(0));
                held.bound = held.bound.saturating_add(slice);
                held.overdraft = held.overdraft.saturating_add(over.max(0));
            }
            held.outstanding = held.outstanding.saturating_add(bucket.cells.stock);
            if bucket.cells.whole_us > 0 {
                held.bound = held.bound.saturating_add(slice);
            }
        }
        all.to_vec()
    }
}
