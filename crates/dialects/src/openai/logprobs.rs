//! Log probabilities of tokens, which both formats spell alike.

use contract::Fault;
use contract::answer::TokenLogprob;

use crate::json::{ArrayWriter, Json, ObjectWriter};

/// Reads an array of tokens.
pub(crate) fn read(tokens: Json<'_>) -> Result<Vec<TokenLogprob>, Fault> {
    tokens.as_array()?.items().map(read_token).collect()
}

fn read_token(token: Json<'_>) -> Result<TokenLogprob, Fault> {
    let mut read = read_alternative(token)?;
    if let Some(top) = token.opt_array("top_logprobs")? {
        // The alternatives have none of their own, so this is one level deep.
        read.top = top
            .items()
            .map(read_alternative)
            .collect::<Result<_, _>>()?;
    }
    Ok(read)
}

fn read_alternative(token: Json<'_>) -> Result<TokenLogprob, Fault> {
    let bytes = match token.opt_array("bytes")? {
        Some(bytes) => Some(bytes.items().map(read_byte).collect::<Result<_, _>>()?),
        None => None,
    };
    Ok(TokenLogprob {
        token: token.need_str("token")?.into_owned(),
        logprob: token.need("logprob")?.as_f64()?,
        bytes,
        top: Vec::new(),
    })
}

fn read_byte(byte: Json<'_>) -> Result<u8, Fault> {
    byte.u64()
        .and_then(|number| u8::try_from(number).ok())
        .ok_or_else(|| byte.expected("a byte from 0 to 255"))
}

/// Writes an array of tokens.
pub(crate) fn write(array: &mut ArrayWriter<'_>, tokens: &[TokenLogprob]) {
    for token in tokens {
        array.object(|object| {
            write_token(object, token);
            object.array("top_logprobs", |top| {
                for token in &token.top {
                    top.object(|object| write_token(object, token));
                }
            });
        });
    }
}

fn write_token(object: &mut ObjectWriter<'_>, token: &TokenLogprob) {
    object.str("token", &token.token);
    object.float("logprob", token.logprob);
    match &token.bytes {
        Some(bytes) => object.array("bytes", |array| {
            for byte in bytes {
                array.int(*byte);
            }
        }),
        None => object.null("bytes"),
    }
}
