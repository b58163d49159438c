//! A closer look at the input of a call whose bound by bytes does not fit:
//! tokens are counted only where a limit is near.
//!
//! The count holds for the candidate at which it comes to most, with a margin:
//! a small one over the model's own vocabulary, a declared one over what was
//! learned of the model, and half over a count of words that nothing was
//! learned about. Where `strict` was asked for, the
//! bytes decide.

use std::hash::{DefaultHasher, Hash, Hasher};

use contract::Fault;
use evidence::{Decision, Reading, Value};
use meter::learned::{self, with_margin};
use meter::{Amounts, Breach, Hold, Measure, TokenFactor, Vocabulary};
use routing::Candidate;

use crate::asking::Asking;
use crate::estimate::factors::Estimator;
use crate::estimate::scaled::{Scaled, Side};
use crate::exchange::Exchange;
use crate::purse::told;

/// How far the count of words may lie below the truth where nothing was
/// learned: a third of it, so the half goes on top.
const WORDS_MARGIN_PERCENT: u32 = 50;

/// How far a count by the model's own vocabulary may lie below the truth: what
/// a provider puts around turns and tools is not in it.
const VOCABULARY_MARGIN_PERCENT: u32 = 10;

/// The smallest factor that a reservation goes by, in parts of 1,024.
const FACTOR_MIN: u32 = learned::ONE / 5 * 4;

/// What a count of these candidates goes by.
fn key_of(candidates: &[Candidate]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for candidate in candidates {
        (candidate.provider, &*candidate.model).hash(&mut hasher);
    }
    hasher.finish()
}

/// Why the input is looked at closer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The bound does not fit a limit or budget.
    NearALimit,
    /// The caller said what the call may cost.
    MaxCost,
}

impl Why {
    fn name(self) -> &'static str {
        match self {
            Self::NearALimit => "near_a_limit",
            Self::MaxCost => "max_cost",
        }
    }
}

/// What the input comes to at a candidate.
struct Near<'c> {
    candidate: Option<&'c Candidate>,
    scaled: Scaled,
    margin_percent: u32,
}

impl<'c> Near<'c> {
    fn by_vocabulary(candidate: &'c Candidate, counted: u64) -> Self {
        Self {
            candidate: Some(candidate),
            scaled: Scaled {
                counted,
                by: Estimator::Vocabulary,
                factor: None,
            },
            margin_percent: VOCABULARY_MARGIN_PERCENT,
        }
    }

    fn tokens(&self) -> u64 {
        with_margin(self.scaled.tokens(), self.margin_percent)
    }
}

impl Exchange {
    /// Whether a closer look at the input may help.
    pub(super) fn may_count_again(&self, breaches: &[Breach], bound: &Amounts) -> bool {
        let output = i64::try_from(bound.output).unwrap_or(i64::MAX);
        let counts = |breach: &Breach| {
            let room = breach.limit.saturating_sub(breach.level);
            match breach.measure {
                Measure::InputTokens | Measure::Cost => room > 0,
                // No smaller input makes room for the output.
                Measure::Tokens => room > output,
                Measure::Requests | Measure::OutputTokens | Measure::Concurrency => false,
            }
        };
        let refusing = breaches.iter().filter(|it| it.hold == Hold::Enforce);
        self.may_look_closer() && refusing.clone().all(counts) && refusing.count() > 0
    }

    /// Whether anything but bytes may decide.
    pub(super) fn may_look_closer(&self) -> bool {
        let reservation = self.plan.reservation;
        !reservation.strict && reservation.counts_near_limits
    }

    /// The most tokens that the input has by a closer count.
    pub(super) fn closer_input(
        &mut self,
        asking: &mut Asking<'_>,
        candidates: &[Candidate],
        why: Why,
    ) -> Result<u64, Fault> {
        let key = key_of(candidates);
        if let Some((_, tokens)) = asking.closer.filter(|(known, _)| *known == key) {
            // Counted before, when it waited in line.
            return Ok(tokens);
        }
        let request = self.read(asking)?;
        let words = match self.record.request.input_tokens_estimate {
            // Counted before, by a rule or by an earlier look at the limits.
            Some(counted) => counted,
            None => crate::estimate::sampled(request, None),
        };
        // Few candidates differ in their vocabularies.
        let mut counted: Vec<(&Vocabulary, u64)> = Vec::new();
        let plan = self.plan.clone();
        let near = candidates.iter().map(|candidate| {
            let Some(own) = plan.tokenizers.of(&candidate.model) else {
                return self.near(words, Some(candidate));
            };
            let known = counted.iter().find(|(it, _)| std::ptr::eq(*it, &**own));
            let tokens = match known {
                Some((_, tokens)) => *tokens,
                None => {
                    let tokens = crate::estimate::sampled(request, Some(own));
                    counted.push((own, tokens));
                    tokens
                }
            };
            Near::by_vocabulary(candidate, tokens)
        });
        let most = near.max_by_key(Near::tokens);
        let most = most.unwrap_or_else(|| self.near(words, None));
        self.record.request.input_tokens_estimate = Some(words);
        let tokens = most.tokens();
        let noted = self.noted(&most, why);
        self.record.decisions.push(noted);
        let references = meter::bound::references(asking.doc.bytes());
        let named = references.saturating_mul(meter::bound::TOKENS_PER_REFERENCE);
        let tokens = tokens.saturating_add(named);
        asking.closer = Some((key, tokens));
        Ok(tokens)
    }

    fn near<'c>(&self, words: u64, candidate: Option<&'c Candidate>) -> Near<'c> {
        let factor = candidate.and_then(|candidate| {
            let provider = &self.plan.providers[candidate.provider];
            let model = (&*provider.name, &*candidate.model);
            let learned = self.flow.factors.of(model, Estimator::Words);
            // What others taught may not make a reservation much smaller.
            learned.map(|it| TokenFactor(it.0.max(FACTOR_MIN)))
        });
        Near {
            candidate,
            scaled: Scaled {
                counted: words,
                by: Estimator::Words,
                factor,
            },
            margin_percent: match factor {
                Some(_) => self.plan.reservation.margin_percent,
                None => WORDS_MARGIN_PERCENT,
            },
        }
    }

    fn noted(&self, near: &Near<'_>, why: Why) -> Decision {
        let mut readings = near.scaled.readings(Side::Input);
        readings.push(told::number("margin_percent", near.margin_percent.into()));
        if let Some(candidate) = near.candidate {
            let provider = self.plan.providers[candidate.provider].name.clone();
            let of = |name: &'static str, value| Reading {
                name: name.into(),
                value: Value::Name(value),
            };
            readings.push(of("provider", provider));
            readings.push(of("model", candidate.model.clone()));
        }
        Decision {
            stage: "reserve".into(),
            verdict: "count".into(),
            reason: why.name().into(),
            readings,
            ..Decision::default()
        }
    }
}
