//! `tollgate prices ..`: what models cost by a configuration, what a file of
//! prices would change, and whether everything has a price. Nothing is called
//! and nothing is written.

mod diff;
mod print;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use cli::{Format, PricesArgs, PricesCheckArgs, PricesCommand, PricesDiffArgs, PricesShowArgs};
use meter::prices::{Catalog, Found, Layer, Listed, Query, Unknown, day};
use plan::{Plan, ProviderPlan};

use crate::config;
use print::Priced;

/// There is no price, or something differs.
const FOUND_WANTING: u8 = 1;
const UNREADABLE: u8 = 2;

/// Carries out a command.
pub(crate) fn run(args: &PricesArgs) -> ExitCode {
    let mut out = io::stdout().lock();
    let done = match &args.command {
        PricesCommand::Show(args) => show(args, &mut out),
        PricesCommand::Diff(args) => diff(args, &mut out),
        PricesCommand::Check(args) => check(args, &mut out),
        PricesCommand::Reprice(args) => {
            return crate::asked(&args.at, |setting, out| cli::reprice(args, setting, out));
        }
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            crate::say(&why);
            ExitCode::from(UNREADABLE)
        }
    }
}

/// Whose price: a provider of the configuration, or a kind by itself.
#[derive(Clone, Copy)]
struct Vendor<'p> {
    name: &'p str,
    kind: &'p str,
    region: Option<&'p str>,
}

impl<'p> Vendor<'p> {
    fn of(provider: &'p ProviderPlan) -> Self {
        Self {
            name: &provider.name,
            kind: provider.kind.name,
            region: provider.account.region.as_deref(),
        }
    }
}

/// Prices of a plan, on a day, for a tenant.
struct Desk<'a> {
    plan: &'a Plan,
    at_s: u64,
    tenant: Option<&'a str>,
    region: Option<&'a str>,
}

impl<'a> Desk<'a> {
    fn find(&self, vendor: Vendor<'a>, model: &str) -> Option<Found> {
        let query = Query {
            provider: vendor.name,
            kind: vendor.kind,
            model,
            region: self.region.or(vendor.region),
            tenant: self.tenant,
            at_s: self.at_s,
        };
        self.plan.prices.book.find(&query)
    }

    fn price(&self, vendor: Vendor<'a>, model: &str) -> Priced {
        Priced {
            provider: vendor.name.to_owned(),
            kind: vendor.kind.to_owned(),
            model: model.to_owned(),
            found: self.find(vendor, model),
        }
    }

    /// The vendor of this name: a provider of the configuration, or a kind.
    fn vendor(&self, name: &str) -> Result<Vendor<'a>, String> {
        let mut known = self.plan.providers.iter();
        if let Some(provider) = known.find(|provider| &*provider.name == name) {
            return Ok(Vendor::of(provider));
        }
        let kind = providers::kind(name).ok_or_else(|| {
            format!(
                "`{name}` is neither a provider of the configuration nor a kind; `tollgate config \
                 show` lists the providers, and the kinds are in the reference of the configuration"
            )
        })?;
        Ok(Vendor {
            name: kind.name,
            kind: kind.name,
            region: None,
        })
    }

    /// A model as a caller would name it: at each of its candidates.
    fn named(&self, model: &str) -> Vec<Priced> {
        let candidates = self.plan.models.resolve(model);
        let candidates = candidates.iter().flat_map(|all| all.iter());
        candidates
            .filter_map(|one| Some((self.plan.providers.get(one.provider)?, &one.model)))
            .map(|(provider, model)| self.price(Vendor::of(provider), model))
            .collect()
    }

    /// The candidates of every model that the configuration names.
    fn configured(&self) -> Vec<Priced> {
        let names = self.plan.models.listed();
        let mut all: Vec<Priced> = names.keys().flat_map(|name| self.named(name)).collect();
        all.sort_by(|a, b| (&a.provider, &a.model).cmp(&(&b.provider, &b.model)));
        all.dedup_by(|a, b| (&a.provider, &a.model) == (&b.provider, &b.model));
        all
    }

    /// All models of a vendor that a catalog names.
    fn all_of(&self, vendor: Vendor<'a>) -> Vec<Priced> {
        let mut models: Vec<String> = Vec::new();
        for (_, catalog) in self.plan.prices.book.catalogs() {
            let listed = catalog.listed();
            let mine = listed.iter().filter(|one| one.kind == vendor.kind);
            models.extend(mine.map(|one| one.model.to_owned()));
        }
        models.sort();
        models.dedup();
        let priced = models.iter().map(|model| self.price(vendor, model));
        priced.filter(|one| one.found.is_some()).collect()
    }

    /// A model that nobody serves here, at every kind that has it by name.
    fn anywhere(&self, model: &str) -> Vec<Priced> {
        let mut kinds: Vec<&'static str> =
            providers::kinds().iter().map(|kind| kind.name).collect();
        kinds.retain(|kind| *kind != "sandbox");
        let vendors = kinds.into_iter().map(|kind| Vendor {
            name: kind,
            kind,
            region: None,
        });
        let priced = vendors.map(|vendor| self.price(vendor, model));
        priced.filter(|one| one.found.is_some()).collect()
    }
}

