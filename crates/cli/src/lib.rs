//! The command line: what can be typed, and what the help says.
//!
//! `tollgate logs`, `tollgate status` and `tollgate keys` are carried out here too, by the admin
//! API of the gateway.
//!
//! Deliberately not here: carrying out the other commands, which `gate` does.

mod admin;
mod approvals;
mod audit;
mod config;
mod keys;
mod ledger;
mod logs;
mod plan;
mod policy;
mod prices;
mod serve;
mod spend;
mod status;

use std::io::Write;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

pub use admin::{AdminArgs, Setting, Trouble};
pub use approvals::{
    ApprovalArgs, ApprovalsArgs, ApprovalsCommand, ApprovalsListArgs, VoteArgs,
    run as run_approvals,
};
pub use audit::{AuditArgs, AuditCommand, read as read_audit};
pub use config::{ConfigArgs, ConfigCommand, Format, Source};
pub use keys::{
    CreateArgs, KeyAt, KeysArgs, KeysCommand, ListArgs, OnRevoke, OneArgs, RevokeArgs, RotateArgs,
    keys,
};
pub use ledger::{LedgerArgs, LedgerCommand, LedgerVerifyArgs};
pub use logs::{LogsArgs, LogsCommand, StatusFilter, VerifyArgs, read as read_logs};
pub use plan::{
    EndArgs, PlanArgs, PlanCommand, RolloutCommand, ShareArgs, TrialArgs, run as run_plan,
};
pub use policy::{
    ExplainArgs, PolicyArgs, PolicyCommand, PolicyTestArgs, explain_running,
    print as print_explanation,
};
pub use prices::{PricesArgs, PricesCheckArgs, PricesCommand, PricesDiffArgs, PricesShowArgs};
pub use serve::{PlanOwner, ServeArgs};
pub use spend::{
    BudgetsArgs, ReconcileArgs, ReportArgs, ReportFormat, RepriceArgs, SpendArgs, SpendCommand,
    SpendFormat, WithinArgs, budgets as read_budgets, reprice, run as run_spend,
};
pub use status::{StatusArgs, read as read_status};

/// The command that was typed.
#[derive(Debug, Parser)]
#[command(
    name = "tollgate",
    version,
    about = "An AI gateway: one governed door between your applications and their models.",
    long_about = "An AI gateway: one governed door between your applications and their models.\n\n\
                  Without a command it serves. Without a configuration it finds providers from the \
                  usual environment variables, or answers with its built-in sandbox model.",
    after_help = "Examples:\n  \
                  tollgate                          serve with what the environment gives\n  \
                  tollgate --config tollgate.yaml   serve with a configuration\n  \
                  tollgate config check             say what is wrong with ./tollgate.yaml\n  \
                  tollgate logs --follow            watch calls as they end\n  \
                  tollgate status                   say how a running gateway is",
    args_conflicts_with_subcommands = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

impl Cli {
    /// The command; `serve` where none was typed.
    pub fn command(self) -> Command {
        self.command.unwrap_or(Command::Serve(self.serve))
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway (the default).
    Serve(ServeArgs),
    /// Check, show or describe the configuration.
    Config(ConfigArgs),
    /// Explain what policy says of a call, or test it with cases.
    Policy(PolicyArgs),
    /// Print what models cost, compare files of prices, and check them.
    Prices(PricesArgs),
    /// Read the records of a running gateway.
    Logs(Box<LogsArgs>),
    /// Add up what was spent, from the journal on this machine.
    Ledger(LedgerArgs),
    /// Make, list, rotate and revoke keys of a running gateway.
    Keys(Box<KeysArgs>),
    /// List, approve and deny calls that wait for people.
    Approvals(Box<ApprovalsArgs>),
    /// Report what was spent, on what, and what limits refused.
    Spend(Box<SpendArgs>),
    /// Show budgets and limits as they stand, and when they run out.
    Budgets(BudgetsArgs),
    /// Show how a running gateway is: plan, connections, pools, records.
    Status(StatusArgs),
    /// Show, compare and change the plan of a running gateway.
    Plan(PlanArgs),
    /// Read the journal of changes: who changed what, and when.
    Audit(AuditArgs),
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  \
        tollgate completion bash > /etc/bash_completion.d/tollgate")]
    Completion {
        /// The shell.
        shell: Shell,
    },
    /// Print the version.
    Version,
}

/// Writes the completion script for a shell.
pub fn completion(shell: Shell, mut to: &mut dyn Write) {
    let mut command = <Cli as CommandFactory>::command();
    clap_complete::generate(shell, &mut command, "tollgate", &mut to);
}

#[cfg(test)]
mod tests;
