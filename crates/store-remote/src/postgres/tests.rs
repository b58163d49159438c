//! A real server: reached, lost, found again, slow, and heard.

mod path;
pub(crate) mod server;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::{Heard, Postgres, PostgresError, PostgresOptions, PostgresUrl};
pub(crate) use server::Server;

/// Ends a test that hangs.
pub(crate) const HANG: Duration = Duration::from_secs(30);

pub(crate) fn quiet(_: &str) {}

pub(crate) fn options(server: &Server, schema: &str) -> PostgresOptions {
    PostgresOptions {
        url: PostgresUrl::read(&server.url()).expect("an address"),
        schema: schema.to_owned(),
        ca_pem: None,
        deadline: Duration::from_millis(500),
    }
}

/// A handle that has reached the server.
pub(crate) fn reached(server: &Server, schema: &str) -> Arc<Postgres> {
    let postgres = Postgres::start(options(server, schema), quiet).expect("a thread starts");
    assert!(postgres.wait_until_up(HANG), "{:?}", postgres.figures());
    postgres
}

/// One number.
pub(crate) fn number(postgres: &Postgres, sql: &'static str) -> Result<i64, PostgresError> {
    postgres.run(HANG, move |client| {
        Box::pin(async move { Ok(client.query_one(sql, &[]).await?.get(0)) })
    })
}

#[test]
fn a_database_is_asked_lost_and_found_again() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let postgres = reached(&server, "one");
    assert_eq!(number(&postgres, "SELECT 6 * 7::bigint"), Ok(42));

    // What it refuses is no fault of the connection.
    let refused = number(&postgres, "SELECT nothing FROM nowhere");
    let Err(PostgresError::Refused { state, why }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(state, "42P01", "{why}");
    assert!(postgres.figures().is_up);
    assert_eq!(postgres.figures().failed, 0);

    server.kill();
    let lost = number(&postgres, "SELECT 1::bigint");
    assert!(
        matches!(
            lost,
            Err(PostgresError::Unasked(_) | PostgresError::Unavailable(_))
        ),
        "{lost:?}"
    );
    // Nobody waits any more, however long they would.
    while postgres.figures().is_up {
        std::thread::yield_now();
    }
    let lost = number(&postgres, "SELECT 1::bigint");
    assert!(
        matches!(
            lost,
            Err(PostgresError::Unasked(_) | PostgresError::Unavailable(_))
        ),
        "{lost:?}"
    );
    assert!(postgres.figures().failed >= 2);
    assert!(postgres.figures().fault.is_some());

    server.start_again();
    assert!(postgres.wait_until_up(HANG), "{:?}", postgres.figures());
    assert_eq!(number(&postgres, "SELECT 1::bigint"), Ok(1));
    assert_eq!(postgres.figures().fault, None);
}

#[test]
fn a_slow_server_is_given_up_at_the_deadline() {
    let Some(server) = Server::start() else {
        return;
    };
    let postgres = reached(&server, "slow");
    let sleep = postgres.run(Duration::from_millis(100), |client| {
        Box::pin(async move { client.batch_execute("SELECT pg_sleep(60)").await })
    });
    assert!(
        matches!(sleep, Err(PostgresError::Unavailable(_))),
        "{sleep:?}"
    );
    // It answers others, so it was that call.
    assert!(postgres.wait_until_up(HANG));
    assert_eq!(number(&postgres, "SELECT 1::bigint"), Ok(1));

    server.freeze(true);
    let frozen = postgres.run(Duration::from_millis(100), |client| {
        Box::pin(async move { client.batch_execute("SELECT 1").await })
    });
    assert!(
        matches!(frozen, Err(PostgresError::Unavailable(_))),
        "{frozen:?}"
    );
    server.freeze(false);
    assert!(postgres.wait_until_up(HANG));
    assert_eq!(number(&postgres, "SELECT 1::bigint"), Ok(1));
}

#[test]
fn more_calls_than_connections_all_come_through() {
    let Some(server) = Server::start() else {
        return;
    };
    let postgres = reached(&server, "many");
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(number(&postgres, "SELECT 1::bigint"), Ok(1));
                }
            });
        }
    });
    let open = number(
        &postgres,
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tollgate'",
    );
    assert!(open.expect("it answers") <= 5);
}

#[test]
fn tables_are_made_once_and_newer_ones_are_left_alone() {
    let Some(server) = Server::start() else {
        return;
    };
    // All at once, as replicas start.
    let all: Vec<_> = (0..4)
        .map(|_| Postgres::start(options(&server, "made"), quiet).expect("a thread starts"))
        .collect();
    for postgres in &all {
        assert!(postgres.wait_until_up(HANG), "{:?}", postgres.figures());
    }
    let steps = number(&all[0], "SELECT count(*) FROM steps").expect("they are made");
    assert_eq!(steps, super::migrate::STEPS.len() as i64);

    server.psql("INSERT INTO made.steps VALUES (4711, 'of_tomorrow')");
    let older = Postgres::start(options(&server, "made"), quiet).expect("a thread starts");
    while older.figures().fault.is_none() {
        std::thread::yield_now();
    }
    let why = older.figures().fault.unwrap_or_default();
    assert!(
        why.contains("newer version") && why.contains("of_tomorrow"),
        "{why}"
    );
    assert!(!older.figures().is_up);
}

