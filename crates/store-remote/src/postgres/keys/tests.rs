//! Cases of keys in a real server: the suite, the order of changes, other
//! secrets, pushes, and a server that goes away.

use std::sync::mpsc::channel;

use store::keys::conformance::{self, ACTIVE_MAX, row};

use super::super::Heard;
use super::super::tests::{HANG, Server, reached};
use super::*;

const MARK: [u8; 32] = [7; 32];

fn keys(server: &Server, schema: &str) -> PostgresKeys {
    PostgresKeys::with_limit(reached(server, schema), MARK, ACTIVE_MAX)
}

#[test]
fn a_real_server_passes_the_suite() {
    let Some(server) = Server::start() else {
        return;
    };
    let made = std::cell::Cell::new(0);
    conformance::check(&|| {
        made.set(made.get() + 1);
        Arc::new(keys(&server, &format!("keys_{}", made.get())))
    });
}

#[test]
fn replicas_see_each_other_and_do_not_overwrite() {
    let Some(server) = Server::start() else {
        return;
    };
    let (one, other) = (keys(&server, "two"), keys(&server, "two"));
    let made = one.create(&row("k")).unwrap();
    assert_eq!(other.last_change().unwrap(), made.change);
    let read = other.find("k").unwrap().unwrap();
    let revoked = KeyRow {
        revoked_us: Some(2),
        ..read.clone()
    };
    one.replace(&revoked).unwrap();
    assert!(matches!(other.replace(&read), Err(KeysError::Changed)));
    assert_eq!(other.changed_after(made.change).unwrap().len(), 1);
    assert!(matches!(other.create(&row("k")), Err(KeysError::Taken)));
}

/// Who reads up to the last number that it sees has missed none before it.
#[test]
fn changes_are_seen_in_the_order_of_their_numbers() {
    let Some(server) = Server::start() else {
        return;
    };
    let writers = [keys(&server, "order"), keys(&server, "order")];
    let reader = keys(&server, "order");
    let seen = std::thread::scope(|scope| {
        for (nth, writer) in writers.iter().enumerate() {
            for lane in 0..2 {
                scope.spawn(move || {
                    for n in 0..10 {
                        writer.create(&row(&format!("{nth}-{lane}-{n}"))).unwrap();
                    }
                });
            }
        }
        let mut seen: Vec<u64> = Vec::new();
        while seen.len() < 40 {
            let after = seen.last().copied().unwrap_or_default();
            let rows = reader.changed_after(after).unwrap();
            seen.extend(rows.iter().map(|row| row.change));
        }
        seen
    });
    assert_eq!(seen, (1..=40).collect::<Vec<u64>>());
}

#[test]
fn a_replica_with_another_secret_is_told_what_to_do() {
    let Some(server) = Server::start() else {
        return;
    };
    let first = keys(&server, "marked");
    first.last_change().unwrap();
    let other = PostgresKeys::new(reached(&server, "marked"), [8; 32]);
    let made = other.create(&row("k")).map(drop);
    for refused in [other.last_change().map(drop), made] {
        let Err(KeysError::Foreign(why)) = refused else {
            panic!("{refused:?}");
        };
        assert!(why.contains("database.shared_secret"), "{why}");
    }
    assert_eq!(first.changed_after(0).unwrap(), []);
    assert_eq!(first.last_change().unwrap(), 0);
}

#[test]
fn each_change_is_pushed() {
    let Some(server) = Server::start() else {
        return;
    };
    let (one, other) = (keys(&server, "pushed"), keys(&server, "pushed"));
    let (to, heard) = channel();
    let _listening = other
        .postgres
        .listen(&[KEYS_CHANNEL], move |it| {
            // The test may be over.
            let _ = to.send(it == Heard::Began);
        })
        .unwrap();
    assert_eq!(heard.recv_timeout(HANG), Ok(true));
    let made = one.create(&row("k")).unwrap();
    assert_eq!(heard.recv_timeout(HANG), Ok(false));
    assert_eq!(other.find("k").unwrap().as_ref(), Some(&made));
    one.replace(&made).unwrap();
    assert_eq!(heard.recv_timeout(HANG), Ok(false));
    // What was refused is no change.
    drop(one.replace(&made).unwrap_err());
    one.note_used(&[("k".to_owned(), 9)]).unwrap();
    one.create(&row("last")).unwrap();
    assert_eq!(heard.recv_timeout(HANG), Ok(false));
    assert!(other.find("last").unwrap().is_some());
}

#[test]
fn a_server_that_is_away_is_said_to_be_and_changes_nothing() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let keys = keys(&server, "away");
    let made = keys.create(&row("k")).unwrap();
    server.kill();
    for failed in [
        keys.create(&row("more")).map(drop),
        keys.replace(&made).map(drop),
        keys.find("k").map(drop),
        keys.last_change().map(drop),
        keys.counts(1).map(drop),
        keys.note_used(&[("k".to_owned(), 9)]),
    ] {
        assert!(
            matches!(&failed, Err(KeysError::Unavailable(_))),
            "{failed:?}"
        );
    }
    server.start_again();
    assert!(keys.postgres.wait_until_up(HANG));
    assert_eq!(keys.changed_after(0).unwrap(), [made]);
}

#[test]
fn a_row_that_was_tampered_with_is_not_guessed_at() {
    let Some(server) = Server::start() else {
        return;
    };
    let keys = keys(&server, "tampered");
    keys.create(&row("k")).unwrap();
    for (column, value) in [
        ("secrets", "[[\"00\", 1, null]]"),
        ("on_revoke", "never"),
        ("groups", "{}"),
        ("name", "\\x"),
    ] {
        server.psql(&format!(
            "ALTER TABLE tampered.keys ADD COLUMN IF NOT EXISTS before text;
             UPDATE tampered.keys SET before = {column}, {column} = '{value}'"
        ));
        let error = keys.find("k").expect_err(column).to_string();
        assert!(error.contains(column), "{error}");
        server.psql(&format!("UPDATE tampered.keys SET {column} = before"));
    }
    assert!(keys.find("k").unwrap().is_some());
}
