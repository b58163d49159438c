//! The approval stage: a call that needs people waits for them, or is told
//! how to come back once they have said yes.
//!
//! Deliberately not here: what needs an approval and whether one covers a call
//! (`access`), who may give it (`admin`), and where it is kept (`store`).

use std::future::poll_fn;

use access::approval::{Approved, Claim, Reading, Standing, Uncovered, covers};
use access::policy::Ruling;
use contract::{Fault, FaultKind, Origin};
use evidence::{Decision, Value};
use http::HeaderValue;
use store::approvals::Asked;
use store::{ApprovalLane, ApprovalRow, ApprovalState, ApprovalsError, NeedRow};

use crate::exchange::Exchange;
use crate::held::Held;
use crate::policy::reading;
use crate::reply::APPROVAL;

/// Longest id that is looked at, bytes.
const ID_BYTES_MAX: usize = 64;
/// Pause between two looks whether people have decided.
const LOOK_MS: u64 = 200;

/// What is to be approved, and for how long.
struct Question {
    all: Vec<Approved>,
    said: String,
    wait_ms: u64,
    expires_s: u64,
}

impl Question {
    /// One question for what these rulings want, and for what was approved
    /// for the call before: who comes back shows one approval only.
    fn of(held: &Held, needs: &[Ruling]) -> Self {
        let mut all = held.chain.approved().to_vec();
        for one in Approved::wanted_by(needs.iter()) {
            if !all.contains(&one) {
                all.push(one);
            }
        }
        let wanted = || needs.iter().filter_map(|ruling| ruling.need.as_ref());
        Self {
            all,
            said: needs.first().map(Ruling::to_string).unwrap_or_default(),
            wait_ms: wanted().map(|it| it.wait_ms).max().unwrap_or_default(),
            expires_s: wanted().map(|it| it.expires_s).min().unwrap_or_default(),
        }
    }
}

/// A question whose answer ends a stream.
pub(crate) struct Aside {
    pub(crate) asked: Asked<ApprovalRow>,
    pub(crate) said: String,
}

impl Exchange {
    /// Asks people for what a stream gave back. Nobody waits: part of the
    /// answer is out.
    pub(crate) fn ask_aside(&self, needs: &[Ruling]) -> Option<Aside> {
        let (lane, held) = (self.flow.approvals.as_ref()?, self.held.as_ref()?);
        let question = Question::of(held, needs);
        let asked = lane.ask(self.question_row(&question));
        let said = question.said;
        Some(Aside { asked, said })
    }

    /// The fault that ends a stream whose question has been kept.
    pub(crate) fn told_aside(
        &mut self,
        said: &str,
        found: Result<ApprovalRow, ApprovalsError>,
    ) -> Fault {
        match found {
            Ok(row) => {
                self.note_approval(&row.id, Some(&row), "approval_pending");
                pending(said, &row, row.state(self.now_us()))
            }
            Err(error) => failed(&error),
        }
    }

    /// What the approval that the caller shows lets it do; nothing if it
    /// shows none, or if no rule of the call wants one.
    pub(crate) async fn shown(&mut self, held: &Held) -> Result<Vec<Approved>, Fault> {
        let Some(lane) = self.flow.approvals.clone() else {
            return Ok(Vec::new());
        };
        let mut values = self.head.headers.get_all(APPROVAL).iter();
        let (first, more) = (values.next(), values.next());
        let Some(first) = first.filter(|_| held.chain.may_need_approval()) else {
            return Ok(Vec::new());
        };
        let text = first.to_str().ok().filter(|_| more.is_none());
        let id = text.filter(|id| id.len() <= ID_BYTES_MAX);
        let id = id.ok_or_else(malformed)?.to_owned();
        let row = lane.find(id.clone()).await.map_err(|it| failed(&it))?;
        let read = row.as_ref().map(|row| read(row, self.now_us()));
        match covers(read.as_ref(), &self.claim()) {
            Ok(what) => {
                self.approval = HeaderValue::from_str(&id).ok();
                Ok(what.to_vec())
            }
            Err(why) => {
                let own = row.filter(|_| why != Uncovered::Unknown);
                self.note_approval(&id, own.as_ref(), why.code());
                Err(uncovered(why))
            }
        }
    }

