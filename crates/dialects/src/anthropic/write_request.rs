//! Writing a Messages request for an upstream: in the words of the caller
//! where it speaks this dialect, translated where it does not.

use contract::chat::{Chat, Part, PartKind, Role};
use contract::request::Task;
use contract::{Fault, Request};

use super::ID;
use super::content_write::{BlockWriter, put_all};
use crate::dialect::{Target, Written};
use crate::json::{self, ObjectWriter};
use crate::loss::{Losses, unusual};
use crate::nested::Nested;
use crate::sampling::{self, Sampled};
use crate::stand_in::JSON_ONLY;
use crate::thinking::{self, Plan};

/// Output cap for models whose maximum is unknown, in tokens. The vendor
/// demands one; every model of the family can write this much.
const OUTPUT_TOKENS_UNKNOWN: u32 = 4_096;
/// What the user says where the caller's conversation does not begin with
/// the user, as this vendor demands.
const OPENING: &str = "Begin.";

/// See [`crate::Dialect::write_request`].
pub(super) fn write(request: &Request, target: &Target<'_>) -> Result<Written, Fault> {
    let (chat, counting) = match &request.task {
        Task::Chat(chat) => (chat, false),
        Task::CountTokens(chat) => (chat, true),
        Task::Embed(_) => {
            return Err(Fault::unsupported(
                "The provider that serves this model has no embeddings. Choose an embedding model.",
            ));
        }
    };
    let mut blocks = BlockWriter {
        card: target.card,
        losses: Losses::told_to(request.dialect),
        nested: Nested::of_own(request, ID),
        own: request.dialect == ID,
    };
    let cap = blocks.output_cap(chat, counting);
    let plan = blocks.plan(chat, cap);
    let set = blocks.tool_set(chat);
    let messages = blocks.conversation(chat, set.json_only)?;
    let sampled = blocks.sampled(chat, &plan, counting);
    if !blocks.own {
        blocks.foreign(request, chat);
    }
    let body = json::object(|out| {
        out.str("model", &request.model);
        if !counting {
            out.int("max_tokens", cap);
        }
        blocks.put_system(&messages.system, out);
        out.array("messages", |array| put_all(&messages.turns, array));
        if !set.tools.is_empty() {
            out.array("tools", |array| put_all(&set.tools, array));
        }
        if let Some(choice) = &set.choice {
            out.raw("tool_choice", choice);
        }
        blocks.put_reasoning(&plan, set.format.as_ref().map(|raw| raw.as_str()), out);
        blocks.cache(chat.cache, "", out);
        if !counting {
            blocks.put_settings(chat, &sampled, out);
            if request.stream {
                out.bool("stream", true);
            }
        }
        if blocks.own {
            blocks.nested.put("", out);
        }
    });
    if blocks.own {
        for path in blocks.nested.left() {
            blocks.losses.declare(
                path.to_owned(),
                "what it belonged to was changed on the way",
            );
        }
    }
    Ok(Written {
        body: body.into(),
        losses: blocks.losses.settled(target.unsupported)?,
    })
}

/// The conversation, written.
#[derive(Debug, Default)]
struct Conversation {
    system: Vec<SystemBlock>,
    turns: Vec<String>,
}

/// A block of the top-level system field.
#[derive(Debug)]
struct SystemBlock {
    json: String,
    /// Its text, where it says nothing else.
    plain: Option<String>,
}

/// Parts of adjacent turns of one role, with their paths.
type Group<'c> = (Role, Vec<(String, &'c Part)>);

