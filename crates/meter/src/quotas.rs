//! All quotas of a plan, found fast for a call.

use std::collections::HashMap;
use std::sync::Arc;

use contract::glob;
use smallvec::SmallVec;

use crate::book::{DRAWS_MAX, Want};
use crate::quota::{Amounts, Measure, Quota, QuotaSpec};
use crate::subject::{Dimension, Subject};

/// Quotas, grouped so that those of other tenants are not looked at.
#[derive(Debug, Default)]
pub struct Quotas {
    all: Vec<Arc<Quota>>,
    /// Of calls of one tenant, by its name.
    of_tenant: HashMap<String, Vec<Arc<Quota>>>,
    /// Of other calls.
    of_any: Vec<Arc<Quota>>,
    has_of_attempt: bool,
    /// What those of attempts measure.
    of_attempt: Vec<Measure>,
    counts_content: bool,
}

/// What a call wants.
pub type Wants<'q> = SmallVec<[Want<'q>; 8]>;

/// More quotas than [`DRAWS_MAX`] are about one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {DRAWS_MAX} limits and budgets are about one call")]
pub struct TooMany;

impl Quotas {
    /// Of these, in the order in which they are asked.
    pub fn new(specs: impl IntoIterator<Item = QuotaSpec>) -> Self {
        let mut quotas = Self::default();
        for spec in specs {
            let quota = Arc::new(Quota::new(spec));
            quotas.all.push(quota.clone());
            if quota.is_of_attempt() {
                quotas.has_of_attempt = true;
                if !quotas.of_attempt.contains(&quota.measure) {
                    quotas.of_attempt.push(quota.measure);
                }
            }
            quotas.counts_content |= quota.scope.by.contains(&Dimension::Content);
            match names_of_tenants(&quota) {
                Some(tenants) => {
                    for tenant in tenants {
                        let group = quotas.of_tenant.entry(tenant.clone()).or_default();
                        group.push(quota.clone());
                    }
                }
                None => quotas.of_any.push(quota),
            }
        }
        quotas
    }

    /// Every quota, in the order of the document.
    pub fn all(&self) -> &[Arc<Quota>] {
        &self.all
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether some are taken for each attempt.
    pub fn has_of_attempt(&self) -> bool {
        self.has_of_attempt
    }

    /// Whether something that is taken for attempts is measured so.
    pub fn measures_attempts(&self, measure: impl Fn(Measure) -> bool) -> bool {
        self.of_attempt.iter().any(|it| measure(*it))
    }

    /// Whether some go by what is asked.
    pub fn counts_content(&self) -> bool {
        self.counts_content
    }

    /// The quotas that are about a call, or, where the subject names one,
    /// about an attempt.
    pub fn about<'q: 's, 's>(
        &'q self,
        subject: &'s Subject<'s>,
    ) -> impl Iterator<Item = &'q Arc<Quota>> + 's {
        let own = self.of_tenant.get(subject.tenant);
        let own = own.map_or(&[][..], Vec::as_slice);
        let of_attempt = subject.attempt.is_some();
        own.iter()
            .chain(&self.of_any)
            .filter(move |quota| quota.is_of_attempt() == of_attempt)
            .filter(|quota| quota.scope.takes(subject))
    }

    /// What a call of these amounts wants.
    ///
    /// # Errors
    /// There are too many.
    pub fn wants<'q>(
        &'q self,
        subject: &Subject<'_>,
        amounts: &Amounts,
    ) -> Result<Wants<'q>, TooMany> {
        Mine::of(self, None).wants(subject, amounts)
    }
}

/// The quotas of a plan together with those of the caller's own key.
#[derive(Clone, Copy, Debug)]
pub struct Mine<'q> {
    plan: &'q Quotas,
    own: Option<&'q Quotas>,
}

impl<'q> Mine<'q> {
    /// Those of a plan, and those of a key, if it has some.
    pub fn of(plan: &'q Quotas, own: Option<&'q Quotas>) -> Self {
        Self { plan, own }
    }

    /// As [`Quotas::about`].
    pub fn about<'s>(self, subject: &'s Subject<'s>) -> impl Iterator<Item = &'q Arc<Quota>> + 's
    where
        'q: 's,
    {
        let own = self.own.into_iter();
        self.plan
            .about(subject)
            .chain(own.flat_map(move |own| own.about(subject)))
    }

    /// As [`Quotas::wants`].
    ///
    /// # Errors
    /// There are too many.
    pub fn wants(self, subject: &Subject<'_>, amounts: &Amounts) -> Result<Wants<'q>, TooMany> {
        self.wants_of(subject, amounts, |_| true)
    }

    /// What a call wants that goes on beyond what was reserved for it: more
    /// output, and what that costs. It is no further request.
    ///
    /// # Errors
    /// There are too many.
    pub fn wants_more(
        self,
        subject: &Subject<'_>,
        amounts: &Amounts,
    ) -> Result<Wants<'q>, TooMany> {
        self.wants_of(subject, amounts, |measure| match measure {
            Measure::OutputTokens | Measure::Tokens | Measure::Cost => true,
            Measure::Requests | Measure::InputTokens | Measure::Concurrency => false,
        })
    }

    fn wants_of(
        self,
        subject: &Subject<'_>,
        amounts: &Amounts,
        counts: impl Fn(Measure) -> bool,
    ) -> Result<Wants<'q>, TooMany> {
        let mut wants = Wants::new();
        for quota in self.about(subject).filter(|quota| counts(quota.measure)) {
            if wants.len() == DRAWS_MAX {
                return Err(TooMany);
            }
            wants.push(Want {
                quota,
                counter: quota.counter(subject),
                amount: amounts.of(quota.measure),
            });
        }
        Ok(wants)
    }
}

/// The tenants that a quota is about, where it names them one by one.
fn names_of_tenants(quota: &Quota) -> Option<&Vec<String>> {
    let mut only = quota.scope.only.iter();
    let (_, tenants) = only.find(|(dimension, _)| *dimension == Dimension::Tenant)?;
    tenants
        .iter()
        .all(|it| glob::is_name(it))
        .then_some(tenants)
}
