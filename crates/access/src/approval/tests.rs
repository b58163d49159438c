//! Cases: what was read, the call, and whether the one covers the other.

use super::*;

fn claim() -> Claim {
    Claim {
        tenant: "acme".into(),
        key_id: "k1".into(),
        user: Some("ann".into()),
        operation: "chat".into(),
        dialect: "gemini".into(),
        model: "m".into(),
        body: [7; 32],
    }
}

fn reading() -> Reading {
    let thing = |what: &str| Approved {
        rule: "r".into(),
        layer: "organisation".into(),
        what: what.into(),
        approvers: 1,
    };
    Reading {
        standing: Standing::Approved,
        is_own: true,
        is_same: true,
        what: vec![thing("model m"), thing("tool t")],
    }
}

#[test]
fn an_approval_covers_what_it_was_given_for_and_nothing_else() {
    let with = |change: &dyn Fn(&mut Reading)| {
        let mut reading = reading();
        change(&mut reading);
        Some(reading)
    };
    let standing = |standing| with(&|it| it.standing = standing);
    let whole = reading();
    let cases = [
        (with(&|_| {}), Ok(&*whole.what)),
        (None, Err(Uncovered::Unknown)),
        (with(&|it| it.is_own = false), Err(Uncovered::Unknown)),
        (with(&|it| it.is_same = false), Err(Uncovered::OtherCall)),
        // Somebody else's: neither what it is for nor its state is told.
        (
            with(&|it| {
                it.is_own = false;
                it.is_same = false;
                it.standing = Standing::Denied;
            }),
            Err(Uncovered::Unknown),
        ),
        (standing(Standing::Pending), Err(Uncovered::Pending)),
        (standing(Standing::Denied), Err(Uncovered::Denied)),
        (standing(Standing::Expired), Err(Uncovered::Expired)),
        (standing(Standing::Used), Err(Uncovered::Used)),
    ];
    for (reading, expected) in cases {
        assert_eq!(covers(reading.as_ref()), expected, "{reading:?}");
    }
}

#[test]
fn a_claim_is_of_one_caller_and_one_call() {
    let with = |change: &dyn Fn(&mut Claim)| {
        let mut other = claim();
        change(&mut other);
        (
            other.is_of_the_same_caller(&claim()),
            other.asks_the_same(&claim()),
        )
    };
    assert_eq!(with(&|_| {}), (true, true));
    assert_eq!(with(&|it| it.tenant = "other".into()), (false, true));
    assert_eq!(with(&|it| it.key_id = "k2".into()), (false, true));
    assert_eq!(with(&|it| it.user = None), (false, true));
    assert_eq!(with(&|it| it.model = "n".into()), (true, false));
    let other = with(&|it| it.operation = "count_tokens".into());
    assert_eq!(other, (true, false));
    assert_eq!(with(&|it| it.dialect = "n".into()), (true, false));
    assert_eq!(with(&|it| it.body = [8; 32]), (true, false));
}

#[test]
fn reasons_have_codes_of_their_own() {
    let all = [
        Uncovered::Unknown,
        Uncovered::OtherCall,
        Uncovered::Pending,
        Uncovered::Denied,
        Uncovered::Expired,
        Uncovered::Used,
    ];
    let codes: std::collections::BTreeSet<_> = all.map(Uncovered::code).into_iter().collect();
    assert_eq!(codes.len(), all.len());
}

#[test]
fn names_of_models_are_kept_short_and_apart() {
    let plain = "m".repeat(256);
    assert_eq!(kept_model(&plain), plain);
    let long = [
        "m".repeat(257),
        "m".repeat(30_000_000),
        "m".repeat(500) + "n",
        "é".repeat(200),
        "𝄞".repeat(100),
    ];
    let mut kept: std::collections::BTreeSet<_> =
        long.iter().map(|name| kept_model(name)).collect();
    assert_eq!(kept.len(), long.len());
    // What one is kept as, as a name, is kept as something else.
    let again: Vec<_> = kept.iter().map(|it| kept_model(it)).collect();
    kept.extend(again);
    assert_eq!(kept.len(), 2 * long.len());
    assert!(kept.iter().all(|it| it.len() <= 261), "{kept:?}");
}
