//! Writing a Converse request for an upstream: in the words of the caller
//! where it speaks this dialect, translated where it does not.

use contract::chat::{Chat, Effort, OutputFormat};
use contract::model::ReasoningStyle;
use contract::request::Task;
use contract::{Fault, ModelCard, Request};

use super::ID;
use super::content_write::BlockWriter;
use super::conversation::Conversation;
use super::tools_write::ToolSet;
use crate::dialect::{Target, Written};
use crate::json::{self, ObjectWriter};
use crate::loss::{Losses, unusual};
use crate::nested::Nested;
use crate::sampling::{self, Sampled};
use crate::thinking::{self, Plan};

/// See [`crate::Dialect::write_request`].
pub(super) fn write(request: &Request, target: &Target<'_>) -> Result<Written, Fault> {
    let (chat, counting) = match &request.task {
        Task::Chat(chat) => (chat, false),
        Task::CountTokens(chat) => (chat, true),
        Task::Embed(_) => {
            return Err(Fault::unsupported(
                "The Converse API has no embeddings. Choose a provider with an embedding model.",
            ));
        }
    };
    let mut blocks = BlockWriter::new(
        target.card,
        Losses::told_to(request.dialect),
        Nested::of_own(request, ID),
        request.dialect == ID,
    );
    let plan = blocks.plan(request, chat);
    let sampled = blocks.sampled(request, chat, &plan);
    let set = blocks.tool_set(chat);
    let conversation = blocks.conversation(chat, set.json_only)?;
    let tier = blocks.tier(chat);
    let metadata = blocks.metadata(chat);
    if !blocks.own {
        blocks.foreign(request, chat);
    }
    let common = |out: &mut ObjectWriter<'_>| {
        blocks.put_common(&conversation, &set, &plan, &sampled, out);
    };
    let body = if counting {
        json::object(|out| {
            out.object("input", |out| out.object("converse", common));
        })
    } else {
        json::object(|out| {
            common(out);
            blocks.put_settings(chat, &sampled, out);
            blocks.put_output(&plan, &set, out);
            if let Some(tier) = tier {
                out.object("serviceTier", |out| {
                    out.str("type", tier);
                    blocks.nested.put("serviceTier", out);
                });
            }
            if !metadata.is_empty() {
                out.object("requestMetadata", |out| {
                    metadata.iter().for_each(|(key, value)| out.str(key, value));
                });
            }
            if blocks.own {
                blocks.nested.put("", out);
            }
        })
    };
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

