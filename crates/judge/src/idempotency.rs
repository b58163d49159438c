//! Calls with an idempotency key: what a repeat is told, and how the first
//! call ended.
//!
//! Deliberately not here: where keys are kept, and the words to the caller.

/// Where the call stands that has the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// It runs.
    Running,
    /// It was answered, and the answer is kept.
    Kept,
    /// It was answered, and only that is kept.
    NotKept,
    /// It may have been carried out.
    Unknown,
}

/// What becomes of a call whose key another one has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It asks something else.
    Conflict,
    /// It waits for the other one.
    Wait,
    /// It gets the answer of the other one.
    Replay,
    /// There is no answer to give, and no second call.
    NotRetained,
    /// Nobody knows the outcome, and there is no second call.
    Unknown,
}

/// What becomes of a call whose key another one has. A call that may be run
/// again is none of these: the store gives it the key.
pub fn repeat(asks_the_same: bool, earlier: Earlier) -> Repeat {
    match (asks_the_same, earlier) {
        (false, _) => Repeat::Conflict,
        (true, Earlier::Running) => Repeat::Wait,
        (true, Earlier::Kept) => Repeat::Replay,
        (true, Earlier::NotKept) => Repeat::NotRetained,
        (true, Earlier::Unknown) => Repeat::Unknown,
    }
}

/// How far one upstream call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// The provider saw nothing of it.
    Unsent,
    /// The provider refused it by its status.
    Refused,
    /// The provider began to carry it out.
    Accepted,
    /// Nobody heard what the provider made of it.
    Unheard,
}

/// How a call ended, for its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was answered: a repeat gets that answer or none.
    Completed,
    /// No provider carried it out, so a repeat may run.
    Released,
    /// A provider may have carried it out.
    Unknown,
}

/// What is known of the end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The caller was given the whole answer.
    pub is_complete: bool,
    /// A rule of the gateway refused what the provider gave back.
    pub is_refused: bool,
    /// It waits for an approval: the caller was told to repeat it.
    pub is_asked_back: bool,
    /// It was cut off in the middle of its answer, or left by its caller.
    pub is_cut: bool,
}

/// How a call ended, for its key: never so that a second call is made which
/// could be billed as well.
pub fn ending(end: End, legs: impl Iterator<Item = Leg>) -> Ending {
    let mut last = None;
    let mut may_be_billed = false;
    for leg in legs {
        may_be_billed |= match leg {
            Leg::Unsent | Leg::Refused => false,
            Leg::Accepted | Leg::Unheard => true,
        };
        last = Some(leg);
    }
    if end.is_complete {
        return Ending::Completed;
    }
    if !may_be_billed || end.is_asked_back {
        return Ending::Released;
    }
    // The gateway would refuse it again.
    let is_refusal = end.is_refused && last == Some(Leg::Accepted);
    match is_refusal && !end.is_cut {
        true => Ending::Completed,
        false => Ending::Unknown,
    }
}

#[cfg(test)]
mod tests;
