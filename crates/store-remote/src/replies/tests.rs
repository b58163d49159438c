//! Replies of replicas on a real server: the suite of all stores over two of
//! them at once, counts, clocks, and a server that dies or says nothing.

use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use contract::seams::{Alarm, Clock, Ticks};
use store::replies::conformance::{self, claim, key, reply};
use store::{LaneClaimed, ReplyLane, ReplyState};

use super::*;
use crate::postgres::tests::{HANG, Server, number, options, quiet, reached};

/// Two replicas that take turns.
struct Twins {
    both: [PostgresReplies; 2],
    turn: AtomicUsize,
}

impl Twins {
    fn new(server: &Server, schema: &str, time: Time) -> Self {
        let one = || PostgresReplies {
            time,
            ..PostgresReplies::new(reached(server, schema))
        };
        Self {
            both: [one(), one()],
            turn: AtomicUsize::new(0),
        }
    }

    fn next(&self) -> &PostgresReplies {
        &self.both[self.turn.fetch_add(1, Relaxed) % 2]
    }
}

impl Replies for Twins {
    fn claim(&self, claim: &ReplyClaim) -> Result<Claimed, RepliesError> {
        self.next().claim(claim)
    }
    fn is_running(&self, key: &ReplyKey, now_us: u64) -> Result<bool, RepliesError> {
        self.next().is_running(key, now_us)
    }
    fn settle(
        &self,
        key: &ReplyKey,
        by: &str,
        end: &ReplyEnd,
        at: (u64, ReplyLimits),
    ) -> Result<Settled, RepliesError> {
        self.next().settle(key, by, end, at)
    }
    fn renew(&self, owner: &str, now_us: u64, lease_us: u64) -> Result<(), RepliesError> {
        self.next().renew(owner, now_us, lease_us)
    }
    fn forget(&self, now_us: u64, most: u64) -> Result<u64, RepliesError> {
        self.next().forget(now_us, most)
    }
    fn held(&self) -> Result<Held, RepliesError> {
        self.next().held()
    }
}

#[test]
fn two_replicas_pass_the_suite() {
    let Some(server) = Server::start() else {
        return;
    };
    let made = AtomicUsize::new(0);
    conformance::check(&|| {
        let schema = format!("suite_{}", made.fetch_add(1, Relaxed));
        Arc::new(Twins::new(&server, &schema, Time::Caller))
    });
}

/// What is counted is what there is.
fn counts_are_right(server: &Server, schema: &str) {
    let differ = server.psql(&format!(
        "SELECT count(*) FROM
           (SELECT tenant AS name, count(*) AS keys, sum(bytes) AS bytes
            FROM {schema}.replies GROUP BY tenant) r
           FULL JOIN (SELECT * FROM {schema}.reply_counts WHERE NOT is_share) c USING (name)
         WHERE r.keys IS DISTINCT FROM c.keys OR r.bytes IS DISTINCT FROM c.bytes"
    ));
    assert_eq!(differ, "0");
    let differ = server.psql(&format!(
        "SELECT (SELECT count(*) FROM {schema}.replies)
                  = (SELECT coalesce(sum(keys), 0) FROM {schema}.reply_counts WHERE is_share)
            AND (SELECT coalesce(sum(bytes), 0) FROM {schema}.replies)
                  = (SELECT coalesce(sum(bytes), 0) FROM {schema}.reply_counts WHERE is_share)"
    ));
    assert_eq!(differ, "t");
}

#[test]
fn replicas_at_once_keep_to_the_limits_and_count_right() {
    let Some(server) = Server::start() else {
        return;
    };
    let twins = Twins::new(&server, "busy", Time::Caller);
    let limits = ReplyLimits {
        keys: 60,
        keys_per_tenant: 20,
        bytes: 900,
    };
    let held_most = Mutex::new(Held::default());
    std::thread::scope(|scope| {
        for worker in 0..4_u64 {
            let (twins, held_most) = (&twins, &held_most);
            scope.spawn(move || {
                for nth in 0..60_u64 {
                    // Time goes on, so there is something to forget.
                    let now_us = 1_000_000 + nth * 400_000;
                    let name = format!("{worker}-{nth}");
                    let mut wanted = ReplyClaim {
                        now_us,
                        limits,
                        ..claim(&name)
                    };
                    wanted.key.tenant = format!("tenant-{}", (worker + nth) % 5);
                    match twins.claim(&wanted) {
                        Ok(Claimed::First) => {}
                        Ok(Claimed::Found(row)) => panic!("{row:?}"),
                        Err(RepliesError::Full(..)) => continue,
                        Err(error) => panic!("{error}"),
                    }
                    let end = match nth % 3 {
                        0 => ReplyEnd::Released,
                        1 => ReplyEnd::Unknown,
                        _ => ReplyEnd::Completed {
                            status: 200,
                            reply: Some(reply(50)),
                        },
                    };
                    let ended = twins.settle(&wanted.key, &wanted.by, &end, (now_us, limits));
                    assert_ne!(ended.expect("it answers"), Settled::Gone);
                    if nth % 7 == 0 {
                        twins.forget(now_us, 3).expect("it answers");
                    }
                    let held = twins.held().expect("it answers");
                    let mut most = held_most.lock().expect("no panic");
                    most.keys = most.keys.max(held.keys);
                    most.bytes = most.bytes.max(held.bytes);
                }
            });
        }
    });
    let most = held_most.into_inner().expect("no panic");
    // Two that are written at the same moment do not see each other's share.
    assert!((20..=60 + 3).contains(&most.keys), "{most:?}");
    assert!(most.bytes <= 900 + 3 * 120, "{most:?}");
    counts_are_right(&server, "busy");
    assert!(twins.forget(u64::MAX / 4, 1_000).expect("it answers") > 0);
    assert_eq!(twins.held().expect("it answers"), Held::default());
    let left = server.psql("SELECT count(*) FROM busy.reply_counts WHERE NOT is_share");
    assert_eq!(left, "0", "no tenant leaves anything");
}

