//! Circles: sibling modules of a crate whose code needs each other.
//!
//! At each level of a crate's module tree (down to `CIRCLE_LEVELS`), an arrow goes from the sibling a path is written in to
//! the sibling it leads to, through re-exports where they can be seen. A child that uses its
//! parent's items makes no arrow, and neither does the parent that declares the child. Not seen:
//! names that arrive by a glob, and macros.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Finding;
use super::table::CIRCLE_LEVELS;
use crate::source::{File, House, Rust, inline_modules, line_of, paths};

/// Every group of sibling modules that cannot be put in order.
pub(super) fn check(house: &House) -> Vec<Finding> {
    check_levels(house, CIRCLE_LEVELS)
}

fn check_levels(house: &House, levels: usize) -> Vec<Finding> {
    let mut crates: BTreeMap<String, Vec<(&File, &Rust, Module)>> = BTreeMap::new();
    for (file, rust) in house.rust().filter(|(file, _)| !file.is_test()) {
        if let Some((root, module)) = place(&file.path) {
            crates.entry(root).or_default().push((file, rust, module));
        }
    }
    crates
        .values()
        .flat_map(|files| circles_of(files, levels))
        .collect()
}

/// A module's path below the root of its crate.
type Module = Vec<String>;

/// Where an arrow was first seen.
type Seen = (String, usize);

/// Splits a path into the crate it belongs to and the module it is. Each binary is its own crate.
fn place(path: &str) -> Option<(String, Module)> {
    let (root, below) = path.split_once("/src/")?;
    let below = below.strip_suffix(".rs")?;
    if let Some(binary) = below.strip_prefix("bin/") {
        let mut parts = binary.split('/').map(str::to_owned);
        let name = parts.next()?;
        let module: Module = parts
            .filter(|part| part != "main" && part != "mod")
            .collect();
        return Some((format!("{root} bin {name}"), module));
    }
    let mut module: Module = below.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    if matches!(module.as_slice(), [only] if only == "lib" || only == "main") {
        module.clear();
    }
    Some((root.to_owned(), module))
}

struct Tree {
    modules: BTreeSet<Module>,
    /// What a name means inside a module, from the module's own `use` lines.
    names: BTreeMap<(Module, String), Module>,
}

fn circles_of(files: &[(&File, &Rust, Module)], depth: usize) -> Vec<Finding> {
    let tree = Tree::grow(files);
    let mut levels: BTreeMap<Module, BTreeMap<(String, String), Seen>> = BTreeMap::new();
    for (file, rust, module) in files {
        for path in paths(&rust.shipped) {
            let from = [module.as_slice(), path.inside.as_slice()].concat();
            let Some(to) = tree.resolve(&from, &path.segments) else {
                continue;
            };
            let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            if shared < depth && shared < from.len() && shared < to.len() {
                let arrow = (from[shared].clone(), to[shared].clone());
                let seen = || (file.path.clone(), line_of(&rust.shipped, path.at));
                levels
                    .entry(from[..shared].to_vec())
                    .or_default()
                    .entry(arrow)
                    .or_insert_with(seen);
            }
        }
    }
    levels
        .iter()
        .flat_map(|(parent, arrows)| findings(parent, arrows))
        .collect()
}

impl Tree {
    fn grow(files: &[(&File, &Rust, Module)]) -> Tree {
        let mut tree = Tree {
            modules: BTreeSet::new(),
            names: BTreeMap::new(),
        };
        for (_, rust, module) in files {
            for depth in 0..=module.len() {
                tree.modules.insert(module[..depth].to_vec());
            }
            let inline = inline_modules(&rust.shipped);
            for (nth, each) in inline.iter().enumerate() {
                let outer = inline[..nth]
                    .iter()
                    .filter(|o| o.body.contains(&each.body.start));
                let mut path = module.clone();
                path.extend(outer.map(|outer| outer.name.clone()));
                path.push(each.name.clone());
                tree.modules.insert(path);
            }
        }
        for (_, rust, module) in files {
            for path in paths(&rust.shipped) {
                let from = [module.as_slice(), path.inside.as_slice()].concat();
                let Some(name) = path.binds else { continue };
                let anchored = tree.anchor(&from, &path.segments);
                if let Some(target) = anchored {
                    tree.names.insert((from, name), target);
                }
            }
        }
        tree
    }

