//! The approval stage: a call that needs people waits for them, or is told
//! how to come back once they have said yes.
//!
//! Deliberately not here: what needs an approval and whether one covers a call
//! (`access`), who may give it (`admin`), and where it is kept (`store`).

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
}

impl Desk {
    fn is_revoked(&self) -> bool {
        self.life.as_ref().is_some_and(|life| life.is_revoked())
    }

    /// Asks, and waits for people as long as there is time, and room among
    /// those that wait.
    async fn hear(self, asked: ApprovalRow, wait_ms: u64) -> Result<Heard, ApprovalsError> {
        let (lane, clock) = (&self.lane, &self.clock);
        let mut row = lane.ask(asked).await?;
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
            is_used = lane.spend(row.id.clone(), now_us).await?;
            if !is_used {
                // Another call like this one came first.
                state = ApprovalState::Used;
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

/// An approval that a call shows, and that covers it.
struct Shown {
    row: ApprovalRow,
    what: Vec<Approved>,
}

impl Exchange {
    /// Holds the call to its rules, with the approval that the caller shows
    /// or that people give meanwhile.
    pub(crate) async fn admit_approved(&mut self, held: &mut Held) -> Admission {
        let shown = self.shown().await;
        if let Ok(Some(shown)) = &shown {
            held.chain = held.chain.approving(shown.what.clone());
        }
        let mut admission = self.admission(held);
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
            return Ok(());
        };
        let (row, now_us) = (shown.row, self.now_us());
        let state = row.state(now_us);
        // Of a key that was revoked meanwhile it stays unused.
        let spent = match self.is_revoked() {
            true => Ok(false),
            false => lane.spend(row.id.clone(), now_us).await,
        };
        let spent = spent.map_err(|error| self.failed(&error))?;
        if self.is_revoked() {
            self.note_approval((&row.id, Some(&row), Some(state)), REVOKED);
            return Err(access::revoked());
        }
        self.show_approval(&row.id);
        let (state, code, answer) = match spent {
            true => (state, GIVEN, Ok(())),
            false => {
                let used = Uncovered::Used;
                (ApprovalState::Used, used.code(), Err(uncovered(used)))
            }
        };
        self.note_approval((&row.id, Some(&row), Some(state)), code);
        answer
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
        let Asking { question, heard } = self.question(held, needs)?;
        let heard = heard.await;
        self.settle(question, heard)
    }

    /// A question to people, which is asked once somebody waits for it.
    ///
    /// # Errors
    /// The refusal, where there is nobody to ask.
    fn question(&self, held: &Held, needs: &[Ruling]) -> Result<Asking, Fault> {
        let question = Question::of(held, needs);
        let Some(lane) = self.flow.approvals.clone() else {
            return Err(nobody(&question.said));
        };
        let row = self.question_row(&question);
        let desk = Desk {
            lane,
            clock: self.flow.clock.clone(),
            life: self.approving.as_ref().and_then(|it| it.life.clone()),
        };
        let heard = desk.hear(row, question.wait_ms);
        Ok(Asking {
            question,
            heard: Box::pin(heard),
        })
    }

    /// A question about what a stream gave back.
    pub(crate) fn ask_aside(&self, needs: &[Ruling]) -> Option<Result<Asking, Fault>> {
        let held = self.held.as_ref().filter(|_| !needs.is_empty())?;
        Some(self.question(held, needs))
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

    /// Whether the key of the call was revoked since it came.
    fn is_revoked(&self) -> bool {
        self.life.as_ref().is_some_and(|life| life.is_revoked())
    }

    fn now_us(&self) -> u64 {
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

    /// What was read of an approval, and what came of it.
    fn note_approval(
        &mut self,
        (id, row, state): (&str, Option<&ApprovalRow>, Option<ApprovalState>),
        code: &'static str,
    ) {
        let mut readings = vec![reading("approval", Value::Word(id.to_owned().into()))];
        let word = |text: &str| Value::Word(text.to_owned().into());
        if let Some(state) = state {
            readings.push(reading("state", word(state.name())));
        }
        if let Some(row) = row {
            let is_same = self.reading_of(row).is_same;
            readings.push(reading("same_call", Value::Int(is_same.into())));
            readings.push(reading("approved_by", Value::Int(row.approved_by().into())));
            readings.push(reading("approvers", Value::Int(row.approvers.into())));
            for need in &row.needs {
                readings.push(reading("rule", word(&need.rule)));
                readings.push(reading("layer", word(&need.layer)));
                readings.push(reading("what", word(&need.what)));
            }
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

fn forbidden(public: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::new(FaultKind::Forbidden, Origin::Gateway, public)
}

fn pending(said: &str, row: &ApprovalRow, state: ApprovalState) -> Fault {
    let id = &row.id;
    let (now, when) = match state {
        ApprovalState::Approved => (format!("The approval `{id}` has been given."), "Send"),
        ApprovalState::Pending
        | ApprovalState::Denied
        | ApprovalState::Expired
        | ApprovalState::Used => (
            format!(
                "The approval `{id}` is pending: operators of the gateway, other than you, give \
                 it with `tollgate approvals approve {id}`."
            ),
            "Once it is given, send",
        ),
    };
    forbidden(format!(
        "{said} {now} {when} the same request with the header `tollgate-approval: {id}` before \
         {}. It works once.",
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
        Uncovered::OtherCall => {
            "The approval is for another request: the path, the model or the body differs. Send \
             the same request with the same body byte for byte, or leave `tollgate-approval` out \
             to ask anew."
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

fn full(said: &str, error: &ApprovalsError) -> Fault {
    forbidden(format!(
        "{said} None can be asked for: {error}. Have them decided, or wait until they expire."
    ))
}
