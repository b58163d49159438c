//! What a dialect's reader understood of a request, in neutral terms, for the mind to answer.
//!
//! Not here: knobs that only shape one dialect's answer; those stay with that dialect.

use super::tokens;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surface {
    Chat,
    Responses,
    Messages,
    Gemini,
    Converse,
}

impl Surface {
    /// The name that seals are bound to.
    pub(crate) fn seal_name(self) -> &'static str {
        match self {
            Surface::Chat => "chat",
            Surface::Responses => "responses",
            Surface::Messages => "messages",
            Surface::Gemini => "gemini",
            Surface::Converse => "converse",
        }
    }
}

/// An image, sound or document that came with the request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Media {
    /// `image`, `audio`, `file` or `video`.
    pub(crate) kind: &'static str,
    pub(crate) mime: String,
    /// Decoded bytes; `None` for a reference (URL or file id), which is named in `mime`'s place.
    pub(crate) bytes: Option<usize>,
    /// True when it came inside a tool result.
    pub(crate) from_tool: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) schema: Value,
    /// OpenAI's custom tools take free text instead of JSON.
    pub(crate) custom: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum ToolChoice {
    #[default]
    Auto,
    None,
    Any,
    Named(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ToolResult {
    pub(crate) call_id: String,
    pub(crate) text: String,
    pub(crate) is_error: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) enum Format {
    #[default]
    Text,
    JsonObject,
    Schema(Value),
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) enum Thinking {
    #[default]
    Off,
    /// Tokens are spent and the text is withheld; a seal may still be shown.
    Hidden,
    Shown,
}

/// A request as the mind sees it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prompt {
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) system: String,
    /// Number of conversation messages, without system text.
    pub(crate) turns: usize,
    /// The text of the last user message.
    pub(crate) last_user: String,
    pub(crate) media: Vec<Media>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: ToolChoice,
    pub(crate) parallel: bool,
    /// Tool results after the last assistant message.
    pub(crate) results: Vec<ToolResult>,
    pub(crate) format: Format,
    pub(crate) thinking: Thinking,
    pub(crate) stop: Vec<String>,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) input_tokens: u64,
    /// Input tokens up to the last explicit cache marker.
    pub(crate) marked_tokens: u64,
    /// The text of a partial assistant answer that the reply has to continue.
    pub(crate) prefill: Option<String>,
    /// Short digest of the request body; all ids of the answer derive from it.
    pub(crate) seed: String,
}

impl Prompt {
    /// Counts text that the model would read.
    pub(crate) fn hear(&mut self, text: &str) {
        self.input_tokens += tokens::count(text);
    }

    pub(crate) fn hear_system(&mut self, text: &str) {
        self.hear(text);
        if !self.system.is_empty() {
            self.system.push('\n');
        }
        self.system.push_str(text);
    }

    /// A new user message: it replaces what was "last" before.
    pub(crate) fn open_user(&mut self) {
        self.turns += 1;
        self.last_user.clear();
    }

    pub(crate) fn hear_user(&mut self, text: &str) {
        self.hear(text);
        if !self.last_user.is_empty() {
            self.last_user.push('\n');
        }
        self.last_user.push_str(text);
    }

    /// A new assistant message: tool results before it are history.
    pub(crate) fn open_assistant(&mut self) {
        self.turns += 1;
        self.results.clear();
    }

    pub(crate) fn hear_result(&mut self, result: ToolResult) {
        self.hear(&result.text);
        self.results.push(result);
    }

    pub(crate) fn add_tool(&mut self, name: &str, description: &str, schema: Value, custom: bool) {
        self.hear(name);
        self.hear(description);
        self.hear(&schema.to_string());
        self.tools.push(Tool {
            name: name.to_owned(),
            schema,
            custom,
        });
    }

    /// Records base64 media; `Err` holds why it cannot be decoded.
    pub(crate) fn see(
        &mut self,
        kind: &'static str,
        mime: &str,
        base64: &str,
        from_tool: bool,
    ) -> Result<(), String> {
        let bytes = STANDARD
            .decode(base64)
            .or_else(|_| URL_SAFE.decode(base64))
            .map_err(|e| format!("the {kind} is not valid base64: {e}"))?;
        if bytes.is_empty() {
            return Err(format!("the {kind} is empty"));
        }
        self.input_tokens += MEDIA_TOKENS;
        self.media.push(Media {
            kind,
            mime: mime.to_owned(),
            bytes: Some(bytes.len()),
            from_tool,
        });
        Ok(())
    }

    /// Records media by reference (URL, file id, S3 location).
    pub(crate) fn see_reference(&mut self, kind: &'static str, reference: &str, from_tool: bool) {
        self.input_tokens += MEDIA_TOKENS;
        self.media.push(Media {
            kind,
            mime: reference.to_owned(),
            bytes: None,
            from_tool,
        });
    }

    /// Records an image or file given as URL, which may be a `data:` URL.
    pub(crate) fn see_url(
        &mut self,
        kind: &'static str,
        url: &str,
        from_tool: bool,
    ) -> Result<(), String> {
        let Some(data) = url.strip_prefix("data:") else {
            if !url.starts_with("http://") && !url.starts_with("https://") {
                return Err(format!(
                    "expected a base64 data URL or an http(s) URL for the {kind}, got {url:.40}"
                ));
            }
            self.see_reference(kind, url, from_tool);
            return Ok(());
        };
        let (mime, payload) = data
            .split_once(";base64,")
            .ok_or_else(|| format!("the {kind} data URL is not base64"))?;
        self.see(kind, mime, payload, from_tool)
    }

    pub(crate) fn mark_cache(&mut self) {
        self.marked_tokens = self.input_tokens;
    }
}

/// A flat price per image, sound or file; the vendors' own rules vary by pixels and seconds.
const MEDIA_TOKENS: u64 = 85;
