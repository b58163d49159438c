//! `tollgate status`: how a running gateway is, for people or as JSON.
//!
//! Deliberately not here: gathering the figures, which the gateway does.

use std::fmt::Write as _;
use std::io::Write;

use clap::Args;
use serde_json::Value;

use crate::admin::{self, AdminArgs, Client, Ended, Setting, Trouble, escape};
use crate::plan::rollout::whom;

/// Longest text of a field, characters.
const FIELD_CHARS: usize = 200;

/// Which gateway, and how to print.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    tollgate status\n  \
    tollgate status --config deploy/tollgate.yaml\n  \
    tollgate status --json | jq .pools")]
pub struct StatusArgs {
    /// Print the answer of the admin API as JSON.
    #[arg(long)]
    pub json: bool,
    /// Which gateway.
    #[command(flatten)]
    pub at: AdminArgs,
}

/// Asks a gateway how it is and prints it.
///
/// # Errors
/// The gateway cannot be reached or refuses.
pub fn read(args: &StatusArgs, setting: &Setting, out: &mut dyn Write) -> Result<(), Trouble> {
    let client = Client::new(&args.at, setting)?;
    let told = client.ask("/v1/status").and_then(|status| {
        let text = match args.json {
            true => format!("{}\n", escape::json(&status.to_string())),
            false => page(&status),
        };
        admin::print(out, &text)
    });
    told.or_else(Ended::told)
}

/// The answer for people. What an older gateway does not tell is left out.
fn page(status: &Value) -> String {
    let mut out = String::new();
    let mut line = |name: &str, text: String| {
        let _ = writeln!(out, "{name:<12} {text}");
    };
    line("version", text(&status["version"]));
    line(
        "up",
        format!(
            "{} since {}",
            duration(number(&status["uptime_ms"])),
            text(&status["started"])
        ),
    );
    let loaded = match status["plan_loaded"].as_str() {
        Some(_) => format!(", loaded {}", text(&status["plan_loaded"])),
        None => String::new(),
    };
    line("plan", format!("{}{loaded}", text(&status["plan"])));
    if status["rollout"].is_object() {
        line("roll-out", rollout(&status["rollout"]));
    }
    line(
        "calls",
        format!(
            "{} under way, {} of them streams; {} workers",
            number(&status["in_flight"]),
            number(&status["open_streams"]),
            number(&status["workers"])
        ),
    );
    line("journal", journal(&status["journal"]));
    if status["inflight"].is_object() {
        line("on disk", inflight(&status["inflight"]));
    }
    line("index", index(&status["index"]));
    for listener in items(&status["listeners"]) {
        let is = format!(
            "{}: {} connections open",
            text(&listener["address"]),
            number(&listener["open"])
        );
        line(&text(&listener["name"]), is);
    }
    for one in items(&status["issuers"]) {
        line("issuer", issuer(one));
    }
    pools(&status["pools"], &mut out);
    out
}

/// The plan that a share of the callers is held to.
fn rollout(rollout: &Value) -> String {
    let calls = |side: &str| number(&rollout["calls"][side]);
    let (tried, others) = (calls("candidate"), calls("in_force"));
    format!(
        "{} for {}: {tried} of {} calls since it is on",
        text(&rollout["candidate"]),
        whom(rollout),
        tried + others
    )
}

/// Calls under way that a kill would not make us forget.
fn inflight(inflight: &Value) -> String {
    let mut told = format!(
        "{} calls under way, {} ending, of {} rows",
        number(&inflight["rows"]),
        number(&inflight["ending"]),
        number(&inflight["slots_max"])
    );
    for (name, words) in [
        ("errors", "failed writes"),
        ("refused", "rows refused"),
        ("dropped", "rows without an end"),
    ] {
        match number(&inflight[name]) {
            0 => {}
            count => {
                let _ = write!(told, ", {count} {words}");
            }
        }
    }
    told
}

fn journal(journal: &Value) -> String {
    let mut told = format!(
        "{} written, {} waiting, {} of {} slots in use",
        number(&journal["written"]),
        number(&journal["queued"]),
        number(&journal["slots_in_use"]),
        number(&journal["slots_max"])
    );
    for (name, words) in [
        ("errors", "failed writes"),
        ("refused", "calls refused for want of a slot"),
        ("abandoned", "slots without a record"),
        ("clipped", "records clipped"),
        ("lost_after_close", "records lost"),
    ] {
        match number(&journal[name]) {
            0 => {}
            count => {
                let _ = write!(told, ", {count} {words}");
            }
        }
    }
    if journal["failing"].is_object() {
        let _ = write!(
            told,
            "\n{:<12} FAILING since {}: {}. Look at the disk of the data folder.",
            "",
            text(&journal["failing"]["since"]),
            text(&journal["failing"]["error"])
        );
    }
    told
}

fn index(index: &Value) -> String {
    if !index.is_object() {
        return "none: records are searched in the journal".to_owned();
    }
    let lag = match number(&index["lag"]) {
        0 => "up to date".to_owned(),
        lag => format!("{lag} records behind"),
    };
    match index["error"].as_str() {
        Some(_) => format!("{lag}; FAILING: {}", text(&index["error"])),
        None => lag,
    }
}

/// The keys of an issuer of tokens.
fn issuer(issuer: &Value) -> String {
    let told = format!(
        "{}: {} keys",
        text(&issuer["name"]),
        number(&issuer["keys"])
    );
    match issuer["trouble"].as_str() {
        Some(_) => format!("{told}; FAILING: {}", text(&issuer["trouble"])),
        None => told,
    }
}

/// One line for each endpoint of an upstream.
fn pools(pools: &Value, out: &mut String) {
    let rows: Vec<[String; 7]> = items(pools)
        .map(|pool| {
            let figure = |name: &str| number(&pool[name]).to_string();
            [
                text(&pool["provider"]),
                text(&pool["address"]),
                figure("open"),
                figure("idle"),
                figure("in_use"),
                figure("waiting"),
                figure("limit"),
            ]
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    let head = [
        "provider", "address", "open", "idle", "in use", "waiting", "limit",
    ];
    let head = head.map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(head[column].chars().count())
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    out.push('\n');
    for row in std::iter::once(&head).chain(&rows) {
        let mut line = String::new();
        for (nth, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match nth {
                0 | 1 => write!(line, "{cell:<width$}  "),
                _ => write!(line, "{cell:>width$}  "),
            };
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    escape::plain(value.as_str().unwrap_or("-"), FIELD_CHARS)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn duration(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests;
