//! Prices: the file, the overrides, and what is done where none is known.

use std::sync::Arc;

use contract::glob;
use meter::prices::{Catalog, Class, Effect, Level, Override, Rates, Sheet, Unknown};
use meter::{PriceBook, Prices};

use super::Findings;
use crate::diagnostic::suggest;
use crate::document::{
    CeilingEntry, Document, OverrideEntry, PricesEntry, RatesEntry, UnknownPrice,
};
use crate::interpolate::Sources;

/// Most overrides.
const OVERRIDES_MAX: usize = 10_000;
/// Most faults of a file that are told.
const FAULTS_MAX: usize = 10;

pub(super) fn compile(
    document: &Document,
    sources: &dyn Sources,
    findings: &mut Findings,
) -> Prices {
    let entry = &document.prices;
    let file = entry.file.as_deref();
    let file = file.and_then(|path| read(path, sources, findings));
    if entry.overrides.len() > OVERRIDES_MAX {
        findings.error(
            "prices.overrides",
            format!("there are more than {OVERRIDES_MAX} overrides"),
            "write patterns, or put prices into a `file`",
        );
    }
    let overrides = entry.overrides.iter().take(OVERRIDES_MAX).enumerate();
    let overrides = overrides.filter_map(|(nth, entry)| {
        let mut one = One {
            path: format!("prices.overrides[{nth}]"),
            entry,
            findings,
        };
        one.check_provider(document);
        one.compile()
    });
    let overrides = overrides.collect();
    Prices {
        book: Arc::new(PriceBook::new(file, overrides)),
        unknown: unknown(entry, findings),
    }
}

/// The refreshed file.
fn read(path: &str, sources: &dyn Sources, findings: &mut Findings) -> Option<Arc<Catalog>> {
    let text = sources.file(path).map_err(|why| {
        findings.error(
            "prices.file",
            format!("the file `{path}` cannot be used: {why}"),
            "write the path of a file of prices, from the folder of this configuration; without \
             one the built-in prices hold",
        );
    });
    let catalog = match Catalog::parse(&text.ok()?) {
        Ok(catalog) => catalog,
        Err(faults) => {
            for fault in faults.iter().take(FAULTS_MAX) {
                findings.error(
                    "prices.file",
                    format!("the file `{path}` cannot be used: {fault}"),
                    "mend the line, and ask `tollgate prices check FILE`; docs/prices.md tells the form",
                );
            }
            return None;
        }
    };
    let kinds = || providers::kinds().iter().map(|kind| kind.name);
    for kind in catalog.kinds() {
        if !kinds().any(|known| known == kind) {
            findings.warn(
                "prices.file",
                format!("the file `{path}` has prices of `{kind}`, which is no kind of provider"),
                suggest(kind, kinds(), "kind"),
            );
        }
    }
    Some(Arc::new(catalog))
}

fn unknown(entry: &PricesEntry, findings: &mut Findings) -> Unknown {
    match (entry.unknown, &entry.ceiling) {
        (UnknownPrice::Refuse, None) => Unknown::Refuse,
        (UnknownPrice::Refuse, Some(_)) => {
            findings.error(
                "prices.ceiling",
                "this ceiling does nothing: calls whose price is not known are refused",
                "add `unknown: ceiling`, or remove it",
            );
            Unknown::Refuse
        }
        (UnknownPrice::Ceiling, Some(ceiling)) => ceiling_of(ceiling, findings),
        (UnknownPrice::Ceiling, None) => {
            findings.error(
                "prices.unknown",
                "there is no ceiling to count such calls at",
                "add `ceiling: {input: 15, output: 75}`, with dollars for a million tokens that \
                 no model of yours exceeds",
            );
            Unknown::Refuse
        }
    }
}

fn ceiling_of(entry: &CeilingEntry, findings: &mut Findings) -> Unknown {
    let rates = RatesEntry {
        input: Some(entry.input),
        output: Some(entry.output),
        ..RatesEntry::default()
    };
    for (name, dollars) in [("input", entry.input), ("output", entry.output)] {
        if dollars.0 == meter::Money::ZERO {
            findings.error(
                format!("prices.ceiling.{name}"),
                "a ceiling of 0 would let calls of unknown price pass uncounted",
                "write a price that no model of yours exceeds; for servers of your own write \
                 an override with `free: true`",
            );
        }
    }
    let rates = self::rates(&rates, "prices.ceiling", findings);
    let sheet = Sheet::new(rates, Vec::new(), Vec::new());
    sheet.map_or(Unknown::Refuse, Unknown::ceiling)
}