#[test]
fn all_go_by_the_servers_clock() {
    let Some(server) = Server::start() else {
        return;
    };
    let twins = Twins::new(&server, "clock", Time::Server);
    let [one, other] = &twins.both;
    let minute = ReplyClaim {
        lease_us: 60_000_000,
        ..claim("a")
    };
    assert_eq!(one.claim(&minute).expect("it answers"), Claimed::First);
    // The clock of this replica is far ahead: the call runs all the same.
    let ahead = u64::MAX / 4;
    assert!(other.is_running(&key("a"), ahead).expect("it answers"));
    let again = ReplyClaim {
        by: "call-b".to_owned(),
        now_us: ahead,
        ..minute.clone()
    };
    let Claimed::Found(row) = other.claim(&again).expect("it answers") else {
        panic!("it runs");
    };
    assert_eq!(
        (row.by.as_str(), row.state),
        ("call-a", ReplyState::Running)
    );
    assert!(row.started_us > 1_700_000_000_000_000, "{}", row.started_us);
    assert_eq!(other.forget(ahead, 9).expect("it answers"), 0);
    assert_eq!(other.last_held().keys, 1);
    // Nor is one whose clock stands still taken to run for ever.
    let short = ReplyClaim {
        lease_us: 0,
        ..claim("b")
    };
    assert_eq!(one.claim(&short).expect("it answers"), Claimed::First);
    assert!(!one.is_running(&key("b"), 0).expect("it answers"));
}

#[test]
fn without_its_server_nothing_is_taken_and_nothing_is_lost() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let store = PostgresReplies::new(reached(&server, "gone"));
    assert_eq!(
        store.claim(&claim("a")).expect("it answers"),
        Claimed::First
    );
    let end = ReplyEnd::Completed {
        status: 200,
        reply: Some(reply(9)),
    };
    let at = (0, conformance::LIMITS);
    let kept = store.settle(&key("a"), "call-a", &end, at);
    assert_eq!(kept.expect("it answers"), Settled::Kept);
    server.kill();
    let refused = store.claim(&claim("b"));
    assert!(
        matches!(refused, Err(RepliesError::Remote(_))),
        "{refused:?}"
    );
    assert!(store.is_running(&key("a"), 0).is_err());
    // Now that it is known to be away nothing is sent, which is no doubt.
    while store.database.figures().is_up {
        std::thread::yield_now();
    }
    let refused = store.claim(&claim("c"));
    assert!(
        refused.as_ref().is_err_and(|error| !error.leaves_doubt()),
        "{refused:?}"
    );
    server.start_again();
    assert!(store.database.wait_until_up(HANG));
    let Claimed::Found(row) = store.claim(&claim("a")).expect("it answers") else {
        panic!("it was answered");
    };
    assert!(matches!(
        row.state,
        ReplyState::Completed { reply: Some(_), .. }
    ));
}

#[test]
fn large_replies_are_forgotten_a_few_at_a_time() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = PostgresReplies {
        time: Time::Caller,
        ..PostgresReplies::new(reached(&server, "large"))
    };
    let limits = ReplyLimits {
        keys: 10,
        keys_per_tenant: 10,
        bytes: 1 << 30,
    };
    let mib = 1 << 20;
    let mut all = Vec::from([(); 4].map(|()| 5 * mib));
    all.push(20 * mib);
    for (nth, bytes) in all.iter().enumerate() {
        let mut wanted = claim(&format!("{nth}"));
        wanted.now_us += nth as u64;
        wanted.limits = limits;
        assert_eq!(store.claim(&wanted).expect("it answers"), Claimed::First);
        let end = ReplyEnd::Completed {
            status: 200,
            reply: Some(reply(*bytes)),
        };
        let ending = Ending::of(&wanted.key, &wanted.by, &end, Some(signed(wanted.now_us)));
        let kept = store.database.run(HANG, move |client| {
            Box::pin(async move { make_end(client, ending, limits).await })
        });
        assert_eq!(kept.expect("it answers"), Settled::Kept);
    }
    let late = Some(i64::MAX / 4);
    let pieces: Vec<u64> = (0..4)
        .map(|_| {
            let gone = store.database.run(HANG, move |client| {
                Box::pin(async move { forget(client, late, 1_000).await })
            });
            gone.expect("it answers")
        })
        .collect();
    assert_eq!(pieces, [2, 2, 1, 0]);
    counts_are_right(&server, "large");
}

