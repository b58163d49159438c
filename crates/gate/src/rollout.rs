//! The tender of roll-outs: it looks at what the calls of a candidate come to,
//! and ends the roll-out once they break its condition.
//!
//! Deliberately not here: counting (`evidence`), what breaks a condition
//! (`plan`), and noting the end (`admin`).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use admin::{Author, Plans, rollout_figures};
use contract::seams::Clock as _;
use evidence::{Sides, Window};
use transport::RealClock;

use crate::plans::catch_up;
use crate::rounds::Rounds;
use crate::serve::House;

/// Longest time until a broken condition is seen.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Who ends a roll-out that breaks its condition.
const AUTHOR: &str = "gateway";

/// Looks at roll-outs until it is stopped.
///
/// # Errors
/// No thread can be started.
pub(crate) fn tend(house: House, plans: Arc<Plans>) -> io::Result<Rounds> {
    let mut watch = Watch {
        house,
        plans,
        clock: RealClock::new(),
        on: None,
        trouble: false,
        lags: false,
    };
    Rounds::start("roll-out", LOOK_EVERY, move |is_over| {
        if !is_over {
            watch.look();
        }
    })
}

struct Watch {
    house: House,
    plans: Arc<Plans>,
    clock: RealClock,
    /// The calls of the roll-out that is on.
    on: Option<(Arc<Sides>, Window)>,
    /// The end of this one could not be noted, which was said.
    trouble: bool,
    /// What another process changed could not be read, which was said.
    lags: bool,
}

impl Watch {
    /// Takes in what another process changed; trouble is said once.
    fn keep_up(&mut self) {
        if !self.plans.is_behind() {
            return;
        }
        let lagged = self.lags;
        let tried = catch_up(&self.plans);
        self.lags = tried.is_err();
        if let Err(error) = tried
            && !lagged
        {
            crate::say(&error.to_string());
        }
    }

    fn look(&mut self) {
        // A process that drains leaves the roll-out to the one after it.
        if !self.house.health.is_ready() {
            return;
        }
        self.keep_up();
        let in_force = self.house.plan.load_full();
        let on = in_force.rollout.as_ref();
        let condition = on.and_then(|rollout| Some((rollout, rollout.abort.as_ref()?)));
        let sides = self.house.evidence.meter().sides();
        let (Some((rollout, condition)), Some(sides)) = (condition, sides) else {
            self.on = None;
            return;
        };
        let window = match &mut self.on {
            Some((known, window)) if Arc::ptr_eq(known, &sides) => window,
            on => {
                self.trouble = false;
                let length_us = condition.window_s() * 1_000_000;
                &mut on.insert((sides.clone(), Window::new(length_us))).1
            }
        };
        let now_us = self.clock.now().0 / 1_000;
        let figures = rollout_figures(&window.take(now_us, sides.now()));
        let Some(breach) = condition.broken(&figures) else {
            return;
        };
        let (digest, why) = (&rollout.candidate.digest, breach.text.clone());
        let author = Author::itself(AUTHOR, self.clock.unix_us());
        match self.plans.abort_broken(digest, (breach, figures), &author) {
            Ok(()) => crate::say(&format!(
                "the roll-out of plan {digest} was ended by its condition, and plan {} is in force \
                 for all: {why}",
                in_force.plan.digest
            )),
            Err(refusal) if !self.trouble => {
                self.trouble = true;
                crate::say(&format!(
                    "the roll-out of plan {digest} breaks its condition ({why}), but its end \
                     cannot be noted, so it goes on; it is tried again: {}",
                    String::from_utf8_lossy(&refusal.body)
                ));
            }
            Err(_) => {}
        }
    }
}
