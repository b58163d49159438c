//! `tollgate policy`, of a configuration or of a running gateway by its admin
//! API, and how an explanation is printed.
//!
//! Deliberately not here: deciding, which the gateway does.

mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::admin::{AdminArgs, Client, Ended, Setting, Trouble};
use crate::config::Format;

pub use show::print;

/// What to do with policy.
#[derive(Clone, Debug, Args)]
pub struct PolicyArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: PolicyCommand,
}

/// What to do with policy.
#[derive(Clone, Debug, Subcommand)]
pub enum PolicyCommand {
    /// Print the effective policy of a call: every rule with its layer, and
    /// what the call comes to.
    #[command(
        after_help = "Exit code: 0 allowed, 1 denied, 2 could not be decided.\n\nExamples:\n  \
        tollgate policy explain --key web --model gpt-5 --use-case chatbot\n  \
        tollgate policy explain --running --key k7m2p9qa --model gpt-5"
    )]
    Explain(Box<ExplainArgs>),
    /// Run a file of cases (facts and the expected decision) against a
    /// configuration. Nothing is called.
    #[command(
        after_help = "Exit code: 0 all as expected, 1 not, 2 could not be read.\n\nExample:\n  \
        tollgate policy test policy-cases.yaml --config tollgate.yaml"
    )]
    Test(PolicyTestArgs),
    /// List the kinds of rules, with what they are for.
    Kinds {
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// The call to explain.
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// Id of the key that calls.
    #[arg(long)]
    pub key: String,
    /// The model, as a caller would name it.
    #[arg(long)]
    pub model: String,
    /// Use case that the call names.
    #[arg(long)]
    pub use_case: Option<String>,
    /// Data class that the call names.
    #[arg(long)]
    pub data_class: Option<String>,
    /// A stream is asked for.
    #[arg(long)]
    pub stream: bool,
    /// A tool on offer; may be given more than once.
    #[arg(long = "tool", value_name = "NAME")]
    pub tools: Vec<String>,
    /// Input tokens of the call.
    #[arg(long, default_value_t = 100)]
    pub input_tokens: u64,
    /// Output tokens that it asks for.
    #[arg(long)]
    pub output_tokens: Option<u64>,
    /// Ask the running gateway: by the plan in force, for virtual keys too.
    /// Without it the configuration of this machine is asked.
    #[arg(long)]
    pub running: bool,
    /// The configuration; with `--running`, which gateway.
    #[command(flatten)]
    pub at: Box<AdminArgs>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Which cases, and against what.
#[derive(Clone, Debug, Args)]
pub struct PolicyTestArgs {
    /// The file of cases.
    #[arg(value_name = "CASES")]
    pub cases: PathBuf,
    /// The configuration [default: $TOLLGATE_CONFIG, else ./tollgate.yaml].
    #[arg(short, long, value_name = "FILE", env = "TOLLGATE_CONFIG")]
    pub config: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Has a running gateway explain a call.
///
/// # Errors
/// The gateway cannot be reached or refuses.
pub fn explain_running(args: &ExplainArgs, setting: &Setting) -> Result<Value, Trouble> {
    let client = Client::new(&args.at, setting)?;
    let told = client.send("POST", "/v1/policy/explain", &args.facts());
    let told = told.and_then(|(status, told)| match status {
        200 if told["allowed"].is_boolean() => Ok(told),
        200 => Err(client.no_gateway()),
        status => Err(client.refused(status, &told)),
    });
    told.or_else(|ended| match ended {
        Ended::Refused(trouble) | Ended::Gone(trouble) => Err(trouble),
        Ended::Unread => Ok(Value::Null),
    })
}

impl ExplainArgs {
    fn facts(&self) -> Value {
        json!({
            "key": self.key, "model": self.model, "use_case": self.use_case,
            "data_class": self.data_class, "stream": self.stream, "tools": self.tools,
            "input_tokens": self.input_tokens, "output_tokens": self.output_tokens,
        })
    }
}
