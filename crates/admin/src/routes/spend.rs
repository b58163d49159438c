//! The routes about money: reports, budgets as they stand, an export of a
//! provider beside our figures, and history at other prices.

use super::{Resource, Route, Scope, get, post};

/// Most bytes of a body with an export or a file of prices.
const FILE_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// What was spent, grouped.
    Spend,
    /// What limits and budgets did not hold.
    Refusals,
    /// Models by use case.
    Models,
    /// Budgets and limits as they stand.
    Budgets,
    /// A provider's export beside our figures.
    Reconcile,
    /// History at other prices.
    Reprice,
}

const TENANT: (&str, &str) = ("tenant", "Tenant, exactly");
const FROM: (&str, &str) = (
    "from",
    "Recorded at or after: an age (90s, 15m, 2h, 7d) or a UTC time (2025-11-21); default 30d",
);
const TO: (&str, &str) = (
    "to",
    "Recorded before: an age or a UTC time; default now; at most 400 days after `from`",
);
const FORMAT: (&str, &str) = ("format", "json (default) or csv");
const LIMIT: (&str, &str) = ("limit", "Most rows of JSON: 1 to 1000, default 100");

const STATUSES: &[(u16, &str)] = &[
    (400, "A parameter is unknown or malformed"),
    (
        422,
        "More rows than a file may have, or no database is shared",
    ),
    (
        503,
        "The index is off or cannot be read, or the database cannot be asked",
    ),
    (504, "The query took too long"),
];

/// What was spent.
pub(super) const SPEND: Route = Route {
    params: &[
        (
            "group_by",
            "Up to 10 of tenant, cost_center, app, use_case, user, key, model, provider, \
             price_version, operation, day, hour, with commas between; default tenant",
        ),
        FROM,
        TO,
        TENANT,
        ("provider", "Provider, exactly"),
        (
            "replicas",
            "this (default), or all: of all gateways that share the database",
        ),
        (
            "format",
            "json (default), csv, or focus: CSV in the columns of FOCUS 1.2, grouped by day",
        ),
        LIMIT,
    ],
    statuses: STATUSES,
    ..get(
        "/v1/spend",
        Resource::Report(Report::Spend),
        "What was spent, grouped: calls, tokens by class and cost, with their exact total",
    )
};

/// What limits and budgets did not hold.
pub(super) const REFUSALS: Route = Route {
    params: &[FROM, TO, TENANT, FORMAT, LIMIT],
    statuses: STATUSES,
    ..get(
        "/v1/spend/refusals",
        Resource::Report(Report::Refusals),
        "Calls that a limit or budget refused, or would have, by limit and consumer",
    )
};

/// Models by use case.
pub(super) const MODELS: Route = Route {
    params: &[
        FROM,
        TO,
        TENANT,
        ("provider", "Provider, exactly"),
        FORMAT,
        LIMIT,
    ],
    statuses: STATUSES,
    ..get(
        "/v1/spend/models",
        Resource::Report(Report::Models),
        "Models for each use case: cost, time to the first token, success",
    )
};

/// Budgets and limits as they stand.
pub(super) const BUDGETS: Route = Route {
    params: &[FORMAT],
    statuses: &[(400, "A parameter is unknown or malformed")],
    ..get(
        "/v1/budgets",
        Resource::Report(Report::Budgets),
        "Budgets and limits as they stand: settled, reserved, left, and when they run out",
    )
};

/// A provider's export beside our figures.
pub(super) const RECONCILE: Route = Route {
    scope: Scope::Whole,
    body_bytes_max: FILE_BODY_BYTES_MAX,
    fields: &[
        ("export", "The export as text: CSV or JSON"),
        ("provider", "Only our calls to this provider"),
        (
            "columns",
            "Names of its columns: `date`, `model`, `input`, `output`, `cost`; `a+b` is a sum",
        ),
        (
            "models",
            "Our names of its models, by the names that it has for them",
        ),
    ],
    statuses: &[
        (400, "The body is malformed or too large"),
        (422, "The export cannot be read; where and why"),
        (503, "The index is off, or cannot be read"),
        (504, "The query took too long"),
    ],
    ..post(
        "/v1/spend/reconcile",
        Resource::Report(Report::Reconcile),
        "A provider's export of usage or cost beside our figures, with every difference",
    )
};

/// History at other prices.
pub(super) const REPRICE: Route = Route {
    params: &[FROM, TO, TENANT],
    body_bytes_max: FILE_BODY_BYTES_MAX,
    fields: &[(
        "prices",
        "A file of prices as text; without it the prices in force",
    )],
    statuses: &[
        (400, "The body is malformed or too large"),
        (422, "The file of prices cannot be read; where and why"),
        (503, "The index is off, or records cannot be read"),
        (504, "The query took too long"),
    ],
    ..post(
        "/v1/spend/reprice",
        Resource::Report(Report::Reprice),
        "What recorded usage costs at the prices in force or in a file; changes nothing",
    )
};
