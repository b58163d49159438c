//! What a model costs: rates, levels of context and tier, and surcharges of
//! regions. Its text form is that of a file of prices:
//!
//! ```text
//! in=1.25 read=0.125 out=10 search=10 eu*1.1 | >200000 in=2.5 out=15 | flex in=0.625 out=5
//! ```
//!
//! Dollars per million tokens, per thousand requests and searches, and for
//! each second. `in=?` says that a price is not known, `in=0` that there is
//! nothing to pay, and `free` that there is nothing to pay for anything.

use std::fmt;

use super::class::{Class, Tier};
use super::factor::Factor;
use crate::Money;

/// The largest rate: beyond it a price is a slip of the pen.
const RATE_MOST: i64 = 1_000_000 * 1_000_000_000;
/// Most levels of a price.
const LEVELS_MAX: usize = 64;
/// Most surcharges of a price.
const UPLIFTS_MAX: usize = 64;
/// Stands for a rate that is not known.
const UNKNOWN: i64 = -1;

/// What is wrong with a price, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SheetFault(pub String);

/// Rates by class, in nano-dollars for a million units. A class without one
/// has no rate of its own, which is not the same as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rates([i64; Class::ALL.len()]);

impl Default for Rates {
    fn default() -> Self {
        Self([UNKNOWN; Class::ALL.len()])
    }
}

impl Rates {
    /// The rate of a class, in nano-dollars for a million units.
    pub fn get(&self, class: Class) -> Option<Money> {
        match self.0[class.at()] {
            UNKNOWN => None,
            nanos => Some(Money(nanos)),
        }
    }

    /// The price of a class as it is written: for a million tokens, a
    /// thousand requests or searches, a second.
    pub fn written(&self, class: Class) -> Option<Money> {
        let of_a_million = self.get(class)?;
        Some(Money(of_a_million.0 / class.unit().in_a_million()))
    }

    /// Sets the price of a class, as it is written.
    ///
    /// # Errors
    /// It is negative, or absurd.
    pub fn set(&mut self, class: Class, written: Money) -> Result<(), SheetFault> {
        let nanos = written.0.checked_mul(class.unit().in_a_million());
        match nanos {
            Some(nanos) if (0..=RATE_MOST).contains(&nanos) => {
                self.0[class.at()] = nanos;
                Ok(())
            }
            Some(nanos) if nanos < 0 => Err(SheetFault(format!(
                "the price of `{}` is negative",
                class.name()
            ))),
            Some(_) | None => Err(SheetFault(format!(
                "the price of `{}` is more than anybody asks ({} dollars for a million units)",
                class.name(),
                RATE_MOST / 1_000_000_000
            ))),
        }
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|rate| *rate == UNKNOWN)
    }

    fn free() -> Self {
        Self([0; Class::ALL.len()])
    }

    fn field(&mut self, field: &str) -> Result<(), SheetFault> {
        let wrong = || {
            let words: Vec<&str> = Class::ALL.iter().map(|class| class.word()).collect();
            SheetFault(format!(
                "`{field}` is no price; write `in=1.25`, with one of {}",
                words.join(", ")
            ))
        };
        let (word, amount) = field.split_once('=').ok_or_else(wrong)?;
        let class = Class::ALL.into_iter().find(|class| class.word() == word);
        let class = class.ok_or_else(wrong)?;
        if self.0[class.at()] != UNKNOWN {
            return Err(SheetFault(format!("`{word}` is there twice")));
        }
        if amount == "?" {
            return Ok(());
        }
        let amount = Money::parse(amount).map_err(|error| SheetFault(error.to_string()))?;
        self.set(class, amount)
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.iter().all(|rate| *rate == 0) {
            return f.write_str("free");
        }
        let mut gap = "";
        for class in Class::ALL {
            if let Some(amount) = self.written(class) {
                write!(f, "{gap}{}={}", class.word(), Plain(amount))?;
                gap = " ";
            }
        }
        Ok(())
    }
}

/// An amount with no more digits than it needs.
struct Plain(Money);

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Rates that hold for a tier, and for the whole of a request whose input has
/// more tokens than `above`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Level {
    /// The tier.
    pub tier: Tier,
    /// The input has more tokens than this; 0: however many it has.
    pub above: u64,
    /// What differs.
    pub rates: Rates,
}

