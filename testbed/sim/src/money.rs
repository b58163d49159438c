//! Deterministic simulation of money: the real `flow` with limits, budgets and
//! prices, between callers that share them, in processes that are killed.
//!
//! What was admitted and settled is also kept in a plain list, and what the
//! counters, the records and the ledger say must be what the list says: at
//! each admission, after each crash, and at the end. Deliberately not here:
//! the answers (the simulation beside this one), several replicas.

mod check;
mod crash;
mod life;
mod mutant;
mod oracle;
mod price;
mod process;
mod scenario;
mod tap;
mod windows;

use std::cell::Cell;
use std::sync::{Arc, Mutex};

use contract::seams::Clock;

pub use mutant::MoneyMutant;

use crate::caller;
use crate::clock::SimClock;
use crate::executor::{self, End, Task};
use crate::ledger::Ledger;
use crate::world::{self, Stage, World};
use crate::{Mutant, Run, Violation};
use life::lock;
use oracle::Oracle;
use process::{Outside, Process};
use scenario::{CallerPlan, Plot};

#[cfg(test)]
mod tests;

/// Runs the plot of a seed.
pub fn simulate(seed: u64, mutant: MoneyMutant) -> Run {
    let (world, outside) = play(seed, mutant);
    let mut violations = std::mem::take(&mut lock(&outside.oracle).found);
    let mut book = world.ledger.book();
    let broken = std::mem::take(&mut book.broken);
    violations.extend(
        broken
            .into_iter()
            .map(|(rule, what)| Violation { rule, what }),
    );
    let trace = book.trace().to_owned();
    drop(book);
    Run { trace, violations }
}

/// What to tell people about a seed that broke a rule.
pub fn report(seed: u64, run: &Run) -> String {
    let mut text = format!(
        "seed {seed} of the money breaks {} rules:\n",
        run.violations.len()
    );
    for Violation { rule, what } in &run.violations {
        text.push_str(&format!("  {rule}: {what}\n"));
    }
    text.push_str(&format!(
        "Replay it with its trace: TOLLGATE_SIM_SEED={seed} cargo test -p tollgate-sim \
         -- --nocapture money::tests::replay"
    ));
    text
}

/// Where a run is.
struct Going {
    /// Callers that have begun.
    begun: Vec<Cell<bool>>,
    /// Callers that are done.
    done: Vec<Cell<bool>>,
    /// Those whose record a crash may have taken with it.
    crashed: Vec<usize>,
    jumped: Vec<Cell<bool>>,
}

fn play(seed: u64, mutant: MoneyMutant) -> (World, Outside) {
    let (plot, mut scenario) = Plot::draw(seed);
    let clock = SimClock::default();
    let ledger = Ledger::new(clock.clone(), plot.callers.len());
    let outside = Outside {
        clock: clock.clone(),
        wire: Arc::new(world::sim_wire(&mut scenario, &clock, &ledger)),
        disk: Arc::default(),
        oracle: Arc::new(Mutex::new(Oracle::of(&plot.quotas))),
        mutant,
    };
    let mut chance = scenario.chance.fork();
    let mut crashes = plot.faults.crashes.iter();
    let mut acts = || crashes.next().copied().unwrap_or(u64::MAX);
    let mut process = Process::start(&outside, (&plot, &scenario), acts(), &mut chance);
    let stage = Stage {
        clock,
        ledger,
        flow: process.flow.clone(),
        journal: process.journal.clone(),
    };
    let mut world = World::on(stage, scenario, Mutant::None);
    note(&world, &plot);
    let mut going = Going::new(&plot);
    going.jump(&world, &plot, 0);
    loop {
        let life = process.life.clone();
        let tasks = tasks((&world, &plot), &going, &process);
        let stops = &mut |_| !life.is_alive();
        let end = executor::run_until(tasks, &outside.clock, &mut chance, stops);
        if life.is_alive() {
            let is_done = end == End::Done;
            finish((&world, &plot), &outside, &process, &going);
            if !is_done {
                lock(&outside.oracle).add("stuck", format!("the run is {end:?}"));
            }
            return (world, outside);
        }
        crash(&world, &outside, &process, &mut going);
        process = Process::start(&outside, (&plot, &world.scenario), acts(), &mut chance);
        world.flow = process.flow.clone();
        world.journal = process.journal.clone();
        compare(&outside, &process, "after a crash");
    }
}

