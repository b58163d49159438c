//! How long the gateway takes to load a large plan again while it serves, and what that plan takes
//! in memory.

use super::Options;
use super::figures::Figures;
use super::subjects::{Stage, Subject};
use super::workloads::UNDER_RELOAD;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Reloads that are measured.
const RELOADS: usize = 5;
/// How long the load runs.
const LOAD: Duration = Duration::from_secs(12);
/// Pause before each reload: the load is under way, and the one before has settled.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest wait for a reload.
const RELOAD_MAX: Duration = Duration::from_secs(30);
/// Pause between two looks at the metrics.
const LOOK: Duration = Duration::from_millis(5);
/// Longest wait for metrics.
const METRICS_MAX: Duration = Duration::from_secs(5);
/// The metric that says that a plan is in force.
const APPLIED: &str = "tollgate_reloads_total{outcome=\"applied\"}";

/// Memory of both plans, and reloads of the large one under load: one failed request is a failure
/// of the bench.
pub(super) fn measure(
    stage: &Stage,
    options: &Options,
    subjects: &[Subject],
    figures: &mut Figures,
    say: &mut impl FnMut(&str),
) -> Result<(), String> {
    let (Some(plain), Some(large)) = (named(subjects, "plain"), named(subjects, "gateway")) else {
        return Ok(());
    };
    let mib = |kib: f64| kib / 1024.0;
    let (of_plain, of_large) = (plain.idle_reading().rss_kib, large.idle_reading().rss_kib);
    figures.note(format!(
        "Resident memory with that plan: {:.1} MiB after the start ({:.1} with the plain one), {:.1} MiB after the load ({:.1}).",
        mib(large.idle_kib()),
        mib(plain.idle_kib()),
        mib(of_large),
        mib(of_plain)
    ));
    let request = stage.request_file(options, &UNDER_RELOAD)?;
    let (times, report) = thread::scope(|scope| {
        let load = scope.spawn(|| stage.load(large, options, &UNDER_RELOAD, &request, LOAD));
        let times = reloads(large);
        let report = load.join().map_err(|_| "the load panicked".to_owned())?;
        Ok::<_, String>((times?, report?))
    })?;
    let mut sorted = times.clone();
    sorted.sort();
    let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
    let note = format!(
        "Reload of that plan, one key changed, from SIGHUP to the new plan in force: median {:.0} ms, longest {:.0} ms of {RELOADS}; {} requests meanwhile, 0 failed, p99 {} us. {:.1} MiB afterwards.",
        ms(sorted.get(sorted.len() / 2)),
        ms(sorted.last()),
        report["ok"],
        report["latency_us"]["p99"],
        mib(large.idle_reading().rss_kib),
    );
    say(&format!("  {note}"));
    figures.note(note);
    Ok(())
}

fn named<'a>(subjects: &'a [Subject], name: &str) -> Option<&'a Subject> {
    subjects.iter().find(|subject| subject.name == name)
}

fn reloads(subject: &Subject) -> Result<Vec<Duration>, String> {
    let (process, config, admin) = subject.gateway().ok_or("this is no gateway")?;
    let text = fs::read_to_string(config).map_err(|e| format!("{}: {e}", config.display()))?;
    let mut times = Vec::with_capacity(RELOADS);
    for nth in 0..RELOADS {
        thread::sleep(PAUSE);
        let before = applied(admin)?;
        let changed = text.replace("id: key-1,", &format!("id: key-1-{nth},"));
        fs::write(config, changed).map_err(|e| format!("{}: {e}", config.display()))?;
        let begun = Instant::now();
        process.hang_up();
        while applied(admin)? == before {
            if begun.elapsed() > RELOAD_MAX {
                return Err(format!("no new plan in force after {RELOAD_MAX:?}"));
            }
            thread::sleep(LOOK);
        }
        times.push(begun.elapsed());
    }
    Ok(times)
}

/// How many reloads were applied so far.
fn applied(admin: SocketAddr) -> Result<u64, String> {
    let metrics = metrics(admin).map_err(|e| format!("metrics of {admin}: {e}"))?;
    let line = metrics.lines().find_map(|line| line.strip_prefix(APPLIED));
    Ok(line
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or_default())
}

fn metrics(admin: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&admin, METRICS_MAX)?;
    stream.set_read_timeout(Some(METRICS_MAX))?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