impl BlockWriter<'_> {
    fn plan(&mut self, request: &Request, chat: &Chat) -> Plan {
        if self.own {
            return thinking::as_asked(chat);
        }
        let schema = matches!(chat.format, OutputFormat::JsonSchema { .. })
            && !self.card.capabilities.json_schema;
        let plan = if self.takes_thinking(&request.model) {
            let cap = chat.output_tokens_max.or(self.card.output_tokens_max);
            thinking::translated(
                chat,
                self.card,
                cap.unwrap_or(u32::MAX),
                ID,
                &mut self.losses,
            )
        } else {
            effort_only(chat, self.card, &mut self.losses)
        };
        if plan.thinks() && schema {
            self.losses.declare(
                "reasoning",
                "the output format is asked for by a forced tool, which excludes thinking",
            );
            return Plan::default();
        }
        plan
    }

    fn sampled(&mut self, request: &Request, chat: &Chat, plan: &Plan) -> Sampled {
        if self.own && self.card.capabilities.sampling {
            return Sampled::as_asked(chat);
        }
        let mut sampled = sampling::translated(chat, plan, self.card, &mut self.losses);
        if !self.takes_thinking(&request.model) && sampled.top_k.take().is_some() {
            self.losses
                .declare("top_k", "the Converse API has it only for some models");
        }
        sampled
    }

    fn tier(&mut self, chat: &Chat) -> Option<&'static str> {
        match chat.service_tier.as_deref() {
            None | Some("auto") => None,
            Some("default" | "standard" | "standard_only") => Some("default"),
            Some("priority") => Some("priority"),
            Some("flex") => Some("flex"),
            Some("reserved") => Some("reserved"),
            Some(_) => {
                self.losses
                    .declare("service_tier", "the vendor has no such tier");
                None
            }
        }
    }

    /// Metadata that the vendor takes: values of at most 256 characters of a
    /// restricted set.
    fn metadata<'c>(&mut self, chat: &'c Chat) -> Vec<&'c (String, String)> {
        const CHARS_MAX: usize = 256;
        let fits = |text: &str| {
            text.chars().count() <= CHARS_MAX
                && text.chars().all(|c| {
                    c.is_ascii_alphanumeric()
                        || c.is_ascii_whitespace()
                        || ":_@$#=/+,-.".contains(c)
                })
        };
        let mut kept = Vec::new();
        for pair in &chat.metadata {
            if self.own || (fits(&pair.0) && fits(&pair.1) && !pair.0.is_empty()) {
                kept.push(pair);
            } else {
                let what = format!("metadata.{}", pair.0);
                self.losses
                    .declare(what, "the vendor does not take these characters");
            }
        }
        kept
    }

    fn put_common(
        &self,
        conversation: &Conversation,
        set: &ToolSet,
        plan: &Plan,
        sampled: &Sampled,
        out: &mut ObjectWriter<'_>,
    ) {
        out.array("messages", |array| {
            conversation
                .messages
                .iter()
                .for_each(|turn| array.raw(turn));
        });
        if !conversation.system.is_empty() {
            out.array("system", |array| {
                conversation
                    .system
                    .iter()
                    .for_each(|block| array.raw(block));
            });
        }
        if !set.tools.is_empty() {
            out.object("toolConfig", |out| {
                out.array("tools", |array| {
                    set.tools.iter().for_each(|tool| array.raw(tool));
                });
                if let Some(choice) = &set.choice {
                    out.raw("toolChoice", choice);
                }
                self.nested.put("toolConfig", out);
            });
        }
        let path = "additionalModelRequestFields";
        if plan.mode.is_some() || sampled.top_k.is_some() || self.has_own(path) {
            out.object(path, |out| {
                if let Some(mode) = plan.mode {
                    out.object("thinking", |out| plan.write_thinking(mode, out));
                }
                out.opt_int("top_k", sampled.top_k);
                if self.own {
                    self.nested.put(path, out);
                }
            });
        }
    }

    fn put_settings(&self, chat: &Chat, sampled: &Sampled, out: &mut ObjectWriter<'_>) {
        let any = chat.output_tokens_max.is_some()
            || sampled.temperature.is_some()
            || sampled.top_p.is_some()
            || !chat.stop.is_empty()
            || self.has_own("inferenceConfig");
        if !any {
            return;
        }
        out.object("inferenceConfig", |out| {
            out.opt_int("maxTokens", chat.output_tokens_max);
            out.opt_float("temperature", sampled.temperature);
            out.opt_float("topP", sampled.top_p);
            if !chat.stop.is_empty() {
                out.strs("stopSequences", &chat.stop);
            }
            self.nested.put("inferenceConfig", out);
        });
    }

    fn put_output(&self, plan: &Plan, set: &ToolSet, out: &mut ObjectWriter<'_>) {
        if plan.effort.is_none() && set.format.is_none() && !self.has_own("outputConfig") {
            return;
        }
        out.object("outputConfig", |out| {
            out.opt_str("effort", plan.effort.map(Effort::word));
            if let Some(format) = &set.format {
                out.raw("textFormat", format);
            }
            self.nested.put("outputConfig", out);
        });
    }

    fn has_own(&self, path: &str) -> bool {
        self.own && self.nested.has(path)
    }

    /// Declares what a caller of another dialect asked for in vain.
    fn foreign(&mut self, request: &Request, chat: &Chat) {
        let user = chat.user.is_some().then_some("user");
        for name in unusual(chat).chain(user) {
            self.losses
                .declare(name, "the Converse API has nothing like it");
        }
        for (name, _) in &request.extras.fields {
            self.losses
                .declare(name.clone(), "only the caller's own dialect knows it");
        }
    }
}

/// The plan for models that know an effort and nothing else.
fn effort_only(chat: &Chat, card: &ModelCard, losses: &mut Losses) -> Plan {
    let Some(asked) = &chat.reasoning else {
        return Plan::default();
    };
    let effort = asked
        .effort
        .or(asked.budget_tokens.map(Effort::from_budget));
    let Some(effort) = effort.filter(|effort| *effort != Effort::None) else {
        return Plan::default();
    };
    if card.capabilities.reasoning != ReasoningStyle::Effort {
        losses.declare("reasoning", "the model takes no effort");
        return Plan::default();
    }
    if asked.effort.is_none() {
        losses.declare("reasoning", "the budget was turned into an effort");
    }
    if effort < Effort::Low {
        losses.declare("reasoning", "the least effort here is `low`");
    }
    Plan {
        effort: Some(effort.max(Effort::Low)),
        ..Plan::default()
    }
}
