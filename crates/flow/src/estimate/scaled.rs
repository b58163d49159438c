//! An estimate as it is used: what was counted, by what, and what the
//! provider's own figures have taught about such counts.

use evidence::{Reading, Value};
use meter::TokenFactor;

use super::factors::Estimator;

/// A count of tokens, and what is known about such counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scaled {
    /// What was counted here.
    pub(crate) counted: u64,
    /// How.
    pub(crate) by: Estimator,
    /// Learned of the model; `None` where too few calls have told.
    pub(crate) factor: Option<TokenFactor>,
}

impl Scaled {
    /// Tokens of the provider.
    pub(crate) fn tokens(&self) -> u64 {
        self.factor.unwrap_or_default().of(self.counted)
    }

    /// What is written down, so that the estimate can be computed again.
    pub(crate) fn readings(&self, side: Side) -> Vec<Reading> {
        let [by, counted, factor] = match side {
            Side::Input => ["input_by", "input_counted", "input_factor_1024"],
            Side::Output => ["output_by", "output_counted", "output_factor_1024"],
        };
        let parts = self.factor.unwrap_or_default().0;
        let reading = |name: &'static str, value| Reading {
            name: name.into(),
            value,
        };
        let counted_to = i64::try_from(self.counted).unwrap_or(i64::MAX);
        vec![
            reading(by, Value::Word(self.by.name().into())),
            reading(counted, Value::Int(counted_to)),
            reading(factor, Value::Int(parts.into())),
        ]
    }
}

/// A side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// What was asked.
    Input,
    /// What was answered.
    Output,
}
