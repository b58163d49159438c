//! The strict framing at the front door. It is private to the binary, so the file itself is taken.

#[expect(
    dead_code,
    unused_imports,
    reason = "only the entry point is called from here"
)]
#[path = "../../../crates/gate/src/edge/framing/mod.rs"]
mod framing;

/// The bytes of a connection, cut in one place or another.
pub(super) fn run(data: &[u8]) {
    framing::fuzz_framing(data);
}
