//! The `tollgate` binary: the only room that knows everything.
//!
//! Deliberately not here: any logic. `edge` takes calls in, `door` leads them
//! through `flow`, `config` reads files, `run` puts it all together.

#![expect(
    clippy::disallowed_methods,
    reason = "this room owns listeners, the process and its clock"
)]

mod admin_door;
mod approvals;
mod banner;
mod config;
mod counters;
mod database;
mod door;
mod edge;
mod figures;
mod health;
mod issuers;
mod key_file;
mod lend;
mod plans;
mod policy;
mod prices;
mod records;
mod reload;
mod replies;
mod rollout;
mod rounds;
mod run;
mod serve;
mod tender;
mod verify;
mod virtual_keys;

use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use cli::{
    AdminArgs, Cli, Command, LedgerCommand, LogsArgs, LogsCommand, Setting, StatusArgs, Trouble,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tells a person something, on standard error.
pub(crate) fn say(text: &str) {
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(io::stderr(), "tollgate: {text}");
}

fn main() -> ExitCode {
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        say("TLS was set up twice, which is a mistake in this program");
        return ExitCode::FAILURE;
    }
    match Cli::parse().command() {
        Command::Serve(args) => run::serve(args),
        Command::Config(args) => config::run_command(&args),
        Command::Policy(args) => policy::run(&args),
        Command::Prices(args) => prices::run(&args),
        Command::Logs(args) => logs(&args),
        Command::Ledger(args) => match args.command {
            LedgerCommand::Verify(args) => records::verify_ledger(&args),
        },
        Command::Approvals(args) => asked(args.at(), |setting, out| {
            cli::run_approvals(&args, setting, out)
        }),
        Command::Keys(args) => asked(args.at(), |setting, out| cli::keys(&args, setting, out)),
        Command::Spend(args) => asked(args.at(), |setting, out| {
            cli::run_spend(&args, setting, out)
        }),
        Command::Budgets(args) => asked(&args.at, |setting, out| {
            cli::read_budgets(&args, setting, out)
        }),
        Command::Status(args) => status(&args),
        Command::Plan(args) => asked(args.at(), |setting, out| cli::run_plan(&args, setting, out)),
        Command::Audit(args) => asked(args.at(), |setting, out| {
            cli::read_audit(&args, setting, out)
        }),
        Command::Completion { shell } => {
            cli::completion(shell, &mut io::stdout().lock());
            ExitCode::SUCCESS
        }
        Command::Version => {
            let _ = writeln!(io::stdout(), "tollgate {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
    }
}

fn logs(args: &LogsArgs) -> ExitCode {
    match &args.command {
        Some(LogsCommand::Verify(args)) => verify::run(args),
        None => asked(&args.at, |setting, out| cli::read_logs(args, setting, out)),
    }
}

fn status(args: &StatusArgs) -> ExitCode {
    asked(&args.at, |setting, out| {
        cli::read_status(args, setting, out)
    })
}

/// The gateway that `tollgate serve` would be with the same arguments.
pub(crate) fn setting(at: &AdminArgs) -> Result<Setting, String> {
    let place = config::place(at.config.as_deref(), at.data_dir.as_deref())?;
    let colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    Ok(Setting {
        admin: place.admin,
        key_file: Some(key_file::ADMIN.path(&place.data_dir)),
        colours,
    })
}

/// Asks that gateway.
fn asked(
    at: &AdminArgs,
    ask: impl Fn(&Setting, &mut dyn io::Write) -> Result<(), Trouble>,
) -> ExitCode {
    let told = setting(at).and_then(|setting| {
        ask(&setting, &mut io::stdout().lock()).map_err(|trouble| trouble.to_string())
    });
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&why);
            ExitCode::FAILURE
        }
    }
}
