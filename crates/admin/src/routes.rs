//! The table of routes: the one list behind routing, roles, parameter checks,
//! the OpenAPI document and the page about the admin API.
//!
//! Deliberately not here: what a resource answers.

mod approvals;
mod policy;
mod spend;
mod words;

use http::Method;
use plan::Role;

pub use spend::Report;

use words::{
    AUDIT_FILTERS, CANDIDATE, DOCUMENT_BYTES_MAX, EXPECTED, FILTERS, JSON, KEY_BODY_BYTES_MAX,
    KEY_FILTERS, KEY_STATUSES, NOTE, NOTE_BODY_BYTES_MAX, PAGE, PLAIN, ROLLOUT_STATUSES,
};

/// One route.
#[derive(Debug)]
pub struct Route {
    /// `GET` (which serves `HEAD` too), `POST`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// Path; a name in braces, of which there is at most one, stands for one
    /// segment.
    pub path: &'static str,
    /// What answers.
    pub resource: Resource,
    /// Who may ask.
    pub access: Access,
    /// The roles that may ask, where a credential is needed.
    pub roles: &'static [Role],
    /// What a credential of one tenant gets.
    pub scope: Scope,
    /// Most bytes of a body; 0 where none is read.
    pub body_bytes_max: usize,
    /// Fields of the body, a JSON object, by name and meaning.
    pub fields: &'static [(&'static str, &'static str)],
    /// One sentence.
    pub summary: &'static str,
    /// Parameters of the query, by name and meaning.
    pub params: &'static [(&'static str, &'static str)],
    /// Content type of a good answer.
    pub content: &'static str,
    /// Statuses besides 200, 401, 403, 405 and 429.
    pub statuses: &'static [(u16, &'static str)],
}

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Liveness and readiness.
    Probe,
    /// Metrics.
    Metrics,
    /// This API, described.
    OpenApi,
    /// Many records.
    Records,
    /// One record.
    Record,
    /// The plan in force.
    Plan,
    /// How the process is.
    Status,
    /// Reading the configuration again.
    Reload,
    /// Many virtual keys.
    Keys,
    /// One virtual key.
    Key,
    /// A new virtual key.
    KeyCreate,
    /// A new secret for a virtual key.
    KeyRotate,
    /// Other limits of a virtual key's own.
    KeyLimit,
    /// The end of a virtual key.
    KeyRevoke,
    /// Many approvals.
    Approvals,
    /// One approval.
    Approval,
    /// A vote for an approval.
    ApprovalGive,
    /// A vote against an approval.
    ApprovalDeny,
    /// What policy says of a call.
    PolicyExplain,
    /// The audit journal.
    Audit,
    /// A report about money.
    Report(Report),
    /// Versions of the plan.
    Plans,
    /// One version of the plan.
    PlanVersion,
    /// What differs between two versions of the plan.
    PlanDiff,
    /// A new plan.
    PlanApply,
    /// A version of the plan again.
    PlanRollback,
    /// The roll-out that is on.
    Rollout,
    /// Another share for it.
    RolloutSet,
    /// Its candidate for all.
    RolloutPromote,
    /// Its end.
    RolloutAbort,
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Anyone,
    /// Anyone on this machine; others need a credential.
    Local,
    /// The holder of a credential.
    Key,
}

/// What a credential of one tenant gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What belongs to its tenant.
    Tenant,
    /// Nothing: all tenants are concerned.
    Whole,
}

