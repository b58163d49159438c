//! Log probabilities, both ways.

use contract::Fault;
use contract::answer::TokenLogprob;

use crate::json::{ArrayWriter, Json, ObjectWriter};

/// Reads a `logprobsResult`.
pub(super) fn read(result: Json<'_>) -> Result<Vec<TokenLogprob>, Fault> {
    let mut tokens = match result.as_object()?.opt_array("chosenCandidates")? {
        Some(chosen) => chosen
            .items()
            .map(token)
            .collect::<Result<Vec<_>, Fault>>()?,
        None => Vec::new(),
    };
    let top = result.opt_array("topCandidates")?;
    let top = top.iter().flat_map(Json::items);
    for (token_read, step) in tokens.iter_mut().zip(top) {
        if let Some(candidates) = step.opt_array("candidates")? {
            token_read.top = candidates
                .items()
                .map(token)
                .collect::<Result<Vec<_>, Fault>>()?;
        }
    }
    Ok(tokens)
}

fn token(token: Json<'_>) -> Result<TokenLogprob, Fault> {
    Ok(TokenLogprob {
        token: token.opt_string("token")?.unwrap_or_default(),
        // Protobuf JSON leaves out what is zero: a certain token.
        logprob: token.opt_f64("logProbability")?.unwrap_or(0.0),
        bytes: None,
        top: Vec::new(),
    })
}

/// Writes the members of a candidate that tell log probabilities.
pub(super) fn write(tokens: &[TokenLogprob], out: &mut ObjectWriter<'_>) {
    if tokens.is_empty() {
        return;
    }
    let sum: f64 = tokens.iter().map(|token| token.logprob).sum();
    out.float("avgLogprobs", sum / tokens.len() as f64);
    out.object("logprobsResult", |out| {
        out.array("chosenCandidates", |array| {
            tokens.iter().for_each(|token| write_token(token, array));
        });
        out.array("topCandidates", |array| {
            for token in tokens {
                array.object(|out| {
                    out.array("candidates", |array| {
                        token.top.iter().for_each(|token| write_token(token, array));
                    });
                });
            }
        });
    });
}

fn write_token(token: &TokenLogprob, array: &mut ArrayWriter<'_>) {
    array.object(|out| {
        out.str("token", &token.token);
        out.float("logProbability", token.logprob);
    });
}
