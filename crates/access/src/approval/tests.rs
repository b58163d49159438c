//! Cases: what was read, the call, and whether the one covers the other.

use super::*;

fn claim() -> Claim {
    Claim {
        tenant: "acme".into(),
        key_id: "k1".into(),
        user: Some("ann".into()),
        body: [7; 32],
    }
}

fn thing(what: &str) -> Approved {
    Approved {
        rule: "r".into(),
        layer: "organisation".into(),
        what: what.into(),
        approvers: 1,
    }
}

fn reading() -> Reading {
    Reading {
        standing: Standing::Approved,
        claim: claim(),
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
        (
            with(&|it| it.claim.tenant = "other".into()),
            Err(Uncovered::Unknown),
        ),
        (
            with(&|it| it.claim.key_id = "k2".into()),
            Err(Uncovered::Unknown),
        ),
        (with(&|it| it.claim.user = None), Err(Uncovered::Unknown)),
        (
            with(&|it| it.claim.body = [8; 32]),
            Err(Uncovered::OtherBody),
        ),
        // Somebody else's: neither its body nor its state is told.
        (
            with(&|it| {
                it.claim.key_id = "k2".into();
                it.claim.body = [8; 32];
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
        let found = covers(reading.as_ref(), &claim());
        assert_eq!(found, expected, "{reading:?}");
    }
}

#[test]
fn reasons_have_codes_of_their_own() {
    let all = [
        Uncovered::Unknown,
        Uncovered::OtherBody,
        Uncovered::Pending,
        Uncovered::Denied,
        Uncovered::Expired,
        Uncovered::Used,
    ];
    let codes: std::collections::BTreeSet<_> = all.map(Uncovered::code).into_iter().collect();
    assert_eq!(codes.len(), all.len());
}