#[test]
fn pushes_are_heard_also_after_the_server_was_gone() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let (one, other) = (reached(&server, "heard"), reached(&server, "deaf"));
    let (to, heard) = channel();
    let _listening = one
        .listen(&["keys"], move |it| {
            let told = match it {
                Heard::Began => "began".to_owned(),
                Heard::Note { channel, payload } => format!("{channel}: {payload}"),
            };
            // The test may be over.
            let _ = to.send(told);
        })
        .expect("the thread runs");
    assert_eq!(heard.recv_timeout(HANG).as_deref(), Ok("began"));
    let push = |postgres: &Postgres, payload: &'static str| {
        let channel = postgres.channel("keys");
        postgres.run(HANG, move |client| {
            Box::pin(async move {
                let sql = "SELECT pg_notify($1, $2)";
                client.execute(sql, &[&channel, &payload]).await
            })
        })
    };
    // Schemas do not hear each other.
    push(&other, "elsewhere").expect("it answers");
    push(&one, "first").expect("it answers");
    assert_eq!(heard.recv_timeout(HANG).as_deref(), Ok("keys: first"));

    server.kill();
    server.start_again();
    assert_eq!(heard.recv_timeout(HANG).as_deref(), Ok("began"));
    assert!(one.wait_until_up(HANG));
    push(&one, "second").expect("it answers");
    assert_eq!(heard.recv_timeout(HANG).as_deref(), Ok("keys: second"));
}

#[test]
fn a_server_without_tls_is_not_spoken_to_unless_that_is_said() {
    let Some(server) = Server::start() else {
        return;
    };
    let secure = server.url().replace("?sslmode=disable", "");
    let options = PostgresOptions {
        url: PostgresUrl::read(&secure).expect("an address"),
        ..options(&server, "tls")
    };
    let postgres = Postgres::start(options, quiet).expect("a thread starts");
    while postgres.figures().fault.is_none() {
        std::thread::yield_now();
    }
    let why = postgres.figures().fault.unwrap_or_default();
    assert!(why.contains("does not support TLS"), "{why}");
}

/// Gives the server a certificate for `localhost`; the authority that it is
/// from.
fn secure(server: &Server) -> Arc<str> {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("it is made");
    let (certificate, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
    for (name, pem) in [("server.crt", &certificate), ("server.key", &key)] {
        server.psql(&format!(
            "COPY (SELECT unnest(string_to_array('{pem}', E'\\n')))
             TO PROGRAM 'cat > {name} && chmod 600 {name}'"
        ));
    }
    server.psql("ALTER SYSTEM SET ssl = on");
    server.psql("SELECT pg_reload_conf()");
    certificate.into()
}

#[test]
fn a_certificate_must_be_trusted_and_of_the_host() {
    let Some(server) = Server::start() else {
        return;
    };
    let authority = secure(&server);
    let by_name = server.url().replace("127.0.0.1", "localhost");
    let start = |url: &str, ca_pem: Option<&Arc<str>>| {
        let options = PostgresOptions {
            url: PostgresUrl::read(url).expect("an address"),
            ca_pem: ca_pem.cloned(),
            ..options(&server, "secure")
        };
        Postgres::start(options, quiet).expect("a thread starts")
    };
    let fault = |postgres: &Postgres| {
        while postgres.figures().fault.is_none() {
            std::thread::yield_now();
        }
        postgres.figures().fault.unwrap_or_default()
    };
    let verified = by_name.replace("?sslmode=disable", "");
    // The server takes its new settings in its own time.
    let trusted = start(&verified, Some(&authority));
    assert!(trusted.wait_until_up(HANG), "{:?}", trusted.figures());
    let is_secure = "SELECT ssl::int::bigint FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(number(&trusted, is_secure), Ok(1));

    // `require` is as strict as the strictest word.
    for url in [&verified, &by_name.replace("disable", "require")] {
        let why = fault(&start(url, None));
        assert!(why.contains("certificate"), "{why}");
    }
    let by_number = server.url().replace("?sslmode=disable", "");
    let why = fault(&start(&by_number, Some(&authority)));
    assert!(why.contains("not valid for name"), "{why}");
    let nonsense: Arc<str> = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----".into();
    let options = PostgresOptions {
        ca_pem: Some(nonsense),
        ..options(&server, "secure")
    };
    let refused = Postgres::start(options, quiet).expect_err("it is no authority");
    assert!(refused.to_string().contains("authority"), "{refused}");
}

#[test]
fn addresses_are_read_and_never_shown() {
    for text in [
        "postgres://u:secret@h:5432/d",
        "postgresql://h/d?sslmode=verify-full&target_session_attrs=any",
        "postgres://h1,h2:5433/d?sslmode=require",
        "postgres:///d?host=/run/postgresql&user=u",
    ] {
        let url = PostgresUrl::read(text).expect(text);
        assert_eq!(format!("{url:?}"), "PostgresUrl");
    }
    for text in [
        "",
        "h:5432",
        "mysql://h/d",
        "postgres:///d",
        "postgres://h/d?sslmode=prefer",
        "postgres://h/d?what=ever",
        "postgres://h/d?host=/run/postgresql",
    ] {
        assert!(PostgresUrl::read(text).is_err(), "{text}");
    }
}
