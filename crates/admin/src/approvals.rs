//! Approvals: which calls wait for people, and what those say.
//!
//! A vote goes into the audit journal, then into the store, and counts before
//! it is answered. Deliberately not here: what needs an approval, and that
//! whoever asked cannot give it, which the store holds to whoever votes.

use std::sync::Arc;

use evidence::rfc3339;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{ApprovalFilter, ApprovalRow, ApprovalState, Approvals, ApprovalsError, Vote};

use crate::audit::{Audit, Author, Change, NOTE_CHARS_MAX};
use crate::auth::{self, By};
use crate::params::{Page, Params, bad};
use crate::reply::Reply;

/// A request about approvals.
pub(crate) struct Errand<'a> {
    pub(crate) store: &'a Arc<dyn Approvals>,
    pub(crate) audit: &'a Audit,
    pub(crate) by: &'a By,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Said {
    note: Option<String>,
}

#[derive(Serialize)]
struct View<'a> {
    id: &'a str,
    state: &'static str,
    tenant: &'a str,
    app: &'a str,
    key: &'a str,
    user: Option<&'a str>,
    owner: Option<&'a str>,
    operation: &'a str,
    dialect: &'a str,
    model: &'a str,
    request_id: &'a str,
    needs: Vec<NeedView<'a>>,
    /// How many must approve.
    approvers: u8,
    /// BLAKE3 of the body that it is bound to.
    body: String,
    asked_at: String,
    expires_at: String,
    votes: Vec<VoteView<'a>>,
    used_at: Option<String>,
    /// Id of the call that used it.
    used_by: Option<&'a str>,
}

#[derive(Serialize)]
struct NeedView<'a> {
    rule: &'a str,
    layer: &'a str,
    what: &'a str,
}

#[derive(Serialize)]
struct VoteView<'a> {
    by: &'a str,
    at: String,
    approves: bool,
    note: Option<&'a str>,
}

#[derive(Serialize)]
struct PageView<'a> {
    approvals: Vec<View<'a>>,
    /// `before` of the next page; null at the end.
    next: Option<u64>,
}

#[derive(Serialize)]
struct OneView<'a> {
    approval: View<'a>,
}

