//! `cargo xtask check`: the one gate. What CI runs is this list, in this order.
//!
//! A step that fails does not hide the next: all run, and the end says which failed.

use std::path::Path;
use std::time::Instant;

use crate::run::{answers, cargo, pass, skip, skipped, watch};
use crate::{Outcome, docs, fuzz, source, test, tidy};

type Step = (&'static str, fn(&Path) -> Outcome);

const STEPS: [Step; 7] = [
    ("fmt", fmt),
    ("clippy", clippy),
    ("tidy", |_| tidy::main(&[])),
    ("test", test::step),
    ("deny", deny),
    ("docs", docs::step),
    ("fuzz", fuzz::build),
];

/// Runs every step, or the one behind `--only`.
pub(crate) fn main(args: &[String]) -> Outcome {
    let root = source::root()?;
    let steps: Vec<Step> = match args {
        [] => STEPS.to_vec(),
        [only, wanted] if only == "--only" => {
            let steps: Vec<Step> = STEPS
                .into_iter()
                .filter(|(name, _)| name == wanted)
                .collect();
            if steps.is_empty() {
                let known: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
                return Err(format!(
                    "there is no step `{wanted}`; there are {}",
                    known.join(", ")
                ));
            }
            steps
        }
        _ => return Err("the only option is --only STEP".to_owned()),
    };
    let mut lines = Vec::new();
    let mut failed = Vec::new();
    for (nth, (name, step)) in steps.iter().enumerate() {
        println!("\n=== step {}/{}: {name}", nth + 1, steps.len());
        let start = Instant::now();
        let outcome = step(&root);
        let seconds = start.elapsed().as_secs_f32();
        match outcome {
            Ok(()) => lines.push(format!("ok      {name:<8} {seconds:>7.1} s")),
            Err(why) => {
                lines.push(format!("FAILED  {name:<8} {seconds:>7.1} s  {why}"));
                failed.push(*name);
            }
        }
    }
    lines.extend(skipped());
    println!("\n{}", lines.join("\n"));
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {}", failed.join(", ")))
    }
}

fn fmt(root: &Path) -> Outcome {
    pass(cargo(root, &["fmt", "--all", "--", "--check"]))?;
    pass(cargo(
        root,
        &["fmt", "--manifest-path", fuzz::MANIFEST, "--", "--check"],
    ))
}

fn clippy(root: &Path) -> Outcome {
    pass(cargo(
        root,
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    ))
}

/// Licences, bans and sources always; advisories when their database can be fetched.
fn deny(root: &Path) -> Outcome {
    if !answers(cargo(root, &["deny", "--version"])) {
        println!("cargo-deny is missing; installing it, which takes some minutes");
        let mut install = cargo(root, &["install", "cargo-deny", "--locked"]);
        install.env("CARGO_TARGET_DIR", root.join("target/tools"));
        pass(install).map_err(|why| format!("{why}; install cargo-deny by hand and run again"))?;
    }
    pass(cargo(
        root,
        &[
            "deny",
            "--workspace",
            "check",
            "bans",
            "licenses",
            "sources",
        ],
    ))?;
    let said = watch(cargo(root, &["deny", "--workspace", "check", "advisories"]))?;
    if said.success {
        return Ok(());
    }
    // An unreachable database says nothing about our dependencies; an advisory does.
    if said.text.contains("failed to fetch advisory database")
        || said.text.contains("failed to load advisory database")
    {
        skip(
            "deny: advisories were not checked",
            "their database could not be fetched from this machine",
        );
        return Ok(());
    }
    Err("`cargo deny check advisories` found advisories".to_owned())
}
