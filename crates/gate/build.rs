//! How the program is linked: its 54,000 relative relocations packed, which
//! takes 1.2 MiB off the file and off what is resident after the start, for
//! the loader reads them all.
//!
//! Loaders of glibc know that form since 2.36. Where the program is built
//! beside an older one, or for another system, it stays as it was.

use std::process::Command;

/// The first glibc that reads packed relocations.
const SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=TOLLGATE_PLAIN_RELOCATIONS");
    let of = |name: &str| std::env::var(name).unwrap_or_default();
    let is_wanted = of("TOLLGATE_PLAIN_RELOCATIONS").is_empty();
    let is_own = of("HOST") == of("TARGET") && of("CARGO_CFG_TARGET_ENV") == "gnu";
    if is_wanted && is_own && glibc().is_some_and(|version| version >= SINCE) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of the C library of this machine: `glibc 2.36`.
fn glibc() -> Option<(u32, u32)> {
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let told = String::from_utf8(told.ok()?.stdout).ok()?;
    let (major, minor) = told.trim().rsplit_once(' ')?.1.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
