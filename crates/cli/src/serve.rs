//! `tollgate serve`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// How to serve.
#[derive(Clone, Debug, Default, Args)]
#[command(
    after_help = "Where the configuration comes from, first found: --config, \
                        $TOLLGATE_CONFIG, ./tollgate.yaml, else the environment (see `tollgate \
                        config show`)."
)]
pub struct ServeArgs {
    /// Configuration file.
    #[arg(short, long, value_name = "FILE", env = "TOLLGATE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Folder for records and state [default: the platform's data folder].
    #[arg(long, value_name = "DIR", env = "TOLLGATE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Listen here for calls, instead of what the configuration says.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Listen here for operators, instead of what the configuration says.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub admin_listen: Option<String>,
    /// Who owns the plan, instead of what the configuration says.
    #[arg(long, value_name = "OWNER")]
    pub plan_owner: Option<PlanOwner>,
}

/// Who owns the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlanOwner {
    /// The configuration file.
    File,
    /// The admin API; the file is only the first document.
    Api,
}