    /// The full path a written path stands for, when it starts inside this crate.
    fn anchor(&self, from: &[String], segments: &[String]) -> Option<Module> {
        let mut base = from.to_vec();
        let mut rest = segments;
        match segments.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    base.pop()?;
                    rest = &rest[1..];
                }
            }
            name => {
                let child = [from, &[name.to_owned()]].concat();
                if !self.modules.contains(&child) {
                    return None;
                }
            }
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    /// The deepest module a written path leads to.
    fn resolve(&self, from: &[String], segments: &[String]) -> Option<Module> {
        let full = self.anchor(from, segments)?;
        self.descend(from, full, RE_EXPORTS_MAX)
    }

    /// A re-export is followed only in a module around the path itself: naming one in a sibling is
    /// already an arrow to that sibling.
    fn descend(&self, from: &[String], full: Module, hops_left: usize) -> Option<Module> {
        let mut module = Module::new();
        for (nth, segment) in full.iter().enumerate() {
            let child = [module.as_slice(), std::slice::from_ref(segment)].concat();
            if self.modules.contains(&child) {
                module = child;
                continue;
            }
            let target = self.names.get(&(module.clone(), segment.clone()));
            return match target {
                Some(target) if hops_left > 0 && from.starts_with(&module) => {
                    let onward = [target.as_slice(), &full[nth + 1..]].concat();
                    self.descend(from, onward, hops_left - 1)
                }
                Some(_) | None => Some(module),
            };
        }
        Some(module)
    }
}

/// A chain of re-exports longer than this is left unresolved; two names that re-export each other
/// would otherwise never end.
const RE_EXPORTS_MAX: usize = 8;

/// One finding for each arrow that starts a shortest way back to where it came from, unless an
/// earlier finding already goes through it.
fn findings(parent: &Module, arrows: &BTreeMap<(String, String), Seen>) -> Vec<Finding> {
    let mut told: BTreeSet<(String, String)> = BTreeSet::new();
    let mut found = Vec::new();
    for (arrow, (path, line)) in arrows {
        if told.contains(arrow) {
            continue;
        }
        let Some(way) = way_back(arrows, arrow) else {
            continue;
        };
        let mut words = Vec::new();
        for step in way.windows(2) {
            let step = (step[0].clone(), step[1].clone());
            let (path, line) = &arrows[&step];
            words.push(format!("{} needs {} ({path}:{line})", step.0, step.1));
            told.insert(step);
        }
        let place = if parent.is_empty() {
            "the crate".to_owned()
        } else {
            parent.join("::")
        };
        let what = format!(
            "modules of {place} run in a circle: {}; move what both need below both",
            words.join(", ")
        );
        found.push(Finding::new(path, *line, what));
    }
    found
}

/// The shortest circle that begins with the arrow, first module repeated at the end.
fn way_back(
    arrows: &BTreeMap<(String, String), Seen>,
    (home, first): &(String, String),
) -> Option<Vec<String>> {
    let mut came_from: BTreeMap<&String, &String> = BTreeMap::new();
    let mut queue = VecDeque::from([first]);
    while let Some(at) = queue.pop_front() {
        if at == home {
            let mut way = vec![home.clone()];
            let mut step = home;
            while let Some(before) = came_from.get(step).filter(|_| step != first) {
                way.push((*before).clone());
                step = before;
            }
            way.push(home.clone());
            way.reverse();
            return Some(way);
        }
        for (_, to) in arrows.keys().filter(|(from, _)| from == at) {
            if to != first && !came_from.contains_key(to) {
                came_from.insert(to, at);
                queue.push_back(to);
            }
        }
    }
    None
}
