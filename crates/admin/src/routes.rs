//! The table of routes: the one list behind routing, parameter checks and the
//! OpenAPI document.
//!
//! Deliberately not here: what a resource answers.

use http::Method;

/// The placeholder of a path segment.
pub(crate) const SEGMENT: &str = "{record}";

/// One route.
#[derive(Debug)]
pub struct Route {
    /// `GET` (which serves `HEAD` too) or `POST`.
    pub method: &'static str,
    /// Path; `{record}` stands for one segment.
    pub path: &'static str,
    /// What answers.
    pub resource: Resource,
    /// Who may ask.
    pub access: Access,
    /// One sentence.
    pub summary: &'static str,
    /// Parameters of the query, by name and meaning.
    pub params: &'static [(&'static str, &'static str)],
    /// Content type of a good answer.
    pub content: &'static str,
    /// Statuses besides 200, 401, 405 and 429.
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
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Anyone,
    /// Anyone on this machine; others need the key.
    Local,
    /// The holder of the key.
    Key,
}

const JSON: &str = "application/json";
const PLAIN: &str = "text/plain";

const FILTERS: &[(&str, &str)] = &[
    ("tenant", "Tenant, exactly"),
    ("app", "App, exactly"),
    ("key", "Public id of the caller's key"),
    ("model", "Model that answered, or was asked for"),
    ("provider", "Provider that answered"),
    ("dialect", "Dialect of the caller"),
    ("operation", "Operation, such as chat"),
    ("status", "HTTP status (429) or class of statuses (5xx)"),
    ("outcome", "complete, refused, failed, cut or cancelled"),
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
        method: "POST",
        statuses: &[(
            422,
            "The configuration was refused; the old plan stays in force",
        )],
        ..get(
            "/v1/reload",
            Resource::Reload,
            "Read the configuration again",
        )
    },
];

const fn get(path: &'static str, resource: Resource, summary: &'static str) -> Route {
    Route {
        method: "GET",
        path,
        resource,
        access: Access::Key,
        summary,
        params: &[],
        content: JSON,
        statuses: &[],
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
    match pattern.strip_suffix(SEGMENT) {
        Some(parent) => {
            let rest = path.strip_prefix(parent)?;
            (!rest.is_empty() && !rest.contains('/')).then_some(Some(rest))
        }
        None => (pattern == path).then_some(None),
    }
}
