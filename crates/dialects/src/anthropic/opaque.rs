//! A streamed block that only this vendor understands, put together again
//! from its start and deltas.

use contract::RawJson;

use crate::json::{self, Json};

/// The block so far: its members in order, as JSON text.
#[derive(Debug)]
pub(super) struct OpaqueBlock {
    pub(super) what: String,
    members: Vec<(String, String)>,
    input: String,
}

impl OpaqueBlock {
    /// Begins with the block of `content_block_start`.
    pub(super) fn new(what: &str, block: Json<'_>) -> Self {
        let members = block
            .members()
            .map(|member| (member.name().into_owned(), member.value.raw().to_owned()));
        Self {
            what: what.to_owned(),
            members: members.collect(),
            input: String::new(),
        }
    }

    /// Adds a delta. `partial_json` grows the input; of every other kind,
    /// strings grow the member of their name and other values replace it.
    pub(super) fn grow(&mut self, delta: Json<'_>) {
        for member in delta.members() {
            let name = member.name();
            match (&*name, member.value.str()) {
                ("type", _) => {}
                ("partial_json", Some(text)) => self.input.push_str(&text),
                (_, text) => self.set(&name, member.value.raw(), text.is_some()),
            }
        }
    }

    fn set(&mut self, name: &str, raw: &str, is_text: bool) {
        let Some((_, value)) = self.members.iter_mut().find(|(key, _)| key == name) else {
            self.members.push((name.to_owned(), raw.to_owned()));
            return;
        };
        if is_text && value.starts_with('"') {
            // Two JSON strings join by their quotes.
            value.pop();
            value.push_str(&raw[1..]);
        } else {
            raw.clone_into(value);
        }
    }

    /// The whole block.
    pub(super) fn finish(self) -> (String, RawJson) {
        let is_json = json::Tape::scan(self.input.as_bytes(), &json::Rules::ANSWER).is_ok();
        let json = json::object(|out| {
            for (name, value) in &self.members {
                if name == "input" && is_json {
                    out.raw(name, &self.input);
                } else {
                    out.raw(name, value);
                }
            }
        });
        (self.what, RawJson::new(json))
    }
}
