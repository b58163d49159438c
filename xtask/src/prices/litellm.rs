//! The price map of LiteLLM: a flat object of models, with a field for each price, tier and length.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::amount::scaled;
use super::kinds::{KINDS, Kind};
use super::spec::{Key, Spec};

/// Prices by kind, model and region.
pub(super) type Table = BTreeMap<&'static str, BTreeMap<String, BTreeMap<Key, Spec>>>;

/// What the gateway calls; images, speech and the like are not among it.
const MODES: [&str; 4] = ["chat", "responses", "completion", "embedding"];
/// Dollars a token are this many places from nano-dollars a million.
const A_TOKEN: i32 = 15;
/// Dollars each are this many places from nano-dollars a thousand.
const EACH: i32 = 12;
/// Fields, without what tells a tier or length.
const FIELDS: [(&str, &str, i32); 10] = [
    (
        "cache_creation_input_token_cost_above_1hr",
        "write1h",
        A_TOKEN,
    ),
    ("cache_creation_input_token_cost", "write", A_TOKEN),
    ("cache_read_input_token_cost", "read", A_TOKEN),
    ("input_cost_per_audio_token", "audio-in", A_TOKEN),
    ("input_cost_per_image_token", "image-in", A_TOKEN),
    ("input_cost_per_token", "in", A_TOKEN),
    ("output_cost_per_audio_token", "audio-out", A_TOKEN),
    ("output_cost_per_reasoning_token", "reasoning", A_TOKEN),
    ("output_cost_per_token", "out", A_TOKEN),
    ("input_cost_per_request", "request", EACH),
];

/// All prices, and how many models were left out for which reason.
pub(super) fn read(data: &Value) -> Result<(Table, BTreeMap<String, usize>), String> {
    let models = data
        .as_object()
        .ok_or("the price map of LiteLLM is no object")?;
    let mut table = Table::new();
    let mut left: BTreeMap<String, usize> = BTreeMap::new();
    for kind in KINDS {
        for (provider, prefix) in kind.litellm {
            for (name, model) in models {
                if model["litellm_provider"] != *provider {
                    continue;
                }
                match one(kind, name.strip_prefix(prefix).unwrap_or(name), model) {
                    Ok((name, key, spec)) => {
                        let prices = table.entry(kind.name).or_default().entry(name).or_default();
                        prices.entry(key).or_insert(spec);
                    }
                    Err(why) => *left.entry(why.to_owned()).or_default() += 1,
                }
            }
        }
    }
    Ok((table, left))
}

fn one(kind: &Kind, name: &str, model: &Value) -> Result<(String, Key, Spec), &'static str> {
    let fields = model.as_object().ok_or("no object")?;
    let mode = fields
        .get("mode")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !MODES.contains(&mode) {
        return Err("not chat, completion or embedding");
    }
    if name.contains("commitment") {
        return Err("paid by the hour");
    }
    if name.contains([' ', ',']) || is_size(kind, name) {
        return Err("no name of a model");
    }
    let spec = spec(fields).clean();
    if spec.base().is_empty() {
        return Err("no price, or 0");
    }
    let (name, region) = placed(kind, name);
    // A model of one's own training is named for the model it comes from, and then more.
    let name = match name.starts_with("ft:") {
        true => format!("{name}*"),
        false => name.to_owned(),
    };
    let key = Key {
        region: region.map(str::to_owned),
        from: None,
    };
    Ok((name, key, spec))
}

/// `together-ai-4.1b-8b`: a price for any model of that size.
fn is_size(kind: &Kind, name: &str) -> bool {
    let hosts = [("together", "together-ai-"), ("fireworks", "fireworks-ai-")];
    hosts
        .iter()
        .any(|(host, prefix)| kind.name == *host && name.starts_with(prefix))
}

/// The model and the region, of names such as `eu-west-1/model` and `eu/model`.
fn placed<'n>(kind: &Kind, name: &'n str) -> (&'n str, Option<&'n str>) {
    let Some((place, model)) = name.split_once('/') else {
        return (name, None);
    };
    match (kind.name, place) {
        ("azure", "eu" | "us" | "uk") => (model, Some(place)),
        ("azure", "global" | "global-standard") | ("bedrock", "invoke" | "converse" | "*") => {
            (model, None)
        }
        ("bedrock", place) if place.matches('-').count() >= 2 => (model, Some(place)),
        _ => (name, None),
    }
}

fn spec(fields: &Map<String, Value>) -> Spec {
    let mut spec = Spec::default();
    prices(fields, (0, 0), &mut spec);
    // Steps by the length of the input, each with fields of its own.
    for step in fields
        .get("tiered_pricing")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let from = step["range"][0].as_f64().unwrap_or(0.0) as u64;
        if let Some(fields) = step.as_object() {
            prices(fields, (0, from), &mut spec);
        }
    }
    if let Some(costs) = fields
        .get("search_context_cost_per_query")
        .and_then(Value::as_object)
    {
        let most = costs.values().filter_map(|cost| number(cost, EACH)).max();
        if let Some(nanos) = most {
            spec.set((0, 0), "search", nanos);
        }
    }
    for region in ["eu", "us"] {
        let factor = fields.get(&format!("regional_processing_uplift_multiplier_{region}"));
        uplift(region, factor, &mut spec);
    }
    let special = fields.get("provider_specific_entry");
    uplift("us", special.and_then(|it| it.get("us")), &mut spec);
    if let Some(times) = special
        .and_then(|it| it.get("fast"))
        .and_then(|times| number(times, 6))
    {
        for (class, nanos) in spec.base() {
            let nanos = u128::from(nanos) * u128::from(times) / 1_000_000;
            if class != "search" && class != "request" {
                spec.set((3, 0), class, u64::try_from(nanos).unwrap_or(u64::MAX));
            }
        }
    }
    spec
}

fn uplift(region: &str, factor: Option<&Value>, spec: &mut Spec) {
    let factor = factor.filter(|factor| factor.as_f64().is_some_and(|it| it > 1.0));
    if let Some(factor) = factor {
        spec.uplifts.insert(region.to_owned(), factor.to_string());
    }
}

/// All prices of an object, of the level and above.
fn prices(fields: &Map<String, Value>, level: (usize, u64), spec: &mut Spec) {
    for (field, value) in fields {
        let found = FIELDS.iter().find_map(|(name, class, places)| {
            let rest = field.strip_prefix(name)?;
            Some((class, self::level(rest, level)?, number(value, *places)?))
        });
        if let Some((class, level, nanos)) = found {
            spec.set(level, class, nanos);
        }
    }
}

/// What stands behind the name of a price: `_above_200k_tokens_priority`.
fn level(rest: &str, (tier, above): (usize, u64)) -> Option<(usize, u64)> {
    let (rest, tier) = match rest {
        rest if rest.ends_with("_flex") => (&rest[..rest.len() - 5], 1),
        rest if rest.ends_with("_priority") => (&rest[..rest.len() - 9], 2),
        rest if rest.ends_with("_batches") => (&rest[..rest.len() - 8], 4),
        rest => (rest, tier),
    };
    if rest.is_empty() {
        return Some((tier, above));
    }
    let thousands = rest.strip_prefix("_above_")?.strip_suffix("k_tokens")?;
    Some((tier, thousands.parse::<u64>().ok()? * 1_000))
}

fn number(value: &Value, places: i32) -> Option<u64> {
    value
        .as_number()
        .and_then(|number| scaled(&number.to_string(), places))
}
