//! `tollgate ledger`: what the journal says was spent.
//!
//! Deliberately not here: carrying it out, which `gate` does on files.

use clap::{Args, Subcommand};

use crate::VerifyArgs;

/// Arguments of `tollgate ledger`.
#[derive(Clone, Debug, Args)]
pub struct LedgerArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: LedgerCommand,
}

/// What can be done with the ledger.
#[derive(Clone, Debug, Subcommand)]
pub enum LedgerCommand {
    /// Add up the whole journal on this machine and compare the checkpoint
    /// with it. Needs no running gateway.
    #[command(
        after_help = "Exit code: 0 they agree or there is no checkpoint, 1 they differ or the \
        checkpoint cannot be used, 2 the journal or the database could not be read.\n\n\
        Examples:\n  \
        tollgate ledger verify\n  \
        tollgate ledger verify --data-dir /var/lib/tollgate --json\n  \
        tollgate ledger verify --database --config tollgate.yaml"
    )]
    Verify(LedgerVerifyArgs),
}

/// Which journal, and with what it is compared.
#[derive(Clone, Debug, Args)]
pub struct LedgerVerifyArgs {
    /// Which journal, and how to print.
    #[command(flatten)]
    pub journal: VerifyArgs,
    /// Compare the database that replicas share too: each record that it
    /// should have is there as it is in the journal.
    #[arg(long)]
    pub database: bool,
}
