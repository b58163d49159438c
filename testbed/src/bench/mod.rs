//! The bench: one proxy at a time on one core, load and upstream on the other, rounds interleaved.
//!
//! It starts the fake upstream in fast mode, nginx where it is installed, and the gateway where
//! one is given; runs every workload over direct, nginx and gateway in turn, round by round; and
//! gives medians and ratios to nginx of the same run. Policy and nested limits are measured as what a
//! generated plan adds to the plain configuration, and policy by how fast its plan is loaded again.
//! Deliberately not here: building anything,
//! and judging the figures.

mod figures;
pub mod limits;
pub mod plan;
mod process;
mod reload;
mod subjects;
mod workloads;

use figures::Figures;
use process::Cores;
use std::path::PathBuf;
use std::time::Duration;
use subjects::{Stage, Subject};
use workloads::{WORKLOADS, Workload};

/// What to run and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The gateway's binary; without it only direct and nginx run.
    pub gateway: Option<PathBuf>,
    /// Template of the gateway's configuration: `{{upstream}}`, `{{listen}}`, `{{admin}}` and
    /// `{{data_dir}}` are replaced.
    pub config: Option<PathBuf>,
    /// Arguments of the gateway; `{config}` is replaced by the written file.
    pub gateway_args: Vec<String>,
    /// The key that clients send.
    pub key: String,
    /// The model that clients name.
    pub model: String,
    /// The model of the translated workloads.
    pub translated_model: String,
    /// Directory of the `fake-upstream` and `load` binaries.
    pub tools: PathBuf,
    /// Interleaved rounds of each workload.
    pub rounds: usize,
    /// Seconds of each run.
    pub seconds: f64,
    /// Streams held open in the memory workload.
    pub streams: usize,
    /// Only workloads whose name contains one of these; empty runs all.
    pub only: Vec<String>,
    /// Core of the proxy under test, and core of load and upstream.
    pub cores: (usize, usize),
    /// Where `bench.md` and `bench.json` are written.
    pub out: Option<PathBuf>,
}

/// Runs the bench and gives the table as markdown; progress goes to `say`.
///
/// # Errors
/// A sentence, when a process does not start, or a subject answers wrongly.
pub fn run(options: &Options, mut say: impl FnMut(&str)) -> Result<String, String> {
    let stage = Stage::set(options)?;
    let mut figures = Figures::new(options);
    for workload in WORKLOADS.iter().filter(|w| chosen(options, w.name)) {
        say(&format!("{}: {}", workload.name, workload.what));
        if let Some(why) = workload.missing() {
            say(&format!("  skipped: {why}"));
            figures.note(format!("{} was skipped: {why}.", workload.name));
            continue;
        }
        if let Err(why) = one(&stage, options, workload, &mut figures, &mut say) {
            return Err(format!("{}: {why}", workload.name));
        }
    }
    let markdown = figures.markdown();
    if let Some(dir) = &options.out {
        let write = |name: &str, text: &str| {
            std::fs::write(dir.join(name), text)
                .map_err(|e| format!("{}: {e}", dir.join(name).display()))
        };
        std::fs::create_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        write("bench.md", &markdown)?;
        write("bench.json", &format!("{:#}\n", figures.json()))?;
    }
    Ok(markdown)
}

fn chosen(options: &Options, name: &str) -> bool {
    options.only.is_empty() || options.only.iter().any(|o| name.contains(o.as_str()))
}

/// All rounds of one workload, over fresh processes, so that nothing carries over.
fn one(
    stage: &Stage,
    options: &Options,
    workload: &Workload,
    figures: &mut Figures,
    say: &mut impl FnMut(&str),
) -> Result<(), String> {
    let subjects: Vec<Subject> = stage
        .subjects(options, workload)?
        .into_iter()
        .filter(|s| workload.runs_on(s))
        .collect();
    let request = stage.request_file(options, workload)?;
    for subject in &subjects {
        stage.check(subject, options, workload, &request)?;
    }
    // The first answers fill pools and caches; they are not measured. Memory is measured from the
    // untouched process: what an earlier stream allocated would hide what a stream costs.
    for subject in subjects.iter().filter(|_| !workload.is_memory()) {
        let warm_up = Duration::from_millis(500);
        stage.load(subject, options, workload, &request, warm_up)?;
    }
    let rounds = if workload.is_memory() {
        1
    } else {
        options.rounds
    };
    for round in 1..=rounds {
        for subject in &subjects {
            let before = subject.idle_reading();
            let report = stage.load(
                subject,
                options,
                workload,
                &request,
                Duration::from_secs_f64(options.seconds),
            )?;
            let reading = subject.reading_since(&before);
            say(&format!(
                "  round {round}/{rounds} {:8} {}",
                subject.name,
                figures::summary(workload, &report, &reading)
            ));
            figures.record(workload, subject, &report, &reading);
        }
    }
    if workload.name == "policy" {
        reload::measure(stage, options, &subjects, figures, say)?;
    }
    if workload.name == "chat-1k" {
        stage.settle(&subjects, figures);
    }
    Ok(())
}

/// Where each role runs; one core for all when there is only one.
fn cores_of(options: &Options) -> Cores {
    Cores {
        proxy: options.cores.0,
        load: options.cores.1,
    }
}