fn show(args: &PricesShowArgs, out: &mut dyn Write) -> Result<u8, String> {
    let plan = config::plan_of(args.config.as_deref())?;
    let at_s = match &args.at {
        None => now_s(),
        Some(text) => day(text)
            .ok_or_else(|| format!("`{text}` is no day; write year, month and day: 2026-11-21"))?,
    };
    let desk = Desk {
        plan: &plan,
        at_s,
        tenant: args.tenant.as_deref(),
        region: args.region.as_deref(),
    };
    let priced = match (&args.model, &args.provider) {
        (Some(model), Some(provider)) => vec![desk.price(desk.vendor(provider)?, model)],
        (Some(model), None) => match desk.named(model) {
            here if here.iter().any(|one| one.found.is_some()) => here,
            here => match desk.anywhere(model) {
                there if there.is_empty() => here,
                there => there,
            },
        },
        (None, Some(provider)) => desk.all_of(desk.vendor(provider)?),
        (None, None) => desk.configured(),
    };
    let told = match args.format {
        Format::Json => print::json(&plan.prices, &priced, out),
        Format::Text if args.model.is_some() => print::sheets(&priced, out),
        Format::Text => print::table(&priced, out),
    };
    told.map_err(unprinted)?;
    match priced.iter().find(|one| one.found.is_none()) {
        None if priced.is_empty() => Err(nothing(args)),
        None => Ok(0),
        Some(_) => Ok(FOUND_WANTING),
    }
}

fn nothing(args: &PricesShowArgs) -> String {
    match (&args.model, &args.provider) {
        (Some(model), _) => format!(
            "nobody has a price for `{model}`; name its provider with `--provider`, or look \
             through all models of one: `tollgate prices show --provider NAME`"
        ),
        (None, Some(provider)) => format!("no catalog has a price of `{provider}`"),
        (None, None) => "the configuration names no model; name one here, or a provider with \
                         `--provider`"
            .to_owned(),
    }
}

fn diff(args: &PricesDiffArgs, out: &mut dyn Write) -> Result<u8, String> {
    let file = read(&args.file)?;
    let told = match &args.other {
        Some(other) => {
            let other = read(other)?;
            diff::between(&file.listed(), &other.listed())
        }
        None => {
            let plan = config::plan_of(args.config.as_deref())?;
            diff::between(&in_force(&plan), &file.listed())
        }
    };
    let kept = args.other.is_none();
    let printed = match args.format {
        Format::Json => diff::json(&told, out),
        Format::Text => diff::text(&told, kept, out),
    };
    printed.map_err(unprinted)?;
    let same = told.added.is_empty() && told.changed.is_empty() && (kept || told.gone.is_empty());
    Ok(if same { 0 } else { FOUND_WANTING })
}

/// The prices of the catalogs: of the file where it has a price, else the
/// built-in ones.
fn in_force(plan: &Plan) -> Vec<Listed<'_>> {
    let mut all: Vec<Listed<'_>> = Vec::new();
    for (layer, catalog) in plan.prices.book.catalogs() {
        let listed = catalog.listed();
        if layer == Layer::File {
            let named = |one: &Listed<'_>| {
                listed
                    .iter()
                    .any(|it| (it.kind, it.model) == (one.kind, one.model))
            };
            all.retain(|one| !named(one));
        }
        all.extend(listed);
    }
    all
}

fn check(args: &PricesCheckArgs, out: &mut dyn Write) -> Result<u8, String> {
    if let Some(path) = &args.file {
        return check_file(path, args.format, out);
    }
    let plan = config::plan_of(args.config.as_deref())?;
    let desk = Desk {
        plan: &plan,
        at_s: now_s(),
        tenant: None,
        region: None,
    };
    let models = desk.configured();
    let printed = match args.format {
        Format::Json => print::checked_json(&plan.prices, &models, out),
        Format::Text => print::checked(&plan.prices, &models, out),
    };
    printed.map_err(unprinted)?;
    let is_known = models.iter().all(|one| one.found.is_some());
    let is_met = matches!(plan.prices.unknown, Unknown::Ceiling(_));
    Ok(if is_known || is_met { 0 } else { FOUND_WANTING })
}

fn check_file(path: &Path, format: Format, out: &mut dyn Write) -> Result<u8, String> {
    let parsed = Catalog::parse(&text(path)?);
    let name = path.display().to_string();
    let printed = match format {
        Format::Json => print::file_json(&name, &parsed, out),
        Format::Text => print::file(&name, &parsed, out),
    };
    printed.map_err(unprinted)?;
    Ok(if parsed.is_ok() { 0 } else { FOUND_WANTING })
}

fn text(path: &Path) -> Result<String, String> {
    let read = std::fs::read_to_string(path);
    read.map_err(|error| format!("{} could not be read: {error}", path.display()))
}

fn read(path: &Path) -> Result<Catalog, String> {
    Catalog::parse(&text(path)?).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        format!(
            "{} is no file of prices:\n{}",
            path.display(),
            faults.join("\n")
        )
    })
}

fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn unprinted(error: io::Error) -> String {
    format!("the result could not be printed: {error}")
}

#[cfg(test)]
mod tests;
