//! `cargo xtask dist`: the binary of a release, built and weighed.

use std::path::Path;

use crate::Outcome;
use crate::run::{cargo, pass};
use crate::source;

const BINARY: &str = "target/dist/tollgate";
const KIB: u64 = 1024;

/// Builds the binary and prints its size.
pub(crate) fn main(args: &[String]) -> Outcome {
    let root = source::root()?;
    let mut build = cargo(
        &root,
        &["build", "--profile", "dist", "--package", "tollgate-gate"],
    );
    build.args(args);
    pass(build)?;
    println!("{BINARY}: {}", size(&root.join(BINARY))?);
    Ok(())
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
