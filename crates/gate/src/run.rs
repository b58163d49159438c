//! `tollgate serve`: from arguments to a running gateway, and its end.
//!
//! Deliberately not here: the pieces (`config`, `records`, `serve`, `reload`).

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use admin::{AdminKey, AdminState, SpentByAll};
use cli::{PlanOwner, ServeArgs};
use contract::Secret;
use contract::seams::Clock as _;
use plan::{Discovery, Kept};
use store::ApprovalLane;
use store_remote::ledger::SharedLedger;
use transport::RealClock;

use crate::admin_door::AdminDoor;
use crate::banner::{self, Banner};
use crate::config::{Loaded, Loader, Overrides, locate, watch};
use crate::edge::listen::Address;
use crate::edge::workers::DrainReport;
use crate::key_file;
use crate::plans::{Keeping, catch_up};
use crate::policy;
use crate::records::Records;
use crate::reload::{self, Applier, Maker};
use crate::replicas;
use crate::rollout;
use crate::serve::{Gateway, House, Legacy, Shape, watch_signals};

/// Runs the gateway until it is told to leave.
pub(crate) fn serve(args: ServeArgs) -> ExitCode {
    let origin = locate(args.config.as_deref());
    let name = origin.name();
    let overrides = Overrides {
        data_dir: args.data_dir,
        listen: args.listen,
        admin_listen: args.admin_listen,
        plan_owner: args.plan_owner.map(|owner| match owner {
            PlanOwner::File => plan::Owner::File,
            PlanOwner::Api => plan::Owner::Api,
        }),
    };
    let loader = match Loader::new(origin, overrides) {
        Ok(loader) => loader,
        Err(error) => return failed(&format!("the system gives no random numbers: {error}")),
    };
    let loaded = match loader.load() {
        Ok(loaded) => loaded,
        Err(failure) => {
            let colours = io::stderr().is_terminal();
            let text = failure.render(&name, colours);
            let code = failed(&format!("{name} cannot be used:\n{text}"));
            // As `tollgate config check` says it.
            return match failure.is_unreadable {
                true => ExitCode::from(2),
                false => code,
            };
        }
    };
    match run(loader, loaded, &name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error.to_string()),
    }
}

fn failed(text: &str) -> ExitCode {
    crate::say(text);
    ExitCode::FAILURE
}

fn run(loader: Loader, loaded: Loaded, name: &str) -> io::Result<()> {
    std::fs::create_dir_all(&loaded.data_dir)?;
    // Those of the file, which is watched whoever owns the plan.
    let files = loaded.files.clone();
    let (replicas, shelf) = replicas::open(&loaded)?;
    let (loaded, keeping) = Keeping::open(&loader, shelf, loaded)?;
    let Loaded {
        compiled,
        data_dir,
        development_key,
        discovery,
        kept,
        document,
        ..
    } = loaded;
    // It holds secrets, and nothing needs it any more.
    drop(document);
    tell_found(discovery.as_ref());
    reload::warn(&compiled.warnings, name);
    let legacy = Legacy::find(&data_dir)?;
    let shape = Shape::of(&compiled);
    let mut records = Records::open(&compiled.evidence, &compiled.log, &data_dir)?;
    let meter = records.evidence.meter();
    let (keys, key_rounds) = replicas::keys(replicas.as_ref(), &data_dir, meter)?;
    let approvals = crate::approvals::open(&data_dir, records.evidence.meter())?;
    let database = crate::database::open(shape.database.as_ref(), records.evidence.meter())?;
    let replies = crate::replies::open(&data_dir, database.as_ref(), records.evidence.meter())?;
    let counting = crate::counters::open(shape.counters.as_ref(), records.evidence.meter())?;
    let house = House {
        keys,
        replies: Some(replies.clone()),
        approvals: Some(approvals.clone()),
        counters: counting.counters.clone(),
        ..records.house(compiled.plan)
    };
    // Before the first call: what was spent counts.
    if let Some(local) = &counting.local {
        records.follow_ledger(local)?;
    }
    let start = Start {
        name: name.to_owned(),
        data_dir: data_dir.clone(),
        shape: shape.clone(),
        files,
        kept,
        approvals,
        ledger: records.share(database.as_ref(), &data_dir)?,
    };
    let (state, on_hangup) = operate(start, loader, keeping, &records, &house)?;
    let plans = state.plans.clone();
    let door = AdminDoor::new(state, house.health.clone(), Arc::new(RealClock::new()));
    house.follow(&house.plan.load());
    // Operators may have changed the plan in the process before since this one
    // read it; and may once more, until that one hears that this one is ready.
    let following = replicas::catch_up_and_follow(replicas.as_ref(), &house, &plans)?;
    let rollout_rounds = rollout::tend(house.clone(), plans.clone())?;
    let mut gateway = Gateway::start(&shape, &data_dir, &house, door, legacy)?;
    watch_signals(gateway.control(), on_hangup)?;
    gateway.open();
    catch_up(&plans).unwrap_or_else(|error| crate::say(&error.to_string()));
    greet(&gateway, &house, &data_dir, development_key.as_ref());
    let report = gateway.run();
    drop((following, key_rounds, rollout_rounds));
    replies.flush();
    counting.close();
    records.close();
    tell_stopped(&report);
    Ok(())
}

