//! Reasoning items and the signatures that stand for them.
//!
//! Our own signature is `<item id>|<where the text stands>|<encrypted
//! content>`: an upstream wants all three back, and a client of another
//! dialect echoes nothing but the signature. A foreign one is shown as
//! `encrypted_content`; for redacted reasoning behind a mark.

use contract::chat::{Part, PartKind, Signature};

use super::ID;
use crate::carry;
use crate::json::{self, Json, ObjectWriter};

/// Marks the encrypted content that stands for redacted reasoning.
const REDACTED_MARK: &str = "tgr.";
/// Between the texts of several summaries.
pub(super) const GAP: &str = "\n\n";

/// Where the readable text of a reasoning item stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// In `summary`.
    #[default]
    Summary,
    /// In `content`, for models that show all of it.
    Content,
}

/// An own signature, taken apart.
pub(super) struct Proof<'a> {
    pub(super) id: &'a str,
    pub(super) place: Place,
    pub(super) encrypted: &'a str,
}

impl<'a> Proof<'a> {
    /// The parts of a signature, if it is one of ours.
    pub(super) fn of(signature: &'a Signature) -> Option<Self> {
        if signature.dialect != ID {
            return None;
        }
        let (id, rest) = signature.value.split_once('|')?;
        let (place, encrypted) = rest.split_once('|')?;
        Some(Self {
            id,
            place: if place == "c" {
                Place::Content
            } else {
                Place::Summary
            },
            encrypted,
        })
    }

    /// The signature.
    pub(super) fn sign(&self) -> Signature {
        let place = match self.place {
            Place::Summary => "s",
            Place::Content => "c",
        };
        Signature {
            dialect: ID,
            value: format!("{}|{place}|{}", self.id, self.encrypted),
        }
    }
}

/// Reads the signature that a reasoning item carries, and whether it stands
/// for redacted reasoning.
pub(super) fn read(id: &str, place: Place, encrypted: Option<&str>) -> (Signature, bool) {
    let text = encrypted.unwrap_or("");
    let (plain, redacted) = match text.strip_prefix(REDACTED_MARK) {
        Some(plain) => (plain, true),
        None => (text, false),
    };
    let shown = carry::read_signature(plain, ID);
    if shown.dialect != ID {
        return (shown, redacted);
    }
    let proof = Proof {
        id,
        place,
        encrypted: text,
    };
    (proof.sign(), false)
}

/// Reads a reasoning item.
pub(super) fn read_item(item: Json<'_>) -> Result<Part, contract::Fault> {
    let id = item.opt_string("id")?;
    let mut texts = read_texts(item, "summary")?;
    let mut place = Place::Summary;
    if texts.is_empty() {
        texts = read_texts(item, "content")?;
        if !texts.is_empty() {
            place = Place::Content;
        }
    }
    let encrypted = item.opt_str("encrypted_content")?;
    let (signature, redacted) = read(id.as_deref().unwrap_or(""), place, encrypted.as_deref());
    let kind = if redacted {
        PartKind::RedactedThinking
    } else {
        PartKind::Thinking {
            text: texts.join(GAP),
        }
    };
    Ok(Part {
        id,
        signature: Some(signature),
        ..kind.into()
    })
}

fn read_texts(item: Json<'_>, key: &str) -> Result<Vec<String>, contract::Fault> {
    let texts = item.opt_array(key)?;
    let texts = texts.iter().flat_map(Json::items);
    texts
        .map(|text| Ok(text.need_str("text")?.into_owned()))
        .collect()
}

/// The encrypted content to show to a client.
pub(super) fn shown(signature: Option<&Signature>, redacted: bool) -> Option<String> {
    let signature = signature?;
    if let Some(proof) = Proof::of(signature) {
        return Some(proof.encrypted.to_owned()).filter(|text| !text.is_empty());
    }
    let text = carry::show_signature(signature, ID);
    Some(if redacted {
        format!("{REDACTED_MARK}{text}")
    } else {
        text
    })
}

/// Writes the members of a reasoning item.
pub(super) fn write(
    item: &mut ObjectWriter<'_>,
    id: &str,
    text: &str,
    place: Place,
    encrypted: Option<&str>,
) {
    item.str("type", "reasoning");
    if !id.is_empty() {
        item.str("id", id);
    }
    let summary = (place == Place::Summary && !text.is_empty()).then_some(text);
    item.array("summary", |array| {
        if let Some(text) = summary {
            array.object(|object| {
                object.str("type", "summary_text");
                object.str("text", text);
            });
        }
    });
    if place == Place::Content {
        item.array("content", |array| {
            array.object(|object| {
                object.str("type", "reasoning_text");
                object.str("text", text);
            });
        });
    }
    item.opt_str("encrypted_content", encrypted);
}

/// A whole reasoning item as a client sees it.
pub(super) fn item(part: &Part, id: &str, text: &str) -> String {
    let redacted = matches!(part.kind, PartKind::RedactedThinking);
    let signature = part.signature.as_ref();
    let place = signature
        .and_then(Proof::of)
        .map_or(Place::Summary, |proof| proof.place);
    let encrypted = shown(signature, redacted);
    json::object(|item| write(item, id, text, place, encrypted.as_deref()))
}
