//! Upkeep: leases are renewed in time, what is not used goes back, what was
//! used is told, and what has passed is forgotten.

use super::asks::item;
use super::{At, Piece, Shares};
use crate::call::{Call, Item, Kind, MAX, SHARE, amount, grains_down};

/// Items of one call of upkeep: the server does nothing else meanwhile.
const ITEMS_MAX: usize = 32;
/// A share is filled up before it is used up: at a quarter of a slice.
const REFILL: i64 = 4;

impl Shares {
    /// What is due to be said.
    pub(crate) fn tend(&mut self, at: At) -> Vec<Call> {
        let round = Round {
            at,
            now_us: self.server_us(at.now_us),
            lease_us: self.lease_us,
        };
        let mut seq = self.seq + 1;
        let mut items = Vec::new();
        for (counter, bucket) in &mut self.buckets {
            let (sums, after_us, measure) = (bucket.sums, bucket.after_us, bucket.measure);
            let whole = bucket.limit;
            let limit = grains_down(measure, whole);
            let most = amount(measure, (limit / SHARE).max(1));
            for piece in &mut bucket.pieces {
                if piece.span.until_us.saturating_add(after_us) <= round.now_us {
                    continue;
                }
                let Some(is_thin) = round.look_after(piece, (whole, most), sums) else {
                    continue;
                };
                piece.asked = seq;
                let said = item(*counter, sums, after_us, piece, measure);
                items.push(Item {
                    limit,
                    high: match is_thin {
                        true => (limit / SHARE).max(1),
                        false => 0,
                    },
                    ..said
                });
                if items.len().is_multiple_of(ITEMS_MAX) {
                    seq += 1;
                }
            }
        }
        let mut calls = Vec::new();
        for some in items.chunks(ITEMS_MAX) {
            calls.extend(self.call(some.to_vec()));
        }
        if calls.is_empty() && round.is_due(self.synced_us) {
            // A server that has lost something is noticed in time.
            self.seq += 1;
            calls.push(Call {
                replica: self.replica.clone(),
                seq: self.seq,
                lease_us: i64::try_from(self.lease_us).unwrap_or(MAX),
                items: Vec::new(),
            });
        }
        calls
    }

    /// Gives back all that is not used, before the replica ends.
    pub(crate) fn leave(&mut self, at: At) -> Vec<Call> {
        for piece in self.buckets.values_mut().flat_map(|it| &mut it.pieces) {
            piece.held = piece.used();
            piece.is_dirty = true;
            piece.is_touched = false;
        }
        self.tend(at)
    }

    /// Lets go of windows that have passed and hold nothing that is reserved.
    pub(crate) fn sweep(&mut self, now_us: u64) {
        let now_us = self.server_us(now_us);
        self.buckets.retain(|_, bucket| {
            let (after_us, sums) = (bucket.after_us, bucket.sums);
            bucket.pieces.retain(|piece| {
                let is_over = piece.span.until_us.saturating_add(after_us) <= now_us;
                // Permits that nobody uses any more, and that were given back.
                let is_idle = sums == Kind::Permits
                    && piece.held == 0
                    && !piece.is_dirty
                    && !piece.is_touched;
                piece.reserved > 0 || !is_over && !is_idle
            });
            !bucket.pieces.is_empty() || bucket.cells.stock > 0 || bucket.cells.whole_us > now_us
        });
    }
}

/// One round of upkeep.
struct Round {
    at: At,
    /// The server's time.
    now_us: u64,
    lease_us: u64,
}

impl Round {
    /// Whether a third of the lease has passed since.
    fn is_due(&self, synced_us: Option<u64>) -> bool {
        let passed = |sent_us| self.at.mono_us.saturating_sub(sent_us);
        synced_us.is_none_or(|sent_us| passed(sent_us) >= self.lease_us / 3)
    }

    /// Lets go of what a piece needs no more, of this limit with slices of
    /// that size. `None` where nothing is to be said; else whether more is
    /// wanted.
    fn look_after(&self, piece: &mut Piece, limits: (i64, i64), sums: Kind) -> Option<bool> {
        let (limit, most) = limits;
        let is_due = self.is_due(piece.synced_us);
        let slack = piece.held.saturating_sub(piece.used());
        let is_current = piece.span.holds(self.now_us);
        let is_thin = is_current && piece.is_touched && slack < piece.slice / REFILL;
        // What calls did not need after all.
        let is_fat = slack > most;
        let keeps = slack > 0 || sums == Kind::Permits && piece.held > 0;
        let tells = piece.is_dirty || is_fat || is_due && (keeps || piece.is_touched);
        if !tells && !is_thin {
            return None;
        }
        let is_over = !piece.is_leased(self.at.mono_us, self.lease_us);
        if is_over || !is_current || is_due && !piece.is_touched {
            piece.held = piece.used();
        }
        if is_fat {
            piece.held = piece.held.min(piece.used().saturating_add(most));
        }
        if piece.told_us.is_some() {
            // The limit may have been lowered.
            let room = limit.saturating_sub(piece.others_held);
            piece.held = piece.held.min(room).max(piece.used());
        }
        piece.is_touched &= !is_due;
        piece.is_dirty = false;
        Some(is_thin)
    }
}
