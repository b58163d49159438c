//! `cargo xtask fuzz`, and the two ways `fuzz/` is run.
//!
//! *Sweep*: every seed of the corpus and a fixed number of seeded mutations, the same on every
//! machine; it is part of `cargo xtask test`. *Explore*: libFuzzer guided by coverage, for as long
//! as one likes; it needs a C++ compiler, and no nightly toolchain, because the coverage pass is
//! part of the stable compiler and only the sanitizers are not (our crates forbid `unsafe`).

use std::path::Path;
use std::process::Command;

use crate::run::{answers, cargo, pass, program, skip, watch};
use crate::tally::Tally;
use crate::{Outcome, source};

/// Manifest of the fuzz targets, a workspace of its own.
pub(crate) const MANIFEST: &str = "fuzz/Cargo.toml";
const TARGET_DIR: &str = "target/fuzz";
const SECONDS: &str = "30";

/// Flags of the coverage pass that libFuzzer reads.
const COVERAGE: &str = "--cfg fuzzing -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1 \
    -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Explores one target or all, or sweeps them.
pub(crate) fn main(args: &[String]) -> Outcome {
    let root = source::root()?;
    let mut wanted = None;
    let mut seconds = SECONDS.to_owned();
    let mut sweeps = false;
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .cloned()
                .ok_or_else(|| format!("{word} needs a value"))
        };
        match word.as_str() {
            "--target" => wanted = Some(value()?),
            "--seconds" => seconds = value()?,
            "--sweep" => sweeps = true,
            unknown => {
                return Err(format!(
                    "there is no option `{unknown}`: --target T, --seconds N, --sweep"
                ));
            }
        }
    }
    if sweeps {
        return pass(sweep(&root, wanted.as_deref()));
    }
    if !has_cpp() {
        return Err("libFuzzer needs a C++ compiler: install g++, or use --sweep".to_owned());
    }
    let triple = host_triple(&root)?;
    pass(explore_build(&root, &triple))?;
    for target in targets(&root)?
        .iter()
        .filter(|name| wanted.as_ref().is_none_or(|w| w == *name))
    {
        println!("\n==> exploring {target} for {seconds} s");
        explore(&root, &triple, (target, &seconds))?;
    }
    Ok(())
}

/// The sweep as a suite of `cargo xtask test`: one test for each target.
pub(crate) fn sweep_suite(root: &Path) -> Result<Tally, String> {
    Ok(Tally::of(&watch(sweep(root, None))?))
}

/// Builds all that can be built here: always the sweep, and the explorer where there is C++.
pub(crate) fn build(root: &Path) -> Outcome {
    pass(fuzz_cargo(root, &["build", "--bin", "sweep"]))?;
    if has_cpp() {
        pass(explore_build(root, &host_triple(root)?))
    } else {
        skip(
            "fuzz: the libFuzzer binary was not built",
            "there is no C++ compiler (install g++)",
        );
        Ok(())
    }
}

fn sweep(root: &Path, target: Option<&str>) -> Command {
    let mut command = fuzz_cargo(root, &["run", "--quiet", "--bin", "sweep", "--"]);
    command.args(target);
    command
}

fn explore_build(root: &Path, triple: &str) -> Command {
    // With `--target` the flags reach the targets only, not build scripts and macros, which would
    // not link without libFuzzer.
    let mut command = fuzz_cargo(
        root,
        &[
            "build",
            "--bin",
            "explore",
            "--features",
            "libfuzzer",
            "--target",
            triple,
        ],
    );
    command.env("RUSTFLAGS", COVERAGE);
    command
}

fn explore(root: &Path, triple: &str, (target, seconds): (&str, &str)) -> Outcome {
    let found = root.join(TARGET_DIR).join("corpus").join(target);
    let crashes = root.join(TARGET_DIR).join("crashes").join(target);
    for folder in [&found, &crashes] {
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let binary = root.join(TARGET_DIR).join(triple).join("debug/explore");
    let mut command = Command::new(binary);
    command
        .current_dir(root)
        .env("TOLLGATE_FUZZ_TARGET", target)
        .arg(format!("-max_total_time={seconds}"))
        .arg("-timeout=10")
        .arg("-rss_limit_mb=1024")
        .arg("-print_final_stats=1")
        .arg(format!("-artifact_prefix={}/", crashes.display()))
        .arg(&found)
        .arg(root.join("fuzz/corpus").join(target));
    pass(command).map_err(|why| {
        format!("{why}\nthe input is in {}; keep it as fuzz/corpus/{target}/<name of the bug> and repair the reader", crashes.display())
    })
}

fn targets(root: &Path) -> Result<Vec<String>, String> {
    let out = fuzz_cargo(root, &["run", "--quiet", "--bin", "sweep", "--", "--list"])
        .output()
        .map_err(|e| format!("the list of fuzz targets: {e}"))?;
    if !out.status.success() {
        return Err(format!(
            "the list of fuzz targets: {}",
            String::from_utf8_lossy(&out.stderr)
        ));
    }
    Ok(String::from_utf8_lossy(&out.stdout)
        .lines()
        .map(str::to_owned)
        .collect())
}

fn fuzz_cargo(root: &Path, args: &[&str]) -> Command {
    let (verb, rest) = args.split_first().expect("a cargo command has a verb");
    let mut command = cargo(
        root,
        &[
            verb,
            "--manifest-path",
            MANIFEST,
            "--target-dir",
            TARGET_DIR,
        ],
    );
    command.args(rest);
    command
}

fn has_cpp() -> bool {
    answers(program("c++", &["--version"]))
}

fn host_triple(root: &Path) -> Result<String, String> {
    let out = Command::new("rustc")
        .arg("-vV")
        .current_dir(root)
        .output()
        .map_err(|e| format!("rustc: {e}"))?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "rustc -vV names no host".to_owned())
}
