//! Cells: requests that are spread evenly, with a burst (the generic cell rate
//! algorithm).

use super::{Bucket, Look, Next};

pub(super) fn cell(now_us: u64, limit: i64, pace: (u64, u64), bucket: Option<&Bucket>) -> Look {
    let (period_us, burst) = pace;
    let Some(per_call) = per_call(limit, period_us) else {
        return Look {
            next: Next::Cell(0),
            level: 0,
            limit,
            fits: false,
            free_us: None,
            never: true,
        };
    };
    let tolerance = per_call.saturating_mul(burst.max(1));
    let latest = now_us.saturating_add(tolerance);
    let next_us = bucket.map_or(0, |bucket| bucket.next_us);
    let from_us = next_us.clamp(now_us, latest);
    let after_us = from_us.saturating_add(per_call);
    let used = (from_us - now_us).div_ceil(per_call);
    Look {
        next: Next::Cell(after_us),
        level: i64::try_from(used).unwrap_or(i64::MAX),
        limit: i64::try_from(burst.max(1)).unwrap_or(i64::MAX),
        fits: after_us <= latest,
        free_us: Some(after_us.saturating_sub(tolerance)),
        never: false,
    }
}

/// Microseconds between two cells; `None` where there are none.
pub(super) fn per_call(limit: i64, period_us: u64) -> Option<u64> {
    let limit = u64::try_from(limit).ok().filter(|limit| *limit > 0)?;
    Some((period_us / limit).max(1))
}
