//! Cases of filling in and clipping a record.

use contract::FaultKind;

use super::*;

#[test]
fn only_listed_headers_enter_a_record() {
    let mut record = Record::default();
    for name in [
        "authorization",
        "x-api-key",
        "cookie",
        "tollgate-secret",
        "Tollgate-User",
        "",
    ] {
        assert!(!record.note_header(name, "tg-secret"), "{name}");
    }
    assert!(record.note_header("user-agent", "curl/8"));
    assert!(record.note_header("tollgate-user", "ann"));
    assert!(!record.to_json().contains("tg-secret"));
    assert_eq!(record.metadata.len(), 2);
}

#[test]
fn hostile_sizes_are_clipped_and_counted() {
    let long = "ä".repeat(5_000);
    let mut record = Record::default();
    record.who.user = Some(long.as_str().into());
    record.request.model = Some(long.as_str().into());
    record.path = Some(long.as_str().into());
    record.fault = Some(FaultNote {
        private: long.as_str().into(),
        public: long.clone().into(),
        ..FaultNote::default()
    });
    record.metadata = vec![("user-agent".into(), long.as_str().into()); 1_000];
    record.decisions.push(Decision {
        readings: vec![
            Reading {
                name: "x".into(),
                value: Value::Word(long.clone().into()),
            };
            1_000
        ],
        ..Decision::default()
    });
    record.attempts.resize(1_000, Attempt::default());
    record.clip();
    // Five texts, three lists, and one text in each element that is left.
    assert_eq!(record.clipped, 5 + 3 + 2 * 64);
    assert_eq!(
        record.request.model.as_deref(),
        Some(&*"ä".repeat(TEXT_BYTES_MAX / 2))
    );
    let fault = record.fault.as_ref().unwrap();
    assert_eq!(fault.private.len(), PRIVATE_BYTES_MAX);
    assert!(record.encode().len() < 100_000);
    // A second pass finds nothing more.
    let once = record.clone();
    record.clip();
    assert_eq!(record, once);
}

#[test]
fn the_served_attempt_is_the_committed_one() {
    let attempt = |provider: &str, committed| Attempt {
        provider: provider.into(),
        committed,
        ..Attempt::default()
    };
    let mut record = Record::default();
    assert_eq!(record.served(), None);
    record.attempts.push(attempt("a", false));
    assert_eq!(record.served().map(|attempt| &*attempt.provider), Some("a"));
    record
        .attempts
        .extend([attempt("b", true), attempt("mirror", false)]);
    assert_eq!(record.served().map(|attempt| &*attempt.provider), Some("b"));
}

#[test]
fn a_fault_keeps_its_private_part_for_operators() {
    let fault = Fault::new(FaultKind::OverBudget, contract::Origin::Gateway, "spent")
        .because("budget acme/monthly")
        .at("max_tokens");
    let note = FaultNote::from(&fault);
    assert_eq!((&*note.kind, &*note.origin), ("over_budget", "gateway"));
    assert_eq!(
        (&*note.public, &*note.private),
        ("spent", "budget acme/monthly")
    );
    assert_eq!(note.field.as_deref(), Some("max_tokens"));
}
