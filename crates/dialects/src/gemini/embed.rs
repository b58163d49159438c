//! Embeddings: one content, or a batch of requests.

use contract::answer::EmbedAnswer;
use contract::request::{Embed, EmbedInput};
use contract::text::Extras;
use contract::{Fault, Request};

use super::route::{EMBED_BATCH, EMBED_ONE, resource_name};
use super::{ID, names, usage};
use crate::dialect::{Asked, GATEWAY_FIELD, Route, Target, Written};
use crate::json::{self, Json, ObjectWriter};
use crate::loss::Losses;

/// Fields of one request.
const KNOWN: [&str; 6] = [
    "model",
    "content",
    "taskType",
    "title",
    "outputDimensionality",
    "embedContentConfig",
];

/// Reads a request.
pub(super) fn read_request(
    route: &Route,
    body: Json<'_>,
    extras: &mut Extras,
) -> Result<Embed, Fault> {
    if route.variant != EMBED_BATCH {
        let known = [&KNOWN[..], &[GATEWAY_FIELD]].concat();
        names::keep(body.as_object()?, "", &known, extras);
        return read_one(body, extras);
    }
    let known = ["requests", GATEWAY_FIELD];
    names::keep(body.as_object()?, "", &known, extras);
    let requests = names::need(body, "requests")?.as_array()?;
    let mut whole: Option<Embed> = None;
    for (index, request) in requests.items().enumerate() {
        names::keep(
            request.as_object()?,
            &format!("requests[{index}]"),
            &KNOWN,
            extras,
        );
        let mut one = read_one(request, extras)?;
        match &mut whole {
            None => whole = Some(one),
            Some(whole) => {
                let inputs = std::mem::take(&mut one.inputs);
                if (&one.dimensions, &one.purpose, &one.title)
                    != (&whole.dimensions, &whole.purpose, &whole.title)
                {
                    return Err(Fault::unsupported(format!(
                        "`requests[{index}]` asks for another task type, title or dimensionality \
                         than the first request; the model that serves this batch takes one of \
                         each. Send them in batches of their own."
                    ))
                    .at(format!("requests[{index}]")));
                }
                whole.inputs.extend(inputs);
            }
        }
    }
    let mut whole = whole.ok_or_else(|| requests.fault("there must be something to embed"))?;
    whole.batch = true;
    Ok(whole)
}

fn read_one(request: Json<'_>, extras: &mut Extras) -> Result<Embed, Fault> {
    let content = names::need(request, "content")?.as_object()?;
    let mut text = String::new();
    for part in names::list(names::need(content, "parts")?)? {
        let Some(piece) = names::field(part, "text")? else {
            return Err(Fault::unsupported(format!(
                "`{}`: only text can be embedded by the model that serves this request. Send \
                 text, or choose a model that takes more.",
                part.path()
            ))
            .at(part.path()));
        };
        text.push_str(&piece.as_str()?);
    }
    // Newer clients nest the options; older ones send them flat.
    let nested = names::field(request, "embedContentConfig")?;
    if let Some(nested) = nested {
        names::keep(nested, "embedContentConfig", &KNOWN, extras);
    }
    let option = |name| match names::field(request, name)? {
        Some(value) => Ok::<_, Fault>(Some(value)),
        None => match nested {
            Some(nested) => names::field(nested, name),
            None => Ok(None),
        },
    };
    let word = |name| {
        option(name)?
            .map(|value| Ok::<_, Fault>(value.as_str()?.into_owned()))
            .transpose()
    };
    let purpose = word("taskType")?;
    Ok(Embed {
        inputs: vec![EmbedInput::Text(text)],
        dimensions: option("outputDimensionality")?
            .map(names::as_u32)
            .transpose()?,
        base64: false,
        purpose: purpose
            .filter(|word| word != "TASK_TYPE_UNSPECIFIED")
            .map(|word| word.to_ascii_lowercase()),
        title: word("title")?,
        user: None,
        batch: false,
    })
}