    /// Uses the approval that was shown: it works once.
    pub(crate) async fn use_shown(&mut self) -> Result<(), Fault> {
        let shown = self.approval.as_ref().and_then(|it| it.to_str().ok());
        let (Some(lane), Some(id)) = (self.flow.approvals.clone(), shown) else {
            return Ok(());
        };
        self.spend(&lane, id.to_owned()).await
    }

    async fn spend(&mut self, lane: &ApprovalLane, id: String) -> Result<(), Fault> {
        let spent = lane.spend(id.clone(), self.now_us()).await;
        let spent = spent.map_err(|it| failed(&it))?;
        let row = lane.find(id.clone()).await.map_err(|it| failed(&it))?;
        self.approval = HeaderValue::from_str(&id).ok();
        match spent {
            true => {
                self.note_approval(&id, row.as_ref(), "approval_given");
                Ok(())
            }
            false => {
                self.note_approval(&id, row.as_ref(), Uncovered::Used.code());
                Err(uncovered(Uncovered::Used))
            }
        }
    }

    /// Asks people, and waits for them as long as the rules say.
    ///
    /// # Errors
    /// The pending answer, with the id in its header; or the denial.
    pub(crate) async fn ask_people(
        &mut self,
        held: &Held,
        needs: &[Ruling],
    ) -> Result<Vec<Approved>, Fault> {
        let question = Question::of(held, needs);
        let Some(lane) = self.flow.approvals.clone() else {
            return Err(nobody(&question.said));
        };
        let asked = lane.ask(self.question_row(&question)).await;
        let mut row = asked.map_err(|it| failed(&it))?;
        let wait_ms = question.wait_ms;
        if wait_ms > 0
            && let Some(_seat) = lane.seat()
        {
            row = self.wait(&lane, row, wait_ms).await?;
        }
        self.approval = HeaderValue::from_str(&row.id).ok();
        let state = row.state(self.now_us());
        match state {
            ApprovalState::Approved if wait_ms > 0 => {
                self.spend(&lane, row.id.clone()).await?;
                Ok(question.all)
            }
            ApprovalState::Denied => {
                self.note_approval(&row.id, Some(&row), Uncovered::Denied.code());
                Err(uncovered(Uncovered::Denied))
            }
            ApprovalState::Pending
            | ApprovalState::Approved
            | ApprovalState::Expired
            | ApprovalState::Used => {
                self.note_approval(&row.id, Some(&row), "approval_pending");
                Err(pending(&question.said, &row, state))
            }
        }
    }

    async fn wait(
        &self,
        lane: &ApprovalLane,
        mut row: ApprovalRow,
        wait_ms: u64,
    ) -> Result<ApprovalRow, Fault> {
        let clock = &self.flow.clock;
        let until = clock.now().plus_ms(wait_ms);
        while row.state(self.now_us()) == ApprovalState::Pending && clock.now() < until {
            let look = clock.now().plus_ms(LOOK_MS).min(until);
            let mut alarm = clock.alarm(look);
            poll_fn(|cx| alarm.poll_ring(cx)).await;
            let found = lane.find(row.id.clone()).await;
            row = found.map_err(|it| failed(&it))?.unwrap_or(row);
        }
        Ok(row)
    }

    fn question_row(&self, question: &Question) -> ApprovalRow {
        let now_us = self.now_us();
        let claim = self.claim();
        let needs = question.all.iter().map(|it| NeedRow {
            rule: it.rule.to_string(),
            layer: it.layer.to_string(),
            what: it.what.clone(),
        });
        let approvers = question.all.iter().map(|it| it.approvers).max();
        ApprovalRow {
            id: format!("apr-{:016x}", self.flow.dice.roll()),
            number: 0,
            tenant: claim.tenant,
            app: self
                .record
                .who
                .app
                .as_deref()
                .unwrap_or_default()
                .to_owned(),
            key_id: claim.key_id,
            user: claim.user,
            request_id: self.id.text().as_str().to_owned(),
            needs: needs.collect(),
            approvers: approvers.unwrap_or(1),
            body: claim.body,
            asked_us: now_us,
            expires_us: now_us.saturating_add(question.expires_s.saturating_mul(1_000_000)),
            votes: Vec::new(),
            used_us: None,
        }
    }

    fn claim(&self) -> Claim {
        let who = &self.record.who;
        let text = |name: Option<&str>| name.unwrap_or_default().to_owned();
        Claim {
            tenant: text(who.tenant.as_deref()),
            key_id: text(who.key_id.as_deref()),
            user: who.user.as_deref().map(str::to_owned),
            body: self.body_digest,
        }
    }

