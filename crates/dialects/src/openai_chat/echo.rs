//! Reasoning in a format that has no standard place for it. Servers send it
//! as `reasoning_content`, `reasoning`, `reasoning_details` or
//! `thinking_blocks`, and want the same form back on the next turn.
//!
//! The form is kept as the part's signature: the name of a plain field, or
//! the proof itself behind a mark. So it also survives a client that speaks
//! another dialect, which echoes signatures and nothing else.

use contract::chat::{Part, PartKind, Signature};
use contract::{Fault, Loss};

use super::ID;
use crate::carry;
use crate::json::{Json, ObjectWriter, Rules, Tape};

/// Plain text fields, in the order in which they are looked for.
pub(super) const FIELDS: &[&str] = &["reasoning_content", "reasoning"];
const DETAILS_MARK: &str = "reasoning_details:";
const EXTRA_MARK: &str = "extra_content:";

/// Who sent what is read: a client may show signatures of other dialects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// A client, in the history of a request.
    Client,
    /// A provider, in its answer.
    Provider,
}

impl Sender {
    /// The signature behind a text that it sent.
    pub(super) fn signature(self, text: &str) -> Signature {
        match self {
            Sender::Client => carry::read_signature(text, ID),
            Sender::Provider => own(text.to_owned()),
        }
    }

    /// A tool-call id, and the signature that rode in it.
    pub(super) fn call_id(self, id: &str) -> (String, Option<Signature>) {
        let (id, signature) = match self {
            Sender::Client => carry::unload_id(id),
            Sender::Provider => (id.into(), None),
        };
        (id.into_owned(), signature)
    }
}

fn own(value: String) -> Signature {
    Signature { dialect: ID, value }
}

/// The signature of reasoning that came in a plain text field.
pub(super) fn of_field(field: &str) -> Signature {
    own(field.to_owned())
}

/// The signature of reasoning that came as signed details.
pub(super) fn of_details(items: &str) -> Signature {
    own(format!("{DETAILS_MARK}[{items}]"))
}

/// The token of a tool call that came with an `extra_content` object.
pub(super) fn of_extra(raw: &str) -> Signature {
    own(format!("{EXTRA_MARK}{raw}"))
}

/// Whether a detail holds a proof that must come back.
pub(super) fn is_signed(detail: Json<'_>) -> bool {
    ["signature", "data"]
        .iter()
        .any(|key| detail.field(key).is_some())
}

/// The reasoning of a message, as parts.
pub(super) fn read(message: Json<'_>, sender: Sender) -> Result<Vec<Part>, Fault> {
    let blocks = message.field("thinking_blocks");
    if let Some(blocks) = blocks.filter(|blocks| !blocks.is_empty()) {
        let blocks = blocks.as_array()?.items();
        return blocks.map(|block| read_block(block, sender)).collect();
    }
    if let Some(details) = message.field("reasoning_details")
        && details.items().any(is_signed)
    {
        let mut text = String::new();
        for detail in details.items() {
            text.push_str(&detail_text(detail));
        }
        let raw = details.raw();
        let signature = of_details(&raw[1..raw.len() - 1]);
        return Ok(vec![thinking(text, Some(signature))]);
    }
    for field in FIELDS {
        let text = message.field(field).and_then(|text| text.str());
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            return Ok(vec![thinking(text.into_owned(), Some(of_field(field)))]);
        }
    }
    Ok(Vec::new())
}

/// The readable text of a detail, if it has one.
pub(super) fn detail_text(detail: Json<'_>) -> String {
    ["text", "summary"]
        .iter()
        .find_map(|key| detail.field(key)?.str())
        .map(|text| text.into_owned())
        .unwrap_or_default()
}

/// One of `thinking_blocks`.
pub(super) fn read_block(block: Json<'_>, sender: Sender) -> Result<Part, Fault> {
    let kind = block.need_str("type")?;
    if kind == "redacted_thinking" {
        return Ok(Part {
            signature: Some(sender.signature(&block.need_str("data")?)),
            ..PartKind::RedactedThinking.into()
        });
    }
    if kind != "thinking" {
        return Err(block
            .need("type")?
            .fault("expected `thinking` or `redacted_thinking`"));
    }
    let text = block.opt_string("thinking")?.unwrap_or_default();
    let signature = block
        .opt_str("signature")?
        .filter(|signature| !signature.is_empty())
        .map(|signature| sender.signature(&signature));
    Ok(thinking(text, signature))
}