/// Those who read.
pub const READERS: &[Role] = &[Role::Viewer, Role::Operator, Role::Admin, Role::Auditor];
/// Those who manage keys, and reload.
pub const OPERATORS: &[Role] = &[Role::Operator, Role::Admin];
/// Those who change the plan.
pub const ADMINS: &[Role] = &[Role::Admin];
/// Those who read the audit journal.
pub const AUDITORS: &[Role] = &[Role::Admin, Role::Auditor];
/// All routes.
pub const ROUTES: &[Route] = &[
    probe("/livez", "The process is alive", &[]),
    probe(
        "/readyz",
        "Calls should come here",
        &[(503, "Starting or draining")],
    ),
    probe(
        "/healthz",
        "The same as /readyz",
        &[(503, "Starting or draining")],
    ),
    Route {
        access: Access::Local,
        scope: Scope::Whole,
        content: "application/openmetrics-text",
        ..get("/metrics", Resource::Metrics, "Metrics, for Prometheus")
    },
    get("/openapi.json", Resource::OpenApi, "This document"),
    Route {
        params: FILTERS,
        statuses: &[
            (400, "A parameter is unknown or malformed"),
            (503, "The index cannot be read, or too many follow"),
            (504, "The query took too long"),
        ],
        ..get(
            "/v1/records",
            Resource::Records,
            "Records of exchanges, newest first",
        )
    },
    Route {
        statuses: &[
            (400, "Neither a request id nor a sequence"),
            (404, "There is no such record"),
            (503, "The journal cannot be read"),
        ],
        ..get(
            "/v1/records/{record}",
            Resource::Record,
            "One record whole, by request id or by sequence",
        )
    },
    get(
        "/v1/plan",
        Resource::Plan,
        "The plan in force, without secrets",
    ),
    get(
        "/v1/status",
        Resource::Status,
        "How the process, its listeners, its pools, its journal and its index are",
    ),
    Route {
        roles: OPERATORS,
        scope: Scope::Whole,
        statuses: &[
            (409, "The admin API owns the plan"),
            (
                422,
                "The configuration was refused; the old plan stays in force",
            ),
            (503, "The audit journal cannot be written"),
        ],
        ..post(
            "/v1/reload",
            Resource::Reload,
            "Read the configuration again",
        )
    },
    Route {
        params: PAGE,
        scope: Scope::Whole,
        statuses: &[
            (400, "A parameter is unknown or malformed"),
            (503, "The versions cannot be read"),
        ],
        ..get(
            "/v1/plans",
            Resource::Plans,
            "Plans that were put in force, newest first, and who owns the plan",
        )
    },
    Route {
        roles: ADMINS,
        scope: Scope::Whole,
        body_bytes_max: DOCUMENT_BYTES_MAX,
        fields: &[
            (
                "document",
                "The document as text, as in the configuration file",
            ),
            NOTE,
            EXPECTED,
            ("dry_run", "true: only say what would change"),
            (
                "rollout",
                "Try it on a share of the callers first: `percent` (0 to 100), `tenants` (names), \
                 `abort` (when it goes by itself: bounds by name)",
            ),
        ],
        statuses: &[
            (400, "The body is malformed or too large"),
            (
                409,
                "Another plan is in force, a roll-out is on, or the file owns the plan",
            ),
            (
                422,
                "The document was refused, with lines and columns, or cannot be rolled out; the \
                 old plan stays in force",
            ),
            (503, "The audit journal or the versions cannot be written"),
        ],
        ..post(
            "/v1/plans",
            Resource::PlanApply,
            "Put a document in force, or with `rollout` for a share of the callers; with \
             `dry_run` say what would change",
        )
    },
    Route {
        scope: Scope::Whole,
        statuses: &[
            (400, "This is no digest"),
            (404, "There is no such version"),
            (503, "The versions cannot be read"),
        ],
        ..get(
            "/v1/plans/{digest}",
            Resource::PlanVersion,
            "One version of the plan: its document, without secrets",
        )
    },
    Route {
        params: &[(
            "against",
            "Digest of the version to compare with; default: the plan in force",
        )],
        scope: Scope::Whole,
        statuses: &[
            (400, "This is no digest"),
            (404, "There is no such version"),
            (503, "The versions cannot be read"),
        ],
        ..get(
            "/v1/plans/{digest}/diff",
            Resource::PlanDiff,
            "What differs between two versions, line by line",
        )
    },
    Route {
        roles: ADMINS,
        scope: Scope::Whole,
        body_bytes_max: NOTE_BODY_BYTES_MAX,
        fields: &[NOTE, EXPECTED],
        statuses: &[
            (400, "The body is malformed, or this is no digest"),
            (404, "There is no such version"),
            (
                409,
                "Another plan is in force, a roll-out is on, or the file owns the plan",
            ),
            (422, "The version cannot be put in force again"),
            (503, "The audit journal or the versions cannot be written"),
        ],
        ..post(
            "/v1/plans/{digest}/rollback",
            Resource::PlanRollback,
            "Put a version in force again",
        )
    },
    Route {
        scope: Scope::Whole,
        ..get(
            "/v1/rollout",
            Resource::Rollout,
            "The plan that is being rolled out, to whom, and what its calls came to",
        )
    },
    Route {
        roles: ADMINS,
        scope: Scope::Whole,
        body_bytes_max: NOTE_BODY_BYTES_MAX,
        fields: &[
            ("percent", "Percentage of the callers, 0 to 100"),
            ("tenants", "Tenants that are held to it whole, by name"),
            NOTE,
            CANDIDATE,
        ],
        statuses: ROLLOUT_STATUSES,
        ..post(
            "/v1/rollout",
            Resource::RolloutSet,
            "Give the roll-out another share of the callers",
        )
    },
    Route {
        roles: ADMINS,
        scope: Scope::Whole,
        body_bytes_max: NOTE_BODY_BYTES_MAX,
        fields: &[NOTE, CANDIDATE],
        statuses: ROLLOUT_STATUSES,
        ..post(
            "/v1/rollout/promote",
            Resource::RolloutPromote,
            "Put the plan that is being rolled out in force for all",
        )
    },
    Route {
        roles: ADMINS,
        scope: Scope::Whole,
        body_bytes_max: NOTE_BODY_BYTES_MAX,
        fields: &[NOTE, CANDIDATE],
        statuses: ROLLOUT_STATUSES,
        ..post(
            "/v1/rollout/abort",
            Resource::RolloutAbort,
            "End the roll-out: the plan in force is that of all callers again, at once",
        )
    },
    Route {
        params: KEY_FILTERS,
        statuses: &[
            (400, "A parameter is unknown or malformed"),
            (503, "The keys cannot be read"),
        ],
        ..get(
            "/v1/keys",
            Resource::Keys,
            "Virtual keys, newest first, without their secrets",
        )
    },
    Route {
        roles: OPERATORS,
        body_bytes_max: KEY_BODY_BYTES_MAX,
        fields: &[
            ("name", "What people call it"),
            ("tenant", "Tenant it belongs to; default `default`"),
            ("app", "Application it belongs to; default: the key's id"),
            ("groups", "Groups it belongs to"),
            ("models", "Patterns of models it may use; default: all"),
            ("expires_in", "How long it lives, such as 30d"),
            ("expires_at", "When it ends, UTC"),
            (
                "on_revoke",
                "What becomes of its open streams: finish or cut",
            ),
            (
                "limits",
                "Its own limits: an object with `rate_limits` and `budgets`",
            ),
        ],
        statuses: &[
            (201, "Made; the only answer that shows the secret"),
            (400, "The body is malformed or too large"),
            (409, "A limit is reached"),
            (503, "The audit journal or the keys cannot be written"),
        ],
        ..post("/v1/keys", Resource::KeyCreate, "Make a virtual key")
    },
    Route {
        statuses: &[
            (404, "There is no such key"),
            (503, "The keys cannot be read"),
        ],
        ..get(
            "/v1/keys/{key}",
            Resource::Key,
            "One virtual key, without its secrets",
        )
    },
    Route {
        roles: OPERATORS,
        body_bytes_max: KEY_BODY_BYTES_MAX,
        fields: &[(
            "overlap",
            "How long the secrets before it work on, such as 24h",
        )],
        statuses: KEY_STATUSES,
        ..post(
            "/v1/keys/{key}/rotate",
            Resource::KeyRotate,
            "Give a virtual key a new secret; those before it work on for `overlap`",
        )
    },
    Route {
        roles: OPERATORS,
        body_bytes_max: KEY_BODY_BYTES_MAX,
        fields: &[
            (
                "rate_limits",
                "Objects with limit, and measure, per, burst, window, mode as in the configuration",
            ),
            (
                "budgets",
                "Objects with limit, window, and measure, time_zone, from, mode",
            ),
        ],
        statuses: KEY_STATUSES,
        ..post(
            "/v1/keys/{key}/limits",
            Resource::KeyLimit,
            "Give a virtual key these limits and budgets of its own instead of those it has; an \
             empty body takes them away",
        )
    },
    Route {
        roles: OPERATORS,
        body_bytes_max: KEY_BODY_BYTES_MAX,
        fields: &[(
            "on_revoke",
            "What becomes of its open streams: finish or cut",
        )],
        statuses: KEY_STATUSES,
        ..post(
            "/v1/keys/{key}/revoke",
            Resource::KeyRevoke,
            "End a virtual key, at once and for good",
        )
    },
    approvals::LIST,
    approvals::ONE,
    approvals::APPROVE,
    approvals::DENY,
    policy::EXPLAIN,
    spend::SPEND,
    spend::REFUSALS,
    spend::MODELS,
    spend::BUDGETS,
    spend::RECONCILE,
    spend::REPRICE,
    Route {
        roles: AUDITORS,
        params: AUDIT_FILTERS,
        statuses: &[
            (400, "A parameter is unknown or malformed"),
            (503, "The audit journal cannot be read"),
        ],
        ..get(
            "/v1/audit",
            Resource::Audit,
            "Changes that were made, newest first: who, what, before and after",
        )
    },
];

