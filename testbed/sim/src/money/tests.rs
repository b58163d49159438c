//! The seeds that every change must pass, and the proof that the oracle
//! notices mistakes.

use std::collections::BTreeSet;

use meter::Measure;

use super::life::lock;
use super::process::records;
use super::{MoneyMutant, play, report, simulate};

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

/// The seams of the mutants change nothing by themselves.
#[test]
fn a_mistake_in_prices_leaves_the_counters_alone() {
    for seed in 0..200 {
        let run = simulate(seed, MoneyMutant::OtherPrice);
        let mut broken = run.violations.iter();
        let other = broken.find(|it| !["price", "row"].contains(&it.rule));
        assert_eq!(other, None, "seed {seed}");
    }
}

/// An oracle that sees nothing finds nothing: the seeds must reach every way
/// in which a call can end, and every fault.
#[test]
fn the_seeds_reach_every_fault_of_money() {
    let mut reached = BTreeSet::new();
    for seed in 0..400 {
        let (world, outside) = play(seed, MoneyMutant::None);
        let trace = world.ledger.book().trace().to_owned();
        let signs = [
            ("a crash", "the process dies"),
            ("a jump back", "the clock jumps by -"),
        ];
        let seen = signs.iter().filter(|(_, sign)| trace.contains(sign));
        reached.extend(seen.map(|(what, _)| (*what).to_owned()));
        let oracle = lock(&outside.oracle);
        for entry in &oracle.entries {
            let draw = &entry.draw;
            let over = entry.settled.is_some_and(|it| it > draw.amount);
            let debt = over && draw.measure != Measure::Concurrency;
            reached.extend(debt.then(|| format!("debt of {}", draw.measure.name())));
            reached.insert(format!("{} of {}", draw.kind.name(), draw.measure.name()));
        }
        for record in records(&lock(&outside.disk)) {
            let fault = record.fault.as_ref();
            let unasked = fault.is_some_and(|it| it.public.contains("look at its budgets"));
            reached.extend(unasked.then(|| "counters that cannot be asked".to_owned()));
            let kind = record.fault.map_or("none".into(), |fault| fault.kind);
            reached.insert(format!("{} {kind}", record.outcome.name()));
            let billed = record.attempts.iter();
            let mut billed = billed.filter(|it| !it.committed && it.cost_nanos.is_some());
            let is_billed = billed.next().is_some();
            reached.extend(is_billed.then(|| "a failed attempt that is billed".to_owned()));
            let mut rows = record.reservations.iter();
            let is_sliced = rows.any(|row| {
                let same = record.reservations.iter();
                let same = same.filter(|it| (it.counter, it.attempt) == (row.counter, row.attempt));
                same.count() > 1
            });
            reached.extend(is_sliced.then(|| "a further slice".to_owned()));
            let stages = record.decisions.iter();
            reached.extend(stages.map(|it| format!("{} {}", it.verdict, it.reason)));
        }
    }
    let wanted = [
        "a crash",
        "a jump back",
        "a failed attempt that is billed",
        "counters that cannot be asked",
        "debt of input_tokens",
        "debt of output_tokens",
        "debt of tokens",
        "debt of cost",
        "rate_limit of requests",
        "rate_limit of concurrency",
        "rate_limit of tokens",
        "rate_limit of cost",
        "budget of requests",
        "budget of tokens",
        "budget of cost",
        "complete none",
        "cut upstream_broken",
        "cut timeout",
        "cancelled cancelled",
        "lost none",
        "refused rate_limited",
        "refused over_budget",
        "refused overloaded",
        "refused forbidden",
        "alert threshold",
        "shorten threshold",
        "refuse threshold",
        "answer threshold",
        "cap max_cost",
        "cut budget",
        "a further slice",
        "cap no_cap_of_the_caller",
        "waited queue",
        "gave_up queue",
        "warn budget_cost",
        "would_deny budget_cost",
    ];
    let missing: Vec<_> = wanted.iter().filter(|it| !reached.contains(**it)).collect();
    assert!(missing.is_empty(), "{missing:?} not in {reached:#?}");
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