/// What a model costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    rates: Rates,
    levels: Box<[Level]>,
    uplifts: Box<[(Box<str>, Factor)]>,
    version: [u8; 6],
}

impl Sheet {
    /// A price of these rates, with levels, and factors by region.
    ///
    /// # Errors
    /// There is no rate at all, or two levels are the same.
    pub fn new(
        rates: Rates,
        mut levels: Vec<Level>,
        uplifts: Vec<(Box<str>, Factor)>,
    ) -> Result<Self, SheetFault> {
        let fail = |why: &str| Err(SheetFault(why.to_owned()));
        if rates.is_empty() {
            return fail("there is no price here; write one, or `free`");
        }
        if levels.iter().any(|level| level.rates.is_empty()) {
            return fail("a level has no price; write one, or leave the level out");
        }
        levels.sort_by_key(|level| (level.tier, level.above));
        let same = |two: &[Level]| (two[0].tier, two[0].above) == (two[1].tier, two[1].above);
        if levels.windows(2).any(same) {
            return fail("two levels are for the same tier and length");
        }
        let is_base = |level: &Level| level.tier == Tier::Standard && level.above == 0;
        if levels.iter().any(is_base) {
            return fail("a level has neither a tier nor a length; write its prices in front");
        }
        if levels.len() > LEVELS_MAX || uplifts.len() > UPLIFTS_MAX {
            return fail("there are more than 64 levels or regions");
        }
        let mut sheet = Self {
            rates,
            levels: levels.into(),
            uplifts: uplifts.into(),
            version: [0; 6],
        };
        let digest = blake3::hash(sheet.to_string().as_bytes());
        sheet.version.copy_from_slice(&digest.as_bytes()[..6]);
        Ok(sheet)
    }

    /// Nothing to pay, for anything.
    pub fn free() -> Self {
        Self::new(Rates::free(), Vec::new(), Vec::new()).expect("there are rates")
    }

    /// Reads the form that files have.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SheetFault> {
        let mut parts = text.split('|');
        let (mut rates, mut uplifts) = (Rates::default(), Vec::new());
        for field in parts.next().unwrap_or_default().split_whitespace() {
            match field.split_once('*') {
                _ if field == "free" && rates.is_empty() => rates = Rates::free(),
                Some((region, factor)) => {
                    let factor = Factor::parse(factor).map_err(SheetFault)?;
                    uplifts.push((region.into(), factor));
                }
                None => rates.field(field)?,
            }
        }
        let levels = parts.map(level).collect::<Result<_, _>>()?;
        Self::new(rates, levels, uplifts)
    }

    /// The rates of a plain call.
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// The other levels, by tier and length.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Factors by region.
    pub fn uplifts(&self) -> impl Iterator<Item = (&str, Factor)> {
        self.uplifts
            .iter()
            .map(|(region, factor)| (&**region, *factor))
    }

    /// The factor of a region.
    pub(super) fn uplift(&self, region: Option<&str>) -> Factor {
        let Some(region) = region else {
            return Factor::ONE;
        };
        let found = self.uplifts.iter().find(|(known, _)| is_in(region, known));
        found.map_or(Factor::ONE, |(_, factor)| *factor)
    }

    /// 12 hex digits that change with the price, and with nothing else.
    pub(super) fn version(&self) -> impl Iterator<Item = char> + '_ {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let halves = self.version.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        halves.map(|half| char::from(DIGITS[usize::from(half)]))
    }

    /// The rates of a call of this tier and length. What a level does not say
    /// is charged at the dearest of what it could be: the class that stands
    /// in at the same level, the same class at a lower level of the tier, and
    /// the same class of the standard tier.
    pub(super) fn rates_at(&self, tier: Tier, input: u64) -> Rates {
        let mut standard = Said::new(self.rates);
        let (mut own, mut top) = (Said::new(Rates::default()), None);
        // They are sorted: of those that hold the highest comes last.
        for level in self
            .levels
            .iter()
            .filter(|level| level.above < input.max(1))
        {
            if level.tier == Tier::Standard {
                standard.say(level);
            }
            if level.tier == tier {
                own.say(level);
                top = Some(level.above);
            }
        }
        let Some(top) = top else {
            return match tier {
                Tier::Standard => self.filled(|class, stand_in| match self.rates.0[class.at()] {
                    UNKNOWN => stand_in,
                    rate => rate,
                }),
                Tier::Flex | Tier::Priority | Tier::Fast | Tier::Batch => {
                    self.rates_at(Tier::Standard, input)
                }
            };
        };
        self.filled(|class, stand_in| {
            let (rate, above) = own.of(class);
            let (of_standard, length) = standard.of(class);
            // A level of the very length says all there is to say.
            match rate != UNKNOWN && above == top && above >= length {
                true => rate,
                false => rate.max(of_standard).max(stand_in),
            }
        })
    }

    /// Rates of all classes: each is told the rate of the class as which
    /// providers bill one that has none of its own. `docs/prices.md` names
    /// their documents.
    fn filled(&self, rate: impl Fn(Class, i64) -> i64) -> Rates {
        let mut rates = Rates::default();
        // Who stands in for others comes before them.
        for class in Class::ALL {
            let known = |class: Class| rates.0[class.at()];
            let stand_in = match class {
                Class::CachedRead | Class::CachedWrite | Class::AudioIn | Class::ImageIn => {
                    known(Class::Input)
                }
                // Who bills writes for five minutes bills those for an hour
                // at twice the input.
                Class::CachedWrite1h => match self.rates.get(Class::CachedWrite) {
                    Some(_) => known(Class::Input)
                        .saturating_mul(2)
                        .max(known(Class::CachedWrite)),
                    None => known(Class::Input),
                },
                Class::Reasoning | Class::AudioOut | Class::ImageOut => known(Class::Output),
                Class::Input | Class::Output | Class::Request | Class::Search | Class::Second => {
                    UNKNOWN
                }
            };
            rates.0[class.at()] = rate(class, stand_in);
        }
        rates
    }

    /// Whether there is a price for this tier.
    pub(super) fn has(&self, tier: Tier) -> bool {
        tier == Tier::Standard || self.levels.iter().any(|level| level.tier == tier)
    }
}

