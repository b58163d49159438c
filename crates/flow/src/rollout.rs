//! The side of a roll-out that a caller is on. It is told by the plan in force
//! who calls; where the share of the roll-out takes that caller, the call runs
//! whole under the candidate, from identity on.
//!
//! Deliberately not here: who that is (`plan`), and what comes of the counts.

use access::Consumer;
use evidence::{Decision, Reading, Side, Value};
use plan::Rollout;

use crate::exchange::Exchange;

impl Exchange {
    /// Notes the side of the caller. `true`: the call is under the candidate
    /// from here on, and it must be told anew who calls.
    pub(crate) fn take_side(&mut self, rollout: &Rollout, consumer: &Consumer) -> bool {
        let pick = rollout.share.pick(consumer);
        let side = match pick.is_candidate {
            true => Side::Candidate,
            false => Side::InForce,
        };
        let int = |name: &'static str, value: u16| Reading {
            name: name.into(),
            value: Value::Int(value.into()),
        };
        let mut readings = vec![
            Reading {
                name: "salt".into(),
                value: Value::Name(rollout.share.salt().into()),
            },
            int("bucket", pick.bucket),
            int("share_hundredths", rollout.share.hundredths()),
        ];
        if pick.is_candidate {
            readings.push(Reading {
                name: "in_force".into(),
                value: Value::Name(self.plan.digest.clone()),
            });
        }
        self.record.decisions.push(Decision {
            stage: "rollout".into(),
            verdict: side.name().into(),
            reason: if pick.by_tenant { "tenant" } else { "percent" }.into(),
            readings,
            ..Decision::default()
        });
        let sides = self.flow.evidence.meter().sides();
        self.on_side = sides.map(|sides| (side, sides));
        if pick.is_candidate {
            self.plan = rollout.candidate.clone();
            self.record.plan = Some(self.plan.digest.clone());
        }
        pick.is_candidate
    }
}
