//! Embeddings: `POST /embeddings`, numbers or base64 of little-endian `f32`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::answer::EmbedAnswer;
use contract::request::{Embed, EmbedInput};
use contract::text::Extras;
use contract::{Fault, Request};

use super::usage;
use crate::dialect::{Asked, Target, Written};
use crate::json::{self, ArrayWriter, Json, Kind, ObjectWriter};
use crate::openai::{GATEWAY_FIELD, Losses};

/// Reads a request.
pub(super) fn read_request(body: Json<'_>) -> Result<(Embed, Extras), Fault> {
    let input = body.need("input")?;
    let base64 = match body.opt_str("encoding_format")?.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => {
            return Err(body
                .need("encoding_format")?
                .fault("expected `float` or `base64`"));
        }
    };
    let embed = Embed {
        inputs: read_inputs(input)?,
        dimensions: body.opt_u32("dimensions")?,
        base64,
        purpose: None,
        title: None,
        user: body.opt_string("user")?,
        batch: true,
    };
    let extras = body.rest(&[
        "input",
        "model",
        "dimensions",
        "encoding_format",
        "user",
        GATEWAY_FIELD,
    ]);
    Ok((embed, extras))
}

fn read_inputs(input: Json<'_>) -> Result<Vec<EmbedInput>, Fault> {
    if let Some(text) = input.str() {
        return Ok(vec![EmbedInput::Text(text.into_owned())]);
    }
    let items = input
        .as_array()
        .map_err(|_| input.expected("a string or an array"))?;
    match items.items().next().map(|first| first.kind()) {
        None => Err(input.fault("there must be something to embed")),
        Some(Kind::Number) => Ok(vec![read_tokens(items)?]),
        Some(_) => items.items().map(read_input).collect(),
    }
}

fn read_input(item: Json<'_>) -> Result<EmbedInput, Fault> {
    match item.str() {
        Some(text) => Ok(EmbedInput::Text(text.into_owned())),
        None if item.kind() == Kind::Array => read_tokens(item),
        None => Err(item.expected("a string or an array of token ids")),
    }
}

fn read_tokens(array: Json<'_>) -> Result<EmbedInput, Fault> {
    let ids = array.items().map(|id| id.as_u32());
    Ok(EmbedInput::Tokens(ids.collect::<Result<_, _>>()?))
}

/// Writes a request for an upstream.
pub(super) fn write_request(
    request: &Request,
    embed: &Embed,
    target: &Target<'_>,
) -> Result<Written, Fault> {
    let mut losses = Losses::told_to(request.dialect);
    let own = request.dialect == super::ID;
    if embed.purpose.is_some() {
        losses.add("task_type", "the target's embeddings have no purpose");
    }
    if embed.title.is_some() {
        losses.add("title", "the target's embeddings have no title");
    }
    if !own {
        losses.add_extras(&request.extras);
    }
    let body = json::object(|root| {
        root.str("model", &request.model);
        root.array("input", |array| {
            for input in &embed.inputs {
                write_input(array, input);
            }
        });
        root.opt_int("dimensions", embed.dimensions);
        if embed.base64 {
            root.str("encoding_format", "base64");
        }
        root.opt_str("user", embed.user.as_deref());
        if own {
            root.extras(&request.extras);
        }
    });
    Ok(Written {
        body: body.into(),
        losses: losses.settled(target.unsupported)?,
    })
}

fn write_input(array: &mut ArrayWriter<'_>, input: &EmbedInput) {
    match input {
        EmbedInput::Text(text) => array.str(text),
        EmbedInput::Tokens(ids) => array.array(|tokens| {
            for id in ids {
                tokens.int(*id);
            }
        }),
    }
}

/// Reads a provider's answer.
pub(super) fn read_answer(body: Json<'_>) -> Result<EmbedAnswer, Fault> {
    let data = body.need("data")?.as_array()?;
    let mut vectors = Vec::new();
    for (at, item) in data.items().enumerate() {
        let index = item.opt_u32("index")?.map_or(at, |index| index as usize);
        vectors.push((index, read_vector(item.need("embedding")?)?));
    }
    if vectors.is_empty() {
        return Err(data.fault("the answer holds no vectors"));
    }
    vectors.sort_by_key(|(index, _)| *index);
    Ok(EmbedAnswer {
        model: body.opt_string("model")?,
        vectors: vectors.into_iter().map(|(_, vector)| vector).collect(),
        usage: body.field("usage").and_then(usage::read_embed),
    })
}

fn read_vector(vector: Json<'_>) -> Result<Vec<f32>, Fault> {
    if let Some(text) = vector.str() {
        let bytes = STANDARD
            .decode(text.as_bytes())
            .map_err(|_| vector.expected("base64 of little-endian 32-bit numbers"))?;
        let (words, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(vector.expected("base64 of little-endian 32-bit numbers"));
        }
        return Ok(words.iter().map(|word| f32::from_le_bytes(*word)).collect());
    }
    let numbers = vector.as_array()?.items();
    numbers
        .map(|number| {
            // Parsed as 32-bit at once: by way of 64 bits it could round twice.
            number
                .f64()
                .and_then(|_| number.raw().parse::<f32>().ok())
                .filter(|number| number.is_finite())
                .ok_or_else(|| number.expected("a number"))
        })
        .collect()
}

/// Writes an answer for a client.
pub(super) fn write_answer(answer: &EmbedAnswer, base64: bool, asked: &Asked<'_>) -> Written {
    let body = json::object(|root| {
        root.str("object", "list");
        root.array("data", |data| {
            for (index, vector) in answer.vectors.iter().enumerate() {
                data.object(|item| write_vector(item, index, vector, base64));
            }
        });
        root.str("model", asked.model);
        let tokens = answer.usage.map_or(0, |usage| usage.input_total());
        root.object("usage", |usage| {
            usage.int("prompt_tokens", tokens);
            usage.int("total_tokens", tokens);
        });
    });
    Written {
        body: body.into(),
        losses: Vec::new(),
    }
}

fn write_vector(item: &mut ObjectWriter<'_>, index: usize, vector: &[f32], base64: bool) {
    item.str("object", "embedding");
    item.int("index", index);
    if base64 {
        let bytes: Vec<u8> = vector.iter().flat_map(|word| word.to_le_bytes()).collect();
        item.str("embedding", &STANDARD.encode(bytes));
    } else {
        item.array("embedding", |array| {
            for number in vector {
                array.float32(*number);
            }
        });
    }
}
