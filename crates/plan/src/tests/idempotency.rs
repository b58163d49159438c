//! Calls that may be repeated: what becomes of the section in a plan, and what
//! is said of mistakes.

use super::{Fake, good, try_with};
use crate::*;

#[test]
fn the_section_is_compiled() {
    let (_, compiled) = good("{}");
    assert_eq!(compiled.plan.idempotency, Idempotency::default());
    let text = "
idempotency:
  enabled: false
  retain: full
  on_unknown: run
  ttl: 2h
  wait: 5s
  body_bytes: 2KiB
  total_bytes: 4KiB
  keys_max: 10
";
    let (_, compiled) = good(text);
    let wanted = Idempotency {
        enabled: false,
        retains: true,
        runs_unknown: true,
        ttl_us: 7_200_000_000,
        wait_ms: 5_000,
        body_bytes: 2_048,
        total_bytes: 4_096,
        keys_max: 10,
        tenant_keys_max: 10,
    };
    assert_eq!(compiled.plan.idempotency, wanted);
    let (_, compiled) = good("idempotency: {keys_max: 10, tenant_keys_max: 3}");
    assert_eq!(compiled.plan.idempotency.tenant_keys_max, 3);
}

#[test]
fn mistakes_are_named() {
    for (field, text) in [
        ("ttl", "ttl: 0s"),
        ("ttl", "ttl: 31d"),
        ("wait", "wait: 11m"),
        ("body_bytes", "body_bytes: 0"),
        ("body_bytes", "body_bytes: 33MiB"),
        ("total_bytes", "total_bytes: 1KiB"),
        ("keys_max", "keys_max: 0"),
        ("tenant_keys_max", "{keys_max: 5, tenant_keys_max: 6}"),
        ("retain", "retain: all"),
    ] {
        let text = match text.starts_with('{') {
            true => format!("idempotency: {text}"),
            false => format!("idempotency: {{{text}}}"),
        };
        let found = try_with(&text, &Fake::default()).map(|_| ());
        let found = found.expect_err("a mistake");
        let path = format!("idempotency.{field}");
        assert!(found.iter().any(|it| it.path == path), "{text}: {found:?}");
    }
}
