//! The wire: the public door of this room. It finds the pool of an endpoint,
//! opens connections, sends, and tries once more what was certainly not
//! processed. Not here: how the protocols work (`h1`, `h2conn`).

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Duration;

use contract::seams::{Endpoint, Going, Inbound, Outbound, Wire, WireFault, WireFaultKind};
use rustls::ClientConfig;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::connect::{Dialed, dial};
use crate::dns::Resolver;
use crate::fault::{Failed, unsent};
use crate::options::WireOptions;
use crate::pool::{Counts, Grant, Lease1, Lease2, Origin, Slot, Taken};
use crate::stream::Stream;
use crate::tls::TlsSettings;
use crate::{h1, h2conn};

/// How often idle connections are looked over, at most.
const SWEEP_MAX: Duration = Duration::from_secs(10);

/// The real way to upstreams, with a pool of its own. Meant to be owned by one
/// worker and used within its tokio runtime, which must have IO and timers.
///
/// A send may wait up to the endpoint's `connect_ms` for a connection that is
/// in use or being opened by others, and then as long again to open its own.
pub struct HttpWire {
    shared: Arc<Shared>,
}

/// What a wire holds and has done, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireStats {
    /// Connections open, idle ones included.
    pub open: u64,
    /// Connections open that serve no request.
    pub idle: u64,
    /// Requests waiting for a connection.
    pub waiting: u64,
    /// Connections opened since the start.
    pub connects: u64,
    /// Requests that found a connection open since the start.
    pub reuses: u64,
}

/// The connections of a wire to one endpoint.
#[derive(Clone, Debug)]
pub struct PoolStats {
    /// The endpoint; its `connections_max` is the limit.
    pub endpoint: Arc<Endpoint>,
    /// Connections open, idle ones included.
    pub open: u64,
    /// Connections open that serve no request.
    pub idle: u64,
    /// Requests waiting for a connection.
    pub waiting: u64,
}

impl HttpWire {
    /// A wire without connections.
    #[must_use]
    pub fn new(options: WireOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                resolver: Resolver::new(options.dns_ttl, options.dns_names_max),
                options: Arc::new(options),
                origins: Mutex::default(),
                tls: TlsSettings::default(),
                counts: Arc::default(),
                sweeper: OnceLock::new(),
            }),
        }
    }

    /// A snapshot over all endpoints.
    #[must_use]
    pub fn stats(&self) -> WireStats {
        let mut stats = WireStats {
            connects: self.shared.counts.connects.load(Ordering::Relaxed),
            reuses: self.shared.counts.reuses.load(Ordering::Relaxed),
            ..WireStats::default()
        };
        for origin in self.shared.lock().all.values() {
            let level = origin.level();
            stats.open += level.open;
            stats.idle += level.idle;
            stats.waiting += level.waiting;
        }
        stats
    }

    /// A snapshot of each endpoint that was used, in no order.
    #[must_use]
    pub fn pools(&self) -> Vec<PoolStats> {
        let origins = self.shared.lock();
        let stats = origins.all.values().map(|origin| {
            let level = origin.level();
            PoolStats {
                endpoint: Arc::clone(&origin.endpoint),
                open: level.open,
                idle: level.idle,
                waiting: level.waiting,
            }
        });
        stats.collect()
    }

    /// Closes every connection that serves no request, for a reload or a
    /// drain, and forgets endpoints without any. Requests at work go on.
    pub fn close_idle(&self) {
        self.shared.close_idle();
    }
}

impl Wire for HttpWire {
    fn send(&self, outbound: Outbound) -> Going<'_, Result<Inbound, WireFault>> {
        Box::pin(self.shared.send(outbound))
    }
}

impl Drop for HttpWire {
    fn drop(&mut self) {
        if let Some(sweeper) = self.shared.sweeper.get() {
            sweeper.abort();
        }
        self.shared.close_idle();
    }
}

/// The pools by the ids of their endpoints.
#[derive(Default)]
struct Origins {
    all: HashMap<String, Arc<Origin>>,
    /// The one that was used last: most often the next one, too.
    recent: Option<(Arc<Endpoint>, Arc<Origin>)>,
}

struct Shared {
    options: Arc<WireOptions>,
    origins: Mutex<Origins>,
    resolver: Resolver,
    tls: TlsSettings,
    counts: Arc<Counts>,
    /// The task that closes what idles too long; it starts with the first
    /// connection and ends with the wire.
    sweeper: OnceLock<AbortHandle>,
}

impl Shared {
    async fn send(self: &Arc<Self>, outbound: Outbound) -> Result<Inbound, WireFault> {
        let origin = self.origin(&outbound.endpoint);
        match self.attempt(&origin, origin.take(), &outbound).await {
            Ok(inbound) => Ok(inbound),
            Err(Failed { again: true, .. }) => {
                // The one retry of this room: the upstream did not process it.
                let second = self.attempt(&origin, origin.take_fresh(), &outbound).await;
                second.map_err(|failed| failed.fault)
            }
            Err(Failed {
                fault,
                again: false,
            }) => Err(fault),
        }
    }

