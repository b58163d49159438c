//! What is in force: a plan, and perhaps a candidate for it that a share of
//! the callers is held to already. Which callers those are is a function of
//! the roll-out and of who calls, so a caller stays on its side.
//!
//! Deliberately not here: starting and ending a roll-out, counting its calls,
//! and any clock.

mod abort;

use std::ops::Deref;
use std::sync::Arc;

use access::Consumer;
use serde::{Deserialize, Serialize};

use crate::plan::Plan;

pub use abort::{Abort, Breach, Figures, Range, SideFigures, Spread};

/// Buckets that callers fall into; a hundredth of a percent each.
const BUCKETS: u16 = 10_000;
/// Most tenants that a roll-out names.
const TENANTS_MAX: usize = 100;
/// Longest name of a tenant, bytes.
const TENANT_BYTES_MAX: usize = 160;

/// What is in force. Where nobody asks about roll-outs it is its plan.
#[derive(Debug)]
pub struct InForce {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The plan that is to come after it.
    pub rollout: Option<Arc<Rollout>>,
}

impl From<Plan> for InForce {
    fn from(plan: Plan) -> Self {
        Self {
            plan: Arc::new(plan),
            rollout: None,
        }
    }
}

impl Deref for InForce {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.plan
    }
}

impl InForce {
    /// The plans that calls run under: that in force, and the candidate.
    pub fn plans(&self) -> impl Iterator<Item = &Arc<Plan>> {
        let candidate = self.rollout.iter().map(|rollout| &rollout.candidate);
        std::iter::once(&self.plan).chain(candidate)
    }
}

/// A plan that is tried on a share of the callers.
#[derive(Debug)]
pub struct Rollout {
    /// The plan.
    pub candidate: Arc<Plan>,
    /// Who is held to it.
    pub share: Share,
    /// When it goes by itself.
    pub abort: Option<Abort>,
}

/// Who is held to a candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// What the bucket of a caller depends on beside the caller: the digest
    /// with which the roll-out began.
    salt: String,
    /// Buckets below this one.
    hundredths: u16,
    tenants: Vec<String>,
}

/// On which side a caller is, and what that was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// It is held to the candidate.
    pub is_candidate: bool,
    /// Its tenant is named.
    pub by_tenant: bool,
    /// Its bucket, below 10,000.
    pub bucket: u16,
}

impl Share {
    /// This percentage of the callers, in steps of 0.01, and these tenants.
    /// `salt` is the digest of the candidate.
    ///
    /// # Errors
    /// What is wrong with them, for people.
    pub fn new(salt: &str, percent: f64, tenants: Vec<String>) -> Result<Self, String> {
        let mut share = Self {
            salt: salt.to_owned(),
            hundredths: 0,
            tenants: Vec::new(),
        };
        share.set_percent(percent)?;
        share.set_tenants(tenants)?;
        Ok(share)
    }

    /// Another percentage. A larger one only adds callers, a smaller one only
    /// takes some away.
    ///
    /// # Errors
    /// It is none.
    pub fn set_percent(&mut self, percent: f64) -> Result<(), String> {
        let hundredths = (percent * 100.0).round();
        if !(0.0..=f64::from(BUCKETS)).contains(&hundredths) {
            return Err(format!(
                "`percent` is {percent}. Write a number from 0 to 100."
            ));
        }
        if (hundredths - percent * 100.0).abs() > 1e-6 {
            return Err(format!(
                "`percent` is {percent}. It counts in steps of 0.01."
            ));
        }
        self.hundredths = hundredths as u16;
        Ok(())
    }

    /// Other tenants.
    ///
    /// # Errors
    /// They are too many, or one is no name.
    pub fn set_tenants(&mut self, mut tenants: Vec<String>) -> Result<(), String> {
        if tenants.len() > TENANTS_MAX {
            return Err(format!(
                "{} tenants are named. At most {TENANTS_MAX} can be; use `percent` beyond that.",
                tenants.len()
            ));
        }
        let is_name = |name: &String| !name.is_empty() && name.len() <= TENANT_BYTES_MAX;
        if !tenants.iter().all(is_name) {
            return Err(format!(
                "A name in `tenants` is empty or longer than {TENANT_BYTES_MAX} bytes."
            ));
        }
        tenants.sort();
        tenants.dedup();
        self.tenants = tenants;
        Ok(())
    }

    /// The percentage.
    pub fn percent(&self) -> f64 {
        f64::from(self.hundredths) / 100.0
    }

    /// The percentage in hundredths.
    pub fn hundredths(&self) -> u16 {
        self.hundredths
    }

    /// The tenants, in order.
    pub fn tenants(&self) -> &[String] {
        &self.tenants
    }

    /// What the bucket of a caller depends on beside the caller.
    pub fn salt(&self) -> &str {
        &self.salt
    }

    /// The side of a caller.
    pub fn pick(&self, consumer: &Consumer) -> Pick {
        let bucket = bucket(&self.salt, consumer);
        let by_tenant = self.tenants.iter().any(|name| **name == *consumer.tenant);
        Pick {
            is_candidate: by_tenant || bucket < self.hundredths,
            by_tenant,
            bucket,
        }
    }
}

/// The bucket of a caller: the same for all calls of one credential, and
/// another one with each candidate, so that not always the same try first.
fn bucket(salt: &str, consumer: &Consumer) -> u16 {
    let mut hasher = blake3::Hasher::new();
    for part in [salt, &consumer.tenant, &consumer.key_id] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut head = [0; 8];
    head.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    (u64::from_le_bytes(head) % u64::from(BUCKETS)) as u16
}

#[cfg(test)]
mod tests;
