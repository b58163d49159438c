//! `tollgate serve`: from arguments to a running gateway, and its end.
//!
//! Deliberately not here: the pieces (`config`, `records`, `serve`, `reload`).

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use admin::{AdminKey, AdminState};
use cli::ServeArgs;
use contract::seams::Clock;
use transport::RealClock;

use crate::admin_door::AdminDoor;
use crate::banner::{self, Banner};
use crate::config::{Loaded, Loader, Overrides, Reloader, locate, watch};
use crate::edge::listen::Address;
use crate::key_file;
use crate::records::Records;
use crate::reload::{self, Applier};
use crate::serve::{Gateway, House, Legacy, Shape, watch_signals};

/// Runs the gateway until it is told to leave.
pub(crate) fn serve(args: ServeArgs) -> ExitCode {
    let origin = locate(args.config.as_deref());
    let name = origin.name();
    let overrides = Overrides {
        data_dir: args.data_dir,
        listen: args.listen,
        admin_listen: args.admin_listen,
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
    let Loaded {
        compiled,
        data_dir,
        development_key,
        discovery,
        files,
        document,
    } = loaded;
    // It holds secrets, and nothing needs it any more.
    drop(document);
    std::fs::create_dir_all(&data_dir)?;
    for note in discovery.iter().flat_map(|discovery| &discovery.notes) {
        crate::say(note);
    }
    reload::warn(&compiled.warnings, name);
    let legacy = Legacy::find(&data_dir)?;
    let shape = Shape::of(&compiled);
    let records = Records::open(&compiled.evidence, &compiled.log, &data_dir)?;
    let house = records.house(compiled.plan);
    let applier = Applier::new(house.clone(), shape.clone(), name.to_owned());
    let reloader = {
        let applier = applier.clone();
        watch(loader, files, move |outcome| applier.apply(outcome))?
    };
    let key = key_file::ADMIN.load_or_make(&data_dir)?;
    let (state, reloader) = admin_state(&records, &house, &applier, reloader, AdminKey::new(&key));
    let state = AdminState {
        workers: shape.workers,
        ..state
    };
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let door = AdminDoor::new(state, house.health.clone(), clock);
    house.lending.follow(&house.plan.load());
    let mut gateway = Gateway::start(&shape, &data_dir, &house, door, legacy)?;
    watch_signals(gateway.control(), reloader)?;
    gateway.open();
    let plan = house.plan.load_full();
    let providers: Vec<&str> = plan
        .providers
        .iter()
        .map(|provider| &*provider.name)
        .collect();
    let data = url(&gateway, "data");
    let admin = url(&gateway, "admin");
    let text = banner::render(&Banner {
        data: &data,
        admin: &admin,
        data_dir: &data_dir.display().to_string(),
        providers: &providers,
        model: &banner::model(&plan),
        dev_key: development_key.as_ref().map(|key| key.expose().as_str()),
        plan: &plan.digest,
    });
    // A closed standard output is no reason not to serve.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    let report = gateway.run();
    records.close();
    crate::say(&format!(
        "stopped: {} connections ended by themselves, {} were cut at the deadline",
        report.finished, report.cut
    ));
    Ok(())
}

/// The state of the admin API, and what a hang-up calls.
fn admin_state(
    records: &Records,
    house: &House,
    applier: &Arc<Applier>,
    reloader: Reloader,
    key: AdminKey,
) -> (AdminState, impl FnMut() + Send + 'static) {
    let on_hangup = reloader.trigger();
    let reload = {
        let applier = applier.clone();
        Arc::new(move || applier.ask(&|| reloader.reload()))
    };
    let state = AdminState {
        evidence: house.evidence.clone(),
        index: records.index.clone(),
        plan: house.plan.clone(),
        reload,
        figures: {
            let (gauges, plan) = (house.gauges.clone(), house.plan.clone());
            Arc::new(move || gauges.take(&plan.load()))
        },
        key,
        started_us: RealClock::new().unix_us(),
        workers: 1,
    };
    (state, on_hangup)
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
