//! The response object around the output items, as a client sees it: in a
//! whole answer, and in the first and last events of a stream.

use contract::Usage;
use contract::answer::FinishReason;
use contract::chat::Chat;
use contract::request::Task;

use super::{usage, write_request};
use crate::dialect::Asked;
use crate::json::{self, ObjectWriter};
use crate::openai::tier_word;

/// What stays the same in every telling of one response.
#[derive(Debug)]
pub(super) struct Envelope {
    /// Its id.
    pub(super) id: String,
    /// When it was made, in Unix seconds.
    pub(super) created_s: u64,
    /// The tier it was served in.
    pub(super) tier: Option<String>,
    model: String,
    /// The members that repeat the request, without braces.
    echo: String,
}

/// How far a response is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// Nothing is known yet.
    InProgress,
    /// It ended like this.
    Ended { reason: FinishReason, refused: bool },
}

impl Envelope {
    /// The envelope of an answer to this request.
    pub(super) fn new(asked: &Asked<'_>) -> Self {
        let chat = match asked.request.map(|request| &request.task) {
            Some(Task::Chat(chat) | Task::CountTokens(chat)) => Some(&**chat),
            Some(Task::Embed(_)) | None => None,
        };
        let echo = json::object(|root| write_echo(root, chat.unwrap_or(&Chat::default())));
        Self {
            id: asked.id("resp_"),
            created_s: asked.now_s,
            tier: None,
            model: asked.model.to_owned(),
            echo: echo[1..echo.len() - 1].to_owned(),
        }
    }

    /// Takes over what the provider says, where it speaks our dialect.
    pub(super) fn adopt(&mut self, id: Option<&str>, created_s: Option<u64>) {
        if let Some(id) = id.filter(|id| id.starts_with("resp_")) {
            id.clone_into(&mut self.id);
        }
        self.created_s = created_s.unwrap_or(self.created_s);
    }

    /// The response object.
    pub(super) fn write(&self, stage: Stage, output: &[String], usage: Option<&Usage>) -> String {
        let head = json::object(|root| self.write_head(root, stage, output, usage));
        let mut text = head;
        text.pop();
        text.push(',');
        text.push_str(&self.echo);
        text.push('}');
        text
    }

    fn write_head(
        &self,
        root: &mut ObjectWriter<'_>,
        stage: Stage,
        output: &[String],
        usage: Option<&Usage>,
    ) {
        let (status, incomplete) = match stage {
            Stage::InProgress => ("in_progress", None),
            Stage::Ended { reason, refused } => match incomplete_reason(reason, refused) {
                None => ("completed", None),
                Some(word) => ("incomplete", Some(word)),
            },
        };
        root.str("id", &self.id);
        root.str("object", "response");
        root.int("created_at", self.created_s);
        root.str("status", status);
        root.null("error");
        match incomplete {
            Some(word) => root.object("incomplete_details", |object| object.str("reason", word)),
            None => root.null("incomplete_details"),
        }
        root.str("model", &self.model);
        root.array("output", |array| {
            for item in output {
                array.raw(item);
            }
        });
        match usage.filter(|told| told.is_told()) {
            Some(figures) => root.object("usage", |object| usage::write(object, figures)),
            None => root.null("usage"),
        }
        root.opt_str("service_tier", self.tier.as_deref().and_then(tier_word));
    }
}

/// Why a response is not whole; `None` if it is.
pub(super) fn incomplete_reason(reason: FinishReason, refused: bool) -> Option<&'static str> {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolCalls => None,
        FinishReason::Refusal if refused => None,
        FinishReason::Length
        | FinishReason::ContextWindow
        | FinishReason::Pause
        | FinishReason::Error => Some("max_output_tokens"),
        FinishReason::ContentFilter | FinishReason::Refusal => Some("content_filter"),
    }
}

/// What the vendor repeats of the request.
fn write_echo(root: &mut ObjectWriter<'_>, chat: &Chat) {
    root.bool("background", false);
    root.null("instructions");
    match chat.output_tokens_max {
        Some(tokens) => root.int("max_output_tokens", tokens),
        None => root.null("max_output_tokens"),
    }
    root.object("metadata", |object| {
        for (key, value) in &chat.metadata {
            object.str(key, value);
        }
    });
    root.bool(
        "parallel_tool_calls",
        chat.parallel_tool_calls.unwrap_or(true),
    );
    root.null("previous_response_id");
    root.object("reasoning", |object| {
        let reasoning = chat.reasoning.as_ref();
        let effort = reasoning.and_then(|reasoning| reasoning.effort);
        object.str_or_null("effort", effort.map(|effort| effort.word()));
        let summary = reasoning.and_then(|reasoning| reasoning.summary.as_deref());
        object.str_or_null("summary", summary);
    });
    root.bool("store", false);
    match chat.sampling.temperature {
        Some(temperature) => root.float("temperature", temperature),
        None => root.null("temperature"),
    }
    root.object("text", |text| {
        text.object("format", |object| {
            write_request::write_format(object, &chat.format);
        });
        text.opt_str("verbosity", chat.verbosity.as_deref());
    });
    match &chat.tool_choice {
        Some(choice) => write_request::write_choice(root, choice, &chat.tools),
        None => root.str("tool_choice", "auto"),
    }
    root.array("tools", |array| {
        for tool in &chat.tools {
            write_request::write_tool(array, tool, None);
        }
    });
    match chat.sampling.top_p {
        Some(top_p) => root.float("top_p", top_p),
        None => root.null("top_p"),
    }
    root.str("truncation", "disabled");
    root.opt_str("user", chat.user.as_deref());
}
