//! Writing turns as messages: the vendor demands that user and assistant take
//! turns, that the user begins, and that a document comes with words.

use contract::Fault;
use contract::chat::{Chat, Part, PartKind, Role};

use super::content_write::{BlockWriter, cache_point, text_block};
use crate::json;
use crate::stand_in::JSON_ONLY;

/// What the user says where the caller's conversation does not begin with
/// the user.
const OPENING: &str = "Begin.";
/// What the user says beside a document that came without words.
const BESIDE_DOCUMENT: &str = "See the attached document.";

/// The conversation, written.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) system: Vec<String>,
    pub(super) messages: Vec<String>,
}

/// Parts of adjacent turns of one role, with their paths.
struct Group<'c> {
    role: Role,
    parts: Vec<(String, &'c Part)>,
}

impl BlockWriter<'_> {
    /// System blocks and messages. A caller of this dialect gets its messages
    /// back one by one; for others adjacent turns of one role are merged.
    pub(super) fn conversation(
        &mut self,
        chat: &Chat,
        json_only: bool,
    ) -> Result<Conversation, Fault> {
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
                for (index, part) in turn.parts.iter().enumerate() {
                    let blocks = self.blocks(part, &format!("{base}[{index}]"))?;
                    written.system.extend(blocks);
                }
                continue;
            }
            let base = format!("messages[{}].content", number - offset);
            let parts = turn.parts.iter().enumerate();
            let placed = parts.map(|(index, part)| (format!("{base}[{index}]"), part));
            let role = if is_system { Role::System } else { turn.role };
            match groups.last_mut() {
                Some(group) if group.role == role && !self.own => group.parts.extend(placed),
                Some(_) | None => groups.push(Group {
                    role,
                    parts: placed.collect(),
                }),
            }
        }
        if json_only {
            written.system.push(text_block(JSON_ONLY, &[]));
        }
        self.messages(chat, groups, &mut written)?;
        Ok(written)
    }

    fn messages(
        &mut self,
        chat: &Chat,
        groups: Vec<Group<'_>>,
        written: &mut Conversation,
    ) -> Result<(), Fault> {
        let mut begun = false;
        let last = groups.len().saturating_sub(1);
        for (index, group) in groups.into_iter().enumerate() {
            let role = group.role;
            let mut blocks = self.group(group)?;
            if blocks.is_empty() && !self.own {
                continue;
            }
            if let Some(mark) = chat.cache.filter(|_| index == last) {
                // A marker on the request means everything up to its end.
                blocks.push(cache_point(mark));
            }
            if !begun && role == Role::Assistant && !self.own {
                written.messages.push(self.opening());
            }
            begun = true;
            let word = match role {
                Role::User => "user",
                Role::Assistant => "assistant",
                Role::System | Role::Developer => "system",
            };
            written.messages.push(json::object(|out| {
                out.str("role", word);
                out.array("content", |array| {
                    blocks.iter().for_each(|block| array.raw(block));
                });
                if self.own {
                    self.nested.put(&format!("messages[{index}]"), out);
                }
            }));
        }
        if !begun {
            written.messages.push(self.opening());
        }
        Ok(())
    }

    fn group(&mut self, mut group: Group<'_>) -> Result<Vec<String>, Fault> {
        let user = group.role == Role::User && !self.own;
        if user {
            // Results of tools come first, as the models want them.
            let later = |part: &Part| !matches!(part.kind, PartKind::ToolResult(_));
            group.parts.sort_by_key(|(_, part)| later(part));
        }
        let mut blocks = Vec::with_capacity(group.parts.len());
        for (at, part) in &group.parts {
            blocks.extend(self.blocks(part, at)?);
        }
        let has =
            |wanted: fn(&PartKind) -> bool| group.parts.iter().any(|(_, part)| wanted(&part.kind));
        let wordless = has(|kind| matches!(kind, PartKind::File { .. }))
            && !has(|kind| matches!(kind, PartKind::Text { .. }));
        if user && wordless {
            self.losses.declare(
                "messages",
                "a document must come with words here; a sentence was added",
            );
            blocks.push(text_block(BESIDE_DOCUMENT, &[]));
        }
        Ok(blocks)
    }

    fn opening(&mut self) -> String {
        self.losses.declare(
            "messages",
            "the vendor wants the user to speak first; a user message `Begin.` was added",
        );
        json::object(|out| {
            out.str("role", "user");
            out.array("content", |array| array.raw(&text_block(OPENING, &[])));
        })
    }
}
