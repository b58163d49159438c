//! A call that waits for room: it stands in line for the counter that it does
//! not fit, asks again when it is first and something may have come free, and
//! is refused when its time is over.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use contract::Fault;
use contract::seams::Ticks;
use evidence::Decision;
use meter::{Amounts, Breach, Hold, Queue, Refused};
use routing::Candidate;

use super::Sizes;
use super::lines::Place;
use crate::asking::Asking;
use crate::exchange::Exchange;
use crate::purse::told;

/// Longest time between two looks of the first in line.
const LOOK_EVERY_MS: u64 = 250;

/// A line that a call may stand in.
struct Standing {
    place: Place,
    counter: u128,
    until: Ticks,
    since: Ticks,
}

impl Exchange {
    /// Takes what the call needs of the caller's counters, and waits for it
    /// where the limits in its way allow that.
    ///
    /// # Errors
    /// What does not fit; or, within, that the request cannot be read.
    pub(super) async fn admit_in_line(
        &mut self,
        asking: &mut Asking<'_>,
        candidates: &mut Arc<[Candidate]>,
        sizes: Sizes,
    ) -> Result<(), Result<Refused, Fault>> {
        let mut standing: Option<Standing> = self.behind_others();
        loop {
            if let Some(standing) = &standing
                && !standing.place.is_first()
                && !self.wait_for_turn(standing, None).await
            {
                let refused = self.admit_sized(asking, candidates, sizes).await;
                self.note_waited(Some(standing), refused.is_ok());
                return refused;
            }
            let refused = match self.admit_sized(asking, candidates, sizes).await {
                Ok(()) => {
                    self.note_waited(standing.as_ref(), true);
                    return Ok(());
                }
                Err(refused) => refused.map_err(Err)?,
            };
            let Some((breach, queue)) = waits_for(&refused) else {
                return Err(Ok(refused));
            };
            let known = standing.take();
            let was_standing = known.is_some();
            let is_known = known
                .as_ref()
                .is_some_and(|it| it.counter == breach.counter);
            let place = match is_known {
                true => known,
                false => self.stand(breach.counter, &queue, known),
            };
            let Some(place) = place else {
                return Err(Ok(refused));
            };
            // Room may have come before the call stood in line, and nobody
            // was told: ask once more before waiting.
            if was_standing && !self.wait_for_turn(&place, breach.free_us).await {
                let last = self.admit_sized(asking, candidates, sizes).await;
                self.note_waited(Some(&place), last.is_ok());
                return last;
            }
            standing = Some(place);
        }
    }

    /// Nobody passes those who wait: a line that the call would have to stand
    /// in, if somebody waits there already.
    fn behind_others(&self) -> Option<Standing> {
        if self.flow.lines.is_empty() {
            return None;
        }
        let subject = self.subject(None);
        let wants = self.plan.quotas.wants(&subject, &Amounts::default()).ok()?;
        let mut queued = wants.iter().filter_map(|want| {
            let queue = want.quota.queue.as_ref()?;
            let is_waited_for = self.flow.lines.is_waiting(want.counter);
            is_waited_for.then_some((want.counter, queue))
        });
        let (counter, queue) = queued.next()?;
        self.stand(counter, queue, None)
    }

    /// A place in the line of a counter, with the time that is left of an
    /// earlier one; `None` if that line is full.
    fn stand(&self, counter: u128, queue: &Queue, before: Option<Standing>) -> Option<Standing> {
        let who = &self.record.who;
        let tier = queue.tier(who.use_case.as_deref().unwrap_or_default());
        let mut caller = blake3::Hasher::new();
        for name in [&who.tenant, &who.key_id, &who.user] {
            let name = name.as_deref().unwrap_or_default();
            caller.update(&(name.len() as u64).to_le_bytes());
            caller.update(name.as_bytes());
        }
        let mut half = [0; 8];
        half.copy_from_slice(&caller.finalize().as_bytes()[..8]);
        let caller = u64::from_le_bytes(half);
        let now = self.flow.clock.now();
        let (until, since) = match &before {
            Some(before) => (before.until, before.since),
            None => (now.plus_ms(queue.wait_ms), now),
        };
        drop(before);
        let place = self
            .flow
            .lines
            .join(counter, queue.length, (tier, caller))?;
        Some(Standing {
            place,
            counter,
            until,
            since,
        })
    }

    /// Waits until it is worth asking again; `false` when the time is over.
    async fn wait_for_turn(&self, standing: &Standing, free_us: Option<u64>) -> bool {
        let now = self.flow.clock.now();
        if now >= standing.until {
            return false;
        }
        // Permits that other replicas give back tell nobody here.
        let free = match free_us {
            Some(at_us) => {
                let left_us = at_us.saturating_sub(self.flow.clock.unix_us());
                Ticks(now.0.saturating_add(left_us.saturating_mul(1_000)))
            }
            None => now.plus_ms(LOOK_EVERY_MS),
        };
        let mut at = free.min(standing.until);
        let mut alarm = self.flow.clock.alarm(at);
        poll_fn(|cx| {
            if standing.place.poll_turn(cx) {
                return Poll::Ready(true);
            }
            while alarm.poll_ring(cx).is_ready() {
                let now = self.flow.clock.now();
                if now >= standing.until {
                    return Poll::Ready(false);
                }
                if now >= at && standing.place.is_first() {
                    return Poll::Ready(true);
                }
                at = standing.until;
                alarm.set(at);
            }
            Poll::Pending
        })
        .await
    }

    fn note_waited(&mut self, standing: Option<&Standing>, is_let_in: bool) {
        let Some(standing) = standing else {
            return;
        };
        let waited_us = self.flow.clock.now().since_ns(standing.since) / 1_000;
        self.record.decisions.push(Decision {
            stage: "rate_limit".into(),
            verdict: if is_let_in { "waited" } else { "gave_up" }.into(),
            reason: "queue".into(),
            readings: vec![told::number("waited_us", waited_us)],
            ..Decision::default()
        });
    }
}

/// What a refused call may wait for: the first limit in its way, if all of
/// those that refuse let calls wait.
fn waits_for(refused: &Refused) -> Option<(Breach, Queue)> {
    let Refused::Breached(breaches) = refused else {
        return None;
    };
    let firm = || breaches.iter().filter(|it| it.hold == Hold::Enforce);
    let may_wait = firm().all(|it| it.queue.is_some() && !it.never);
    let first = firm().next().filter(|_| may_wait)?;
    Some((first.clone(), first.queue.clone()?))
}