const fn get(path: &'static str, resource: Resource, summary: &'static str) -> Route {
    Route {
        method: "GET",
        path,
        resource,
        access: Access::Key,
        roles: READERS,
        scope: Scope::Tenant,
        body_bytes_max: 0,
        fields: &[],
        summary,
        params: &[],
        content: JSON,
        statuses: &[],
    }
}

const fn post(path: &'static str, resource: Resource, summary: &'static str) -> Route {
    Route {
        method: "POST",
        ..get(path, resource, summary)
    }
}

const fn probe(
    path: &'static str,
    summary: &'static str,
    statuses: &'static [(u16, &'static str)],
) -> Route {
    Route {
        access: Access::Anyone,
        content: PLAIN,
        statuses,
        ..get(path, Resource::Probe, summary)
    }
}

/// What the table says to a method and a path.
pub(crate) enum Matched<'a> {
    /// This route, and the segment in the place of its placeholder.
    Route(&'static Route, Option<&'a str>),
    /// The path, but not with this method; the value of `Allow`.
    WrongMethod(String),
    /// No such path.
    Unknown,
}

pub(crate) fn find<'a>(method: &Method, path: &'a str) -> Matched<'a> {
    let mut allow: Vec<&str> = Vec::new();
    for route in ROUTES {
        let Some(segment) = segment(route.path, path) else {
            continue;
        };
        if serves(route, method) {
            return Matched::Route(route, segment);
        }
        allow.push(if route.method == "GET" {
            "GET, HEAD"
        } else {
            route.method
        });
    }
    if allow.is_empty() {
        Matched::Unknown
    } else {
        Matched::WrongMethod(allow.join(", "))
    }
}

fn serves(route: &Route, method: &Method) -> bool {
    method.as_str() == route.method || (method == Method::HEAD && route.method == "GET")
}

/// Outer `None`: another path. Inner: the segment, where there is one.
fn segment<'a>(pattern: &str, path: &'a str) -> Option<Option<&'a str>> {
    let Some((before, name)) = pattern.split_once('{') else {
        return (pattern == path).then_some(None);
    };
    let after = name.split_once('}').map_or("", |(_, after)| after);
    let rest = path.strip_prefix(before)?.strip_suffix(after)?;
    (!rest.is_empty() && !rest.contains('/')).then_some(Some(rest))
}

/// The name of the placeholder of a path.
pub(crate) fn placeholder(path: &'static str) -> Option<&'static str> {
    let (_, name) = path.split_once('{')?;
    name.split_once('}').map(|(name, _)| name)
}
