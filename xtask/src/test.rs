//! `cargo xtask test`: every test, one summary line at the end.
//!
//! A suite that fails does not keep the others from running. What a suite needs is installed where
//! that is possible without asking: Debian packages when run as root, Python and Node packages by
//! the suites' own runners.

use std::path::Path;
use std::process::ExitCode;

use crate::run::{answers, apt_install, cargo, pass, program, watch};
use crate::tally::Tally;
use crate::{Outcome, fuzz, source};

const SDK_RUNNER: &str = "testbed/sdk/run.py";

/// Where Debian puts PostgreSQL, and the settings of its packages.
const POSTGRES: &str = "/usr/lib/postgresql";
const CREATE_CLUSTER: &str = "/etc/postgresql-common/createcluster.conf";

type Suite = (&'static str, fn(&Path) -> Result<Tally, String>);

const FAST: [Suite; 2] = [("rust", rust), ("doc", doc)];
const SLOW: [Suite; 2] = [("fuzz sweep", fuzz::sweep_suite), ("sdk", sdk)];

/// Runs the suites and says nothing after the count, which stays the last line for whoever reads
/// it by machine.
pub(crate) fn main(args: &[String]) -> Result<ExitCode, String> {
    let total = run(args)?;
    Ok(if total.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// All suites as one step of the gate.
pub(crate) fn step(_root: &Path) -> Outcome {
    let total = run(&[])?;
    if total.failed == 0 {
        Ok(())
    } else {
        Err(total.to_string())
    }
}

/// `--fast` leaves out the suites that need more than Rust.
fn run(args: &[String]) -> Result<Tally, String> {
    let suites: Vec<Suite> = match args {
        [] => FAST.into_iter().chain(SLOW).collect(),
        [only] if only == "--fast" => FAST.to_vec(),
        _ => return Err("the only option is --fast".to_owned()),
    };
    let root = source::root()?;
    let mut total = Tally::default();
    let mut lines = Vec::new();
    for (nth, (name, suite)) in suites.iter().enumerate() {
        println!("\n==> suite {}/{}: {name}", nth + 1, suites.len());
        let tally = suite(&root).unwrap_or_else(|why| {
            println!("the suite {name} could not run: {why}");
            Tally::BROKEN
        });
        lines.push(format!("{name:<12} {tally}"));
        total += tally;
    }
    println!("\n{}", lines.join("\n"));
    println!("{total}");
    Ok(total)
}

fn rust(root: &Path) -> Result<Tally, String> {
    let nextest = [
        "nextest",
        "run",
        "--workspace",
        "--no-fail-fast",
        "--no-tests=pass",
    ];
    let plain = [
        "test",
        "--workspace",
        "--no-fail-fast",
        "--lib",
        "--bins",
        "--tests",
    ];
    let has_nextest = answers(cargo(root, &["nextest", "--version"]));
    servers()?;
    let mut tests = cargo(root, if has_nextest { &nextest } else { &plain });
    // Tests that need a server of that kind fail without it, here and only here.
    tests.env("TOLLGATE_TEST_SERVERS", "needed");
    let said = watch(tests)?;
    Ok(Tally::of(&said))
}

/// The servers that replicas share counters and their ledger in. Tests start
/// them themselves.
fn servers() -> Outcome {
    let has = |name| answers(program(name, &["--version"]));
    if !has("valkey-server") && !has("redis-server") {
        apt_install(&["redis-server"], "tests of shared counters need a server")?;
    }
    let has_postgres = has("initdb") || std::fs::read_dir(POSTGRES).is_ok();
    if has_postgres {
        return Ok(());
    }
    let why = "tests of the shared ledger need a server";
    // Debian's package would make a cluster and start it, which nobody here
    // needs; what says so comes with the package before it.
    apt_install(&["postgresql-common"], why)?;
    let settings = Path::new(CREATE_CLUSTER);
    let text = std::fs::read_to_string(settings).unwrap_or_default();
    let text = format!("create_main_cluster = false\n{text}");
    std::fs::write(settings, text).map_err(|error| format!("{CREATE_CLUSTER}: {error}"))?;
    apt_install(&["postgresql"], why)
}

fn doc(root: &Path) -> Result<Tally, String> {
    let said = watch(cargo(
        root,
        &["test", "--workspace", "--no-fail-fast", "--doc"],
    ))?;
    Ok(Tally::of(&said))
}

/// The official SDKs against a debug gateway in front of the fake upstream.
fn sdk(root: &Path) -> Result<Tally, String> {
    if !root.join(SDK_RUNNER).is_file() {
        return Err(format!(
            "{SDK_RUNNER} is missing; the SDK suites live there"
        ));
    }
    let venv = || program("python3", &["-c", "import ensurepip, venv"]);
    if !answers(venv()) {
        apt_install(
            &["python3", "python3-venv"],
            "the SDK suites need Python 3 with venv",
        )?;
    }
    let packages = [
        "build",
        "--package",
        "testbed",
        "--package",
        "tollgate-gate",
    ];
    let binaries = ["--bin", "fake-upstream", "--bin", "tollgate"];
    pass(cargo(root, &[&packages[..], &binaries[..]].concat()))?;
    let mut runner = program(
        "python3",
        &["-u", SDK_RUNNER, "--gateway", "target/debug/tollgate"],
    );
    runner.current_dir(root);
    let tally = Tally::of(&watch(runner)?);
    if tally == Tally::default() {
        return Err(format!(
            "{SDK_RUNNER} reported no tests; it should end with `N passed, N failed`"
        ));
    }
    Ok(tally)
}
