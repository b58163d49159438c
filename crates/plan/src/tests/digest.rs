//! Digests change with everything that counts, and nothing gives a secret
//! away.

use super::{Fake, good, good_with, try_with};
use crate::*;

const ALL_SECRETS: &str = "
providers:
  a:
    kind: bedrock
    region: us-east-1
    aws: {access_key_id: AKID, secret_access_key: SECRET-1, session_token: SECRET-2}
    proxy: http://u:SECRET-3@p
    headers: {x-team: SECRET-4}
  b: {kind: openai, api_key: SECRET-5}
keys:
  - {id: k, secret: tg-SECRET-6-0123456789}
admin:
  credentials: [{id: ops, secret: tg-op-SECRET-7-0123456789, role: admin}]
counters: {backend: valkey, url: 'redis://:SECRET-8@h/'}
database: {url: 'postgres://u:SECRET-9@h/d'}
";

fn digest(text: &str) -> String {
    good(text).1.plan.digest.to_string()
}

#[test]
fn every_secret_of_the_schema_counts() {
    let before = digest(ALL_SECRETS);
    assert_eq!(before.len(), 16);
    let marked = schema().to_string().matches("\"writeOnly\":true").count();
    assert_eq!(
        marked, 9,
        "a new secret: add it here and to `Document::secrets`"
    );
    for nth in 1..=marked {
        let changed = ALL_SECRETS.replace(&format!("SECRET-{nth}"), &format!("SECRET-{nth}x"));
        assert_ne!(digest(&changed), before, "secret {nth}");
    }
}

#[test]
fn a_digest_is_of_the_meaning() {
    let same = ALL_SECRETS.replace("region: us-east-1", "region: 'us-east-1' # the same");
    assert_eq!(digest(&same), digest(ALL_SECRETS));
    assert_eq!(digest("limits: {body_bytes: 32MiB}"), digest(""));
    assert_ne!(digest("limits: {body_bytes: 31MiB}"), digest(""));
    let order = "providers: {a: {kind: ollama}, b: {kind: ollama}}";
    let other = "providers: {b: {kind: ollama}, a: {kind: ollama}}";
    assert_ne!(digest(order), digest(other), "order is preference");
    let fake = Fake::new(&[("K", "x")], &[]);
    let by_name = good_with("data_dir: '${env:K}'", &fake).1.plan.digest;
    assert_eq!(*by_name, *digest("data_dir: x"));
}

#[test]
fn the_digest_depends_on_its_key() {
    let fake = Fake::default();
    let draft = read(ALL_SECRETS, &fake).expect("good");
    let with = |key: u8, ring: u8| {
        let given = Given {
            sources: &fake,
            ring_key: [ring; 32],
            digest_key: [key; 32],
        };
        compile(&draft, &given).expect("good").plan.digest
    };
    assert_ne!(with(1, 1), with(2, 1));
    assert_eq!(with(1, 1), with(1, 2));
}

#[test]
fn no_output_holds_a_secret() {
    let (draft, compiled) = good(ALL_SECRETS);
    let outputs = [
        show(&draft.document),
        show_json(&draft.document).to_string(),
        format!("{draft:?}"),
        format!("{compiled:?}"),
    ];
    for output in &outputs {
        assert!(!output.contains("SECRET"), "{output}");
    }
    assert!(outputs[0].contains("secret: \"***\""), "{}", outputs[0]);
}

#[test]
fn references_are_shown_as_written() {
    let fake = Fake::new(&[("K", "SECRET"), ("H", "SECRET")], &[]);
    let text =
        "providers: {openai: {api_key: '${env:K}', headers: {x: 'pre-SECRET ${env:H:-SECRET}'}}}";
    let (draft, _) = good_with(text, &fake);
    let shown = show(&draft.document);
    assert!(
        shown.contains("api_key: \"${env:K}\"") || shown.contains("api_key: ${env:K}"),
        "{shown}"
    );
    assert!(
        shown.contains("***${env:H}") && !shown.contains("SECRET"),
        "{shown}"
    );
}

#[test]
fn what_is_shown_can_be_read_again() {
    let fake = Fake::new(&[("K", "SECRET")], &[]);
    let text = "providers: {openai: {api_key: '${env:K}', models: ['gpt-*', '*']}}\nmodels: {a: openai/x, 'no': openai/y}\n";
    let (draft, compiled) = good_with(text, &fake);
    let shown = show(&draft.document);
    let again = try_with(&shown, &fake)
        .unwrap_or_else(|bad| panic!("{}\n{shown}", render(&bad, "shown", false)));
    assert_eq!(again.1.plan.digest, compiled.plan.digest);
}
