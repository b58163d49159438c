//! Law 1: only the IO rooms touch a socket, a disk, the real clock or dice.
//!
//! Clippy's `disallowed_methods` guards the clock and the tasks with full knowledge of types; this
//! check also sees imports, and it knows which room it is in. Not covered: build scripts, which
//! run on the builder's machine, and the annexes.

#[cfg(test)]
mod tests;

use super::Finding;
use super::table::{IO_ROOMS, PLAIN_VALUES, TOUCHES, Touch};
use crate::source::{House, line_of, paths};

/// Every path that touches the world from a room without the grant.
pub(super) fn check(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, rust) in house.rust().filter(|(file, _)| !file.is_test()) {
        let Some(room) = file.room().filter(|_| file.path.contains("/src/")) else {
            continue;
        };
        let granted = IO_ROOMS
            .iter()
            .find(|(name, _)| *name == room)
            .map_or(&[][..], |(_, may)| *may);
        for path in paths(&rust.shipped) {
            let Some(touch) = touched(&path.segments).filter(|touch| !granted.contains(touch))
            else {
                continue;
            };
            let line = line_of(&rust.shipped, path.at);
            let written = path.segments.join("::");
            let what = format!("`{written}` in `{room}`: {}", instead(touch));
            findings.push(Finding::new(&file.path, line, what));
        }
    }
    findings
}

fn touched(segments: &[String]) -> Option<Touch> {
    if PLAIN_VALUES
        .iter()
        .any(|value| starts_with(segments, value))
    {
        return None;
    }
    let hit = TOUCHES
        .iter()
        .find(|(pattern, _)| match pattern.strip_prefix("..") {
            Some(end) => ends_with(segments, end),
            None => starts_with(segments, pattern),
        });
    hit.map(|(_, touch)| *touch)
}

fn starts_with(segments: &[String], pattern: &str) -> bool {
    let mut wanted = pattern.split("::");
    let mut given = segments.iter();
    wanted.all(|part| given.next().is_some_and(|segment| segment == part))
}

fn ends_with(segments: &[String], pattern: &str) -> bool {
    let mut given = segments.iter().rev();
    pattern
        .rsplit("::")
        .all(|part| given.next().is_some_and(|segment| segment == part))
}

fn instead(touch: Touch) -> &'static str {
    match touch {
        Touch::Socket => {
            "sockets belong to the IO rooms; prepare an outbound and let flow carry it over the Wire"
        }
        Touch::Disk => "the disk belongs to the IO rooms; take the bytes as an argument",
        Touch::Clock => "the real clock belongs to the IO rooms; take time from the Clock seam",
        Touch::Dice => "chance belongs to the IO rooms; draw from the Dice seam",
        Touch::Process => "processes belong to the IO rooms; return a value and let the gate act",
        Touch::Task => "tasks belong to the IO rooms; return a future and let its owner drive it",
    }
}
