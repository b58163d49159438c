//! What is asked, as a fingerprint that nearly identical requests share: the
//! last turn without case, digits, spaces and punctuation. An agent in a loop
//! counts up, or asks again with another time of day; it says the same.

use contract::chat::{Part, PartKind};
use contract::request::EmbedInput;
use contract::{Request, Task};

/// The fingerprint: 16 hexadecimal digits.
pub(super) fn of(request: &Request) -> String {
    let mut hasher = Normal::default();
    match &request.task {
        Task::Chat(chat) | Task::CountTokens(chat) => {
            for part in chat.turns.last().iter().flat_map(|turn| &turn.parts) {
                hasher.part(part);
            }
        }
        Task::Embed(embed) => {
            for input in &embed.inputs {
                match input {
                    EmbedInput::Text(text) => hasher.text(text),
                    EmbedInput::Tokens(tokens) => {
                        for token in tokens {
                            hasher.all.update(&token.to_le_bytes());
                        }
                    }
                }
            }
        }
    }
    let digest = hasher.digest();
    digest.to_hex()[..16].to_owned()
}

/// Two digests in one pass: of the letters, and of everything, for texts
/// without a letter.
#[derive(Default)]
struct Normal {
    letters: blake3::Hasher,
    all: blake3::Hasher,
    has_letters: bool,
}

impl Normal {
    fn part(&mut self, part: &Part) {
        match &part.kind {
            PartKind::Text { text, .. }
            | PartKind::Thinking { text }
            | PartKind::Refusal { text } => self.text(text),
            PartKind::ToolCall(call) => {
                self.text(&call.name);
                self.text(&call.arguments);
            }
            PartKind::ToolResult(result) => {
                result.parts.iter().for_each(|part| self.part(part));
                if let Some(json) = &result.json {
                    self.text(json.as_str());
                }
            }
            PartKind::Opaque { json, .. } => self.text(json.as_str()),
            // What is no text tells requests apart by that it is there.
            PartKind::Image { .. }
            | PartKind::Audio { .. }
            | PartKind::File { .. }
            | PartKind::RedactedThinking => {
                self.all.update(b"\0");
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.all.update(text.as_bytes());
        let mut piece = String::with_capacity(text.len().min(4_096));
        for letter in text.chars().filter(|c| c.is_alphabetic()) {
            piece.extend(letter.to_lowercase());
        }
        self.has_letters |= !piece.is_empty();
        self.letters.update(piece.as_bytes());
    }

    fn digest(&self) -> blake3::Hash {
        match self.has_letters {
            true => self.letters.finalize(),
            false => self.all.finalize(),
        }
    }
}
