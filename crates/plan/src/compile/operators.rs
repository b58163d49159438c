//! The credentials of operators.

use std::collections::HashMap;

use super::Findings;
use crate::document::{AdminEntry, CredentialEntry};
use crate::plan::Operator;
use crate::role::Role;

/// Least characters of a credential: it opens more than a caller's key does.
const SECRET_CHARS_MIN: usize = 24;
/// Most characters of an id.
const ID_CHARS_MAX: usize = 64;
/// Most credentials. Each wrong guess is compared with all of them.
const CREDENTIALS_MAX: usize = 256;
/// Names by which the audit journal calls others than credentials.
const TAKEN: [&str; 3] = ["file", "environment", "admin.key"];

pub(super) fn compile(entry: &AdminEntry, findings: &mut Findings) -> Vec<Operator> {
    let mut ids: HashMap<&str, usize> = HashMap::new();
    let mut digests: HashMap<[u8; 32], usize> = HashMap::new();
    if entry.credentials.len() > CREDENTIALS_MAX {
        findings.error(
            "admin.credentials",
            format!("there are more than {CREDENTIALS_MAX} credentials"),
            "give one to each person or program that operates the gateway, not to callers",
        );
    }
    let mut operators = Vec::with_capacity(entry.credentials.len());
    for (nth, credential) in entry.credentials.iter().enumerate() {
        let path = format!("admin.credentials[{nth}]");
        check_id(credential, &path, findings);
        if let Some(first) = ids.insert(&credential.id, nth) {
            findings.error(
                format!("{path}.id"),
                format!("this id is taken by admin.credentials[{first}]"),
                "give each credential an id of its own, so that the audit journal can tell them \
                 apart",
            );
        }
        check_secret(credential, &path, findings);
        let digest = *blake3::hash(credential.secret.secret().expose().as_bytes()).as_bytes();
        if let Some(first) = digests.insert(digest, nth) {
            findings.error(
                format!("{path}.secret"),
                format!("the same credential is written as admin.credentials[{first}]"),
                "make one for each person or program",
            );
        }
        check_tenant(credential, &path, findings);
        operators.push(Operator {
            id: credential.id.as_str().into(),
            role: credential.role,
            tenant: credential.tenant.as_deref().map(Into::into),
            digest,
        });
    }
    operators
}

fn check_id(credential: &CredentialEntry, path: &str, findings: &mut Findings) {
    let id = &credential.id;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let path = format!("{path}.id");
    if id.is_empty() || id.len() > ID_CHARS_MAX || !id.chars().all(is_plain) {
        findings.error(
            path,
            "this id cannot be used",
            format!("write 1 to {ID_CHARS_MAX} letters, digits, `.`, `_` or `-`"),
        );
    } else if TAKEN.contains(&id.as_str()) {
        findings.error(
            path,
            format!("the audit journal calls something else `{id}`"),
            "write another id",
        );
    }
}

fn check_secret(credential: &CredentialEntry, path: &str, findings: &mut Findings) {
    let secret = credential.secret.secret().expose();
    let path = format!("{path}.secret");
    let make = "make one with `echo tg-op-$(openssl rand -hex 24)`";
    if !secret.chars().all(|c| c.is_ascii_graphic()) {
        findings.error(
            path,
            "this credential holds a space or a character that a header cannot carry",
            make,
        );
    } else if secret.len() < SECRET_CHARS_MIN {
        let what = format!(
            "this credential has {} characters, which can be guessed; {SECRET_CHARS_MIN} are needed",
            secret.len()
        );
        findings.error(path, what, make);
    }
}

fn check_tenant(credential: &CredentialEntry, path: &str, findings: &mut Findings) {
    let path = format!("{path}.tenant");
    match (&credential.tenant, credential.role) {
        (Some(tenant), _) if tenant.trim().is_empty() => findings.error(
            path,
            "this tenant is empty",
            "name it, or leave the field out",
        ),
        (Some(_), Role::Admin) => findings.error(
            path,
            "the role `admin` changes the plan of all tenants, so it cannot be held to one",
            "leave `tenant` out, or choose the role `operator`",
        ),
        (Some(_), Role::Viewer | Role::Operator | Role::Auditor) | (None, _) => {}
    }
}
