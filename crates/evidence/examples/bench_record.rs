//! What a record costs: CPU per record of encoding, appending, counting and
//! indexing, on this machine. Run it with `cargo run --release -p
//! tollgate-evidence --example bench_record`, best pinned to one core.
//!
//! Deliberately not here: a pass or fail. The figures are for reading.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::hint::black_box;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use contract::{Usage, UsageSource};
use store::{
    IndexOptions, Journal, LineWriter, LogOptions, MemoryJournal, RecordIndex, SegmentLog, process,
};
use tempfile::TempDir;
use tollgate_evidence::{
    Attempt, AttemptTimes, Candidate, Decision, Evidence, LogLine, Meter, Name, Outcome, Record,
    RequestId, RouteKey, extract,
};

/// Names that a real exchange shares with others.
struct Names {
    key: Name,
    tenant: Name,
    provider: Name,
    model: Name,
    plan: Name,
}

fn record(n: u64, names: &Names) -> Record {
    let mut record = Record::begin(
        RequestId::mint(
            1_763_000_000_000_000 + n,
            n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        ),
        1_763_000_000_000_000 + n,
    );
    record.duration_us = 800 + n % 1_000;
    record.overhead_us = Some(20 + n % 50);
    record.operation = "chat".into();
    record.dialect = "openai".into();
    record.who.key_id = Some(names.key.clone());
    record.who.tenant = Some(names.tenant.clone());
    record.note_header("user-agent", "openai-python/2.7.1");
    record.request.model = Some(names.model.clone());
    record.request.bytes = 1_032;
    record.request.turns = 3;
    record.plan = Some(names.plan.clone());
    record.contract = 1;
    record.decisions.push(Decision {
        stage: "identity".into(),
        verdict: "allow".into(),
        reason: "key_valid".into(),
        ..Decision::default()
    });
    record.candidates.push(Candidate {
        provider: names.provider.clone(),
        model: names.model.clone(),
        ..Candidate::default()
    });
    record.attempts.push(Attempt {
        provider: names.provider.clone(),
        model: names.model.clone(),
        times: AttemptTimes {
            queued_us: Some(8),
            sent_us: Some(9),
            head_us: Some(700),
            first_token_us: Some(750),
            last_us: Some(790),
        },
        status: Some(200),
        upstream_request_id: Some("req_0123456789abcdef".into()),
        committed: true,
        ..Attempt::default()
    });
    record.status = 200;
    record.usage = Usage {
        input: 290,
        output: 41,
        source: UsageSource::Provider,
        ..Usage::default()
    };
    record.finish.push("stop".into());
    record.bytes_out = 900;
    record.outcome = Outcome::Complete;
    record
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = io::stdout();
    let names = Names {
        key: "key_7f3a".into(),
        tenant: "acme".into(),
        provider: "openai".into(),
        model: "gpt-5".into(),
        plan: "9f2c4e1a7b3d9f2c4e1a7b3d9f2c4e1a".into(),
    };
    let meter = Arc::new(Meter::new());
    let route = meter.route(&RouteKey {
        dialect: "openai",
        operation: "chat",
        provider: "openai",
        model: "gpt-5",
        tenant: "acme",
        use_case: "",
    });
    let bytes = record(1, &names).encode().len();
    writeln!(
        out,
        "one record: {bytes} bytes, {} with its head",
        bytes + 52
    )?;
    let build = each(1_000_000, |n| drop(black_box(record(n, &names))));
    writeln!(out, "build: {build} ns")?;
    let one = record(1, &names);
    writeln!(
        out,
        "encode: {} ns",
        each(1_000_000, |_| drop(black_box(one.encode())))
    )?;
    let count = each(5_000_000, |_| meter.count(black_box(&one), &route));
    writeln!(out, "metrics: {count} ns")?;
    writeln!(
        out,
        "in flight: {} ns",
        each(5_000_000, |_| drop(black_box(meter.enter())))
    )?;
    writeln!(
        out,
        "json: {} ns",
        each(200_000, |_| drop(black_box(one.to_json())))
    )?;

    let memory = Arc::new(MemoryJournal::new(10, 10));
    let idle = Evidence::new(memory, Arc::new(Meter::new()), LogLine::Off, None);
    writeln!(
        out,
        "admit and give back: {} ns",
        each(1_000_000, |_| drop(idle.admit()))
    )?;

    for (rate, index, log) in [
        (u64::MAX, false, LogLine::Off),
        (30_000, false, LogLine::Off),
        (30_000, true, LogLine::Off),
        (30_000, false, LogLine::Full),
        (500, false, LogLine::Off),
    ] {
        writeln!(out, "{}", journal(rate, index, log, &names)?)?;
    }
    Ok(())
}

/// Wall nanoseconds of each call; the thread does nothing else.
fn each(calls: u64, mut call: impl FnMut(u64)) -> u64 {
    let began = Instant::now();
    (0..calls).for_each(&mut call);
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX) / calls
}

/// Writes records at a rate and tells the CPU of the whole process for each,
/// less that of building them.
fn journal(
    rate: u64,
    with_index: bool,
    log: LogLine,
    names: &Names,
) -> Result<String, Box<dyn std::error::Error>> {
    let dir = TempDir::new()?;
    let log_dir = dir.path().join("journal");
    let journal: Arc<dyn Journal> = Arc::new(SegmentLog::open(&log_dir, LogOptions::default())?);
    let index = if with_index {
        let path = dir.path().join("index.db");
        let options = IndexOptions::default();
        Some(RecordIndex::open(
            &path,
            journal.clone(),
            Arc::new(extract),
            options,
        )?)
    } else {
        None
    };
    let meter = Arc::new(Meter::new());
    let lines = match log {
        LogLine::Off => None,
        LogLine::Sampled(_) | LogLine::Full => {
            Some(Arc::new(LineWriter::start(io::sink(), 1 << 20)?))
        }
    };
    let evidence = Evidence::new(journal.clone(), meter.clone(), log, lines);
    let route = meter.route(&RouteKey::default());
    let seconds = 4;
    let (total, tick) = match rate {
        u64::MAX => (2_000_000, None),
        rate => (rate * seconds, Some(Duration::from_millis(2))),
    };
    let building_ns = each(200_000, |n| drop(black_box(record(n, names))));
    let cpu = process::facts().cpu_ms.unwrap_or(0);
    let began = Instant::now();
    let (mut sent, mut refused) = (0, 0u64);
    while sent < total {
        let due = match tick {
            None => total,
            Some(_) => {
                let us = u64::try_from(began.elapsed().as_micros())?;
                total.min(us * rate / 1_000_000)
            }
        };
        while sent < due {
            match evidence.admit() {
                Ok(slot) => {
                    slot.write(&mut record(sent, names), &route);
                    sent += 1;
                }
                Err(_) => {
                    refused += 1;
                    journal.flush(Duration::from_secs(10));
                }
            }
        }
        if let Some(tick) = tick {
            std::thread::sleep(tick);
        }
    }
    journal.flush(Duration::from_secs(10));
    let wall_ms = u64::try_from(began.elapsed().as_millis())?.max(1);
    let cpu_ms = process::facts().cpu_ms.unwrap_or(0) - cpu;
    let each_ns = (cpu_ms * 1_000_000 / total).saturating_sub(building_ns);
    let lag = index.map_or(0, |index| index.status().lag());
    let rate = total * 1_000 / wall_ms;
    Ok(format!(
        "journal: {rate} records/s, {each_ns} ns CPU each (index {with_index}, log {log:?}, lag \
         {lag}, refused {refused})"
    ))
}
