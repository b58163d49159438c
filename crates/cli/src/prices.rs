//! `tollgate prices`.
//!
//! Deliberately not here: carrying it out, which the gateway does.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::RepriceArgs;
use crate::config::Format;

/// What to do with prices.
#[derive(Clone, Debug, Args)]
pub struct PricesArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: PricesCommand,
}

/// What to do with prices.
#[derive(Clone, Debug, Subcommand)]
pub enum PricesCommand {
    /// Print what models cost: one, those of the configuration, or all of a
    /// provider.
    #[command(
        after_help = "Exit code: 0 printed, 1 there is no price, 2 could not be read.\n\nExamples:\n  \
        tollgate prices show                        the models of the configuration\n  \
        tollgate prices show fast                   a model, as a caller would name it\n  \
        tollgate prices show gpt-5 --provider eu --at 2026-01-01\n  \
        tollgate prices show --provider eu          all models of a provider or kind"
    )]
    Show(PricesShowArgs),
    /// Say what a file of prices would change.
    #[command(
        after_help = "Exit code: 0 nothing, 1 something, 2 could not be read.\n\nExamples:\n  \
        tollgate prices diff new.txt           against the prices in force\n  \
        tollgate prices diff old.txt new.txt   one file against another"
    )]
    Diff(PricesDiffArgs),
    /// Check a file of prices, or whether every model of the configuration has
    /// a price.
    #[command(
        after_help = "Exit code: 0 good, 1 not, 2 could not be read.\n\nExamples:\n  \
        tollgate prices check            the configuration: for your CI\n  \
        tollgate prices check new.txt    a file"
    )]
    Check(PricesCheckArgs),
    /// Say what recorded usage costs at the prices in force, or in a file.
    /// Changes nothing; needs a running gateway.
    #[command(after_help = "Examples:\n  \
        tollgate prices reprice                          the last 30 days\n  \
        tollgate prices reprice --prices new.txt --from 90d --tenant acme")]
    Reprice(RepriceArgs),
}

/// Whose price, where and when.
#[derive(Clone, Debug, Args)]
pub struct PricesShowArgs {
    /// The model: as a caller would name it, or as the provider does.
    #[arg(value_name = "MODEL")]
    pub model: Option<String>,
    /// A provider of the configuration, or a kind of providers.
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// A tenant, for its contract.
    #[arg(long)]
    pub tenant: Option<String>,
    /// A region other than the provider's.
    #[arg(long)]
    pub region: Option<String>,
    /// The day, such as 2026-11-21 [default: now].
    #[arg(long, value_name = "DATE")]
    pub at: Option<String>,
    /// The configuration [default: $TOLLGATE_CONFIG, else ./tollgate.yaml].
    #[arg(short, long, value_name = "FILE", env = "TOLLGATE_CONFIG")]
    pub config: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// What to compare.
#[derive(Clone, Debug, Args)]
pub struct PricesDiffArgs {
    /// A file of prices.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Another one: then FILE is the old one and this the new.
    #[arg(value_name = "OTHER")]
    pub other: Option<PathBuf>,
    /// The configuration [default: $TOLLGATE_CONFIG, else ./tollgate.yaml].
    #[arg(short, long, value_name = "FILE", env = "TOLLGATE_CONFIG")]
    pub config: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// What to check.
#[derive(Clone, Debug, Args)]
pub struct PricesCheckArgs {
    /// A file of prices. Without it the configuration is checked.
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The configuration [default: $TOLLGATE_CONFIG, else ./tollgate.yaml].
    #[arg(short, long, value_name = "FILE", env = "TOLLGATE_CONFIG")]
    pub config: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}
