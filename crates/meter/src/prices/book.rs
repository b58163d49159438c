//! The layers of prices, and what is done where none is known.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use contract::glob;

use super::catalog::{BUILT_IN, Catalog, Wanted};
use super::factor::Factor;
use super::price::Price;
use super::sheet::{Sheet, is_in};

/// Where a price comes from, least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layer {
    /// Nowhere: the ceiling for models whose price is not known.
    Ceiling,
    /// The catalog that the program comes with.
    BuiltIn,
    /// A refreshed file.
    File,
    /// The operator's overrides.
    Operator,
    /// The contract of a tenant.
    Contract,
}

impl Layer {
    /// The word in versions, tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ceiling => "ceiling",
            Self::BuiltIn => "built-in",
            Self::File => "file",
            Self::Operator => "operator",
            Self::Contract => "contract",
        }
    }
}

/// How a name was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Matched {
    /// As it is.
    Exact,
    /// Without its date, version or place, or under a related provider.
    Variant,
    /// By a pattern.
    Pattern,
}

impl Matched {
    /// The word in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Variant => "variant",
            Self::Pattern => "pattern",
        }
    }
}

/// Whose price, where, for whom and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// The provider's name in the document.
    pub provider: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// The model as the provider knows it.
    pub model: &'a str,
    /// The provider's region.
    pub region: Option<&'a str>,
    /// The caller's tenant.
    pub tenant: Option<&'a str>,
    /// The time of the call, in seconds since 1970.
    pub at_s: u64,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The price.
    pub price: Price,
    /// The highest layer that had a say: the price's own, or that of a
    /// factor on it.
    pub layer: Layer,
    /// How the name was found.
    pub matched: Matched,
}

/// What an override does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// This is the price, whatever stands below.
    Price(Arc<Sheet>),
    /// The price of the layers below, times this.
    Factor(Factor),
}

/// An operator's own price, or what a contract says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Pattern of providers, by their names in the document; `None`: all.
    pub provider: Option<Box<str>>,
    /// Pattern of models.
    pub model: Box<str>,
    /// The region; `None`: all.
    pub region: Option<Box<str>>,
    /// The tenant whose contract it is; `None`: everybody's.
    pub tenant: Option<Box<str>>,
    /// Since when, in seconds since 1970; 0: always.
    pub from_s: u64,
    /// What it does.
    pub effect: Effect,
}

impl Override {
    fn covers(&self, query: &Query<'_>) -> bool {
        let provider = self.provider.as_deref();
        let region = self.region.as_deref();
        self.from_s <= query.at_s
            && provider.is_none_or(|pattern| glob::matches(pattern, query.provider))
            && glob::matches(&self.model, query.model)
            && region.is_none_or(|known| query.region.is_some_and(|region| is_in(region, known)))
    }
}

/// For digests: every field, apart from its neighbours.
impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (provider, region, tenant) = (&self.provider, &self.region, &self.tenant);
        let model = &self.model;
        write!(
            f,
            "{provider:?} {model:?} {region:?} {tenant:?} {} ",
            self.from_s
        )?;
        match &self.effect {
            Effect::Price(sheet) => write!(f, "{sheet}"),
            Effect::Factor(factor) => write!(f, "*{factor}"),
        }
    }
}

/// All layers of prices.
#[derive(Debug)]
pub struct PriceBook {
    built_in: Arc<Catalog>,
    file: Option<Arc<Catalog>>,
    operator: Vec<Override>,
    contracts: HashMap<Box<str>, Vec<Override>>,
    version: Arc<str>,
}

impl Default for PriceBook {
    /// The built-in catalog alone.
    fn default() -> Self {
        Self::new(None, Vec::new())
    }
}

impl PriceBook {
    /// The built-in catalog, a refreshed file, and overrides.
    pub fn new(file: Option<Arc<Catalog>>, overrides: Vec<Override>) -> Self {
        Self::over(BUILT_IN.clone(), file, overrides)
    }

    /// The same over another catalog.
    pub fn over(
        built_in: Arc<Catalog>,
        file: Option<Arc<Catalog>>,
        overrides: Vec<Override>,
    ) -> Self {
        let mut hasher = blake3::Hasher::new();
        for catalog in [Some(&built_in), file.as_ref()].into_iter().flatten() {
            hasher.update(catalog.digest());
        }
        for one in &overrides {
            hasher.update(one.to_string().as_bytes());
            hasher.update(&[0]);
        }
        let mut version = hasher.finalize().to_hex().to_string();
        version.truncate(12);
        let (mut operator, mut contracts) = (Vec::new(), HashMap::<_, Vec<_>>::new());
        for one in overrides {
            match one.tenant.clone() {
                Some(tenant) => contracts.entry(tenant).or_default().push(one),
                None => operator.push(one),
            }
        }
        Self {
            built_in,
            file,
            operator,
            contracts,
            version: version.into(),
        }
    }

