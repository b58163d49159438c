//! Prices, as people and programs read them.

use std::fmt::Write as _;
use std::io::{self, Write};

use meter::Prices;
use meter::prices::{
    Catalog, CatalogFault, Class, Factor, Found, Layer, Level, Rates, Source, Tier, Unknown,
};
use serde_json::{Map, Value, json};

/// A model at a provider, and its price if there is one.
pub(super) struct Priced {
    pub(super) provider: String,
    pub(super) kind: String,
    pub(super) model: String,
    pub(super) found: Option<Found>,
}

impl Priced {
    fn value(&self) -> Value {
        let mut told = json!({"provider": self.provider, "kind": self.kind, "model": self.model});
        let Some(found) = &self.found else {
            told["price"] = Value::Null;
            return told;
        };
        let price = &found.price;
        let levels: Vec<Value> = price
            .sheet()
            .levels()
            .iter()
            .map(|level| {
                json!({
                    "tier": level.tier.name(), "above": level.above,
                    "rates": rates(found, &level.rates, level.tier, level.above),
                })
            })
            .collect();
        told["price"] = json!({
            "version": price.version(), "layer": found.layer.name(),
            "rates_from": price.layer().name(), "matched": found.matched.name(),
            "factor": price.factor().to_string(),
            "rates": rates(found, price.sheet().rates(), Tier::Standard, 0),
            "levels": levels,
        });
        told
    }
}

/// The rates that a level declares, with the factor, as decimal dollars.
fn rates(found: &Found, declared: &Rates, tier: Tier, above: u64) -> Value {
    let mut told = Map::new();
    for class in Class::ALL {
        if declared.get(class).is_some()
            && let Some(rate) = found.price.rate(class, tier, above.saturating_add(1))
        {
            told.insert(class.name().to_owned(), rate.to_string().into());
        }
    }
    Value::Object(told)
}

pub(super) fn json(prices: &Prices, priced: &[Priced], out: &mut dyn Write) -> io::Result<()> {
    let models: Vec<Value> = priced.iter().map(Priced::value).collect();
    let told = json!({"version": &**prices.book.version(), "prices": models});
    writeln!(out, "{told:#}")
}

/// Each price by itself, with its levels.
pub(super) fn sheets(priced: &[Priced], out: &mut dyn Write) -> io::Result<()> {
    for one in priced {
        out.write_all(sheet(one).as_bytes())?;
    }
    Ok(())
}

fn sheet(one: &Priced) -> String {
    let (model, provider, kind) = (&one.model, &one.provider, &one.kind);
    let at = match provider == kind {
        true => provider.clone(),
        false => format!("{provider} ({kind})"),
    };
    let Some(found) = &one.found else {
        return format!("{model} at {at}: no price\n\n");
    };
    let price = &found.price;
    let mut text = format!("{model} at {at}\n");
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "  version {}, {}",
        price.version(),
        found.matched.name()
    );
    if price.factor() != Factor::ONE {
        let _ = write!(text, ", times {} by the {}", price.factor(), by(found));
    }
    text.push_str("\n\n");
    let base = Level {
        tier: Tier::Standard,
        above: 0,
        rates: *price.sheet().rates(),
    };
    let levels: Vec<&Level> = std::iter::once(&base)
        .chain(price.sheet().levels())
        .collect();
    let declares = |class: &Class| levels.iter().any(|level| level.rates.get(*class).is_some());
    let classes: Vec<Class> = Class::ALL.into_iter().filter(declares).collect();
    let mut rows = vec![vec!["served".to_owned()]];
    rows[0].extend(classes.iter().map(|class| class.name().to_owned()));
    for level in levels {
        let mut row = vec![match level.above {
            0 => level.tier.name().to_owned(),
            above => format!("{}, input > {above}", level.tier.name()),
        }];
        row.extend(classes.iter().map(|class| {
            let rate = price.rate(*class, level.tier, level.above.saturating_add(1));
            rate.map_or_else(|| "-".to_owned(), |rate| rate.to_string())
        }));
        rows.push(row);
    }
    text.push_str(&columns(&rows));
    text.push_str(
        "\n  Dollars for a million tokens, a thousand requests or searches, a second.\n\n",
    );
    text
}

fn by(found: &Found) -> &'static str {
    match found.layer {
        Layer::Contract => "contract",
        Layer::Operator => "operator's override",
        Layer::Ceiling | Layer::BuiltIn | Layer::File => "region",
    }
}

