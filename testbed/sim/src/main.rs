//! A long run of the simulation: `tollgate-sim --seeds 1000000 --from 0`, and
//! with `--money` of the one about limits, budgets and crashes.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use tollgate_sim::{Mutant, Run, money};

/// Seeds between two lines of progress.
const PROGRESS_SEEDS: u64 = 10_000;
/// Failing seeds after which a run gives up.
const FAILURES_MAX: usize = 10;

/// Runs seeds of the simulation and stops with an error if a rule breaks.
#[derive(Parser)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 100_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run the simulation of money: limits, budgets, prices, crashes.
    #[arg(long)]
    money: bool,
    /// Print the trace of each seed; for one seed at a time.
    #[arg(long)]
    trace: bool,
}

impl Arguments {
    fn run(&self, seed: u64) -> Run {
        match self.money {
            true => money::simulate(seed, money::MoneyMutant::None),
            false => tollgate_sim::simulate(seed, Mutant::None),
        }
    }

    fn report(&self, seed: u64, run: &Run) -> String {
        match self.money {
            true => money::report(seed, run),
            false => tollgate_sim::report(seed, run),
        }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout().lock();
    let mut failures = 0;
    for nth in 0..arguments.seeds {
        let seed = arguments.from.wrapping_add(nth);
        let run = arguments.run(seed);
        if arguments.trace {
            out.write_all(run.trace.as_bytes())?;
        }
        if !run.violations.is_empty() {
            failures += 1;
            writeln!(out, "{}", arguments.report(seed, &run))?;
        }
        if failures >= FAILURES_MAX {
            writeln!(out, "giving up after {failures} failing seeds")?;
            break;
        }
        if (nth + 1) % PROGRESS_SEEDS == 0 {
            writeln!(out, "{} seeds run, {failures} failed", nth + 1)?;
            out.flush()?;
        }
    }
    if failures > 0 {
        return Ok(ExitCode::FAILURE);
    }
    writeln!(
        out,
        "{} seeds from {}: no rule broken",
        arguments.seeds, arguments.from
    )?;
    Ok(ExitCode::SUCCESS)
}
