//! The ledger in a real server: nothing missing, nothing twice, and the sums
//! are those of one gateway's own index.

use std::sync::Arc;

use store::index::spend::{Dimension, Question, Within};
use store::index::{IndexOptions, Leg, LimitHit, RecordIndex, Row};
use store::{Journal, MemoryJournal};

use super::{Brought, Differing, LedgerRow, Outcome, Position, SharedLedger, Wanted};
use crate::postgres::tests::{HANG, Server, number, reached};

const HOUR_US: u64 = 3_600_000_000;
const NODE: [u8; 16] = [7; 16];

/// One record in six minutes. Some are of great numbers, some have attempts
/// beside them, and some texts hold what PostgreSQL cannot.
fn row(n: u64) -> Row {
    let text = |text: &str, of: u64| format!("{text}{}", n % of);
    let is_refused = n.is_multiple_of(10);
    let leg = Leg {
        provider: "other".to_owned(),
        model: "m9".to_owned(),
        input_tokens: 3,
        cost_nanos: 11,
        ..Leg::default()
    };
    let mut request_id = [0; 16];
    request_id[8..].copy_from_slice(&n.to_be_bytes());
    Row {
        request_id,
        // The clock steps back now and then.
        ended_us: (n + 10) * HOUR_US / 10 - (n % 3) * HOUR_US / 2,
        tenant: text("t", 3),
        app: text("Ä\u{1}", 2),
        key_id: text("k", 2),
        use_case: text("u", 4),
        user: text("nobody", 7),
        provider: if is_refused {
            String::new()
        } else {
            text("p", 2)
        },
        model: text("m", 5),
        status: if is_refused { 429 } else { 200 },
        outcome: if is_refused { "refused" } else { "complete" }.to_owned(),
        input_tokens: match n % 40 {
            3 => u64::MAX,
            _ => n * 1_000_003,
        },
        output_tokens: n,
        cached_read_tokens: n * 3,
        estimated: n.is_multiple_of(7),
        first_token_us: (!is_refused).then_some(n * 10),
        cost_nanos: (!is_refused).then_some(match n % 50 {
            // An index orders by floating point, so one of them is enough.
            1 if n == 101 => i64::MAX,
            2 => -7,
            _ => i64::try_from(n).unwrap() * 1_001 + 11,
        }),
        price_version: if is_refused {
            String::new()
        } else {
            text("v", 2)
        },
        limit: is_refused.then(|| LimitHit {
            name: "daily".to_owned(),
            kind: "budget".to_owned(),
            verdict: "deny".to_owned(),
        }),
        legs: if n % 4 == 1 { vec![leg; 2] } else { Vec::new() },
        ..Row::default()
    }
}

fn brought(n: u64) -> Brought {
    let of = |settled| LedgerRow {
        quota: "daily\0".to_owned(),
        measure: "cost".to_owned(),
        counter: u128::MAX - u128::from(n),
        until_us: u64::MAX,
        reserved: 5,
        settled,
        attempt: Some(1),
        ..LedgerRow::default()
    };
    Brought {
        sequence: n,
        recorded_us: (1..=n).map(|n| row(n).ended_us).max().unwrap_or(0),
        row: row(n),
        ledger: vec![of(Some(4)), of(None)],
        payload: n.to_be_bytes().to_vec(),
    }
}

fn at(sequence: u64) -> Position {
    Position {
        sequence,
        hash: [u8::try_from(sequence % 251).unwrap(); 32],
        recorded_us: (1..=sequence).map(|n| row(n).ended_us).max().unwrap_or(0),
        unreadable: 0,
    }
}

fn wanted(n: u64) -> Wanted {
    let it = brought(n);
    Wanted {
        request_id: it.row.request_id,
        payload: it.payload,
        ledger: it.ledger,
    }
}

