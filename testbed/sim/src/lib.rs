//! Deterministic simulation of the whole path: the real `flow` between
//! seeded callers and upstreams that misbehave in every way of a catalogue.
//!
//! A seed decides everything: dialects, requests, faults, the chunks in which
//! bytes arrive, who leaves when, and the order in which exchanges run. The
//! same seed gives the same trace, byte for byte. Deliberately not here:
//! sockets, threads, the real clock, and any expectation about the words of a
//! message.

mod acts;
mod answers;
mod asks;
mod caller;
mod chance;
mod check;
mod clock;
mod executor;
mod expect;
mod heard;
mod journal;
mod ledger;
pub mod money;
mod mutant;
mod scenario;
mod seen;
mod upstream;
mod world;

pub use mutant::Mutant;

use scenario::Scenario;
use world::World;

#[cfg(test)]
mod tests;

/// A rule of the house that a run broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule, by its name in `check`.
    pub rule: &'static str,
    /// What was seen.
    pub what: String,
}

/// What came of one run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Everything that happened, in order; the same for the same seed.
    pub trace: String,
    /// Rules that were broken.
    pub violations: Vec<Violation>,
}

/// Runs the scenario of a seed.
pub fn simulate(seed: u64, mutant: Mutant) -> Run {
    let world = World::new(Scenario::draw(seed), mutant);
    let end = caller::all(&world);
    for record in world.records() {
        world.ledger.note(format_args!("record {record:?}"));
    }
    let violations = check::all(&world, end);
    let trace = world.ledger.book().trace().to_owned();
    Run { trace, violations }
}

/// What to tell people about a seed that broke a rule.
pub fn report(seed: u64, run: &Run) -> String {
    let mut text = format!("seed {seed} breaks {} rules:\n", run.violations.len());
    for Violation { rule, what } in &run.violations {
        text.push_str(&format!("  {rule}: {what}\n"));
    }
    text.push_str(&format!(
        "Replay it with its trace: TOLLGATE_SIM_SEED={seed} cargo test -p tollgate-sim \
         -- --nocapture replay"
    ));
    text
}
