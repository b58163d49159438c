//! Asking the counters, and giving back what is not held after all.
//!
//! Deliberately not here: what is wanted, and when.

use contract::Operation;
use evidence::Identity;
use meter::{Admitted, Draw, Refused, Subject, Wants};

use crate::Flow;

impl Flow {
    /// Takes all that is wanted, or nothing; others are asked where that is
    /// needed.
    pub(super) async fn ask(
        &self,
        now_us: u64,
        subject: &Subject<'_>,
        wants: &Wants<'_>,
    ) -> Result<Admitted, Refused> {
        match self.counters.admit(now_us, subject, wants) {
            Err(Refused::Short) => match self.counters.fetch(now_us, subject, wants) {
                Some(fetched) => fetched.await,
                None => Err(Refused::Unavailable),
            },
            other => other,
        }
    }

    /// Gives back what is not held after all, and tells those who wait for it.
    pub(super) fn give_back<'d>(&self, draws: impl Iterator<Item = &'d Draw> + Clone) {
        let mut none = draws.clone().map(|draw| (draw, 0));
        self.counters.settle(&mut none);
        self.lines.freed(draws.map(|draw| draw.counter));
    }
}

/// What a call is counted by, before any attempt.
pub(super) fn subject_of<'a>(
    who: &'a Identity,
    model: Option<&'a str>,
    operation: Operation,
    content: Option<&'a str>,
) -> Subject<'a> {
    Subject {
        tenant: who.tenant.as_deref().unwrap_or_default(),
        app: who.app.as_deref().unwrap_or_default(),
        use_case: who.use_case.as_deref().unwrap_or_default(),
        user: who.user.as_deref().unwrap_or_default(),
        key: who.key_id.as_deref().unwrap_or_default(),
        model: model.unwrap_or_default(),
        operation: operation.name(),
        content: content.unwrap_or_default(),
        attempt: None,
    }
}
