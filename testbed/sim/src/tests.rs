//! The seeds that every change must pass, and the proof that the checkers
//! notice mistakes.

use std::collections::BTreeSet;

use crate::scenario::Scenario;
use crate::world::World;
use crate::{Mutant, report, simulate};

/// Seeds of the test.
const SEEDS: u64 = 2_000;
/// Seeds within which a planted mistake must be noticed.
const MUTANT_SEEDS: u64 = 300;

fn replayed() -> Option<u64> {
    std::env::var("TOLLGATE_SIM_SEED").ok()?.parse().ok()
}

#[test]
fn seeds_break_no_rule() {
    let mut failures = 0;
    for seed in 0..SEEDS {
        let run = simulate(seed, Mutant::None);
        if !run.violations.is_empty() {
            failures += 1;
            if failures <= 5 {
                println!("{}", report(seed, &run));
            }
        }
    }
    assert_eq!(failures, 0, "seeds that break a rule");
}

#[test]
fn replay() {
    let seed = replayed().unwrap_or(1);
    let run = simulate(seed, Mutant::None);
    if replayed().is_some() {
        println!("{}", run.trace);
    }
    assert!(run.violations.is_empty(), "{}", report(seed, &run));
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..100 {
        let (first, second) = (simulate(seed, Mutant::None), simulate(seed, Mutant::None));
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert!(!first.trace.is_empty(), "seed {seed} leaves no trace");
    }
    let traces: BTreeSet<String> = (0..100)
        .map(|seed| simulate(seed, Mutant::None).trace)
        .collect();
    assert_eq!(traces.len(), 100, "seeds differ");
}

#[test]
fn every_planted_mistake_is_noticed() {
    for (mutant, rules) in Mutant::ALL {
        let noticed = (0..MUTANT_SEEDS).find(|seed| {
            let run = simulate(*seed, mutant);
            let mut broken = run.violations.iter();
            broken.any(|violation| rules.contains(&violation.rule))
        });
        assert!(noticed.is_some(), "{mutant:?} was not noticed by {rules:?}");
    }
}

/// Checkers that see nothing find nothing: the seeds must reach every
/// outcome, every way through the dialects and every act.
#[test]
fn the_seeds_reach_everything() {
    let (mut outcomes, mut ways, mut acts) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for seed in 0..SEEDS / 2 {
        let world = World::new(Scenario::draw(seed), Mutant::None);
        crate::caller::all(&world);
        for record in world.records() {
            outcomes.insert(record.outcome.name());
        }
        for call in &world.ledger.book().calls {
            let plan = &world.scenario.exchanges[call.who.exchange];
            let candidate = &plan.candidates[call.who.candidate];
            let act = format!("{:?}", candidate.act);
            let act = act.split([' ', '(']).next().unwrap_or_default();
            acts.insert(act.to_owned());
            let spoken = candidate.spoken.expect("it was called").id();
            ways.insert((plan.front.id(), spoken, plan.stream, act == "Good"));
        }
    }
    let all = ["cancelled", "complete", "cut", "failed", "refused"];
    assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), all);
    let dialects = dialects::DIALECTS.len();
    assert_eq!(
        ways.len(),
        dialects * dialects * 4,
        "ways through the dialects"
    );
    assert_eq!(acts.len(), 22, "{acts:?}");
}
