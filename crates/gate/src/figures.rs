//! What the assembly knows about itself, for `/v1/status`: connections by
//! listener, pools of all workers, keys of issuers, and when the plan was
//! loaded.
//!
//! Deliberately not here: showing it (`admin`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use admin::{ConnectionFigures, Figures, IssuerFigures, ListenerFigures, PoolFigures};
use plan::{InForce, Plan};
use transport::HttpWire;

use crate::edge::control::Control;
use crate::edge::listen::Address;
use crate::issuers::IssuerKeys;

/// Where figures are taken from; clones share everything.
#[derive(Clone, Default)]
pub(crate) struct Gauges(Arc<Inner>);

#[derive(Default)]
struct Inner {
    plan_loaded_us: AtomicU64,
    /// One for each worker, which owns it.
    wires: Mutex<Vec<Weak<HttpWire>>>,
    /// Set once the listeners are open.
    edges: OnceLock<Vec<Edge>>,
}

/// A running edge: its counters and its listeners.
pub(crate) struct Edge {
    pub(crate) control: Control,
    pub(crate) listeners: Vec<(Arc<str>, Address)>,
}

impl Gauges {
    /// The plan in force was loaded at this time.
    pub(crate) fn plan_loaded(&self, unix_us: u64) {
        self.0.plan_loaded_us.store(unix_us, Relaxed);
    }

    /// Watches the pools of a worker for as long as it has them.
    pub(crate) fn watch_wire(&self, wire: &Arc<HttpWire>) {
        let mut wires = self.0.wires.lock().unwrap_or_else(PoisonError::into_inner);
        wires.push(Arc::downgrade(wire));
    }

    /// Watches the edges, those for calls first. Only the first call counts.
    pub(crate) fn watch_edges(&self, edges: Vec<Edge>) {
        self.0.edges.get_or_init(|| edges);
    }

    /// The figures of this moment, under these plans.
    pub(crate) fn take(&self, plan: &InForce, keys: &IssuerKeys) -> Figures {
        let edges = self.0.edges.get().map_or(&[][..], Vec::as_slice);
        let mut connections = ConnectionFigures::default();
        let mut listeners = Vec::new();
        for Edge {
            control,
            listeners: at,
        } in edges
        {
            let counts = control.counts();
            connections.accepted += counts.accepted.load(Relaxed);
            connections.turned_away += counts.turned_away.load(Relaxed);
            connections.tls_failed += counts.tls_failed.load(Relaxed);
            listeners.extend(at.iter().map(|(name, address)| ListenerFigures {
                name: name.to_string(),
                address: shown(address),
                open: counts.open_of(name) as u64,
            }));
        }
        Figures {
            plan_loaded_us: self.0.plan_loaded_us.load(Relaxed),
            connections,
            listeners,
            pools: self.pools(plan),
            issuers: issuers(plan, keys),
        }
    }

    /// Every endpoint of the plans, and those of earlier plans that are still
    /// connected to. A limit is that of one worker, so they add up.
    fn pools(&self, plans: &InForce) -> Vec<PoolFigures> {
        let wires: Vec<Arc<HttpWire>> = {
            let wires = self.0.wires.lock().unwrap_or_else(PoisonError::into_inner);
            wires.iter().filter_map(Weak::upgrade).collect()
        };
        let mut pools: BTreeMap<String, PoolFigures> = BTreeMap::new();
        let mut named = BTreeSet::new();
        for provider in plans.plans().flat_map(|plan| &plan.providers) {
            let Some(endpoint) = &provider.endpoint else {
                continue;
            };
            let pool = pools.entry(endpoint.id.clone()).or_default();
            if !named.insert((endpoint.id.clone(), provider.name.clone())) {
                continue;
            }
            pool.provider = Some(match pool.provider.take() {
                Some(others) => format!("{others}, {}", provider.name),
                None => provider.name.to_string(),
            });
            pool.address = format!("{}:{}", endpoint.host, endpoint.port);
            pool.limit = u64::from(endpoint.connections_max) * wires.len() as u64;
        }
        for stats in wires.iter().flat_map(|wire| wire.pools()) {
            let endpoint = &stats.endpoint;
            let pool = pools
                .entry(endpoint.id.clone())
                .or_insert_with(|| PoolFigures {
                    address: format!("{}:{}", endpoint.host, endpoint.port),
                    limit: u64::from(endpoint.connections_max) * wires.len() as u64,
                    ..PoolFigures::default()
                });
            pool.open += stats.open;
            pool.idle += stats.idle;
            pool.in_use += stats.open.saturating_sub(stats.idle);
            pool.waiting += stats.waiting;
        }
        let mut pools: Vec<PoolFigures> = pools.into_values().collect();
        // By name, those of earlier plans last.
        pools.sort_by(|a, b| {
            let key = |pool: &PoolFigures| (pool.provider.is_none(), pool.provider.clone());
            key(a).cmp(&key(b))
        });
        pools
    }
}

fn issuers(plan: &Plan, keys: &IssuerKeys) -> Vec<IssuerFigures> {
    let held = keys.held(plan).into_iter();
    held.map(|(name, held)| IssuerFigures {
        name: name.to_string(),
        keys: held.set.as_ref().map_or(0, |set| set.len() as u64),
        fetched_s: held.fetched_s,
        failures: u64::from(held.failures),
        trouble: held.trouble,
    })
    .collect()
}

fn shown(address: &Address) -> String {
    match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix { path, .. } => format!("unix:{}", path.display()),
    }
}