/// What levels say of each class, and the lengths of the levels that do.
struct Said {
    rates: Rates,
    above: [u64; Class::ALL.len()],
}

impl Said {
    fn new(rates: Rates) -> Self {
        Self {
            rates,
            above: [0; Class::ALL.len()],
        }
    }

    fn say(&mut self, level: &Level) {
        for (at, rate) in level.rates.0.iter().enumerate() {
            if *rate != UNKNOWN {
                self.rates.0[at] = *rate;
                self.above[at] = level.above;
            }
        }
    }

    fn of(&self, class: Class) -> (i64, u64) {
        (self.rates.0[class.at()], self.above[class.at()])
    }
}

/// Whether a region is the known one, or a part of it: `eu-west-1` is in
/// `eu`.
pub(super) fn is_in(region: &str, known: &str) -> bool {
    region
        .strip_prefix(known)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn level(text: &str) -> Result<Level, SheetFault> {
    let mut level = Level {
        tier: Tier::Standard,
        above: 0,
        rates: Rates::default(),
    };
    for (nth, field) in text.split_whitespace().enumerate() {
        if let Some(above) = field.strip_prefix('>') {
            level.above = above
                .parse()
                .ok()
                .filter(|above| *above > 0)
                .ok_or_else(|| SheetFault(format!("`{field}` is no length; write `>200000`")))?;
            continue;
        }
        match Tier::ALL.into_iter().find(|tier| tier.name() == field) {
            Some(tier) if nth == 0 => level.tier = tier,
            Some(_) => {
                return Err(SheetFault(format!(
                    "`{field}` stands behind a price; write the tier first"
                )));
            }
            None => level.rates.field(field)?,
        }
    }
    Ok(level)
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rates)?;
        for (region, factor) in &self.uplifts {
            write!(f, " {region}*{factor}")?;
        }
        for level in &self.levels {
            f.write_str(" |")?;
            if level.tier != Tier::Standard {
                write!(f, " {}", level.tier.name())?;
            }
            if level.above > 0 {
                write!(f, " >{}", level.above)?;
            }
            write!(f, " {}", level.rates)?;
        }
        Ok(())
    }
}
