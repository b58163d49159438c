//! A price that was found: exact costs, worst costs, and its version.
//!
//! Sums are exact. They are divided once, and rounded up once, for each leg.

use std::sync::Arc;

use contract::{ServiceTier, Usage};

use super::book::Layer;
use super::class::{Class, Tier, Tiers};
use super::factor::Factor;
use super::sheet::Sheet;
use crate::Money;

/// A rate counts nano-dollars for a million units, and a factor millionths.
const SCALE: u128 = 1_000_000 * 1_000_000;
const CLASSES: usize = Class::ALL.len();

/// A price that was found. It is cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    sheet: Arc<Sheet>,
    factor: Factor,
    layer: Layer,
}

/// How a call was served, beside its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The tier at which it was served.
    pub tier: Tier,
    /// Requests that are billed; 1 for a call.
    pub requests: u64,
    /// Searches that the provider's own tool did.
    pub searches: u64,
    /// Seconds of audio.
    pub seconds: u64,
}

impl Terms {
    /// By what the provider told.
    pub fn of(usage: &Usage) -> Self {
        let tier = match usage.tier {
            Some(ServiceTier::Flex) => Tier::Flex,
            Some(ServiceTier::Priority) => Tier::Priority,
            Some(ServiceTier::Fast) => Tier::Fast,
            Some(ServiceTier::Batch) => Tier::Batch,
            Some(ServiceTier::Default | ServiceTier::Provisioned | ServiceTier::Other) | None => {
                Tier::Standard
            }
        };
        Self {
            tier,
            requests: 1,
            searches: usage.web_searches,
            seconds: usage.audio_seconds,
        }
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            tier: Tier::Standard,
            requests: 1,
            searches: 0,
            seconds: 0,
        }
    }
}

/// What a call cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// All of it, rounded up to a nano-dollar.
    pub total: Money,
    /// Something has no price: it is not in the total (a class), or in it at
    /// the price of the standard tier (a tier that may be dearer).
    pub unpriced: bool,
    parts: [Money; CLASSES],
}

impl Cost {
    /// The share of a class. The shares of all classes are the total; what
    /// rounding up added is with the largest.
    pub fn part(&self, class: Class) -> Money {
        self.parts[class.at()]
    }

    /// The classes that cost something.
    pub fn parts(&self) -> impl Iterator<Item = (Class, Money)> {
        let all = Class::ALL
            .into_iter()
            .map(|class| (class, self.part(class)));
        all.filter(|(_, part)| *part != Money::ZERO)
    }
}

/// Where tokens of a call may end up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct May {
    /// Input may be written to the provider's prompt cache.
    pub cache: bool,
    /// And for an hour.
    pub cache_1h: bool,
    /// Input may be audio.
    pub audio_in: bool,
    /// Input may be images.
    pub image_in: bool,
    /// Output may be audio.
    pub audio_out: bool,
    /// Output may be images.
    pub image_out: bool,
}

impl May {
    /// Everything is possible.
    pub const ALL: Self = Self {
        cache: true,
        cache_1h: true,
        audio_in: true,
        image_in: true,
        audio_out: true,
        image_out: true,
    };

    fn has(self, class: Class) -> bool {
        match class {
            Class::Input | Class::CachedRead | Class::Output | Class::Reasoning => true,
            Class::CachedWrite => self.cache,
            Class::CachedWrite1h => self.cache_1h,
            Class::AudioIn => self.audio_in,
            Class::ImageIn => self.image_in,
            Class::AudioOut => self.audio_out,
            Class::ImageOut => self.image_out,
            Class::Request | Class::Search | Class::Second => true,
        }
    }
}

/// The most that a call can come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Input tokens, of all classes together.
    pub input: u64,
    /// Output tokens of a choice, of all classes together.
    pub output: u64,
    /// Choices (`n`).
    pub choices: u64,
    /// Requests that may be billed.
    pub requests: u64,
    /// Searches of the provider's own tool.
    pub searches: u64,
    /// Seconds of audio.
    pub seconds: u64,
    /// Tiers at which it may be served.
    pub tiers: Tiers,
    /// Where its tokens may end up.
    pub may: May,
}

impl Bound {
    /// A call of so many tokens of which nothing else is known.
    pub fn new(input: u64, output: u64) -> Self {
        Self {
            input,
            output,
            choices: 1,
            requests: 1,
            searches: 0,
            seconds: 0,
            tiers: Tiers::ALL,
            may: May::ALL,
        }
    }
}

/// Classes of the input.
const INPUT: [Class; 6] = [
    Class::Input,
    Class::CachedRead,
    Class::CachedWrite,
    Class::CachedWrite1h,
    Class::AudioIn,
    Class::ImageIn,
];
/// Classes of the output.
const OUTPUT: [Class; 4] = [
    Class::Output,
    Class::Reasoning,
    Class::AudioOut,
    Class::ImageOut,
];

impl Price {
    pub(super) fn new(sheet: Arc<Sheet>, factor: Factor, layer: Layer) -> Self {
        Self {
            sheet,
            factor,
            layer,
        }
    }

    /// The rates, before the factor.
    pub fn sheet(&self) -> &Sheet {
        &self.sheet
    }

    /// What rates are multiplied with: contracts and regions.
    pub fn factor(&self) -> Factor {
        self.factor
    }

    /// The layer that the rates come from.
    pub fn layer(&self) -> Layer {
        self.layer
    }

