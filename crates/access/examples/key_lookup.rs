//! What it costs to find the caller of a key, with 10,000 keys of the document
//! and 10,000 made at run time: known, unknown and revoked keys.
//!
//! `cargo run --release -p tollgate-access --example key_lookup`

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement reads the clock and prints"
)]

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use contract::Secret;
use tollgate_access::{Consumer, KeyLife, KeyRing, LiveKey, LiveKeys, Shown};

const KEYS: usize = 10_000;
const LOOKUPS: usize = 1_000_000;

fn text(kind: &str, nth: usize) -> String {
    format!("tg-{nth:08}-{kind:0>43}")
}

fn main() {
    let mut ring = KeyRing::new([1; 32]);
    let empty = LiveKeys::new(Secret::new([2; 32]));
    let mut table = HashMap::new();
    let revoked = Arc::new(KeyLife::new(false));
    revoked.revoke();
    for nth in 0..KEYS {
        let consumer = |kind: &str| Consumer::new(format!("{kind}{nth}"), "tenant", "app");
        ring.add(&Secret::new(text("own", nth)), consumer("own"));
        for kind in ["live", "revoked"] {
            let life = match kind {
                "live" => Arc::new(KeyLife::new(false)),
                _ => revoked.clone(),
            };
            let key = LiveKey {
                consumer: Arc::new(consumer(kind)),
                life,
                until_us: Some(2),
            };
            table.insert(empty.digest(&Secret::new(text(kind, nth))), key);
        }
    }
    let live = empty.with(table);
    for kind in ["own", "live", "revoked", "unknown"] {
        let keys: Vec<String> = (0..KEYS).map(|nth| text(kind, nth)).collect();
        let begin = Instant::now();
        let mut found = 0usize;
        for key in keys.iter().cycle().take(LOOKUPS) {
            let shown = Shown {
                key,
                from_loopback: false,
                now_us: 1,
            };
            found += usize::from(black_box(ring.identify_any(&live, &shown)).is_ok());
        }
        let each = begin.elapsed().as_nanos() / LOOKUPS as u128;
        println!("{kind:<8} {each:>5} ns each, {found} found");
    }
}
