//! `tollgate config`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What to do with a configuration.
#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What to do with a configuration.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say everything that is wrong, with line, column and what to write
    /// instead.
    #[command(
        after_help = "Exit code: 0 usable, 1 not usable, 2 could not be read.\n\nExamples:\n  \
        tollgate config check\n  \
        tollgate config check --format json deploy/tollgate.yaml"
    )]
    Check(Source),
    /// Print the effective configuration: all defaults filled in, secrets
    /// masked.
    #[command(
        after_help = "Without a file this prints what is found in the environment, which is \
        a good start of a file:\n  tollgate config show > tollgate.yaml"
    )]
    Show(Source),
    /// Print the JSON schema, for editors and CI.
    #[command(
        after_help = "Example:\n  tollgate config schema > tollgate.schema.json\n  \
        # first line of tollgate.yaml:\n  \
        # yaml-language-server: $schema=tollgate.schema.json"
    )]
    Schema,
}

/// Which configuration, and how to print.
#[derive(Clone, Debug, Args)]
pub struct Source {
    /// The file [default: $TOLLGATE_CONFIG, else ./tollgate.yaml, else the
    /// environment].
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The same as FILE.
    #[arg(short, long, value_name = "FILE", env = "TOLLGATE_CONFIG")]
    pub config: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

impl Source {
    /// The file, however it was named.
    pub fn path(&self) -> Option<&PathBuf> {
        self.file.as_ref().or(self.config.as_ref())
    }
}

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}
