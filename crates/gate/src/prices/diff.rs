//! What differs between two tables of prices.

use std::collections::BTreeMap;
use std::io::{self, Write};

use meter::Money;
use meter::prices::{Class, Level, Listed, Sheet, Tier, date};
use serde_json::{Value, json};

use super::print::columns;

/// What differs. The names tell kind, model, region and date.
#[derive(Default)]
pub(super) struct Differences {
    pub(super) added: Vec<String>,
    pub(super) gone: Vec<String>,
    pub(super) changed: Vec<Changed>,
}

/// A price that is another.
pub(super) struct Changed {
    pub(super) name: String,
    pub(super) what: Vec<Change>,
}

/// A class of a level; `None` where it has no price of its own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) what: String,
    pub(super) before: Option<Money>,
    pub(super) after: Option<Money>,
}

impl Change {
    /// By how much, in tenths of a percent; `None` where there is nothing to
    /// compare with.
    pub(super) fn tenths(&self) -> Option<i128> {
        let (before, after) = (i128::from(self.before?.0), i128::from(self.after?.0));
        match before {
            0 => None,
            before => Some((after - before) * 1_000 / before),
        }
    }

    fn percent(&self) -> String {
        let shown = |tenths: i128| {
            let sign = if tenths < 0 { "-" } else { "+" };
            let tenths = tenths.abs();
            format!("{sign}{}.{} %", tenths / 10, tenths % 10)
        };
        self.tenths().map_or_else(String::new, shown)
    }
}

/// What is new, gone and other in the second table.
pub(super) fn between(old: &[Listed<'_>], new: &[Listed<'_>]) -> Differences {
    let mut before: BTreeMap<String, &Sheet> = old.iter().map(|it| (name(it), it.sheet)).collect();
    let mut told = Differences::default();
    for one in new {
        let name = name(one);
        match before.remove(&name) {
            None => told.added.push(name),
            Some(sheet) if sheet == one.sheet => {}
            Some(sheet) => {
                let what = changes(sheet, one.sheet);
                told.changed.push(Changed { name, what });
            }
        }
    }
    told.gone = before.into_keys().collect();
    told
}

fn name(one: &Listed<'_>) -> String {
    let region = one.region.map(|region| format!(" in {region}"));
    let from = (one.from_s > 0).then(|| format!(" from {}", date(one.from_s)));
    format!(
        "{}/{}{}{}",
        one.kind,
        one.model,
        region.unwrap_or_default(),
        from.unwrap_or_default()
    )
}

fn changes(old: &Sheet, new: &Sheet) -> Vec<Change> {
    let (old, new) = (levels(old), levels(new));
    let mut keys: Vec<(Tier, u64)> = old
        .iter()
        .chain(&new)
        .map(|it| (it.tier, it.above))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    let mut told = Vec::new();
    for (tier, above) in keys {
        let rate = |levels: &[Level], class| {
            let mut mine = levels.iter();
            let level = mine.find(|level| (level.tier, level.above) == (tier, above))?;
            level.rates.written(class)
        };
        for class in Class::ALL {
            let (before, after) = (rate(&old, class), rate(&new, class));
            if before != after {
                let mut what = class.name().to_owned();
                if tier != Tier::Standard {
                    what = format!("{what}, {}", tier.name());
                }
                if above > 0 {
                    what = format!("{what}, input > {above}");
                }
                told.push(Change {
                    what,
                    before,
                    after,
                });
            }
        }
    }
    told
}

fn levels(sheet: &Sheet) -> Vec<Level> {
    let base = Level {
        tier: Tier::Standard,
        above: 0,
        rates: *sheet.rates(),
    };
    let mut all = vec![base];
    all.extend_from_slice(sheet.levels());
    all
}

/// For people. `kept`: what is gone keeps its price.
pub(super) fn text(told: &Differences, kept: bool, out: &mut dyn Write) -> io::Result<()> {
    let shown = |amount: Option<Money>| amount.map_or_else(|| "-".to_owned(), |it| it.to_string());
    for one in &told.changed {
        writeln!(out, "changed  {}", one.name)?;
        let rows: Vec<Vec<String>> = one
            .what
            .iter()
            .map(|change| {
                let arrow = format!("{} -> {}", shown(change.before), shown(change.after));
                vec![format!("       {}", change.what), arrow, change.percent()]
            })
            .collect();
        match rows.is_empty() {
            true => writeln!(out, "         surcharges of regions")?,
            false => out.write_all(columns(&rows).as_bytes())?,
        }
    }
    for name in &told.added {
        writeln!(out, "added    {name}")?;
    }
    if !kept {
        for name in &told.gone {
            writeln!(out, "removed  {name}")?;
        }
    }
    let (changed, added, gone) = (told.changed.len(), told.added.len(), told.gone.len());
    match kept {
        true => writeln!(
            out,
            "{changed} changed, {added} added; {gone} are not named and keep their price."
        ),
        false => writeln!(out, "{changed} changed, {added} added, {gone} removed."),
    }
}

/// For programs.
pub(super) fn json(told: &Differences, out: &mut dyn Write) -> io::Result<()> {
    let amount = |amount: Option<Money>| amount.map(|it| it.to_string());
    let changed: Vec<Value> = told
        .changed
        .iter()
        .map(|one| {
            let what: Vec<Value> = one
                .what
                .iter()
                .map(|it| {
                    json!({
                        "what": it.what, "before": amount(it.before), "after": amount(it.after),
                        "percent": it.tenths().map(|tenths| tenths as f64 / 10.0),
                    })
                })
                .collect();
            json!({"price": one.name, "changes": what})
        })
        .collect();
    let told = json!({"changed": changed, "added": told.added, "not_named": told.gone});
    writeln!(out, "{told:#}")
}