/// One line for each price.
pub(super) fn table(priced: &[Priced], out: &mut dyn Write) -> io::Result<()> {
    let classes = [Class::Input, Class::CachedRead, Class::Output];
    let mut rows = vec![vec!["provider".to_owned(), "model".to_owned()]];
    rows[0].extend(classes.iter().map(|class| class.name().to_owned()));
    rows[0].push("version".to_owned());
    for one in priced {
        let mut row = vec![one.provider.clone(), one.model.clone()];
        let rate = |class| one.found.as_ref()?.price.rate(class, Tier::Standard, 0);
        row.extend(
            classes
                .iter()
                .map(|class| rate(*class).map_or_else(|| "-".to_owned(), |rate| rate.to_string())),
        );
        let version = one.found.as_ref().map(|found| found.price.version());
        row.push(version.unwrap_or_else(|| "no price".to_owned()));
        rows.push(row);
    }
    out.write_all(columns(&rows).as_bytes())?;
    writeln!(out, "\n  Dollars for a million tokens.")
}

/// Rows below each other, with two spaces in front.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (nth, cell) in row.iter().enumerate() {
            match widths.get_mut(nth) {
                Some(width) => *width = (*width).max(cell.chars().count()),
                None => widths.push(cell.chars().count()),
            }
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "  {cell:<width$}");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Whether the models of a configuration have prices.
pub(super) fn checked(prices: &Prices, models: &[Priced], out: &mut dyn Write) -> io::Result<()> {
    let (known, unknown): (Vec<_>, Vec<_>) = models.iter().partition(|one| one.found.is_some());
    for one in &unknown {
        writeln!(out, "no price: {} at {}", one.model, one.provider)?;
    }
    writeln!(
        out,
        "{} of {} models of the configuration have a price (prices {}).",
        known.len(),
        models.len(),
        prices.book.version()
    )?;
    match (&prices.unknown, unknown.is_empty()) {
        (_, true) => Ok(()),
        (Unknown::Ceiling(price), false) => writeln!(
            out,
            "The others are counted at the ceiling: {}.",
            price.sheet()
        ),
        (Unknown::Refuse, false) => writeln!(
            out,
            "Where money is limited, calls to the others are refused. Write a price under \
             `prices.overrides` (`free: true` for a server of your own), or a ceiling for all \
             of them: `prices: {{unknown: ceiling, ceiling: {{input: 15, output: 75}}}}`."
        ),
    }
}

pub(super) fn checked_json(
    prices: &Prices,
    models: &[Priced],
    out: &mut dyn Write,
) -> io::Result<()> {
    let unknown = models.iter().filter(|one| one.found.is_none());
    let unknown: Vec<Value> = unknown
        .map(|one| json!({"provider": one.provider, "model": one.model}))
        .collect();
    let policy = match &prices.unknown {
        Unknown::Refuse => "refuse",
        Unknown::Ceiling(_) => "ceiling",
    };
    let told = json!({
        "version": &**prices.book.version(), "models": models.len(), "without_price": unknown,
        "unknown": policy,
    });
    writeln!(out, "{told:#}")
}

type Parsed = Result<Catalog, Vec<CatalogFault>>;

pub(super) fn file(name: &str, parsed: &Parsed, out: &mut dyn Write) -> io::Result<()> {
    match parsed {
        Ok(catalog) => {
            for source in catalog.sources() {
                writeln!(
                    out,
                    "source {} {} ({})",
                    source.name, source.version, source.licence
                )?;
            }
            let (prices, kinds) = (catalog.listed().len(), catalog.kinds().len());
            writeln!(
                out,
                "{name} is usable: {prices} prices of {kinds} kinds of providers."
            )
        }
        Err(faults) => {
            for fault in faults {
                writeln!(out, "{name}:{}: {}", fault.line, fault.what)?;
            }
            writeln!(
                out,
                "{name} is not usable: {} lines are wrong.",
                faults.len()
            )
        }
    }
}

pub(super) fn file_json(name: &str, parsed: &Parsed, out: &mut dyn Write) -> io::Result<()> {
    let told = match parsed {
        Ok(catalog) => {
            let one = |it: &Source| json!({"name": it.name, "version": it.version, "licence": it.licence});
            let sources: Vec<Value> = catalog.sources().iter().map(one).collect();
            json!({
                "file": name, "usable": true, "prices": catalog.listed().len(),
                "kinds": catalog.kinds(), "sources": sources, "faults": [],
            })
        }
        Err(faults) => {
            let faults: Vec<Value> = faults
                .iter()
                .map(|fault| json!({"line": fault.line, "what": fault.what}))
                .collect();
            json!({"file": name, "usable": false, "faults": faults})
        }
    };
    writeln!(out, "{told:#}")
}
