//! What callers are told of approvals.
//!
//! Deliberately not here: when which of it is told.

use access::approval::Uncovered;
use contract::{Fault, FaultKind, Origin};
use store::{ApprovalRow, ApprovalState, ApprovalsError};

fn forbidden(public: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::new(FaultKind::Forbidden, Origin::Gateway, public)
}

pub(super) fn pending(said: &str, row: &ApprovalRow, state: ApprovalState) -> Fault {
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

pub(super) fn nobody(said: &str) -> Fault {
    forbidden(format!(
        "{said} This gateway keeps no approvals, so nobody can give one."
    ))
}

pub(super) fn malformed() -> Fault {
    Fault::bad_request(
        "`tollgate-approval` must be there once and hold the id of one approval, as in the answer \
         that asked for it.",
    )
    .at("tollgate-approval")
}

pub(super) fn uncovered(why: Uncovered) -> Fault {
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

pub(super) fn full(said: &str, error: &ApprovalsError) -> Fault {
    forbidden(format!(
        "{said} None can be asked for: {error}. Have them decided, or wait until they expire."
    ))
}
