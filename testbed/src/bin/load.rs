//! `load`: the load generator as a process; one JSON object on stdout.

use clap::{Args, Parser, Subcommand};
use serde_json::Value;
use std::io::Write;
use std::time::Duration;
use testbed::load::{Bounds, Target, closed, hold, open};

/// HTTP/1.1 keep-alive load, bounded in count and time.
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// N connections, each with one request in flight.
    Closed(Common),
    /// A fixed rate, free of coordinated omission.
    Open {
        /// Requests a second.
        #[arg(long, default_value_t = 500.0)]
        rate: f64,
        #[command(flatten)]
        common: Common,
    },
    /// N slow streams held open; prints one line when all have begun, and one at the end.
    Hold(Common),
}

#[derive(Args)]
struct Common {
    /// `http://ip:port/path`
    #[arg(long)]
    url: String,
    /// A request header, `name: value`; may be repeated.
    #[arg(long)]
    header: Vec<String>,
    /// File with the request body.
    #[arg(long)]
    body_file: std::path::PathBuf,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Seconds of the run (hold: after all have begun).
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Most requests of the run.
    #[arg(long, default_value_t = u64::MAX)]
    requests: u64,
}

impl Common {
    fn target(&self) -> Result<Target, String> {
        let body = std::fs::read(&self.body_file)
            .map_err(|e| format!("{}: {e}", self.body_file.display()))?;
        let split = |h: &String| {
            h.split_once(':')
                .map(|(n, v)| (n.trim().to_owned(), v.trim().to_owned()))
        };
        let headers: Vec<(String, String)> = self.header.iter().filter_map(split).collect();
        Target::post(&self.url, &headers, &body)
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            time: Duration::from_secs_f64(self.seconds),
            requests: self.requests,
        }
    }
}

fn main() -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let result = match Flags::parse().mode {
        Mode::Closed(c) => runtime
            .block_on(closed(c.target()?, c.connections, c.bounds()))
            .json(),
        Mode::Open { rate, common: c } => {
            open(&c.target()?, rate, c.connections, c.bounds())?.json()
        }
        Mode::Hold(c) => runtime.block_on(hold(c.target()?, c.connections, c.bounds(), say)),
    };
    say(&result);
    Ok(())
}

fn say(line: &Value) {
    let mut out = std::io::stdout();
    // A reader that has left needs no line.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
