//! `tollgate policy ..`: the effective policy of a call, and cases for users'
//! own CI. Nothing is called and nothing is written.

mod cases;
mod print;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use access::{Content, Facts, Given, Metadata, ToolFact};
use cli::{ExplainArgs, PolicyArgs, PolicyCommand, PolicyTestArgs};
use judge::Explanation;
use plan::Plan;

use crate::config;
use cases::Case;

const DENIED: u8 = 1;
const UNREADABLE: u8 = 2;

/// Carries out a command.
pub(crate) fn run(args: &PolicyArgs) -> ExitCode {
    let mut out = io::stdout().lock();
    let done = match &args.command {
        PolicyCommand::Explain(args) => explain(args, &mut out),
        PolicyCommand::Test(args) => test(args, &mut out),
        PolicyCommand::Kinds { format } => print::kinds(*format, &mut out).map_err(unprinted),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            crate::say(&why);
            ExitCode::from(UNREADABLE)
        }
    }
}

fn explain(args: &ExplainArgs, out: &mut dyn Write) -> Result<u8, String> {
    let plan = load(args.config.as_deref())?;
    let mut case = Case::of(&args.key, &args.model);
    case.use_case.clone_from(&args.use_case);
    case.data_class.clone_from(&args.data_class);
    case.stream = args.stream;
    case.tools.clone_from(&args.tools);
    case.input_tokens = args.input_tokens;
    case.output_tokens_max = args.output_tokens;
    let told = decide(&plan, &case)?;
    print::explanation(&case, &told, args.format, out).map_err(unprinted)?;
    Ok(if told.outcome.is_ok() { 0 } else { DENIED })
}

fn test(args: &PolicyTestArgs, out: &mut dyn Write) -> Result<u8, String> {
    let plan = load(args.config.as_deref())?;
    let name = args.cases.display();
    let text = std::fs::read_to_string(&args.cases)
        .map_err(|error| format!("{name} could not be read: {error}"))?;
    let cases = cases::read(&text).map_err(|why| format!("{name}: {why}"))?;
    let mut results = Vec::with_capacity(cases.len());
    for case in &cases {
        let told = decide(&plan, case)?;
        results.push((case, case.differs(&told)));
    }
    print::results(&results, args.format, out).map_err(unprinted)?;
    let good = results.iter().all(|(_, wrong)| wrong.is_none());
    Ok(if good { 0 } else { DENIED })
}

fn load(path: Option<&Path>) -> Result<Plan, String> {
    config::plan_of(path)
}

/// Decides a case as the gateway would.
fn decide(plan: &Plan, case: &Case) -> Result<Explanation, String> {
    let mut consumers = plan.keys.consumers();
    let consumer = consumers
        .find(|consumer| *consumer.key_id == *case.key)
        .ok_or_else(|| {
            let mut known: Vec<&str> = plan.keys.consumers().map(|it| &*it.key_id).collect();
            known.sort_unstable();
            format!(
                "there is no key `{}` in the configuration; there are: {}",
                case.key,
                known.join(", ")
            )
        })?;
    let metadata: Metadata = case.metadata()?;
    let content = Content {
        tools: case
            .tools
            .iter()
            .map(|name| ToolFact {
                name: name.as_str().into(),
                kind: "function",
            })
            .collect(),
        system: case.system,
        urls: case.urls.iter().map(|url| url.as_str().into()).collect(),
    };
    let facts = Facts {
        tenant: &consumer.tenant,
        app: &consumer.app,
        key_id: &consumer.key_id,
        groups: &consumer.groups,
        metadata: &metadata,
        operation: case.operation()?,
        model: &case.model,
        stream: case.stream,
        input_tokens: case.input_tokens,
        output_tokens_max: case.output_tokens_max,
        address: case.address,
        now_s: case.at_s,
        content: Some(&content),
    };
    let given: Vec<Given<'_>> = case
        .calls
        .iter()
        .map(|name| Given::ToolCall(name))
        .chain(case.answer.iter().map(|text| Given::Text(text.into())))
        .collect();
    let chain = judge::chain(plan, consumer, case.use_case.as_deref());
    Ok(judge::explain(plan, consumer, &chain, &facts, &given))
}

fn unprinted(error: io::Error) -> String {
    format!("the result could not be printed: {error}")
}

#[cfg(test)]
mod tests;