    /// The version that a record keeps, such as `built-in/3f2a9c0d1e7b*0.85`:
    /// the layer, a digest of the rates, and the factor if there is one. It
    /// changes with the price, and with nothing else.
    pub fn version(&self) -> String {
        // Written for every call that has a price, so without a formatter.
        let mut version = String::with_capacity(40);
        version.push_str(self.layer.name());
        version.push('/');
        version.extend(self.sheet.version());
        if self.factor != Factor::ONE {
            version.push('*');
            version.push_str(&self.factor.to_string());
        }
        version
    }

    /// The price of a class as it is written (for a million tokens, and so
    /// on), for a call of this tier and length, stand-ins and the factor
    /// included; `None` if there is none.
    pub fn rate(&self, class: Class, tier: Tier, input: u64) -> Option<Money> {
        let rate = self.sheet.rates_at(tier, input).get(class)?;
        let rate = u128::from(rate.0.unsigned_abs());
        let factor = self.factor.millionths();
        let whole = u128::from(class.unit().in_a_million().unsigned_abs()) * 1_000_000;
        Some(money(rate.saturating_mul(factor).div_ceil(whole)))
    }

    /// What a call cost.
    pub fn cost(&self, usage: &Usage, terms: &Terms) -> Cost {
        let input = usage.input_total();
        let mut unpriced = terms.tier.is_dearer() && !self.sheet.has(terms.tier);
        let rates = self.sheet.rates_at(terms.tier, input);
        let mut exact = [0_u128; CLASSES];
        for class in Class::ALL {
            let units = match class {
                Class::Request => terms.requests,
                Class::Search => terms.searches,
                Class::Second => terms.seconds,
                token => token.tokens(usage),
            };
            if units == 0 {
                continue;
            }
            match rates.get(class) {
                Some(rate) => exact[class.at()] = self.times(rate, u128::from(units)),
                // Most calls are billed by neither.
                None if matches!(class, Class::Request | Class::Second) => {}
                None => unpriced = true,
            }
        }
        let sum = exact
            .iter()
            .fold(0_u128, |sum, part| sum.saturating_add(*part));
        let total = money(sum.div_ceil(SCALE));
        Cost {
            total,
            unpriced,
            parts: shares(&exact, total),
        }
    }

    /// The most that a call within a bound can cost; `None` if something in
    /// it has no price. [`Self::cost`] of any usage within the bound is at
    /// most this.
    pub fn worst(&self, bound: &Bound) -> Option<Money> {
        let mut worst = 0;
        let is_told = |tier: &Tier| *tier == Tier::Standard || self.sheet.has(*tier);
        // A tier that is not told costs what the standard one does.
        let untold = bound.tiers.iter().find(|tier| !is_told(tier));
        for tier in bound.tiers.iter().filter(is_told).chain(untold) {
            // Rates change where a level of the tier or of the standard one
            // begins, and nowhere else.
            let levels = self.sheet.levels().iter().filter(|level| {
                let counts = level.tier == tier || level.tier == Tier::Standard;
                counts && level.above > 0 && level.above < bound.input
            });
            for above in levels.map(|level| level.above).chain([0]) {
                worst = worst.max(self.worst_at(bound, tier, above.saturating_add(1))?);
            }
        }
        Some(money(worst.div_ceil(SCALE)))
    }

    /// The same for a call of one tier and length.
    fn worst_at(&self, bound: &Bound, tier: Tier, input: u64) -> Option<u128> {
        let rates = self.sheet.rates_at(tier, input);
        let rate = |class| rates.get(class);
        let dearest = |classes: &[Class]| {
            let mine = classes.iter().filter(|class| bound.may.has(**class));
            mine.filter_map(|class| rate(*class)).max()
        };
        let output = u128::from(bound.output) * u128::from(bound.choices.max(1));
        let legs = [
            (dearest(&INPUT), u128::from(bound.input)),
            (dearest(&OUTPUT), output),
            (
                rate(Class::Request).or(Some(Money::ZERO)),
                bound.requests.into(),
            ),
            (
                rate(Class::Second).or(Some(Money::ZERO)),
                bound.seconds.into(),
            ),
            (rate(Class::Search), bound.searches.into()),
        ];
        legs.iter()
            .try_fold(0_u128, |sum, (rate, units)| match units {
                0 => Some(sum),
                units => Some(sum.saturating_add(self.times((*rate)?, *units))),
            })
    }

    /// Rate times units times the factor, in nano-dollars times [`SCALE`].
    fn times(&self, rate: Money, units: u128) -> u128 {
        u128::from(rate.0.unsigned_abs())
            .saturating_mul(units)
            .saturating_mul(self.factor.millionths())
    }
}

fn money(nanos: u128) -> Money {
    Money::saturated(i128::try_from(nanos).unwrap_or(i128::MAX))
}

/// Shares that are whole nano-dollars, and are the total.
fn shares(exact: &[u128; CLASSES], total: Money) -> [Money; CLASSES] {
    let mut parts = exact.map(|part| money(part / SCALE));
    let sum: Money = parts.iter().copied().sum();
    let largest = (0..CLASSES).max_by_key(|at| (exact[*at], CLASSES - at));
    if let Some(largest) = largest {
        // Where figures are absurd, the sum saturates as the total does.
        parts[largest] = parts[largest].plus(total.minus(sum));
    }
    parts
}