fn thinking(text: String, signature: Option<Signature>) -> Part {
    Part {
        signature,
        ..PartKind::Thinking { text }.into()
    }
}

/// How reasoning of our own dialect goes back.
enum Form<'a> {
    Field(&'static str),
    Details(&'a str),
    Block(&'a str),
}

impl<'a> Form<'a> {
    fn of(value: &'a str) -> Self {
        if let Some(field) = FIELDS.iter().find(|field| **field == value) {
            return Form::Field(field);
        }
        match value.strip_prefix(DETAILS_MARK) {
            Some(raw) if is_json(raw) => Form::Details(raw),
            _ => Form::Block(value),
        }
    }
}

/// The tokens came through a client, so they may be anything by now.
fn is_json(text: &str) -> bool {
    Tape::scan(text.as_bytes(), &Rules::REQUEST).is_ok()
}

/// The `extra_content` of a tool call, if its token is one.
pub(super) fn extra_content(signature: Option<&Signature>) -> Option<&str> {
    let signature = signature.filter(|signature| signature.dialect == ID)?;
    let raw = signature.value.strip_prefix(EXTRA_MARK)?;
    is_json(raw).then_some(raw)
}

/// Whether a signature only names the plain field the text came in.
pub(super) fn is_plain(signature: &Signature) -> bool {
    signature.dialect == ID && FIELDS.contains(&signature.value.as_str())
}

/// What of a turn's reasoning an upstream of this format takes.
#[derive(Default)]
pub(super) struct Echo {
    /// Text by field, in the order of [`FIELDS`].
    text: [String; 2],
    details: Option<String>,
    blocks: Vec<String>,
}

impl Echo {
    /// Takes a part; the loss if an upstream of this format cannot use it.
    pub(super) fn take(&mut self, part: &Part) -> Option<Loss> {
        let signature = part.signature.as_ref().filter(|known| known.dialect == ID);
        let (text, redacted) = match &part.kind {
            PartKind::Thinking { text } => (text.as_str(), false),
            _ => ("", true),
        };
        let Some(signature) = signature else {
            return Some(Loss::new(
                "thinking",
                "reasoning of another vendor means nothing to this target",
            ));
        };
        match Form::of(&signature.value) {
            Form::Field(field) => {
                let at = FIELDS.iter().position(|known| *known == field);
                self.text[at.unwrap_or(0)].push_str(text);
            }
            Form::Details(raw) => self.details = Some(raw.to_owned()),
            Form::Block(data) if redacted => self.blocks.push(redacted_block(data)),
            Form::Block(proof) => {
                self.text[0].push_str(text);
                self.blocks.push(block(text, proof));
            }
        }
        None
    }

    /// Writes the fields of a message.
    pub(super) fn write(&self, message: &mut ObjectWriter<'_>) {
        for (field, text) in FIELDS.iter().zip(&self.text) {
            if !text.is_empty() {
                message.str(field, text);
            }
        }
        if let Some(details) = &self.details {
            message.raw("reasoning_details", details);
        }
        write_blocks(message, &self.blocks);
    }
}

/// Writes the `thinking_blocks` of a message or delta, if there are some.
pub(super) fn write_blocks(message: &mut ObjectWriter<'_>, blocks: &[String]) {
    if !blocks.is_empty() {
        message.array("thinking_blocks", |array| {
            for block in blocks {
                array.raw(block);
            }
        });
    }
}

/// A block of `thinking_blocks`.
pub(super) fn block(text: &str, proof: &str) -> String {
    crate::json::object(|block| {
        block.str("type", "thinking");
        block.str("thinking", text);
        block.str("signature", proof);
    })
}

/// A redacted block of `thinking_blocks`.
pub(super) fn redacted_block(data: &str) -> String {
    crate::json::object(|block| {
        block.str("type", "redacted_thinking");
        block.str("data", data);
    })
}