/// Writes a request for an upstream: as a batch, unless the caller speaks this
/// dialect and asked for one.
pub(super) fn write_request(
    request: &Request,
    embed: &Embed,
    target: &Target<'_>,
) -> Result<Written, Fault> {
    let mut losses = Losses::told_to(request.dialect);
    let own = request.dialect == ID;
    let mut texts = Vec::with_capacity(embed.inputs.len());
    for input in &embed.inputs {
        match input {
            EmbedInput::Text(text) => texts.push(text.as_str()),
            EmbedInput::Tokens(_) => {
                return Err(Fault::unsupported(
                    "`input`: the model that serves this request embeds text, not token ids. \
                     Send the text.",
                )
                .at("input"));
            }
        }
    }
    if embed.user.is_some() {
        losses.declare("user", "the Gemini API has nothing like it");
    }
    let top = |name: &str| own && !name.contains(['.', '[']);
    for (name, _) in &request.extras.fields {
        if !top(name) {
            losses.declare(name.clone(), "embeddings have no such field here");
        }
    }
    let model = resource_name(&request.model);
    let one = |text: &str, out: &mut ObjectWriter<'_>| {
        out.str("model", &model);
        out.object("content", |out| {
            out.array("parts", |array| array.object(|out| out.str("text", text)));
        });
        let purpose = embed.purpose.as_ref().map(|word| word.to_ascii_uppercase());
        out.opt_str("taskType", purpose.as_deref());
        out.opt_str("title", embed.title.as_deref());
        out.opt_int("outputDimensionality", embed.dimensions);
    };
    let body = json::object(|out| {
        match texts.as_slice() {
            [text] if own && !embed.batch => one(text, out),
            _ => out.array("requests", |array| {
                for text in &texts {
                    array.object(|out| one(text, out));
                }
            }),
        }
        for (name, value) in request.extras.fields.iter().filter(|(name, _)| top(name)) {
            out.raw(name, value.as_str());
        }
    });
    Ok(Written {
        body: body.into(),
        losses: losses.settled(target.unsupported)?,
    })
}

/// Reads a provider's answer, whichever form was asked for.
pub(super) fn read_answer(body: Json<'_>) -> Result<EmbedAnswer, Fault> {
    let vectors = match body.as_object()?.field("embedding") {
        Some(one) => vec![vector(one)?],
        None => {
            let list = body.need("embeddings")?.as_array()?;
            list.items()
                .map(vector)
                .collect::<Result<Vec<_>, Fault>>()?
        }
    };
    if vectors.is_empty() {
        return Err(body.fault("the answer holds no vectors"));
    }
    Ok(EmbedAnswer {
        model: None,
        vectors,
        usage: body.field("usageMetadata").map(usage::read_embed),
    })
}

fn vector(embedding: Json<'_>) -> Result<Vec<f32>, Fault> {
    let values = embedding.as_object()?.need("values")?.as_array()?;
    values
        .items()
        .map(|number| {
            // Parsed as 32-bit at once: by way of 64 bits it could round twice.
            let parsed = number.f64().and_then(|_| number.raw().parse::<f32>().ok());
            parsed
                .filter(|number| number.is_finite())
                .ok_or_else(|| number.expected("a number"))
        })
        .collect()
}

/// Writes an answer for a client.
pub(super) fn write_answer(answer: &EmbedAnswer, asked: &Asked<'_>) -> Written {
    let values = |vector: &[f32], out: &mut ObjectWriter<'_>| {
        out.array("values", |array| {
            vector.iter().for_each(|number| array.float32(*number));
        });
    };
    let body = json::object(|out| {
        match answer.vectors.as_slice() {
            [vector] if asked.route.variant == EMBED_ONE => {
                out.object("embedding", |out| values(vector, out));
            }
            vectors => out.array("embeddings", |array| {
                for vector in vectors {
                    array.object(|out| values(vector, out));
                }
            }),
        }
        if let Some(usage) = answer.usage {
            out.object("usageMetadata", |out| {
                out.int("promptTokenCount", usage.input_total());
                out.int("totalTokenCount", usage.input_total());
            });
        }
    });
    Written {
        body: body.into(),
        losses: Vec::new(),
    }
}
