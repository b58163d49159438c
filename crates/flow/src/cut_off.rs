//! The end of a stream whose key was revoked, where that is asked for. A key
//! that was made for it has its streams look for that while nothing comes;
//! those of another notice with the next frame. Streams of keys of the
//! document have none of this.
//!
//! Deliberately not here: refusing the next call with such a key, which
//! identity does.

use std::sync::Arc;
use std::task::Context;

use access::KeyLife;
use contract::seams::{Alarm, Clock};
use contract::{Fault, FaultKind, Origin};

/// Longest time between two looks while nothing comes from the upstream.
const LOOK_EVERY_MS: u64 = 250;

/// Watches a key for a stream.
pub(crate) struct CutOff {
    life: Arc<KeyLife>,
    watch: Option<Watch>,
}

/// Looks again while nothing comes.
struct Watch {
    clock: Arc<dyn Clock>,
    alarm: Box<dyn Alarm>,
}

impl CutOff {
    /// For a stream with this key.
    pub(crate) fn new(life: Arc<KeyLife>, clock: Arc<dyn Clock>) -> Self {
        let watch = life.cuts().then(|| Watch {
            alarm: clock.alarm(clock.now().plus_ms(LOOK_EVERY_MS)),
            clock,
        });
        Self { life, watch }
    }

    /// Why the stream must end, if it must.
    pub(crate) fn poll_cut(&mut self, cx: &mut Context<'_>) -> Option<Fault> {
        if self.life.is_cut() {
            return Some(revoked());
        }
        let watch = self.watch.as_mut()?;
        if watch.alarm.poll_ring(cx).is_ready() {
            let next = watch.clock.now().plus_ms(LOOK_EVERY_MS);
            watch.alarm.set(next);
            if watch.alarm.poll_ring(cx).is_ready() {
                // The clock jumped: look again soon instead of looping here.
                cx.waker().wake_by_ref();
            }
        }
        // It may have come between the look and the alarm.
        self.life.is_cut().then(revoked)
    }
}

fn revoked() -> Fault {
    Fault::new(
        FaultKind::Unauthenticated,
        Origin::Gateway,
        "The key of this call was revoked, so its answer ends here. Ask the people who run the \
         gateway for another key.",
    )
}
