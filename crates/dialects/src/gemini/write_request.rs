//! Writing a request for an upstream: in the words of the caller where it
//! speaks this dialect, translated where it does not.

use contract::chat::{Chat, OutputFormat, Part, PartKind, Role};
use contract::request::Task;
use contract::text::Extras;
use contract::{Fault, Request};

use super::write_parts::PartWriter;
use super::write_tools::{ToolSet, Written as Schema};
use super::{ID, embed, route, thinking};
use crate::dialect::{Target, Written};
use crate::json::{self, ObjectWriter};
use crate::loss::Losses;
use crate::nested::Nested;

/// Most stop sequences that the vendor takes.
const STOP_SEQUENCES_MAX: usize = 5;
/// What the user says where the conversation begins with a call of the model,
/// which this vendor takes only behind a turn of the user.
const OPENING: &str = "Begin.";

/// See [`crate::Dialect::write_request`].
pub(super) fn write(request: &Request, target: &Target<'_>) -> Result<Written, Fault> {
    let (chat, counting) = match &request.task {
        Task::Chat(chat) => (chat, false),
        Task::CountTokens(chat) => (chat, true),
        Task::Embed(embed) => return embed::write_request(request, embed, target),
    };
    let own = request.dialect == ID;
    let none = Extras::default();
    let mut parts = PartWriter {
        card: target.card,
        losses: Losses::told_to(request.dialect),
        // Extras of another dialect may be named by paths that exist here too.
        nested: Nested::of(if own { &request.extras } else { &none }),
        own,
        calls: Vec::new(),
        unsigned: false,
    };
    let said = parts.conversation(chat)?;
    let tools = parts.tools(&chat.tools);
    let config = if counting && !own {
        "{}".to_owned()
    } else {
        parts.generation(chat)
    };
    if !own {
        parts.foreign(request, chat);
    }
    let body = json::object(|out| parts.put_chat(chat, &said, &tools, &config, out));
    // The bare form of a token count takes contents only.
    let bare = said.system.is_empty() && tools.is_empty() && config == "{}";
    let body = if counting && !(bare && request.extras.fields.is_empty()) {
        json::object(|out| {
            let named = json::string(&route::resource_name(&request.model));
            let inner = format!("{{\"model\":{named},{}", &body[1..]);
            out.raw("generateContentRequest", &inner);
        })
    } else {
        body
    };
    for path in parts.nested.left() {
        parts.losses.declare(
            path.to_owned(),
            "what it belonged to was changed on the way",
        );
    }
    Ok(Written {
        body: body.into(),
        losses: parts.losses.settled(target.unsupported)?,
    })
}

/// The conversation, written.
#[derive(Debug, Default)]
struct Said {
    system: Vec<String>,
    contents: Vec<String>,
}

/// Parts of adjacent turns of one role, with their paths.
type Group<'c> = (Role, Vec<(String, &'c Part)>);

