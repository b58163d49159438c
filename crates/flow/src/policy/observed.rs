//! The rules of a call that goes on whatever they say.

use std::sync::Arc;

use routing::Candidate;

use crate::asking::Asking;
use crate::exchange::Exchange;

impl Exchange {
    /// Asks the rules. What they would deny stands in the record and the
    /// metrics, and nothing else comes of it.
    pub(crate) fn watch_request(&mut self, asking: &mut Asking<'_>, candidate: Option<&Candidate>) {
        let (Ok(chain), Ok(consumer)) = (self.chain(), self.consumer().cloned()) else {
            return;
        };
        if chain.is_empty() {
            return;
        }
        let Ok(held) = self.hold(chain.watching(), consumer, asking) else {
            return self.note_unread("request");
        };
        let verdict = judge::watch(&self.plan, &held.chain, &held.facts(), candidate);
        self.note_facts(&held, &verdict);
        self.note_rulings(&verdict.rulings);
        self.held = Some(Arc::new(held));
    }
}
