//! Layering: a room imports only what the plan of the house lets it.
//!
//! Reads the manifests, because Cargo links nothing that is not named there. Development
//! dependencies may name any room (a test may stand above what it tests) but never an annex.

#[cfg(test)]
mod tests;

use toml::{Table, Value};

use super::Finding;
use super::table::{ANNEXES, DEPARTURES, Departure, PRIVATE_ROOMS, ROOMS, TABLE};
use crate::source::House;

/// Every arrow between crates that the table does not hold.
pub(super) fn check(house: &House) -> Vec<Finding> {
    check_with(house, DEPARTURES)
}

fn check_with(house: &House, departures: &[Departure]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut used = vec![false; departures.len()];
    for file in &house.files {
        let Some(room) = manifest_room(&file.path) else {
            continue;
        };
        let manifest = match file.text.parse::<Table>() {
            Ok(manifest) => manifest,
            Err(why) => {
                findings.push(Finding::new(&file.path, 1, format!("is not TOML: {why}")));
                continue;
            }
        };
        let Some(may) = ROOMS
            .iter()
            .find(|(name, _)| *name == room)
            .map(|(_, may)| *may)
        else {
            let what = format!(
                "the room `{room}` is not in the plan; add a row to ROOMS in xtask/src/tidy/table.rs"
            );
            findings.push(Finding::new(&file.path, 1, what));
            continue;
        };
        for arrow in arrows(&manifest) {
            let departure = departures
                .iter()
                .position(|d| d.room == room && d.imports == arrow.to);
            if let Some(nth) = departure {
                used[nth] = true;
            } else if let Some(what) = refusal(room, may, &arrow) {
                findings.push(Finding::new(
                    &file.path,
                    line_naming(&file.text, &arrow.to),
                    what,
                ));
            }
        }
    }
    let has_table = house.files.iter().any(|file| file.path == TABLE);
    for (departure, _) in departures
        .iter()
        .zip(used)
        .filter(|(_, used)| has_table && !used)
    {
        let what = format!(
            "nobody uses the departure {} -> {} ({}); delete it",
            departure.room, departure.imports, departure.reason
        );
        findings.push(Finding::new(TABLE, 1, what));
    }
    findings
}

struct Arrow {
    to: String,
    only_in_tests: bool,
}

fn manifest_room(path: &str) -> Option<&str> {
    let room = path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
    (!room.contains('/')).then_some(room)
}

fn refusal(room: &str, may: &[&str], arrow: &Arrow) -> Option<String> {
    let to = arrow.to.as_str();
    if ANNEXES.contains(&to) {
        return Some(format!(
            "`{room}` imports the annex `{to}`; annexes import rooms, never the other way"
        ));
    }
    if arrow.only_in_tests {
        return None;
    }
    let private = PRIVATE_ROOMS.iter().find(|(name, _)| *name == to);
    if let Some((_, only)) = private.filter(|(_, only)| !only.contains(&room)) {
        return Some(format!(
            "`{to}` may be imported only by {}, not by `{room}`",
            only.join(", ")
        ));
    }
    if may.contains(&to) || may.contains(&"*") {
        return None;
    }
    let list = if may.is_empty() {
        "nothing".to_owned()
    } else {
        may.join(", ")
    };
    Some(format!(
        "`{room}` may import {list}, not `{to}`; move the code, or add a departure with its reason to xtask/src/tidy/table.rs"
    ))
}

/// Arrows to crates of this repository, from every kind of dependency table.
fn arrows(manifest: &Table) -> Vec<Arrow> {
    let mut found = Vec::new();
    let targets = manifest.get("target").and_then(Value::as_table);
    let per_target = targets
        .into_iter()
        .flat_map(|table| table.values())
        .filter_map(Value::as_table);
    for table in std::iter::once(manifest).chain(per_target) {
        for (kind, only_in_tests) in [
            ("dependencies", false),
            ("build-dependencies", false),
            ("dev-dependencies", true),
        ] {
            let Some(dependencies) = table.get(kind).and_then(Value::as_table) else {
                continue;
            };
            for (key, value) in dependencies {
                if let Some(to) = crate_of_ours(key, value) {
                    found.push(Arrow { to, only_in_tests });
                }
            }
        }
    }
    found
}

/// The room or annex a dependency stands for, under any of the names it may have.
fn crate_of_ours(key: &str, value: &Value) -> Option<String> {
    let package = value.get("package").and_then(Value::as_str).unwrap_or(key);
    let path = value
        .get("path")
        .and_then(Value::as_str)
        .and_then(|path| path.rsplit('/').next());
    let names = [Some(key), Some(package), path];
    names.into_iter().flatten().find_map(|name| {
        let short = name.strip_prefix("tollgate-").unwrap_or(name);
        let known = ROOMS.iter().any(|(room, _)| *room == short)
            || ANNEXES
                .iter()
                .any(|annex| *annex == name || *annex == short);
        known.then(|| short.to_owned())
    })
}

fn line_naming(text: &str, name: &str) -> usize {
    text.lines()
        .position(|line| line.contains(name))
        .map_or(1, |nth| nth + 1)
}