    async fn attempt(
        self: &Arc<Self>,
        origin: &Arc<Origin>,
        taken: Taken,
        outbound: &Outbound,
    ) -> Result<Inbound, Failed> {
        let grant = match taken {
            Taken::Now(grant) => grant,
            Taken::Later(later) => wait(origin, later).await.map_err(lasting)?,
            Taken::Full => return Err(lasting(full(origin))),
        };
        let ready = match grant {
            Grant::Http1(lease) => Ready::Http1(lease),
            Grant::Http2(lease) => Ready::Http2(lease),
            // Boxed, since few requests need the large state of a handshake.
            Grant::Dial(slot) => Box::pin(self.open(origin, slot)).await.map_err(lasting)?,
            Grant::Fault(fault) => return Err(lasting(fault)),
        };
        match ready {
            Ready::Http1(lease) => h1::exchange(lease, outbound).await,
            Ready::Http2(lease) => h2conn::exchange(lease, outbound).await,
        }
    }

    /// Fills a slot with a connection.
    async fn open(self: &Arc<Self>, origin: &Arc<Origin>, slot: Slot) -> Result<Ready, WireFault> {
        self.start_sweeper();
        match self.connect(origin).await {
            Ok(Connected::Http1(stream)) => Ok(Ready::Http1(slot.opened_http1(stream))),
            Ok(Connected::Http2(send, connection)) => {
                let (lease, origin, id) = slot.opened_http2(send);
                // Its owner is the pool: the task ends once the pool drops its
                // sender and the last stream is done.
                tokio::spawn(h2conn::drive(*connection, origin, id));
                Ok(Ready::Http2(lease))
            }
            Err(fault) => {
                slot.failed(&fault);
                Err(fault)
            }
        }
    }

    async fn connect(&self, origin: &Origin) -> Result<Connected, WireFault> {
        let endpoint = &*origin.endpoint;
        let tls = endpoint.tls.then(|| self.settings(origin)).transpose();
        let tls = tls.map_err(|detail| unsent(WireFaultKind::Tls, detail))?;
        match dial(endpoint, &self.resolver, tls).await? {
            Dialed::Http1(stream) => Ok(Connected::Http1(stream)),
            Dialed::Http2(stream) => {
                let (send, connection) = h2conn::handshake(stream, &self.options).await?;
                Ok(Connected::Http2(send, Box::new(connection)))
            }
        }
    }

    fn settings(&self, origin: &Origin) -> Result<Arc<ClientConfig>, String> {
        if let Some(settings) = origin.tls.get() {
            return Ok(Arc::clone(settings));
        }
        let settings = self.tls.of(&origin.endpoint)?;
        Ok(Arc::clone(origin.tls.get_or_init(|| settings)))
    }

    fn origin(&self, endpoint: &Arc<Endpoint>) -> Arc<Origin> {
        let mut origins = self.lock();
        if let Some((known, origin)) = &origins.recent
            && Arc::ptr_eq(known, endpoint)
        {
            return Arc::clone(origin);
        }
        if let Some(origin) = origins.all.get(&endpoint.id) {
            let origin = Arc::clone(origin);
            origins.recent = Some((Arc::clone(endpoint), Arc::clone(&origin)));
            return origin;
        }
        let origin = Arc::new(Origin::new(
            Arc::clone(endpoint),
            Arc::clone(&self.options),
            Arc::clone(&self.counts),
        ));
        origins.all.insert(endpoint.id.clone(), Arc::clone(&origin));
        origin
    }

    fn lock(&self) -> MutexGuard<'_, Origins> {
        self.origins.lock().expect("no holder of this lock panics")
    }

    fn close_idle(&self) {
        let mut origins = self.lock();
        origins.recent = None;
        origins.all.retain(|_, origin| {
            origin.close_idle();
            // A request that holds it is about to use it.
            Arc::strong_count(origin) > 1 || !origin.is_unused()
        });
    }

    fn start_sweeper(self: &Arc<Self>) {
        self.sweeper.get_or_init(|| {
            let every = SWEEP_MAX.min(self.options.idle_timeout / 2);
            let every = every.max(Duration::from_millis(1));
            tokio::spawn(sweep(Arc::downgrade(self), every)).abort_handle()
        });
    }
}

/// A connection to send one request on.
enum Ready {
    Http1(Lease1),
    Http2(Lease2),
}

/// A new connection, not yet in its pool.
enum Connected {
    Http1(Stream),
    Http2(
        h2::client::SendRequest<bytes::Bytes>,
        Box<h2conn::Connected>,
    ),
}

fn lasting(fault: WireFault) -> Failed {
    Failed {
        fault,
        again: false,
    }
}

fn full(origin: &Origin) -> WireFault {
    let detail = format_args!(
        "{} requests wait for a connection already; raise connections_max or lower the load",
        origin.options.waiters_max
    );
    unsent(WireFaultKind::Exhausted, detail)
}

/// Waits in the queue of a pool.
async fn wait(origin: &Origin, later: oneshot::Receiver<Grant>) -> Result<Grant, WireFault> {
    match timeout(Duration::from_millis(origin.endpoint.connect_ms), later).await {
        Ok(Ok(grant)) => Ok(grant),
        Ok(Err(_)) => Err(unsent(WireFaultKind::Exhausted, "the pool is gone")),
        Err(_) => Err(origin.waited_in_vain()),
    }
}

async fn sweep(shared: Weak<Shared>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let now = Instant::now();
        for origin in shared.lock().all.values() {
            origin.sweep(now);
        }
    }
}

#[cfg(test)]
mod tests;
