//! Prices of the scenarios, and what calls cost by them: computed a second
//! time, without `meter`.

use contract::Usage;
use meter::prices::{Class, Effect, Override, Rates, Sheet};
use meter::{Money, PriceBook, Prices};

/// Nano-dollars for a million tokens, by class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) input: i64,
    pub(super) read: i64,
    pub(super) write: i64,
    pub(super) output: i64,
    pub(super) reasoning: i64,
}

/// One line of the price list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// The tenant whose contract it is; `None`: everybody's.
    pub(super) tenant: Option<&'static str>,
    /// Since when, in seconds since 1970.
    pub(super) from_s: u64,
    pub(super) rate: Rate,
}

impl Rate {
    /// Nothing to pay.
    pub(super) const FREE: Self = Self {
        input: 0,
        read: 0,
        write: 0,
        output: 0,
        reasoning: 0,
    };

    /// What a call cost, rounded up to a nano-dollar.
    pub(super) fn cost(&self, usage: &Usage) -> i64 {
        let legs = [
            (self.input, usage.input),
            (self.read, usage.cached_read),
            (self.write, usage.cached_write),
            (self.write, usage.cached_write_1h),
            (self.output, usage.output),
            (self.reasoning, usage.reasoning),
        ];
        let sum: i128 = legs
            .iter()
            .map(|(rate, tokens)| i128::from(*rate) * i128::from(*tokens))
            .sum();
        let nanos = (sum + 999_999).div_euclid(1_000_000);
        i64::try_from(nanos).unwrap_or(i64::MAX)
    }

    /// The same list, a tenth dearer.
    pub(super) fn dearer(self) -> Self {
        Self {
            input: self.input + self.input / 10,
            output: self.output + self.output / 10,
            ..self
        }
    }

    fn sheet(&self) -> Sheet {
        let mut rates = Rates::default();
        let all = [
            (Class::Input, self.input),
            (Class::CachedRead, self.read),
            (Class::CachedWrite, self.write),
            (Class::CachedWrite1h, self.write),
            (Class::Output, self.output),
            (Class::Reasoning, self.reasoning),
        ];
        for (class, nanos) in all {
            rates.set(class, Money(nanos)).expect("a price");
        }
        Sheet::new(rates, Vec::new(), Vec::new()).expect("prices")
    }
}

/// The rate for a tenant at a moment: of its own lines, else of everybody's,
/// the latest.
pub(super) fn rate(lines: &[Line], tenant: &str, at_s: u64) -> Option<Rate> {
    let of = |wanted: Option<&str>| {
        let own = lines
            .iter()
            .filter(|line| line.tenant == wanted && line.from_s <= at_s);
        own.max_by_key(|line| line.from_s).map(|line| line.rate)
    };
    of(Some(tenant)).or_else(|| of(None))
}

/// The price list for the flow.
pub(super) fn prices(lines: &[Line]) -> Prices {
    let overrides = lines.iter().map(|line| Override {
        provider: None,
        model: "*".into(),
        region: None,
        tenant: line.tenant.map(Into::into),
        from_s: line.from_s,
        effect: Effect::Price(line.rate.sheet().into()),
    });
    Prices {
        book: PriceBook::new(None, overrides.collect()).into(),
        ..Prices::default()
    }
}
