//! A plan of five nested scopes, generated: the organisation, the tenant, the app, the use case and
//! the key, each with a limit of requests, a limit of tokens and a budget of money.
//!
//! It is the plain configuration of the bench with these limits and a price. None of them is ever
//! reached, so every call takes fifteen counters and settles them. Deliberately not here: running
//! anything but the server that replicas share their counters over.

use super::cores_of;
use super::process::Process;
use super::subjects::{find, free_port};
use super::{Options, workloads::Counters};
use std::fmt::Write;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What the calls of these workloads tell.
pub const METADATA: &str = "tollgate-use-case: support";
/// Servers that counters are shared over; the first that is installed is taken.
const SERVERS: [&str; 2] = ["valkey-server", "redis-server"];
/// Longest wait for that server.
const START_MAX: Duration = Duration::from_secs(5);
/// Pause between two looks at it.
const LOOK: Duration = Duration::from_millis(20);
/// Name of a scope, and what its counters go by.
const SCOPES: [(&str, &str); 5] = [
    ("organisation", "[]"),
    ("tenant", "[tenant]"),
    ("app", "[tenant, app]"),
    ("use-case", "[tenant, use_case]"),
    ("key", "[key]"),
];

/// The server of the counters, and where it is.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) url: String,
    pub(super) process: Process,
}

/// Why a workload with these counters cannot run here; `None` if it can.
pub(super) fn missing(counters: Counters) -> Option<String> {
    match counters {
        Counters::Shared if server().is_none() => Some(format!(
            "it needs a server of counters, and neither {} is installed",
            SERVERS.join(" nor ")
        )),
        Counters::Own | Counters::Shared => None,
    }
}

fn server() -> Option<PathBuf> {
    SERVERS.into_iter().find_map(find)
}

/// Starts the server on the core of load and upstream, with nothing kept on a disk.
pub(super) fn start(options: &Options, dir: &Path) -> Result<Server, String> {
    let program = server().ok_or("no server of counters is installed")?;
    let listen = free_port()?;
    // Its folder is the bench's, which is removed at the end.
    let data = dir.join(format!("counters-{}", listen.port()));
    fs::create_dir_all(&data).map_err(|e| format!("{}: {e}", data.display()))?;
    let port = listen.port().to_string();
    let folder = data.display().to_string();
    let args = [
        "--bind",
        "127.0.0.1",
        "--port",
        &port,
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        &folder,
    ];
    let args = args.map(str::to_owned);
    let log = data.join("server.log");
    let process = Process::start(&program, &args, cores_of(options).load, &log)?;
    wait_for(listen, &log)?;
    Ok(Server {
        url: format!("redis://{listen}/"),
        process,
    })
}

fn wait_for(listen: SocketAddr, log: &Path) -> Result<(), String> {
    let begun = Instant::now();
    while TcpStream::connect(listen).is_err() {
        if begun.elapsed() > START_MAX {
            let said = fs::read_to_string(log).unwrap_or_default();
            return Err(format!(
                "the server of counters does not listen on {listen}; it said: {said}"
            ));
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// The generated plan. `counters` is the address of the server of counters, if there is one.
pub fn document(plain: &str, counters: Option<&str>) -> String {
    let mut out = plain.trim_end().to_owned();
    out.push_str(
        "\nprices: { overrides: [{ provider: upstream, rates: { input: 0.15, output: 0.6 } }] }\n",
    );
    out.push_str("rate_limits:\n");
    for (name, by) in SCOPES {
        line(
            &mut out,
            &format!(
                "  - {{ name: {name}-requests, measure: requests, limit: 6000000, per: 1m, burst: 100000, by: {by} }}"
            ),
        );
        line(
            &mut out,
            &format!(
                "  - {{ name: {name}-tokens, measure: tokens, limit: 1000000000000, per: 1m, by: {by} }}"
            ),
        );
    }
    out.push_str("budgets:\n");
    for (name, by) in SCOPES {
        line(
            &mut out,
            &format!(
                "  - {{ name: {name}-month, measure: cost, limit: 1000000000, window: month, by: {by} }}"
            ),
        );
    }
    if let Some(url) = counters {
        // A short lease: a server that has just begun gives nothing for as long. A long deadline:
        // it shares a core with the load, which leaves it waiting for its turn.
        line(
            &mut out,
            &format!("counters: {{ backend: valkey, url: \"{url}\", lease: 2s, deadline: 1s }}"),
        );
    }
    out
}

fn line(out: &mut String, text: &str) {
    // Writing to a text cannot fail.
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_has_two_limits_and_a_budget() {
        let plan = document("providers: {}\n", None);
        assert_eq!(plan.matches("measure: requests").count(), SCOPES.len());
        assert_eq!(plan.matches("measure: tokens").count(), SCOPES.len());
        assert_eq!(plan.matches("measure: cost").count(), SCOPES.len());
        assert!(!plan.contains("counters:"));
        let shared = document("providers: {}\n", Some("redis://127.0.0.1:1/"));
        assert!(shared.contains("backend: valkey"));
    }
}
