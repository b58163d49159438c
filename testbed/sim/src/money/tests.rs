//! The seeds that every change must pass, and the proof that the oracle
//! notices mistakes.

use super::{MoneyMutant, report, simulate};

/// Seeds of the test.
const SEEDS: u64 = 2_000;
/// Seeds within which a planted mistake must be noticed.
const MUTANT_SEEDS: u64 = 400;

fn replayed() -> Option<u64> {
    std::env::var("TOLLGATE_SIM_SEED").ok()?.parse().ok()
}

#[test]
fn seeds_break_no_rule_of_money() {
    let mut failures = 0;
    for seed in 0..SEEDS {
        let run = simulate(seed, MoneyMutant::None);
        if !run.violations.is_empty() {
            failures += 1;
            if failures <= 8 {
                println!("{}", report(seed, &run));
            }
        }
    }
    assert_eq!(failures, 0, "seeds that break a rule");
}

#[test]
fn replay() {
    let seed = replayed().unwrap_or(1);
    let run = simulate(seed, MoneyMutant::None);
    if replayed().is_some() {
        println!("{}", run.trace);
    }
    assert!(run.violations.is_empty(), "{}", report(seed, &run));
}

#[test]
fn the_same_seed_gives_the_same_trace_of_money() {
    for seed in 0..60 {
        let first = simulate(seed, MoneyMutant::None).trace;
        assert_eq!(
            first,
            simulate(seed, MoneyMutant::None).trace,
            "seed {seed}"
        );
        assert!(!first.is_empty(), "seed {seed} leaves no trace");
    }
}

#[test]
fn every_planted_mistake_about_money_is_noticed() {
    let mut missed = Vec::new();
    for (mutant, rules) in MoneyMutant::ALL {
        let noticed = (0..MUTANT_SEEDS).find(|seed| {
            let run = simulate(*seed, mutant);
            let mut broken = run.violations.iter();
            broken.any(|violation| rules.contains(&violation.rule))
        });
        match noticed {
            Some(seed) => println!("{mutant:?} was noticed with seed {seed}"),
            None => missed.push(format!("{mutant:?} was not noticed by {rules:?}")),
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
