//! Replicas around a real server that is killed, frozen and started empty.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use contract::seams::{Alarm, Clock, Ticks};
use meter::{
    Admitted, Counters as _, Hold, Measure, Pace, Quota, QuotaKind, QuotaSpec, Refused, Scope,
    Subject, Want, Window,
};

use super::{OnUnavailable, SharedCounters, SharedOptions};
use crate::valkey::ValkeyUrl;
use crate::valkey::tests::Server;

const LEASE: Duration = Duration::from_secs(1);
const LIMIT: i64 = 100_000;

/// The clock of this machine.
struct WallClock(Instant);

#[expect(clippy::disallowed_methods, reason = "this is the clock of the tests")]
impl Clock for WallClock {
    fn now(&self) -> Ticks {
        Ticks(u64::try_from(self.0.elapsed().as_nanos()).expect("it fits"))
    }

    fn unix_us(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        u64::try_from(now.expect("after 1970").as_micros()).expect("it fits")
    }

    fn alarm(&self, _: Ticks) -> Box<dyn Alarm> {
        unreachable!("counters set no alarm")
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock of the tests")]
fn clock() -> Arc<dyn Clock> {
    Arc::new(WallClock(Instant::now()))
}

fn replica(server: &Server, name: &str, on_unavailable: OnUnavailable) -> SharedCounters {
    let options = SharedOptions {
        group: "g".to_owned(),
        replica: name.to_owned(),
        deadline: Duration::from_millis(50),
        lease: LEASE,
        on_unavailable,
        counters_max: 1_000,
    };
    let url = ValkeyUrl::read(&server.url()).expect("an address");
    SharedCounters::start(url, options, clock(), |_| {}).expect("a thread starts")
}

fn budget() -> Arc<Quota> {
    Arc::new(Quota::new(QuotaSpec {
        name: "b".into(),
        kind: QuotaKind::Budget,
        measure: Measure::Tokens,
        limit: LIMIT,
        pace: Pace::Window(Window::Forever),
        scope: Scope::default(),
        hold: Hold::Enforce,
        overrides: Vec::new(),
        thresholds: Vec::new(),
        queue: None,
        usual: None,
    }))
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime starts")
}

/// As a call does it.
async fn admit(
    counters: &SharedCounters,
    quota: &Arc<Quota>,
    amount: i64,
) -> Result<Admitted, Refused> {
    let subject = Subject::default();
    let wants = [Want {
        quota,
        counter: quota.counter(&subject),
        amount,
    }];
    let now_us = clock().unix_us();
    match counters.admit(now_us, &subject, &wants) {
        Err(Refused::Short) => {
            let fetched = counters.fetch(now_us, &subject, &wants);
            fetched.expect("there is a server").await
        }
        other => other,
    }
}

/// Takes and settles until it was refused for good; what it took.
async fn spend(counters: &SharedCounters, quota: &Arc<Quota>, spent: &AtomicI64, most: i64) {
    while spent.load(Relaxed) < most {
        match admit(counters, quota, 70).await {
            Ok(admitted) => {
                // As much as was reserved, so there is no debt.
                let draw = &admitted.draws[0];
                spent.fetch_add(70, Relaxed);
                counters.settle(&mut [(draw, 70)].into_iter());
            }
            Err(Refused::Breached(_)) => {
                // Others may still give something back.
                if spent.load(Relaxed) > LIMIT * 9 / 10 {
                    return;
                }
            }
            Err(_) => {}
        }
        tokio::task::yield_now().await;
    }
}

/// Waits until a call of this size is let in.
async fn until_in(counters: &SharedCounters, quota: &Arc<Quota>, amount: i64) -> Admitted {
    loop {
        match admit(counters, quota, amount).await {
            Ok(admitted) => return admitted,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

#[test]
fn three_replicas_spend_one_budget_and_no_more_over_a_killed_server() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let quota = budget();
    let names = ["a", "b", "c"];
    let replicas = names.map(|name| Arc::new(replica(&server, name, OnUnavailable::Closed)));
    let spent = AtomicI64::new(0);
    let all = |most| {
        std::thread::scope(|scope| {
            for counters in &replicas {
                scope.spawn(|| runtime().block_on(spend(counters, &quota, &spent, most)));
            }
        });
    };
    all(LIMIT / 2);
    server.kill();
    // What is held is spent meanwhile; then they wait.
    let before = spent.load(Relaxed);
    server.start_again();
    all(LIMIT);
    let spent = spent.load(Relaxed);
    assert!(before >= LIMIT / 2, "{before}");
    assert!(spent <= LIMIT, "{spent}");
    assert!(spent > LIMIT * 9 / 10, "{spent}");
    assert!(replicas.iter().all(|it| it.figures().is_up));
    // Each knows what the others did.
    let levels = replicas[0].levels();
    let elsewhere: i64 = levels.iter().map(|level| level.elsewhere).sum();
    assert!(elsewhere > 0 && elsewhere < LIMIT, "{elsewhere}");
    for counters in &replicas {
        for figures in counters.figures().leases {
            let tick = 70;
            assert!(figures.outstanding <= figures.bound + tick, "{figures:?}");
        }
    }
}

#[test]
fn a_replica_that_ends_gives_its_shares_to_the_others() {
    let Some(server) = Server::start() else {
        return;
    };
    let quota = budget();
    let (first, second) = (
        replica(&server, "a", OnUnavailable::Closed),
        replica(&server, "b", OnUnavailable::Closed),
    );
    runtime().block_on(async {
        let admitted = until_in(&first, &quota, 1_000).await;
        first.settle(&mut [(&admitted.draws[0], 1_000)].into_iter());
        drop(first);
        let rest = until_in(&second, &quota, LIMIT - 1_000).await;
        assert_eq!(rest.draws[0].limit, LIMIT);
        let refused = admit(&second, &quota, 1).await;
        assert!(matches!(refused, Err(Refused::Breached(_))), "{refused:?}");
    });
}

#[test]
fn a_server_that_does_not_answer_closes_and_opens_again() {
    let Some(server) = Server::start() else {
        return;
    };
    let quota = budget();
    let counters = replica(&server, "a", OnUnavailable::Closed);
    runtime().block_on(async {
        until_in(&counters, &quota, 100).await;
        server.freeze(true);
        // More than is held: it has to ask, and hears nothing.
        let refused = admit(&counters, &quota, LIMIT / 2).await;
        assert_eq!(refused, Err(Refused::Unavailable));
        assert!(!counters.figures().is_up || counters.figures().failed == 0);
        // What is held goes on.
        admit(&counters, &quota, 100).await.expect("it is held");
        server.freeze(false);
        until_in(&counters, &quota, LIMIT / 2).await;
        assert!(counters.figures().refused > 0);
    });
}

#[test]
fn without_a_server_an_open_replica_takes_its_allowance_and_tells_it() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let quota = budget();
    let counters = replica(&server, "a", OnUnavailable::Open { percent: 10 });
    let other = replica(&server, "b", OnUnavailable::Closed);
    runtime().block_on(async {
        until_in(&other, &quota, 1).await;
        server.kill();
        let mut alone = 0;
        loop {
            match admit(&counters, &quota, 100).await {
                Ok(admitted) => {
                    counters.settle(&mut [(&admitted.draws[0], 100)].into_iter());
                    alone += 100;
                }
                Err(refused) => {
                    assert_eq!(refused, Refused::Unavailable);
                    break;
                }
            }
        }
        assert_eq!(alone, LIMIT / 10);
        server.start_again();
        // The other one learns of it: so much less is left.
        let rest = LIMIT - alone - 1;
        until_in(&other, &quota, rest).await;
        let refused = admit(&other, &quota, 1).await;
        assert!(matches!(refused, Err(Refused::Breached(_))), "{refused:?}");
    });
}
