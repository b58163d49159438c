//! The kept form of documents: it means the same, and holds no secret.

use super::{Fake, good, good_with};
use crate::*;

const SECRETS: &str = "
providers:
  a: {kind: openai, api_key: '${env:K}', headers: {x-team: '${file:team.key}'}}
  'b.c': {kind: openai, api_key: '${env:K}', base_url: 'http://127.0.0.1:1/${env:P}'}
keys:
  - {id: k, secret: '${env:CALLER}', app: 'a$${env:K}b$$${x}'}
admin:
  credentials: [{id: ops, secret: '${env:OPS}', role: admin}]
";

fn fake() -> Fake {
    Fake::new(
        &[
            ("K", "SECRET-1"),
            ("P", "v9"),
            ("CALLER", "tg-SECRET-2-0123456789"),
            ("OPS", "tg-op-SECRET-3-0123456789"),
        ],
        &[("team.key", "SECRET-4")],
    )
}

#[test]
fn read_again_it_means_the_same() {
    let fake = fake();
    for text in [SECRETS, ""] {
        let (draft, compiled) = good_with(text, &fake);
        let kept = keep(&draft.document);
        assert_eq!(kept.written_out, [""; 0]);
        assert!(!kept.text.contains("SECRET"), "{}", kept.text);
        let (again, recompiled) = good_with(&kept.text, &fake);
        assert_eq!(keep(&again.document), kept);
        assert_eq!(
            recompiled.plan.digest, compiled.plan.digest,
            "{}",
            kept.text
        );
    }
    let app = |text: &str| good_with(text, &fake).0.document.keys[0].app.clone();
    assert_eq!(app(SECRETS).as_deref(), Some("a${env:K}b$${x}"));
    assert_eq!(
        app(&keep(&good_with(SECRETS, &fake).0.document).text),
        app(SECRETS)
    );
}

#[test]
fn secrets_that_were_written_out_are_masked_and_named() {
    let (draft, _) = good(
        "
providers:
  a: {kind: openai, api_key: SECRET-1} # SECRET-9 in a comment
keys:
  - {id: k, secret: tg-SECRET-2-0123456789}
admin:
  credentials: [{id: ops, secret: 'tg-op-SECRET-3-0123456789', role: admin}]
",
    );
    let kept = keep(&draft.document);
    assert!(!kept.text.contains("SECRET"), "{}", kept.text);
    assert_eq!(
        kept.written_out,
        [
            "providers.a.api_key",
            "keys[0].secret",
            "admin.credentials[0].secret"
        ]
    );
}
