//! The plan in force and the state of the process.
//!
//! Deliberately not here: any secret. A plan holds digests of keys only, and
//! not even those are shown.

use plan::Plan;
use serde::Serialize;
use serde_json::Value;

use crate::AdminState;
use crate::auth::{Actor, By};
use crate::figures::{ConnectionFigures, IssuerFigures, ListenerFigures, PoolFigures};
use crate::plans::rollout_short;
use crate::reply::Reply;

#[derive(Serialize)]
struct PlanView<'a> {
    digest: &'a str,
    providers: Vec<ProviderView<'a>>,
    models: Vec<ModelView<'a>>,
    keys: Vec<KeyView<'a>>,
}

#[derive(Serialize)]
struct ProviderView<'a> {
    name: &'a str,
    kind: &'static str,
    dialects: Vec<&'static str>,
    /// Host and port; null for a model inside the gateway.
    address: Option<String>,
}

#[derive(Serialize)]
struct ModelView<'a> {
    name: &'a str,
    candidates: Vec<CandidateView<'a>>,
}

#[derive(Serialize)]
struct CandidateView<'a> {
    provider: &'a str,
    model: &'a str,
}

#[derive(Serialize)]
struct KeyView<'a> {
    id: &'a str,
    tenant: &'a str,
    app: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<&'a [String]>,
    loopback_only: bool,
}

/// The plan in force, with those of its keys that the asker may see.
pub(crate) fn plan(plan: &Plan, actor: &Actor) -> Reply {
    let providers = plan.providers.iter().map(|provider| ProviderView {
        name: &provider.name,
        kind: provider.kind.name,
        dialects: provider
            .dialects
            .iter()
            .map(|dialect| dialect.id().0)
            .collect(),
        address: provider
            .endpoint
            .as_ref()
            .map(|at| format!("{}:{}", at.host, at.port)),
    });
    let models = plan.models.names().map(|(name, candidates)| ModelView {
        name,
        candidates: candidates
            .iter()
            .map(|candidate| CandidateView {
                provider: plan
                    .providers
                    .get(candidate.provider)
                    .map_or("", |at| &at.name),
                model: &candidate.model,
            })
            .collect(),
    });
    let seen = plan.keys.consumers();
    let seen = seen.filter(|consumer| actor.sees(&consumer.tenant));
    let keys = seen.map(|consumer| KeyView {
        id: &consumer.key_id,
        tenant: &consumer.tenant,
        app: &consumer.app,
        models: consumer.models.as_deref(),
        loopback_only: consumer.loopback_only,
    });
    let mut keys: Vec<_> = keys.collect();
    keys.sort_by_key(|key| key.id);
    Reply::json(&PlanView {
        digest: &plan.digest,
        providers: providers.collect(),
        models: models.collect(),
        keys,
    })
}

#[derive(Serialize)]
struct StatusView<'a> {
    version: &'static str,
    started: String,
    uptime_ms: u64,
    workers: usize,
    plan: &'a str,
    plan_loaded: String,
    plan_owner: &'static str,
    rollout: Value,
    in_flight: u64,
    open_streams: u64,
    journal: JournalView,
    inflight: Option<InflightView>,
    index: Option<IndexView>,
    connections: ConnectionFigures,
    listeners: Vec<ListenerFigures>,
    pools: Vec<PoolFigures>,
    issuers: Vec<IssuerFigures>,
}

#[derive(Serialize)]
struct TenantStatusView<'a> {
    version: &'static str,
    started: String,
    uptime_ms: u64,
    plan: &'a str,
    tenant: Option<&'a str>,
}

#[derive(Serialize)]
struct JournalView {
    sent: u64,
    written: u64,
    synced: u64,
    queued: u64,
    queued_bytes: u64,
    slots_in_use: u64,
    slots_max: u64,
    errors: u64,
    refused: u64,
    abandoned: u64,
    clipped: u64,
    lost_after_close: u64,
    failing: Option<FailingView>,
}

/// The table of exchanges under way.
#[derive(Serialize)]
struct InflightView {
    rows: u64,
    ending: u64,
    slots_max: u64,
    refused: u64,
    errors: u64,
    dropped: u64,
}

#[derive(Serialize)]
struct FailingView {
    since: String,
    error: String,
}

#[derive(Serialize)]
struct IndexView {
    indexed: u64,
    head: u64,
    lag: u64,
    undecodable: u64,
    rebuilds: u64,
    error: Option<String>,
}

/// How the process, its listeners, its pools, its journal and its index are.
///
/// The asker of one tenant learns nothing about how much the others do.
pub(crate) fn status(state: &AdminState, by: &By) -> Reply {
    let now_us = by.now_us;
    if by.actor.tenant.is_some() {
        return Reply::json(&TenantStatusView {
            version: env!("CARGO_PKG_VERSION"),
            started: evidence::rfc3339(state.started_us),
            uptime_ms: now_us.saturating_sub(state.started_us) / 1_000,
            plan: &state.plan.load().digest,
            tenant: by.actor.tenant.as_deref(),
        });
    }
    let health = state.evidence.journal().health();
    let plan = state.plan.load();
    let meter = state.evidence.meter();
    let figures = (state.figures)();
    Reply::json(&StatusView {
        version: env!("CARGO_PKG_VERSION"),
        started: evidence::rfc3339(state.started_us),
        uptime_ms: now_us.saturating_sub(state.started_us) / 1_000,
        workers: state.workers,
        plan: &plan.digest,
        plan_loaded: evidence::rfc3339(figures.plan_loaded_us),
        plan_owner: state.plans.owner().name(),
        rollout: rollout_short(&plan, meter),
        in_flight: meter.in_flight(),
        open_streams: meter.open_streams(),
        journal: JournalView {
            sent: health.sent,
            written: health.written,
            synced: health.synced,
            queued: health.queued(),
            queued_bytes: health.queued_bytes,
            slots_in_use: health.slots_in_use,
            slots_max: health.slots_max,
            errors: health.errors,
            refused: health.refused,
            abandoned: health.abandoned,
            clipped: health.clipped,
            lost_after_close: health.lost_after_close,
            failing: health.failing.map(|failing| FailingView {
                since: evidence::rfc3339(failing.since_unix_us),
                error: failing.error,
            }),
        },
        inflight: meter.inflight().map(|health| InflightView {
            rows: health.rows,
            ending: health.ending,
            slots_max: health.slots_max,
            refused: health.refused,
            errors: health.errors,
            dropped: health.dropped,
        }),
        index: state.index.load_full().map(|index| {
            let status = index.status();
            IndexView {
                indexed: status.indexed,
                head: status.head,
                lag: status.lag(),
                undecodable: status.undecodable,
                rebuilds: status.rebuilds,
                error: status.error,
            }
        }),
        connections: figures.connections,
        listeners: figures.listeners,
        pools: figures.pools,
        issuers: figures.issuers,
    })
}
