//! The approval stage: a call that needs people waits for them, or is told
//! how to come back once they have said yes.
//!
//! Deliberately not here: what needs an approval and whether one covers a call
//! (`access`), who may give it (`admin`), and where it is kept (`store`).

mod said;

use std::future::poll_fn;
use std::sync::Arc;

use access::KeyLife;
use access::approval::{Approved, Claim, Reading, Standing, Uncovered, covers, kept_model};
use access::policy::Ruling;
use contract::seams::{Clock, Going};
use contract::{Fault, FaultKind, Origin};
use evidence::{Decision, Value};
use http::HeaderValue;
use judge::Admission;
use store::{ApprovalLane, ApprovalRow, ApprovalState, ApprovalsError, NeedRow};

use crate::exchange::Exchange;
use crate::faults::internal;
use crate::held::Held;
use crate::policy::reading;
use crate::reply::APPROVAL;
use said::{full, malformed, nobody, pending, uncovered};

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
        for one in Ruling::wanted(needs.iter()) {
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

/// A question on its way to people.
pub(crate) struct Asking {
    question: Question,
    /// What they say of it in its time.
    pub(crate) heard: Going<'static, Result<Heard, ApprovalsError>>,
}

/// What people said of a question in its time.
pub(crate) struct Heard {
    row: ApprovalRow,
    /// Where it stood when it was read last.
    state: ApprovalState,
    /// The call has used it.
    is_used: bool,
    /// The key of the call was revoked meanwhile.
    is_revoked: bool,
}

/// What asking and waiting go by.
struct Desk {
    lane: ApprovalLane,
    clock: Arc<dyn Clock>,
    /// What the key goes through, if it was made at run time.
    life: Option<Arc<KeyLife>>,
    /// Id of the call.
    call: String,
}

impl Desk {
    fn is_revoked(&self) -> bool {
        self.life.as_ref().is_some_and(|life| life.is_revoked())
    }

    /// Waits for people as long as there is time, and room among those that
    /// wait.
    async fn hear(self, asked: ApprovalRow, wait_ms: u64) -> Result<Heard, ApprovalsError> {
        let (lane, clock) = (&self.lane, &self.clock);
        let mut row = asked;
        let seat = match wait_ms {
            0 => None,
            _ => lane.seat(),
        };
        let until = clock.now().plus_ms(wait_ms);
        while seat.is_some()
            && row.state(clock.unix_us()) == ApprovalState::Pending
            && clock.now() < until
            && !self.is_revoked()
        {
            let look = clock.now().plus_ms(LOOK_MS).min(until);
            let mut alarm = clock.alarm(look);
            poll_fn(|cx| alarm.poll_ring(cx)).await;
            row = lane.find(row.id.clone()).await?.unwrap_or(row);
        }
        let now_us = clock.unix_us();
        let mut state = row.state(now_us);
        let mut is_used = false;
        if seat.is_some() && state == ApprovalState::Approved && !self.is_revoked() {
            let call = self.call.clone();
            is_used = lane.spend(row.id.clone(), call, now_us).await?;
            if !is_used {
                state = unused(lane, &row, now_us).await?;
            }
        }
        Ok(Heard {
            row,
            state,
            is_used,
            is_revoked: self.is_revoked(),
        })
    }
}

/// Why an approval could not be used: another call like this one came first,
/// or it was withdrawn.
async fn unused(
    lane: &ApprovalLane,
    row: &ApprovalRow,
    now_us: u64,
) -> Result<ApprovalState, ApprovalsError> {
    let row = lane.find(row.id.clone()).await?;
    Ok(row.map_or(ApprovalState::Used, |row| row.state(now_us)))
}

/// An approval that a call shows, and that covers it.
struct Shown {
    row: ApprovalRow,
    what: Vec<Approved>,
}

impl Exchange {
    /// Holds the call to its rules, with the approval that the caller shows
    /// or that people give meanwhile.
    pub(crate) async fn admit_approved(&mut self, held: &mut Held) -> Admission {
        let mut admission = self.admission(held);
        // If the caller goes away meanwhile, the record says what was decided
        // so far, and what of approvals was under way.
        self.note_facts(held, &admission.verdict);
        let shown = self.shown().await;
        if let Ok(Some(shown)) = &shown {
            held.chain = held.chain.approving(shown.what.clone());
            admission = self.admission(held);
        }
        let is_denied_anyway = admission.outcome.is_err() && admission.needs.is_empty();
        let settled = match shown {
            // No approval helps it, so none is asked for or used.
            _ if is_denied_anyway => Ok(()),
            Err(fault) => Err(fault),
            Ok(_) if !admission.needs.is_empty() => {
                let asked = self.ask_people(held, &admission.needs).await;
                asked.map(|approved| {
                    held.chain = held.chain.approving(approved);
                    admission = self.admission(held);
                })
            }
            Ok(Some(shown)) => self.use_shown(shown).await,
            Ok(None) => Ok(()),
        };
        self.drop_open_notes();
        if let Err(fault) = settled {
            admission.outcome = Err(fault);
        }
        admission
    }

    /// The approval that the caller shows, if it shows one that covers the
    /// call.
    async fn shown(&mut self) -> Result<Option<Shown>, Fault> {
        let mut values = self.head.headers.get_all(APPROVAL).iter();
        let (first, more) = (values.next(), values.next());
        let (Some(first), Some(lane)) = (first, self.flow.approvals.clone()) else {
            return Ok(None);
        };
        let text = first.to_str().ok().filter(|_| more.is_none());
        let id = text.filter(|id| id.len() <= ID_BYTES_MAX);
        let id = id.ok_or_else(malformed)?.to_owned();
        self.note_open(USING, vec![reading("approval", word(&id))]);
        let row = match lane.find(id.clone()).await {
            Ok(row) => row,
            Err(error) => return Err(self.failed(&error)),
        };
        let read = row.as_ref().map(|row| self.reading_of(row));
        match (covers(read.as_ref()), row) {
            (Ok(what), Some(row)) => Ok(Some(Shown {
                what: what.to_vec(),
                row,
            })),
            (Ok(_), None) => Ok(None),
            (Err(why), row) => {
                let own = row.filter(|_| why != Uncovered::Unknown);
                let state = own.as_ref().map(|row| row.state(self.now_us()));
                self.note_approval((&id, own.as_ref(), state), why.code());
                Err(uncovered(why))
            }
        }
    }

    /// Uses the approval that was shown: it works once.
    async fn use_shown(&mut self, shown: Shown) -> Result<(), Fault> {
        let Some(lane) = self.flow.approvals.clone() else {
            return Err(internal("an approval was found where none are kept"));
        };
        let (row, now_us) = (shown.row, self.now_us());
        let state = row.state(now_us);
        // Of a key that was revoked meanwhile it stays unused.
        let spent = match self.is_revoked() {
            true => Ok(false),
            false => lane.spend(row.id.clone(), self.call(), now_us).await,
        };
        let spent = spent.map_err(|error| self.failed(&error))?;
        if self.is_revoked() {
            self.note_approval((&row.id, Some(&row), Some(state)), REVOKED);
            return Err(access::revoked());
        }
        self.show_approval(&row.id);
        if spent {
            self.note_approval((&row.id, Some(&row), Some(state)), GIVEN);
            return Ok(());
        }
        let state = unused(&lane, &row, now_us).await;
        let state = state.map_err(|error| self.failed(&error))?;
        let why = match state {
            ApprovalState::Denied => Uncovered::Denied,
            ApprovalState::Expired => Uncovered::Expired,
            ApprovalState::Pending | ApprovalState::Approved | ApprovalState::Used => {
                Uncovered::Used
            }
        };
        self.note_approval((&row.id, Some(&row), Some(state)), why.code());
        Err(uncovered(why))
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
        let (question, desk, row) = self.question(held, needs)?;
        let asked = match desk.lane.ask(row).await {
            Ok(row) => row,
            Err(error) => return self.settle(question, Err(error)),
        };
        // It may be one that was asked before.
        self.note_asked(&asked);
        let heard = desk.hear(asked, question.wait_ms).await;
        self.settle(question, heard)
    }

    /// A question to people, and what asks it.
    ///
    /// # Errors
    /// The refusal, where there is nobody to ask.
    fn question(
        &mut self,
        held: &Held,
        needs: &[Ruling],
    ) -> Result<(Question, Desk, ApprovalRow), Fault> {
        let question = Question::of(held, needs);
        let Some(lane) = self.flow.approvals.clone() else {
            return Err(nobody(&question.said));
        };
        let row = self.question_row(&question);
        self.note_asked(&row);
        let desk = Desk {
            lane,
            clock: self.flow.clock.clone(),
            life: self.approving.as_ref().and_then(|it| it.life.clone()),
            call: self.call(),
        };
        Ok((question, desk, row))
    }

    /// A question about what a stream gave back.
    pub(crate) fn ask_aside(&mut self, needs: &[Ruling]) -> Option<Result<Asking, Fault>> {
        let held = self.held.clone().filter(|_| !needs.is_empty())?;
        let asked = self.question(&held, needs);
        Some(asked.map(|(question, desk, row)| {
            let wait_ms = question.wait_ms;
            let heard = async move {
                let asked = desk.lane.ask(row).await?;
                desk.hear(asked, wait_ms).await
            };
            Asking {
                question,
                heard: Box::pin(heard),
            }
        }))
    }

    /// What comes of a question about what a stream gave back.
    pub(crate) fn settle_aside(
        &mut self,
        asked: Asking,
        heard: Result<Heard, ApprovalsError>,
    ) -> Result<(), Fault> {
        self.settle(asked.question, heard).map(|_| ())
    }

    /// What comes of a question: what is approved, or the answer to the caller.
    fn settle(
        &mut self,
        question: Question,
        heard: Result<Heard, ApprovalsError>,
    ) -> Result<Vec<Approved>, Fault> {
        let Heard {
            row,
            state,
            is_used,
            is_revoked,
        } = heard.map_err(|error| match error {
            ApprovalsError::Full(..) => {
                self.note_failed_approval(FULL);
                full(&question.said, &error)
            }
            ApprovalsError::Unknown
            | ApprovalsError::Own
            | ApprovalsError::Twice
            | ApprovalsError::Over(_)
            | ApprovalsError::Busy
            | ApprovalsError::Foreign(_)
            | ApprovalsError::Sqlite(_)
            | ApprovalsError::Io(_) => self.failed(&error),
        })?;
        if is_revoked {
            self.note_approval((&row.id, Some(&row), Some(state)), REVOKED);
            return Err(access::revoked());
        }
        self.show_approval(&row.id);
        let refused = |why: Uncovered| (why.code(), Err(uncovered(why)));
        let (code, answer) = match state {
            ApprovalState::Approved if is_used => (GIVEN, Ok(question.all)),
            ApprovalState::Pending | ApprovalState::Approved => {
                let fault = pending(&question.said, &row, state);
                (Uncovered::Pending.code(), Err(fault))
            }
            ApprovalState::Denied => refused(Uncovered::Denied),
            ApprovalState::Expired => refused(Uncovered::Expired),
            ApprovalState::Used => refused(Uncovered::Used),
        };
        self.note_approval((&row.id, Some(&row), Some(state)), code);
        answer
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
        let owner = self.consumer.as_ref().and_then(|it| it.user.clone());
        ApprovalRow {
            id: format!("apr-{:016x}", self.flow.dice.roll()),
            number: 0,
            tenant: claim.tenant,
            app: text(self.record.who.app.as_deref()),
            key_id: claim.key_id,
            user: claim.user,
            owner: owner.map(|it| it.to_string()),
            operation: claim.operation,
            dialect: claim.dialect,
            model: claim.model,
            request_id: self.call(),
            needs: needs.collect(),
            approvers: approvers.unwrap_or(1),
            body: claim.body,
            asked_us: now_us,
            expires_us: now_us.saturating_add(question.expires_s.saturating_mul(1_000_000)),
            votes: Vec::new(),
            used_us: None,
            used_by: None,
        }
    }

    fn claim(&self) -> Claim {
        let who = &self.record.who;
        Claim {
            tenant: text(who.tenant.as_deref()),
            key_id: text(who.key_id.as_deref()),
            user: who.user.as_deref().map(str::to_owned),
            operation: self.record.operation.to_string(),
            dialect: self.record.dialect.to_string(),
            model: kept_model(self.record.request.model.as_deref().unwrap_or_default()),
            body: self.approving.as_ref().map_or([0; 32], |it| it.body),
        }
    }

    /// The id goes into the head of the answer.
    fn show_approval(&mut self, id: &str) {
        if let Some(approving) = &mut self.approving {
            approving.header = HeaderValue::from_str(id).ok();
        }
    }

    /// The id of the call.
    fn call(&self) -> String {
        self.id.text().as_str().to_owned()
    }

    /// Whether the key of the call was revoked since it came.
    fn is_revoked(&self) -> bool {
        self.life.as_ref().is_some_and(|life| life.is_revoked())
    }

    pub(crate) fn now_us(&self) -> u64 {
        self.flow.clock.unix_us()
    }

    /// What is read of an approval for this call.
    fn reading_of(&self, row: &ApprovalRow) -> Reading {
        let standing = match row.state(self.now_us()) {
            ApprovalState::Pending => Standing::Pending,
            ApprovalState::Approved => Standing::Approved,
            ApprovalState::Denied => Standing::Denied,
            ApprovalState::Expired => Standing::Expired,
            ApprovalState::Used => Standing::Used,
        };
        let kept = Claim {
            tenant: row.tenant.clone(),
            key_id: row.key_id.clone(),
            user: row.user.clone(),
            operation: row.operation.clone(),
            dialect: row.dialect.clone(),
            model: row.model.clone(),
            body: row.body,
        };
        let claim = self.claim();
        Reading {
            standing,
            is_own: kept.is_of_the_same_caller(&claim),
            is_same: kept.asks_the_same(&claim),
            what: approved(row),
        }
    }

    /// What is under way, for the record of a call that ends meanwhile.
    fn note_open(&mut self, code: &'static str, readings: Vec<evidence::Reading>) {
        self.drop_open_notes();
        self.record.decisions.push(Decision {
            stage: "approval".into(),
            verdict: OPEN.into(),
            reason: code.into(),
            readings,
            ..Decision::default()
        });
    }

    fn note_asked(&mut self, row: &ApprovalRow) {
        let mut readings = vec![reading("approval", word(&row.id))];
        readings.extend(needs_read(row));
        self.note_open(ASKED, readings);
    }

    /// What was under way has come to its end.
    fn drop_open_notes(&mut self) {
        let decisions = &mut self.record.decisions;
        decisions.retain(|it| it.stage != "approval" || it.verdict != OPEN);
    }

    /// What was read of an approval, and what came of it.
    fn note_approval(
        &mut self,
        (id, row, state): (&str, Option<&ApprovalRow>, Option<ApprovalState>),
        code: &'static str,
    ) {
        self.drop_open_notes();
        let mut readings = vec![reading("approval", word(id))];
        if let Some(state) = state {
            readings.push(reading("state", word(state.name())));
        }
        if let Some(row) = row {
            let is_same = self.reading_of(row).is_same;
            readings.push(reading("same_call", Value::Int(is_same.into())));
            readings.push(reading("approved_by", Value::Int(row.approved_by().into())));
            readings.push(reading("approvers", Value::Int(row.approvers.into())));
            readings.extend(needs_read(row));
        }
        self.record.decisions.push(Decision {
            stage: "approval".into(),
            verdict: if code == GIVEN { "allow" } else { "deny" }.into(),
            reason: code.into(),
            readings,
            ..Decision::default()
        });
    }

    fn note_failed_approval(&mut self, code: &'static str) {
        self.drop_open_notes();
        self.record.decisions.push(Decision {
            stage: "approval".into(),
            verdict: "deny".into(),
            reason: code.into(),
            ..Decision::default()
        });
    }

    /// Approvals can be neither read nor written.
    fn failed(&mut self, error: &ApprovalsError) -> Fault {
        self.note_failed_approval(UNAVAILABLE);
        // What the model said is lost with this attempt, and asking another
        // candidate does not bring approvals back.
        let kind = match self.record.attempts.is_empty() {
            true => FaultKind::Overloaded,
            false => FaultKind::Internal,
        };
        Fault::new(
            kind,
            Origin::Gateway,
            "This call needs an approval, and none can be asked for or looked up at the moment. \
             Try again shortly; if it persists, tell the people who run the gateway.",
        )
        .because(error.to_string())
    }
}

/// An approval let the call on.
const GIVEN: &str = "approval_given";
/// No approval could be asked for, because too many are open.
const FULL: &str = "approvals_full";
/// The key of the call was revoked before it could go on.
const REVOKED: &str = "key_revoked";
/// Approvals could be neither read nor written.
const UNAVAILABLE: &str = "approvals_unavailable";

/// The verdict of what is under way.
const OPEN: &str = "open";
/// People are asked.
const ASKED: &str = "approval_asked";
/// The approval that the caller shows is looked at and used.
const USING: &str = "approval_using";

fn word(text: &str) -> Value {
    Value::Word(text.to_owned().into())
}

/// What an approval is for.
fn needs_read(row: &ApprovalRow) -> impl Iterator<Item = evidence::Reading> {
    row.needs.iter().flat_map(|need| {
        [
            reading("rule", word(&need.rule)),
            reading("layer", word(&need.layer)),
            reading("what", word(&need.what)),
        ]
    })
}

fn text(name: Option<&str>) -> String {
    name.unwrap_or_default().to_owned()
}

/// What people approved by this.
fn approved(row: &ApprovalRow) -> Vec<Approved> {
    let needs = row.needs.iter().map(|need| Approved {
        rule: need.rule.as_str().into(),
        layer: need.layer.as_str().into(),
        what: need.what.clone(),
        approvers: row.approved_by(),
    });
    needs.collect()
}
