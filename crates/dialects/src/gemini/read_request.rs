//! Reading a request: chats, token counts and embeddings.

use contract::chat::{Chat, Role, Turn};
use contract::request::Task;
use contract::{Fault, Operation, Request};

use super::read_parts::{self, PartReader};
use super::{ID, embed, names, read_settings};
use crate::dialect::{GATEWAY_FIELD, Route};
use crate::json::Json;

/// See [`crate::Dialect::read_request`].
pub(super) fn read(route: &Route, body: Json<'_>) -> Result<Request, Fault> {
    let mut parts = PartReader::default();
    let task = match route.operation {
        Operation::Embed => Task::Embed(embed::read_request(route, body, &mut parts.extras)?),
        Operation::CountTokens => {
            let inner = match names::field(body, "generateContentRequest")? {
                Some(inner) => {
                    let known = ["generateContentRequest", GATEWAY_FIELD];
                    names::keep(body, "", &known, &mut parts.extras);
                    inner
                }
                None => body,
            };
            Task::CountTokens(Box::new(chat(inner, &mut parts)?))
        }
        Operation::Chat | Operation::ListModels | Operation::GetModel => {
            Task::Chat(Box::new(chat(body, &mut parts)?))
        }
    };
    Ok(Request {
        dialect: ID,
        model: route.model.clone().unwrap_or_default(),
        task,
        stream: route.stream.unwrap_or(false),
        extras: parts.extras,
    })
}

/// Fields that are read; everything else is kept.
const KNOWN: [&str; 9] = [
    "model",
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "generationConfig",
    "serviceTier",
    "store",
    GATEWAY_FIELD,
];

fn chat(body: Json<'_>, parts: &mut PartReader) -> Result<Chat, Fault> {
    let mut chat = Chat {
        service_tier: names::opt_string(body, "serviceTier")?,
        store: names::opt_bool(body, "store")?,
        // Streams of this API always report usage.
        stream_usage: true,
        ..Chat::default()
    };
    let contents = names::list(names::need(body, "contents")?)?;
    if contents.is_empty() {
        return Err(names::need(body, "contents")?.fault("at least one content is required"));
    }
    if let Some(system) = names::field(body, "systemInstruction")? {
        let told = read_parts::instruction(parts, system)?;
        if !told.is_empty() {
            chat.turns.push(Turn {
                role: Role::System,
                parts: told,
                name: None,
            });
        }
    }
    for (number, content) in contents.into_iter().enumerate() {
        let turn = parts.turn(content, number)?;
        chat.turns.push(turn);
    }
    read_parts::join_thoughts(&mut chat.turns);
    if let Some(tools) = names::field(body, "tools")? {
        chat.tools = read_settings::tools(tools, &mut parts.extras)?;
    }
    if let Some(config) = names::field(body, "toolConfig")? {
        chat.tool_choice = read_settings::tool_config(config, &mut parts.extras)?;
    }
    if let Some(config) = names::field(body, "generationConfig")? {
        read_settings::generation(config, &mut chat, &mut parts.extras)?;
    }
    names::keep(body, "", &KNOWN, &mut parts.extras);
    Ok(chat)
}