impl BlockWriter<'_> {
    fn output_cap(&mut self, chat: &Chat, counting: bool) -> u32 {
        if let Some(cap) = chat.output_tokens_max {
            return cap;
        }
        self.card.output_tokens_max.unwrap_or_else(|| {
            if !counting {
                self.losses.declare(
                    "max_tokens",
                    "the vendor demands a cap and the model's maximum is unknown; it was set to 4096",
                );
            }
            OUTPUT_TOKENS_UNKNOWN
        })
    }

    fn plan(&mut self, chat: &Chat, cap: u32) -> Plan {
        if self.own {
            return thinking::as_asked(chat);
        }
        let schema = matches!(chat.format, contract::chat::OutputFormat::JsonSchema { .. });
        let plan = thinking::translated(chat, self.card, cap, ID, &mut self.losses);
        if plan.thinks() && schema && !self.card.capabilities.json_schema {
            self.losses.declare(
                "reasoning",
                "the output format is asked for by a forced tool, which excludes thinking",
            );
            return Plan::default();
        }
        plan
    }

    /// System blocks and messages. A caller of this dialect gets its messages
    /// back one by one; for others adjacent turns of one role are merged.
    fn conversation(&mut self, chat: &Chat, json_only: bool) -> Result<Conversation, Fault> {
        let mut written = Conversation::default();
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut leading = true;
        let mut offset = 0;
        for (number, turn) in chat.turns.iter().enumerate() {
            let is_system = matches!(turn.role, Role::System | Role::Developer);
            let on_top = leading && is_system && (!self.own || number == 0);
            leading &= is_system;
            if turn.name.is_some() {
                self.losses.declare(
                    format!("messages[{number}].name"),
                    "participants have no names here",
                );
            }
            let in_place = self.own || self.card.capabilities.system_in_place;
            if on_top || (is_system && !in_place) {
                if !on_top {
                    self.losses.declare(
                        format!("messages[{number}].role"),
                        "instructions in the middle were moved to the start",
                    );
                }
                let base = if self.own {
                    offset = 1;
                    "system".to_owned()
                } else {
                    format!("messages[{number}].content")
                };
                self.system(&turn.parts, &base, &mut written)?;
                continue;
            }
            let base = format!("messages[{}].content", number - offset);
            let parts = turn.parts.iter().enumerate();
            let placed = parts.map(|(index, part)| (format!("{base}[{index}]"), part));
            let role = if is_system { Role::System } else { turn.role };
            match groups.last_mut() {
                Some((last, group)) if *last == role && !self.own => group.extend(placed),
                Some(_) | None => groups.push((role, placed.collect())),
            }
        }
        if json_only {
            self.system(&[Part::text(JSON_ONLY)], "response_format", &mut written)?;
        }
        for (index, group) in groups.into_iter().enumerate() {
            written.turns.extend(self.message(index, group)?);
        }
        self.open_with_user(&mut written);
        Ok(written)
    }

    fn system(
        &mut self,
        parts: &[Part],
        base: &str,
        written: &mut Conversation,
    ) -> Result<(), Fault> {
        for (index, part) in parts.iter().enumerate() {
            let at = format!("{base}[{index}]");
            if let Some(json) = self.block(part, &at)? {
                let plain = self.plain_text(part, &at).map(str::to_owned);
                written.system.push(SystemBlock { json, plain });
            }
        }
        Ok(())
    }

    /// One message; `None` if nothing of it can be sent.
    fn message(
        &mut self,
        index: usize,
        (role, mut parts): Group<'_>,
    ) -> Result<Option<String>, Fault> {
        if role == Role::User && !self.own {
            // The vendor wants the results of tools first.
            parts.sort_by_key(|(_, part)| !matches!(part.kind, PartKind::ToolResult(_)));
        }
        let mut blocks = Vec::with_capacity(parts.len());
        for (at, part) in &parts {
            blocks.extend(self.block(part, at)?);
        }
        if blocks.is_empty() && !self.own {
            return Ok(None);
        }
        let plain = match parts.as_slice() {
            [(at, only)] => self.plain_text(only, at),
            _ => None,
        };
        Ok(Some(json::object(|out| {
            out.str(
                "role",
                match role {
                    Role::User => "user",
                    Role::Assistant => "assistant",
                    Role::System | Role::Developer => "system",
                },
            );
            match plain {
                Some(text) => out.str("content", text),
                None => out.array("content", |array| put_all(&blocks, array)),
            }
            if self.own {
                self.nested.put(&format!("messages[{index}]"), out);
            }
        })))
    }

    fn open_with_user(&mut self, written: &mut Conversation) {
        let begins = written
            .turns
            .first()
            .is_some_and(|turn| !turn.starts_with(r#"{"role":"assistant""#));
        if begins || self.own {
            return;
        }
        self.losses.declare(
            "messages",
            "the vendor wants the user to speak first; a user message `Begin.` was added",
        );
        let opening = json::object(|out| {
            out.str("role", "user");
            out.str("content", OPENING);
        });
        written.turns.insert(0, opening);
    }

    fn put_system(&self, system: &[SystemBlock], out: &mut ObjectWriter<'_>) {
        match system {
            [] => {}
            [
                SystemBlock {
                    plain: Some(text), ..
                },
            ] => out.str("system", text),
            many => out.array("system", |array| {
                many.iter().for_each(|block| array.raw(&block.json));
            }),
        }
    }

    fn put_reasoning(&self, plan: &Plan, schema: Option<&str>, out: &mut ObjectWriter<'_>) {
        if let Some(mode) = plan.mode {
            out.object("thinking", |out| {
                plan.write_thinking(mode, out);
                self.nested.put("thinking", out);
            });
        }
        if plan.effort.is_none() && schema.is_none() && !self.nested.has("output_config") {
            return;
        }
        out.object("output_config", |out| {
            out.opt_str("effort", plan.effort.map(|effort| effort.word()));
            if let Some(schema) = schema {
                out.object("format", |out| {
                    out.str("type", "json_schema");
                    out.raw("schema", schema);
                    self.nested.put("output_config.format", out);
                });
            }
            self.nested.put("output_config", out);
        });
    }

    fn sampled(&mut self, chat: &Chat, plan: &Plan, counting: bool) -> Sampled {
        if counting {
            return Sampled::default();
        }
        if self.own && self.card.capabilities.sampling {
            return Sampled::as_asked(chat);
        }
        sampling::translated(chat, plan, self.card, &mut self.losses)
    }

    fn put_settings(&self, chat: &Chat, sampled: &Sampled, out: &mut ObjectWriter<'_>) {
        if !chat.stop.is_empty() {
            out.strs("stop_sequences", &chat.stop);
        }
        out.opt_float("temperature", sampled.temperature);
        out.opt_float("top_p", sampled.top_p);
        out.opt_int("top_k", sampled.top_k);
        if chat.user.is_some() || self.nested.has("metadata") {
            out.object("metadata", |out| {
                out.opt_str("user_id", chat.user.as_deref());
                self.nested.put("metadata", out);
            });
        }
        let tier = chat.service_tier.as_deref();
        let tier = if self.own {
            tier
        } else {
            tier.and_then(tier_word)
        };
        out.opt_str("service_tier", tier);
    }

    /// Declares what a caller of another dialect asked for in vain.
    fn foreign(&mut self, request: &Request, chat: &Chat) {
        let metadata = (!chat.metadata.is_empty()).then_some("metadata");
        for name in unusual(chat).chain(metadata) {
            self.losses
                .declare(name, "the Messages API has nothing like it");
        }
        if let Some(tier) = &chat.service_tier
            && tier_word(tier).is_none()
        {
            self.losses
                .declare("service_tier", "the vendor has no such tier");
        }
        for (name, _) in &request.extras.fields {
            self.losses
                .declare(name.clone(), "only the caller's own dialect knows it");
        }
    }
}

/// Other vendors' words for tiers. `auto` uses priority capacity where the
/// account has it.
fn tier_word(tier: &str) -> Option<&'static str> {
    match tier {
        "auto" | "priority" => Some("auto"),
        "default" | "standard" | "standard_only" => Some("standard_only"),
        _ => None,
    }
}
