//! What an admission asks the server for.

use meter::{Hold, Span, Subject, Want};

use super::{At, Bucket, CELLS_MAX, CELLS_US, Piece, Shares, cell_times};
use crate::call::{Call, Item, Kind, MAX, SHARE, grains_down, grains_up};

impl Shares {
    /// One call for all that is wanted and not held; `None` where there is no
    /// room for its counters, or nothing to ask.
    pub(crate) fn ask(
        &mut self,
        at: At,
        subject: &Subject<'_>,
        wants: &[Want<'_>],
    ) -> Option<Call> {
        if !self.has_room(at.now_us, wants) {
            return None;
        }
        let now_us = self.server_us(at.now_us);
        let (seq, lease_us) = (self.seq + 1, self.lease_us);
        let mut items = Vec::new();
        for want in wants {
            let limit = self.limit_of(at, subject, want);
            let bucket = self
                .buckets
                .entry(want.counter)
                .or_insert_with(|| Bucket::of(want, want.quota.scope.text(subject).into()));
            bucket.limit = limit;
            if bucket.sums == Kind::Cells {
                items.extend(bucket.cells_item(at, want, limit));
                continue;
            }
            let span = bucket.span(want, now_us);
            let (measure, counter) = (bucket.measure, want.counter);
            bucket.piece(span);
            // What is said of pieces that have passed comes first.
            let (sums, after_us) = (bucket.sums, bucket.after_us);
            for piece in &mut bucket.pieces {
                let says = piece.is_dirty || piece.held > piece.used();
                if piece.span != span && says && sums == Kind::Sliding {
                    piece.held = piece.used();
                    piece.is_dirty = false;
                    piece.asked = seq;
                    items.push(item(counter, sums, after_us, piece, measure));
                }
            }
            let piece = bucket.piece(span);
            if want.amount <= piece.slack(at.mono_us, lease_us) {
                continue;
            }
            if !piece.is_leased(at.mono_us, lease_us) {
                piece.held = piece.used();
            }
            piece.asked = seq;
            let whole = grains_down(measure, limit);
            let amount = grains_up(measure, want.amount);
            let firm = want.quota.hold == Hold::Enforce;
            let slice = (whole / SHARE).max(1);
            items.push(Item {
                limit: whole,
                need: match firm {
                    true => grains_up(measure, piece.used().saturating_add(want.amount)),
                    false => 0,
                },
                low: match firm {
                    true => amount.min(whole / SHARE),
                    false => amount,
                },
                high: match firm {
                    true => slice,
                    false => slice.max(amount),
                },
                ..item(counter, sums, after_us, piece, measure)
            });
        }
        self.call(items)
    }

    /// A call of these items; `None` where there are none.
    pub(super) fn call(&mut self, items: Vec<Item>) -> Option<Call> {
        if items.is_empty() {
            return None;
        }
        self.seq += 1;
        Some(Call {
            replica: self.replica.clone(),
            seq: self.seq,
            lease_us: i64::try_from(self.lease_us).unwrap_or(MAX),
            items,
        })
    }
}

impl Bucket {
    fn cells_item(&mut self, at: At, want: &Want<'_>, limit: i64) -> Option<Item> {
        let (one, all) = cell_times(want, limit)?;
        if at.mono_us < self.cells.until_us && self.cells.stock > 0 {
            return None;
        }
        let most = i64::try_from(all / one).unwrap_or(MAX) / SHARE;
        // What comes back while they can be used, and no more.
        let soon = i64::try_from(CELLS_US / one).unwrap_or(MAX);
        Some(Item {
            counter: want.counter,
            kind: Kind::Cells,
            slot: 0,
            ends: 0,
            limit: i64::try_from(one).unwrap_or(MAX).min(MAX),
            held: i64::try_from(all).unwrap_or(MAX).min(MAX / 4),
            used: 0,
            need: i64::from(want.quota.hold == Hold::Enforce),
            low: 0,
            high: most.min(soon).clamp(1, CELLS_MAX),
            acked: 0,
        })
    }
}

/// What a replica says of a piece, without asking for more.
pub(super) fn item(
    counter: u128,
    sums: Kind,
    after_us: u64,
    piece: &Piece,
    measure: meter::Measure,
) -> Item {
    let time = |us: u64| i64::try_from(us).unwrap_or(MAX).min(MAX);
    let span = match sums {
        // Permits end with the lease, whose end the server sets.
        Kind::Permits => Span {
            from_us: 0,
            until_us: 0,
        },
        Kind::Window | Kind::Sliding | Kind::Cells => piece.span,
    };
    Item {
        counter,
        kind: sums,
        slot: time(span.from_us),
        ends: time(span.until_us.saturating_add(after_us)),
        limit: 0,
        held: grains_up(measure, piece.held),
        used: piece.used_grains(measure),
        need: 0,
        low: 0,
        high: 0,
        acked: piece.acked,
    }
}