    /// 12 hex digits that change with the catalog, the file or an override.
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// The catalogs, with their layers.
    pub fn catalogs(&self) -> impl Iterator<Item = (Layer, &Arc<Catalog>)> {
        let built_in = Some((Layer::BuiltIn, &self.built_in));
        let file = self.file.as_ref().map(|file| (Layer::File, file));
        built_in.into_iter().chain(file)
    }

    /// The price of a model; `None` if nobody knows it. Of two overrides of
    /// a layer the one with the later date holds, and of these the first.
    pub fn find(&self, query: &Query<'_>) -> Option<Found> {
        let contract = query.tenant.and_then(|tenant| self.contracts.get(tenant));
        let contract = contract.map_or(&[][..], Vec::as_slice);
        let layers = [
            (Layer::Contract, contract),
            (Layer::Operator, &self.operator[..]),
        ];
        let (mut factor, mut top) = (Factor::ONE, None);
        for (layer, overrides) in layers {
            let mut last: Option<&Override> = None;
            for one in overrides.iter().filter(|one| one.covers(query)) {
                if last.is_none_or(|last| one.from_s > last.from_s) {
                    last = Some(one);
                }
            }
            let Some(one) = last else { continue };
            let highest = *top.get_or_insert(layer);
            match &one.effect {
                Effect::Factor(by) => factor = factor.times(*by),
                Effect::Price(sheet) => {
                    let matched = match glob::is_name(&one.model) {
                        true => Matched::Exact,
                        false => Matched::Pattern,
                    };
                    return Some(found(sheet, query, (factor, layer), (highest, matched)));
                }
            }
        }
        let wanted = Wanted {
            kind: query.kind,
            model: query.model,
            region: query.region,
            at_s: query.at_s,
        };
        let in_file = self.file.as_ref().and_then(|file| file.find(&wanted));
        let (sheet, matched, layer) = match in_file {
            Some((sheet, matched)) => (sheet, matched, Layer::File),
            None => {
                let (sheet, matched) = self.built_in.find(&wanted)?;
                (sheet, matched, Layer::BuiltIn)
            }
        };
        let highest = top.unwrap_or(layer);
        Some(found(&sheet, query, (factor, layer), (highest, matched)))
    }
}

fn found(
    sheet: &Arc<Sheet>,
    query: &Query<'_>,
    (factor, layer): (Factor, Layer),
    (highest, matched): (Layer, Matched),
) -> Found {
    let factor = factor.times(sheet.uplift(query.region));
    Found {
        price: Price::new(sheet.clone(), factor, layer),
        layer: highest,
        matched,
    }
}

/// What is done with a call whose price nobody knows, where money matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// It is refused.
    #[default]
    Refuse,
    /// It is reserved and settled at this price.
    Ceiling(Price),
}

impl Unknown {
    /// A ceiling of these rates.
    pub fn ceiling(sheet: Sheet) -> Self {
        Self::Ceiling(Price::new(Arc::new(sheet), Factor::ONE, Layer::Ceiling))
    }
}

/// A model has no price, and the policy is to refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the model `{model}` of the provider `{provider}` has no price; write one as an entry of \
     `prices.overrides`, or a ceiling for all such models (`prices.unknown: ceiling`)"
)]
pub struct NoPrice {
    /// The provider's name.
    pub provider: String,
    /// The model as the provider knows it.
    pub model: String,
}

/// Prices, and what is done where none is known.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    /// The layers.
    pub book: Arc<PriceBook>,
    /// What is done where none of them knows a price.
    pub unknown: Unknown,
}

impl Prices {
    /// The price of a model, or the ceiling.
    ///
    /// # Errors
    /// There is no price, and the policy is to refuse.
    pub fn of(&self, query: &Query<'_>) -> Result<Found, NoPrice> {
        self.known(query).ok_or_else(|| NoPrice {
            provider: query.provider.to_owned(),
            model: query.model.to_owned(),
        })
    }

    /// The same where nobody asks why there is none.
    pub fn known(&self, query: &Query<'_>) -> Option<Found> {
        self.book.find(query).or_else(|| match &self.unknown {
            Unknown::Ceiling(price) => Some(Found {
                price: price.clone(),
                layer: Layer::Ceiling,
                matched: Matched::Pattern,
            }),
            Unknown::Refuse => None,
        })
    }
}