impl PartWriter<'_> {
    fn put_chat(
        &self,
        chat: &Chat,
        said: &Said,
        tools: &ToolSet,
        config: &str,
        out: &mut ObjectWriter<'_>,
    ) {
        if !said.system.is_empty() {
            out.object("systemInstruction", |out| {
                out.array("parts", |array| {
                    said.system.iter().for_each(|part| array.raw(part));
                });
                self.nested.put("systemInstruction", out);
            });
        }
        out.array("contents", |array| {
            said.contents.iter().for_each(|content| array.raw(content));
        });
        if !tools.is_empty() {
            out.array("tools", |array| tools.write(array));
        }
        self.put_choice(chat.tool_choice.as_ref(), !tools.is_empty(), out);
        if config != "{}" {
            out.raw("generationConfig", config);
        }
        let tier = chat.service_tier.as_deref();
        let tier = if self.own {
            tier
        } else {
            tier.and_then(tier_word)
        };
        out.opt_str("serviceTier", tier);
        out.opt_bool("store", chat.store);
        self.nested.put("", out);
    }

    /// System parts and contents. A caller of this dialect gets its contents
    /// back one by one; for others adjacent turns of one role are merged.
    fn conversation(&mut self, chat: &Chat) -> Result<Said, Fault> {
        let mut said = Said::default();
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut leading = true;
        for (number, turn) in chat.turns.iter().enumerate() {
            if turn.name.is_some() {
                self.losses.declare(
                    format!("messages[{number}].name"),
                    "participants have no names here",
                );
            }
            if matches!(turn.role, Role::System | Role::Developer) {
                if !leading {
                    self.losses.declare(
                        format!("messages[{number}].role"),
                        "instructions in the middle were moved to the start",
                    );
                }
                for (index, part) in turn.parts.iter().enumerate() {
                    let at = if self.own {
                        format!("systemInstruction.parts[{index}]")
                    } else {
                        format!("messages[{number}].content[{index}]")
                    };
                    self.part(part, &at, &mut said.system)?;
                }
                continue;
            }
            leading = false;
            let base = if self.own {
                format!("contents[{}].parts", groups.len())
            } else {
                format!("messages[{number}].content")
            };
            let placed = turn.parts.iter().enumerate();
            let placed = placed.map(|(index, part)| (format!("{base}[{index}]"), part));
            match groups.last_mut() {
                Some((last, group)) if *last == turn.role && !self.own => group.extend(placed),
                Some(_) | None => groups.push((turn.role, placed.collect())),
            }
        }
        let mut asked: Vec<String> = Vec::new();
        for (index, (role, mut group)) in groups.into_iter().enumerate() {
            if !self.own {
                put_results_first(&mut group, &asked);
                asked = calls_of(&group);
            }
            said.contents.extend(self.content(index, role, &group)?);
        }
        if !self.own {
            self.complete(chat, &mut said);
        }
        Ok(said)
    }

    /// One content; `None` if nothing of it can be sent.
    fn content(
        &mut self,
        index: usize,
        role: Role,
        group: &[(String, &Part)],
    ) -> Result<Option<String>, Fault> {
        self.unsigned = true;
        let mut written = Vec::with_capacity(group.len());
        for (at, part) in group {
            self.part(part, at, &mut written)?;
        }
        if written.is_empty() && !self.own {
            return Ok(None);
        }
        Ok(Some(json::object(|out| {
            out.str(
                "role",
                match role {
                    Role::Assistant => "model",
                    Role::System | Role::Developer | Role::User => "user",
                },
            );
            out.array("parts", |array| {
                written.iter().for_each(|part| array.raw(part));
            });
            self.nested.put(&format!("contents[{index}]"), out);
        })))
    }

    /// Adds what the vendor demands of a conversation and the caller's lacks.
    fn complete(&mut self, chat: &Chat, said: &mut Said) {
        if said.contents.is_empty() && !said.system.is_empty() {
            self.losses.declare(
                "messages",
                "the vendor wants a user to speak; the instructions were sent as the user's words",
            );
            let parts = std::mem::take(&mut said.system).join(",");
            said.contents
                .push(format!(r#"{{"role":"user","parts":[{parts}]}}"#));
        }
        let first = chat
            .turns
            .iter()
            .find(|turn| matches!(turn.role, Role::User | Role::Assistant));
        let calls = first.is_some_and(|turn| {
            let is_call = |part: &Part| matches!(part.kind, PartKind::ToolCall(_));
            turn.role == Role::Assistant && turn.parts.iter().any(is_call)
        });
        if calls {
            self.losses.declare(
                "messages",
                "the vendor wants the user to speak first; a user message `Begin.` was added",
            );
            let opening = format!(r#"{{"role":"user","parts":[{{"text":"{OPENING}"}}]}}"#);
            said.contents.insert(0, opening);
        }
    }

    /// `generationConfig` as JSON; `{}` if there is nothing to say.
    fn generation(&mut self, chat: &Chat) -> String {
        let plan = if self.own {
            thinking::as_asked(chat)
        } else {
            thinking::translated(chat, self.card, &mut self.losses)
        };
        let format = match &chat.format {
            OutputFormat::JsonSchema {
                schema,
                description,
                ..
            } => {
                if description.is_some() {
                    self.losses.declare(
                        "response_format.description",
                        "the output format has no description",
                    );
                }
                Some(self.schema(schema, "response_format.schema"))
            }
            OutputFormat::Text | OutputFormat::JsonObject => None,
        };
        let sampled = self.sampled(chat);
        let stop = self.stop(chat);
        json::object(|out| {
            if sampled {
                out.opt_float("temperature", chat.sampling.temperature);
                out.opt_float("topP", chat.sampling.top_p);
                out.opt_int("topK", chat.sampling.top_k);
            }
            out.opt_int("candidateCount", chat.n);
            out.opt_int("maxOutputTokens", chat.output_tokens_max);
            if !stop.is_empty() {
                out.strs("stopSequences", stop);
            }
            out.opt_int("seed", chat.sampling.seed);
            out.opt_float("presencePenalty", chat.sampling.presence_penalty);
            out.opt_float("frequencyPenalty", chat.sampling.frequency_penalty);
            if chat.format != OutputFormat::Text {
                out.str("responseMimeType", "application/json");
            }
            match &format {
                Some(Schema::Json(schema)) => out.raw("responseJsonSchema", schema),
                Some(Schema::Own(schema)) => out.raw("responseSchema", schema),
                None => {}
            }
            if let Some(top) = chat.logprobs {
                out.bool("responseLogprobs", true);
                out.opt_int("logprobs", (top > 0).then_some(top));
            }
            if !chat.modalities.is_empty() {
                let words = chat.modalities.iter().map(|word| word.to_ascii_uppercase());
                out.strs("responseModalities", &words.collect::<Vec<_>>());
            }
            if !plan.is_empty() || self.nested.has("generationConfig.thinkingConfig") {
                out.object("thinkingConfig", |out| {
                    plan.write(out);
                    self.nested.put("generationConfig.thinkingConfig", out);
                });
            }
            self.nested.put("generationConfig", out);
        })
    }

    /// Whether sampling parameters are sent.
    fn sampled(&mut self, chat: &Chat) -> bool {
        if self.own || self.card.capabilities.sampling {
            return true;
        }
        let asked = &chat.sampling;
        for (name, given) in [
            ("temperature", asked.temperature.is_some()),
            ("top_p", asked.top_p.is_some()),
            ("top_k", asked.top_k.is_some()),
        ] {
            if given {
                self.losses
                    .declare(name, "the model refuses sampling parameters");
            }
        }
        false
    }

    fn stop<'c>(&mut self, chat: &'c Chat) -> &'c [String] {
        if self.own || chat.stop.len() <= STOP_SEQUENCES_MAX {
            return &chat.stop;
        }
        self.losses
            .declare("stop", "the vendor takes five stop sequences at most");
        &chat.stop[..STOP_SEQUENCES_MAX]
    }

    /// Declares what a caller of another dialect asked for in vain.
    fn foreign(&mut self, request: &Request, chat: &Chat) {
        let tier = chat.service_tier.as_deref();
        let vain = [
            ("logit_bias", chat.sampling.logit_bias.is_some()),
            ("audio", chat.audio_out.is_some()),
            ("user", chat.user.is_some()),
            ("metadata", !chat.metadata.is_empty()),
            ("prompt_cache_key", chat.prompt_cache_key.is_some()),
            ("verbosity", chat.verbosity.is_some()),
            (
                "parallel_tool_calls",
                chat.parallel_tool_calls == Some(false) && !chat.tools.is_empty(),
            ),
            (
                "service_tier",
                tier.is_some_and(|word| tier_word(word).is_none()),
            ),
        ];
        for (name, _) in vain.into_iter().filter(|(_, given)| *given) {
            self.losses
                .declare(name, "the Gemini API has nothing like it");
        }
        if chat.cache.is_some() {
            self.losses
                .declare("cache_control", "this vendor caches prefixes on its own");
        }
        for (name, _) in &request.extras.fields {
            self.losses
                .declare(name.clone(), "only the caller's own dialect knows it");
        }
    }
}

