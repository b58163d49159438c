//! Touches with and without a grant.

use super::*;
use crate::tidy::places;

#[test]
fn pure_rooms_touch_nothing() {
    for bad in [
        "use std::fs;",
        "use std::{fs::File, io};",
        "use tokio::net::TcpStream;",
        "use std::net::{IpAddr, TcpListener};",
        "fn f() { std::time::Instant::now(); }",
        "fn f() { SystemTime::now(); }",
        "fn f() { tokio::spawn(async {}); }",
        "fn f() { tokio::task::spawn_blocking(|| ()); }",
        "fn f() { getrandom::fill(&mut b); }",
        "use std::process::Command;",
    ] {
        assert_eq!(
            places(check, &[("crates/flow/src/x.rs", bad)]),
            ["crates/flow/src/x.rs:1"],
            "{bad}"
        );
    }
}

#[test]
fn values_words_and_tests_are_free() {
    for fine in [
        "use std::net::{IpAddr, SocketAddr};",
        "use std::time::{Duration, Instant};",
        "use std::process::ExitCode;",
        "// std::fs is not for us\nconst X: &str = \"tokio::spawn\";",
        "#[cfg(test)] mod tests { use std::fs; }",
        "fn f(clock: &Clock) { clock.now(); }",
    ] {
        assert!(
            places(check, &[("crates/flow/src/x.rs", fine)]).is_empty(),
            "{fine}"
        );
    }
}

#[test]
fn io_rooms_have_their_grants_and_no_more() {
    let all = "use std::fs; fn f() { Instant::now(); tokio::spawn(x); }";
    for path in [
        "crates/gate/src/x.rs",
        "crates/store/src/x.rs",
        "testbed/src/x.rs",
        "crates/flow/build.rs",
    ] {
        assert!(places(check, &[(path, all)]).is_empty(), "{path}");
    }
    let cli = "use std::fs;\nuse std::net::TcpStream;\nfn f() { Instant::now(); }";
    assert_eq!(
        places(check, &[("crates/cli/src/x.rs", cli)]),
        ["crates/cli/src/x.rs:3"]
    );
}
