//! `cargo xtask bench`: the release build, measured.
//!
//! Not here: the load generator and the workloads, which are `testbed`'s `bench` binary.

use crate::Outcome;
use crate::run::{cargo, pass, program, watch};
use crate::source;

/// The gateway's configuration during a benchmark; the bench fills in ports and keys.
const CONFIG: &str = "testbed/bench/tollgate.yaml";
/// Where a full run leaves its figures.
const FIGURES: &str = "docs/benchmarks/latest.txt";

/// Runs the benchmark; a full run (without `--quick` and without words for the bench) is kept.
pub(crate) fn main(args: &[String]) -> Outcome {
    let root = source::root()?;
    let build = [
        "build",
        "--release",
        "--package",
        "tollgate-gate",
        "--package",
        "testbed",
        "--bins",
    ];
    pass(cargo(&root, &build))?;
    let mut bench = program(
        "target/release/bench",
        &["--gateway", "target/release/tollgate"],
    );
    bench.current_dir(&root);
    if !args.iter().any(|word| word == "--config") {
        bench.args(["--config", CONFIG]);
    }
    bench.args(args.iter().filter(|word| *word != "--"));
    let said = watch(bench)?;
    if !said.success {
        return Err("the bench failed".to_owned());
    }
    if args.is_empty() {
        let path = root.join(FIGURES);
        let folder = path.parent().expect("the figures have a folder");
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, &said.text))
            .map_err(|e| format!("{FIGURES}: {e}"))?;
        println!("written to {FIGURES}");
    }
    Ok(())
}
