//! Counting tokens where the provider cannot: an estimate by classes of
//! characters, declared as one.

use contract::answer::CountAnswer;
use contract::{Answer, Fault, Loss};
use dialects::Written;

use crate::arrived::Arrived;
use crate::asking::Asking;
use crate::exchange::Exchange;

impl Exchange {
    /// Answers a count without an upstream.
    pub(crate) fn count_here(&mut self, asking: &mut Asking<'_>) -> Result<Arrived, Fault> {
        let request = self.read(asking)?;
        let input_tokens = crate::estimate::tokens(request);
        let answer = Answer::Count(CountAnswer {
            input_tokens,
            cached_tokens: 0,
            estimated: true,
        });
        self.mark_committed();
        let id = self.id.text();
        let asked = self.asked(id.as_str(), asking.canonical.as_ref());
        let Written { body, mut losses } = self.dialect.write_answer(&answer, &asked);
        losses.push(Loss::new(
            "exact_count",
            "the provider does not count tokens, so the gateway estimated them",
        ));
        Ok(Arrived::json(body, losses))
    }
}
