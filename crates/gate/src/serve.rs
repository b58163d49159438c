//! Putting it all together: a compiled configuration becomes a running
//! gateway, until it is told to leave.
//!
//! Deliberately not here: reading files (`config`), taking calls in (`edge`),
//! opening records (`records`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use contract::seams::{Clock, Dice, Wire};
use evidence::Evidence;
use flow::{Alerts, Factors, Flow, Handles, Lines};
use meter::{Counters, LocalCounters};
use plan::{
    Compiled, DrainTimes, EdgeLimits, EvidenceSettings, InForce, Listener as Wanted, LogEntry,
    Plan, SharedCounters, SharedDatabase, Where,
};
use store::{ApprovalLane, Inflight, ReplyLane};
use transport::{HttpWire, RealClock, RealDice, WireOptions};

use crate::admin_door::AdminDoor;
use crate::door::{DataDoor, Standings};
use crate::edge::body::BodyLimits;
use crate::edge::control::{Control, Notice, Notices, Plan as EdgePlan};
use crate::edge::framing::Limits;
use crate::edge::handover::{Goods, Offer, Succession, take_over};
use crate::edge::listen::{Address, Inherited, Listener, ListenerSpec};
use crate::edge::serve::Settings;
use crate::edge::signals;
use crate::edge::tls::{ClientCa, Tls, TlsFiles};
use crate::edge::warden::Timeouts;
use crate::edge::workers::{DrainReport, Running, start};
use crate::figures::{Edge, Gauges};
use crate::health::Health;
use crate::issuers::IssuerKeys;
use crate::lend::Lending;
use crate::records::Records;
use crate::virtual_keys::VirtualKeys;

/// The socket in the data directory over which a successor takes the
/// listening sockets.
const CONTROL_SOCKET: &str = "control.sock";

/// A running gateway.
pub(crate) struct Gateway {
    data: Running,
    admin: Running,
    secure: Vec<String>,
    offer: Offer,
    succession: Option<Succession>,
    health: Health,
}

/// The part of a configuration that stays as it is until a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Listeners for calls.
    pub(crate) data: Vec<Wanted>,
    /// Listeners for operators.
    pub(crate) admin: Vec<Wanted>,
    /// Worker threads.
    pub(crate) workers: usize,
    /// Limits of connections.
    pub(crate) edge: EdgeLimits,
    /// Times of the way out.
    pub(crate) drain: DrainTimes,
    /// The data folder, if configured.
    pub(crate) data_dir: Option<PathBuf>,
    /// Where and how records are kept.
    pub(crate) evidence: EvidenceSettings,
    /// How counters are shared.
    pub(crate) counters: Option<SharedCounters>,
    /// The database that replicas share.
    pub(crate) database: Option<SharedDatabase>,
    /// Log lines.
    pub(crate) log: LogEntry,
}

impl Shape {
    /// The sections of the configuration in which another shape differs.
    pub(crate) fn differs(&self, other: &Self) -> Vec<&'static str> {
        let differs = [
            ("listen.data", self.data != other.data),
            ("listen.admin", self.admin != other.admin),
            ("data_dir", self.data_dir != other.data_dir),
            ("workers", self.workers != other.workers),
            ("limits (of connections)", self.edge != other.edge),
            ("evidence", self.evidence != other.evidence),
            ("counters", self.counters != other.counters),
            ("database", self.database != other.database),
            ("log", self.log != other.log),
            ("drain", self.drain != other.drain),
        ];
        let names = differs.into_iter().filter(|(_, differs)| *differs);
        names.map(|(name, _)| name).collect()
    }

    /// That part of a configuration.
    pub(crate) fn of(compiled: &Compiled) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            data: compiled.data.clone(),
            admin: compiled.admin.clone(),
            workers: compiled.workers.unwrap_or(cores),
            edge: compiled.edge,
            drain: compiled.drain,
            data_dir: compiled.data_dir.clone(),
            evidence: compiled.evidence.clone(),
            counters: compiled.counters.clone(),
            database: compiled.database.clone(),
            log: compiled.log,
        }
    }
}

/// What is shared by everything that runs.
#[derive(Clone)]
pub(crate) struct House {
    /// The plan in force, and the candidate of a roll-out.
    pub(crate) plan: Arc<ArcSwap<InForce>>,
    /// Where records go.
    pub(crate) evidence: Evidence,
    /// Whether we serve.
    pub(crate) health: Health,
    /// What `/v1/status` shows of the assembly.
    pub(crate) gauges: Gauges,
    /// Temporary keys of providers.
    pub(crate) lending: Lending,
    /// Keys of issuers of tokens.
    pub(crate) issuers: IssuerKeys,
    /// Keys of callers that were made at run time.
    pub(crate) keys: VirtualKeys,
    /// The way to approvals, if any are kept.
    pub(crate) approvals: Option<ApprovalLane>,
    /// Where limits and budgets are counted.
    pub(crate) counters: Arc<dyn Counters>,
    /// Calls that wait for room.
    pub(crate) lines: Arc<Lines>,
    /// What was learned about counts of tokens.
    pub(crate) factors: Arc<Factors>,
    /// Who is told of budgets.
    pub(crate) alerts: Arc<Alerts>,
    /// Where exchanges under way are noted.
    pub(crate) inflight: Arc<dyn Inflight>,
    /// The way to the replies of earlier calls, if any are kept.
    pub(crate) replies: Option<ReplyLane>,
}

