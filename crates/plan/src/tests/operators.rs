//! Credentials of operators: what is taken and what is refused.

use super::{Fake, good, try_with};
use crate::*;

fn with(credentials: &str) -> Result<Vec<Operator>, String> {
    let text =
        format!("providers: {{box: {{kind: sandbox}}}}\nadmin: {{credentials: [{credentials}]}}");
    match try_with(&text, &Fake::default()) {
        Ok((_, compiled)) => Ok(compiled.plan.operators),
        Err(bad) => Err(render(&bad, "t.yaml", false)),
    }
}

#[test]
fn roles_and_tenants_are_taken_and_secrets_are_not_kept() {
    let operators = with(
        "{id: ops, secret: tg-op-012345678901234567, role: operator, tenant: acme}, \
         {id: boss.1_a-b, secret: tg-op-012345678901234568, role: admin}",
    )
    .expect("good");
    assert_eq!(operators[0].tenant.as_deref(), Some("acme"));
    assert_eq!(operators[1].role, Role::Admin);
    let digest = *blake3::hash(b"tg-op-012345678901234567").as_bytes();
    assert_eq!(operators[0].digest, digest);
    assert!(!format!("{operators:?}").contains("0123"));
}

#[test]
fn what_cannot_be_told_apart_or_can_be_guessed_is_refused() {
    let good = "secret: tg-op-012345678901234567, role: viewer";
    for (credentials, says) in [
        (
            format!("{{id: file, {good}}}"),
            "calls something else `file`",
        ),
        (format!("{{id: admin.key, {good}}}"), "calls something else"),
        (format!("{{id: '', {good}}}"), "this id cannot be used"),
        (
            format!("{{id: \"a\\n;DROP TABLE\", {good}}}"),
            "this id cannot be used",
        ),
        (
            format!("{{id: {}, {good}}}", "x".repeat(65)),
            "this id cannot be used",
        ),
        (
            format!("{{id: a, {good}}}, {{id: a, {good}}}"),
            "is taken by admin.credentials[0]",
        ),
        (
            format!("{{id: a, {good}}}, {{id: b, {good}}}"),
            "the same credential",
        ),
        (
            "{id: a, secret: short, role: viewer}".to_owned(),
            "can be guessed",
        ),
        (
            "{id: a, secret: 'tg-op-0123 45678901234567', role: viewer}".to_owned(),
            "a space",
        ),
        (
            format!("{{id: a, tenant: ' ', {good}}}"),
            "this tenant is empty",
        ),
        (
            "{id: a, tenant: t, secret: tg-op-012345678901234567, role: admin}".to_owned(),
            "cannot be held to one",
        ),
        (
            "{id: a, secret: tg-op-012345678901234567, role: root}".to_owned(),
            "role",
        ),
    ] {
        let said = with(&credentials).expect_err(&credentials);
        assert!(said.contains(says), "{credentials}: {said}");
        assert!(!said.contains("tg-op-0"), "{said}");
    }
}

#[test]
fn the_file_owns_the_plan_unless_it_says_otherwise() {
    assert_eq!(good("").0.document.plans.owner, Owner::File);
    assert_eq!(
        good("plans: {owner: api}").0.document.plans.owner,
        Owner::Api
    );
}
