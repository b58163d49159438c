//! The database that replicas share.

use super::{Fake, good, good_with, try_with};

const SHARED: &str = "
database:
  url: postgres://tollgate:a-secret-word@db.example:5432/ledger
  schema: eu_1
  ca_file: ca.pem
  shared_secret: shared-0123456789abcdef0123456789abcdef
  deadline: 100ms
  max_lag: 10s
  on_unavailable: closed
";
const CA: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

#[test]
fn there_is_no_database_unless_that_is_said() {
    let (_, alone) = good("database: {schema: other}");
    assert_eq!(alone.database, None);

    let fake = Fake::new(&[], &[("ca.pem", CA)]);
    let (_, compiled) = good_with(SHARED, &fake);
    let shared = compiled.database.as_ref().expect("it is said");
    assert!(shared.url.expose().contains("a-secret-word"));
    assert_eq!((&*shared.schema, shared.deadline_ms), ("eu_1", 100));
    assert_eq!((shared.max_lag_ms, shared.is_closed), (10_000, true));
    assert_eq!(shared.ca_pem.as_deref(), Some(CA));
    let secret = shared.shared_secret.as_ref().expect("it is said");
    assert!(secret.expose().starts_with("shared-0123"));
    assert!(!format!("{compiled:?}").contains("shared-0123"));
    assert!(!format!("{compiled:?}").contains("a-secret-word"));

    let (_, open) = good_with(&SHARED.replace("closed", "open"), &fake);
    assert_eq!(open.restart_only(&compiled), ["database"]);
    assert!(!open.database.expect("it is said").is_closed);
}

#[test]
fn words_for_verified_tls_and_for_none_are_taken() {
    for mode in ["disable", "require", "verify-ca", "verify-full"] {
        good(&format!(
            "database: {{url: 'postgresql://h/d?sslmode={mode}'}}"
        ));
    }
}

#[test]
fn what_cannot_be_used_is_said_with_what_to_write() {
    let bad = [
        ("{url: 'mysql://h/d'}", "database.url"),
        ("{url: 'postgres://h/d?sslmode=prefer'}", "database.url"),
        ("{url: 'postgres://h/d?a=b&sslmode=allow'}", "database.url"),
        ("{schema: 'a\"b'}", "database.schema"),
        ("{schema: pg_own}", "database.schema"),
        ("{schema: ''}", "database.schema"),
        ("{deadline: 1ms}", "database.deadline"),
        ("{deadline: 2s}", "database.deadline"),
        (
            "{url: 'postgres://h/d'}\nidempotency: {ttl: 59s}",
            "idempotency.ttl",
        ),
        ("{max_lag: 10ms}", "database.max_lag"),
        ("{ca_file: none.pem}", "database.ca_file"),
        (
            "{url: 'postgres://h/d', shared_secret: short}",
            "database.shared_secret",
        ),
    ];
    for (text, path) in bad {
        let text = format!("database: {text}");
        let found = try_with(&text, &Fake::default()).expect_err(&text);
        assert!(found.iter().any(|it| it.path == path), "{text}: {found:?}");
    }
}
