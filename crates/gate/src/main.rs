//! The `tollgate` binary: the only room that knows everything.
//!
//! Deliberately not here: any logic. `edge` takes calls in, `door` leads them
//! through `flow`, `config` reads files, `run` puts it all together.

#![expect(
    clippy::disallowed_methods,
    reason = "this room owns listeners, the process and its clock"
)]

mod admin_door;
mod admin_key;
mod banner;
mod config;
mod door;
mod edge;
mod health;
mod records;
mod reload;
mod run;
mod serve;

use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use cli::{Cli, Command, LogsArgs, Setting};

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
        Command::Logs(args) => logs(&args),
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
    let data_dir = config::default_data_dir(&|name| std::env::var(name).ok());
    let colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let setting = Setting {
        key_file: Some(admin_key::path(&data_dir)),
        colours,
    };
    match cli::read_logs(args, &setting, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            say(&trouble.to_string());
            ExitCode::FAILURE
        }
    }
}