/// A clock that stands still.
struct Stands;

impl Clock for Stands {
    fn now(&self) -> Ticks {
        Ticks(0)
    }
    fn unix_us(&self) -> u64 {
        1_000_000
    }
    fn alarm(&self, _: Ticks) -> Box<dyn Alarm> {
        unreachable!("the lane sets none")
    }
}

/// Wakes a thread.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait<T>(asked: impl Future<Output = T>) -> T {
    let mut asked = pin!(asked);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match asked.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(found) => return found,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn lane(store: PostgresReplies, owner: &str) -> ReplyLane {
    ReplyLane::new(Arc::new(store), Arc::new(Stands), owner.to_owned()).expect("a thread")
}

/// A key whose claim the server took in without anybody hearing of it is free
/// again: the call was never made.
#[test]
fn a_claim_whose_answer_was_lost_locks_nobody_out() {
    let Some(server) = Server::start() else {
        return;
    };
    let watch = reached(&server, "lost");
    let store = PostgresReplies::new(reached(&server, "lost"));
    let one = lane(store, "process-1");
    let other = lane(PostgresReplies::new(reached(&server, "lost")), "process-2");
    // Somebody holds the rows of counts, so the claim waits in the server
    // beyond its deadline.
    assert!(wait(one.claim(claim("first"))).is_ok_and(|it| matches!(it, LaneClaimed::First(_))));
    one.flush();
    let before = server.psql("SELECT count(*) FROM lost.replies");
    let held = Arc::new(std::sync::Barrier::new(2));
    let (holds, freed) = (held.clone(), held.clone());
    let holder = std::thread::spawn(move || {
        watch.run(HANG, move |client| {
            Box::pin(async move {
                let transaction = client.transaction().await?;
                let lock = "LOCK TABLE reply_counts IN ACCESS EXCLUSIVE MODE";
                transaction.batch_execute(lock).await?;
                tokio::task::spawn_blocking(move || {
                    holds.wait();
                    holds.wait();
                })
                .await
                .expect("no panic");
                transaction.commit().await
            })
        })
    });
    held.wait();
    let lost = wait(one.claim(claim("a")));
    assert!(matches!(lost, Err(RepliesError::Remote(_))));
    freed.wait();
    holder.join().expect("no panic").expect("it answers");
    let again = || {
        let wanted = ReplyClaim {
            by: "call-b".to_owned(),
            ..claim("a")
        };
        one.flush();
        match wait(other.claim(wanted)) {
            Ok(LaneClaimed::First(live)) => Some(live),
            Ok(LaneClaimed::Found(_)) | Err(_) => None,
        }
    };
    let live = loop {
        if let Some(live) = again() {
            break live;
        }
        std::thread::yield_now();
    };
    drop(live);
    other.flush();
    assert_eq!(server.psql("SELECT count(*) FROM lost.replies"), before);
    counts_are_right(&server, "lost");
}

/// Whatever moment the server is killed in, of two replicas one has the key.
#[test]
fn a_killed_server_never_lets_two_calls_have_a_key() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let stores = ["process-1", "process-2"].map(|owner| {
        let mut options = options(&server, "killed");
        options.deadline = Duration::from_secs(2);
        let database = Postgres::start(options, quiet).expect("a thread");
        assert!(database.wait_until_up(HANG));
        (owner, PostgresReplies::new(database))
    });
    let firsts = Mutex::new(std::collections::BTreeMap::<String, usize>::new());
    for round in 0..3 {
        std::thread::scope(|scope| {
            for (owner, store) in &stores {
                let firsts = &firsts;
                scope.spawn(move || {
                    for nth in 0..1_000 {
                        let name = format!("{round}-{nth}");
                        let mut wanted = ReplyClaim {
                            owner: (*owner).to_owned(),
                            by: format!("{owner}-{name}"),
                            lease_us: 600_000_000,
                            ..claim(&name)
                        };
                        wanted.limits.keys = 100_000;
                        wanted.limits.keys_per_tenant = 100_000;
                        match store.claim(&wanted) {
                            Ok(Claimed::First) => {
                                *firsts.lock().expect("no panic").entry(name).or_default() += 1;
                            }
                            Ok(Claimed::Found(_)) => {}
                            Err(_) => return,
                        }
                    }
                });
            }
            while firsts.lock().expect("no panic").len() < 20 * (round + 1) {
                std::thread::yield_now();
            }
            server.kill();
        });
        server.start_again();
        for (_, store) in &stores {
            assert!(store.database.wait_until_up(HANG));
        }
    }
    let firsts = firsts.into_inner().expect("no panic");
    assert!(firsts.len() >= 60);
    assert!(firsts.values().all(|count| *count == 1), "one has the key");
    let kept = number(&stores[0].1.database, "SELECT count(*) FROM replies");
    assert!(
        kept.expect("it answers") >= firsts.len() as i64,
        "none is lost"
    );
    counts_are_right(&server, "killed");
}
