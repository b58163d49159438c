//! Every seed and a fixed number of seeded mutations through every target. Started by
//! `cargo xtask test`; the same inputs on every machine, so a failure can be had again.
//!
//! `sweep [--list] [TARGET]`; `TOLLGATE_FUZZ_SEED` and `TOLLGATE_FUZZ_ROUNDS` change the run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tollgate_fuzz::mutation::{Dice, mutate};
use tollgate_fuzz::targets::{TARGETS, Target};

const SEED: u64 = 4100;
const ROUNDS: u64 = 20_000;
/// A reader that works longer than this on one input of 64 KiB is taken to run for ever.
const INPUT_SECONDS_MAX: u64 = 20;

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1);
    if wanted.as_deref() == Some("--list") {
        for target in TARGETS {
            println!("{}", target.name);
        }
        return ExitCode::SUCCESS;
    }
    let chosen: Vec<&'static Target> = TARGETS
        .iter()
        .filter(|target| wanted.as_deref().is_none_or(|name| name == target.name))
        .collect();
    if chosen.is_empty() {
        eprintln!("no target is named {}", wanted.unwrap_or_default());
        return ExitCode::FAILURE;
    }
    let watch = Watch::start();
    let failed = chosen
        .iter()
        .filter(|target| !holds(target, &watch))
        .count();
    println!("{} passed, {failed} failed", chosen.len() - failed);
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn holds(target: &'static Target, watch: &Watch) -> bool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name);
    let seeds = read_seeds(&folder);
    if seeds.is_empty() {
        println!(
            "{}: no seeds in {}; a target needs at least one",
            target.name,
            folder.display()
        );
        return false;
    }
    let seed = from_environment("TOLLGATE_FUZZ_SEED", SEED);
    let rounds = from_environment("TOLLGATE_FUZZ_ROUNDS", ROUNDS);
    let inputs: Vec<Vec<u8>> = seeds.iter().map(|(_, bytes)| bytes.clone()).collect();
    for (path, bytes) in &seeds {
        if !survives(target, bytes, watch) {
            println!("{}: broken by the seed {}", target.name, path.display());
            return false;
        }
    }
    let mut dice = Dice::new(seed);
    for round in 0..rounds {
        let input = mutate(&inputs, &mut dice);
        if !survives(target, &input, watch) {
            let kept = keep(target, &input);
            println!(
                "{}: broken in round {round} of seed {seed}; the input is {kept}",
                target.name
            );
            return false;
        }
    }
    println!(
        "{}: {} seeds, {rounds} mutations, seed {seed}",
        target.name,
        seeds.len()
    );
    true
}

fn survives(target: &'static Target, input: &[u8], watch: &Watch) -> bool {
    watch.begin(target, input);
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    watch.end();
    outcome.is_ok()
}

fn read_seeds(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut seeds: Vec<_> = entries
        .filter_map(|entry| {
            std::fs::read(entry.path())
                .ok()
                .map(|bytes| (entry.path(), bytes))
        })
        .collect();
    // The order of a folder differs between machines; the mutations must not.
    seeds.sort();
    seeds
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

/// Writes a breaking input where it can be picked up, and says where that is.
fn keep(target: &Target, input: &[u8]) -> String {
    let path = std::env::temp_dir().join(format!("tollgate-fuzz-{}", target.name));
    match std::fs::write(&path, input) {
        Ok(()) => path.display().to_string(),
        Err(why) => format!("not kept ({why}): {:?}", String::from_utf8_lossy(input)),
    }
}

/// Ends the sweep when one input takes for ever, which no panic would tell.
struct Watch(Arc<Mutex<Option<Running>>>);

/// The input a target works on, and for how many seconds it has been seen doing so.
struct Running {
    target: &'static Target,
    input: Vec<u8>,
    seconds: u64,
}

impl Watch {
    fn start() -> Watch {
        let shared: Arc<Mutex<Option<Running>>> = Arc::default();
        let seen = Arc::clone(&shared);
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_secs(1));
                let mut now = seen
                    .lock()
                    .expect("no thread panics while it holds the lock");
                let Some(running) = now.as_mut() else {
                    continue;
                };
                running.seconds += 1;
                if running.seconds > INPUT_SECONDS_MAX {
                    let kept = keep(running.target, &running.input);
                    let name = running.target.name;
                    println!(
                        "{name}: one input takes for ever; it is {kept}
0 passed, 1 failed"
                    );
                    std::process::exit(1);
                }
            }
        });
        Watch(shared)
    }

    fn begin(&self, target: &'static Target, input: &[u8]) {
        let mut now = self
            .0
            .lock()
            .expect("no thread panics while it holds the lock");
        *now = Some(Running {
            target,
            input: input.to_vec(),
            seconds: 0,
        });
    }

    fn end(&self) {
        *self
            .0
            .lock()
            .expect("no thread panics while it holds the lock") = None;
    }
}
