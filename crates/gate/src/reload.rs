//! A new configuration while the gateway runs: the plan is swapped whole, or
//! the last good one stays. What cannot change without a restart is said.
//!
//! Deliberately not here: watching files (`config::watch`).

use std::io::IsTerminal;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use contract::seams::Clock as _;
use plan::Diagnostic;
use transport::RealClock;

use crate::config::{Loaded, Outcome};
use crate::serve::{House, Shape};

/// Longest wait of an operator for a reload that they asked for.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Applies reloads, and lets those who asked for one wait for it.
pub(crate) struct Applier {
    house: House,
    shape: Shape,
    name: String,
    last: Mutex<Last>,
    told: Condvar,
}

/// Says what the operator should know about a configuration that is usable.
pub(crate) fn warn(warnings: &[Diagnostic], name: &str) {
    if !warnings.is_empty() {
        let colours = std::io::stderr().is_terminal();
        crate::say(&plan::render(warnings, name, colours));
    }
}

/// The last reload: its number and what became of it.
struct Last {
    number: u64,
    outcome: Result<String, String>,
}

impl Applier {
    /// An applier for this house; `name` is where the configuration is from.
    pub(crate) fn new(house: House, shape: Shape, name: String) -> Arc<Self> {
        let outcome = Ok(house.plan.load().digest.to_string());
        let last = Mutex::new(Last { number: 0, outcome });
        Arc::new(Self {
            house,
            shape,
            name,
            last,
            told: Condvar::new(),
        })
    }

    /// Takes in what became of a load.
    pub(crate) fn apply(&self, outcome: Outcome) {
        let meter = self.house.evidence.meter();
        let outcome = match outcome {
            Ok(loaded) => {
                let digest = self.put_in_force(loaded);
                meter.reloaded("applied");
                crate::say(&format!("{}: plan {digest} is in force", self.name));
                Ok(digest)
            }
            Err(failure) => {
                meter.reloaded("rejected");
                let colours = std::io::stderr().is_terminal();
                let digest = self.house.plan.load().digest.clone();
                crate::say(&format!(
                    "{} cannot be used, so plan {digest} stays in force:\n{}",
                    self.name,
                    failure.render(&self.name, colours)
                ));
                Err(failure.render(&self.name, false))
            }
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.number += 1;
        last.outcome = outcome;
        self.told.notify_all();
    }

    fn put_in_force(&self, loaded: Loaded) -> String {
        warn(&loaded.compiled.warnings, &self.name);
        let wanted = Shape::of(&loaded.compiled);
        if wanted != self.shape {
            crate::say(
                "listeners, workers, connection limits and drain times changed in the \
                 configuration; they take effect at the next start (`tollgate` can be started \
                 again beside this one: it takes the sockets over without losing a call)",
            );
        }
        let plan = loaded.compiled.plan;
        let digest = plan.digest.to_string();
        self.house.evidence.meter().plan_in_force(&digest);
        self.house.gauges.plan_loaded(RealClock::new().unix_us());
        self.house.lending.follow(&plan);
        self.house.plan.store(Arc::new(plan));
        digest
    }

    /// Asks for a reload and waits for what becomes of it.
    pub(crate) fn ask(&self, trigger: &dyn Fn()) -> Result<String, String> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.number;
        trigger();
        let waited = self
            .told
            .wait_timeout_while(last, WAIT_MAX, |last| last.number == before);
        let (last, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return Err("The reload did not end in time; the log tells when it does.".to_owned());
        }
        last.outcome.clone()
    }
}
