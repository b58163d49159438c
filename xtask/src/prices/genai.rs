//! The data of genai-prices: for each provider a list of models with a clause that tells their
//! names, prices since a date, and variants for tiers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::amount::scaled;
use super::spec::{Spec, TIERS};

/// Models by provider.
pub(super) type Vendors = BTreeMap<String, Vec<Model>>;

/// A model.
pub(super) struct Model {
    clause: Value,
    /// Names that are told one by one.
    pub(super) names: Vec<String>,
    /// Prices, each with the day since when it holds, oldest first.
    pub(super) prices: Vec<(Option<String>, Spec)>,
    /// It is listed without a price, or with 0.
    pub(super) is_free: bool,
}

impl Model {
    /// Whether this is the model of that name.
    pub(super) fn is(&self, name: &str) -> bool {
        holds(&self.clause, &name.to_lowercase())
    }
}

/// A dollar is this many places from nano-dollars.
const DOLLARS: i32 = 9;
const FIELDS: [(&str, &str); 11] = [
    ("input_mtok", "in"),
    ("cache_read_mtok", "read"),
    ("cache_write_mtok", "write"),
    ("cache_write_1h_mtok", "write1h"),
    ("input_audio_mtok", "audio-in"),
    ("input_image_mtok", "image-in"),
    ("output_mtok", "out"),
    ("output_reasoning_mtok", "reasoning"),
    ("output_audio_mtok", "audio-out"),
    ("requests_kcount", "request"),
    ("web_searches_kcount", "search"),
];

/// All models, and how many prices were left out for which reason.
pub(super) fn read(data: &Value) -> Result<(Vendors, BTreeMap<String, usize>), String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut left = BTreeMap::new();
    let mut vendors = Vendors::new();
    let all = data
        .as_array()
        .ok_or("the data of genai-prices is no list")?;
    for vendor in all {
        let id = vendor["id"]
            .as_str()
            .ok_or("a provider of genai-prices has no id")?;
        let models = list(&vendor["models"]);
        let models = models.iter().map(|model| one(model, &mut left));
        vendors.insert(id.to_owned(), models.collect());
    }
    Ok((vendors, left))
}

fn one(model: &Value, left: &mut BTreeMap<String, usize>) -> Model {
    let mut prices: Vec<(Option<String>, Spec)> = Vec::new();
    let conditional: Vec<(Option<&Value>, &Value)> = match model["prices"].as_array() {
        Some(list) => list
            .iter()
            .map(|it| (it.get("constraint"), &it["prices"]))
            .collect(),
        None => vec![(None, &model["prices"])],
    };
    let is_free = conditional.iter().all(|(_, prices)| is_nothing(prices));
    for (constraint, told) in conditional {
        let mut spec = Spec::default();
        rates(told, 0, &mut spec, left);
        match constraint.map(|it| it["_"].as_str().unwrap_or_default()) {
            None => prices.push((None, spec)),
            Some("StartDateConstraint") => {
                let from = constraint.and_then(|it| it["start_date"].as_str());
                prices.push((from.map(str::to_owned), spec));
            }
            // Hours of the day: the dearest of them is the price.
            Some(_) => {
                if let Some((_, last)) = prices.last_mut() {
                    raise(last, &spec);
                }
            }
        }
    }
    let variants = model["price_variants"].as_array();
    for variant in variants.into_iter().flatten() {
        match (tier(&variant["when"]), prices.last_mut()) {
            (Some(0), _) => {}
            (Some(tier), Some((_, spec))) => rates(&variant["prices"], tier, spec, left),
            (None, _) | (Some(_), None) => {
                *left
                    .entry("a variant that is no tier".to_owned())
                    .or_default() += 1
            }
        }
    }
    let mut names = Vec::new();
    told(&model["match"], &mut names);
    names.extend(model["id"].as_str().map(str::to_owned));
    names.retain(|name| !name.contains([' ', ',', '*']));
    names.sort();
    names.dedup();
    Model {
        clause: model["match"].clone(),
        names,
        prices: prices
            .into_iter()
            .map(|(from, spec)| (from, spec.clean()))
            .collect(),
        is_free,
    }
}

fn is_nothing(prices: &Value) -> bool {
    let fields = prices.as_object();
    fields.is_some_and(|fields| !fields.is_empty() && fields.values().all(|it| it == "0"))
}

/// The place in [`TIERS`] of what a variant is for; 0 for the standard one.
fn tier(when: &Value) -> Option<usize> {
    let conditions = when.as_object()?;
    if conditions.len() != 1 {
        return None;
    }
    match (
        conditions.keys().next()?.as_str(),
        conditions.values().next()?.as_str()?,
    ) {
        ("service_tier", "default") => Some(0),
        ("service_tier" | "processing" | "speed", word) => {
            TIERS.iter().position(|tier| *tier == word)
        }
        _ => None,
    }
}

fn rates(prices: &Value, tier: usize, spec: &mut Spec, left: &mut BTreeMap<String, usize>) {
    for (field, value) in prices.as_object().into_iter().flatten() {
        let Some((_, class)) = FIELDS.iter().find(|(name, _)| name == field) else {
            *left.entry(format!("a price of `{field}`")).or_default() += 1;
            continue;
        };
        let amount = |value: &Value| value.as_str().and_then(|text| scaled(text, DOLLARS));
        let base = if value.is_object() {
            &value["base"]
        } else {
            value
        };
        if let Some(nanos) = amount(base) {
            spec.set((tier, 0), class, nanos);
        }
        for step in value["tiers"].as_array().into_iter().flatten() {
            if let (Some(start), Some(nanos)) = (step["start"].as_u64(), amount(&step["price"])) {
                spec.set((tier, start), class, nanos);
            }
        }
    }
}

fn raise(spec: &mut Spec, other: &Spec) {
    for (level, rates) in &other.levels {
        for (class, nanos) in rates {
            let mine = spec
                .levels
                .entry(*level)
                .or_default()
                .entry(class)
                .or_default();
            *mine = (*mine).max(*nanos);
        }
    }
}

/// The names that a clause tells.
fn told(clause: &Value, names: &mut Vec<String>) {
    match clause["_"].as_str() {
        Some("ClauseEquals") => names.extend(clause["equals"].as_str().map(str::to_owned)),
        Some("ClauseOr") => clause["or_"]
            .as_array()
            .into_iter()
            .flatten()
            .for_each(|one| told(one, names)),
        _ => {}
    }
}

fn holds(clause: &Value, name: &str) -> bool {
    let text = |field: &str| clause[field].as_str().unwrap_or("\0").to_lowercase();
    let all = |field: &str| clause[field].as_array().cloned().unwrap_or_default();
    match clause["_"].as_str() {
        Some("ClauseEquals") => name == text("equals"),
        Some("ClauseStartsWith") => name.starts_with(&text("starts_with")),
        Some("ClauseEndsWith") => name.ends_with(&text("ends_with")),
        Some("ClauseContains") => name.contains(&text("contains")),
        Some("ClauseOr") => all("or_").iter().any(|one| holds(one, name)),
        Some("ClauseAnd") => all("and_").iter().all(|one| holds(one, name)),
        // Expressions would need an engine, and few models have one.
        _ => false,
    }
}
