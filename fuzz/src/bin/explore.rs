//! libFuzzer around one target, chosen by `TOLLGATE_FUZZ_TARGET`. Started by `cargo xtask fuzz`.
#![no_main]

use std::sync::LazyLock;

use tollgate_fuzz::targets::{Target, find};

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("TOLLGATE_FUZZ_TARGET").unwrap_or_default();
    find(&name).unwrap_or_else(|| {
        eprintln!("TOLLGATE_FUZZ_TARGET names no target: {name:?}");
        std::process::exit(2)
    })
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| (TARGET.run)(data));
