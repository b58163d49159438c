//! Where this gateway counts limits and budgets, and what sharing them with
//! other replicas comes to.
//!
//! Deliberately not here: the arithmetic (`meter`), and how shares are leased
//! (`store-remote`).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use evidence::{Meter, Sample};
use meter::book::COUNTERS_MAX;
use meter::{Counters, LocalCounters};
use plan::SharedCounters as Settings;
use store_remote::{
    Figures, LeaseFigures, OnUnavailable, SharedCounters, SharedOptions, ValkeyUrl,
};
use transport::RealClock;

/// The counters, and the way to end them.
pub(crate) struct Counting {
    /// To be asked.
    pub(crate) counters: Arc<dyn Counters>,
    /// The same, where they are of this process alone: they follow its ledger.
    pub(crate) local: Option<Arc<LocalCounters>>,
    shared: Option<Arc<SharedCounters>>,
}

impl Counting {
    /// Gives back what is leased. To be called when no exchange is under way
    /// any more.
    pub(crate) fn close(self) {
        if let Some(shared) = self.shared {
            shared.close();
        }
    }
}

/// The counters. Shared ones start without their server, and find it.
///
/// # Errors
/// The address of the server cannot be read, or no thread can be started.
pub(crate) fn open(shared: Option<&Settings>, meter: &Meter) -> io::Result<Counting> {
    let Some(settings) = shared else {
        let local = Arc::new(LocalCounters::default());
        show_local(meter, &local);
        return Ok(Counting {
            counters: local.clone(),
            local: Some(local),
            shared: None,
        });
    };
    // The fault never quotes the address, which may hold a password.
    let url = ValkeyUrl::read(settings.url.expose())
        .map_err(|fault| io::Error::other(format!("counters.url: {fault}")))?;
    // A name that no process ever had: what a dead one held stays spent.
    let replica = crate::records::node_id();
    let options = SharedOptions {
        group: settings.group.clone(),
        replica: replica.iter().map(|byte| format!("{byte:02x}")).collect(),
        deadline: Duration::from_millis(settings.deadline_ms),
        lease: Duration::from_millis(settings.lease_ms),
        on_unavailable: match settings.open_percent {
            None => OnUnavailable::Closed,
            Some(percent) => OnUnavailable::Open { percent },
        },
        counters_max: COUNTERS_MAX,
    };
    let clock = Arc::new(RealClock::new());
    let counters = Arc::new(SharedCounters::start(url, options, clock, crate::say)?);
    show(meter, &counters);
    Ok(Counting {
        counters: counters.clone(),
        local: None,
        shared: Some(counters),
    })
}

fn show_local(meter: &Meter, counters: &Arc<LocalCounters>) {
    // Metrics keep nothing alive.
    let counters = Arc::downgrade(counters);
    meter.watch(
        "tollgate_counters_uncounted",
        "Draws of limits that refuse nobody, not counted because there was no room for a counter",
        move || {
            let counters = counters.upgrade();
            let count = counters.map(|counters| counters.book().uncounted());
            let value = count.unwrap_or_default() as f64;
            let labels = Vec::new();
            vec![Sample { labels, value }]
        },
    );
}

fn show(meter: &Meter, counters: &Arc<SharedCounters>) {
    by_measure(
        meter,
        counters,
        "tollgate_counter_lease_outstanding",
        "Leased by this replica and not used, by measure; cost in nano-dollars",
        |leases| leases.outstanding,
    );
    by_measure(
        meter,
        counters,
        "tollgate_counter_lease_bound",
        "Most that one slice of each counter of this replica comes to: the declared bound of what \
         leases keep from others",
        |leases| leases.bound,
    );
    by_measure(
        meter,
        counters,
        "tollgate_counter_overdraft",
        "Used beyond the leases and not told to the server yet",
        |leases| leases.overdraft,
    );
    one(
        meter,
        counters,
        "tollgate_counters_up",
        "Whether the server of the counters answers",
        |figures| f64::from(u8::from(figures.is_up)),
    );
    one(
        meter,
        counters,
        "tollgate_counters_calls_failed",
        "Calls that the server of the counters did not answer, since the start",
        |figures| figures.failed as f64,
    );
    one(
        meter,
        counters,
        "tollgate_counters_refused",
        "Admissions that were refused because the server of the counters could not be asked",
        |figures| figures.refused as f64,
    );
}

fn by_measure(
    meter: &Meter,
    counters: &Arc<SharedCounters>,
    name: &'static str,
    help: &'static str,
    read: fn(&LeaseFigures) -> i64,
) {
    // Metrics keep nothing alive.
    let counters = Arc::downgrade(counters);
    meter.watch(name, help, move || {
        let figures = counters.upgrade().map(|counters| counters.figures());
        let leases = figures.map(|figures| figures.leases).unwrap_or_default();
        let sample = |lease: &LeaseFigures| Sample {
            labels: vec![("measure", lease.measure.name().to_owned())],
            value: read(lease) as f64,
        };
        leases.iter().map(sample).collect()
    });
}

fn one(
    meter: &Meter,
    counters: &Arc<SharedCounters>,
    name: &'static str,
    help: &'static str,
    read: fn(&Figures) -> f64,
) {
    let counters = Arc::downgrade(counters);
    meter.watch(name, help, move || {
        let figures = counters.upgrade().map(|counters| counters.figures());
        let sample = |figures: Figures| Sample {
            labels: Vec::new(),
            value: read(&figures),
        };
        figures.into_iter().map(sample).collect()
    });
}