fn tell_found(discovery: Option<&Discovery>) {
    for note in discovery.iter().flat_map(|discovery| &discovery.notes) {
        crate::say(note);
    }
}

fn tell_stopped(report: &DrainReport) {
    crate::say(&format!(
        "stopped: {} connections ended by themselves, {} were cut at the deadline",
        report.finished, report.cut
    ));
}

/// What the gateway starts with.
struct Start {
    /// Where the configuration is from.
    name: String,
    data_dir: PathBuf,
    shape: Shape,
    /// Files to watch.
    files: Vec<PathBuf>,
    /// The document in the form in which it is kept.
    kept: Kept,
    /// The way to approvals.
    approvals: ApprovalLane,
    /// The ledger of all replicas, where they share a database.
    ledger: Option<SharedLedger>,
}

/// Lets operators in, and watches the configuration: the state of the admin
/// API, and what a hang-up calls.
fn operate(
    start: Start,
    loader: Loader,
    keeping: Keeping,
    records: &Records,
    house: &House,
) -> io::Result<(AdminState, impl FnMut() + Send + 'static)> {
    let loader = Arc::new(loader);
    let workers = start.shape.workers;
    let maker = Arc::new(Maker::new(house.clone(), start.shape, keeping.owner()));
    let (audit, author) = (keeping.audit.clone(), keeping.author());
    let now = (house.plan.load().plan.clone(), start.kept);
    let plans = keeping.plans(loader.clone(), maker.clone(), now)?;
    let applier = Applier::new(maker, plans.clone(), start.name, author);
    let reloader = {
        let applier = applier.clone();
        watch(loader, start.files, move |outcome| applier.apply(outcome))?
    };
    let on_hangup = reloader.trigger();
    let key = key_file::ADMIN.load_or_make(&start.data_dir)?;
    let state = AdminState {
        evidence: house.evidence.clone(),
        index: records.index.clone(),
        plan: house.plan.clone(),
        reload: Arc::new(move |by| applier.ask(by, &|| reloader.reload())),
        figures: {
            let house = house.clone();
            Arc::new(move || {
                let plan = house.plan.load();
                house.gauges.take(&plan, &house.issuers)
            })
        },
        key: AdminKey::new(&key),
        audit,
        keys: house.keys.admin(),
        find_key: policy::find_key(house.plan.clone(), house.keys.table()),
        counted: {
            let (counters, keys) = (house.counters.clone(), house.keys.clone());
            Arc::new(move || insight::budgets::Counted {
                of_keys: keys.counters(),
                ..insight::budgets::Counted::of(&*counters)
            })
        },
        spent_by_all: start.ledger.map(|ledger| -> SpentByAll {
            Arc::new(move |question| ledger.spend(question).map_err(|why| why.to_string()))
        }),
        approvals: start.approvals.store().clone(),
        plans,
        started_us: RealClock::new().unix_us(),
        workers,
    };
    Ok((state, on_hangup))
}

/// Says on standard output where the gateway is and how to call it.
fn greet(
    gateway: &Gateway,
    house: &House,
    data_dir: &Path,
    development_key: Option<&Secret<String>>,
) {
    let plan = house.plan.load_full();
    let providers: Vec<&str> = plan
        .providers
        .iter()
        .map(|provider| &*provider.name)
        .collect();
    let data = url(gateway, "data");
    let admin = url(gateway, "admin");
    let text = banner::render(&Banner {
        data: &data,
        admin: &admin,
        data_dir: &data_dir.display().to_string(),
        providers: &providers,
        model: &banner::model(&plan),
        dev_key: development_key.map(|key| key.expose().as_str()),
        plan: &plan.digest,
    });
    // A closed standard output is no reason not to serve.
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// The address of a listener, as a client writes it.
fn url(gateway: &Gateway, name: &str) -> String {
    let found = gateway
        .addresses()
        .find(|(listener, _)| &**listener == name);
    match found {
        Some((_, Address::Tcp(address))) => {
            let scheme = if gateway.is_secure(name) {
                "https"
            } else {
                "http"
            };
            let ip = address.ip();
            let host = if ip.is_unspecified() {
                "127.0.0.1".to_owned()
            } else {
                ip.to_string()
            };
            let host = if host.contains(':') {
                format!("[{host}]")
            } else {
                host
            };
            format!("{scheme}://{host}:{}", address.port())
        }
        Some((_, Address::Unix { path, .. })) => format!("unix:{}", path.display()),
        None => "-".to_owned(),
    }
}
