//! The script on a real server.

mod server;

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Connection, ValkeyUrl};
use crate::call::{Call, Item, Kind, MAX};
use crate::model::Model;

pub(crate) use server::Server;

pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime starts")
}

/// A step of a history: a call, whose times are from now on.
fn call() -> impl Strategy<Value = Call> {
    let kind = prop::sample::select(vec![
        Kind::Window,
        Kind::Sliding,
        Kind::Permits,
        Kind::Cells,
    ]);
    let amount = || prop_oneof![3 => 0_i64..50, 1 => 0_i64..1_000_000, 1 => MAX - 100..=MAX];
    let wish = prop_oneof![1 => Just(0_i64), 4 => 1_i64..60];
    let numbers = (amount(), amount(), amount(), amount(), 0_i64..30, wish);
    let ends = prop_oneof![1 => 0_i64..30_000, 4 => Just(1_000_000_000_i64), 1 => Just(MAX)];
    let item = (0_u128..4, kind, 0_i64..3, ends, numbers, 0_i64..20);
    let item = item.prop_map(|(nth, kind, slot, ends, numbers, acked)| {
        let (limit, held, used, need, low, high) = numbers;
        let is_cells = kind == Kind::Cells;
        Item {
            // A counter is always of one kind.
            counter: nth * 4 + kind as u128,
            kind,
            slot,
            ends,
            limit: if is_cells { limit % 5_000 + 1 } else { limit },
            held: if is_cells { held % 100_000 } else { held },
            used: used.min(held),
            need: if is_cells { need % 3 } else { need },
            low,
            high,
            acked: acked % 3,
        }
    });
    let lease = prop::sample::select(vec![0_i64, 1_000, 20_000]);
    let items = prop::collection::vec(item, 0..5);
    (0_u8..3, 1_i64..60, lease, items).prop_map(|(replica, seq, lease_us, items)| Call {
        replica: format!("r{replica}").into(),
        seq,
        lease_us,
        items,
    })
}

/// Histories; more of them by `PROPTEST_CASES`.
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|asked| asked.parse().ok()).unwrap_or(300)
}

#[test]
fn the_script_is_the_model() {
    let Some(server) = Server::start() else {
        return;
    };
    let runtime = runtime();
    let url = ValkeyUrl::read(&server.url()).expect("an address");
    let group = std::cell::Cell::new(0);
    let seen = std::cell::RefCell::new([0; 4]);
    let histories = prop::collection::vec((call(), any::<u8>()), 1..40);
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(cases())
    });
    let done = runner.run(&histories, |history| {
        group.set(group.get() + 1);
        let name = format!("g{}", group.get());
        let link = runtime.block_on(Connection::open(&url, &name, DEADLINE));
        let link = link.expect("it connects");
        let mut model = Model::default();
        let now = runtime.block_on(link.now_us());
        for (mut call, luck) in history {
            for item in &mut call.items {
                item.ends = item.ends.saturating_add(now).min(MAX);
            }
            if luck < 10 {
                let counter = call.items.first().map_or(0, |item| item.counter);
                runtime.block_on(link.forget(Some(counter)));
                model.evict(counter);
            } else if luck < 15 {
                runtime.block_on(link.forget(None));
                model.lose_register();
            }
            let told = runtime.block_on(link.call(&call)).expect("it answers");
            seen.borrow_mut()[told.status as usize] += 1;
            prop_assert_eq!(&model.call(told.now_us, &call), &told, "{:?}", call);
        }
        Ok(())
    });
    if let Err(why) = done {
        panic!("{why}");
    }
    // Each answer was given often.
    let seen = seen.into_inner();
    assert!(seen.iter().all(|times| *times > 100), "{seen:?}");
}

impl Connection {
    /// The server's time.
    async fn now_us(&self) -> i64 {
        let mut connection = self.connection.clone();
        let time: Result<(i64, i64), _> = redis::cmd("TIME").query_async(&mut connection).await;
        let (seconds, us) = time.expect("it answers");
        seconds * 1_000_000 + us
    }

    /// Loses a counter, or the register.
    async fn forget(&self, counter: Option<u128>) {
        let key = match counter {
            Some(counter) => format!("{}:c:{counter:032x}", self.tag),
            None => self.register.clone(),
        };
        let mut connection = self.connection.clone();
        let gone: Result<i64, _> = redis::cmd("DEL")
            .arg(key)
            .query_async(&mut connection)
            .await;
        gone.expect("it answers");
    }
}

#[test]
fn a_server_that_is_not_there_is_said_so() {
    let url = ValkeyUrl::read("redis://127.0.0.1:1/").expect("an address");
    let opened = runtime().block_on(Connection::open(&url, "g", DEADLINE));
    let said = opened.err().expect("nobody listens there").to_string();
    assert!(said.contains("cannot be reached"), "{said}");
}

#[test]
fn addresses_are_read_and_never_shown() {
    for text in [
        "redis://:secret@h:6379/0",
        "rediss://h",
        "unix:///run/valkey.sock",
    ] {
        let url = ValkeyUrl::read(text).expect("an address");
        assert_eq!(format!("{url:?}"), "ValkeyUrl");
    }
    for text in ["", "h:6379", "http://h"] {
        assert!(ValkeyUrl::read(text).is_err(), "{text}");
    }
}
