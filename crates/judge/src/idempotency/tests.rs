//! Every end of a call with a key, and every repeat.

use super::*;

#[test]
fn a_repeat_is_told_by_what_came_before() {
    for (earlier, wanted) in [
        (Earlier::Running, Repeat::Wait),
        (Earlier::Kept, Repeat::Replay),
        (Earlier::NotKept, Repeat::NotRetained),
        (Earlier::Unknown, Repeat::Unknown),
    ] {
        assert_eq!(repeat(true, earlier), wanted);
        assert_eq!(repeat(false, earlier), Repeat::Conflict);
    }
}

const FAILED: End = End {
    is_complete: false,
    is_refused: false,
    is_asked_back: false,
    is_cut: false,
};

fn ends(end: End, legs: &[Leg]) -> Ending {
    ending(end, legs.iter().copied())
}

#[test]
fn only_what_no_provider_can_have_carried_out_runs_again() {
    use Leg::{Accepted, Refused, Unheard, Unsent};
    for legs in [&[][..], &[Unsent], &[Refused], &[Unsent, Refused, Unsent]] {
        assert_eq!(ends(FAILED, legs), Ending::Released, "{legs:?}");
    }
    for legs in [
        &[Accepted][..],
        &[Unheard],
        &[Unheard, Refused],
        &[Accepted, Unsent],
    ] {
        assert_eq!(ends(FAILED, legs), Ending::Unknown, "{legs:?}");
    }
}

#[test]
fn an_answer_is_an_answer_whatever_failed_before() {
    let end = End {
        is_complete: true,
        ..FAILED
    };
    for legs in [&[Leg::Unheard, Leg::Accepted][..], &[]] {
        assert_eq!(ends(end, legs), Ending::Completed);
    }
}

#[test]
fn what_the_gateway_refused_of_an_answer_is_refused_again() {
    let ours = End {
        is_refused: true,
        ..FAILED
    };
    assert_eq!(ends(ours, &[Leg::Accepted]), Ending::Completed);
    assert_eq!(ends(ours, &[Leg::Unheard]), Ending::Unknown);
    let cut = End {
        is_cut: true,
        ..ours
    };
    assert_eq!(ends(cut, &[Leg::Accepted]), Ending::Unknown);
    let asked_back = End {
        is_asked_back: true,
        ..ours
    };
    assert_eq!(ends(asked_back, &[Leg::Accepted]), Ending::Released);
    let both = End {
        is_cut: true,
        ..asked_back
    };
    assert_eq!(ends(both, &[Leg::Accepted]), Ending::Released);
}