/// Sockets that a process before this one, or the service manager, left us.
pub(crate) struct Legacy {
    inherited: Inherited,
    succession: Option<Succession>,
}

impl Legacy {
    /// Looks for sockets to take over. To be called once, early.
    ///
    /// # Errors
    /// There is a process that has them, but it did not hand them over.
    pub(crate) fn find(data_dir: &Path) -> io::Result<Self> {
        let mut inherited = Inherited::from_service_manager();
        let taken = take_over(&data_dir.join(CONTROL_SOCKET))?;
        let succession = taken.map(|(succession, sockets)| {
            inherited.extend(sockets);
            succession
        });
        Ok(Self {
            inherited,
            succession,
        })
    }
}

impl Gateway {
    /// Opens the listeners and starts to serve.
    ///
    /// # Errors
    /// An address cannot be bound, a certificate cannot be read, or the
    /// process is out of threads or descriptors.
    pub(crate) fn start(
        shape: &Shape,
        data_dir: &Path,
        house: &House,
        admin_door: AdminDoor,
        mut legacy: Legacy,
    ) -> io::Result<Self> {
        let listeners = open(&shape.data, &mut legacy.inherited)?;
        let admin_listeners = open(&shape.admin, &mut legacy.inherited)?;
        let goods = Goods::of(listeners.iter().chain(&admin_listeners))?;
        let edge = edge_plan(shape.workers, &shape.edge, shape.drain);
        let data = {
            let (house, standing) = (house.clone(), standings(&shape.data));
            start(edge, listeners, move |_| data_door(&house, &standing))?
        };
        let admin_edge = edge_plan(1, &shape.edge, shape.drain);
        let admin = start(admin_edge, admin_listeners, move |_| admin_door.clone())?;
        let edge_of = |running: &Running| Edge {
            control: running.control().clone(),
            listeners: running.addresses().to_vec(),
        };
        house
            .gauges
            .watch_edges(vec![edge_of(&data), edge_of(&admin)]);
        let all = shape.data.iter().chain(&shape.admin);
        let secure = all
            .filter(|l| l.tls.is_some())
            .map(|l| l.name.clone())
            .collect();
        // With a successor, operators are answered by it alone.
        let controls = vec![data.control().clone(), admin.control().clone()];
        let offer = Offer::open(&data_dir.join(CONTROL_SOCKET), goods, controls)?;
        Ok(Self {
            data,
            admin,
            secure,
            offer,
            succession: legacy.succession,
            health: house.health.clone(),
        })
    }

    /// Addresses by the names of the listeners.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &(Arc<str>, Address)> {
        self.data.addresses().iter().chain(self.admin.addresses())
    }

    /// Whether a listener speaks TLS.
    pub(crate) fn is_secure(&self, name: &str) -> bool {
        self.secure.iter().any(|secure| secure == name)
    }

    /// The handle for signals.
    pub(crate) fn control(&self) -> &Control {
        self.data.control()
    }

    /// Says that calls may come: to probes, and to the process before.
    pub(crate) fn open(&mut self) {
        self.data.control().set_ready(true);
        self.admin.control().set_ready(true);
        self.health.follow(self.data.control().clone());
        let told = self.succession.take().map(Succession::ready);
        if let Some(Err(error)) = told {
            // It ended meanwhile, so nobody else accepts on these sockets.
            crate::say(&format!(
                "the process before this one did not hear that we are ready ({error}); we serve"
            ));
        }
    }

    /// Serves until it is told to leave, and drains.
    pub(crate) fn run(self) -> DrainReport {
        let Self {
            data, admin, offer, ..
        } = self;
        // Operators can look in until the last call has ended.
        let report = data.join();
        let control = admin.control().clone();
        control.leave();
        control.cut();
        admin.join();
        offer.close();
        report
    }
}

/// Listens to signals for these controls; a hang-up reloads.
///
/// # Errors
/// The handlers cannot be set up.
pub(crate) fn watch_signals(
    control: &Control,
    on_hangup: impl FnMut() + Send + 'static,
) -> io::Result<()> {
    signals::watch(control.clone(), on_hangup).map(drop)
}

