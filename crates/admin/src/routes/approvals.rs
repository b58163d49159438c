//! The routes about approvals.

use super::words::{NOTE, NOTE_BODY_BYTES_MAX};
use super::{OPERATORS, Resource, Route, get, post};

const APPROVAL_FILTERS: &[(&str, &str)] = &[
    ("tenant", "Tenant, exactly"),
    ("state", "pending, approved, denied, expired or used"),
    ("limit", "Most approvals of a page: 1 to 1000, default 50"),
    (
        "before",
        "Only approvals before this number: `next` of the page before",
    ),
];

/// Statuses of the routes that vote.
const VOTE_STATUSES: &[(u16, &str)] = &[
    (400, "The body is malformed or too large"),
    (404, "There is no such approval"),
    (
        409,
        "It is approved, denied, expired or used, and this changes nothing",
    ),
    (503, "The audit journal or the approvals cannot be written"),
];

/// Many approvals.
pub(super) const LIST: Route = Route {
    params: APPROVAL_FILTERS,
    statuses: &[
        (400, "A parameter is unknown or malformed"),
        (503, "The approvals cannot be read"),
    ],
    ..get(
        "/v1/approvals",
        Resource::Approvals,
        "Calls that wait, or waited, for people, newest first",
    )
};

/// One approval.
pub(super) const ONE: Route = Route {
    statuses: &[
        (404, "There is no such approval"),
        (503, "The approvals cannot be read"),
    ],
    ..get(
        "/v1/approvals/{approval}",
        Resource::Approval,
        "One approval: what for, by whom, until when, and what people said",
    )
};

/// A vote for an approval.
pub(super) const APPROVE: Route = Route {
    roles: OPERATORS,
    body_bytes_max: NOTE_BODY_BYTES_MAX,
    fields: &[NOTE],
    statuses: VOTE_STATUSES,
    ..post(
        "/v1/approvals/{approval}/approve",
        Resource::ApprovalGive,
        "Approve a call; whoever asked for it cannot",
    )
};

/// A vote against an approval.
pub(super) const DENY: Route = Route {
    roles: OPERATORS,
    body_bytes_max: NOTE_BODY_BYTES_MAX,
    fields: &[NOTE],
    statuses: VOTE_STATUSES,
    ..post(
        "/v1/approvals/{approval}/deny",
        Resource::ApprovalDeny,
        "Deny a call its approval, or withdraw one that no call has used, for good",
    )
};
