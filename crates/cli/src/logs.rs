//! `tollgate logs`: what can be typed, and reading it from a running gateway.
//!
//! Deliberately not here: the records themselves, which the gateway's admin
//! listener finds and filters.

mod query;
mod read;
mod show;

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};

pub use read::read;

use crate::AdminArgs;

/// Which records, from where, and how to print them.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  \
    tollgate logs                              the last calls\n  \
    tollgate logs --follow --status 5xx        failures as they happen\n  \
    tollgate logs --tenant acme --since 1h     one tenant's last hour\n  \
    tollgate logs 1042                         one record whole, by its number\n  \
    tollgate logs --request-id <id> --json     the same by request id, as JSON\n  \
    tollgate logs verify                       whether the journal was altered",
    args_conflicts_with_subcommands = true
)]
pub struct LogsArgs {
    /// One record whole: its number in the list, or its request id.
    #[arg(value_name = "RECORD", conflicts_with_all = ["request_id", "follow"])]
    pub record: Option<String>,
    /// Keep printing records as they are written.
    #[arg(short, long)]
    pub follow: bool,
    /// Only this tenant.
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// Only this app.
    #[arg(long, value_name = "NAME")]
    pub app: Option<String>,
    /// Only calls with the key of this public id.
    #[arg(long, value_name = "ID")]
    pub key: Option<String>,
    /// Only this model: the one that answered, or was asked for.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Only this provider.
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// Only this outcome: complete, refused, failed, cut, cancelled or lost.
    #[arg(long, value_name = "OUTCOME")]
    pub outcome: Option<String>,
    /// Only this kind of fault; `any` for all calls with a fault.
    #[arg(long, value_name = "KIND")]
    pub fault: Option<String>,
    /// Only this status (`429`) or class of statuses (`5xx`).
    #[arg(long, value_name = "STATUS")]
    pub status: Option<StatusFilter>,
    /// Only records younger than this (`90s`, `15m`, `2h`, `7d`).
    #[arg(long, value_name = "AGE", value_parser = age_ms)]
    pub since: Option<u64>,
    /// The record of this request (`tollgate-request-id` of its answer).
    #[arg(long, value_name = "ID", conflicts_with = "follow")]
    pub request_id: Option<String>,
    /// Most records to print.
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
    pub limit: u32,
    /// Print records as JSON, one a line.
    #[arg(long)]
    pub json: bool,
    /// Which gateway.
    #[command(flatten)]
    pub at: AdminArgs,
    /// Something else than reading.
    #[command(subcommand)]
    pub command: Option<LogsCommand>,
}

/// What else can be done with records.
#[derive(Clone, Debug, Subcommand)]
pub enum LogsCommand {
    /// Check the journal on this machine: whether every record is the one that
    /// was written, and none is missing. Needs no running gateway.
    #[command(
        after_help = "Exit code: 0 sound, 1 damaged or altered, 2 could not be read.\n\n\
        Examples:\n  \
        tollgate logs verify\n  \
        tollgate logs verify --data-dir /var/lib/tollgate --json"
    )]
    Verify(VerifyArgs),
}

/// Which journal, and how to print.
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// Configuration file of the gateway, which names its folders [default:
    /// what `tollgate serve` would use].
    #[arg(short, long, value_name = "FILE", env = "TOLLGATE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Data folder of the gateway [default: that of the configuration, else
    /// the platform's data folder].
    #[arg(long, value_name = "DIR", env = "TOLLGATE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// A status, or a class of statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusFilter {
    /// Least status, inclusive.
    pub from: u16,
    /// Greatest status, inclusive.
    pub to: u16,
}

impl FromStr for StatusFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no status: write `429` or `5xx`");
        if let Some(class) = text.strip_suffix("xx") {
            let class: u16 = class.parse().map_err(|_| wrong())?;
            return match class {
                1..=5 => Ok(Self {
                    from: class * 100,
                    to: class * 100 + 99,
                }),
                _ => Err(wrong()),
            };
        }
        let status = text.parse().map_err(|_| wrong())?;
        match status {
            100..=599 => Ok(Self {
                from: status,
                to: status,
            }),
            _ => Err(wrong()),
        }
    }
}

/// An age in milliseconds.
fn age_ms(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no age: write `90s`, `15m`, `2h` or `7d`");
    let unit = text.char_indices().last().map_or(0, |(at, _)| at);
    let (number, unit) = text.split_at(unit);
    let unit_ms: u64 = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(unit_ms).ok_or_else(wrong)
}
