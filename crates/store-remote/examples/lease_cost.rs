//! What an admission costs within a lease, and with the server asked:
//! `cargo run --release -p tollgate-store-remote --example lease_cost -- URL`.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a tool that measures in real time and says what it found"
)]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use contract::seams::{Alarm, Clock, Ticks};
use meter::{
    Admitted, Counters, Dimension, Hold, Measure, Pace, Quota, QuotaKind, QuotaSpec, Refused,
    Scope, Subject, Want, Window,
};
use tollgate_store_remote::{OnUnavailable, SharedCounters, SharedOptions, ValkeyUrl};

/// Admissions within the lease.
const WARM: u32 = 200_000;
/// Admissions that ask.
const ASKED: u32 = 2_000;

struct WallClock(Instant);

impl Clock for WallClock {
    fn now(&self) -> Ticks {
        Ticks(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn unix_us(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
    }

    fn alarm(&self, _: Ticks) -> Box<dyn Alarm> {
        unreachable!("counters set no alarm")
    }
}

fn quota(name: &str, limit: i64) -> Arc<Quota> {
    Arc::new(Quota::new(QuotaSpec {
        name: name.into(),
        kind: QuotaKind::Budget,
        measure: Measure::Tokens,
        limit,
        pace: Pace::Window(Window::Forever),
        scope: Scope {
            by: vec![Dimension::User],
            only: Vec::new(),
        },
        hold: Hold::Enforce,
        overrides: Vec::new(),
        thresholds: Vec::new(),
        queue: None,
        usual: None,
    }))
}

async fn admit(
    counters: &dyn Counters,
    clock: &WallClock,
    quotas: &[Arc<Quota>],
    user: &str,
) -> Result<Admitted, Refused> {
    let subject = Subject {
        user,
        ..Subject::default()
    };
    let wants = quotas.iter().map(|quota| Want {
        quota,
        counter: quota.counter(&subject),
        amount: 1_000,
    });
    let wants: Vec<Want<'_>> = wants.collect();
    let now_us = clock.unix_us();
    match counters.admit(now_us, &subject, &wants) {
        Err(Refused::Short) => match counters.fetch(now_us, &subject, &wants) {
            Some(fetched) => fetched.await,
            None => Err(Refused::Unavailable),
        },
        other => other,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args()
        .nth(1)
        .ok_or("name the server: redis://..")?;
    let options = SharedOptions {
        group: "lease-cost".to_owned(),
        replica: format!("{:x}", WallClock(Instant::now()).unix_us()),
        deadline: Duration::from_millis(50),
        lease: Duration::from_secs(1),
        on_unavailable: OnUnavailable::Closed,
        counters_max: 100_000,
    };
    let clock = Arc::new(WallClock(Instant::now()));
    let shared = SharedCounters::start(ValkeyUrl::read(&url)?, options, clock.clone(), |_| {})?;
    let names = ["organisation", "tenant", "app", "user", "key"];
    let quotas = names.map(|name| quota(name, 1 << 50));
    while admit(&shared, &clock, &quotas, "warm").await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let began = Instant::now();
    for _ in 0..WARM {
        let admitted = admit(&shared, &clock, &quotas, "warm").await;
        let admitted = admitted.map_err(|why| format!("{why:?}"))?;
        shared.settle(&mut admitted.draws.iter().map(|draw| (draw, 500)));
    }
    println!(
        "within the lease, 5 counters, settled: {} ns",
        began.elapsed().as_nanos() / u128::from(WARM)
    );
    let began = Instant::now();
    for nth in 0..ASKED {
        let admitted = admit(&shared, &clock, &quotas, &nth.to_string()).await;
        admitted.map_err(|why| format!("{why:?}"))?;
    }
    println!(
        "with the server asked, 5 new counters: {} us",
        began.elapsed().as_micros() / u128::from(ASKED)
    );
    Ok(())
}