/// Results of tools come first and in the order of their calls, which is how
/// the vendor matches those without an id.
fn put_results_first(group: &mut [(String, &Part)], asked: &[String]) {
    group.sort_by_key(|(_, part)| match &part.kind {
        PartKind::ToolResult(result) => {
            let place = asked.iter().position(|id| *id == result.call_id);
            place.unwrap_or(usize::MAX - 1)
        }
        PartKind::Text { .. }
        | PartKind::Image { .. }
        | PartKind::Audio { .. }
        | PartKind::File { .. }
        | PartKind::Thinking { .. }
        | PartKind::RedactedThinking
        | PartKind::ToolCall(_)
        | PartKind::Refusal { .. }
        | PartKind::Opaque { .. } => usize::MAX,
    });
}

fn calls_of(group: &[(String, &Part)]) -> Vec<String> {
    let ids = group.iter().filter_map(|(_, part)| match &part.kind {
        PartKind::ToolCall(call) => Some(call.id.clone()),
        PartKind::Text { .. }
        | PartKind::Image { .. }
        | PartKind::Audio { .. }
        | PartKind::File { .. }
        | PartKind::Thinking { .. }
        | PartKind::RedactedThinking
        | PartKind::ToolResult(_)
        | PartKind::Refusal { .. }
        | PartKind::Opaque { .. } => None,
    });
    ids.collect()
}

/// Other vendors' words for tiers.
fn tier_word(tier: &str) -> Option<&'static str> {
    match tier {
        "flex" => Some("flex"),
        "priority" => Some("priority"),
        "default" | "standard" | "standard_only" => Some("standard"),
        _ => None,
    }
}
