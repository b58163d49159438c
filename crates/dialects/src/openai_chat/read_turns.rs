//! Reading the messages of a request into turns.

use contract::Fault;
use contract::chat::{Part, PartKind, Role, ToolCall, ToolResult, Turn};
use contract::text::Extras;

use super::echo::Sender;
use super::read_parts::{keep_rest, read_arguments, read_assistant, read_content};
use crate::carry;
use crate::json::Json;

/// Reads all messages; members that are not known go to `extras`.
pub(super) fn read(messages: Json<'_>, extras: &mut Extras) -> Result<Vec<Turn>, Fault> {
    let mut reader = Reader {
        turns: Vec::new(),
        calls: Vec::new(),
        answering: false,
        extras,
    };
    for message in messages.as_array()?.items() {
        reader.message(message)?;
    }
    Ok(reader.turns)
}

struct Reader<'e> {
    turns: Vec<Turn>,
    /// Calls so far, for results that refer to them.
    calls: Vec<Called>,
    /// The last turn holds tool results and can take more of them.
    answering: bool,
    extras: &'e mut Extras,
}

struct Called {
    id: String,
    name: String,
    custom: bool,
}

impl Reader<'_> {
    fn message(&mut self, message: Json<'_>) -> Result<(), Fault> {
        message.as_object()?;
        let role = message.need("role")?;
        match &*role.as_str()? {
            "system" => self.plain(Role::System, message),
            "developer" => self.plain(Role::Developer, message),
            "user" => self.plain(Role::User, message),
            "assistant" => self.assistant(message),
            "tool" => self.tool(message),
            "function" => self.function(message),
            _ => Err(role.fault(
                "unknown role; expected `system`, `developer`, `user`, `assistant` or `tool`",
            )),
        }
    }

    fn plain(&mut self, role: Role, message: Json<'_>) -> Result<(), Fault> {
        keep_rest(message, &["role", "content", "name"], self.extras);
        let parts = read_content(Some(message.need("content")?), self.extras)?;
        self.push(role, parts, message)
    }

    fn assistant(&mut self, message: Json<'_>) -> Result<(), Fault> {
        const KNOWN: &[&str] = &[
            "role",
            "content",
            "name",
            "refusal",
            "annotations",
            "audio",
            "images",
            "tool_calls",
            "function_call",
            "thinking_blocks",
            "reasoning_details",
            "reasoning_content",
            "reasoning",
        ];
        keep_rest(message, KNOWN, self.extras);
        let mut parts = read_assistant(message, Sender::Client, self.extras)?;
        if let Some(call) = message.opt_object("function_call")? {
            parts.push(self.legacy_call(call)?);
        }
        let calls = parts.iter().filter_map(|part| match &part.kind {
            PartKind::ToolCall(call) => Some(Called {
                id: call.id.clone(),
                name: call.name.clone(),
                custom: call.custom,
            }),
            _ => None,
        });
        self.calls.extend(calls);
        self.push(Role::Assistant, parts, message)
    }

    /// The call of before there were tools: it has no id, so it gets one.
    fn legacy_call(&self, call: Json<'_>) -> Result<Part, Fault> {
        Ok(PartKind::ToolCall(ToolCall {
            id: format!("call_function_{}", self.calls.len()),
            name: call.need_str("name")?.into_owned(),
            arguments: read_arguments(call.field("arguments"), false)?,
            custom: false,
        })
        .into())
    }

    fn tool(&mut self, message: Json<'_>) -> Result<(), Fault> {
        keep_rest(
            message,
            &["role", "content", "tool_call_id", "name"],
            self.extras,
        );
        let loaded = message.need_str("tool_call_id")?;
        let id = carry::unload_id(&loaded).0;
        let custom = self.calls.iter().any(|call| call.id == id && call.custom);
        let parts = read_content(message.field("content"), self.extras)?;
        self.result(ToolResult {
            call_id: id.into_owned(),
            name: message.opt_string("name")?,
            parts,
            json: None,
            is_error: false,
            custom,
        });
        Ok(())
    }

    fn function(&mut self, message: Json<'_>) -> Result<(), Fault> {
        keep_rest(message, &["role", "content", "name"], self.extras);
        let name = message.need_str("name")?;
        let call = self.calls.iter().rfind(|call| call.name == name);
        let Some(call) = call else {
            return Err(message
                .need("name")?
                .fault("no earlier message calls this function"));
        };
        let call_id = call.id.clone();
        let parts = read_content(message.field("content"), self.extras)?;
        self.result(ToolResult {
            call_id,
            name: Some(name.into_owned()),
            parts,
            json: None,
            is_error: false,
            custom: false,
        });
        Ok(())
    }

    /// Results that follow one another are one turn of the user.
    fn result(&mut self, result: ToolResult) {
        let part = PartKind::ToolResult(result).into();
        match self.turns.last_mut() {
            Some(turn) if self.answering => turn.parts.push(part),
            _ => self.turns.push(Turn {
                role: Role::User,
                parts: vec![part],
                name: None,
            }),
        }
        self.answering = true;
    }

    fn push(&mut self, role: Role, parts: Vec<Part>, message: Json<'_>) -> Result<(), Fault> {
        self.answering = false;
        self.turns.push(Turn {
            role,
            parts,
            name: message.opt_string("name")?,
        });
        Ok(())
    }
}