impl Errand<'_> {
    /// Approvals, newest first.
    pub(crate) fn list(&self, params: &Params) -> Result<Reply, Reply> {
        let Page { limit, before } = Page::of(params)?;
        let state = params.get("state").map(|word| {
            let words = "write `pending`, `approved`, `denied`, `expired` or `used`";
            ApprovalState::of(word).ok_or_else(|| bad("state", words))
        });
        let actor = &self.by.actor;
        let tenant = match (params.get("tenant"), &actor.tenant) {
            (Some(tenant), Some(_)) if !actor.sees(tenant) => return Err(auth::too_narrow(actor)),
            (Some(tenant), _) => Some(tenant.to_owned()),
            (None, own) => own.as_ref().map(|own| own.to_string()),
        };
        let filter = ApprovalFilter {
            before,
            limit,
            tenant,
            state: state.transpose()?,
            now_us: self.by.now_us,
        };
        let rows = self.store.list(&filter).map_err(|it| fault(&it))?;
        let is_full = rows.len() == limit as usize;
        Ok(Reply::json(&PageView {
            approvals: rows.iter().map(|row| self.view(row)).collect(),
            next: rows.last().filter(|_| is_full).map(|last| last.number),
        }))
    }

    /// One approval.
    pub(crate) fn one(&self, id: &str) -> Result<Reply, Reply> {
        let row = self.find(id)?;
        Ok(self.shown(&row))
    }

    /// Approves or denies.
    pub(crate) fn vote(&self, id: &str, body: &[u8], approves: bool) -> Result<Reply, Reply> {
        let said = read(body)?;
        let before = self.find(id)?;
        let vote = Vote {
            by: self.by.actor.id.to_string(),
            at_us: self.by.now_us,
            approves,
            note: said.note,
        };
        // Nothing is noted that the store would refuse.
        let after = before.voted(&vote).map_err(|it| fault(&it))?;
        let change = Change {
            action: match approves {
                true => "approval.approve",
                false => "approval.deny",
            },
            object: format!("approval/{id}"),
            tenant: Some(before.tenant.clone()),
            before: self.told(&before),
            after: self.told(&after),
            note: vote.note.clone(),
        };
        self.audit.record(&Author::from(self.by), &change)?;
        match self.store.vote(id, &vote) {
            Ok(row) => Ok(self.shown(&row)),
            Err(error) => Err(self.not_counted(change, &error)),
        }
    }

    /// Says in the audit journal that a vote does not count after all.
    fn not_counted(&self, change: Change, error: &ApprovalsError) -> Reply {
        let undone = Change {
            action: "approval.not_counted",
            note: Some(error.to_string()),
            ..change
        };
        // The entry before says what was tried; if this one cannot be written
        // either, the approval still says whose votes count.
        let _ = self.audit.record(&Author::from(self.by), &undone);
        fault(error)
    }

    /// An approval that the asker may know of.
    fn find(&self, id: &str) -> Result<ApprovalRow, Reply> {
        let found = self.store.find(id).map_err(|it| fault(&it))?;
        found
            .filter(|row| self.by.actor.sees(&row.tenant))
            .ok_or_else(|| fault(&ApprovalsError::Unknown))
    }

    fn told(&self, row: &ApprovalRow) -> Value {
        serde_json::to_value(self.view(row)).expect("plain data is JSON")
    }

    fn shown(&self, row: &ApprovalRow) -> Reply {
        Reply::json(&OneView {
            approval: self.view(row),
        })
    }

    fn view<'a>(&self, row: &'a ApprovalRow) -> View<'a> {
        let needs = row.needs.iter().map(|need| NeedView {
            rule: &need.rule,
            layer: &need.layer,
            what: &need.what,
        });
        let votes = row.votes.iter().map(|vote| VoteView {
            by: &vote.by,
            at: rfc3339(vote.at_us),
            approves: vote.approves,
            note: vote.note.as_deref(),
        });
        View {
            id: &row.id,
            state: row.state(self.by.now_us).name(),
            tenant: &row.tenant,
            app: &row.app,
            key: &row.key_id,
            user: row.user.as_deref(),
            owner: row.owner.as_deref(),
            operation: &row.operation,
            dialect: &row.dialect,
            model: &row.model,
            request_id: &row.request_id,
            needs: needs.collect(),
            approvers: row.approvers,
            body: blake3::Hash::from_bytes(row.body).to_hex().to_string(),
            asked_at: rfc3339(row.asked_us),
            expires_at: rfc3339(row.expires_us),
            votes: votes.collect(),
            used_at: row.used_us.map(rfc3339),
            used_by: row.used_by.as_deref(),
        }
    }
}

/// Reads a body; an empty one says nothing.
fn read(body: &[u8]) -> Result<Said, Reply> {
    let said: Said = match body.trim_ascii() {
        [] => Said::default(),
        body => serde_json::from_slice(body).map_err(|error| {
            let message = format!("The body cannot be used: {error}.");
            Reply::fault(400, "bad_body", &message)
        })?,
    };
    match said.note.as_ref().map(|note| note.chars().count()) {
        Some(long) if long > NOTE_CHARS_MAX => {
            let message =
                format!("The note has {long} characters; write at most {NOTE_CHARS_MAX}.");
            Err(Reply::fault(400, "bad_body", &message))
        }
        Some(_) | None => Ok(said),
    }
}

/// What a store did not do, in words for operators.
fn fault(error: &ApprovalsError) -> Reply {
    let (status, code, advice) = match error {
        ApprovalsError::Unknown => (
            404,
            "unknown_approval",
            "`tollgate approvals list` shows what there is",
        ),
        ApprovalsError::Own => (
            403,
            "own_approval",
            "Have somebody else look at it, with a credential of theirs",
        ),
        ApprovalsError::Twice => (
            403,
            "second_approver_needed",
            "Have somebody else look at it, with a credential of theirs",
        ),
        ApprovalsError::Over(_) => (409, "approval_over", "The caller can ask for another one"),
        ApprovalsError::Full(..)
        | ApprovalsError::Busy
        | ApprovalsError::Foreign(_)
        | ApprovalsError::Sqlite(_)
        | ApprovalsError::Io(_) => (
            503,
            "approvals_unavailable",
            "Nothing was changed. Check the disk of the data folder",
        ),
    };
    Reply::failed((status, code), &error.to_string(), advice)
}
