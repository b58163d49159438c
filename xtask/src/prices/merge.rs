//! Two sources become one table. LiteLLM has the exact names and is renewed most often, so its
//! figures hold. genai-prices has dates and prices that the other lacks: these are taken where the
//! two agree about plain input and output. Where they do not, it is written down.

use std::collections::BTreeMap;

use super::genai::{Model, Vendors};
use super::kinds::KINDS;
use super::litellm::Table;
use super::spec::{Key, Spec};

/// One line of the catalog.
pub(super) struct Row {
    pub(super) names: Vec<String>,
    pub(super) key: Key,
    pub(super) spec: String,
}

/// The table, and where the sources disagree.
pub(super) struct Merged {
    pub(super) rows: BTreeMap<&'static str, Vec<Row>>,
    pub(super) differences: Vec<String>,
}

/// Longest line of names: beyond it a line is begun anew.
const NAMES_MAX: usize = 24;

pub(super) fn merge(table: &Table, vendors: &Vendors) -> Merged {
    let mut merged = Merged {
        rows: BTreeMap::new(),
        differences: Vec::new(),
    };
    let nothing = BTreeMap::new();
    for kind in KINDS {
        let listed = table.get(kind.name).unwrap_or(&nothing);
        let models = kind
            .genai
            .and_then(|id| vendors.get(id))
            .map_or(&[][..], Vec::as_slice);
        let mut prices: BTreeMap<(String, Key), String> = BTreeMap::new();
        for (name, by_region) in listed {
            for (key, spec) in by_region {
                let model = models
                    .iter()
                    .find(|model| key.region.is_none() && model.is(name));
                let dated = both(spec, model);
                if let Some(difference) = dated.difference {
                    merged
                        .differences
                        .push(format!("{} {name}: {difference}", kind.name));
                }
                for (from, spec) in dated.prices {
                    let key = Key {
                        from,
                        ..key.clone()
                    };
                    prices.insert((name.clone(), key), spec.to_string());
                }
            }
        }
        let told = |name: &str| {
            models
                .iter()
                .any(|model| model.names.iter().any(|it| it == name))
        };
        for model in models {
            for name in model.names.iter().flat_map(|name| spelled(name)) {
                let is_spelled_out = model.names.contains(&name) || !told(&name);
                if !listed.contains_key(&name) && is_spelled_out {
                    add(model, &name, &mut prices);
                }
            }
        }
        merged.rows.insert(kind.name, rows(prices));
    }
    merged
}

/// `regional.m` stands for `us.m`, `eu.m` and so on, and for `m` where that has no price of its
/// own; of the groups of regions one will do, because `meter` looks there for the others.
fn spelled(name: &str) -> Vec<String> {
    match name.strip_prefix("regional.") {
        Some(bare) => vec![bare.to_owned(), format!("us.{bare}")],
        None => vec![name.to_owned()],
    }
}

/// A model that only genai-prices has.
fn add(model: &Model, name: &str, prices: &mut BTreeMap<(String, Key), String>) {
    if model.is_free && name.ends_with(":free") {
        prices.insert((name.to_owned(), Key::default()), "free".to_owned());
        return;
    }
    for (from, spec) in &model.prices {
        if !spec.base().is_empty() {
            let key = Key {
                region: None,
                from: from.clone(),
            };
            prices
                .entry((name.to_owned(), key))
                .or_insert_with(|| spec.to_string());
        }
    }
}

struct Dated {
    prices: Vec<(Option<String>, Spec)>,
    difference: Option<String>,
}

/// The price of a model by both sources.
fn both(spec: &Spec, model: Option<&Model>) -> Dated {
    let alone = |difference| Dated {
        prices: vec![(None, spec.clone())],
        difference,
    };
    let Some(model) =
        model.filter(|model| model.prices.iter().any(|(_, it)| !it.base().is_empty()))
    else {
        return alone(None);
    };
    let plain = |spec: &Spec| ["in", "out"].map(|class| spec.base().get(class).copied());
    let same = model
        .prices
        .iter()
        .rposition(|(_, it)| plain(it) == plain(spec));
    let Some(same) = same else {
        let theirs: Vec<String> = model.prices.iter().map(|(_, it)| it.to_string()).collect();
        return alone(Some(format!(
            "taken `{spec}`, not `{}`",
            theirs.join("`, `")
        )));
    };
    let mut prices = model.prices.clone();
    prices.retain(|(_, it)| !it.base().is_empty());
    let same = same.min(prices.len() - 1);
    let mut differing = Vec::new();
    let mine = &mut prices[same].1;
    for (level, rates) in &spec.levels {
        for (class, nanos) in rates {
            let theirs = mine.levels.entry(*level).or_default().insert(class, *nanos);
            if theirs.is_some_and(|theirs| theirs != *nanos) {
                differing.push(*class);
            }
        }
    }
    mine.uplifts.clone_from(&spec.uplifts);
    let difference = (!differing.is_empty()).then(|| {
        differing.dedup();
        let theirs = &model.prices[same].1;
        format!(
            "taken `{spec}`, not `{theirs}` (they differ in {})",
            differing.join(", ")
        )
    });
    Dated { prices, difference }
}

/// Lines, with the names that share a price on one.
fn rows(prices: BTreeMap<(String, Key), String>) -> Vec<Row> {
    let plain: BTreeMap<String, String> = prices
        .iter()
        .filter(|((_, key), _)| *key == Key::default())
        .map(|((name, _), spec)| (name.clone(), spec.clone()))
        .collect();
    let mut by_price: BTreeMap<(Key, String), Vec<String>> = BTreeMap::new();
    for ((name, key), spec) in prices {
        // A region that costs what the others do needs no line.
        if key.region.is_some() && plain.get(&name) == Some(&spec) {
            continue;
        }
        by_price.entry((key, spec)).or_default().push(name);
    }
    let mut rows: Vec<Row> = Vec::new();
    for ((key, spec), names) in by_price {
        for names in names.chunks(NAMES_MAX) {
            rows.push(Row {
                names: names.to_vec(),
                key: key.clone(),
                spec: spec.clone(),
            });
        }
    }
    rows.sort_by(|a, b| (&a.names, &a.key).cmp(&(&b.names, &b.key)));
    rows
}