#[test]
fn batches_are_there_once_whatever_dies_between() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let postgres = reached(&server, "once");
    let ledger = SharedLedger::new(postgres.clone(), NODE);
    assert_eq!(ledger.position(), Ok(Position::default()));
    let bring = |from: u64, to: u64| {
        let batch = (from + 1..=to).map(brought).collect();
        let from = if from == 0 {
            Position::default()
        } else {
            at(from)
        };
        ledger.bring(from, at(to), batch)
    };
    assert_eq!(bring(0, 10), Ok(Outcome::Done));
    // The answer was lost, and it is brought again.
    assert_eq!(bring(0, 10), Ok(Outcome::Elsewhere));
    assert_eq!(ledger.position(), Ok(at(10)));
    // Another journal under this name begins at its start: what is there
    // stays.
    let all = (1..=12).map(brought).collect();
    assert_eq!(ledger.bring(at(10), at(12), all), Ok(Outcome::Done));
    assert_eq!(bring(12, 20), Ok(Outcome::Done));

    server.kill();
    assert!(bring(20, 30).is_err());
    server.start_again();
    assert!(postgres.wait_until_up(HANG));
    assert_eq!(ledger.position(), Ok(at(20)));
    assert_eq!(bring(20, 30), Ok(Outcome::Done));
    let count = |sql| number(&postgres, sql).expect("it answers");
    assert_eq!(count("SELECT count(*) FROM records"), 30);
    assert_eq!(count("SELECT count(*) FROM ledger"), 60);
    assert_eq!(
        count("SELECT sum(coalesce(settled, reserved))::bigint FROM ledger"),
        30 * 9
    );
    // A node beside it has a position of its own.
    let other = SharedLedger::new(postgres, [8; 16]);
    assert_eq!(other.position(), Ok(Position::default()));
    let done = other.bring(Position::default(), at(1), vec![brought(31)]);
    assert_eq!(done, Ok(Outcome::Done));
}

#[test]
fn what_differs_is_found() {
    let Some(server) = Server::start() else {
        return;
    };
    let ledger = SharedLedger::new(reached(&server, "equal"), NODE);
    let batch = (1..=5).map(brought).collect();
    let done = ledger.bring(Position::default(), at(5), batch);
    assert_eq!(done, Ok(Outcome::Done));
    let all = || (1..=5).map(wanted).collect::<Vec<_>>();
    assert_eq!(ledger.differing(all()), Ok(Vec::new()));

    server.psql("UPDATE equal.ledger SET settled = 3 WHERE nth = 0 AND request_id = '\\x00000000000000000000000000000002'");
    server.psql("UPDATE equal.records SET payload = '\\x00' WHERE sequence = 3");
    server.psql("DELETE FROM equal.records WHERE sequence = 4");
    server
        .psql("DELETE FROM equal.ledger WHERE request_id = '\\x00000000000000000000000000000005'");
    let id = |n: u64| row(n).request_id;
    assert_eq!(
        ledger.differing(all()),
        Ok(vec![
            Differing::Ledger(id(2)),
            Differing::Record(id(3)),
            Differing::Missing(id(4)),
            Differing::Ledger(id(5)),
        ])
    );
}

#[test]
fn the_sums_are_those_of_an_index() {
    let Some(server) = Server::start() else {
        return;
    };
    let journal = Arc::new(MemoryJournal::new(1_000, 100_000));
    for n in 1..=200_u64 {
        drop(journal.try_slot().unwrap().send(&n.to_be_bytes()));
    }
    let dir = tempfile::tempdir().unwrap();
    let extract = |payload: &[u8]| Ok(row(u64::from_be_bytes(payload.try_into().unwrap())));
    let index = RecordIndex::open(
        &dir.path().join("index.sqlite"),
        journal,
        Arc::new(extract),
        IndexOptions::default(),
    );
    let index = index.unwrap();
    assert!(index.catch_up(HANG));
    let ledger = SharedLedger::new(reached(&server, "sums"), NODE);
    let mut from = Position::default();
    for to in [90, 200] {
        let batch = (from.sequence + 1..=to).map(brought).collect();
        assert_eq!(ledger.bring(from, at(to), batch), Ok(Outcome::Done));
        from = at(to);
    }
    let mut asked: Vec<Vec<Dimension>> = Dimension::ALL.iter().map(|it| vec![*it]).collect();
    asked.push(Vec::new());
    asked.push(vec![Dimension::Tenant, Dimension::Day, Dimension::Model]);
    let withins = [
        (0, u64::MAX, None, None, 0),
        (5 * HOUR_US, 9 * HOUR_US, None, None, 0),
        (0, u64::MAX, Some("t1"), None, 0),
        (0, u64::MAX, None, Some("p1"), 0),
        (HOUR_US, 19 * HOUR_US, Some("t2"), Some("other"), 0),
        (0, u64::MAX, None, None, 1),
        (0, 1, None, None, 0),
    ];
    for (from_us, until_us, tenant, provider, limit) in withins {
        for by in &asked {
            let question = Question {
                within: Within {
                    from_us,
                    until_us,
                    tenant: tenant.map(str::to_owned),
                    provider: provider.map(str::to_owned),
                    limit,
                },
                by: by.clone(),
            };
            let expected = index.spend(&question).unwrap();
            assert_eq!(ledger.spend(&question), Ok(expected), "{question:?}");
        }
    }
}
