//! The ring of callers' keys.

use std::collections::HashMap;

use access::{Asserts, Consumer, KeyRing};

use super::Findings;
use super::identity::addresses;
use crate::document::{Assertion, Document, KeyEntry, KeySource};

/// Least characters of a key.
const KEY_CHARS_MIN: usize = 20;
/// What our keys begin with, so that scanners for leaked secrets find them.
const PREFIX: &str = "tg-";

pub(super) fn compile(document: &Document, ring_key: [u8; 32], findings: &mut Findings) -> KeyRing {
    check_sources(document, findings);
    let entries = &document.keys;
    let mut ring = KeyRing::new(ring_key);
    let mut ids: HashMap<&str, usize> = HashMap::new();
    let mut secrets: HashMap<[u8; 32], usize> = HashMap::new();
    for (nth, entry) in entries.iter().enumerate() {
        let path = format!("keys[{nth}]");
        if entry.id.trim().is_empty() {
            findings.error(
                format!("{path}.id"),
                "this id is empty",
                "write a name for the key",
            );
        } else if let Some(first) = ids.insert(&entry.id, nth) {
            findings.error(
                format!("{path}.id"),
                format!("the id `{}` is taken by keys[{first}]", entry.id),
                "give each key an id of its own, so that records can tell them apart",
            );
        }
        check_secret(entry, &path, findings);
        let digest = blake3::keyed_hash(&ring_key, entry.secret.secret().expose().as_bytes());
        if let Some(first) = secrets.insert(*digest.as_bytes(), nth) {
            findings.error(
                format!("{path}.secret"),
                format!("the same key is written as keys[{first}]"),
                "make a key for each caller, so that records can tell them apart",
            );
        }
        check_names(entry, &path, findings);
        let addresses = addresses(
            entry.addresses.as_ref(),
            &format!("{path}.addresses"),
            findings,
        );
        let rules = super::policy::of_key(&entry.id, &path, &entry.rules, findings);
        let contract = entry.contract.as_deref();
        let contract = super::metadata::version(contract, &format!("{path}.contract"), findings);
        ring.add(
            entry.secret.secret(),
            Consumer {
                rules,
                contract,
                addresses,
                ..consumer(entry)
            },
        );
    }
    match document.keys_from.has(KeySource::Api) {
        true => ring,
        false => ring.without_live(),
    }
}

fn check_sources(document: &Document, findings: &mut Findings) {
    let sources = &document.keys_from;
    let named = [KeySource::Document, KeySource::Api].map(|source| sources.has(source));
    match named {
        [false, false] => findings.error(
            "keys_from",
            "no source of keys is named, so nobody could call",
            "write `[document]`, `[api]` or both",
        ),
        [false, true] if !document.keys.is_empty() => findings.error(
            "keys_from",
            "this leaves out `document`, but keys are written under `keys`",
            "add `document`, or take the keys out",
        ),
        [_, true] | [true, _] => {}
    }
}

fn check_names(entry: &KeyEntry, path: &str, findings: &mut Findings) {
    for (nth, pattern) in entry.models.iter().flatten().enumerate() {
        if pattern.is_empty() {
            findings.error(
                format!("{path}.models[{nth}]"),
                "this pattern is empty",
                "write a model name, or a pattern such as `fast-*`",
            );
        }
    }
    for (nth, group) in entry.groups.iter().enumerate() {
        if group.trim().is_empty() {
            findings.error(
                format!("{path}.groups[{nth}]"),
                "this group is empty",
                "name it, or leave it out",
            );
        }
    }
    if entry.tenant.trim().is_empty() {
        findings.error(
            format!("{path}.tenant"),
            "this tenant is empty",
            "name it, or leave the field out",
        );
    }
}

fn check_secret(entry: &KeyEntry, path: &str, findings: &mut Findings) {
    let path = format!("{path}.secret");
    let secret = entry.secret.secret().expose();
    let make = "make one with `echo tg-$(openssl rand -hex 24)`";
    if secret.is_empty() {
        findings.error(path, "this key is empty", make);
    } else if !secret.chars().all(|c| c.is_ascii_graphic()) {
        findings.error(
            path,
            "this key holds a space or a character that a header cannot carry",
            make,
        );
    } else if secret.len() < KEY_CHARS_MIN {
        let what = format!(
            "this key has {} characters, which can be guessed; {KEY_CHARS_MIN} are needed",
            secret.len()
        );
        findings.error(path, what, make);
    } else if !secret.starts_with(PREFIX) {
        findings.warn(
            path,
            format!("this key does not begin with `{PREFIX}`"),
            format!("keys that begin with `{PREFIX}` are found by scanners for leaked secrets"),
        );
    }
}

fn consumer(entry: &KeyEntry) -> Consumer {
    let app = entry.app.as_ref().unwrap_or(&entry.id);
    Consumer {
        models: entry.models.clone(),
        loopback_only: entry.loopback_only,
        groups: entry
            .groups
            .iter()
            .map(|name| name.as_str().into())
            .collect(),
        asserts: Asserts {
            user: entry.asserts.contains(&Assertion::User),
            app: entry.asserts.contains(&Assertion::App),
            tenant: entry.asserts.contains(&Assertion::Tenant),
        },
        ..Consumer::new(&*entry.id, &*entry.tenant, &**app)
    }
}
