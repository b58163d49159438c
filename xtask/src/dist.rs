//! `cargo xtask dist`: the binary of a release, built and weighed; with `--pgo` laid out by a
//! profile of the bench's own workloads, so that what a call needs lies together.
//!
//! Not here: the workloads, which are `testbed`'s `bench` binary.

use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::bench;
use crate::fuzz::host_triple;
use crate::run::{answers, cargo, pass, program, watch};
use crate::source;

/// Where the binary is left, with a profile or without one.
const BINARY: &str = "target/dist/tollgate";
/// Where the build that counts lives, and its counts.
const COUNTING: &str = "target/pgo";
const KIB: u64 = 1024;

/// Builds the binary and prints its size.
pub(crate) fn main(args: &[String]) -> Outcome {
    let root = source::root()?;
    match args {
        [] => build(&root, None)?,
        [word] if word == "--pgo" => with_profile(&root)?,
        [unknown, ..] => return Err(format!("there is no option `{unknown}`: --pgo")),
    }
    println!("{BINARY}: {}", size(&root.join(BINARY))?);
    Ok(())
}

/// Builds twice: once to count what runs, and once by these counts.
fn with_profile(root: &Path) -> Outcome {
    let merge = merger()?;
    let triple = host_triple(root)?;
    let folder = root.join(COUNTING);
    let raw = folder.join("raw");
    // Counts of an older tree would only mislead.
    if raw.exists() {
        std::fs::remove_dir_all(&raw).map_err(|e| format!("{}: {e}", raw.display()))?;
    }
    println!("==> 1 of 3: a build that counts what runs");
    let mut counting = cargo(
        root,
        &[
            "build",
            "--release",
            "--package",
            "tollgate-gate",
            "--target",
            &triple,
        ],
    );
    counting.arg("--target-dir").arg(&folder);
    counting.env("RUSTFLAGS", format!("-Cprofile-generate={}", raw.display()));
    pass(counting)?;
    println!("==> 2 of 3: the workloads of the bench");
    bench::drive(root, &folder.join(&triple).join("release/tollgate"))?;
    let profile = folder.join("merged.profdata");
    let mut merging = program(merge.to_string_lossy().as_ref(), &["merge", "--output"]);
    merging.arg(&profile).arg(&raw);
    pass(merging)?;
    println!("==> 3 of 3: the build by these counts");
    build(root, Some((&triple, &profile)))
}

/// The build of profile `dist`.
fn build(root: &Path, profile: Option<(&str, &Path)>) -> Outcome {
    let mut build = cargo(
        root,
        &["build", "--profile", "dist", "--package", "tollgate-gate"],
    );
    let Some((triple, profile)) = profile else {
        return pass(build);
    };
    // Named, so that the flags are not those of build scripts.
    build.args(["--target", triple]);
    build.env(
        "RUSTFLAGS",
        format!(
            "-Cprofile-use={} -Cllvm-args=-pgo-warn-missing-function=false",
            profile.display()
        ),
    );
    pass(build)?;
    let built = root.join("target").join(triple).join("dist/tollgate");
    let place = root.join(BINARY);
    let parent = place.parent().expect("the binary has a folder");
    std::fs::create_dir_all(parent)
        .and_then(|()| std::fs::copy(&built, &place))
        .map(drop)
        .map_err(|e| format!("{} to {BINARY}: {e}", built.display()))
}

/// The tool of this compiler that adds counts up.
fn merger() -> Result<PathBuf, String> {
    let asked = watch(program("rustc", &["--print", "target-libdir"]))?;
    let libraries = PathBuf::from(asked.text.trim());
    let tool = libraries.with_file_name("bin").join("llvm-profdata");
    if answers(program(
        tool.to_string_lossy().as_ref(),
        &["merge", "--help"],
    )) {
        return Ok(tool);
    }
    Err(format!(
        "{} is not there. Install it with `rustup component add llvm-tools`, or build without a \
         profile: `cargo xtask dist`.",
        tool.display()
    ))
}

fn size(path: &Path) -> Result<String, String> {
    let bytes = std::fs::metadata(path)
        .map_err(|e| format!("{}: {e}", path.display()))?
        .len();
    let tenths_of_mib = bytes * 10 / (KIB * KIB);
    Ok(format!(
        "{bytes} bytes ({}.{} MiB)",
        tenths_of_mib / 10,
        tenths_of_mib % 10
    ))
}
