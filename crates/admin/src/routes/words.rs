//! What several routes have in common: limits, parameters, fields and
//! statuses, each with its meaning.

/// Most bytes of a body about a key.
pub(super) const KEY_BODY_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of a body with a note.
pub(super) const NOTE_BODY_BYTES_MAX: usize = 16 * 1024;
/// Most bytes of a body with a document.
pub(super) const DOCUMENT_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(super) const JSON: &str = "application/json";
pub(super) const PLAIN: &str = "text/plain";

pub(super) const FILTERS: &[(&str, &str)] = &[
    ("tenant", "Tenant, exactly"),
    ("app", "App, exactly"),
    ("key", "Public id of the caller's key"),
    ("model", "Model that answered, or was asked for"),
    ("provider", "Provider that answered"),
    ("dialect", "Dialect of the caller"),
    ("operation", "Operation, such as chat"),
    ("status", "HTTP status (429) or class of statuses (5xx)"),
    (
        "outcome",
        "complete, refused, failed, cut, cancelled or lost",
    ),
    ("fault", "Kind of the fault, or `any`"),
    ("origin", "Whose fault: client, gateway or provider"),
    (
        "since",
        "Recorded at or after: an age (90s, 15m, 2h, 7d) or a UTC time (2025-11-21T10:00:00Z)",
    ),
    ("until", "Recorded before: an age or a UTC time"),
    ("limit", "Most records of a page: 1 to 1000, default 50"),
    (
        "before",
        "Only records before this sequence: `next` of the page before",
    ),
    ("after", "Only records after this sequence"),
    (
        "follow",
        "1: stream records as JSON lines as they are written, oldest first",
    ),
];

pub(super) const PAGE: &[(&str, &str)] = &[
    ("limit", "Most of a page: 1 to 1000, default 50"),
    (
        "before",
        "Only those before this number: `next` of the page before",
    ),
];

pub(super) const KEY_FILTERS: &[(&str, &str)] = &[
    ("tenant", "Tenant, exactly"),
    ("app", "App, exactly"),
    ("state", "active, expired or revoked"),
    ("limit", "Most keys of a page: 1 to 1000, default 50"),
    (
        "before",
        "Only keys before this number: `next` of the page before",
    ),
];

/// Statuses of the routes that change a key.
pub(super) const KEY_STATUSES: &[(u16, &str)] = &[
    (400, "The body is malformed or too large"),
    (404, "There is no such key"),
    (
        409,
        "Another change came first, a limit is reached, or the key has ended",
    ),
    (503, "The audit journal or the keys cannot be written"),
];

pub(super) const NOTE: (&str, &str) =
    ("note", "Why, for those who look back; up to 500 characters");
pub(super) const EXPECTED: (&str, &str) = (
    "expected",
    "Digest of the plan that must be in force; if another is, nothing changes",
);

pub(super) const CANDIDATE: (&str, &str) = (
    "expected",
    "Digest of the plan that must be the one rolled out; if another is, nothing changes",
);

/// Statuses of the routes that change a roll-out.
pub(super) const ROLLOUT_STATUSES: &[(u16, &str)] = &[
    (400, "The body is malformed or too large"),
    (409, "No such roll-out is on, or the file owns the plan"),
    (503, "The audit journal or the versions cannot be written"),
];

pub(super) const AUDIT_FILTERS: &[(&str, &str)] = &[
    ("actor", "Credential that made the change, exactly"),
    ("role", "Its role"),
    ("action", "What was done, such as plan.apply"),
    ("object", "What was changed, exactly"),
    ("tenant", "Tenant that the change concerns, exactly"),
    (
        "since",
        "Made at or after: an age (90s, 15m, 2h, 7d) or a UTC time (2025-11-21T10:00:00Z)",
    ),
    ("until", "Made before: an age or a UTC time"),
    ("limit", "Most entries of a page: 1 to 1000, default 50"),
    (
        "before",
        "Only entries before this sequence: `next` of the page before",
    ),
];