    fn now_us(&self) -> u64 {
        self.flow.clock.unix_us()
    }

    /// What was read of an approval, and what came of it.
    fn note_approval(&mut self, id: &str, row: Option<&ApprovalRow>, code: &'static str) {
        let mut readings = vec![reading("approval", Value::Word(id.to_owned().into()))];
        if let Some(row) = row {
            let state = row.state(self.now_us()).name();
            readings.push(reading("state", Value::Word(state.into())));
            readings.push(reading("approved_by", Value::Int(row.approved_by().into())));
            readings.push(reading("approvers", Value::Int(row.approvers.into())));
            for need in &row.needs {
                readings.push(reading("what", Value::Word(need.what.clone().into())));
            }
        }
        let given = code == "approval_given";
        self.record.decisions.push(Decision {
            stage: "approval".into(),
            verdict: if given { "allow" } else { "deny" }.into(),
            reason: code.into(),
            readings,
            ..Decision::default()
        });
    }
}

fn read(row: &ApprovalRow, now_us: u64) -> Reading {
    let standing = match row.state(now_us) {
        ApprovalState::Pending => Standing::Pending,
        ApprovalState::Approved => Standing::Approved,
        ApprovalState::Denied => Standing::Denied,
        ApprovalState::Expired => Standing::Expired,
        ApprovalState::Used => Standing::Used,
    };
    let what = row.needs.iter().map(|need| Approved {
        rule: need.rule.as_str().into(),
        layer: need.layer.as_str().into(),
        what: need.what.clone(),
        approvers: row.approved_by(),
    });
    Reading {
        standing,
        claim: Claim {
            tenant: row.tenant.clone(),
            key_id: row.key_id.clone(),
            user: row.user.clone(),
            body: row.body,
        },
        what: what.collect(),
    }
}

fn forbidden(public: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::new(FaultKind::Forbidden, Origin::Gateway, public)
}

fn pending(said: &str, row: &ApprovalRow, state: ApprovalState) -> Fault {
    let id = &row.id;
    let now = match state {
        ApprovalState::Approved => format!("The approval `{id}` has been given."),
        ApprovalState::Pending
        | ApprovalState::Denied
        | ApprovalState::Expired
        | ApprovalState::Used => format!(
            "The approval `{id}` is pending: operators of the gateway, other than you, give it \
             with `tollgate approvals approve {id}`."
        ),
    };
    forbidden(format!(
        "{said} {now} Once it is given, send the same request with the header `tollgate-approval: \
         {id}` before {}. It works once.",
        evidence::rfc3339(row.expires_us)
    ))
}

fn nobody(said: &str) -> Fault {
    forbidden(format!(
        "{said} This gateway keeps no approvals, so nobody can give one."
    ))
}

fn malformed() -> Fault {
    Fault::bad_request(
        "`tollgate-approval` must be there once and hold the id of one approval, as in the answer \
         that asked for it.",
    )
    .at("tollgate-approval")
}

fn uncovered(why: Uncovered) -> Fault {
    forbidden(match why {
        Uncovered::Unknown => {
            "There is no such approval for this key and user. Leave `tollgate-approval` out to \
             ask for one."
        }
        Uncovered::OtherBody => {
            "The approval is for a request with another body. Send the same body byte for byte, \
             or leave `tollgate-approval` out to ask anew."
        }
        Uncovered::Pending => {
            "The approval is still pending. Wait until operators of the gateway have given it, \
             then repeat the request."
        }
        Uncovered::Denied => {
            "The approval was denied. Ask the operators of the gateway why before you ask anew."
        }
        Uncovered::Expired => {
            "The approval has expired. Leave `tollgate-approval` out to ask for another one."
        }
        Uncovered::Used => {
            "The approval was used by an earlier request; each works once. Leave \
             `tollgate-approval` out to ask for another one."
        }
    })
}

fn failed(error: &ApprovalsError) -> Fault {
    Fault::new(
        FaultKind::Overloaded,
        Origin::Gateway,
        "This call needs an approval, and none can be asked for or looked up at the moment. Try \
         again shortly; if it persists, tell the people who run the gateway.",
    )
    .because(error.to_string())
}
