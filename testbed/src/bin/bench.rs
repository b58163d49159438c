//! `bench`: the gateway beside direct and nginx, in one run. Builds nothing itself.

use clap::Parser;
use std::io::Write;
use std::path::PathBuf;
use testbed::bench::{Options, run};

/// Interleaved rounds of direct, nginx and gateway over the workloads of the project.
#[derive(Parser)]
struct Flags {
    /// The gateway's binary; without it only direct and nginx run.
    #[arg(long)]
    gateway: Option<PathBuf>,
    /// Template of the gateway's configuration: {{upstream}}, {{listen}}, {{admin}} and
    /// {{data_dir}} are replaced.
    #[arg(long, requires = "gateway")]
    config: Option<PathBuf>,
    /// Argument of the gateway, may be repeated; {config} and {data_dir} are replaced.
    #[arg(long, allow_hyphen_values = true, default_values_t = ["--config".to_owned(), "{config}".to_owned()])]
    gateway_arg: Vec<String>,
    /// The key that clients send; by default that of `testbed/bench/tollgate.yaml`.
    #[arg(long, default_value = "tg-bench-0123456789abcdef")]
    key: String,
    /// The model that clients name.
    #[arg(long, default_value = "gpt-4o-mini")]
    model: String,
    /// The model of the translated workloads; as --model where not given.
    #[arg(long)]
    translated_model: Option<String>,
    /// Interleaved rounds of each workload.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each run.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Streams held open in the memory workload.
    #[arg(long, default_value_t = 5000)]
    streams: usize,
    /// Only workloads whose name contains this; may be repeated.
    #[arg(long)]
    only: Vec<String>,
    /// A smoke run: one round of half a second, 500 streams.
    #[arg(long)]
    quick: bool,
    /// Core of the proxy under test.
    #[arg(long, default_value_t = 0)]
    proxy_core: usize,
    /// Core of the load generator and the upstream.
    #[arg(long, default_value_t = 1)]
    load_core: usize,
    /// Directory for bench.md and bench.json.
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> Result<(), String> {
    let f = Flags::parse();
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let tools = own
        .parent()
        .map(PathBuf::from)
        .ok_or("this binary has no directory")?;
    let (rounds, seconds, streams) = match f.quick {
        true => (1, 0.5, 500),
        false => (f.rounds, f.seconds, f.streams),
    };
    let options = Options {
        gateway: f.gateway,
        config: f.config,
        gateway_args: f.gateway_arg,
        key: f.key,
        translated_model: f.translated_model.unwrap_or_else(|| f.model.clone()),
        model: f.model,
        tools,
        rounds,
        seconds,
        streams,
        only: f.only,
        cores: (f.proxy_core, f.load_core),
        out: f.out,
    };
    let mut progress = std::io::stderr();
    // Progress that nobody reads is no reason to stop.
    let table = run(&options, |line| drop(writeln!(progress, "{line}")))?;
    writeln!(std::io::stdout(), "{table}").map_err(|e| e.to_string())
}