impl Going {
    fn new(plot: &Plot) -> Self {
        let of = |count| (0..count).map(|_| Cell::new(false)).collect();
        Self {
            begun: of(plot.callers.len()),
            done: of(plot.callers.len()),
            jumped: of(plot.faults.jumps.len()),
            crashed: Vec::new(),
        }
    }

    /// Sets the wall clock, once for each jump.
    fn jump(&self, world: &World, plot: &Plot, nth: usize) {
        let (_, by_us) = plot.faults.jumps[nth];
        if !self.jumped[nth].replace(true) {
            world
                .ledger
                .note(format_args!("the clock jumps by {by_us} us"));
            world.clock.jump(by_us);
        }
    }
}

/// Writes the plot into the trace.
fn note(world: &World, plot: &Plot) {
    for quota in &plot.quotas {
        world.ledger.note(format_args!("{quota:?}"));
    }
    for line in &plot.prices {
        world.ledger.note(format_args!("{line:?}"));
    }
    let Plot {
        output_tokens,
        strict,
        faults,
        ..
    } = plot;
    let faults = (&faults.crashes, &faults.jumps, &faults.down);
    world.ledger.note(format_args!(
        "cap {output_tokens}, strict {strict}, faults {faults:?}"
    ));
}

/// Waits until so long after the start of the run.
async fn until(world: &World, ms: u64) {
    let mut alarm = world.clock.alarm(contract::seams::Ticks(ms * 1_000_000));
    std::future::poll_fn(|cx| alarm.poll_ring(cx)).await;
}

fn tasks<'a>(
    (world, plot): (&'a World, &'a Plot),
    going: &'a Going,
    process: &Process,
) -> Vec<Task<'a>> {
    let mut tasks: Vec<Task<'a>> = Vec::new();
    for (nth, caller) in plot.callers.iter().enumerate() {
        if going.begun[nth].get() {
            continue;
        }
        tasks.push(Box::pin(async move {
            until(world, caller.start_ms).await;
            going.begun[nth].set(true);
            let CallerPlan {
                tenant,
                user,
                max_cost,
                ..
            } = caller;
            world.ledger.note(format_args!(
                "x{nth} is {user} of {tenant} and pays {max_cost:?}"
            ));
            caller::call(world, nth).await;
            going.done[nth].set(true);
        }));
    }
    for (nth, (at_ms, _)) in plot.faults.jumps.iter().enumerate() {
        if !going.jumped[nth].get() {
            tasks.push(Box::pin(async move {
                until(world, *at_ms).await;
                going.jump(world, plot, nth);
            }));
        }
    }
    for at_ms in &plot.faults.sweeps {
        let counters = process.flow.counters.clone();
        tasks.push(Box::pin(async move {
            until(world, *at_ms).await;
            counters.sweep(world.clock.unix_us());
        }));
    }
    tasks
}

/// The process is dead. Its journal and its table are what is left.
fn crash(world: &World, outside: &Outside, process: &Process, going: &mut Going) {
    world.ledger.note(format_args!("the process dies"));
    process::recover(&mut lock(&outside.disk), &process.table, outside.mutant);
    let begun = (0..going.begun.len()).filter(|nth| going.begun[*nth].get());
    going.crashed = begun.collect();
    let ledger = check::ledger(&process::records(&lock(&outside.disk)));
    let sent = |exchange: usize| -> Vec<String> {
        let book = world.ledger.book();
        let calls = book.calls_of(exchange);
        calls.iter().map(|call| call.who.to_string()).collect()
    };
    lock(&outside.oracle).crashed(&ledger, &sent);
}

/// The counters are what the list says.
fn compare(outside: &Outside, process: &Process, when: &str) {
    let counters = &process.flow.counters;
    let now_us = outside.clock.unix_us();
    let levels = counters.levels();
    let debt = |measure| counters.debt(measure);
    lock(&outside.oracle).compare(when, now_us, &levels, &debt);
}

fn finish((world, plot): (&World, &Plot), outside: &Outside, process: &Process, going: &Going) {
    let records = process::records(&lock(&outside.disk));
    for record in &records {
        world.ledger.note(format_args!("record {record:?}"));
    }
    compare(outside, process, "at the end");
    let mut oracle = lock(&outside.oracle);
    for level in process.flow.counters.levels() {
        if level.reserved != 0 {
            oracle.add(
                "leak",
                format!("at the end something is reserved: {level:?}"),
            );
        }
    }
    check::all(&mut oracle, (world, plot), &records, &going.crashed);
}
