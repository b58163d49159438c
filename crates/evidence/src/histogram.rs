//! A histogram of durations on plain atomics. The one of `prometheus-client`
//! takes a lock and adds floats; this one adds integers of microseconds.
//!
//! Deliberately not here: labels and names.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Number of finite buckets.
pub const BUCKETS: usize = 16;

/// Upper bounds for whole exchanges and first tokens, in microseconds. Those
/// of the GenAI semantic conventions (10 ms doubling to 81.92 s), with finer
/// ones below.
pub const EXCHANGE_US: [u64; BUCKETS] = [
    2_500, 5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, 2_560_000,
    5_120_000, 10_240_000, 20_480_000, 40_960_000, 81_920_000,
];

/// Upper bounds for the gateway's own time, in microseconds.
pub const OVERHEAD_US: [u64; BUCKETS] = [
    10, 20, 40, 60, 80, 100, 150, 200, 300, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000,
];

/// A histogram of microseconds.
#[derive(Debug)]
pub struct Histogram {
    bounds_us: &'static [u64; BUCKETS],
    /// Counts by bucket, not cumulative; the last one is beyond all bounds.
    counts: [AtomicU64; BUCKETS + 1],
    sum_us: AtomicU64,
}

/// What a histogram holds at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Sum in seconds.
    pub sum_s: f64,
    /// Number of observations.
    pub count: u64,
    /// Upper bound in seconds and count by bucket, not cumulative.
    pub buckets: Vec<(f64, u64)>,
}

impl Histogram {
    /// An empty histogram with these ascending bounds.
    pub fn new(bounds_us: &'static [u64; BUCKETS]) -> Self {
        Self {
            bounds_us,
            counts: Default::default(),
            sum_us: AtomicU64::new(0),
        }
    }

    /// Counts one observation, in microseconds.
    pub fn observe_us(&self, us: u64) {
        let bucket = self.bounds_us.partition_point(|bound| *bound < us);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
    }

    /// What it holds now. Sum and counts may differ by observations that
    /// happen meanwhile.
    pub fn snapshot(&self) -> Snapshot {
        let counts = self.counts.each_ref().map(|count| count.load(Relaxed));
        let bounds = self.bounds_us.iter().map(|us| seconds(*us));
        Snapshot {
            sum_s: seconds(self.sum_us.load(Relaxed)),
            count: counts.iter().sum(),
            buckets: bounds.chain([f64::INFINITY]).zip(counts).collect(),
        }
    }
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}