/// The door of one worker: its own pool, its own flow.
pub(crate) fn data_door(house: &House, standing: &Standings) -> DataDoor {
    let wire = Arc::new(HttpWire::new(WireOptions::default()));
    house.gauges.watch_wire(&wire);
    let wire: Arc<dyn Wire> = wire;
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let dice: Arc<dyn Dice> = Arc::new(RealDice::new());
    let flow = Flow {
        plan: house.plan.clone(),
        keys: house.keys.table(),
        tokens: house.issuers.tokens(),
        wire,
        clock,
        dice,
        evidence: house.evidence.clone(),
        loans: house.lending.loans(),
        handles: Handles::default(),
        approvals: house.approvals.clone(),
        counters: house.counters.clone(),
        alerts: house.alerts.clone(),
        lines: house.lines.clone(),
        factors: house.factors.clone(),
        inflight: Some(house.inflight.clone()),
        replies: house.replies.clone(),
    };
    DataDoor {
        flow: Arc::new(flow),
        bodies: BodyLimits::default(),
        health: house.health.clone(),
        standing: standing.clone(),
    }
}

/// What listeners say about their callers, by their names.
pub(crate) fn standings(listeners: &[Wanted]) -> Standings {
    let standings = listeners.iter();
    Arc::new(
        standings
            .map(|it| (it.name.as_str().into(), it.standing.clone()))
            .collect(),
    )
}

/// Opens listeners.
pub(crate) fn open(wanted: &[Wanted], inherited: &mut Inherited) -> io::Result<Vec<Listener>> {
    wanted
        .iter()
        .map(|listener| {
            let tls = listener.tls.as_ref().map(|files| {
                let files = TlsFiles {
                    certificates: files.cert.clone(),
                    key: files.key.clone(),
                    client_ca: files.client_ca.as_ref().map(|ca| ClientCa {
                        file: ca.file.clone(),
                        optional: ca.optional,
                    }),
                };
                Tls::load(files).map_err(|fault| io::Error::other(fault.to_string()))
            });
            let address = match &listener.at {
                Where::Tcp(address) => Address::Tcp(*address),
                Where::Unix { path, mode } => Address::Unix {
                    path: path.clone(),
                    mode: *mode,
                },
            };
            let spec = ListenerSpec {
                name: listener.name.clone(),
                address,
                tls: tls.transpose()?,
            };
            Listener::open(&spec, inherited)
        })
        .collect()
}

/// How an edge runs with these limits.
pub(crate) fn edge_plan(workers: usize, limits: &EdgeLimits, drain: DrainTimes) -> EdgePlan {
    let ms = Duration::from_millis;
    let settings = Settings {
        limits: Limits {
            head_bytes_max: limits.head_bytes,
            headers_max: limits.headers,
            target_bytes_max: limits.target_bytes,
            ..Limits::default()
        },
        timeouts: Timeouts {
            head: ms(limits.head_ms),
            idle: ms(limits.idle_ms),
            write_stall: ms(limits.write_stall_ms),
            ..Timeouts::default()
        },
        connections_max: limits.connections,
        h2_streams_max: limits.streams,
        ..Settings::default()
    };
    EdgePlan {
        workers,
        settings,
        unready_before_drain: ms(drain.unready_before_ms),
        drain_max: ms(drain.max_ms),
        notices: notices(),
    }
}

fn notices() -> Notices {
    Arc::new(|notice| {
        let text = match notice {
            Notice::TlsReloaded { listener } => {
                format!("listener {listener}: the new certificate is in force")
            }
            Notice::TlsReloadFailed { listener, why } => format!(
                "listener {listener}: the new certificate cannot be used, the old one stays in \
                 force: {why}"
            ),
            Notice::AcceptFailed { listener, why } => format!(
                "listener {listener}: a connection could not be accepted: {why}; the gateway \
                 goes on"
            ),
        };
        crate::say(&text);
    })
}

impl Records {
    /// The house around these records and this plan.
    pub(crate) fn house(&self, plan: Plan) -> House {
        self.evidence.meter().plan_in_force(&plan.digest);
        let gauges = Gauges::default();
        gauges.plan_loaded(RealClock::new().unix_us());
        House {
            plan: Arc::new(ArcSwap::from_pointee(plan.into())),
            evidence: self.evidence.clone(),
            health: Health::default(),
            gauges,
            lending: Lending::new(Arc::default()),
            issuers: IssuerKeys::default(),
            keys: VirtualKeys::default(),
            approvals: None,
            lines: Arc::default(),
            factors: Arc::default(),
            counters: Arc::new(LocalCounters::default()),
            alerts: Arc::new(Alerts::new(crate::say)),
            inflight: self.inflight(),
            replies: None,
        }
    }
}
