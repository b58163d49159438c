//! `cargo xtask`: the chores of the workspace, one command for each.
//!
//! What runs in CI is what runs here, so that a green run on a desk means a green run there. Not
//! here: anything the gateway needs at run time; nothing in `crates/` may import this crate.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a command-line tool speaks through its standard streams and times its own steps"
)]

mod bench;
mod check;
mod dist;
mod docs;
mod fuzz;
mod prices;
mod run;
mod source;
mod tally;
mod test;
mod tidy;

use std::process::ExitCode;

/// Result of a chore: what went wrong, in words for the person at the terminal.
type Outcome = Result<(), String>;

const USAGE: &str = "\
cargo xtask <command>

  tidy                          the rules of the house: layers, circles, sizes, names, vendors, IO
  test [--fast]                 every test, with one summary line at the end; --fast: only Rust tests
  check [--only STEP]           what CI runs: fmt, clippy, tidy, test, deny, docs, fuzz
  fuzz [--target T] [--seconds N] [--sweep]
                                coverage-guided fuzzing of one or all targets, 30 s each by default;
                                --sweep: seeded mutation only, needs no C++ compiler
  bench [--quick] [-- ARGS]     the benchmark of testbed against a release build
  dist                          the release binary (profile `dist`) and its size
  prices --litellm FILE ..      the built-in catalog of prices, from public price data
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = args.split_first() else {
        print!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let outcome = match command.as_str() {
        "tidy" => tidy::main(rest),
        "test" => match test::main(rest) {
            Ok(code) => return code,
            Err(why) => Err(why),
        },
        "check" => check::main(rest),
        "fuzz" => fuzz::main(rest),
        "bench" => bench::main(rest),
        "dist" => dist::main(rest),
        "prices" => prices::main(rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        unknown => Err(format!("there is no command `{unknown}`.\n\n{USAGE}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask {command}: {why}");
            ExitCode::FAILURE
        }
    }
}
