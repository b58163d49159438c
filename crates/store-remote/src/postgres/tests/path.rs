//! What keeps the path of calls free: of slow reports, of statements that
//! nobody waits for, and of a server that is taken to be there.

use std::time::Instant;

use super::*;

/// Waits for what comes by itself.
fn comes(what: &str, is_there: impl Fn() -> bool) {
    let until = Instant::now() + HANG;
    while !is_there() {
        assert!(Instant::now() < until, "{what}");
        std::thread::yield_now();
    }
}

/// How many statements sleep in the server.
fn sleeping(server: &Server) -> String {
    server.psql(
        "SELECT count(*) FROM pg_stat_activity
         WHERE state = 'active' AND query LIKE '%pg_sleep(6%' AND pid <> pg_backend_pid()",
    )
}

#[test]
fn slow_reports_leave_connections_for_calls_and_do_not_doubt_the_server() {
    let Some(server) = Server::start() else {
        return;
    };
    let postgres = reached(&server, "reports");
    std::thread::scope(|scope| {
        let reports: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    postgres.run_long(Duration::from_secs(3), |client| {
                        Box::pin(async move { client.batch_execute("SELECT pg_sleep(60)").await })
                    })
                })
            })
            .collect();
        comes("a report is made", || sleeping(&server) == "1");
        for _ in 0..20 {
            assert_eq!(number(&postgres, "SELECT 1::bigint"), Ok(1));
        }
        assert_eq!(sleeping(&server), "1", "one at a time");
        for report in reports {
            let late = report.join().expect("no panic");
            assert!(late.is_err(), "{late:?}");
            assert!(postgres.figures().is_up, "it answers others");
        }
    });
    assert_eq!(number(&postgres, "SELECT 1::bigint"), Ok(1));
}

#[test]
fn a_statement_that_nobody_waits_for_is_ended_in_the_server() {
    let Some(server) = Server::start() else {
        return;
    };
    let postgres = reached(&server, "ended");
    let slow = postgres.run(Duration::from_millis(500), |client| {
        Box::pin(async move {
            // As long as it likes, if nobody says that it may end.
            let sleep = "SET statement_timeout TO 0; SELECT pg_sleep(61)";
            client.batch_execute(sleep).await
        })
    });
    assert!(
        matches!(slow, Err(PostgresError::Unavailable(_))),
        "{slow:?}"
    );
    comes("it is ended", || sleeping(&server) == "0");
}

#[test]
fn a_wait_for_others_ends_and_does_not_doubt_the_server() {
    let Some(server) = Server::start() else {
        return;
    };
    let (holder, postgres) = (reached(&server, "waits"), reached(&server, "waits"));
    let setting = |name: &'static str| {
        let found = postgres.run(HANG, move |client| {
            Box::pin(async move {
                let sql = "SELECT current_setting($1)";
                client.query_one(sql, &[&name]).await?.try_get(0)
            })
        });
        found.unwrap_or_else(|error| format!("{error}"))
    };
    assert_eq!(setting("lock_timeout"), "1s");
    assert_eq!(setting("idle_in_transaction_session_timeout"), "2s");
    holder
        .run(HANG, |client| {
            Box::pin(async move { client.batch_execute("SELECT pg_advisory_lock(7)").await })
        })
        .expect("it is free");
    let waits = postgres.run(HANG, |client| {
        Box::pin(async move { client.batch_execute("SELECT pg_advisory_lock(7)").await })
    });
    assert!(
        matches!(waits, Err(PostgresError::Unavailable(_))),
        "{waits:?}"
    );
    assert!(postgres.figures().is_up, "it answers others");
}

#[test]
fn a_server_that_syncs_more_than_is_asked_is_left_so() {
    let Some(server) = Server::start() else {
        return;
    };
    for (has, wanted) in [
        ("off", "on"),
        ("remote_write", "on"),
        ("remote_apply", "remote_apply"),
    ] {
        server.psql(&format!(
            "ALTER ROLE CURRENT_USER SET synchronous_commit = {has}"
        ));
        let postgres = reached(&server, "synced");
        let is_so = postgres.run(HANG, |client| {
            Box::pin(async move {
                let sql = "SELECT current_setting('synchronous_commit')";
                client.query_one(sql, &[]).await?.try_get::<_, String>(0)
            })
        });
        assert_eq!(is_so.as_deref(), Ok(wanted));
    }
}

#[test]
fn a_server_that_is_gone_is_noticed_without_a_call() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let postgres = reached(&server, "noticed");
    server.kill();
    comes("it is noticed", || !postgres.figures().is_up);
    let unasked = number(&postgres, "SELECT 1::bigint");
    assert!(
        matches!(unasked, Err(PostgresError::Unasked(_))),
        "{unasked:?}"
    );
}