/// Rates as they are computed with; what is wrong with one is noted.
fn rates(entry: &RatesEntry, path: &str, findings: &mut Findings) -> Rates {
    let mut rates = Rates::default();
    for class in Class::ALL {
        let Some(amount) = entry.get(class) else {
            continue;
        };
        if let Err(fault) = rates.set(class, amount) {
            findings.error(
                format!("{path}.{}", class.name()),
                fault.to_string(),
                format!("write dollars {}", class.per()),
            );
        }
    }
    rates
}

/// One override in the making.
struct One<'a> {
    path: String,
    entry: &'a OverrideEntry,
    findings: &'a mut Findings,
}

impl One<'_> {
    fn check_provider(&mut self, document: &Document) {
        let Some(pattern) = &self.entry.provider else {
            return;
        };
        let mut names = document.providers.named().names();
        if names.any(|name| glob::matches(pattern, name)) {
            return;
        }
        self.findings.warn(
            format!("{}.provider", self.path),
            format!("no provider is called `{pattern}`, so this price holds for nobody"),
            suggest(pattern, document.providers.named().names(), "provider"),
        );
    }

    fn compile(&mut self) -> Option<Override> {
        let entry = self.entry;
        let empty = [
            ("provider", &entry.provider),
            ("model", &entry.model),
            ("region", &entry.region),
            ("tenant", &entry.tenant),
        ];
        for (field, text) in empty {
            if text.as_deref() == Some("") {
                self.findings.error(
                    format!("{}.{field}", self.path),
                    "this is empty, so nothing would ever match",
                    "write a name, or leave the field out for all of them",
                );
            }
        }
        Some(Override {
            provider: entry.provider.as_deref().map(Box::from),
            model: entry.model.as_deref().unwrap_or("*").into(),
            region: entry.region.as_deref().map(Box::from),
            tenant: entry.tenant.as_deref().map(Box::from),
            from_s: entry.from.map_or(0, |day| day.0),
            effect: self.effect()?,
        })
    }

    fn effect(&mut self) -> Option<Effect> {
        let entry = self.entry;
        let wrong = match (entry.free, entry.multiplier, &entry.rates) {
            (false, None, None) => "this override says no price",
            (false, Some(multiplier), None) if entry.levels.is_empty() => {
                return Some(Effect::Factor(multiplier.0));
            }
            (true, None, None) if entry.levels.is_empty() => {
                return Some(Effect::Price(Arc::new(Sheet::free())));
            }
            (false, None, Some(rates)) => return self.sheet(rates),
            (true, None, None) | (false, Some(_), None) => "`levels` stand without `rates`",
            (true, _, _) | (false, Some(_), Some(_)) => "this override says more than one price",
        };
        self.findings.error(
            &self.path,
            wrong,
            "write one of `rates: {input: 1.25, output: 10}`, `multiplier: 0.85` and `free: true`",
        );
        None
    }

    fn sheet(&mut self, base: &RatesEntry) -> Option<Effect> {
        let path = format!("{}.rates", self.path);
        let base = rates(base, &path, self.findings);
        let mut levels = Vec::new();
        for (nth, level) in self.entry.levels.iter().enumerate() {
            let path = format!("{}.levels[{nth}].rates", self.path);
            levels.push(Level {
                tier: level.tier.into(),
                above: level.above,
                rates: rates(&level.rates, &path, self.findings),
            });
        }
        match Sheet::new(base, levels, Vec::new()) {
            Ok(sheet) => Some(Effect::Price(Arc::new(sheet))),
            Err(fault) => {
                self.findings.error(
                    &self.path,
                    fault.to_string(),
                    "write `rates: {input: 1.25, output: 10}`, and levels with a `tier` or a \
                     length (`above: 200000`) and their own rates",
                );
                None
            }
        }
    }
}
