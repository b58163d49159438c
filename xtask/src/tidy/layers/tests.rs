//! Arrows that hold and arrows that do not.

use super::*;
use crate::tidy::places;

#[test]
fn arrows_of_the_plan_are_fine() {
    let flow = "[dependencies]\ncontract.workspace = true\nevidence = { workspace = true }\n\
        serde = \"1\"\n[dev-dependencies]\ntransport.workspace = true\n";
    assert!(places(check, &[("crates/flow/Cargo.toml", flow)]).is_empty());
    let gate = "[dependencies]\nflow.workspace = true\nstore-remote.workspace = true\n";
    assert!(places(check, &[("crates/gate/Cargo.toml", gate)]).is_empty());
}

#[test]
fn an_arrow_against_the_plan_is_found_under_every_spelling() {
    for line in [
        "transport.workspace = true",
        "transport = { path = \"../transport\" }",
        "tollgate-transport = \"0.1\"",
        "wire = { package = \"tollgate-transport\", path = \"../transport\" }",
    ] {
        let manifest = format!("[dependencies]\n{line}\n");
        let found = places(check, &[("crates/access/Cargo.toml", &manifest)]);
        assert_eq!(found, ["crates/access/Cargo.toml:2"], "{line}");
    }
}

#[test]
fn target_tables_count_too() {
    let manifest = "[target.'cfg(unix)'.dependencies]\nstore.workspace = true\n";
    assert_eq!(
        places(check, &[("crates/plan/Cargo.toml", manifest)]).len(),
        1
    );
}

#[test]
fn annexes_are_never_imported_even_by_tests() {
    let manifest = "[dev-dependencies]\ntestbed = { path = \"../../testbed\" }\n";
    assert_eq!(
        places(check, &[("crates/gate/Cargo.toml", manifest)]).len(),
        1
    );
}

#[test]
fn a_private_room_and_an_unknown_room() {
    let manifest = "[dependencies]\nstore-remote.workspace = true\n";
    assert_eq!(
        places(check, &[("crates/admin/Cargo.toml", manifest)]).len(),
        1
    );
    assert_eq!(
        places(check, &[("crates/attic/Cargo.toml", "[dependencies]\n")]).len(),
        1
    );
}

#[test]
fn a_departure_lets_one_arrow_through_and_must_be_used() {
    let departures = [Departure {
        room: "access",
        imports: "store",
        reason: "a case for the test",
    }];
    let judge = |manifest: &str| {
        let mut house = House::default();
        house.add(TABLE, "");
        house.add("crates/access/Cargo.toml", manifest);
        check_with(&house, &departures).len()
    };
    assert_eq!(judge("[dependencies]\nstore.workspace = true\n"), 0);
    assert_eq!(judge("[dependencies]\n"), 1);
    assert_eq!(
        judge("[dependencies]\nstore.workspace = true\nrouting.workspace = true\n"),
        1
    );
}
